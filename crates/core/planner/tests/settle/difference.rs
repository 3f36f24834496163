//! How two plans differ.

use planner::{Beside, Plan, diff, settle};
use units::Money;

use crate::answer::{case, changed, fleet, plan, uses};

/// The plan in which nothing is signed.
fn unsigned() -> Plan {
    let fleet = fleet();
    let (instance, mut answer) = case(&fleet, &uses());
    answer.taken = vec![0.0, 0.0];
    settle(&fleet, &instance, &answer, &Beside::default())
}

#[test]
fn a_plan_does_not_differ_from_itself() {
    let plan = plan(&fleet());
    let same = diff(&plan, &plan);
    assert!(same.parts.iter().all(|(_, money)| *money == Money::ZERO));
    assert!(same.signed.is_empty() && same.quantities.is_empty() && same.cash == Money::ZERO);
    assert!(same.is_none() && !diff(&unsigned(), &plan).is_none());
}

#[test]
fn the_parts_add_up_to_the_cash() {
    let poor = plan(&changed(&[
        ("amount = \"12 MUSD\", workload", "amount = \"600 kUSD\", workload"),
        ("amount = \"2 MUSD\" }", "amount = \"1 MUSD\" }"),
    ]));
    for (a, b) in [(unsigned(), plan(&fleet())), (plan(&fleet()), poor)] {
        let difference = diff(&a, &b);
        assert_ne!(difference.cash, Money::ZERO);
        assert_eq!(difference.parts.iter().map(|(_, money)| *money).sum::<Money>(), difference.cash);
    }
}

#[test]
fn what_is_signed_shows_with_its_start_and_its_use() {
    let difference = diff(&unsigned(), &plan(&fleet()));
    let signed: Vec<_> = difference.signed.iter().map(|row| (row.contract.as_str(), row.a, row.b)).collect();
    assert_eq!(signed, [("offered", None, Some(1))]);
    let offered = difference.quantities.iter().find(|row| row.contract == "offered").expect("it is used in one plan only");
    assert_eq!((offered.year, offered.a), (2027, 0));
    assert!(offered.b > 0);
}
