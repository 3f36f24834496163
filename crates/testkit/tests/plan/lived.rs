//! Scenarios checked as plans are: what the policy did in each keeps every limit of the world that the scenario left.

use std::collections::BTreeMap;

use fleet::{Id, PartyId};
use planner::{EventKind, Plan, Rule, Scenario};
use testkit::fleets::text;
use units::Money;

use crate::scene::{Lived, NEARLY, ROUGHLY, Scene, file};

/// What is wrong in scenarios of a fleet, by rule, with the first place of each; and in how many what falls due is not near.
fn wrong(scene: &Scene, numbers: core::ops::Range<u64>) -> (BTreeMap<Rule, String>, usize) {
    let mut found = BTreeMap::new();
    let mut far = 0;
    for number in numbers {
        let lived = scene.live(&scene.draw.scenario(7, number));
        for violation in lived.audit(ROUGHLY) {
            found.entry(violation.rule).or_insert_with(|| format!("scenario {number}: {violation}"));
        }
        far += usize::from(!lived.audit(NEARLY).is_empty());
    }
    (found, far)
}

#[test]
fn scenarios_of_the_shipped_fleets() {
    for name in ["openai-2025", "mistral-2025", "midsize"] {
        let scene = Scene::new(&file(&format!("fleets/{name}.toml"))).expect("there is a plan");
        let (wrong, far) = wrong(&scene, 0..40);
        assert!(wrong.is_empty() && far <= 4, "{name}, {far} far: {wrong:#?}");
    }
}

#[test]
fn scenarios_of_random_fleets() {
    let (mut all, mut lived, mut far) = (Vec::new(), 0, 0);
    for seed in 0..50 {
        let Some(mut scene) = Scene::new(&text(seed)) else { continue };
        scene.roughen();
        let (wrong, distant) = wrong(&scene, 0..8);
        (lived, far) = (lived + 8, far + distant);
        all.extend(wrong.into_iter().map(|(rule, first)| format!("seed {seed}, {rule}: {first}")));
    }
    assert!(all.is_empty(), "{} wrong:\n{}", all.len(), all.join("\n"));
    assert!(lived >= 300 && far * 10 <= lived, "{far} of {lived} are far");
}

/// Plants one fault in what the policy did in a scenario, which the auditor must name.
fn plant(scene: &Scene, scenario: &Scenario, rule: Rule, fault: impl Fn(&mut Plan)) {
    let mut lived = scene.live(scenario);
    assert_eq!(lived.audit(NEARLY), []);
    fault(&mut lived.plan);
    let found = lived.audit(NEARLY);
    assert!(found.iter().any(|violation| violation.rule == rule), "{rule} is not among {found:?}");
}

/// A scenario in which all goes as expected, but for what `turn` says.
fn but(scene: &Scene, turn: impl Fn(&mut Scenario)) -> Scenario {
    let mut scenario = Scenario::expected(&scene.signed);
    turn(&mut scenario);
    scenario
}

#[test]
fn planted_faults_are_found() {
    let scene = Scene::new(&file("fleets/openai-2025.toml")).expect("there is a plan");
    let expected = but(&scene, |_| {});
    let largest = |plan: &Plan| (0..plan.flows.len()).max_by_key(|flow| plan.flows[*flow].quantity).expect("something runs");
    plant(&scene, &expected, Rule::Done, |plan| plan.flows[0].done += plan.flows[0].done / 1_000 + 100_000);
    plant(&scene, &expected, Rule::Capacity, |plan| {
        let flow = largest(plan);
        plan.flows[flow].quantity *= 9;
    });
    plant(&scene, &expected, Rule::Demand, |plan| plan.served[0].served = plan.served[0].wanted * 2 + 1_000_000);
    plant(&scene, &expected, Rule::Cash, |plan| plan.money[3].cash += Money::from_units(1_000_000));
    plant(&scene, &expected, Rule::Debt, |plan| plan.money[3].debt += Money::from_units(1_000_000));
    plant(&scene, &expected, Rule::Money, |plan| plan.money[3].revenue += Money::from_units(1_000_000));
    plant(&scene, &expected, Rule::Money, |plan| plan.money[3].other += Money::from_units(1_000_000));
    plant(&scene, &expected, Rule::Due, |plan| {
        let month = &mut plan.money[9];
        month.contracts += month.contracts;
    });
}

#[test]
fn what_was_done_is_wrong_in_another_scenario() {
    let scene = Scene::new(&file("fleets/openai-2025.toml")).expect("there is a plan");
    let lived = scene.live(&but(&scene, |_| {}));
    let check = |rule: Rule, turn: &dyn Fn(&mut Scenario)| {
        let told = but(&scene, turn).told(&scene.fleet, &scene.instance);
        let found = Lived { told, ..lived.clone() }.audit(NEARLY);
        assert!(found.iter().any(|violation| violation.rule == rule), "{rule} is not among {found:?}");
    };
    let party = |name: &str| scene.fleet.parties.id(name).map(PartyId::index).expect("the fleet has the party");
    let parties = scene.fleet.parties.len();
    check(Rule::InForce, &|scenario| {
        scenario.defaults = vec![None; parties];
        scenario.defaults[party("oracle")] = Some(30);
    });
    check(Rule::Capacity, &|scenario| {
        scenario.delays = vec![None; parties];
        scenario.delays[party("oracle")] = Some(planner::Delay { months: 6, share: 1.0 });
    });
    check(Rule::SitePower, &|scenario| {
        let outage = planner::Outage { from: 20, months: 12, share: 0.9 };
        scenario.shortfalls = vec![Some(outage); scene.fleet.sites.len()];
    });
    check(Rule::Demand, &|scenario| scenario.demand.iter_mut().for_each(|factors| factors[20] = 0.5));
    check(Rule::Money, &|scenario| scenario.price.iter_mut().for_each(|price| *price = 0.9));
    check(Rule::Due, &|scenario| {
        scenario.defaults = vec![None; parties];
        scenario.defaults[party("oracle")] = Some(30);
    });
    check(Rule::Raise, &|scenario| scenario.windows.iter_mut().for_each(|open| *open = false));
}

#[test]
fn a_stake_is_paid_only_when_what_it_is_for_is_signed() {
    let scene = Scene::new(&file("fleets/openai-2025.toml")).expect("there is a plan");
    let stake = scene.instance.treasury.events.iter().find(|event| event.kind == EventKind::Stake).expect("the lab has a stake");
    assert!(stake.amounts.fixed.iter().all(|amount| *amount == 0.0));
    let choice = |choice: usize| scene.fleet.contracts.name(scene.instance.choices[choice].contract);
    assert!(!stake.amounts.by_choice.is_empty());
    assert!(stake.amounts.by_choice.iter().all(|(of, amounts)| choice(*of) == "stargate" && amounts.iter().any(|amount| *amount < 0.0)));
}
