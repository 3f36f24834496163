//! The same file and seed give the same bytes, with another solver and in other chunks.

use fleet::Fleet;
use lp::Effort;
use planner::{Beside, Draw, Policy, State, Summary, decide, frozen, settle, survey};

use crate::solved::highs;

/// Scenarios that are lived through.
const SCENARIOS: u64 = 60;

fn midsize() -> Fleet {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fleets/midsize.toml");
    let text = std::fs::read_to_string(path).expect("the file is there");
    fleet::parse(&text).fleet.expect("a fleet without errors")
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it can be written")
}

/// The plan and what scenarios make of it in so many chunks, as they would be written.
fn written(chunks: u64) -> (String, String) {
    let fleet = midsize();
    let instance = survey(&fleet).expect("it can be planned");
    let opening = State::opening(&instance);
    let answer = decide(&instance, &opening, None, &mut highs(), Effort::default()).expect("there is a plan");
    let plan = settle(&fleet, &instance, &answer.decided, &Beside::default());
    let signed = instance.signed(&answer.decided.taken);
    let policy = Policy::compile(&signed, &opening, &answer.decided);
    let draw = Draw::new(&fleet, &instance);
    let size = SCENARIOS.div_ceil(chunks);
    let outcomes = std::thread::scope(|scope| {
        let of = |from: u64| {
            let (signed, policy, draw) = (&signed, &policy, &draw);
            scope.spawn(move || frozen(signed, policy, draw, 7, from..(from + size).min(SCENARIOS)))
        };
        let running: Vec<_> = (0..chunks).map(|chunk| of(chunk * size)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no thread breaks")).collect::<Vec<_>>()
    });
    (json(&plan), json(&Summary::of(&outcomes)))
}

#[test]
fn plans_and_risks_are_the_same_bytes() {
    let once = written(1);
    let again = written(3);
    assert!(once.0.len() > 1_000 && once.1.len() > 100, "{} and {} bytes", once.0.len(), once.1.len());
    assert!(once.0 == again.0, "the plans differ");
    assert!(once.1 == again.1, "the summaries differ: {} and {}", once.1, again.1);
}
