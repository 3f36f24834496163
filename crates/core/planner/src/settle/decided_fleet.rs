//! The fleet as a plan decides it: what is signed is signed, what is ordered raises its clause, and nothing outlasts the plan.

use fleet::{Calendar, Capacity, CapacityOf, Contract, Fleet, Least, Period, Prepayment, Ramp, Status, Table, Tranche};
use units::{Instant, Money, Quantity, Span, round_half_even};

use super::speed::micros;
use crate::moved::moved;
use crate::plan::{Added, Plan};

/// The fleet as `plan` decides it: `docs/plan.md` section 6. `market` computes from it what falls due.
#[must_use]
pub fn decided_fleet(fleet: &Fleet, plan: &Plan) -> Fleet {
    let rows = fleet.contracts.iter().map(|(_, name, contract)| (name.to_owned(), decided(contract, name, plan)));
    Fleet { contracts: Table::new(rows.collect()), ..fleet.clone() }
}

fn decided(contract: &Contract, name: &str, plan: &Plan) -> Contract {
    let chosen = plan.choices.iter().find(|choice| choice.signed && choice.contract == name);
    let mut contract = match chosen {
        Some(choice) => Contract { status: Status::Signed, ..moved(contract, choice.moved) },
        None => contract.clone(),
    };
    let Some((first, last)) = plan.months.first().zip(plan.months.last()) else { return contract };
    for tranche in contract.delivery.iter_mut().flat_map(|delivery| &mut delivery.tranches) {
        if tranche.delivered.is_none() && tranche.due >= first.span.from {
            tranche.delivered = Some(tranche.due);
        }
    }
    for expansion in &contract.expansions {
        let of = CapacityOf::Accelerators(expansion.accelerator);
        if !contract.capacity.iter().any(|clause| clause.of == of) {
            contract.capacity.push(Capacity { of, ramp: Ramp::constant(0), tokens_per_unit_minute: 0 });
        }
    }
    for added in plan.added.iter().filter(|added| added.contract == name) {
        raise(&mut contract, added, plan);
    }
    let whole = contract.term;
    let planned = Span { from: first.span.from, to: last.span.to };
    end(&mut contract, planned.to);
    begin(&mut contract, planned.from);
    for floor in contract.floors.iter_mut().filter(|floor| floor.per == Period::Term) {
        floor.least = scaled(&floor.least, micros(whole.overlap(planned)), micros(whole));
    }
    contract
}

/// What is ordered is there from the first instant of its month of arrival on, and delivered.
fn raise(contract: &mut Contract, added: &Added, plan: &Plan) {
    let Some(expansion) = contract.expansions.get(added.clause) else { return };
    let lead = usize::try_from(expansion.lead_months).unwrap_or(usize::MAX);
    let Some(arrival) = plan.months.get(added.month.saturating_add(lead)) else { return };
    let (of, at) = (CapacityOf::Accelerators(expansion.accelerator), arrival.span.from);
    if let Some(clause) = contract.capacity.iter_mut().find(|clause| clause.of == of) {
        clause.ramp = raised(&clause.ramp, at, added.count);
    }
    if let Some(delivery) = contract.delivery.as_mut().filter(|delivery| delivery.of == of) {
        delivery.tranches.push(Tranche { amount: added.count, due: at, delivered: Some(at) });
    }
}

fn raised(ramp: &Ramp<i64>, at: Instant, by: i64) -> Ramp<i64> {
    let before = ramp.steps().iter().copied().filter(|(from, _)| *from < at);
    let here = (at, ramp.at(at).unwrap_or(0).saturating_add(by));
    let after = ramp.steps().iter().filter(|(from, _)| *from > at).map(|(from, amount)| (*from, amount.saturating_add(by)));
    Ramp::new(before.chain([here]).chain(after).collect()).unwrap_or_else(|_| ramp.clone())
}

/// Counts the contract as if its term ended with the plan; what is prepaid later is no matter of it.
pub(crate) fn end(contract: &mut Contract, at: Instant) {
    if contract.term.to <= at || at <= contract.term.from {
        return;
    }
    contract.term.to = at;
    for prepayment in contract.prepayments.iter_mut().filter(|prepayment| prepayment.due >= at) {
        prepayment.amount = Money::ZERO;
    }
}

/// Leaves out what lies in billing periods that end before the plan begins, and what of windows does.
fn begin(contract: &mut Contract, at: Instant) {
    if !contract.term.contains(at) || contract.term.from == at {
        return;
    }
    let period = contract.calendar.index(at);
    let from = contract.period(period).from;
    for clause in &mut contract.capacity {
        let now = clause.ramp.at(from).unwrap_or(0);
        clause.ramp = from_on(&clause.ramp, Span { from, to: from }, now);
    }
    contract.prepayments.iter_mut().for_each(|prepayment| rest(prepayment, &contract.calendar, contract.term, (period, from)));
    for floor in contract.floors.iter_mut().filter(|floor| floor.per != Period::Term) {
        let windows = contract.calendar.with_period(floor.per);
        let window = windows.span(windows.index(at)).overlap(contract.term);
        floor.least = cut(&floor.least, window, at);
    }
}

/// What of a prepayment that was paid before the plan is credited in it.
fn rest(prepayment: &mut Prepayment, calendar: &Calendar, term: Span, (period, from): (i64, Instant)) {
    if prepayment.due >= from || prepayment.credited_from >= term.to {
        return;
    }
    let first = calendar.index(prepayment.credited_from.max(term.from));
    let parts = i64::from(prepayment.credit_periods);
    let past = (period - first).clamp(0, parts);
    prepayment.amount -= prepayment.amount.times_ratio(i128::from(past), i128::from(parts.max(1)));
    prepayment.credit_periods = u32::try_from(parts - past).unwrap_or(0).max(1);
    (prepayment.due, prepayment.credited_from) = (Instant::MIN, prepayment.credited_from.max(from));
}

/// A minimum that asks for nothing before `window`, and in it for the part from `at` on.
fn cut(least: &Least, window: Span, at: Instant) -> Least {
    let (part, whole) = (micros(Span { from: at, to: window.to }), micros(window));
    match least {
        Least::Spend(ramp) => {
            let of = |money: Money| money.times_ratio(part, whole);
            Least::Spend(from_on(ramp, window, ramp.at(window.from).map_or(Money::ZERO, of)))
        }
        Least::Quantity(ramp, rate) => {
            let of = |quantity: Quantity| Quantity::new(share(quantity.count(), part, whole));
            Least::Quantity(from_on(ramp, window, ramp.at(window.from).map_or(Quantity::ZERO, of)), *rate)
        }
    }
}

/// A minimum over the whole term, taken in proportion.
pub(crate) fn scaled(least: &Least, part: i128, whole: i128) -> Least {
    match least {
        Least::Spend(ramp) => Least::Spend(ramp.map(|money| money.times_ratio(part, whole))),
        Least::Quantity(ramp, rate) => Least::Quantity(ramp.map(|quantity| Quantity::new(share(quantity.count(), part, whole))), *rate),
    }
}

fn share(count: i64, part: i128, whole: i128) -> i64 {
    i64::try_from(round_half_even(i128::from(count) * part, whole.max(1))).unwrap_or(i64::MAX)
}

/// A ramp that begins with `first` at the window's beginning and is as it was from its end on.
fn from_on<T: Copy>(ramp: &Ramp<T>, window: Span, first: T) -> Ramp<T> {
    let then = ramp.at(window.to).map(|amount| (window.to, amount)).filter(|_| window.from < window.to);
    let later = ramp.steps().iter().copied().filter(|(at, _)| *at > window.to);
    Ramp::new([(window.from, first)].into_iter().chain(then).chain(later).collect()).unwrap_or_else(|_| ramp.clone())
}
