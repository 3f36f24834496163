//! What holds between the sections. A row that could not be read is skipped: its own problems say why.

mod coverage;
mod nesting;
mod outlook;
mod physical;

pub use coverage::ENDPOINTS_MAX;
use units::Instant;

use crate::codes;
use crate::contract::{CapacityOf, Contract, Overflow};
use crate::diagnostic::Diagnostic;
use crate::id::Id;
use crate::model::MeterKind;
use crate::reader::Reader;
use crate::rows::{Named, Rows};

/// Checks everything that no section can check by itself.
pub(crate) fn all(rows: &Rows, root: &Reader<'_>) {
    physical::power(rows, root);
    physical::memory(rows, root);
    physical::replicas(rows, root);
    nesting::umbrellas(rows, root);
    nesting::overflows(rows, root);
    nesting::named(rows, root);
    coverage::aliases(rows, root);
    coverage::shadows(rows, root);
    coverage::endpoints(rows, root);
    coverage::payers(rows, root);
    coverage::workloads(rows, root);
    outlook::expansions(rows, root);
    outlook::ventures(rows, root);
    outlook::unpaid(rows, root);
    exchange(rows, root);
    not_computed(rows, root);
}

/// Every row that could be read, with its position and name.
fn sound<T>(rows: &Named<T>) -> impl Iterator<Item = (usize, &str, &T)> {
    rows.iter().enumerate().filter_map(|(index, (name, row))| row.as_ref().map(|row| (index, name.as_str(), row)))
}

/// A row by its id, when it could be read.
fn get<T>(rows: &Named<T>, id: impl Id) -> Option<(&str, &T)> {
    rows.get(id.index()).and_then(|(name, row)| row.as_ref().map(|row| (name.as_str(), row)))
}

/// How a date is shown: without a time when it is midnight in the file's zone.
fn day(at: Instant, root: &Reader<'_>) -> String {
    let civil = root.zone.to_datetime(at.into());
    if civil.time() == jiff::civil::Time::midnight() { civil.date().to_string() } else { civil.to_string() }
}

fn exchange(rows: &Rows, root: &Reader<'_>) {
    for (currency, place) in root.findings.currencies.borrow().iter() {
        if *currency != rows.currency && !rows.exchange.contains_key(currency) {
            let message = format!("{currency} is used here, but nothing says what it is worth in {}", rows.currency);
            let hint = format!("add `[currencies.{currency}]` with `rates = [{{ from = 2026-01-01, is = \"1.00 {}\" }}]`", rows.currency);
            root.add(Diagnostic::error(codes::EXCHANGE, place, message, hint));
        }
    }
}

/// Lists what is read and kept, but not computed with.
fn not_computed(rows: &Rows, root: &Reader<'_>) {
    let tell = |path: &[&str], what: &str| {
        let message = format!("{what} read, but nothing computes with it yet");
        let hint = "nothing to do: it is kept for when it is";
        root.add(Diagnostic::not_computed(codes::NOT_COMPUTED, &root.place_of(path), message, hint));
    };
    for (_, name, party) in sound(&rows.parties) {
        if party.means.is_some() {
            let message = "what a party has is read, but binds nothing that it has promised: no plan computes with it";
            let hint = "to doubt it, give its raise a `likelihood`, or ask `plan --what-if` with less of its money";
            root.add(Diagnostic::not_computed(codes::NOT_COMPUTED, &root.place_of(&["parties", name, "means"]), message, hint));
        }
    }
    for (_, name, _) in sound(&rows.links) {
        tell(&["links", name], "a link is");
    }
    for (_, name, contract) in sound(&rows.contracts) {
        if contract.rates.iter().any(|it| matches!(it.meter.kind(), MeterKind::Energy | MeterKind::Egress)) {
            tell(&["contracts", name, "rates"], "a price of energy or traffic is");
        }
        if contract.delivery.as_ref().is_some_and(|it| it.exit_after_days.is_some()) {
            tell(&["contracts", name, "delivery", "exit_after"], "a right to leave is");
        }
        not_run(root, name, contract);
    }
}

/// Lists what statements and plans compute with, and the gateway doesn't.
fn not_run(root: &Reader<'_>, name: &str, contract: &Contract) {
    let add = |key: &str, message: String, hint: &str| {
        root.add(Diagnostic::not_computed(codes::NOT_COMPUTED, &root.place_of(&["contracts", name, key]), message, hint));
    };
    let has_units = contract.capacity.iter().any(|clause| matches!(clause.of, CapacityOf::Units(_)));
    if has_units && matches!(contract.overflow, Some(Overflow::AtRate(_))) {
        let message =
            format!("`up` sells nothing beyond the units of `{name}` at a rate: what exceeds them goes to the next contract, or waits");
        add("overflow", message, "for `up`, write a contract for it, with that price, and name it in `overflow`");
    }
}
