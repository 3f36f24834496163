//! What may be signed: the contract moved in time, and the fleet as it is when the plan signs.

use fleet::{Contract, ContractId, Fleet, Period, Status, Table};
use jiff::tz::TimeZone;
use units::Instant;

use crate::moved::moved;
use crate::settle::{end, scaled};
use crate::survey::months::micros;

/// The fleet as a plan that begins at `begins` decides it: these contracts signed, each moved by so many months, and tranches that are
/// due from then on delivered when they are due.
#[must_use]
pub fn decided(fleet: &Fleet, begins: Instant, signed: &[(ContractId, i32)]) -> Fleet {
    let rows = fleet.contracts.iter().map(|(id, name, contract)| {
        let choice = signed.iter().find(|(contract, _)| *contract == id);
        let mut terms = choice.map_or_else(|| contract.clone(), |(_, months)| moved(contract, *months));
        if choice.is_some() {
            terms.status = Status::Signed;
        }
        for tranche in terms.delivery.iter_mut().flat_map(|delivery| &mut delivery.tranches) {
            tranche.delivered = tranche.delivered.or((tranche.due >= begins).then_some(tranche.due));
        }
        (name.to_owned(), terms)
    });
    Fleet { contracts: Table::new(rows.collect()), ..fleet.clone() }
}

/// The fleet with each contract counted as if it ended with the plan, if not before: what is due of a period that the end cuts is what
/// falls in the plan.
pub(crate) fn ended(fleet: &Fleet, at: Instant) -> Fleet {
    let rows = fleet.contracts.iter().map(|(_, name, contract)| {
        let mut terms = contract.clone();
        end(&mut terms, at);
        let (planned, whole) = (i128::from(micros(terms.term)), i128::from(micros(contract.term)));
        for floor in terms.floors.iter_mut().filter(|floor| floor.per == Period::Term) {
            floor.least = scaled(&floor.least, planned, whole);
        }
        (name.to_owned(), terms)
    });
    Fleet { contracts: Table::new(rows.collect()), ..fleet.clone() }
}

/// Whether a contract is in a plan, or may be.
pub(crate) fn takes_part(contract: &Contract) -> bool {
    contract.status == Status::Signed || (contract.status == Status::Discussed && contract.offer.is_some())
}

/// By how many months a contract moves when it starts at `start`; none when that is not whole months away.
pub(crate) fn months_to(contract: &Contract, start: Instant) -> Option<i32> {
    let zone = contract.calendar.zone();
    let civil = |at: Instant| jiff::Timestamp::from(at).to_zoned(zone.clone()).datetime();
    let (own, other) = (civil(contract.term.from), civil(start));
    let months = (i32::from(other.year()) - i32::from(own.year())) * 12 + i32::from(other.month()) - i32::from(own.month());
    (later(zone, contract.term.from, months) == start).then_some(months)
}

fn later(zone: &TimeZone, at: Instant, months: i32) -> Instant {
    if at == Instant::MIN || at == Instant::MAX {
        return at;
    }
    let civil = jiff::Timestamp::from(at).to_zoned(zone.clone());
    let moved = span(months).and_then(|span| civil.checked_add(span).ok());
    moved.map_or(at, |zoned| Instant::from(zoned.timestamp()))
}

fn span(months: i32) -> Option<jiff::Span> {
    jiff::Span::new().try_months(months).ok()
}
