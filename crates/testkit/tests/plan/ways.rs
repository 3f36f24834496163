//! Scenarios that are planned anew each quarter, and those that are known beforehand, checked as plans are.

use std::collections::BTreeMap;
use std::ops::Range;

use planner::{Plan, Rule, Scenario, Told, audit_lived};
use testkit::fleets::text;
use units::Money;

use crate::scene::{NEARLY, ROUGHLY, Scene, file};

/// A scenario lived through in some way: what was done, and what the scenario was; nothing where nobody finds a plan in it.
type Live = fn(&Scene, &Scenario) -> Option<(Plan, Told)>;

/// What is wrong in scenarios of a fleet, by rule, with the first place of each; how many there were, and in how many what falls due is not near.
fn wrong(scene: &Scene, live: Live, numbers: Range<u64>) -> (BTreeMap<Rule, String>, usize, usize) {
    let mut found = BTreeMap::new();
    let (mut count, mut far) = (0, 0);
    for number in numbers {
        let Some((plan, told)) = live(scene, &scene.draw.scenario(7, number)) else { continue };
        for violation in audit_lived(&scene.fleet, &plan, &told, ROUGHLY) {
            found.entry(violation.rule).or_insert_with(|| format!("scenario {number}: {violation}"));
        }
        count += 1;
        far += usize::from(!audit_lived(&scene.fleet, &plan, &told, NEARLY).is_empty());
    }
    (found, count, far)
}

/// Nothing is wrong in any scenario of the shipped fleets; returns in how many what falls due is not near, by fleet.
#[track_caller]
fn shipped(live: Live, counts: [u64; 3]) -> [usize; 3] {
    let mut all_far = [0; 3];
    for ((name, count), all_far) in ["openai-2025", "mistral-2025", "midsize"].into_iter().zip(counts).zip(&mut all_far) {
        let scene = Scene::new(&file(&format!("fleets/{name}.toml"))).expect("there is a plan");
        let (wrong, lived, far) = wrong(&scene, live, 0..count);
        assert!(wrong.is_empty() && lived as u64 == count, "{name}, {lived} lived: {wrong:#?}");
        *all_far = far;
    }
    all_far
}

/// The same of random fleets in which all goes wrong that can; returns how many scenarios there were, and in how many what falls due is not near.
#[track_caller]
fn random(live: Live, seeds: u64) -> (usize, usize) {
    let (mut all, mut lived, mut far) = (Vec::new(), 0, 0);
    for seed in 0..seeds {
        let Some(mut scene) = Scene::new(&text(seed)) else { continue };
        scene.roughen();
        let (wrong, count, distant) = wrong(&scene, live, 0..4);
        (lived, far) = (lived + count, far + distant);
        all.extend(wrong.into_iter().map(|(rule, first)| format!("seed {seed}, {rule}: {first}")));
    }
    assert!(all.is_empty(), "{} wrong:\n{}", all.len(), all.join("\n"));
    (lived, far)
}

#[test]
fn planned_anew_in_the_shipped_fleets() {
    assert_eq!(shipped(Scene::live_anew, [4, 4, 8]), [0; 3]);
}

#[test]
fn planned_anew_in_random_fleets() {
    let (lived, far) = random(Scene::live_anew, 30);
    assert!(lived >= 100 && far * 10 <= lived, "{far} of {lived} are far");
}

// Who knows all may credit what was prepaid later than statements do, where that costs nothing: then what falls due is far for some months.

#[test]
fn foreseen_in_the_shipped_fleets() {
    shipped(Scene::foresee, [6, 6, 8]);
}

#[test]
fn foreseen_in_random_fleets() {
    let (lived, far) = random(Scene::foresee, 30);
    assert!(lived >= 100 && far * 6 <= lived, "{far} of {lived} are far");
}

/// Plants one fault in what was done in a scenario, which the auditor must name.
#[track_caller]
fn plant((scene, (plan, told)): (&Scene, &(Plan, Told)), rule: Rule, fault: impl Fn(&mut Plan)) {
    let mut plan = plan.clone();
    fault(&mut plan);
    let found = audit_lived(&scene.fleet, &plan, told, NEARLY);
    assert!(found.iter().any(|violation| violation.rule == rule), "{rule} is not among {found:?}");
}

/// Faults in a quarter that was planned anew, and in what was known beforehand.
#[test]
fn planted_faults_are_found() {
    let scene = Scene::new(&file("fleets/mistral-2025.toml")).expect("there is a plan");
    for live in [Scene::live_anew as Live, Scene::foresee] {
        let lived = live(&scene, &scene.draw.scenario(7, 1)).expect("there is a plan");
        assert_eq!(audit_lived(&scene.fleet, &lived.0, &lived.1, NEARLY), []);
        let at = (&scene, &lived);
        let million = Money::from_units(1_000_000);
        let late = |plan: &Plan| {
            let flows = (0..plan.flows.len()).filter(|flow| plan.steps[plan.flows[*flow].step].0 >= 9);
            flows.max_by_key(|flow| plan.flows[*flow].quantity).expect("something runs")
        };
        plant(at, Rule::Done, |plan| {
            let flow = late(plan);
            plan.flows[flow].done += plan.flows[flow].done / 1_000 + 100_000;
        });
        plant(at, Rule::Capacity, |plan| {
            let flow = late(plan);
            plan.flows[flow].quantity *= 20;
        });
        plant(at, Rule::Demand, |plan| {
            let last = plan.served.last_mut().expect("something is served");
            last.served = last.wanted * 2 + 1_000_000;
        });
        plant(at, Rule::Cash, |plan| plan.money[10].cash += million);
        plant(at, Rule::Money, |plan| plan.money[10].revenue += million);
        plant(at, Rule::Money, |plan| plan.money[10].other += million);
        plant(at, Rule::Due, |plan| {
            let month = &mut plan.money[10];
            month.contracts += month.contracts + million.times_ratio(50, 1);
        });
    }
}

/// What was done in one scenario is wrong in another.
#[test]
fn another_scenario_is_noticed() {
    let scene = Scene::new(&file("fleets/mistral-2025.toml")).expect("there is a plan");
    for live in [Scene::live_anew as Live, Scene::foresee] {
        let (plan, told) = live(&scene, &Scenario::expected(&scene.signed)).expect("there is a plan");
        assert_eq!(audit_lived(&scene.fleet, &plan, &told, NEARLY), []);
        let mut less = told.clone();
        less.demand.values_mut().for_each(|factors| factors[20] = 0.5);
        let mut cheaper = told.clone();
        cheaper.price.iter_mut().for_each(|price| *price = 0.9);
        for (told, rule) in [(less, Rule::Demand), (cheaper, Rule::Money)] {
            let found = audit_lived(&scene.fleet, &plan, &told, NEARLY);
            assert!(found.iter().any(|violation| violation.rule == rule), "{rule} is not among {found:?}");
        }
    }
}
