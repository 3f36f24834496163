//! A contract whose dates all move by whole months, as an offer allows.

use fleet::{Contract, Floor, Least, Ramp};
use jiff::Timestamp;
use units::{Instant, Span};

/// The contract with each of its dates moved by whole months of its own calendar; days that a month lacks become its last.
#[must_use]
pub fn moved(contract: &Contract, months: i32) -> Contract {
    let shift = Shift { contract, months };
    let mut moved = contract.clone();
    moved.term = shift.span(contract.term);
    let calendar = &contract.calendar;
    let anchor = shift.months().and_then(|by| calendar.anchor().checked_add(by).ok()).unwrap_or(calendar.anchor());
    moved.calendar = fleet::Calendar::new(calendar.zone().clone(), anchor, calendar.period());
    moved.capacity.iter_mut().for_each(|clause| clause.ramp = shift.ramp(&clause.ramp));
    moved.floors.iter_mut().for_each(|floor| shift.floor(floor));
    for prepayment in &mut moved.prepayments {
        prepayment.due = shift.instant(prepayment.due);
        prepayment.credited_from = shift.instant(prepayment.credited_from);
    }
    for tranche in moved.delivery.iter_mut().flat_map(|delivery| &mut delivery.tranches) {
        tranche.due = shift.instant(tranche.due);
        tranche.delivered = tranche.delivered.map(|at| shift.instant(at));
    }
    moved.exclusivities.iter_mut().for_each(|clause| clause.span = shift.span(clause.span));
    moved.first_refusals.iter_mut().for_each(|clause| clause.span = shift.span(clause.span));
    moved
}

struct Shift<'a> {
    contract: &'a Contract,
    months: i32,
}

impl Shift<'_> {
    fn months(&self) -> Option<jiff::Span> {
        jiff::Span::new().try_months(self.months).ok()
    }

    /// What is always so stays always so.
    fn instant(&self, at: Instant) -> Instant {
        if at == Instant::MIN || at == Instant::MAX {
            return at;
        }
        let calendar = &self.contract.calendar;
        let civil = Timestamp::from(at).to_zoned(calendar.zone().clone()).datetime();
        self.months().and_then(|by| civil.checked_add(by).ok()).map_or(at, |civil| calendar.instant(civil))
    }

    fn span(&self, span: Span) -> Span {
        Span { from: self.instant(span.from), to: self.instant(span.to) }
    }

    /// Of steps that fall together on a month's last day, the last holds.
    fn ramp<T: Copy>(&self, ramp: &Ramp<T>) -> Ramp<T> {
        let mut steps: Vec<(Instant, T)> = Vec::new();
        for (at, amount) in ramp.steps() {
            let at = self.instant(*at);
            steps.retain(|(earlier, _)| *earlier < at);
            steps.push((at, *amount));
        }
        Ramp::new(steps).unwrap_or_else(|_| ramp.clone())
    }

    fn floor(&self, floor: &mut Floor) {
        floor.least = match &floor.least {
            Least::Spend(ramp) => Least::Spend(self.ramp(ramp)),
            Least::Quantity(ramp, rate) => Least::Quantity(self.ramp(ramp), *rate),
        };
    }
}
