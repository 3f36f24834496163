//! From closings and open periods to rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::{Charge, ContractId, Fleet, Meter, Status};
use market::Total;
use units::{Instant, Money, Span};

use super::FocusRow;
use crate::books::Fold;
use crate::chain;
use crate::closing::{self, Closed, ClosedLine};
use crate::error::LedgerError;
use crate::view::View;

/// A billing period with its lines, closed or not.
struct Billed {
    contract: ContractId,
    period: i64,
    span: Span,
    closing: Option<i64>,
    lines: Vec<ClosedLine>,
}

/// Every charge of the billing periods that share time with `within` and have begun by `now`: as they were closed, or as they
/// stand. The fleet says who supplies what; contracts that it doesn't have are left out.
///
/// # Errors
/// When the database refused.
pub fn focus_rows(view: &View, fleet: &Arc<Fleet>, within: Span, now: Instant) -> Result<Vec<FocusRow>, LedgerError> {
    let open = view.lock()?;
    let head = chain::head(&open.connection)?;
    let mut fold = Fold::new(Arc::clone(fleet), now);
    fold.catch_up(&open.connection, head.posting_to)?;
    let began: Option<i64> = open.connection.query_row("SELECT min(first_used) FROM fleet", [], |row| row.get(0))?;
    let within = within.overlap(Span { from: began.map_or(now, Instant::from_micros), to: Instant::MAX });
    let closed: BTreeMap<(String, Instant), Closed> =
        closing::all(&open.connection, None)?.into_iter().map(|closed| ((closed.contract.clone(), closed.span.from), closed)).collect();
    let mut rows = Vec::new();
    for (contract, name, terms) in fleet.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed) {
        let within = within.overlap(terms.term);
        let mut period = terms.calendar.index(within.from);
        loop {
            let span = terms.period(period);
            if within.is_empty() || span.from >= within.to || span.from > now {
                break;
            }
            if !span.is_empty() {
                let billed = match closed.get(&(name.to_owned(), span.from)) {
                    Some(closed) => Billed { contract, period, span, closing: Some(closed.number), lines: closed.lines.clone() },
                    None => Billed { contract, period, span, closing: None, lines: open_lines(&open.connection, &fold, contract, period)? },
                };
                for line in &billed.lines {
                    rows.extend(rows_of(&fold, &billed, line));
                }
            }
            period += 1;
        }
    }
    Ok(rows)
}

/// The lines of a period that is not closed, as it stands; with what came late for earlier ones.
fn open_lines(connection: &rusqlite::Connection, fold: &Fold, contract: ContractId, period: i64) -> Result<Vec<ClosedLine>, LedgerError> {
    let known = closing::last_closed(connection, fold.fleet.contracts.name(contract))?;
    // Only the next period to close takes amendments up.
    let next = known.filter(|(to, _)| *to == fold.fleet.contracts[contract].period(period).from);
    closing::lines(connection, fold, (contract, period), next.map(|(_, posting_to)| posting_to), i64::MAX)
}

/// A line as a row; a committed quantity as three: what was bought, the part that was used, and the part that was not.
fn rows_of(fold: &Fold, billed: &Billed, line: &ClosedLine) -> Vec<FocusRow> {
    let row = row(fold, billed, line);
    let committed = line.clause == "rates" && line.place.is_some_and(|place| is_committed(&fold.fleet, billed.contract, place));
    if !committed || line.quantity.count() <= 0 {
        return vec![row];
    }
    let used = row.used.unwrap_or(0).clamp(0, line.quantity.count());
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

fn row(fold: &Fold, billed: &Billed, line: &ClosedLine) -> FocusRow {
    let (fleet, terms) = (&fold.fleet, &fold.fleet.contracts[billed.contract]);
    let meter: Option<Meter> = line.meter.as_ref().and_then(|(kind, subject)| fold.present.meter(*kind, subject));
    let total = meter.map(|meter| fold.balances.total(billed.contract, billed.period, meter));
    let count = |part: fn(Total) -> units::Quantity| total.map(|total| part(total).count());
    let (category, class, frequency) = match line.clause.as_str() {
        "rates" | "overflow" => ("Usage", None, "Usage-Based"),
        "prepayment" => ("Purchase", None, "One-Time"),
        "shortfall" => ("Usage", None, "Recurring"),
        "credit" | "penalty" => ("Credit", None, "Recurring"),
        "amendment" => ("Adjustment", Some("Correction"), "Usage-Based"),
        _ => ("Adjustment", None, "Recurring"),
    };
    let paid_before = matches!(line.clause.as_str(), "prepayment" | "credit");
    let charge = line.place.filter(|_| line.clause == "amendment").map_or(billed.span, |period| terms.period(period));
    FocusRow {
        account: fleet.name.clone(),
        provider: fleet.parties.name(terms.party).to_owned(),
        currency: terms.currency,
        contract: fleet.contracts.name(billed.contract).to_owned(),
        billing: billed.span,
        charge,
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
        fleet: fleet.version,
        held: count(|total| total.held),
        used: count(|total| total.used),
    }
}

fn description(line: &ClosedLine) -> String {
    let of = line.meter.as_ref().map(|(kind, subject)| format!(" {} of {subject}", crate::words::Word(*kind).word()));
    let place = line.place.map(|place| format!(" {place}"));
    format!("{}{}{}", line.clause, place.unwrap_or_default(), of.unwrap_or_default())
}
