//! Prices from both sides.

use lp::Effort;
use planner::{Probe, Sides, settled, sides};
use testkit::instance::{Small, random};

use crate::solved::{highs, solved};

#[test]
fn at_a_corner_one_more_is_worth_less_than_one_less() {
    // Capacity is just what is wanted: one more is worth nothing, one less loses the margin of 1.
    let mut small = Small::new(1, 0.0);
    let supply = small.supply("oracle", 2.0);
    let tight = small.limit("capacity of oracle", &[supply], 10.0);
    let loose = small.limit("count of abilene", &[supply], 11.0);
    let dear = small.supply("not delivered", 1.0);
    let none = small.limit("capacity of nobody", &[dear], 0.0);
    small.serving("chat", &[10.0], 3.0);
    let answer = solved(&small.instance);
    let probe = |limit: usize| Probe::limit(&small.instance, &answer.layout, limit, 0).expect("it has a row");
    let probes = [probe(tight), probe(loose), probe(none)];
    let ask = |solves: usize| {
        sides(answer.problem.clone(), &answer.layout, &probes, solves, &mut highs(), Effort::default()).expect("it is solved")
    };
    let near = |side: Option<f64>, expected: Option<f64>| match (side, expected) {
        (Some(side), Some(expected)) => (side - expected).abs() < 1e-6,
        (side, expected) => side == expected,
    };
    let found = ask(9);
    // A cheaper supply would save 1 of cost on what is served.
    let expected = [(Some(1.0), Some(0.0)), (Some(0.0), Some(0.0)), (None, Some(1.0))];
    assert_eq!(found.len(), 3);
    for (Sides { less, more }, expected) in found.iter().zip(expected) {
        assert!(near(*less, expected.0) && near(*more, expected.1), "{found:?}");
    }
    assert_eq!(ask(3), found[..2], "what the solves don't reach is left out");
}

#[test]
fn every_dual_of_a_limit_lies_between_its_sides() {
    let mut tight = 0;
    for seed in 0..20 {
        let instance = random(seed);
        let answer = solved(&instance);
        let problem = settled(&answer.problem, &answer.solution);
        let steps = 0..instance.steps.len();
        let all = (0..instance.limits.len()).flat_map(|limit| steps.clone().map(move |step| (limit, step)));
        let probes: Vec<Probe> = all.filter_map(|(limit, step)| Probe::limit(&instance, &answer.layout, limit, step)).collect();
        let found = sides(problem, &answer.layout, &probes, 60, &mut highs(), Effort::default()).expect("it is solved");
        for (probe, Sides { less, more }) in probes.iter().zip(found) {
            let cash = answer.decided.prices.cash[probe.month];
            let dual = answer.solution.duals[probe.row.0 as usize] / cash;
            let near = 1e-4 * dual.abs().max(1.0);
            assert!(less.is_none_or(|less| dual <= less + near), "seed {seed}: {dual} is above {less:?}");
            assert!(more.is_none_or(|more| more <= dual + near), "seed {seed}: {dual} is below {more:?}");
            tight += u32::from(less.is_some_and(|less| less > 1e-3));
        }
    }
    assert!(tight > 20, "only {tight} limits had a price");
}
