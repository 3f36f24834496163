//! Scenarios checked as plans are: what the policy did in each keeps every limit of the world that the scenario left.

use std::collections::BTreeMap;
use std::path::Path;

use fleet::{Fleet, Severity};
use planner::{Odds, Beside, Draw, EventKind, Instance, Plan, Policy, Rule, Run, State, World, audit_lived, lived, settle, survey};
use testkit::fleets::text;

use crate::solved::tried;

/// What falls due may differ by so much of the money that moves: `docs/plan.md` section 9.
const ROUGHLY: f64 = 0.05;

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

/// A fleet, its plan, and the policy that follows it.
struct Scene {
    fleet: Fleet,
    instance: Instance,
    signed: Instance,
    plan: Plan,
    policy: Policy,
    draw: Draw,
}

fn scene(text: &str) -> Option<Scene> {
    let fleet = read(text);
    let instance = survey(&fleet).expect("it can be planned");
    let answer = tried(&instance).ok()?;
    let plan = settle(&fleet, &instance, &answer.decided, &Beside::default());
    let signed = instance.signed(&answer.decided.taken);
    let policy = Policy::compile(&signed, &State::opening(&signed), &answer.decided);
    let draw = Draw::new(&fleet, &instance);
    Some(Scene { fleet, instance, signed, plan, policy, draw })
}

/// Whether money of a kind may not come.
fn comes(kind: EventKind) -> bool {
    matches!(kind, EventKind::Revenue | EventKind::Raise)
}

/// Everything that can go wrong, and often: random fleets say nothing of risk.
fn rough_world(scene: &mut Scene) {
    let odds = |likelihood, months, share| Odds { likelihood, months, share };
    let fleet = &scene.fleet;
    scene.draw = Draw {
        demand: 0.3,
        price_drift: -0.1,
        price: 0.2,
        rent: 0.4,
        common: 0.3,
        defaults: vec![0.15; fleet.parties.len()],
        delays: vec![odds(0.3, 6, 1.0); fleet.parties.len()],
        shortages: vec![odds(0.3, 6, 1.0); fleet.accelerators.len()],
        shortfalls: vec![odds(0.3, 4, 0.5); fleet.sites.len()],
        windows: vec![0.7; scene.draw.windows.len()],
        events: scene.instance.treasury.events.iter().map(|event| if comes(event.kind) { 0.9 } else { 1.0 }).collect(),
        ..scene.draw.clone()
    };
}

/// What is wrong in scenarios of a fleet, by rule, with the first place of each.
fn wrong(scene: &Scene, numbers: core::ops::Range<u64>, rough: f64) -> BTreeMap<Rule, (usize, String)> {
    let mut world = World::new(&scene.signed);
    let opening = State::opening(&scene.signed);
    let mut run = Run::recording();
    let mut found: BTreeMap<Rule, (usize, String)> = BTreeMap::new();
    for number in numbers {
        let scenario = scene.draw.scenario(7, number);
        let world = world.enter(&scenario);
        scene.policy.simulate(world, &opening, world.months.len(), &mut run);
        let plan = lived(&scene.fleet, world, &scene.plan, &run).expect("the run keeps what it does");
        let told = scenario.told(&scene.fleet, &scene.instance);
        if std::env::var("DBG").is_ok() { eprintln!("scenario {number}: {:?} {:?} {:?} {:?} {:?} {:?}", told.defaults, told.delays, told.shortages, told.shortfalls, told.shut, told.lost); }
        for violation in audit_lived(&scene.fleet, &plan, &told, rough) {
            found.entry(violation.rule).or_insert_with(|| (0, format!("scenario {number}: {violation}"))).0 += 1;
        }
    }
    found
}

#[test]
fn scenarios_of_the_shipped_fleets() {
    for name in ["openai-2025", "mistral-2025", "midsize"] {
        let scene = scene(&file(&format!("fleets/{name}.toml"))).expect("there is a plan");
        let wrong = wrong(&scene, 0..40, ROUGHLY);
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}

#[test]
fn scenarios_of_random_fleets() {
    let mut all = Vec::new();
    for seed in 0..40 {
        let Some(mut scene) = scene(&text(seed)) else { continue };
        rough_world(&mut scene);
        let wrong = wrong(&scene, 0..6, ROUGHLY);
        all.extend(wrong.into_iter().map(|(rule, (count, first))| format!("seed {seed}, {rule}: {count} times: {first}")));
    }
    assert!(all.is_empty(), "{} wrong:\n{}", all.len(), all.join("\n"));
}

#[test]
fn dbg() {
    let seed: u64 = std::env::var("SEED").unwrap().parse().unwrap();
    let number: u64 = std::env::var("NUM").unwrap().parse().unwrap();
    let mut scene = scene(&text(seed)).unwrap();
    rough_world(&mut scene);
    eprintln!("{}", text(seed));
    let wrong = wrong(&scene, number..number + 1, ROUGHLY);
    eprintln!("{wrong:#?}");
}
#[test]
fn dbg2() {
    let number: u64 = std::env::var("NUM").unwrap().parse().unwrap();
    let scene = scene(&file(&format!("fleets/{}.toml", std::env::var("FLEET").unwrap()))).unwrap();
    let wrong = wrong(&scene, number..number + 1, ROUGHLY);
    eprintln!("{wrong:#?}");
}
