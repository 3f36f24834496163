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

/// The plan of a fleet has nothing wrong, and the solver's cash lies within `within` of it.
fn check(text: &str, within: Money) {
    let fleet = read(text);
    let instance = survey(&fleet).expect("it can be planned");
    let answer = solved(&instance);
    let plan = settle(&fleet, &instance, &answer.decided, &Beside::default());
    let found = audit(&fleet, &plan);
    let shown: String = found.iter().take(20).map(|it| format!("{it}\n")).collect();
    assert!(found.is_empty(), "{} found:\n{shown}", found.len());
    assert!(plan.residual <= within, "the solver's cash differs by {}", plan.residual);
    let broken: Vec<&str> = answer.broken.iter().map(|broken| broken.promise.as_str()).collect();
    let gaps: Vec<&str> = plan.gaps.iter().map(|gap| gap.promise.as_str()).collect();
    assert_eq!(broken, gaps);
}

#[test]
fn deals() {
    for name in ["coreweave", "oracle", "azure-ptu"] {
        check(&file(&format!("fleets/deals/{name}.toml")), Money::from_units(1));
    }
}

#[test]
fn every_kind_of_clause() {
    check(&file("crates/core/planner/tests/settle/fleet.toml"), Money::from_units(1));
}
