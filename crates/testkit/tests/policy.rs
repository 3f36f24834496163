//! A policy against the optimum that it was compiled from.

use std::path::Path;

use highs::Highs;
use lp::{Effort, Solver};
use planner::{Decided, Instance, Policy, Run, State, decide};
use testkit::instance;

fn solver() -> impl Solver {
    let folder = std::env::var("HOME").map(|home| Path::new(&home).join(".cache/baseload/solver/1.15.1")).unwrap_or_default();
    Highs::find(&folder).expect("a solver: `baseload solver pull`")
}

fn plan(instance: &Instance) -> Option<Decided> {
    let answer = decide(instance, &State::opening(instance), None, &mut solver(), Effort::default());
    answer.ok().map(|answer| answer.decided)
}

fn end_worth(run: &Run) -> f64 {
    run.state.cash - run.state.debt + run.worth
}

#[test]
fn as_planned_it_comes_to_the_optimum() {
    let mut worst: f64 = 0.0;
    for seed in 0..100 {
        let instance = instance::random(seed);
        let Some(decided) = plan(&instance) else {
            println!("{seed}: none");
            continue;
        };
        let signed = instance.signed(&decided.taken);
        let opening = State::opening(&signed);
        let mut run = Run::default();
        Policy::compile(&signed, &opening, &decided).simulate(&signed, &opening, signed.months.len(), &mut run);
        let apart = (end_worth(&run) - decided.objective) / decided.objective.abs().max(1.0);
        if apart.abs() > 1e-6 {
            println!(
                "{seed}: {apart:e} {} {} gap {} {} bound {}",
                end_worth(&run),
                decided.objective,
                decided.gap.iter().sum::<f64>(),
                run.state.gap,
                signed.treasury.bound
            );
        }
        worst = worst.max(apart.abs());
    }
    println!("worst {worst:e}");
}
