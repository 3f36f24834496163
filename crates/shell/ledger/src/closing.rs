//! Closing billing periods: each once, by its contract's own calendar, whatever the clock does.
//!
//! The periods of a contract are closed one after another: the next one begins where the last one ended. So what a clock
//! says can put a closing off, or bring several at once, but it can close nothing twice and leave nothing out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleet::{Contract, ContractId, Fleet, FleetVersion, Status};
use market::{Clause, Line};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use units::{Currency, Instant, Money, Quantity, Rate, Span};

use crate::book::Booking;
use crate::books::Fold;
use crate::chain::{CLOSING, CLOSING_LINE, Hash, Kind, Of};
use crate::error::LedgerError;
use crate::field::{Field, fields};
use crate::fleets::Fleets;
use crate::line::write_fields;
use crate::register::Register;
use crate::removed::Removed;
use crate::whole;
use crate::words::{Nanos, Word};

/// How long after its end a period is closed: what was held and used in it is posted by then.
pub const GRACE: Duration = Duration::from_secs(15 * 60);

/// At most so many periods are closed in one transaction.
pub(crate) const CLOSINGS_MAX: usize = 64;

/// A line of a closed period, with names that outlive the fleet version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedLine {
    /// Which clause: its word, and its index among those of its kind; for `amendment` the period that changed; `closed-before` is what was closed
    /// of the same time by an earlier calendar, `earlier-rates` a rate that left the fleet file.
    pub clause: String,
    /// The index, where the clause has one.
    pub place: Option<i64>,
    /// The tier of a rates clause.
    pub tier: Option<i64>,
    /// The meter and its subject, where there is one.
    pub meter: Option<(fleet::MeterKind, String)>,
    /// How much of it.
    pub quantity: Quantity,
    /// At which price, where there is one.
    pub rate: Option<Rate>,
    /// The money.
    pub money: Money,
}

/// A billing period that was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its number.
    pub number: i64,
    /// Of which contract.
    pub contract: String,
    /// Which period, as the contract's calendar numbers it.
    pub period: i64,
    /// The period.
    pub span: Span,
    /// When it was closed.
    pub at: Instant,
    /// The contract's currency.
    pub currency: Currency,
    /// What the lines add up to.
    pub due: Money,
    /// SHA-256 over the lines.
    pub digest: Hash,
    /// The newest posting that it knew.
    pub(crate) posting_to: i64,
    /// The row of the fleet version by which it was closed.
    pub(crate) fleet: i64,
    /// The lines of the statement, then amendments of earlier periods.
    pub lines: Vec<ClosedLine>,
}

const AMENDMENT: &str = "amendment";
/// What of a period's statement was closed by an earlier calendar.
const CLOSED_BEFORE: &str = "closed-before";
/// Rates that left the fleet file, of what was metered under them.
pub(crate) const EARLIER_RATES: &str = "earlier-rates";

/// The next period to close of a contract whose last closing ended at `closed_to`, once its end is [`GRACE`] past. A contract
/// of which nothing was closed begins with the period that holds the beginning of the books.
#[must_use]
pub fn closable(terms: &Contract, closed_to: Option<Instant>, books_began: Instant, now: Instant) -> Option<(i64, Span)> {
    let begin = closed_to.unwrap_or(books_began).max(terms.term.from);
    if terms.status != Status::Signed || begin >= terms.term.to {
        return None;
    }
    let period = terms.calendar.index(begin);
    let whole = terms.period(period);
    let span = Span { from: closed_to.map_or(whole.from, |closed| closed.max(whole.from)), to: whole.to };
    (!span.is_empty() && now >= span.to && now.since(span.to) >= GRACE).then_some((period, span))
}

/// When the books began.
fn began(connection: &Connection) -> Result<Option<Instant>, LedgerError> {
    let began = connection.query_row("SELECT min(first_used) FROM fleet", [], |row| row.get::<_, Option<i64>>(0))?;
    Ok(began.map(Instant::from_micros))
}

/// The contracts of the present fleet, and those that it has not signed, each of these with what is booked by the last fleet that had.
pub(crate) struct All<'a> {
    pub(crate) fold: &'a Fold,
    pub(crate) removed: &'a [Removed],
    pub(crate) folds: &'a mut Folds,
}

/// What is booked, by fleets other than the present one: those that had contracts signed which are so no more, and those that periods
/// were closed by.
#[derive(Debug)]
pub(crate) struct Folds {
    by: BTreeMap<FleetVersion, Fold>,
    fleets: Arc<Fleets>,
}

impl Folds {
    /// None yet.
    pub(crate) fn new(fleets: &Arc<Fleets>) -> Self {
        Self { by: BTreeMap::new(), fleets: Arc::clone(fleets) }
    }

    /// Folds what is booked by each fleet whose fold the periods that are to be closed need; the others are let go of. To be done before
    /// anything is locked: it takes as long as a start.
    pub(crate) fn prepare(&mut self, connection: &Connection, fleet: &Fleet, removed: &[Removed], now: Instant) -> Result<(), LedgerError> {
        let mut wanted = BTreeSet::new();
        for (_, name, terms) in fleet.contracts.iter() {
            if let Some(next) = next(connection, name, terms, now)? {
                wanted.extend(next.late(connection, name)?.iter().map(|closed| closed.fleet));
            }
        }
        for removed in removed {
            if let Some(next) = next_of(connection, removed, now)? {
                wanted.insert(removed.fleet.version);
                wanted.extend(next.late(connection, removed.name())?.iter().map(|closed| closed.fleet));
            }
        }
        wanted.remove(&fleet.version);
        self.by.retain(|version, _| wanted.contains(version));
        let newest = whole::newest(connection)?;
        for version in wanted {
            if let Some(fold) = self.take(connection, version, newest, now)? {
                self.put(fold);
            }
        }
        Ok(())
    }

    /// What is booked up to posting `to` by a fleet, unless its text is gone or is none to this program; to be put back.
    pub(crate) fn take(
        &mut self,
        connection: &Connection,
        version: FleetVersion,
        to: i64,
        now: Instant,
    ) -> Result<Option<Fold>, LedgerError> {
        let mut fold = match self.by.remove(&version) {
            Some(fold) => fold,
            None => match self.fleets.get(version)? {
                Some(fleet) => Fold::new(fleet, &self.fleets, now),
                None => return Ok(None),
            },
        };
        fold.catch_up(connection, to)?;
        Ok(Some(fold))
    }

    pub(crate) fn put(&mut self, fold: Fold) {
        self.by.insert(fold.fleet.version, fold);
    }

    /// Whether any is there.
    pub(crate) fn any(&self) -> bool {
        !self.by.is_empty()
    }

    /// Folds the rest, up to what the present fleet's has.
    pub(crate) fn catch_up(&mut self, connection: &Connection, to: i64) -> Result<(), LedgerError> {
        self.by.values_mut().try_for_each(|fold| fold.catch_up(connection, to))
    }
}

/// Whether the fleet has any period that `now` allows to be closed.
pub(crate) fn any(connection: &Connection, fleet: &Fleet, now: Instant) -> Result<bool, LedgerError> {
    for (_, name, terms) in fleet.contracts.iter() {
        if next(connection, name, terms, now)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The next period of a contract to close.
fn next(connection: &Connection, name: &str, terms: &Contract, now: Instant) -> Result<Option<Next>, LedgerError> {
    let Some(began) = began(connection)? else { return Ok(None) };
    let last = last_closed(connection, name)?;
    let found = closable(terms, last.map(|(to, _)| to), began, now);
    Ok(found.map(|(period, span)| Next { period, span, known_to: last.map(|(_, posting_to)| posting_to) }))
}

/// The same of one that the present fleet has not signed.
fn next_of(connection: &Connection, removed: &Removed, now: Instant) -> Result<Option<Next>, LedgerError> {
    match next(connection, removed.name(), removed.terms(), now)? {
        Some(next) if removed.has(connection, next.span.from)? => Ok(Some(next)),
        _ => Ok(None),
    }
}

/// A period that can be closed.
struct Next {
    period: i64,
    span: Span,
    /// The newest posting that the closing before it knew.
    known_to: Option<i64>,
}

impl Next {
    /// The closed periods that something may have come late for.
    fn late(&self, connection: &Connection, contract: &str) -> Result<Vec<Before>, LedgerError> {
        let Some(known_to) = self.known_to else { return Ok(Vec::new()) };
        earlier(connection, contract, self.span.from, (known_to, i64::MAX))
    }
}

/// A period that was closed before.
struct Before {
    number: i64,
    period: i64,
    span: Span,
    currency: Currency,
    fleet: FleetVersion,
}

/// The contract's closed periods that ended by `from`, from the one that the oldest posting between those two lies in, which may be another
/// contract's.
fn earlier(connection: &Connection, contract: &str, from: Instant, (known_to, to): (i64, i64)) -> Result<Vec<Before>, LedgerError> {
    let mut oldest = connection.prepare_cached("SELECT min(at_us) FROM posting WHERE id > ?1 AND id <= ?2")?;
    let oldest = oldest.query_row([known_to, to], |row| row.get::<_, Option<i64>>(0))?.map(Instant::from_micros);
    oldest.map_or_else(|| Ok(Vec::new()), |oldest| overlapping(connection, contract, Span { from: oldest, to: from }, i64::MAX))
}

/// The contract's closed periods that share time with `span` and have numbers below `before`.
fn overlapping(connection: &Connection, contract: &str, span: Span, before: i64) -> Result<Vec<Before>, LedgerError> {
    let mut select = connection.prepare_cached(
        "SELECT closing.id, period, from_us, to_us, fleet.version, currency FROM closing JOIN fleet ON fleet.id = closing.fleet
         WHERE contract = ?1 AND to_us > ?2 AND from_us < ?3 AND closing.id < ?4 ORDER BY from_us",
    )?;
    let found = select.query_map(params![contract, span.from.micros(), span.to.micros(), before], |row| {
        let span = Span { from: Instant::from_micros(row.get(2)?), to: Instant::from_micros(row.get(3)?) };
        let (fleet, currency) = (FleetVersion(row.get(4)?), currency_at(row, 5)?);
        Ok(Before { number: row.get(0)?, period: row.get(1)?, span, currency, fleet })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Closes what `now` allows, at most [`CLOSINGS_MAX`] periods, and says how many those were. The folds are of all that is booked.
pub(crate) fn close(booking: &mut Booking<'_>, all: &mut All<'_>, now: Instant) -> Result<usize, LedgerError> {
    let mut closed = 0;
    for (contract, name, terms) in all.fold.fleet.contracts.iter() {
        while closed < CLOSINGS_MAX
            && let Some(next) = next(booking.connection, name, terms, now)?
        {
            close_one(booking, (all.fold, all.folds), contract, &next, now)?;
            closed += 1;
        }
    }
    for removed in all.removed {
        while closed < CLOSINGS_MAX
            && let Some(next) = next_of(booking.connection, removed, now)?
            && let Some(fold) = all.folds.take(booking.connection, removed.fleet.version, all.fold.posting_to, now)?
        {
            close_one(booking, (&fold, all.folds), removed.contract, &next, now)?;
            all.folds.put(fold);
            closed += 1;
        }
    }
    Ok(closed)
}

/// Closes a period of a contract of the fold's fleet.
fn close_one(
    booking: &mut Booking<'_>,
    (fold, folds): (&Fold, &mut Folds),
    contract: ContractId,
    next: &Next,
    now: Instant,
) -> Result<(), LedgerError> {
    let Next { period, span, known_to } = *next;
    let lines = lines(booking.connection, (fold, folds), (contract, period, span), known_to, i64::MAX)?;
    // In a ledger that is put together of several the chain names fewer postings.
    insert(booking, fold, (contract, period), span, fold.posting_to, &lines, now)
}

/// Where the last closing of a contract ended, and the newest posting that it knew.
pub(crate) fn last_closed(connection: &Connection, contract: &str) -> Result<Option<(Instant, i64)>, LedgerError> {
    let mut select = connection.prepare_cached("SELECT to_us, posting_to FROM closing WHERE contract = ?1 ORDER BY to_us DESC LIMIT 1")?;
    Ok(select.query_row([contract], |row| Ok((Instant::from_micros(row.get(0)?), row.get(1)?))).optional()?)
}

/// The lines of a period that is closed over `span`: its statement's, less what is closed of it by an earlier calendar, then what earlier
/// periods have changed by since they were closed, as far as closings with numbers below `before` booked it.
pub(crate) fn lines(
    connection: &Connection,
    (fold, folds): (&Fold, &mut Folds),
    (contract, period, span): (ContractId, i64, Span),
    known_to: Option<i64>,
    before: i64,
) -> Result<Vec<ClosedLine>, LedgerError> {
    let mut lines = statement_lines(fold, contract, period)?;
    let (name, terms) = (fold.fleet.contracts.name(contract), &fold.fleet.contracts[contract]);
    let whole = terms.period(period);
    let (mut closed, foreign) = closed_within(connection, (name, terms.currency), Span { to: span.from, ..whole }, before)?;
    // Money of another currency can't be taken off: of the statement, as much as its time.
    closed += lines.iter().map(|line| line.money).sum::<Money>().times_ratio(foreign, length(whole));
    if closed != Money::ZERO {
        lines.push(of_money(CLOSED_BEFORE, None, Money::ZERO - closed));
    }
    if let Some(known_to) = known_to {
        lines.extend(amendments(connection, (fold, folds), (contract, whole, span.from), known_to, before)?);
    }
    Ok(lines)
}

/// What was closed of the time in `span`, amendments of it among that: by an earlier calendar, if the contract's present period begins before.
/// A closed period that lies in it only in part counts by the share of its time. And how much of that time was closed in another currency.
fn closed_within(
    connection: &Connection,
    (contract, currency): (&str, Currency),
    span: Span,
    before: i64,
) -> Result<(Money, i128), LedgerError> {
    let (mut money, mut foreign) = (Money::ZERO, 0);
    if span.is_empty() {
        return Ok((money, foreign));
    }
    for closed in overlapping(connection, contract, span, before)? {
        let shared = length(closed.span.overlap(span));
        if closed.currency == currency {
            let booked = booked(connection, contract, &closed, before)?;
            money += (booked.due + booked.closed_before).times_ratio(shared, length(closed.span));
        } else {
            foreign += shared;
        }
    }
    Ok((money, foreign))
}

/// How long a span is, in microseconds.
fn length(span: Span) -> i128 {
    i128::from(span.to.micros() - span.from.micros())
}

/// A line that is money and nothing else.
fn of_money(clause: &str, place: Option<i64>, money: Money) -> ClosedLine {
    ClosedLine { clause: clause.to_owned(), place, tier: None, meter: None, quantity: Quantity::ZERO, rate: None, money }
}

/// The lines of a period's statement by what is in the fold.
pub(crate) fn statement_lines(fold: &Fold, contract: ContractId, period: i64) -> Result<Vec<ClosedLine>, LedgerError> {
    let own = fold.fleet.contracts[contract].rates.len();
    fold.statement(contract, period).lines.iter().map(|line| closed_line(&fold.present, own, line)).collect()
}

/// What each period of the contract that ended by `from` has changed by, where a posting came late for any contract's closed time: by the
/// terms that it was closed by, whatever the file has said since. The first period by a new calendar has all of its own time, `whole`, in its
/// statement; a number that a later calendar gave again could not be told from that one's; and money of another currency adds up with nothing.
fn amendments(
    connection: &Connection,
    (fold, folds): (&Fold, &mut Folds),
    (contract, whole, from): (ContractId, Span, Instant),
    known_to: i64,
    before: i64,
) -> Result<Vec<ClosedLine>, LedgerError> {
    let (name, currency) = (fold.fleet.contracts.name(contract), fold.fleet.contracts[contract].currency);
    let (mut lines, mut covered_from, mut numbers) = (Vec::new(), whole.from, BTreeSet::new());
    for closed in earlier(connection, name, from, (known_to, fold.posting_to))?.into_iter().rev() {
        let own = if closed.fleet == fold.fleet.version {
            None
        } else {
            // By a fleet that can't be read any more nothing can be said of it, nor of what it may have had of those before it.
            let Some(own) = folds.take(connection, closed.fleet, fold.posting_to, from)? else { break };
            Some(own)
        };
        let by = own.as_ref().unwrap_or(fold);
        if let Some(contract) = by.fleet.contracts.id(name) {
            let is_last = numbers.insert(closed.period);
            if closed.span.to <= covered_from && is_last && closed.currency == currency {
                let now_due = by.statement(contract, closed.period).due;
                let money = now_due - booked(connection, name, &closed, before)?.due;
                if money != Money::ZERO {
                    lines.push(of_money(AMENDMENT, Some(closed.period), money));
                }
            }
            covered_from = covered_from.min(by.fleet.contracts[contract].period(closed.period).from);
        }
        if let Some(own) = own {
            folds.put(own);
        }
    }
    lines.reverse();
    Ok(lines)
}

/// What was booked for a closed period.
struct Booked {
    /// Its statement's lines, and the amendments of it.
    due: Money,
    /// What of that an earlier calendar had closed before.
    closed_before: Money,
}

/// What was booked so far for a closed period: amendments of it all came after it, in its currency; before, another calendar may have given its
/// number to another period.
fn booked(connection: &Connection, contract: &str, closed: &Before, before: i64) -> Result<Booked, LedgerError> {
    let mut select = connection.prepare_cached(
        "SELECT closing_line.money, clause = 'closed-before' FROM closing_line JOIN closing ON closing.id = closing_line.closing
         WHERE closing.id < ?4 AND
             ((closing.id = ?1 AND clause <> 'amendment')
                 OR (closing.contract = ?2 AND closing.from_us >= ?5 AND currency = ?6 AND clause = 'amendment' AND place = ?3))",
    )?;
    let values = params![closed.number, contract, closed.period, before, closed.span.to.micros(), closed.currency.code()];
    let mut rows = select.query(values)?;
    let mut booked = Booked { due: Money::ZERO, closed_before: Money::ZERO };
    while let Some(row) = rows.next()? {
        let Nanos(money) = row.get(0)?;
        *(if row.get(1)? { &mut booked.closed_before } else { &mut booked.due }) += money;
    }
    Ok(booked)
}

/// A line by names that outlive the fleet; of its rates clauses the first `own` are the contract's present ones.
fn closed_line(register: &Register, own: usize, line: &Line) -> Result<ClosedLine, LedgerError> {
    let place = |index: usize| i64::try_from(index).ok();
    let (clause, place, tier) = match line.clause {
        Clause::Rates { index, tier } if index >= own => (EARLIER_RATES, place(index - own), place(tier)),
        Clause::Rates { index, tier } => ("rates", place(index), place(tier)),
        Clause::Overflow => ("overflow", None, None),
        Clause::Prepayment { index } => ("prepayment", place(index), None),
        Clause::Credit { index } => ("credit", place(index), None),
        Clause::Penalty { tranche } => ("penalty", place(tranche), None),
        Clause::Shortfall { index } => ("shortfall", place(index), None),
        Clause::Rounding => ("rounding", None, None),
    };
    let meter = line.meter.map(|meter| register.subject(meter).map(|subject| (meter.kind(), subject.to_owned()))).transpose()?;
    Ok(ClosedLine { clause: clause.to_owned(), place, tier, meter, quantity: line.quantity, rate: line.rate, money: line.money })
}

fn insert(
    booking: &mut Booking<'_>,
    fold: &Fold,
    (contract, period): (ContractId, i64),
    span: Span,
    posting_to: i64,
    lines: &[ClosedLine],
    now: Instant,
) -> Result<(), LedgerError> {
    let due: Money = lines.iter().map(|line| line.money).sum();
    let currency = fold.fleet.contracts[contract].currency.to_string();
    let number = booking.chain.insert_next(
        &CLOSING,
        &fields![
            fold.fleet.contracts.name(contract),
            period,
            span.from.micros(),
            span.to.micros(),
            booking.registers.row(fold.fleet.version)?,
            now.micros(),
            currency.as_str(),
            Nanos(due),
            &digest(lines).0[..],
            posting_to,
        ],
    )?;
    for (index, line) in (0_i64..).zip(lines) {
        let mut fields = fields![number, index].to_vec();
        fields.extend(fields_of(line));
        booking.chain.insert_new(&CLOSING_LINE, &fields)?;
    }
    booking.chain.link(Kind::Closing, Of::Row(number))
}

/// The columns of a line, but for the closing's number and its own.
fn fields_of(line: &ClosedLine) -> [Field<'_>; 9] {
    fields![
        line.clause.as_str(),
        line.place,
        line.tier,
        line.meter.as_ref().map(|(kind, _)| Word(*kind)),
        line.meter.as_ref().map(|(_, subject)| subject.as_str()),
        line.quantity.count(),
        line.rate.map(|rate| Nanos(rate.money)),
        line.rate.map(|rate| rate.per),
        Nanos(line.money),
    ]
}

/// SHA-256 over the lines, as the chain writes them but without the closing's number.
pub(crate) fn digest(lines: &[ClosedLine]) -> Hash {
    let mut text = Vec::new();
    for line in lines {
        write_fields(&mut text, &fields_of(line));
    }
    Hash(Sha256::digest(&text).into())
}

/// Every closed period, or those of one contract, in the order in which they were closed.
pub(crate) fn all(connection: &Connection, contract: Option<&str>) -> Result<Vec<Closed>, LedgerError> {
    select(connection, "?1 IS NULL OR contract = ?1", params![contract])
}

/// Every closed period with a number past this, in the order in which they were closed.
pub(crate) fn past(connection: &Connection, number: i64) -> Result<Vec<Closed>, LedgerError> {
    select(connection, "id > ?1", params![number])
}

/// Only text of this program's own becomes SQL: `'static` says so.
fn select(connection: &Connection, which: &'static str, params: impl rusqlite::Params) -> Result<Vec<Closed>, LedgerError> {
    let columns = "id, contract, period, from_us, to_us, at_us, currency, due, digest, posting_to, fleet";
    let mut select = connection.prepare_cached(&["SELECT", columns, "FROM closing WHERE", which, "ORDER BY id"].join(" "))?;
    let mut found = select.query_map(params, closed_at)?.collect::<Result<Vec<_>, _>>()?;
    for closed in &mut found {
        closed.lines = lines_of(connection, closed.number)?;
    }
    Ok(found)
}

fn closed_at(row: &Row<'_>) -> rusqlite::Result<Closed> {
    let Nanos(due) = row.get(7)?;
    Ok(Closed {
        number: row.get(0)?,
        contract: row.get(1)?,
        period: row.get(2)?,
        span: Span { from: Instant::from_micros(row.get(3)?), to: Instant::from_micros(row.get(4)?) },
        at: Instant::from_micros(row.get(5)?),
        currency: currency_at(row, 6)?,
        due,
        digest: Hash(row.get(8)?),
        posting_to: row.get(9)?,
        fleet: row.get(10)?,
        lines: Vec::new(),
    })
}

fn currency_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Currency> {
    row.get::<_, String>(column)?.parse().map_err(|_| rusqlite::Error::InvalidQuery)
}

fn lines_of(connection: &Connection, closing: i64) -> Result<Vec<ClosedLine>, LedgerError> {
    let mut select = connection.prepare_cached(
        "SELECT clause, place, tier, meter, subject, quantity, rate, per, money FROM closing_line WHERE closing = ?1 ORDER BY number",
    )?;
    let lines = select.query_map([closing], |row| {
        let meter = row.get::<_, Option<Word<fleet::MeterKind>>>(3)?.map(|Word(kind)| kind);
        let rate = row.get::<_, Option<Nanos>>(6)?.zip(row.get::<_, Option<i64>>(7)?);
        let Nanos(money) = row.get(8)?;
        Ok(ClosedLine {
            clause: row.get(0)?,
            place: row.get(1)?,
            tier: row.get(2)?,
            meter: meter.zip(row.get(4)?),
            quantity: Quantity::new(row.get(5)?),
            rate: rate.map(|(Nanos(money), per)| Rate { money, per }),
            money,
        })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}
