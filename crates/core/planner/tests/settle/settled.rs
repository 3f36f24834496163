//! What the settled plan says.

use core::fmt::Write as _;

use expect_test::{Expect, expect};
use planner::{Plan, audit};

use crate::answer::{changed, fleet, plan};

#[test]
fn the_auditor_finds_nothing_in_a_settled_plan() {
    let fleet = fleet();
    let found = audit(&fleet, &plan(&fleet));
    assert!(found.is_empty(), "{}", found.iter().map(|it| format!("{it}\n")).collect::<String>());
}

fn check(shown: impl Fn(&Plan) -> String, expect: &Expect) {
    expect.assert_eq(&shown(&plan(&fleet())));
}

#[test]
fn flows() {
    check(
        |plan| {
            let mut text = String::new();
            for row in plan.flows.iter().filter(|row| row.step > 3) {
                let on = row.pool.as_ref().or(row.endpoint.as_ref()).expect("one of the two");
                writeln!(text, "{} {} on {on} for {}: {} does {}", row.step, row.contract, row.workload, row.quantity, row.done)
                    .expect("strings take all");
            }
            text
        },
        &expect![[r#"
            4 metered on north for chat: 100440000000 does 309046153846
            4 metered on south for chat: 133920000000 does 103015384615
            4 offered on south for chat: 133920000000 does 103015384615
            4 power on south for chat: 33480000000 does 25753846153
            4 reserved on north for train: 187488000000 does 749952000000
            4 reserved on north for chat: 167400000000 does 515076923076
            4 tokens on api for chat: 3720000000 does 3720000000
            4 units on units for chat: 66960000000 does 31885714285
            5 metered on north for chat: 301320000000 does 927138461538
            5 metered on south for chat: 401760000000 does 309046153846
            5 offered on south for chat: 401760000000 does 309046153846
            5 power on south for chat: 100440000000 does 77261538461
            5 reserved on north for train: 10512000000 does 42048000000
            5 reserved on north for chat: 203893200000 does 627363692307
            5 tokens on api for chat: 2 does 2
            6 metered on north for chat: 97200000000 does 299076923076
            6 metered on south for chat: 129600000000 does 99692307692
            6 offered on south for chat: 129600000000 does 99692307692
            6 power on south for chat: 32400000000 does 24923076923
            6 reserved on north for chat: 236982857142 does 729178021975
            6 tokens on api for chat: 3600000000 does 3600000000
            6 units on units for chat: 64800000000 does 30857142857
            7 metered on north for chat: 291600000000 does 897230769230
            7 metered on south for chat: 388800000000 does 299076923076
            7 offered on south for chat: 388800000000 does 299076923076
            7 power on south for chat: 97200000000 does 74769230769
            7 reserved on north for chat: 197316000000 does 607126153846
            7 tokens on api for chat: 3 does 3
            8 metered on north for chat: 100440000000 does 309046153846
            8 metered on south for chat: 133920000000 does 103015384615
            8 offered on south for chat: 133920000000 does 103015384615
            8 power on south for chat: 33480000000 does 25753846153
            8 reserved on north for chat: 244882285714 does 753483956043
            8 tokens on api for chat: 3720000000 does 3720000000
            8 units on units for chat: 21600000000 does 10285714285
            9 metered on north for chat: 301320000000 does 927138461538
            9 metered on south for chat: 401760000000 does 309046153846
            9 offered on south for chat: 401760000000 does 309046153846
            9 power on south for chat: 100440000000 does 77261538461
            9 reserved on north for chat: 203893200000 does 627363692307
            9 tokens on api for chat: 2 does 2
        "#]],
    );
}

#[test]
fn money() {
    check(
        |plan| {
            let mut text = String::new();
            for row in &plan.money {
                let parts = [
                    ("interest", row.interest),
                    ("revenue", row.revenue),
                    ("raised", row.raised),
                    ("other", row.other),
                    ("drawn", row.drawn),
                    ("repaid", row.repaid),
                    ("debt interest", row.debt_interest),
                    ("contracts", row.contracts),
                    ("energy", row.energy),
                    ("capex", row.capex),
                    ("gap", row.gap),
                    ("cash", row.cash),
                    ("debt", row.debt),
                ];
                let parts: Vec<String> = parts.iter().map(|(name, money)| format!("{name} {money}")).collect();
                writeln!(text, "{}", parts.join(", ")).expect("strings take all");
            }
            text
        },
        &expect![[r#"
            interest 5000.00, revenue 5645572.02664407, raised 0.00, other -378508.287292818, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1572303.78, energy 20708.473389375, capex 30000.00, gap 0.00, cash 5647718.152628544, debt 200000.00
            interest 14119.295381571, revenue 6752312.074225287, raised 0.00, other -341878.453038674, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1046204.67, energy 20477.5414725, capex 0.00, gap 0.00, cash 11004255.524390895, debt 200000.00
            interest 27510.638810977, revenue 7335187.026343556, raised 250000.00, other -378508.287292818, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1282600.00, energy 27229.69375, capex 0.00, gap 0.00, cash 16927281.875169277, debt 200000.00
            interest 42318.204687923, revenue 7516290.283643735, raised 0.00, other -366298.342541436, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1297600.00, energy 24933.937499986, capex 0.00, gap 0.00, cash 22795724.75012618, debt 200000.00
            interest 56989.311875315, revenue 7739362.451613154, raised 0.00, other -310000.00, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1516000.00, energy 25765.06875, capex 0.00, gap 0.00, cash 28738978.111531316, debt 200000.00
        "#]],
    );
}

#[test]
fn bills_and_training() {
    check(
        |plan| {
            let mut text = String::new();
            for due in &plan.due {
                writeln!(text, "{} {} in {}: {} {}", due.contract, due.period, due.month, due.due, due.paid).expect("strings take all");
            }
            for gap in &plan.gaps {
                writeln!(text, "{} from {}: {}", gap.promise, gap.month, gap.by).expect("strings take all");
            }
            for row in &plan.trained {
                writeln!(text, "{}: {} + .. - {} - {} late = {}", row.month, row.arrived, row.done, row.late, row.backlog)
                    .expect("strings take all");
            }
            text
        },
        &expect![[r#"
            metered 1 in 0: 218400.00 218400.00
            metered 2 in 1: 483600.00 483600.00
            metered 3 in 2: 436800.00 436800.00
            metered 4 in 3: 483600.00 483600.00
            metered 5 in 4: 468000.00 468000.00
            metered 6 in 4: 265200.00 265200.00
            offered 0 in 2: 74400.00 74400.00
            offered 1 in 3: 72000.00 72000.00
            offered 2 in 4: 74400.00 74400.00
            power 0 in 0: 66863.78 66863.78
            power 1 in 1: 91084.67 91084.67
            power 2 in 2: 29760.00 29760.00
            power 3 in 3: 28800.00 28800.00
            power 4 in 4: 29760.00 29760.00
            reserved 0 in 0: 1195200.00 1195200.00
            reserved 1 in 1: 387600.00 387600.00
            reserved 2 in 2: 638640.00 638640.00
            reserved 3 in 3: 613200.00 613200.00
            reserved 4 in 4: 638640.00 638640.00
            tokens 0 in 0: 10000.00 10000.00
            tokens 1 in 1: 10000.00 10000.00
            tokens 2 in 2: 10000.00 10000.00
            tokens 3 in 3: 10000.00 10000.00
            tokens 4 in 4: 10000.00 10000.00
            units 0 in 0: 74400.00 81840.00
            units 1 in 1: 67200.00 73920.00
            units 2 in 2: 74400.00 93000.00
            units 3 in 3: 72000.00 90000.00
            units 4 in 4: 24000.00 30000.00
            0: 720000000000 + .. - 720000000000 - 0 late = 0
            1: 0 + .. - 0 - 0 late = 0
            2: 792000000000 + .. - 792000000000 - 0 late = 0
            3: 0 + .. - 0 - 0 late = 0
            4: 0 + .. - 0 - 0 late = 0
        "#]],
    );
}

/// A lab that earns little: what it lacks is drawn, then raised, and then missing.
#[test]
fn what_is_lacking_is_drawn_then_raised_then_missing() {
    let words = [
        ("amount = \"12 MUSD\", workload", "amount = \"1800 kUSD\", workload"),
        ("price = \"2 USD/1M tokens\"", "price = \"0.02 USD/1M tokens\""),
        ("price = \"1 USD/1M tokens\"", "price = \"0.01 USD/1M tokens\""),
    ];
    let fleet = changed(&words);
    let plan = plan(&fleet);
    let found = audit(&fleet, &plan);
    assert!(found.is_empty(), "{}", found.iter().map(|it| format!("{it}\n")).collect::<String>());
    let row = |row: &planner::MonthMoney| {
        let parts = [("raised", row.raised), ("drawn", row.drawn), ("gap", row.gap), ("cash", row.cash), ("debt", row.debt)];
        parts.iter().map(|(name, money)| format!("{name} {money}")).collect::<Vec<_>>().join(", ")
    };
    let gaps = plan.gaps.iter().map(|gap| format!("{} from {}: {}", gap.promise, gap.month, gap.by));
    let rows: Vec<String> = plan.money.iter().map(row).chain(gaps).collect();
    expect![[r#"
        raised 0.00, drawn 318215.246510356, gap 0.00, cash 500000.00, debt 518215.246510356
        raised 570924.684518366, drawn 593145.052613012, gap 0.00, cash 500000.00, debt 1111360.299123368
        raised 1386039.346517064, drawn 42939.691893802, gap 0.00, cash 500000.00, debt 1154299.99101717
        raised 1293035.96896457, drawn 13673.472905644, gap 181582.598128196, cash 500000.00, debt 1167973.463922814
        raised 0.00, drawn 16574.919349412, gap 1628938.17295608, cash 500000.00, debt 1184548.383272226
        finance.cash.floor from 3: 1810520.771084276 USD"#]]
    .assert_eq(&rows.join("\n"));
}
