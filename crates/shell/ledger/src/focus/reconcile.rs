//! An invoice beside our metering: by contract, meter and period, with what differs in money.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use dispatch::AttemptId;
use fleet::{ContractId, Fleet, FleetVersion, MeterKind, Status};
use market::{Tokens, split_busy};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};
use units::{Currency, Instant, Money, Quantity, Span};

use super::{Exact, InvoiceLine, Stated};
use crate::accounts::for_writing;
use crate::book::Booking;
use crate::books::Fold;
use crate::chain::{INVOICE, INVOICE_LINE, Kind, Of};
use crate::closing;
use crate::correction::{Correct, correct};
use crate::directory;
use crate::error::LedgerError;
use crate::field::fields;
use crate::fleets::Fleets;
use crate::plain::check_by;
use crate::register::{Register, Registers};
use crate::removed::removed;
use crate::whole;
use crate::words::{Nanos, Word, attempt_at};

/// What an invoice and our metering say of one contract's meter in one billing period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which contract; what the invoice calls it where we have none.
    pub contract: String,
    /// Whether we have that contract and period.
    pub ours_too: bool,
    /// Which meter of what; `None`: whatever has no meter.
    pub meter: Option<(MeterKind, String)>,
    /// The billing period.
    pub period: Span,
    /// The currency.
    pub currency: Currency,
    /// What the invoice says was taken, in base units.
    pub their_quantity: Option<i64>,
    /// What we metered, once what was bounded is cleared.
    pub our_quantity: Option<i64>,
    /// What the invoice asks for.
    pub billed: Money,
    /// What the contract comes to by our metering.
    pub ours: Money,
}

impl Difference {
    /// How much more the invoice asks for.
    #[must_use]
    pub fn money(&self) -> Money {
        self.billed - self.ours
    }
}

/// An invoice, imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// The invoice's number in the ledger.
    pub number: i64,
    /// Attempts that were known only within bounds, and are cleared by it.
    pub cleared: Vec<AttemptId>,
    /// Every contract, meter and period that it or we have, whether they differ or not.
    pub lines: Vec<Difference>,
}

impl Reconciliation {
    /// Whether the invoice asks for what the contracts come to, to the last unit.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.lines.iter().all(|line| line.money() == Money::ZERO)
    }
}

/// What an invoice says of one contract's billing period.
type Said = BTreeMap<Option<(MeterKind, String)>, (Exact, Stated)>;

/// A fleet whose contracts an invoice may be of.
struct Terms {
    fleet: Arc<Fleet>,
    register: Register,
    of: Which,
}

/// Which of a fleet's contracts and periods.
enum Which {
    All,
    /// A contract that left the fleet file.
    Contract(ContractId),
    /// Those that were closed by it.
    Closed(BTreeSet<(ContractId, i64)>),
}

/// By what a line that names no contract is told to be of one.
#[derive(Clone, Copy)]
enum Matching<'a> {
    /// The contract charges for that meter.
    Meter(MeterKind, &'a str),
    /// It did, by an earlier fleet: what was used under rates that left the file is due all the same.
    Earlier(MeterKind, &'a str),
    /// It charges for some meter of that kind.
    Kind(MeterKind),
}

impl Terms {
    fn new(fleet: Arc<Fleet>, of: Which) -> Self {
        Self { register: Register::new(&fleet), fleet, of }
    }

    fn prices(&self, contract: ContractId, by: Matching<'_>, registers: &Registers) -> bool {
        let (name, rates) = (self.fleet.contracts.name(contract), &self.fleet.contracts[contract].rates);
        match by {
            Matching::Meter(kind, subject) => self.register.prices(name, kind, subject),
            Matching::Earlier(kind, subject) => registers.all().any(|register| register.prices(name, kind, subject)),
            Matching::Kind(kind) => rates.iter().any(|clause| clause.meter.kind() == kind),
        }
    }

    fn have(&self, contract: ContractId, period: i64) -> bool {
        match &self.of {
            Which::All => true,
            Which::Contract(only) => *only == contract,
            Which::Closed(periods) => periods.contains(&(contract, period)),
        }
    }
}

/// A contract's period by a fleet.
type Place = (FleetVersion, ContractId, i64);

/// Where invoice lines belong: to a contract's period, by the fleet that says its terms.
#[derive(Debug, Default)]
struct Sorted {
    ours: BTreeMap<Place, Said>,
    strange: Vec<Difference>,
}

/// An invoice as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Invoice<'a> {
    /// What its file is called.
    pub name: &'a str,
    /// The file.
    pub bytes: &'a [u8],
    /// Its lines.
    pub lines: &'a [InvoiceLine],
    /// Who imports it.
    pub who: &'a str,
}

/// Books an invoice once, by the bytes of its file: clears what was unreconciled with what it says, and compares the rest.
///
/// # Errors
/// When it was imported before, the directory is one of several replicas (an invoice is of what all of them took), or the database refused.
pub fn import_invoice(directory: &Path, fleet: &Arc<Fleet>, invoice: &Invoice<'_>, now: Instant) -> Result<Reconciliation, LedgerError> {
    imported(directory, fleet, invoice, now, |transaction| transaction.commit())
}

/// What importing an invoice would find and clear; nothing of it is booked.
///
/// # Errors
/// As for [`import_invoice`].
pub fn compare_invoice(directory: &Path, fleet: &Arc<Fleet>, invoice: &Invoice<'_>, now: Instant) -> Result<Reconciliation, LedgerError> {
    imported(directory, fleet, invoice, now, |transaction| transaction.rollback())
}

fn imported(
    directory: &Path,
    fleet: &Arc<Fleet>,
    invoice: &Invoice<'_>,
    now: Instant,
    end: impl FnOnce(Transaction<'_>) -> rusqlite::Result<()>,
) -> Result<Reconciliation, LedgerError> {
    if directory::takes_part(directory) {
        return Err(LedgerError::OneOfSeveral { path: directory.to_owned() });
    }
    let mut connection = for_writing(directory)?;
    refuse_known(&connection, invoice)?;
    // It takes as long as a start: a service beside it must be able to commit meanwhile.
    let reckoned = Reckoned::new(&connection, &Registers::read(&connection)?, &Fleets::of(directory), fleet, invoice.lines, now)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let registers = Registers::read(&transaction)?;
    let mut booking = Booking::new(&transaction, &registers)?;
    let found = book(&mut booking, reckoned, invoice, now)?;
    drop(booking);
    end(transaction)?;
    Ok(found)
}

/// An invoice's lines by the contracts that they are of, and what is booked by the terms of those.
#[derive(Debug)]
pub struct Reckoned {
    sorted: Sorted,
    folds: BTreeMap<FleetVersion, Fold>,
}

impl Reckoned {
    /// Folds all that is booked, which takes as long as a start.
    pub(crate) fn new(
        connection: &Connection,
        registers: &Registers,
        fleets: &Arc<Fleets>,
        fleet: &Arc<Fleet>,
        lines: &[InvoiceLine],
        now: Instant,
    ) -> Result<Self, LedgerError> {
        let mut terms = closed(connection, fleets, lines)?;
        terms.push(Terms::new(Arc::clone(fleet), Which::All));
        let gone = removed(connection, registers, fleets, fleet, now)?;
        terms.extend(gone.into_iter().map(|gone| Terms::new(gone.fleet, Which::Contract(gone.contract))));
        let sorted = sort(&terms, registers, lines);
        let mut folds = BTreeMap::new();
        for Terms { fleet, .. } in &terms {
            if sorted.ours.keys().any(|(version, ..)| *version == fleet.version) {
                folds.entry(fleet.version).or_insert_with(|| Fold::new(Arc::clone(fleet), fleets, now));
            }
        }
        let mut reckoned = Self { sorted, folds };
        reckoned.catch_up(connection)?;
        Ok(reckoned)
    }

    fn catch_up(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        let newest = whole::newest(connection)?;
        self.folds.values_mut().try_for_each(|fold| fold.catch_up(connection, newest))
    }
}

/// The digest of an invoice, which must be none of those that are there.
pub(crate) fn refuse_known(connection: &Connection, invoice: &Invoice<'_>) -> Result<[u8; 32], LedgerError> {
    let digest: [u8; 32] = Sha256::digest(invoice.bytes).into();
    let known = connection.query_row("SELECT id FROM invoice WHERE digest = ?1", [digest], |row| row.get(0)).optional()?;
    known.map_or(Ok(digest), |number| Err(LedgerError::Imported { number }))
}

/// Books an invoice that was reckoned before.
pub(crate) fn book(
    booking: &mut Booking<'_>,
    mut reckoned: Reckoned,
    invoice: &Invoice<'_>,
    now: Instant,
) -> Result<Reconciliation, LedgerError> {
    let (connection, who) = (booking.connection, invoice.who);
    check_by(who, "")?;
    let digest = refuse_known(connection, invoice)?;
    reckoned.catch_up(connection)?;
    let number = booking.chain.next_number(&INVOICE)?;
    let mut cleared = Vec::new();
    for ((version, contract, period), said) in &reckoned.sorted.ours {
        for said in corrections(connection, &reckoned.folds[version], (*contract, *period), said)? {
            let said = Correct { why: format!("invoice {}", invoice.name), who: who.to_owned(), ..said };
            correct(booking, &said, Some(number), now)?;
            cleared.push(said.attempt);
        }
    }
    reckoned.catch_up(connection)?;
    let Reckoned { sorted, folds } = reckoned;
    let mut compared = Vec::new();
    for ((version, contract, period), said) in &sorted.ours {
        compared.extend(compare(&folds[version], (*contract, *period), said)?);
    }
    compared.extend(sorted.strange);
    keep(booking, (number, invoice.name, digest), &compared, who, now)?;
    Ok(Reconciliation { number, cleared, lines: compared })
}

/// The fleets by which periods were closed that the lines may be of: what such a period comes to is by their terms, whatever the file has
/// said since.
fn closed(connection: &Connection, fleets: &Fleets, lines: &[InvoiceLine]) -> Result<Vec<Terms>, LedgerError> {
    let mut by: BTreeMap<FleetVersion, BTreeSet<(String, i64)>> = BTreeMap::new();
    let mut select = connection.prepare_cached(
        "SELECT contract, period, version FROM closing JOIN fleet ON fleet.id = closing.fleet WHERE from_us < ?2 AND to_us > ?1",
    )?;
    for span in lines.iter().map(|line| (line.period.from.micros(), line.period.to.micros())).collect::<BTreeSet<_>>() {
        let mut rows = select.query(span)?;
        while let Some(row) = rows.next()? {
            by.entry(FleetVersion(row.get(2)?)).or_default().insert((row.get(0)?, row.get(1)?));
        }
    }
    let mut terms = Vec::new();
    for (version, periods) in by {
        let Some(fleet) = fleets.get(version)? else { continue };
        let periods = periods.iter().filter_map(|(name, period)| Some((fleet.contracts.id(name)?, *period))).collect();
        terms.push(Terms::new(fleet, Which::Closed(periods)));
    }
    Ok(terms)
}

fn sort(terms: &[Terms], registers: &Registers, lines: &[InvoiceLine]) -> Sorted {
    let mut sorted = Sorted::default();
    for line in lines {
        let meter = line.meter.zip(line.subject.clone());
        let found = |by: Option<Matching<'_>>| {
            terms.iter().find_map(|terms| {
                let (contract, period) = place(terms, by, registers, line)?;
                terms.have(contract, period).then_some((terms.fleet.version, contract, period))
            })
        };
        let named = meter.as_ref().map(|(kind, subject)| (*kind, subject.as_str()));
        let ours = found(named.map(|(kind, subject)| Matching::Meter(kind, subject)))
            .or_else(|| found(named.map(|(kind, subject)| Matching::Earlier(kind, subject))))
            .or_else(|| {
                // A name that was never one of ours says nothing.
                let is_ours = |(kind, subject)| registers.all().any(|register| register.meter(kind, subject).is_some());
                found(line.meter.filter(|_| !named.is_some_and(is_ours)).map(Matching::Kind))
            });
        // A closed period is of the fleet that it was closed by, whichever says what the line is of.
        let Some(place) = ours.map(|ours| closed_place(terms, ours, line).unwrap_or(ours)) else {
            let contract = line.contract.clone().unwrap_or_else(|| line.provider.clone());
            sorted.strange.push(Difference {
                contract,
                ours_too: false,
                meter,
                period: line.period,
                currency: line.currency,
                their_quantity: line.taken.units(),
                our_quantity: None,
                billed: Money::from_nanos(line.billed.to_nanos()),
                ours: Money::ZERO,
            });
            continue;
        };
        let (billed, taken) = sorted.ours.entry(place).or_default().entry(meter).or_default();
        *billed += line.billed;
        *taken += line.taken;
    }
    sorted
}

/// A contract's period as the fleet has it that it was closed by.
fn closed_place(terms: &[Terms], (version, contract, _): Place, line: &InvoiceLine) -> Option<Place> {
    let by = terms.iter().find(|terms| terms.fleet.version == version)?;
    let name = by.fleet.contracts.name(contract);
    terms.iter().filter(|terms| matches!(terms.of, Which::Closed(_))).find_map(|closed| {
        let contract = closed.fleet.contracts.id(name)?;
        let own = &closed.fleet.contracts[contract];
        let period = own.calendar.index(line.period.from.max(own.term.from));
        (own.period(period) == line.period && closed.have(contract, period)).then_some((closed.fleet.version, contract, period))
    })
}

/// The contract and billing period that a line is of: by the contract's name, else the one contract of that supplier that
/// prices the meter. The period must be ours to the microsecond.
fn place(terms: &Terms, by: Option<Matching<'_>>, registers: &Registers, line: &InvoiceLine) -> Option<(ContractId, i64)> {
    let fleet = &terms.fleet;
    let of = |id: ContractId| {
        let terms = &fleet.contracts[id];
        let period = terms.calendar.index(line.period.from.max(terms.term.from));
        (terms.status == Status::Signed && terms.currency == line.currency && terms.period(period) == line.period).then_some((id, period))
    };
    if let Some(named) = line.contract.as_deref().and_then(|name| fleet.contracts.id(name)) {
        return of(named);
    }
    let by = by?;
    let supplied = fleet.contracts.iter().filter(|(.., terms)| fleet.parties.name(terms.party) == line.provider);
    let mut found = supplied.filter(|(id, ..)| terms.prices(*id, by, registers)).filter_map(|(id, ..)| of(id));
    let only = found.next()?;
    found.next().is_none().then_some(only)
}

/// The corrections that an invoice's quantities call for: what it says was taken beyond what we metered is split among the
/// attempts that are known only within bounds, by those, and no further than they go. Where it doesn't say how much input or output was taken
/// they stay as they are: nothing said is not nothing taken.
fn corrections(
    connection: &Connection,
    fold: &Fold,
    (contract, period): (ContractId, i64),
    said: &Said,
) -> Result<Vec<Correct>, LedgerError> {
    let mut subjects: BTreeSet<&str> = BTreeSet::new();
    for (meter, (_, taken)) in said {
        if let (Some((MeterKind::InputTokens | MeterKind::CachedTokens | MeterKind::OutputTokens, subject)), Stated::Units(_)) =
            (meter, taken)
        {
            subjects.insert(subject);
        }
    }
    let mut found = Vec::new();
    for subject in subjects {
        let open = bounded(connection, fold, (contract, period), subject)?;
        let (input, output): (Vec<i64>, Vec<i64>) =
            open.iter().map(|(_, tokens)| (i64::from(tokens.input), i64::from(tokens.output))).unzip();
        let stated = |kind: MeterKind| said.get(&Some((kind, subject.to_owned()))).map(|(_, taken)| *taken).unwrap_or_default();
        let [theirs, cached, generated] = [MeterKind::InputTokens, MeterKind::CachedTokens, MeterKind::OutputTokens].map(stated);
        let is_stated = |taken: Stated, bounds: &[i64]| taken.units().is_some() || bounds.iter().all(|bound| *bound == 0);
        if !is_stated(theirs, &input) || !is_stated(generated, &output) || cached == Stated::Unknown {
            continue;
        }
        let meter = |kind: MeterKind| fold.present.meter(kind, subject);
        let ours = |kind: MeterKind| meter(kind).map_or(0, |meter| fold.balances.total(contract, period, meter).held.count());
        let beyond = |theirs: Option<i64>, ours: i64, bounds: &[i64]| {
            let most: i64 = bounds.iter().sum();
            split_busy(Quantity::new(theirs.unwrap_or(ours).saturating_sub(ours).clamp(0, most)), bounds)
        };
        let terms = fold.terms(fold.fleet.contracts[contract].period(period).to);
        let clauses = &terms.contracts[contract].rates;
        let cached_apart = meter(MeterKind::CachedTokens).is_some_and(|meter| clauses.iter().any(|clause| clause.meter == meter));
        let (mut whole, mut whole_ours, mut from_cache) = (theirs, ours(MeterKind::InputTokens), vec![Quantity::ZERO; open.len()]);
        let mut left = input.clone();
        if cached_apart && cached != Stated::Nothing {
            from_cache = beyond(cached.units(), ours(MeterKind::CachedTokens), &input);
            left.iter_mut().zip(&from_cache).for_each(|(left, cached)| *left -= cached.count());
        } else {
            // One side alone tells cached input from other input: only all of it can be compared.
            whole += cached;
            whole_ours += ours(MeterKind::CachedTokens);
        }
        let (fresh, generated) =
            (beyond(whole.units(), whole_ours, &left), beyond(generated.units(), ours(MeterKind::OutputTokens), &output));
        for (place, (attempt, _)) in open.iter().enumerate() {
            let count = |parts: &[Quantity]| parts.get(place).and_then(|part| u32::try_from(part.count()).ok()).unwrap_or(0);
            let cached = count(&from_cache);
            let tokens = Tokens { input: count(&fresh) + cached, cached, output: count(&generated) };
            found.push(Correct { attempt: *attempt, tokens, why: String::new(), who: String::new() });
        }
    }
    Ok(found)
}

/// The attempts of a contract's period and model that are known only within bounds, with those.
fn bounded(
    connection: &Connection,
    fold: &Fold,
    (contract, period): (ContractId, i64),
    model: &str,
) -> Result<Vec<(AttemptId, Tokens)>, LedgerError> {
    let span = fold.fleet.contracts[contract].period(period);
    let mut select = connection.prepare_cached(
        "SELECT settlement.request, settlement.attempt, settlement.input, settlement.cached, settlement.output
         FROM settlement JOIN attempt ON (attempt.request, attempt.attempt) = (settlement.request, settlement.attempt)
         WHERE settlement.known = 'bounded' AND settlement.ended >= ?1 AND settlement.ended < ?2 AND settlement.contract = ?3 AND attempt.model = ?4
             AND NOT EXISTS (SELECT 1 FROM in_units WHERE in_units.attempt = attempt.id)
             AND NOT EXISTS (SELECT 1 FROM correction WHERE (correction.request, correction.attempt) = (settlement.request, settlement.attempt))
         ORDER BY attempt.id",
    )?;
    let values = params![span.from.micros(), span.to.micros(), fold.fleet.contracts.name(contract), model];
    let rows = select
        .query_map(values, |row| Ok((attempt_at(row, 0)?, Tokens { input: row.get(2)?, cached: row.get(3)?, output: row.get(4)? })))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn compare(fold: &Fold, (contract, period): (ContractId, i64), said: &Said) -> Result<Vec<Difference>, LedgerError> {
    let terms = &fold.fleet.contracts[contract];
    let mut ours: BTreeMap<Option<(MeterKind, String)>, (Money, i64)> = BTreeMap::new();
    for line in closing::statement_lines(fold, contract, period)? {
        let (money, quantity) = ours.entry(line.meter).or_default();
        *money += line.money;
        *quantity = quantity.saturating_add(line.quantity.count());
    }
    let meters: BTreeSet<_> = ours.keys().chain(said.keys()).cloned().collect();
    let line = |meter: Option<(MeterKind, String)>| {
        let (billed, taken) = said.get(&meter).copied().unwrap_or_default();
        let own = ours.get(&meter).copied();
        Difference {
            contract: fold.fleet.contracts.name(contract).to_owned(),
            ours_too: true,
            period: terms.period(period),
            currency: terms.currency,
            their_quantity: taken.units(),
            our_quantity: own.filter(|_| meter.is_some()).map(|(_, quantity)| quantity),
            billed: Money::from_nanos(billed.to_nanos()),
            ours: own.map_or(Money::ZERO, |(money, _)| money),
            meter,
        }
    };
    Ok(meters.into_iter().map(line).collect())
}

fn keep(
    booking: &mut Booking<'_>,
    (number, name, digest): (i64, &str, [u8; 32]),
    lines: &[Difference],
    who: &str,
    now: Instant,
) -> Result<(), LedgerError> {
    booking.chain.insert_next(&INVOICE, &fields![name, &digest[..], who, now.micros()])?;
    for (place, line) in (0_i64..).zip(lines) {
        booking.chain.insert_new(
            &INVOICE_LINE,
            &fields![
                number,
                place,
                line.contract.as_str(),
                line.meter.as_ref().map(|(kind, _)| Word(*kind)),
                line.meter.as_ref().map(|(_, subject)| subject.as_str()),
                line.period.from.micros(),
                line.period.to.micros(),
                line.their_quantity,
                Nanos(line.billed),
                line.our_quantity,
                Nanos(line.ours),
            ],
        )?;
    }
    booking.chain.link(Kind::Invoice, Of::Row(number))
}
