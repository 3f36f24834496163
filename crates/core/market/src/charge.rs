//! Charges of a period: section 3 of `docs/contracts.md`.

use fleet::{Calendar, Charge, Contract, ContractId, Escalation, Meter, Overflow, Period, RateClause, Tier, TierKind};
use units::{Instant, Money, Quantity, Rate, Span};

use crate::books::{Books, Step};
use crate::statement::{Clause, Line, periods};

/// Intervals after which a price rises no more, and the price it does not pass: both far beyond any contract.
const ESCALATIONS_MAX: i64 = 1_000;
const PRICE_MAX: Money = Money::from_units(1_000_000_000);

/// Whether charges are computed from what is held or from what is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Held,
    Used,
}

/// The charges of a contract's periods, asked for in rising order.
pub(crate) struct Charging<'a, 'b> {
    books: &'a Books<'b>,
    contract: ContractId,
    reading: Reading,
    /// What earlier periods of the term had, by rates clause; zero where tiers begin anew with each period.
    before: Vec<Quantity>,
}

impl<'a, 'b> Charging<'a, 'b> {
    /// Charges from period `first` on. Only tiers over the term look further back.
    pub fn new(books: &'a Books<'b>, contract: ContractId, reading: Reading, first: i64) -> Self {
        let rates = &books.terms(contract).rates;
        let mut charging = Self { books, contract, reading, before: vec![Quantity::ZERO; rates.len()] };
        if rates.iter().any(|clause| clause.over_term) {
            let start = *periods(books.fleet, contract).start();
            for step in books.charged(contract, start..=first - 1) {
                charging.pass(step);
            }
        }
        charging
    }

    /// The lines of the step's first period; what its further periods have counts as had.
    pub fn lines(&mut self, step: Step) -> Vec<Line> {
        let terms = self.books.terms(self.contract);
        let mut lines = Vec::new();
        for (index, clause) in terms.rates.iter().enumerate() {
            let quantity = self.quantity(clause, step.first);
            let raised = raises(self.books, self.contract, clause, step.first);
            lines.extend(tier_lines(index, clause, raised, self.before[index], quantity));
        }
        lines.extend(self.overflow(step.first));
        self.pass(step);
        lines
    }

    fn pass(&mut self, step: Step) {
        let rates = &self.books.terms(self.contract).rates;
        for (index, clause) in rates.iter().enumerate().filter(|(_, clause)| clause.over_term) {
            let had = self.quantity(clause, step.first).count().saturating_mul(step.count);
            self.before[index] += Quantity::new(had);
        }
    }

    fn quantity(&self, clause: &RateClause, period: i64) -> Quantity {
        let total = self.books.total(self.contract, period, clause.meter);
        let committed = || self.books.committed(self.contract, clause.meter, period);
        let (held, used) = (total.held.max(Quantity::ZERO), total.used.max(Quantity::ZERO));
        match (clause.charge, self.reading) {
            (Charge::Metered, Reading::Held) => held,
            (Charge::Metered, Reading::Used) => used,
            (Charge::Committed, Reading::Held) => committed(),
            (Charge::Committed, Reading::Used) => committed().min(used),
        }
    }

    /// What is held beyond the committed quantity, once for each meter that is committed.
    fn overflow(&self, period: i64) -> Vec<Line> {
        let terms = self.books.terms(self.contract);
        let Some(Overflow::AtRate(rate)) = terms.overflow else { return Vec::new() };
        let mut meters: Vec<Meter> = Vec::new();
        for clause in terms.rates.iter().filter(|clause| clause.charge == Charge::Committed) {
            if !meters.contains(&clause.meter) {
                meters.push(clause.meter);
            }
        }
        let exceeds = |meter: Meter| {
            let held = self.books.total(self.contract, period, meter).held;
            (meter, held - self.books.committed(self.contract, meter, period))
        };
        let exceeding = meters.into_iter().map(exceeds).filter(|(_, quantity)| *quantity > Quantity::ZERO);
        exceeding.map(|(meter, quantity)| line(Clause::Overflow, meter, quantity, rate)).collect()
    }
}

/// The intervals after which a clause's rates rise, counted from the term's start.
fn intervals(terms: &Contract, escalation: Escalation) -> Calendar {
    let zone = terms.calendar.zone().clone();
    let start = jiff::Timestamp::from(terms.term.from).to_zoned(zone.clone()).datetime();
    Calendar::new(zone, start, escalation.every)
}

/// How often a clause's rates have risen by the first instant of a period.
fn raises(books: &Books<'_>, contract: ContractId, clause: &RateClause, period: i64) -> Option<(Escalation, i64)> {
    let (terms, escalation) = (books.terms(contract), clause.escalation?);
    let whole = intervals(terms, escalation).index(terms.period(period).from);
    Some((escalation, whole.clamp(0, ESCALATIONS_MAX)))
}

/// The instants in `span` at which a clause's rates rise.
pub(crate) fn escalates(terms: &Contract, clause: &RateClause, span: Span) -> Vec<Instant> {
    let Some(escalation) = clause.escalation.filter(|escalation| escalation.every != Period::Term) else { return Vec::new() };
    let intervals = intervals(terms, escalation);
    let last = intervals.index(span.to).min(ESCALATIONS_MAX);
    (intervals.index(span.from)..=last).map(|interval| intervals.boundary(interval)).collect()
}

/// A rate raised `n` times, each rounded to a nano-unit, and never past [`PRICE_MAX`].
fn raised(rate: Rate, raises: Option<(Escalation, i64)>) -> Rate {
    let Some((escalation, times)) = raises else { return rate };
    (0..times).fold(rate, |rate, _| {
        let next = rate.raised(escalation.by);
        Rate { money: next.money.min(PRICE_MAX), per: rate.per }
    })
}

/// A clause's tiers as they are raised in a period.
pub(crate) fn tiers_in(books: &Books<'_>, contract: ContractId, index: usize, period: i64) -> Vec<Tier> {
    let clause = &books.terms(contract).rates[index];
    let raises = raises(books, contract, clause, period);
    clause.tiers.iter().map(|tier| Tier { from: tier.from, rate: raised(tier.rate, raises) }).collect()
}

/// The rate that the next unit of a clause is charged at once the term has `before` and the period `quantity`.
pub(crate) fn rate_at(books: &Books<'_>, contract: ContractId, index: usize, at: Instant) -> Rate {
    let terms = books.terms(contract);
    let (clause, period) = (&terms.rates[index], terms.calendar.index(at));
    let charging = Charging::new(books, contract, Reading::Held, period);
    let reached = charging.before[index] + charging.quantity(clause, period);
    let tier = tier_of(clause, reached);
    raised(clause.tiers[tier].rate, raises(books, contract, clause, period))
}

fn tier_of(clause: &RateClause, reached: Quantity) -> usize {
    clause.tiers.partition_point(|tier| tier.from <= reached).saturating_sub(1)
}

fn tier_lines(index: usize, clause: &RateClause, raises: Option<(Escalation, i64)>, before: Quantity, quantity: Quantity) -> Vec<Line> {
    let make =
        |tier: usize, part: Quantity| line(Clause::Rates { index, tier }, clause.meter, part, raised(clause.tiers[tier].rate, raises));
    if quantity <= Quantity::ZERO {
        return Vec::new();
    }
    let after = before + quantity;
    match clause.kind {
        TierKind::Volume => vec![make(tier_of(clause, after), quantity)],
        TierKind::Graduated => {
            let ends = clause.tiers.iter().skip(1).map(|tier: &Tier| tier.from).chain([Quantity::new(i64::MAX)]);
            let parts = clause.tiers.iter().zip(ends).map(|(tier, end)| after.min(end) - before.max(tier.from));
            let parts = parts.enumerate().filter(|(_, part)| *part > Quantity::ZERO);
            parts.map(|(tier, part)| make(tier, part)).collect()
        }
    }
}

fn line(clause: Clause, meter: Meter, quantity: Quantity, rate: Rate) -> Line {
    Line { clause, meter: Some(meter), quantity, rate: Some(rate), money: rate.cost(quantity) }
}
