//! Three ways to live through a scenario: with the plan as it is, with a new plan each quarter, and knowing all of it.

use super::Outcome;
use crate::decided::Decided;
use crate::instance::Instance;
use crate::policy::{Policy, Run};
use crate::scenario::{Draw, Scenario, World};
use crate::settle::months;
use crate::state::{Month, State};

/// How often a plan is made anew, in months.
pub const QUARTER: usize = 3;

/// Makes plans: from an instance, whose choices are made, and where things stand, to what is best from there.
pub trait Decide {
    /// Why there may be none.
    type Failure;

    /// The best plan from `opening` on.
    ///
    /// # Errors
    /// When there is none.
    fn decide(&mut self, instance: &Instance, opening: &State) -> Result<Decided, Self::Failure>;
}

impl<F, E> Decide for F
where
    F: FnMut(&Instance, &State) -> Result<Decided, E>,
{
    type Failure = E;

    fn decide(&mut self, instance: &Instance, opening: &State) -> Result<Decided, E> {
        self(instance, opening)
    }
}

/// Scenarios `numbers` of a seed with the contracts as they are signed and the plan's own policy. Chunks of numbers may be computed
/// apart and put together: each outcome is a function of the seed and its number.
#[must_use]
pub fn frozen(signed: &Instance, policy: &Policy, draw: &Draw, seed: u64, numbers: core::ops::Range<u64>) -> Vec<Outcome> {
    let (mut world, mut scenario, mut run) = (World::new(signed), Scenario::default(), Run::default());
    let opening = State::opening(signed);
    let one = |number| {
        draw.scenario_into(seed, number, &mut scenario);
        policy.simulate(world.enter(&scenario), &opening, signed.months.len(), &mut run);
        Outcome::of(number, &run)
    };
    numbers.map(one).collect()
}

/// A scenario with a new plan each quarter, from where it stands and with what is known of it by then. The first plan is given.
///
/// # Errors
/// When a quarter has no plan.
pub fn replanned<D: Decide>(signed: &Instance, first: &Decided, scenario: &Scenario, decide: &mut D) -> Result<Outcome, D::Failure> {
    let mut run = Run::default();
    live_anew(signed, first, World::new(signed).enter(scenario), scenario, decide, &mut run)?;
    Ok(Outcome::of(scenario.index, &run))
}

/// The same in `world`, which is the instance as the scenario has it, and in a run that may keep what it does. Returns what the plans that were
/// followed use of each fit in each step, as [`Decided::used`] has it.
///
/// # Errors
/// When a quarter has no plan.
pub fn live_anew<D: Decide>(
    signed: &Instance,
    first: &Decided,
    world: &Instance,
    scenario: &Scenario,
    decide: &mut D,
    run: &mut Run,
) -> Result<Vec<f64>, D::Failure> {
    let (mut belief, mut known) = (World::new(signed), Scenario::default());
    let (mut state, mut months, mut worth) = (State::opening(signed), Vec::<Month>::new(), 0.0);
    let mut followed = first.used.clone();
    while state.month < signed.months.len() {
        let policy = if state.month == 0 {
            Policy::compile(signed, &state, first)
        } else {
            scenario.known_at(state.month, signed, &mut known);
            let believed = belief.enter(&known);
            let decided = decide.decide(believed, &state)?;
            follow_from(signed, state.month, &decided.used, &mut followed);
            Policy::compile(believed, &state, &decided)
        };
        policy.simulate(world, &state, QUARTER, run);
        months.extend(&run.months);
        worth += run.worth;
        state.copy_from(&run.state);
    }
    (run.months, run.worth) = (months, worth);
    Ok(followed)
}

/// Follows another plan from a month on.
fn follow_from(signed: &Instance, month: usize, used: &[f64], followed: &mut [f64]) {
    let steps = signed.steps.len();
    let first = signed.steps.iter().position(|step| step.month >= month).unwrap_or(steps);
    for (now, then) in followed.chunks_mut(steps).zip(used.chunks(steps)) {
        now[first..].copy_from_slice(&then[first..]);
    }
}

/// The bound: one plan that knows the whole scenario, signing with it. It is priced as decided, not lived through.
///
/// # Errors
/// When there is no plan.
pub fn foresight<D: Decide>(instance: &Instance, scenario: &Scenario, decide: &mut D) -> Result<Outcome, D::Failure> {
    let world = instance.under(scenario);
    let decided = decide.decide(&world, &State::opening(&world))?;
    let missed = decided.missed.iter().flatten().sum();
    Ok(Outcome { worth: decided.objective, missed, ..Outcome::of_months(scenario.index, &months(&world, &decided)) })
}
