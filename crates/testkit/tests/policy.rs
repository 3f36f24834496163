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
        let Some(decided) = plan(&instance) else { continue };
        if decided.gap.iter().sum::<f64>() > 1e-6 {
            continue;
        }
        let signed = instance.clone();
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
            let first = run.months.iter().enumerate().find(|(m, month)| (month.cash - decided.cash[*m]).abs() > 1e-5);
            println!(
                "    caps {} volume {} tiered {} floors {} carry {} credits {} exp {} first {:?} plan {:?} debt {:?}",
                signed.caps.len(),
                signed.tiered.iter().filter(|t| t.volume).count(),
                signed.tiered.len(),
                signed.floors.len(),
                signed.floors.iter().filter(|f| f.carry.is_some()).count(),
                signed.credits.len(),
                signed.expansions.len(),
                first,
                first.map(|(m, _)| decided.cash[m]),
                first.map(|(m, _)| decided.debt[m])
            );
        }
        worst = worst.max(apart.abs());
    }
    println!("worst {worst:e}");
}

#[test]
fn debug() {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(73);
    let instance = instance::random(seed);
    let decided = plan(&instance).expect("plan");
    let steps = instance.steps.len();
    for (i, t) in instance.tiered.iter().enumerate() {
        let q: f64 = t
            .terms
            .iter()
            .map(|(s, st, share)| {
                share
                    * instance
                        .fits
                        .iter()
                        .enumerate()
                        .filter(|(_, f)| f.supply == *s)
                        .map(|(i, _)| decided.used[i * steps + st])
                        .sum::<f64>()
            })
            .sum();
        println!(
            "tiered {i} {} terms {:?} tiers {:?} due {} q {q}",
            t.volume,
            t.terms.iter().map(|t| (t.0, instance.steps[t.1].month, t.2)).collect::<Vec<_>>(),
            t.tiers,
            t.due
        );
    }
    for (i, f) in instance.floors.iter().enumerate() {
        println!(
            "floor {i} last {} due {} least {:?} counted {:?} tiered {:?} price {} carry {:?} short {} terms {}",
            f.last,
            f.due,
            f.least,
            f.counted,
            f.tiered,
            f.price,
            f.carry,
            decided.short[i],
            f.terms.len()
        );
    }
    for (i, c) in instance.credits.iter().enumerate() {
        println!("credit {i} {:?} granted {:?} committed {:?} credited {:?}", c.choice, c.granted, c.committed, decided.credited[i]);
    }
    for (i, s) in instance.supplies.iter().enumerate() {
        println!("supply {i} contract {:?} choice {:?} due {:?}", s.contract, s.choice, s.due);
    }
    println!("taken {:?}", decided.taken);
    let opening = State::opening(&instance);
    let mut run = Run::default();
    Policy::compile(&instance, &opening, &decided).simulate(&instance, &opening, instance.months.len(), &mut run);
    for (m, month) in run.months.iter().enumerate() {
        let planned: f64 = (0..instance.works.len()).filter_map(|w| decided.missed[w].get(m)).sum();
        println!(
            "{m} cash {:.3} plan {:.3} debt {:.2} {:.2} raised {:.2} compute {:.3} short {:.2} rev {:.2} missed {:.2} plan {:.2} late {:.2} worth {:.2}",
            month.cash,
            decided.cash[m],
            month.debt,
            decided.debt[m],
            month.raised,
            month.compute,
            month.shortfall,
            month.revenue,
            month.missed,
            planned,
            month.late,
            month.worth
        );
    }
    println!("objective {} end {} {}", decided.objective, run.state.cash - run.state.debt, end_worth(&run));
}
