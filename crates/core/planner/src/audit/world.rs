//! The fleet as a plan decides it, as the auditor reads sections 2 and 6.

use fleet::{Calendar, Capacity, CapacityOf, Contract, Fleet, Least, Period, Ramp, Status, Table, Tranche};
use units::{Instant, Money, Quantity, Span, round_half_even};

use super::dates::length;
use crate::moved::moved;
use crate::plan::Plan;

/// The fleet with what is to be signed signed, what is due delivered, what is ordered there when it comes, and nothing after the plan.
pub(super) fn world(fleet: &Fleet, plan: &Plan) -> Fleet {
    let Some(plan_span) = span(plan) else { return fleet.clone() };
    let mut rows = Vec::new();
    for (_, name, contract) in fleet.contracts.iter() {
        let mut terms = contract.clone();
        if let Some(choice) = plan.choices.iter().rfind(|choice| choice.contract == name && choice.signed) {
            terms = moved(contract, choice.moved);
            terms.status = Status::Signed;
        }
        if let Some(delivery) = &mut terms.delivery {
            for tranche in delivery.tranches.iter_mut().filter(|tranche| tranche.due >= plan_span.from) {
                tranche.delivered = tranche.delivered.or(Some(tranche.due));
            }
        }
        install(&mut terms, name, plan);
        shrink(&mut terms, plan_span);
        close(&mut terms, plan_span.to);
        open(&mut terms, plan_span.from);
        rows.push((name.to_owned(), terms));
    }
    Fleet { contracts: Table::new(rows), ..fleet.clone() }
}

fn span(plan: &Plan) -> Option<Span> {
    Some(Span { from: plan.months.first()?.span.from, to: plan.months.last()?.span.to })
}

/// Raises the clauses of expansions by what has come by each month.
fn install(terms: &mut Contract, name: &str, plan: &Plan) {
    for (clause, expansion) in terms.expansions.clone().iter().enumerate() {
        let lead = usize::try_from(expansion.lead_months).unwrap_or(usize::MAX);
        add_delivered(terms, (name, clause), plan, &|ordered| ordered.checked_add(lead));
    }
}

/// Raises the clause of an expansion by what was ordered, in the month in which `arrives` says that it comes.
pub(super) fn add_delivered(terms: &mut Contract, (name, clause): (&str, usize), plan: &Plan, arrives: &dyn Fn(usize) -> Option<usize>) {
    let of = CapacityOf::Accelerators(terms.expansions[clause].accelerator);
    if !terms.capacity.iter().any(|clause| clause.of == of) {
        terms.capacity.push(Capacity { of, ramp: Ramp::constant(0), tokens_per_unit_minute: 0 });
    }
    let mut installed = Vec::new();
    let mut sum = 0_i64;
    for (month, row) in plan.months.iter().enumerate() {
        let orders = plan.added.iter().filter(|added| added.contract == name && added.clause == clause);
        let orders = orders.filter(|added| arrives(added.month) == Some(month));
        let comes = orders.fold(0, |sum: i64, added| sum.saturating_add(added.count));
        sum = sum.saturating_add(comes);
        installed.push((row.span.from, sum));
        if let Some(delivery) = terms.delivery.as_mut().filter(|delivery| delivery.of == of && comes > 0) {
            delivery.tranches.push(Tranche { amount: comes, due: row.span.from, delivered: Some(row.span.from) });
        }
    }
    if let (Ok(installed), Some(capacity)) = (Ramp::new(installed), terms.capacity.iter_mut().find(|capacity| capacity.of == of)) {
        capacity.ramp = sum_of(&capacity.ramp, &installed);
    }
}

/// The sum of two ramps.
fn sum_of(one: &Ramp<i64>, other: &Ramp<i64>) -> Ramp<i64> {
    let mut dates: Vec<Instant> = one.steps().iter().chain(other.steps()).map(|(at, _)| *at).collect();
    dates.sort_unstable();
    dates.dedup();
    let at = |ramp: &Ramp<i64>, at| ramp.at(at).unwrap_or(0);
    let steps = dates.into_iter().map(|date| (date, at(one, date).saturating_add(at(other, date))));
    Ramp::new(steps.collect()).unwrap_or_else(|_| one.clone())
}

/// A minimum over the whole term is asked for as far as the plan has of the term.
fn shrink(terms: &mut Contract, plan: Span) {
    let (left, whole) = (length(plan.overlap(terms.term)), length(terms.term));
    for floor in terms.floors.iter_mut().filter(|floor| floor.per == Period::Term) {
        floor.least = times(&floor.least, &|_| true, left, whole);
    }
}

/// Ends the term with the plan: later prepayments fall away.
fn close(terms: &mut Contract, end: Instant) {
    if terms.term.from < end && end < terms.term.to {
        terms.term.to = end;
        terms.prepayments.iter_mut().filter(|prepayment| prepayment.due >= end).for_each(|prepayment| prepayment.amount = Money::ZERO);
    }
}

/// What lies in billing periods before that in which the plan begins is over: it held nothing, was asked for nothing, and what was
/// prepaid and credited is gone.
fn open(terms: &mut Contract, begins: Instant) {
    if begins <= terms.term.from || terms.term.to <= begins {
        return;
    }
    let present = terms.calendar.index(begins);
    let from = terms.period(present).from;
    for clause in &mut terms.capacity {
        let kept = clause.ramp.steps().iter().copied().filter(|(at, _)| *at > from);
        let now = clause.ramp.at(from).unwrap_or(0);
        clause.ramp = Ramp::new([(from, now)].into_iter().chain(kept).collect()).unwrap_or_else(|_| clause.ramp.clone());
    }
    for prepayment in terms.prepayments.iter_mut().filter(|prepayment| prepayment.due < from && prepayment.credited_from < terms.term.to) {
        let first = terms.calendar.index(prepayment.credited_from.max(terms.term.from));
        let (many, gone) = (i64::from(prepayment.credit_periods), present - first);
        let gone = gone.max(0).min(many);
        let credited = Money::from_nanos(round_half_even(prepayment.amount.nanos() * i128::from(gone), i128::from(many.max(1))));
        prepayment.amount -= credited;
        prepayment.credit_periods = u32::try_from((many - gone).max(1)).unwrap_or(u32::MAX);
        prepayment.credited_from = prepayment.credited_from.max(from);
        prepayment.due = Instant::MIN;
    }
    for floor in terms.floors.iter_mut().filter(|floor| floor.per != Period::Term) {
        let windows = terms.calendar.with_period(floor.per);
        let window = windows.span(windows.index(begins)).overlap(terms.term);
        let left = Span { from: begins, to: window.to };
        floor.least = times(&rebased(&floor.least, window), &|at| at == window.from, length(left), length(window));
    }
}

/// The minimum up to an instant, and nothing from there.
pub(super) fn until(least: &Least, at: Instant) -> Least {
    fn up_to<T: Copy + Default>(ramp: &Ramp<T>, at: Instant) -> Ramp<T> {
        let kept = ramp.steps().iter().copied().filter(|(from, _)| *from < at);
        Ramp::new(kept.chain([(at, T::default())]).collect()).unwrap_or_else(|_| ramp.clone())
    }
    match least {
        Least::Spend(ramp) => Least::Spend(up_to(ramp, at)),
        Least::Quantity(ramp, rate) => Least::Quantity(up_to(ramp, at), *rate),
    }
}

/// The minimum by window, each with a share of its own.
pub(super) fn by_window(least: &Least, windows: &Calendar, term: Span, share: &dyn Fn(Span) -> (i128, i128)) -> Least {
    let range = windows.index(term.from)..=windows.index(Instant::from_micros(term.to.micros() - 1));
    let spans: Vec<Span> = range.map(|index| windows.span(index).overlap(term)).collect();
    let part = |span: Span, amount: i128| {
        let (left, whole) = share(span);
        if left < whole { Money::from_nanos(amount).times_ratio(left, whole).nanos() } else { amount }
    };
    match least {
        Least::Spend(ramp) => {
            let steps = spans.iter().map(|span| {
                let amount = ramp.at(span.from).unwrap_or(Money::ZERO);
                (span.from, Money::from_nanos(part(*span, amount.nanos())))
            });
            Least::Spend(Ramp::new(steps.collect()).unwrap_or_else(|_| ramp.clone()))
        }
        Least::Quantity(ramp, rate) => {
            let steps = spans.iter().map(|span| {
                let amount = ramp.at(span.from).map_or(0, |quantity| i128::from(quantity.count()));
                (span.from, Quantity::new(i64::try_from(part(*span, amount)).unwrap_or(i64::MAX)))
            });
            Least::Quantity(Ramp::new(steps.collect()).unwrap_or_else(|_| ramp.clone()), *rate)
        }
    }
}

/// The minimum with its first step at the window's beginning.
fn rebased(least: &Least, window: Span) -> Least {
    match least {
        Least::Spend(ramp) => Least::Spend(steps_of(ramp, window)),
        Least::Quantity(ramp, rate) => Least::Quantity(steps_of(ramp, window), *rate),
    }
}

fn steps_of<T: Copy + Default>(ramp: &Ramp<T>, window: Span) -> Ramp<T> {
    let mut steps = vec![(window.from, ramp.at(window.from).unwrap_or_default())];
    steps.extend(ramp.at(window.to).map(|amount| (window.to, amount)));
    steps.extend(ramp.steps().iter().copied().filter(|(at, _)| *at > window.to));
    Ramp::new(steps).unwrap_or_else(|_| ramp.clone())
}

/// The minimum with `left / whole` of the steps that are meant, half to even.
pub(super) fn times(least: &Least, meant: &dyn Fn(Instant) -> bool, left: i128, whole: i128) -> Least {
    let part =
        |at: Instant, amount: i128| if meant(at) { Money::from_nanos(amount).times_ratio(left, whole.max(1)).nanos() } else { amount };
    match least {
        Least::Spend(ramp) => {
            let steps = ramp.steps().iter().map(|(at, money)| (*at, Money::from_nanos(part(*at, money.nanos()))));
            Least::Spend(Ramp::new(steps.collect()).unwrap_or_else(|_| ramp.clone()))
        }
        Least::Quantity(ramp, rate) => {
            let count = |at: Instant, quantity: Quantity| i64::try_from(part(at, i128::from(quantity.count()))).unwrap_or(i64::MAX);
            let steps = ramp.steps().iter().map(|(at, quantity)| (*at, Quantity::new(count(*at, *quantity))));
            Least::Quantity(Ramp::new(steps.collect()).unwrap_or_else(|_| ramp.clone()), *rate)
        }
    }
}
