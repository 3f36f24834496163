//! `baseload ledger show --closings`: billing periods as they were closed.

use std::io::Write;

use anyhow::Result;
use ledger::{Closed, ClosedLine, View};
use serde_json::{Value, json};

use crate::exit::Exit;

/// Shows every closed period with its lines, and what came late since.
pub fn show(view: &View, contract: Option<&str>, json: bool, out: &mut dyn Write) -> Result<Exit> {
    let (closings, late) = (view.closings(contract)?, view.late()?);
    if json {
        writeln!(out, "{}", json!({ "closings": closings.iter().map(document).collect::<Vec<_>>(), "late": late }))?;
        return Ok(Exit::Done);
    }
    for closed in &closings {
        let Closed { number, contract, span, currency, due, .. } = closed;
        writeln!(out, "{number:>5} {contract:<24} {} to {}   due {due} {currency}", span.from, span.to)?;
        for line in &closed.lines {
            writeln!(out, "      {:<40} {:>16} {:>18} {currency}", named(line), line.quantity.to_string(), line.money.to_string())?;
        }
    }
    for (contract, count) in late {
        writeln!(out, "{contract}: {count} postings came after their period was closed: its next closing amends it, if it has one")?;
    }
    Ok(Exit::Done)
}

fn named(line: &ClosedLine) -> String {
    let place = line.place.map_or(String::new(), |place| format!(" {place}"));
    let tier = line.tier.map_or(String::new(), |tier| format!(" tier {tier}"));
    let of = line.meter.as_ref().map_or(String::new(), |(kind, subject)| format!(" {kind:?} of {subject}"));
    format!("{}{place}{tier}{of}", line.clause)
}

fn document(closed: &Closed) -> Value {
    let line = |line: &ClosedLine| {
        json!({ "clause": line.clause, "index": line.place, "tier": line.tier,
            "meter": line.meter.as_ref().map(|(kind, subject)| format!("{kind:?}/{subject}")), "quantity": line.quantity.count(),
            "money": line.money.to_string() })
    };
    json!({ "number": closed.number, "contract": closed.contract, "period": closed.period, "from": closed.span.from.to_string(),
        "to": closed.span.to.to_string(), "closed": closed.at.to_string(), "currency": closed.currency.to_string(),
        "due": closed.due.to_string(), "digest": closed.digest.to_string(), "lines": closed.lines.iter().map(line).collect::<Vec<_>>() })
}
