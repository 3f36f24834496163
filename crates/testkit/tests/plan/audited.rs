//! From a fleet file to a plan with a real solver: the auditor finds nothing, and the solver's cash is the plan's.

use std::path::Path;

use fleet::{Fleet, Severity};
use planner::{Beside, audit, settle, survey};
use units::Money;

use crate::solved::solved;

fn read(text: &str) -> Fleet {
    let parsed = fleet::parse(text);
    let errors: Vec<_> = parsed.diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    parsed.fleet.expect("a fleet without errors")
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(path).expect("the file is there")
}

/// The plan of a fleet has nothing wrong; it ends with the solver's cash, which before then lies within `residual` of the plan's.
fn check(text: &str, residual: Money) {
    let fleet = read(text);
    let instance = survey(&fleet).expect("it can be planned");
    let answer = solved(&instance);
    let plan = settle(&fleet, &instance, &answer.decided, &Beside::default());
    let found = audit(&fleet, &plan);
    let shown: String = found.iter().take(20).map(|it| format!("{it}\n")).collect();
    assert!(found.is_empty(), "{} found:\n{shown}", found.len());
    let end = plan.money.last().expect("a plan has a month").cash.nanos() as f64 / 1e9;
    let solver = answer.decided.cash.last().expect("a plan has a month") * instance.scale.money;
    assert!((end - solver).abs() <= 10.0, "the plan ends with {end}, and the solver's with {solver}");
    assert!(plan.residual <= residual, "the solver's cash differs by {}", plan.residual);
    let broken: Vec<&str> = answer.broken.iter().map(|broken| broken.promise.as_str()).collect();
    let gaps: Vec<&str> = plan.gaps.iter().map(|gap| gap.promise.as_str()).collect();
    assert_eq!(broken, gaps);
}

#[test]
fn deals() {
    // Without interest the solver may credit what is prepaid when it likes, which moves cash within the plan.
    let deals = [("coreweave", 6_000_000), ("oracle", 10), ("azure-ptu", 10)];
    for (name, residual) in deals {
        check(&file(&format!("fleets/deals/{name}.toml")), Money::from_units(residual));
    }
}

#[test]
fn every_kind_of_clause() {
    check(&file("crates/core/planner/tests/settle/fleet.toml"), Money::from_units(10));
}
