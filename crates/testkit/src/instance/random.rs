//! Small instances of every kind.

use planner::{Instance, Scale, Treasury};

use super::{clauses, demand, finance, months, steps, supply};
use crate::dice::Dice;

/// What the parts of a month are shares of.
const SHARES: [&[f64]; 3] = [&[1.0], &[0.4, 0.6], &[0.25, 0.35, 0.4]];

/// A small instance that the seed determines. The parts are drawn one after the other, each from what the earlier ones say.
#[must_use]
pub fn random(seed: u64) -> Instance {
    let mut dice = Dice::new(seed);
    let months = months(dice.count(3, 24));
    let steps = steps(&months, SHARES[dice.count(0, 2)]);
    let mut instance = empty(months, steps);
    supply::draw(&mut instance, &mut dice);
    supply::draw_expansions(&mut instance, &mut dice);
    supply::draw_sites(&mut instance, &mut dice);
    demand::draw(&mut instance, &mut dice);
    clauses::draw_tiers(&mut instance, &mut dice);
    clauses::draw_floors(&mut instance, &mut dice);
    clauses::draw_credits(&mut instance, &mut dice);
    finance::draw(&mut instance, &mut dice);
    finance::draw_caps(&mut instance, &mut dice);
    finance::draw_bars(&mut instance, &mut dice);
    instance
}

/// An instance with nothing in it but time.
pub(super) fn empty(months: Vec<planner::Month>, steps: Vec<planner::Step>) -> Instance {
    let treasury =
        Treasury { cash: 0.0, floor: vec![0.0; months.len()], interest: 0.0, bound: true, debt: None, windows: vec![], events: vec![] };
    Instance {
        scale: Scale { money: 1e6, hours: 1e6, tokens: 1e12 },
        months,
        steps,
        choices: vec![],
        supplies: vec![],
        works: vec![],
        fits: vec![],
        limits: vec![],
        expansions: vec![],
        tiered: vec![],
        floors: vec![],
        credits: vec![],
        ventures: vec![],
        caps: vec![],
        bars: vec![],
        refusals: Vec::new(),
        treasury,
        gap_cost: 10.0,
        miss_cost: vec![],
    }
}
