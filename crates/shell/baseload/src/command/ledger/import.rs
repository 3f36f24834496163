//! `baseload ledger import`: an invoice beside our metering.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ledger::{Difference, Invoice, InvoiceError, read_invoice};
use serde_json::{Value, json};
use units::Money;

use super::copies;
use crate::args::Share;
use crate::exit::{Exit, wrong};

/// What is asked for.
pub struct Asked<'a> {
    /// The invoice.
    pub file: &'a Path,
    /// Who imports it.
    pub who: &'a str,
    /// Whether it is only compared.
    pub dry_run: bool,
    /// Whether one JSON document is printed.
    pub json: bool,
}

/// Imports an invoice; the answer is no when it asks for anything else than the contracts come to.
pub fn run(share: &Share, state: Option<PathBuf>, asked: &Asked<'_>, out: &mut dyn Write) -> Result<Exit> {
    let Asked { file, who, dry_run, json } = *asked;
    let bytes = std::fs::read(file).map_err(|error| wrong(format!("can't read {}: {error}", file.display())))?;
    let lines = read_invoice(&bytes).map_err(|error| unread(file, error))?;
    let name = file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned());
    let invoice = Invoice { name: &name, bytes: &bytes, lines: &lines, who };
    let found = if dry_run { copies::compare(share, state, &invoice) } else { copies::import(share, state, &invoice) };
    let found = found.with_context(|| format!("import {}", file.display()))?;
    if json {
        let lines: Vec<Value> = found.lines.iter().map(document).collect();
        let cleared: Vec<String> = found.cleared.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "{}",
            json!({ "invoice": found.number, "booked": !dry_run, "agrees": found.agrees(), "cleared": cleared, "lines": lines })
        )?;
    } else {
        for line in found.lines.iter().filter(|line| line.money() != Money::ZERO) {
            writeln!(out, "{}", told(line))?;
        }
        let differ = found.lines.iter().filter(|line| line.money() != Money::ZERO).count();
        writeln!(
            out,
            "invoice {}: {} contract lines compared, {differ} differ; {} attempts cleared{}",
            found.number,
            found.lines.len(),
            found.cleared.len(),
            if dry_run { ". Nothing of it is booked: this was a dry run" } else { "" }
        )?;
    }
    Ok(if found.agrees() { Exit::Done } else { Exit::No })
}

fn unread(file: &Path, error: InvoiceError) -> anyhow::Error {
    let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    wrong(format!("{}: can't {:#}{hint}", file.display(), anyhow::Error::from(error)))
}

fn told(line: &Difference) -> String {
    let of = line.meter.as_ref().map_or_else(|| "fees and credits".to_owned(), |(kind, subject)| format!("{kind:?} of {subject}"));
    let count = |count: Option<i64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let more = if line.money() > Money::ZERO { "more" } else { "less" };
    let known = if line.ours_too { "" } else { "; no contract of ours has that period" };
    format!(
        "{} {of} from {}: billed {}, ours {}, {} {} {more} (quantity {} and {}){known}",
        line.contract,
        line.period.from,
        line.billed,
        line.ours,
        Money::from_nanos(line.money().nanos().abs()),
        line.currency,
        count(line.their_quantity),
        count(line.our_quantity),
    )
}

fn document(line: &Difference) -> Value {
    json!({ "contract": line.contract, "ours_too": line.ours_too,
        "meter": line.meter.as_ref().map(|(kind, subject)| format!("{kind:?}/{subject}")), "from": line.period.from.to_string(),
        "to": line.period.to.to_string(), "currency": line.currency.to_string(), "billed": line.billed.to_string(), "ours": line.ours.to_string(),
        "difference": line.money().to_string(), "their_quantity": line.their_quantity, "our_quantity": line.our_quantity })
}
