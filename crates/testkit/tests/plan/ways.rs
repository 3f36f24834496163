//! Scenarios that are planned anew each quarter, and those that are known beforehand, checked as plans are.

use std::collections::BTreeMap;
use std::ops::Range;

use fleet::{Cap, Of};
use planner::{Flow, Plan, Rule, Scenario};
use testkit::fleets::text;
use units::Money;

use crate::scene::{Lived, NEARLY, ROUGHLY, Scene, file};

/// A scenario lived through in some way; nothing where nobody finds a plan in it.
type Live = fn(&Scene, &Scenario) -> Option<Lived>;

/// What is wrong in scenarios of a fleet, by rule, with the first place of each; how many there were, and in how many what falls due is not near.
fn wrong(scene: &Scene, live: Live, numbers: Range<u64>) -> (BTreeMap<Rule, String>, usize, usize) {
    let mut found = BTreeMap::new();
    let (mut count, mut far) = (0, 0);
    for number in numbers {
        let Some(lived) = live(scene, &scene.draw.scenario(7, number)) else { continue };
        for violation in lived.audit(ROUGHLY) {
            found.entry(violation.rule).or_insert_with(|| format!("scenario {number}: {violation}"));
        }
        count += 1;
        far += usize::from(!lived.audit(NEARLY).is_empty());
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

/// Money is missing when it has to be: to the solver, which knows what interest brings, it may as well be missing before.
#[test]
fn what_is_missing_in_foresight_is_needed() {
    let scene = Scene::new(&file("fleets/openai-2025.toml")).expect("there is a plan");
    for number in 0..4 {
        let lived = scene.foresee(&scene.draw.scenario(1, number)).expect("there is a plan");
        assert_eq!(lived.audit(ROUGHLY), [], "scenario {number}");
    }
}

#[test]
fn foreseen_in_random_fleets() {
    let (lived, far) = random(Scene::foresee, 30);
    assert!(lived >= 100 && far * 6 <= lived, "{far} of {lived} are far");
}

/// Plants one fault in what was done in a scenario, which the auditor must name.
#[track_caller]
fn plant(lived: &Lived, rule: Rule, fault: impl Fn(&mut Plan)) {
    let mut lived = lived.clone();
    fault(&mut lived.plan);
    let found = lived.audit(NEARLY);
    assert!(found.iter().any(|violation| violation.rule == rule), "{rule} is not among {found:?}");
}

/// Faults in a quarter that was planned anew, and in what was known beforehand.
#[test]
fn planted_faults_are_found() {
    let scene = Scene::new(&file("fleets/mistral-2025.toml")).expect("there is a plan");
    for live in [Scene::live_anew as Live, Scene::foresee] {
        let lived = live(&scene, &scene.draw.scenario(7, 1)).expect("there is a plan");
        assert_eq!(lived.audit(NEARLY), []);
        let at = &lived;
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
        plant(at, Rule::Due, |plan| plan.money[10].contracts += million.times_ratio(200, 1));
    }
}

/// What was done in one scenario is wrong in another.
#[test]
fn another_scenario_is_noticed() {
    let scene = Scene::new(&file("fleets/mistral-2025.toml")).expect("there is a plan");
    for live in [Scene::live_anew as Live, Scene::foresee] {
        let lived = live(&scene, &Scenario::expected(&scene.signed)).expect("there is a plan");
        assert_eq!(lived.audit(NEARLY), []);
        let mut less = lived.told.clone();
        less.demand.values_mut().for_each(|factors| factors[20] = 0.5);
        let mut cheaper = lived.told.clone();
        cheaper.price.iter_mut().for_each(|price| *price = 0.9);
        for (told, rule) in [(less, Rule::Demand), (cheaper, Rule::Money)] {
            let found = Lived { told, ..lived.clone() }.audit(NEARLY);
            assert!(found.iter().any(|violation| violation.rule == rule), "{rule} is not among {found:?}");
        }
    }
}

/// More on a party than its limit allows, beyond what was planned: by work in random fleets, by spend where at most four fifths may go to one cloud.
#[test]
fn what_rests_too_much_on_a_party_is_found() {
    let frozen: Live = |scene, scenario| Some(scene.live(scenario));
    let mut found = [0; 2];
    let fleets = (0..30).map(text).chain([file("fleets/midsize.toml")]);
    for scene in fleets.filter_map(|text| Scene::new(&text)).filter(|scene| !scene.fleet.caps.is_empty()) {
        for live in [frozen, Scene::live_anew, Scene::foresee] {
            let Some(mut lived) = live(&scene, &Scenario::expected(&scene.signed)) else { continue };
            let caps: Vec<Cap> = lived.fleet.caps.drain(..).collect();
            for cap in caps {
                lived.fleet.caps = vec![cap.clone()];
                let mut more = lived.clone();
                let on =
                    |flow: &Flow| scene.fleet.contracts.id(&flow.contract).is_some_and(|id| scene.fleet.contracts[id].party == cap.party);
                more.plan.flows.iter_mut().filter(|flow| on(flow)).for_each(|flow| flow.quantity *= 1_000);
                let is_found = |lived: &Lived| lived.audit(ROUGHLY).iter().any(|violation| violation.rule == Rule::Dependence);
                assert!(!is_found(&lived));
                found[usize::from(cap.of == Of::Spend)] += usize::from(is_found(&more));
            }
        }
    }
    assert!(found.iter().all(|found| *found >= 6), "{found:?}");
}
