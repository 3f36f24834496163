//! What a floor's windows come to: section 5 of `docs/contracts.md`.
//!
//! Amounts are nano-units of money or base units of quantity, as the floor's least is; only a shortfall becomes a line.

use core::ops::RangeInclusive;
use std::collections::{BTreeMap, VecDeque};

use fleet::{Calendar, CarryOver, ContractId, Floor, Least};
use units::{Money, Quantity, Share, Span, round_half_even};

use crate::books::{Books, before, ending_in};
use crate::capacity::{less, micros, pieces, substituted};
use crate::counted::counted;
use crate::statement::{Clause, Line};

/// The lines for what floors were short of, in the billing periods that hold their windows' last instants.
pub(crate) fn shortfalls(books: &Books<'_>, contract: ContractId, period: i64) -> Vec<Line> {
    let terms = books.terms(contract);
    let mut lines = Vec::new();
    for index in 0..terms.floors.len() {
        let mut windows = Windows::new(books, contract, index);
        for window in ending_in(&windows.calendar, terms.term, terms.period(period)) {
            lines.push(windows.line(window));
        }
    }
    lines.retain(|line| line.money > Money::ZERO);
    lines
}

/// The windows of one floor.
pub(crate) struct Windows<'a, 'b> {
    books: &'a Books<'b>,
    contract: ContractId,
    index: usize,
    floor: &'b Floor,
    pub calendar: Calendar,
    tallies: BTreeMap<i64, Tally>,
}

/// A window before anything is carried into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    least: i128,
    counted: i128,
}

impl Tally {
    fn need(self) -> i128 {
        (self.least - self.counted).max(0)
    }

    fn excess(self, share: Share) -> i128 {
        round_half_even((self.counted - self.least).max(0) * i128::from(share.ppm()), i128::from(Share::ALL.ppm()))
    }
}

/// Excess that has not been used or expired.
struct Carried {
    from: i64,
    left: i128,
}

impl<'a, 'b> Windows<'a, 'b> {
    pub fn new(books: &'a Books<'b>, contract: ContractId, index: usize) -> Self {
        let terms = books.terms(contract);
        let floor = &terms.floors[index];
        Self { books, contract, index, floor, calendar: terms.calendar.with_period(floor.per), tallies: BTreeMap::new() }
    }

    /// The window that holds the last instant of `span`, if that is within the term.
    pub fn holding(&self, span: Span) -> Option<i64> {
        let term = self.books.terms(self.contract).term;
        (!span.is_empty() && term.contains(before(span.to))).then(|| self.calendar.index(before(span.to)))
    }

    /// What a window is short of once what earlier ones carried is taken.
    pub fn short(&mut self, window: i64) -> i128 {
        let need = self.tally(window).need();
        if need == 0 {
            return 0;
        }
        let carried: i128 = self.carried_into(window).iter().map(|carried| carried.left).sum();
        (need - carried).max(0)
    }

    /// The money that a window's shortfall is charged at.
    pub fn line(&mut self, window: i64) -> Line {
        let short = self.short(window);
        let (quantity, rate, money) = match &self.floor.least {
            Least::Spend(_) => (Quantity::ZERO, None, Money::from_nanos(short)),
            Least::Quantity(_, rate) => {
                let quantity = Quantity::new(i64::try_from(short).unwrap_or(i64::MAX));
                (quantity, Some(*rate), rate.cost(quantity))
            }
        };
        Line { clause: Clause::Shortfall { index: self.index }, meter: None, quantity, rate, money }
    }

    fn first(&self) -> i64 {
        self.calendar.index(self.books.terms(self.contract).term.from)
    }

    pub fn span(&self, window: i64) -> Span {
        self.calendar.span(window).overlap(self.books.terms(self.contract).term)
    }

    fn tally(&mut self, window: i64) -> Tally {
        if let Some(tally) = self.tallies.get(&window) {
            return *tally;
        }
        let span = self.span(window);
        let tally = self.books.tally((self.contract, self.index), window, span, || Tally {
            least: self.least(window, span),
            counted: counted(self.books, self.contract, self.index, span),
        });
        self.tallies.insert(window, tally);
        tally
    }

    pub fn least(&self, window: i64, span: Span) -> i128 {
        let written = match &self.floor.least {
            Least::Spend(ramp) => ramp.at(span.from).map_or(0, Money::nanos),
            Least::Quantity(ramp, _) => ramp.at(span.from).map_or(0, |quantity| i128::from(quantity.count())),
        };
        let whole = self.calendar.span(window);
        let partial = self.calendar.period() != fleet::Period::Term && whole != span;
        let fraction = if partial { prorated(written, micros(span), micros(whole)) } else { written };
        let least = less(fraction, substituted(self.books.fleet, self.contract, span.from));
        if self.floor.abated_while_late { least - self.abated(least, span) } else { least }
    }

    /// The part of `least` that falls away because the supplier is late.
    fn abated(&self, least: i128, span: Span) -> i128 {
        let Some(delivery) = &self.books.terms(self.contract).delivery else { return 0 };
        let pieces = pieces(self.books.fleet, self.contract, delivery.of, span);
        let integral =
            |amount: fn(&crate::capacity::Piece) -> i64| pieces.iter().map(|piece| i128::from(amount(piece)) * micros(piece.span)).sum();
        let (total, late): (i128, i128) = (integral(|piece| piece.capacity), integral(|piece| piece.late));
        if total > 0 { prorated(least, late, total) } else { 0 }
    }

    fn carry_over(&self) -> Option<CarryOver> {
        self.floor.carry_over.filter(|carry| carry.windows > 0 && carry.share > Share::NONE)
    }

    fn excess(&mut self, window: i64, share: Share) -> i128 {
        if window < self.first() { 0 } else { self.tally(window).excess(share) }
    }

    /// What earlier windows carried that is still there when `window` begins, oldest first.
    fn carried_into(&mut self, window: i64) -> VecDeque<Carried> {
        let Some(carry) = self.carry_over() else { return VecDeque::new() };
        let reach = i64::from(carry.windows);
        let first = self.first();
        let (start, full) = self.known(window, carry);
        let mut carried = VecDeque::new();
        if full {
            for from in (start - reach).max(first)..start {
                carried.push_back(Carried { from, left: self.excess(from, carry.share) });
            }
        }
        for between in start..window {
            carried.retain(|carried| carried.from + reach >= between);
            let mut need = self.tally(between).need();
            for carried in &mut carried {
                let taken = carried.left.min(need);
                carried.left -= taken;
                need -= taken;
            }
            let left = self.excess(between, carry.share);
            carried.push_back(Carried { from: between, left });
        }
        carried.retain(|carried| carried.from + reach >= window);
        carried
    }

    /// The last window, not after `window`, of which it is known what is carried into it without looking further back: all that the
    /// windows in reach had in excess (none between them needed any: `true`), or nothing (the one before needed at least as much as
    /// could be there: `false`). At the latest the term's first window, so the chain from there comes out the same.
    fn known(&mut self, window: i64, carry: CarryOver) -> (i64, bool) {
        let (first, reach) = (self.first(), i64::from(carry.windows));
        let mut start = window;
        while start > first {
            let oldest = (start - reach).max(first);
            if (oldest + 1..start).rev().all(|between| self.tally(between).need() == 0) {
                return (start, true);
            }
            let previous = self.tally(start - 1);
            let reachable: RangeInclusive<i64> = (start - 1 - reach).max(first)..=start - 2;
            let most: i128 = reachable.map(|earlier| self.excess(earlier, carry.share)).sum();
            if previous.need() > 0 && previous.need() >= most {
                return (start, false);
            }
            start -= 1;
        }
        (first, false)
    }
}

/// `amount * part / whole` with `0 <= part <= whole`, rounded half to even; binary, because the product may be past `i128`.
fn prorated(amount: i128, part: i128, whole: i128) -> i128 {
    let (mut quotient, mut rest) = (0_i128, 0_i128);
    for bit in (0..127).rev() {
        let carried = 2 * rest + if amount.unsigned_abs() >> bit & 1 == 1 { part } else { 0 };
        quotient = 2 * quotient + carried / whole;
        rest = carried % whole;
    }
    let up = 2 * rest > whole || (2 * rest == whole && quotient % 2 == 1);
    (quotient + i128::from(up)) * amount.signum()
}
