//! What may be signed: the contract moved in time, and the fleet as it is when the plan signs.

use fleet::{Calendar, Contract, ContractId, Fleet, Least, Ramp, Status, Table};
use jiff::tz::TimeZone;
use units::{Instant, Span};

/// The contract with every date `months` later: term, periods, ramps, deliveries, prepayments, spans. What has no date stays.
///
/// A day that a month lacks becomes its last.
#[must_use]
pub fn moved(contract: &Contract, months: i32) -> Contract {
    let mut moved = contract.clone();
    if months == 0 {
        return moved;
    }
    let zone = contract.calendar.zone().clone();
    let at = |at: Instant| later(&zone, at, months);
    let span = |span: Span| Span { from: at(span.from), to: at(span.to) };
    let anchor = contract.calendar.anchor();
    let anchor = self::span(months).and_then(|span| anchor.checked_add(span).ok()).unwrap_or(anchor);
    moved.term = span(contract.term);
    moved.calendar = Calendar::new(zone.clone(), anchor, contract.calendar.period());
    for clause in &mut moved.capacity {
        clause.ramp = steps(&clause.ramp, at);
    }
    for floor in &mut moved.floors {
        floor.least = match &floor.least {
            Least::Spend(ramp) => Least::Spend(steps(ramp, at)),
            Least::Quantity(ramp, rate) => Least::Quantity(steps(ramp, at), *rate),
        };
    }
    for prepayment in &mut moved.prepayments {
        (prepayment.due, prepayment.credited_from) = (at(prepayment.due), at(prepayment.credited_from));
    }
    for tranche in moved.delivery.iter_mut().flat_map(|delivery| &mut delivery.tranches) {
        (tranche.due, tranche.delivered) = (at(tranche.due), tranche.delivered.map(at));
    }
    moved.exclusivities.iter_mut().for_each(|clause| clause.span = span(clause.span));
    moved.first_refusals.iter_mut().for_each(|clause| clause.span = span(clause.span));
    moved
}

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

/// The same amounts at moved dates; two steps that fall on one day are the later one.
fn steps<T: Copy>(ramp: &Ramp<T>, at: impl Fn(Instant) -> Instant) -> Ramp<T> {
    let mut steps: Vec<(Instant, T)> = Vec::new();
    for (from, amount) in ramp.steps() {
        let from = at(*from);
        steps.retain(|(earlier, _)| *earlier < from);
        steps.push((from, *amount));
    }
    Ramp::new(steps).unwrap_or_else(|_| ramp.clone())
}
