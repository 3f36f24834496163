//! What the settled plan says.

use core::fmt::Write as _;

use expect_test::{Expect, expect};
use planner::{Plan, audit};

use crate::answer::{fleet, plan};

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
            for row in &plan.flows {
                let on = row.pool.as_ref().or(row.endpoint.as_ref()).expect("one of the two");
                writeln!(text, "{} {} on {on} for {}: {} does {}", row.step, row.contract, row.workload, row.quantity, row.done)
                    .expect("strings take all");
            }
            text
        },
        &expect![[r#"
            0 metered on north for chat: 200880000000 does 618092307692
            0 metered on south for chat: 133920000000 does 103015384615
            0 power on south for chat: 75221748000 does 57862883076
            0 reserved on north for train: 180000000000 does 720000000000
            0 reserved on north for chat: 20880000000 does 64246153846
            0 tokens on api for chat: 3720000000 does 3720000000
            0 units on units for chat: 66960000000 does 31885714285
            1 metered on north for chat: 574516800000 does 1767744000000
            2 metered on north for chat: 181440000000 does 558276923076
            2 metered on south for chat: 120960000000 does 93046153846
            2 power on south for chat: 102470256000 does 78823273846
            2 reserved on north for chat: 172670436000 does 531293649230
            2 tokens on api for chat: 2 does 2
            3 metered on north for chat: 544319999999 does 1674830769227
            3 metered on south for chat: 282528000004 does 217329230772
            3 tokens on api for chat: 1 does 1
            4 metered on north for chat: 200880000000 does 618092307692
            4 metered on south for chat: 133920000000 does 103015384615
            4 offered on south for chat: 133920000000 does 103015384615
            4 power on south for chat: 33480000000 does 25753846153
            4 reserved on north for train: 187488000000 does 749952000000
            4 reserved on north for chat: 13392000000 does 41206153846
            4 tokens on api for chat: 3720000000 does 3720000000
            4 units on units for chat: 66960000000 does 31885714285
            5 metered on north for chat: 602640000000 does 1854276923076
            5 metered on south for chat: 401760000000 does 309046153846
            5 offered on south for chat: 112492800001 does 86532923077
            5 reserved on north for train: 10512000000 does 42048000000
            5 tokens on api for chat: 1 does 1
            6 metered on north for chat: 194400000000 does 598153846153
            6 metered on south for chat: 129600000000 does 99692307692
            6 offered on south for chat: 129600000000 does 99692307692
            6 power on south for chat: 32400000000 does 24923076923
            6 reserved on north for chat: 194400000000 does 598153846153
            6 tokens on api for chat: 3600000000 does 3600000000
            6 units on units for chat: 57339692312 does 27304615386
            7 metered on north for chat: 583200000000 does 1794461538461
            7 metered on south for chat: 388800000000 does 299076923076
            7 offered on south for chat: 108864000001 does 83741538462
            7 tokens on api for chat: 1 does 1
            8 metered on north for chat: 200880000000 does 618092307692
            8 metered on south for chat: 133920000000 does 103015384615
            8 offered on south for chat: 133920000000 does 103015384615
            8 power on south for chat: 33480000000 does 25753846153
            8 reserved on north for chat: 200880000000 does 618092307692
            8 tokens on api for chat: 3720000000 does 3720000000
            8 units on units for chat: 21600000000 does 10285714285
            9 metered on north for chat: 602640000000 does 1854276923076
            9 metered on south for chat: 401760000000 does 309046153846
            9 offered on south for chat: 112492800001 does 86532923077
            9 tokens on api for chat: 1 does 1
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
            interest 5000.00, revenue 5887238.393155716, raised 0.00, other -378508.287292818, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1608881.94, energy 18838.75332, capex 30000.00, gap 0.00, cash 5854676.079209565, debt 200000.00
            interest 14636.690198024, revenue 6796111.335035987, raised 0.00, other -341878.453038674, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1217479.17, energy 19331.480477508, capex 0.00, gap 0.00, cash 11085401.667594061, debt 200000.00
            interest 27713.504168985, revenue 6960738.758995865, raised 250000.00, other -378508.287292818, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1548030.00, energy 25164.652000011, capex 0.00, gap 0.00, cash 16370817.658132749, debt 200000.00
            interest 40927.044145332, revenue 7725501.369861742, raised 0.00, other -366298.342541436, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1607100.00, energy 24229.260000011, capex 0.00, gap 0.00, cash 22138285.136265043, debt 200000.00
            interest 55345.712840663, revenue 7960215.942076353, raised 0.00, other -310000.00, drawn 0.00, repaid 0.00, debt interest 1333.333333333, contracts 1997790.00, energy 25036.902000011, capex 0.00, gap 0.00, cash 27819686.555848715, debt 200000.00
            metered 1 in 0: 308616.00 308616.00
            metered 2 in 1: 733188.00 733188.00
            metered 3 in 2: 728040.00 728040.00
            metered 4 in 3: 818400.00 818400.00
            metered 5 in 4: 792000.00 792000.00
            metered 6 in 4: 448800.00 448800.00
            offered 0 in 2: 74400.00 74400.00
            offered 1 in 3: 72000.00 72000.00
            offered 2 in 4: 74400.00 74400.00
            power 0 in 0: 16715.94 16715.94
            power 1 in 1: 22771.17 22771.17
            power 2 in 2: 7440.00 7440.00
            power 3 in 3: 7200.00 7200.00
            power 4 in 4: 7440.00 7440.00
            reserved 0 in 0: 1195200.00 1195200.00
            reserved 1 in 1: 387600.00 387600.00
            reserved 2 in 2: 638640.00 638640.00
            reserved 3 in 3: 613200.00 613200.00
            reserved 4 in 4: 638640.00 638640.00
            tokens 0 in 0: 6510.00 6510.00
            tokens 2 in 2: 6510.00 6510.00
            tokens 3 in 3: 6300.00 6300.00
            tokens 4 in 4: 6510.00 6510.00
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
