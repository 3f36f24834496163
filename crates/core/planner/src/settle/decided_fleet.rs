//! The fleet as a plan decides it: what is signed is signed, what is ordered raises its clause, and nothing outlasts the plan.

use fleet::{CapacityOf, Contract, Fleet, Floor, Least, Period, Ramp, Status, Table, Tranche};
use units::{Instant, Money, Quantity, Span, round_half_even};

use crate::plan::{Added, Plan};
use crate::survey::moved;

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
    for added in plan.added.iter().filter(|added| added.contract == name) {
        raise(&mut contract, added, plan);
    }
    end(&mut contract, last.span.to);
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

/// Counts the contract as if its term ended with the plan: what a minimum over the whole term asks for is taken in proportion,
/// and what is prepaid later is no matter of the plan.
fn end(contract: &mut Contract, at: Instant) {
    let whole = contract.term;
    if whole.to <= at || at <= whole.from {
        return;
    }
    contract.term.to = at;
    for floor in contract.floors.iter_mut().filter(|floor| floor.per == Period::Term) {
        shorten(floor, contract.term, whole);
    }
    for prepayment in contract.prepayments.iter_mut().filter(|prepayment| prepayment.due >= at) {
        prepayment.amount = Money::ZERO;
    }
}

fn shorten(floor: &mut Floor, part: Span, whole: Span) {
    let micros = |span: Span| i128::from(span.to.micros()) - i128::from(span.from.micros());
    let (part, whole) = (micros(part), micros(whole));
    floor.least = match &floor.least {
        Least::Spend(ramp) => Least::Spend(ramp.map(|money| money.times_ratio(part, whole))),
        Least::Quantity(ramp, rate) => {
            let less = |quantity: Quantity| round_half_even(i128::from(quantity.count()) * part, whole);
            Least::Quantity(ramp.map(|quantity| Quantity::new(i64::try_from(less(quantity)).unwrap_or(i64::MAX))), *rate)
        }
    };
}
