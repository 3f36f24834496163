//! What is asked for.

use fleet::{Block, CashEvent, Recurs, Terms, WorkloadKind};
use planner::WorkKind;
use units::{Amount, Currency, Money, Rate, Share};

use crate::view::{NORTH, ask, at, check, edit, fleet, span, surveyed, workload};

const TRAIN: &str = r#"
[accelerators.old]
peak = "500 TFLOP/s"
memory = "40 GB"
bandwidth = "1 TB/s"
power = "0.5 kW"

[workloads.train]
kind = "training"
accelerators = ["old", "h100"]
work = "100000 accelerator-hours"
gang = 256
value = "400 kUSD"
deadline = 2026-03-01
"#;

#[test]
fn blocks_have_their_own_demand() {
    let mut fleet = fleet(NORTH, 1);
    let block = |name: &str, hours: i64, demand: i64| Block {
        name: name.to_owned(),
        hours: Share::from_ppm(hours * 10_000),
        demand: Share::from_ppm(demand * 10_000),
    };
    fleet.horizon.blocks = vec![block("day", 25, 160), block("night", 75, 80)];
    let wants: &[(&str, &[f64])] =
        &[("demand chat", &[744.0 * 3.6e6 * 0.4, 744.0 * 3.6e6 * 0.6]), ("limit capacity of north in h100", &[18_600.0, 55_800.0])];
    let it = check(&fleet, wants);
    assert_eq!(it.steps.iter().map(|step| (step.month, step.hours)).collect::<Vec<_>>(), [(0, 186.0), (0, 558.0)]);
}

#[test]
fn revenue_that_a_workload_earns_is_part_of_its_price() {
    let mut fleet = fleet(NORTH, 2);
    workload(&mut fleet, "chat", |kind| {
        if let WorkloadKind::Serving { classes, .. } = kind {
            classes[0].price = Some(Rate { money: Money::from_units(3), per: 1_000_000 });
        }
    });
    let chat = fleet.workloads.id("chat");
    let amount = Amount { money: Money::from_units(59_000), currency: Currency::USD };
    let terms = Terms { earned_by: chat, ..Terms::default() };
    // 59 days at 1,000 $; a day asks for 86.4 M tokens.
    fleet.finance.revenue =
        vec![CashEvent { name: "seats".to_owned(), span: span("2026-01-01", "2026-03-01"), amount, party: None, terms }];
    let each = 3e-6 + 1_000.0 / 86.4e6;
    let it = check(&fleet, &[("price chat", &[each, each]), ("value chat", &[0.0, 0.0])]);
    assert!(it.treasury.events.iter().all(|event| event.name != "seats"));
}

#[test]
fn training_arrives_and_falls_due_in_time_of_its_first_accelerator() {
    let mut fleet = fleet(&format!("{NORTH}{TRAIN}"), 4);
    // On an accelerator twice as fast an hour counts twice; it is due by the end of February.
    let wants: &[(&str, &[f64])] = &[
        ("arrivals train", &[100_000.0, 0.0, 0.0, 0.0]),
        ("due train", &[0.0, 100_000.0, 0.0, 0.0]),
        ("value train", &[4.0]),
        ("speed north on oslo / train", &[2.0]),
    ];
    check(&fleet, wants);
    workload(&mut fleet, "train", |kind| {
        if let WorkloadKind::Training { from, recurs, value, .. } = kind {
            *from = Some(at("2025-12-15"));
            *value = None;
            *recurs = Some(Recurs { every_months: 2, until: at("2026-04-15"), growth: Share::from_ppm(500_000) });
        }
    });
    // The first came before the plan and is not over; the second is half as large again, and due on the first of May. Nobody says what it
    // is worth: an accelerator-hour of 2 $ does two.
    let wants: &[(&str, &[f64])] = &[
        ("arrivals train", &[100_000.0, 150_000.0, 0.0, 225_000.0]),
        ("due train", &[0.0, 100_000.0, 0.0, 150_000.0]),
        ("value train", &[1.0]),
    ];
    let wants_until: &[(&str, &[f64])] = &[("arrivals train", &[100_000.0, 150_000.0, 0.0, 0.0])];
    check(&fleet, wants_until);
    workload(&mut fleet, "train", |kind| {
        if let WorkloadKind::Training { recurs: Some(recurs), .. } = kind {
            recurs.until = at("2026-04-16");
        }
    });
    check(&fleet, wants);
}

#[test]
fn a_pool_smaller_than_the_gang_does_not_train() {
    let mut fleet = fleet(&format!("{NORTH}{TRAIN}"), 1);
    edit(&mut fleet.pools, "oslo", |pool| pool.count = fleet::Ramp::constant(255));
    let it = surveyed(&fleet);
    assert_eq!(ask(&it, "speed north on oslo / train"), []);
    assert!(it.works.iter().any(|work| matches!(work.kind, WorkKind::Training { gang: 256, promised: false, .. })));
}
