//! Raising, borrowing, paying back: as planned, and otherwise only what the month needs.

use super::{Policy, Run};
use crate::instance::Instance;

/// Months of revenue that a covenant looks at.
const TRAILING: usize = 12;

impl Policy {
    /// Ends a month that has `before` in cash: what is planned, less where there is more than planned, more where cash would fall below its
    /// floor: first by not paying back, then by borrowing, then by raises, the cheapest first. What is still missing is a gap.
    pub(super) fn finance(&self, world: &Instance, month: usize, before: f64, run: &mut Run) {
        let plan = &self.finance;
        remember_revenue(&mut run.state.revenue, run.now.revenue);
        let most = most_debt(world, month, &run.state.revenue);
        let debt = run.state.debt;
        let forced = (debt - most).max(0.0);
        let room = (most - debt).max(0.0);
        let mut repaid = plan.repaid[month].min(debt).max(forced);
        let mut drawn = if forced > 0.0 { 0.0 } else { plan.drawn[month].min(room + repaid) };
        let mut raised = 0.0;
        for (window, raise) in run.raises.iter_mut().enumerate() {
            *raise = plan.raised[window * self.months + month].min(self.raisable(world, month, window, &run.state.raised));
            raised += *raise;
        }
        let mut cash = before + drawn - repaid + raised;
        let floor = if world.treasury.bound { world.treasury.floor[month] } else { f64::NEG_INFINITY };
        let mut surplus = cash - plan.cash[month].max(floor);
        // What is not needed is not raised: the dearest first.
        for window in plan.windows.iter().rev() {
            let raise = &mut run.raises[*window as usize];
            let less = raise.min(surplus.max(0.0));
            *raise -= less;
            (cash, surplus) = (cash - less, surplus - less);
        }
        let less = drawn.min(surplus.max(0.0));
        (drawn, cash) = (drawn - less, cash - less);
        if cash < floor {
            let kept = (repaid - forced).min(floor - cash).max(0.0);
            (repaid, cash) = (repaid - kept, cash + kept);
            let more = (most - debt - drawn + repaid).min(floor - cash).max(0.0);
            (drawn, cash) = (drawn + more, cash + more);
        }
        cash += self.raise_more(world, month, cash, floor, run);
        let gap = (floor - cash).max(0.0);
        for (window, raise) in run.raises.iter().enumerate() {
            run.state.raised[window] += raise;
            run.now.raised += raise;
            run.now.penalty += (1.0 + world.treasury.windows[window].cost) * raise;
        }
        run.now.gap = gap;
        if gap > 0.0 {
            run.now.penalty += world.gap_cost_in(month) * gap;
            run.state.gap += gap;
        }
        run.state.cash = cash + gap;
        run.state.debt = (debt + drawn - repaid).max(0.0);
        (run.now.cash, run.now.debt) = (run.state.cash, run.state.debt);
        let Run { did: Some(did), raises, state, .. } = run else { return };
        did.raised.iter_mut().zip(raises).for_each(|(months, raise)| months[month] = *raise);
        (did.drawn[month], did.repaid[month], did.gap[month]) = (drawn, repaid, gap);
        (did.cash[month], did.debt[month]) = (state.cash, state.debt);
    }

    /// What can still be had from a window of the treasury.
    fn raisable(&self, world: &Instance, month: usize, window: usize, raised: &[f64]) -> f64 {
        let terms = &world.treasury.windows[window];
        let open = terms.open.0 <= month && month < terms.open.1;
        if open { (terms.most - raised[window]).max(0.0) } else { 0.0 }
    }

    /// Raises beyond the plan: what the floor needs now, and, in the last month of a window, what the plan's own months to come would lack.
    fn raise_more(&self, world: &Instance, month: usize, cash: f64, floor: f64, run: &mut Run) -> f64 {
        if !world.treasury.bound {
            return 0.0;
        }
        let mut more = 0.0;
        for window in &self.finance.windows {
            let index = *window as usize;
            // The last month is one of the terms that are known beforehand: of the base, a failure of the investor is not foreseen.
            let closes = self.closes[index] == month + 1;
            let short = if closes { (self.finance.cash[month] - self.finance.slack[month]).max(floor) } else { floor };
            let taken = run.raises[index];
            let left = (self.raisable(world, month, index, &run.state.raised) - taken).max(0.0);
            let raise = left.min((short - cash - more).max(0.0));
            run.raises[index] += raise;
            more += raise;
        }
        more
    }
}

fn remember_revenue(past: &mut Vec<f64>, revenue: f64) {
    if past.len() == TRAILING {
        past.remove(0);
    }
    past.push(revenue);
}

/// The most that may be owed: the limit, and the covenant over the last twelve months; those before the plan count as its first.
fn most_debt(world: &Instance, month: usize, revenue: &[f64]) -> f64 {
    let Some(debt) = &world.treasury.debt else { return 0.0 };
    let trailing = revenue.iter().sum::<f64>() + revenue[0] * (TRAILING - revenue.len()) as f64;
    debt.covenant.map_or(debt.limit[month], |covenant| debt.limit[month].min((covenant * trailing).max(0.0)))
}
