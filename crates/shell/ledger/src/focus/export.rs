//! From closings and open periods to rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::{Charge, ContractId, Fleet, FleetVersion, Meter, Status};
use market::{Total, periods};
use units::{Currency, Instant, Money, Span};

use super::{FocusRow, OTHER, Service, service};
use crate::books::Fold;
use crate::closing::{self, Closed, ClosedLine, Folds};
use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::removed::{APART, removed};
use crate::view::{Open, View};
use crate::whole;

/// A billing period with its lines, closed or not.
struct Billed {
    contract: String,
    period: i64,
    span: Span,
    currency: Currency,
    /// By whose terms.
    fleet: FleetVersion,
    closing: Option<i64>,
    lines: Vec<ClosedLine>,
}

/// Every charge of the billing periods that share time with `within` and have begun by `now`: as they were closed, or as they
/// stand. A contract that the fleet has not signed stands by the terms of the last one that had.
///
/// # Errors
/// When the database refused.
pub fn focus_rows(view: &View, fleet: &Arc<Fleet>, within: Span, now: Instant) -> Result<Vec<FocusRow>, LedgerError> {
    let open = view.lock()?;
    let newest = whole::newest(&open.connection)?;
    let fleets = Fleets::of(&view.directory);
    let began: Option<i64> = open.connection.query_row("SELECT min(first_used) FROM fleet", [], |row| row.get(0))?;
    let within = within.overlap(Span { from: began.map_or(now, Instant::from_micros), to: Instant::MAX });
    let removed = removed(&open.connection, &open.registers, &fleets, fleet, now)?;
    let mut folds = Folds::new(&fleets);
    folds.put(Fold::new(Arc::clone(fleet), &fleets, now));
    let closed = closing::all(&open.connection, None)?;
    let mut rows: BTreeMap<String, Vec<FocusRow>> = BTreeMap::new();
    // A fold goes forward only: what is closed comes first, in the order in which it was.
    let mut shown: Vec<_> = closed.iter().filter(|closed| !closed.span.overlap(within).is_empty()).collect();
    shown.sort_by_key(|closed| (known_to(closed, newest), closed.number));
    for closing in shown {
        let own = open.registers.at_row(closing.fleet)?.version;
        let last = removed.iter().find(|removed| removed.name() == closing.contract).map(|removed| removed.fleet.version);
        let mut by = fleet.version;
        for version in [last, Some(own)].into_iter().flatten() {
            let has = fleets.get(version)?.is_some_and(|fleet| fleet.contracts.id(&closing.contract).is_some());
            by = if has { version } else { by };
        }
        let fold = taken(&mut folds, &open, by, known_to(closing, newest), now)?;
        let found = rows_of(&fold, &closed, &as_closed(closing, own));
        rows.entry(closing.contract.clone()).or_default().extend(found);
        folds.put(fold);
    }
    let signed = fleet.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed);
    let signed = signed.map(|(contract, ..)| (fleet.version, contract, Instant::MAX));
    for (version, contract, until) in signed.chain(removed.iter().map(|removed| (removed.fleet.version, removed.contract, removed.at))) {
        let fold = taken(&mut folds, &open, version, newest, now)?;
        let periods = open_periods(&open.connection, (&fold, &mut folds), contract, within, now)?;
        let periods = periods.iter().filter(|billed| billed.span.from < until);
        let found = periods.flat_map(|billed| rows_of(&fold, &closed, billed));
        rows.entry(fold.fleet.contracts.name(contract).to_owned()).or_default().extend(found);
        folds.put(fold);
    }
    Ok(rows.into_values().flatten().collect())
}

/// The newest posting that a closing knew; what one of several replicas closed alone doesn't say that of what is here.
fn known_to(closed: &Closed, newest: i64) -> i64 {
    if closed.number < APART { closed.posting_to } else { newest }
}

/// What is booked up to posting `to` by a fleet that is there; to be put back.
fn taken(folds: &mut Folds, open: &Open, version: FleetVersion, to: i64, now: Instant) -> Result<Fold, LedgerError> {
    let fold = folds.take(&open.connection, version, to, now)?;
    fold.ok_or_else(|| LedgerError::Missing { what: format!("the text of fleet version {version}") })
}

fn as_closed(closed: &Closed, fleet: FleetVersion) -> Billed {
    Billed {
        contract: closed.contract.clone(),
        period: closed.period,
        span: closed.span,
        currency: closed.currency,
        fleet,
        closing: Some(closed.number),
        lines: closed.lines.clone(),
    }
}

/// The periods that are not closed, by the fleet's calendar: the first one begins where the last that was closed ended.
fn open_periods(
    connection: &rusqlite::Connection,
    (fold, folds): (&Fold, &mut Folds),
    contract: ContractId,
    within: Span,
    now: Instant,
) -> Result<Vec<Billed>, LedgerError> {
    let (name, terms) = (fold.fleet.contracts.name(contract), &fold.fleet.contracts[contract]);
    let closed_to = closing::last_closed(connection, name)?.map(|(to, _)| to);
    let within = within.overlap(terms.term);
    let within = Span { from: closed_to.map_or(within.from, |closed| closed.max(within.from)), ..within };
    let mut open = Vec::new();
    if within.is_empty() {
        return Ok(open);
    }
    for period in terms.calendar.index(within.from)..=*periods(&fold.fleet, contract).end() {
        let whole = terms.period(period);
        let span = Span { from: closed_to.map_or(whole.from, |closed| closed.max(whole.from)), ..whole };
        if span.from >= within.to || span.from > now {
            break;
        }
        if !span.is_empty() {
            let lines = open_lines(connection, (fold, folds), (contract, period, span))?;
            let (contract, currency, fleet) = (name.to_owned(), terms.currency, fold.fleet.version);
            open.push(Billed { contract, period, span, currency, fleet, closing: None, lines });
        }
    }
    Ok(open)
}

/// The lines of a period that is not closed, as it stands; with what came late for earlier ones.
fn open_lines(
    connection: &rusqlite::Connection,
    (fold, folds): (&Fold, &mut Folds),
    (contract, period, span): (ContractId, i64, Span),
) -> Result<Vec<ClosedLine>, LedgerError> {
    let known = closing::last_closed(connection, fold.fleet.contracts.name(contract))?;
    // Only the next period to close takes amendments up.
    let next = known.filter(|(to, _)| *to == span.from);
    closing::lines(connection, (fold, folds), (contract, period, span), next.map(|(_, posting_to)| posting_to), i64::MAX)
}

/// The lines of a period as rows; what was used of a committed quantity is of its first tiers.
fn rows_of(fold: &Fold, closed: &[Closed], billed: &Billed) -> Vec<FocusRow> {
    let mut left: BTreeMap<(&str, Option<i64>), i64> = BTreeMap::new();
    let mut rows = Vec::new();
    for line in &billed.lines {
        let row = row(fold, closed, billed, line);
        let left = left.entry((&line.clause, line.place)).or_insert_with(|| row.used.unwrap_or(0));
        rows.extend(parts(fold, billed, line, row, left));
    }
    rows
}

/// A line as a row; a committed quantity as three: what was bought, the part that was used of what is left to hand out, and the part that
/// was not. Where nothing says what was used, it is one.
fn parts(fold: &Fold, billed: &Billed, line: &ClosedLine, row: FocusRow, left: &mut i64) -> Vec<FocusRow> {
    let committed = line.clause == "rates" && line.place.is_some_and(|place| is_committed(&fold.fleet, &billed.contract, place));
    if !committed || line.quantity.count() <= 0 || row.used.is_none() {
        return vec![row];
    }
    let used = (*left).clamp(0, line.quantity.count());
    *left -= used;
    let effective = line.money.times_ratio(i128::from(used), i128::from(line.quantity.count()));
    let part = |status, quantity, effective| FocusRow {
        category: "Usage",
        frequency: "Usage-Based",
        billed: Money::ZERO,
        effective,
        contracted: effective,
        quantity: Some(quantity),
        commitment: Some(("Usage", Some(status))),
        ..row.clone()
    };
    let bought = FocusRow {
        category: "Purchase",
        frequency: "Recurring",
        effective: Money::ZERO,
        commitment: Some(("Usage", None)),
        held: None,
        used: None,
        ..row.clone()
    };
    vec![bought, part("Used", used, effective), part("Unused", line.quantity.count() - used, line.money - effective)]
}

fn is_committed(fleet: &Fleet, contract: &str, place: i64) -> bool {
    let terms = fleet.contracts.id(contract).map(|contract| &fleet.contracts[contract]);
    let clause = terms.zip(usize::try_from(place).ok()).and_then(|(terms, place)| terms.rates.get(place));
    clause.is_some_and(|clause| clause.charge == Charge::Committed)
}

fn row(fold: &Fold, closed: &[Closed], billed: &Billed, line: &ClosedLine) -> FocusRow {
    let fleet = &fold.fleet;
    let terms = fleet.contracts.id(&billed.contract).map(|contract| (contract, &fleet.contracts[contract]));
    let meter: Option<Meter> = line.meter.as_ref().and_then(|(kind, subject)| fold.present.meter(*kind, subject));
    // Where the fleet is not the period's own, and has another calendar, its number is another period's.
    let own = terms.filter(|(_, terms)| terms.period(billed.period).to == billed.span.to);
    let total = own.zip(meter).map(|((contract, _), meter)| fold.balances.total(contract, billed.period, meter));
    let count = |part: fn(Total) -> units::Quantity| total.map(|total| part(total).count());
    let (category, class, frequency) = match line.clause.as_str() {
        "rates" | closing::EARLIER_RATES | "overflow" => ("Usage", None, "Usage-Based"),
        "prepayment" => ("Purchase", None, "One-Time"),
        "shortfall" => ("Usage", None, "Recurring"),
        "credit" | "penalty" => ("Credit", None, "Recurring"),
        "amendment" => ("Adjustment", Some("Correction"), "Usage-Based"),
        _ => ("Adjustment", None, "Recurring"),
    };
    let paid_before = matches!(line.clause.as_str(), "prepayment" | "credit");
    let amended = line.place.filter(|_| line.clause == "amendment").and_then(|period| {
        let is_of = |of: &&Closed| of.contract == billed.contract && of.period == period && of.span.to <= billed.span.from;
        closed.iter().rev().find(is_of).map(|of| of.span)
    });
    FocusRow {
        account: fleet.name.clone(),
        provider: terms.map(|(_, terms)| fleet.parties.name(terms.party).to_owned()),
        currency: billed.currency,
        contract: billed.contract.clone(),
        billing: billed.span,
        charge: amended.unwrap_or(billed.span),
        category,
        class,
        frequency,
        description: description(line),
        billed: line.money,
        effective: if paid_before { Money::ZERO } else { line.money },
        contracted: line.money,
        meter: line.meter.clone(),
        service: line
            .meter
            .as_ref()
            .map_or_else(|| terms.map_or(OTHER, |(contract, _)| priced(fleet, contract)), |(kind, _)| service(*kind)),
        quantity: line.meter.is_some().then_some(line.quantity.count()),
        rate: line.rate,
        commitment: (line.clause == "shortfall").then_some(("Spend", Some("Unused"))),
        clause: line.clause.clone(),
        place: line.place,
        tier: line.tier,
        period: billed.period,
        closing: billed.closing,
        fleet: billed.fleet,
        held: count(|total| total.held),
        used: count(|total| total.used),
    }
}

/// The service that a contract is of, with all that are nested under it, where they price one only: what names no meter is for that.
fn priced(fleet: &Fleet, contract: ContractId) -> Service {
    let nested = fleet.nest(contract);
    let mut services = nested.iter().flat_map(|id| &fleet.contracts[*id].rates).map(|clause| service(clause.meter.kind()));
    let Some(first) = services.next() else { return OTHER };
    if services.all(|other| other == first) { first } else { OTHER }
}

fn description(line: &ClosedLine) -> String {
    let of = line.meter.as_ref().map(|(kind, subject)| format!(" {} of {subject}", crate::words::Word(*kind).word()));
    let place = line.place.map(|place| format!(" {place}"));
    format!("{}{}{}", line.clause, place.unwrap_or_default(), of.unwrap_or_default())
}
