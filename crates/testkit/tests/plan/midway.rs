//! What a state leaves to the months to come: from the middle of the best plan, the best way on is the plan's own.

use lp::{ColumnId, Effort, Kept, Solver as _};
use planner::{Answer, EventKind, Instance, Promises, State, Tranche, WorkKind, decide, rows};
use testkit::instance::random;

use crate::solved::highs;

/// Where a plan stands at the beginning of a month.
struct Stand<'a> {
    instance: &'a Instance,
    answer: &'a Answer,
    month: usize,
}

impl Stand<'_> {
    fn value(&self, column: Option<ColumnId>) -> f64 {
        column.map_or(0.0, |column| self.answer.solution.columns[column.0 as usize])
    }

    fn past(&self, step: usize) -> bool {
        self.instance.steps[step].month < self.month
    }

    fn used(&self, supply: usize, step: usize) -> f64 {
        self.value(self.answer.layout.columns.used.at(supply, step))
    }

    /// Whether nothing more is used in the period of a tiered charge.
    fn closed(&self, tiered: usize) -> bool {
        self.instance.tiered[tiered].terms.iter().all(|(_, step, _)| self.past(*step))
    }

    fn charged(&self, tiered: usize) -> f64 {
        let columns = &self.answer.layout.columns.tiers[tiered];
        columns.iter().zip(&self.instance.tiered[tiered].tiers).map(|(column, (_, rate))| self.value(Some(*column)) * rate).sum()
    }

    fn short(&self, floor: usize) -> f64 {
        self.answer.decided.short[floor] * self.instance.floors[floor].price
    }

    fn payable(&self) -> Vec<f64> {
        let (instance, columns) = (self.instance, &self.answer.layout.columns);
        let mut payable = vec![0.0; instance.months.len()];
        for (index, supply) in instance.supplies.iter().enumerate() {
            for step in (0..instance.steps.len()).filter(|step| self.past(*step)) {
                payable[supply.due[instance.steps[step].month]] += self.used(index, step) * supply.rate[step];
            }
        }
        for (index, expansion) in instance.expansions.iter().enumerate() {
            for month in 0..self.month {
                payable[expansion.due[month]] += self.value(columns.installed.at(index, month)) * expansion.running[month];
            }
        }
        (0..instance.tiered.len()).filter(|at| self.closed(*at)).for_each(|at| payable[instance.tiered[at].due] += self.charged(at));
        let over = |at: &usize| instance.floors[*at].last < self.month;
        (0..instance.floors.len()).filter(over).for_each(|at| payable[instance.floors[at].due] += self.short(at));
        payable
    }

    /// Metered charges that a credit's contract has yet to pay.
    fn chargeable(&self, credit: usize) -> Vec<f64> {
        let (instance, credit) = (self.instance, &self.instance.credits[credit]);
        let mut chargeable = vec![0.0; instance.months.len()];
        let own = |at: usize| instance.supplies[at].contract == credit.contract && instance.supplies[at].choice == credit.choice;
        for index in (0..instance.supplies.len()).filter(|index| own(*index)) {
            let supply = &instance.supplies[index];
            for step in (0..instance.steps.len()).filter(|step| self.past(*step)) {
                chargeable[supply.due[instance.steps[step].month]] += self.used(index, step) * supply.rate[step];
            }
        }
        for (at, tiered) in instance.tiered.iter().enumerate().filter(|(at, tiered)| self.closed(*at) && own(tiered.terms[0].0)) {
            chargeable[tiered.due] += self.charged(at);
        }
        chargeable
    }

    fn counted(&self, floor: usize) -> f64 {
        let (instance, floor) = (self.instance, &self.instance.floors[floor]);
        let used =
            floor.terms.iter().filter(|(_, step, _)| self.past(*step)).map(|(supply, step, amount)| amount * self.used(*supply, *step));
        let tiered = floor.tiered.iter().filter(|at| self.closed(**at)).map(|at| self.charged(*at));
        let nested = floor.nested.iter().filter(|at| instance.floors[**at].last < self.month).map(|at| self.short(*at));
        let installed = &self.answer.layout.columns.installed;
        let expanded = floor.expansions.iter().filter(|(_, month, _)| *month < self.month);
        let expanded = expanded.map(|(at, month, amount)| amount * self.value(installed.at(*at, *month)));
        used.sum::<f64>() + tiered.sum::<f64>() + nested.sum::<f64>() + expanded.sum::<f64>()
    }

    /// What a window that is over may still carry on.
    fn carried(&self, floor: usize) -> f64 {
        let columns = &self.answer.layout.columns;
        let (Some((share, _)), true) = (&self.instance.floors[floor].carry, self.instance.floors[floor].last < self.month) else {
            return 0.0;
        };
        let taken = columns.carried.iter().filter(|(from, to, _)| *from == floor && self.instance.floors[*to].last < self.month);
        share * self.value(columns.excess[floor]) - taken.map(|(_, _, column)| self.value(Some(*column))).sum::<f64>()
    }

    fn revenue(&self, month: usize) -> f64 {
        let (instance, decided) = (self.instance, &self.answer.decided);
        let steps = || (0..instance.steps.len()).filter(|step| instance.steps[*step].month == month);
        let tranche = |of: &Tranche, served: &[f64]| steps().map(|step| of.price[step] * served[step]).sum::<f64>();
        let work = |(at, work): (usize, &planner::Work)| match &work.kind {
            WorkKind::Serving { tranches, .. } => tranches.iter().zip(&decided.served[at]).map(|(of, served)| tranche(of, served)).sum(),
            WorkKind::Training { .. } => 0.0,
        };
        let events = instance.treasury.events.iter().filter(|event| event.kind == EventKind::Revenue);
        instance.works.iter().enumerate().map(work).sum::<f64>() + events.map(|event| event.amounts.at(month, &decided.taken)).sum::<f64>()
    }

    fn state(&self) -> State {
        let (instance, decided, columns, last) = (self.instance, &self.answer.decided, &self.answer.layout.columns, self.month - 1);
        let backlog: Vec<f64> = (0..instance.works.len()).map(|work| self.value(columns.backlog.at(work, last))).collect();
        let arrived = |work: usize| match &instance.works[work].kind {
            WorkKind::Training { arrivals, .. } => arrivals[..self.month].iter().sum(),
            WorkKind::Serving { .. } => 0.0,
        };
        let mut arriving = vec![vec![0.0; instance.months.len()]; instance.expansions.len()];
        for (at, expansion) in instance.expansions.iter().enumerate() {
            for month in (0..self.month).filter(|month| (self.month..instance.months.len()).contains(&expansion.arrival(*month))) {
                arriving[at][expansion.arrival(month)] += decided.ordered[at][month];
            }
        }
        let quantity = |at: usize| {
            let terms = instance.tiered[at].terms.iter().filter(|(_, step, _)| self.past(*step));
            terms.map(|(supply, step, share)| share * self.used(*supply, *step)).sum()
        };
        State {
            month: self.month,
            cash: decided.cash[last],
            debt: decided.debt[last],
            payable: self.payable(),
            chargeable: (0..instance.credits.len()).map(|at| self.chargeable(at)).collect(),
            installed: (0..instance.expansions.len()).map(|at| self.value(columns.installed.at(at, last))).collect(),
            arriving,
            counted: (0..instance.floors.len()).map(|at| self.counted(at)).collect(),
            carried: (0..instance.floors.len()).map(|at| self.carried(at)).collect(),
            tiered: (0..instance.tiered.len()).map(quantity).collect(),
            credit: (0..instance.credits.len()).map(|at| self.value(columns.uncredited.at(at, last))).collect(),
            done: backlog.iter().enumerate().map(|(work, left)| arrived(work) - left).collect(),
            backlog,
            raised: decided.raised.iter().map(|by_month| by_month[..self.month].iter().sum()).collect(),
            revenue: (self.month.saturating_sub(12)..self.month).map(|month| self.revenue(month)).collect(),
            gap: decided.gap[..self.month].iter().sum(),
        }
    }

    /// What the plan's columns before the month are worth.
    fn behind(&self) -> f64 {
        let named = &self.instance.months[self.month];
        let name = format!("{:04}-{:02}", named.year, named.number);
        let block = self.answer.problem.column_blocks.iter().find(|block| block.name == name).expect("each month is a block");
        let (costs, values) = (&self.answer.problem.cost, &self.answer.solution.columns);
        costs.iter().zip(values).take(block.first as usize).map(|(cost, value)| cost * value).sum()
    }
}

/// Whether a state can say all that matters: a charge that is due before its period ends is in no state.
fn sayable(stand: &Stand<'_>) -> bool {
    (0..stand.instance.tiered.len()).all(|at| stand.closed(at) || stand.instance.tiered[at].due >= stand.month)
}

#[test]
fn the_best_way_on_from_the_middle_of_a_plan_is_the_plan_s_own() {
    let effort = Effort { gap: 1e-9, ..Effort::default() };
    let mut compared = 0;
    for seed in 0..40 {
        let instance = random(seed);
        let mut solver = highs();
        let answer = decide(&instance, &State::opening(&instance), None, &mut solver, effort).expect("there is a plan");
        for month in [1, instance.months.len() / 2, instance.months.len() - 1] {
            let stand = Stand { instance: &instance, answer: &answer, month };
            if !sayable(&stand) {
                continue;
            }
            let (problem, _) = rows(&instance, &stand.state(), Promises::Priced, Some(&answer.decided.taken));
            solver.load(problem).expect("a problem");
            let on = solver.solve(effort, Kept::Nothing).expect("it is solved");
            let whole = answer.decided.objective;
            let found = on.objective + stand.behind();
            assert!((found - whole).abs() <= 1e-6 * whole.abs().max(1.0), "seed {seed}, month {month}: {found} and {whole}");
            compared += 1;
        }
    }
    assert!(compared > 60, "only {compared} could be compared");
}
