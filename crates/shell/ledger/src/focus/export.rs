//! From closings and open periods to rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::{Charge, ContractId, Fleet, FleetVersion, Meter, Status};
use market::{Total, periods};
use units::{Instant, Money, Span};

use super::FocusRow;
use crate::books::Fold;
use crate::closing::{self, Closed, ClosedLine, Folds};
use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::removed::removed;
use crate::view::{Open, View};
use crate::whole;

/// A billing period with its lines, closed or not.
struct Billed {
    contract: ContractId,
    period: i64,
    span: Span,
    /// By whose terms.
    fleet: FleetVersion,
    closing: Option<i64>,
    lines: Vec<ClosedLine>,
}

/// Every charge of the billing periods that share time with `within` and have begun by `now`: as they were closed, or as they
/// stand. The fleet says who supplies what; of a contract that it has not signed, the last one that had.
///
/// # Errors
/// When the database refused.
pub fn focus_rows(view: &View, fleet: &Arc<Fleet>, within: Span, now: Instant) -> Result<Vec<FocusRow>, LedgerError> {
    let open = view.lock()?;
    let newest = whole::newest(&open.connection)?;
    let fleets = Fleets::of(&view.directory);
    let mut fold = Fold::new(Arc::clone(fleet), &fleets, now);
    fold.catch_up(&open.connection, newest)?;
    let began: Option<i64> = open.connection.query_row("SELECT min(first_used) FROM fleet", [], |row| row.get(0))?;
    let within = within.overlap(Span { from: began.map_or(now, Instant::from_micros), to: Instant::MAX });
    let (mut rows, mut folds) = (Vec::new(), Folds::new(&fleets));
    let removed = removed(&open.connection, &open.registers, &fleets, fleet, now)?;
    for (contract, name, _) in fleet.contracts.iter() {
        if removed.iter().all(|removed| removed.name() != name) {
            rows.extend(of_contract(&open, (&fold, &mut folds), (contract, Instant::MAX), within, now)?);
        }
    }
    for removed in removed {
        let mut fold = Fold::new(Arc::clone(&removed.fleet), &fleets, now);
        fold.catch_up(&open.connection, newest)?;
        rows.extend(of_contract(&open, (&fold, &mut folds), (removed.contract, removed.at), within, now)?);
    }
    Ok(rows)
}

/// The charges of one contract of the fold's fleet; of periods that are not closed, those that begin before `until`.
fn of_contract(
    open: &Open,
    (fold, folds): (&Fold, &mut Folds),
    (contract, until): (ContractId, Instant),
    within: Span,
    now: Instant,
) -> Result<Vec<FocusRow>, LedgerError> {
    let (name, terms) = (fold.fleet.contracts.name(contract), &fold.fleet.contracts[contract]);
    let closed = closing::all(&open.connection, Some(name))?;
    let mut billed: Vec<Billed> = Vec::new();
    for closed in closed.iter().filter(|closed| !closed.span.overlap(within).is_empty()) {
        let fleet = open.registers.at_row(closed.fleet)?.version;
        let (period, span, lines) = (closed.period, closed.span, closed.lines.clone());
        billed.push(Billed { contract, period, span, fleet, closing: Some(closed.number), lines });
    }
    let closed_to = closed.iter().map(|closed| closed.span.to).max();
    if terms.status == Status::Signed {
        let periods = open_periods(&open.connection, (fold, folds), contract, closed_to, within.overlap(terms.term), now)?;
        billed.extend(periods.into_iter().filter(|billed| billed.span.from < until));
    }
    Ok(billed.iter().flat_map(|billed| rows_of(fold, &closed, billed)).collect())
}

/// The periods that are not closed, by the fleet's calendar: the first one begins where the last that was closed ended.
fn open_periods(
    connection: &rusqlite::Connection,
    (fold, folds): (&Fold, &mut Folds),
    contract: ContractId,
    closed_to: Option<Instant>,
    within: Span,
    now: Instant,
) -> Result<Vec<Billed>, LedgerError> {
    let terms = &fold.fleet.contracts[contract];
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
            open.push(Billed { contract, period, span, fleet: fold.fleet.version, closing: None, lines });
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
/// was not.
fn parts(fold: &Fold, billed: &Billed, line: &ClosedLine, row: FocusRow, left: &mut i64) -> Vec<FocusRow> {
    let committed = line.clause == "rates" && line.place.is_some_and(|place| is_committed(&fold.fleet, billed.contract, place));
    if !committed || line.quantity.count() <= 0 {
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
        contracted: Money::ZERO,
        commitment: Some(("Usage", None)),
        held: None,
        used: None,
        ..row.clone()
    };
    vec![bought, part("Used", used, effective), part("Unused", line.quantity.count() - used, line.money - effective)]
}

fn is_committed(fleet: &Fleet, contract: ContractId, place: i64) -> bool {
    let clause = usize::try_from(place).ok().and_then(|place| fleet.contracts[contract].rates.get(place));
    clause.is_some_and(|clause| clause.charge == Charge::Committed)
}

fn row(fold: &Fold, closed: &[Closed], billed: &Billed, line: &ClosedLine) -> FocusRow {
    let (fleet, terms) = (&fold.fleet, &fold.fleet.contracts[billed.contract]);
    let meter: Option<Meter> = line.meter.as_ref().and_then(|(kind, subject)| fold.present.meter(*kind, subject));
    // By another calendar its number is another period's.
    let is_present = terms.period(billed.period).to == billed.span.to;
    let total = meter.filter(|_| is_present).map(|meter| fold.balances.total(billed.contract, billed.period, meter));
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
    let amended = line.place.filter(|_| line.clause == "amendment").map(|period| {
        let of = closed.iter().rev().find(|closed| closed.period == period && closed.span.to <= billed.span.from);
        of.map_or_else(|| terms.period(period), |of| of.span)
    });
    FocusRow {
        account: fleet.name.clone(),
        provider: fleet.parties.name(terms.party).to_owned(),
        currency: terms.currency,
        contract: fleet.contracts.name(billed.contract).to_owned(),
        billing: billed.span,
        charge: amended.unwrap_or(billed.span),
        category,
        class,
        frequency,
        description: description(line),
        billed: line.money,
        effective: if paid_before { Money::ZERO } else { line.money },
        contracted: if category == "Credit" { Money::ZERO } else { line.money },
        meter: line.meter.clone(),
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

fn description(line: &ClosedLine) -> String {
    let of = line.meter.as_ref().map(|(kind, subject)| format!(" {} of {subject}", crate::words::Word(*kind).word()));
    let place = line.place.map(|place| format!(" {place}"));
    format!("{}{}{}", line.clause, place.unwrap_or_default(), of.unwrap_or_default())
}
