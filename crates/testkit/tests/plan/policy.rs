//! The policy against the optimum that it was compiled from, and the three ways to live through scenarios.

use lp::Effort;
use planner::{
    Decided, Draw, EventKind, Instance, Odds, Outcome, Policy, Run, Scenario, State, Summary, World, decide, foresight, frozen, replanned,
};
use testkit::instance::{random, reference};

use crate::solved::{highs, solved, tried};

/// Below this the first formulation and the policy agree.
const NEAR: f64 = 1e-6;

/// A random instance in which what a period charges is due when the period is over, as it is in any fleet. The problem may choose what no
/// contract lets one choose, and that is left out: to pay a dearer tier than is reached (to spend more elsewhere than on a party), and to
/// fall short of one window so as to carry more to a dearer one.
fn instance(seed: u64) -> Instance {
    let mut instance = random(seed);
    let steps = &instance.steps;
    for tiered in &mut instance.tiered {
        let last = tiered.terms.iter().map(|(_, step, _)| steps[*step].month).max().unwrap_or(0);
        tiered.due = tiered.due.max(last);
    }
    let tiered = &instance.tiered;
    for floor in &mut instance.floors {
        floor.tiered.retain(|index| tiered[*index].due <= floor.last);
        floor.price = 1.0;
    }
    if !tiered.is_empty() {
        instance.caps.retain(|cap| !cap.spend);
    }
    instance
}

/// The best plan, where there is one in which no money is missing: for the policy it is missing when it is, for the plan as early as interest
/// makes that pay.
fn held(instance: &Instance) -> Option<Decided> {
    let decided = tried(instance).ok()?.decided;
    (decided.gap.iter().sum::<f64>() <= NEAR).then_some(decided)
}

fn lived(instance: &Instance, decided: &Decided, world: &Instance) -> Run {
    let opening = State::opening(instance);
    let mut run = Run::default();
    Policy::compile(instance, &opening, decided).simulate(world, &opening, instance.months.len(), &mut run);
    run
}

fn draw(instance: &Instance) -> Draw {
    let odds = |likelihood, months, share| Odds { likelihood, months, share };
    Draw {
        months: instance.months.len(),
        works: instance.works.len(),
        demand: 0.3,
        price_drift: -0.1,
        price: 0.2,
        rent: 0.4,
        common: 0.3,
        defaults: vec![0.1; 6],
        delays: vec![odds(0.3, 6, 1.0); 6],
        shortages: vec![odds(0.3, 6, 1.0); 4],
        shortfalls: vec![odds(0.3, 4, 0.5); 4],
        windows: vec![0.7; instance.treasury.windows.len()],
        events: vec![0.9; instance.treasury.events.len()],
        refusals: Vec::new(),
    }
}

#[test]
fn as_planned_it_comes_to_the_optimum() {
    let mut compared = 0;
    for seed in 0..60 {
        let instance = instance(seed);
        let Some(decided) = held(&instance) else { continue };
        for world in [&instance, &instance.signed(&decided.taken)] {
            let worth = Outcome::of(0, &lived(world, &decided, world)).worth;
            let apart = (worth - decided.objective).abs() / decided.objective.abs().max(1.0);
            assert!(apart < NEAR, "seed {seed}: {worth}, not {}", decided.objective);
        }
        compared += 1;
    }
    assert!(compared >= 25, "{compared}");
}

#[test]
fn as_planned_the_reference_comes_to_its_optimum() {
    let instance = reference();
    let decided = solved(&instance).decided;
    let run = lived(&instance, &decided, &instance);
    let worth = Outcome::of(0, &run).worth;
    assert!((worth / decided.objective - 1.0).abs() < 1e-9, "{worth}, not {}", decided.objective);
    assert!(run.months.iter().zip(&decided.cash).all(|(month, cash)| (month.cash - cash).abs() < NEAR));
}

/// Cash is what it was and what came and went; limits of money hold; nothing is served that nobody wants.
fn balances(world: &Instance, run: &Run) {
    let treasury = &world.treasury;
    let (mut cash, mut debt) = (treasury.cash, treasury.debt.as_ref().map_or(0.0, |debt| debt.owed));
    for (month, ended) in run.months.iter().enumerate() {
        let beside = |kind| matches!(kind, EventKind::Raise | EventKind::Cost | EventKind::Stake);
        let other: f64 = treasury.events.iter().filter(|event| beside(event.kind)).map(|event| event.amounts.fixed[month]).sum();
        let interest = treasury.debt.as_ref().map_or(0.0, |lender| lender.rate * debt);
        let came = ended.revenue + other + ended.raised + ended.debt - debt + ended.gap;
        let expected = (1.0 + treasury.interest) * cash + came - ended.compute - interest;
        assert!(
            (ended.cash - expected).abs() < 1e-9 * (1.0 + expected.abs() + ended.compute.abs()),
            "month {month}: {ended:?}, not {expected}"
        );
        if treasury.bound {
            assert!(ended.cash >= treasury.floor[month] - 1e-9, "month {month}: {ended:?}");
        } else {
            assert_eq!(ended.gap, 0.0);
        }
        if let Some(lender) = &treasury.debt {
            assert!(ended.debt <= lender.limit[month] + 1e-9, "month {month}: {ended:?}");
        }
        assert!(ended.missed >= 0.0 && ended.unserved >= 0.0 && ended.late >= 0.0 && ended.raised >= 0.0);
        (cash, debt) = (ended.cash, ended.debt);
    }
    for (window, raised) in treasury.windows.iter().zip(&run.state.raised) {
        assert!(*raised <= window.most + 1e-9);
    }
}

#[test]
fn every_scenario_balances() {
    for seed in 0..12 {
        let instance = instance(seed);
        let Ok(answer) = tried(&instance) else { continue };
        let signed = instance.signed(&answer.decided.taken);
        let draw = draw(&signed);
        let mut world = World::new(&signed);
        for number in 0..60 {
            let world = world.enter(&draw.scenario(seed, number));
            balances(world, &lived(&signed, &answer.decided, world));
        }
    }
}

#[test]
fn chunks_put_together_are_the_whole() {
    let instance = instance(4);
    let decided = solved(&instance).decided;
    let signed = instance.signed(&decided.taken);
    let policy = Policy::compile(&signed, &State::opening(&signed), &decided);
    let draw = draw(&signed);
    let chunk = |from, to| frozen(&signed, &policy, &draw, 5, from..to);
    let whole = chunk(0, 50);
    let parts = [chunk(31, 50), chunk(0, 7), chunk(7, 31)].concat();
    assert_eq!(Summary::of(&parts), Summary::of(&whole));
    assert_eq!(chunk(7, 31), whole[7..31]);
}

#[test]
fn a_new_plan_where_all_goes_as_planned_is_the_old_one() {
    for seed in 0..12 {
        let instance = instance(seed);
        let Some(decided) = held(&instance) else { continue };
        let signed = instance.signed(&decided.taken);
        let mut solver = highs();
        let mut again = |instance: &Instance, opening: &State| {
            decide(instance, opening, None, &mut solver, Effort::default()).map(|answer| answer.decided)
        };
        let scenario = Scenario::expected(&signed);
        let outcome = replanned(&signed, &decided, &scenario, &mut again).expect("there is a plan each quarter");
        let known = foresight(&instance, &scenario, &mut again).expect("there is a plan");
        for worth in [outcome.worth, known.worth] {
            let apart = (worth - decided.objective).abs() / decided.objective.abs().max(1.0);
            assert!(apart < 1e-5, "seed {seed}: {worth}, not {}", decided.objective);
        }
    }
}

#[test]
fn nobody_does_better_than_who_knows_the_scenario() {
    for seed in [1, 3, 4] {
        let mut instance = instance(seed);
        // The policy stays within these beyond its plan only; the bound always does.
        instance.caps.clear();
        let decided = solved(&instance).decided;
        let signed = instance.signed(&decided.taken);
        let policy = Policy::compile(&signed, &State::opening(&signed), &decided);
        let mut solver = highs();
        let mut again = |instance: &Instance, opening: &State| {
            decide(instance, opening, None, &mut solver, Effort::default()).map(|answer| answer.decided)
        };
        let draw = draw(&signed);
        for outcome in frozen(&signed, &policy, &draw, 2, 0..6) {
            let scenario = draw.scenario(2, outcome.index);
            let known = foresight(&signed, &scenario, &mut again).expect("there is a plan");
            let anew = replanned(&signed, &decided, &scenario, &mut again).expect("there is a plan each quarter");
            let most = known.worth + NEAR * known.worth.abs().max(1.0);
            assert!(outcome.worth <= most && anew.worth <= most, "seed {seed}: {} {} {}", outcome.worth, anew.worth, known.worth);
        }
    }
}
