//! Tables of money by year: what is due, what is left, cash, what might be signed, joint ventures.

use planner::{Depends, Obligation, Outline, PartKind, Row, VentureMeans};
use units::Money;

use super::facts::{rests, said};
use super::{Amounts, Line, Section, Table, has_balance, running};
use crate::plan::figures::{percent, rough, scaled};

/// Due under signed contracts by year.
pub(super) fn due(outline: &Outline, amounts: &Amounts<'_>) -> Section {
    let (due, nothing): (Vec<_>, Vec<_>) = outline.obligations.iter().partition(|it| !it.parts.is_empty());
    let balance = &outline.balance;
    let mut rows: Vec<Line> = due.iter().map(|it| amounts.row(&contract(it), &it.row, false)).collect();
    rows.push(amounts.sum("all", &balance.obligations, Some(balance.obligations.iter().copied().sum())));
    rows.push(amounts.sum("  cumulative", &running(&balance.obligations), None));
    let mut items = Vec::new();
    if !nothing.is_empty() {
        items.push(format!("Nothing is due until it is used: {}.", names(nothing.iter().map(|it| it.row.label.as_str()))));
    }
    if !outline.not_outlined.is_empty() {
        items.push(format!("Billed too often to be added up here, and so left out: {}.", outline.not_outlined.join(", ")));
    }
    let table = Table { head: amounts.head("contract", &["all", "rests on"]), rows, ..Table::default() };
    Section {
        title: format!("What is due under signed contracts, in {}", amounts.unit.name),
        about: "What falls due if nothing is used: committed capacity, prepayments, and minimums in full.".into(),
        items,
        tables: if due.is_empty() { Vec::new() } else { with_facts(table, due.iter().map(|it| &it.row)) },
        ..Section::default()
    }
}

/// What is left of revenue by year.
pub(super) fn left(outline: &Outline, amounts: &Amounts<'_>) -> Option<Section> {
    let balance = &outline.balance;
    let total = |by_year: &[Money]| Some(by_year.iter().copied().sum());
    let minus: Vec<Money> = balance.obligations.iter().map(|due| -*due).collect();
    let revenue = outline.revenue.iter().map(|row| amounts.row(&label(row), row, true));
    let costs = outline.costs.iter().map(|row| amounts.row(&format!("less {}", label(row)), &negated(row), true));
    let mut rows: Vec<Line> = revenue.collect();
    rows.push(amounts.sum("revenue", &balance.revenue, total(&balance.revenue)));
    rows.push(amounts.line("less what is due", &minus, total(&minus)));
    rows.extend(costs);
    rows.push(amounts.sum("left", &balance.left, total(&balance.left)));
    rows.push(amounts.sum("  cumulative", &running(&balance.left), None));
    let table = Table { head: amounts.head("", &["all", "low to high", "rests on"]), rows, ..Table::default() };
    has_balance(outline).then(|| Section {
        title: format!("What revenue leaves, in {}", amounts.unit.name),
        about: "Revenue if all demand is served, less what is due under signed contracts and other costs.".into(),
        tables: with_facts(table, outline.revenue.iter().chain(&outline.costs)),
        ..Section::default()
    })
}

/// What may be raised, and the cash at each year's end without it and with it.
pub(super) fn cash(outline: &Outline, amounts: &Amounts<'_>) -> Option<Section> {
    let balance = &outline.balance;
    let mut rows: Vec<Line> = outline.raises.iter().map(|row| amounts.row(&label(row), row, true)).collect();
    let raises = !rows.is_empty();
    rows.push(amounts.sum(if raises { "cash without raises" } else { "cash" }, &balance.cash_without, None));
    if raises {
        rows.push(amounts.sum("cash with certain raises", &balance.cash_with_certain, None));
        rows.push(amounts.sum("cash with all raises", &balance.cash_with_all, None));
    }
    let floor = balance.floor.unwrap_or_default();
    if balance.needed.iter().any(|needed| *needed > Money::ZERO) {
        let label = format!("needed by then, to keep {}", amounts.unit.whole(floor));
        rows.push(amounts.sum(&label, &balance.needed, None));
    }
    let begin = balance.cash.map_or_else(
        || "The file counts no cash at the beginning, so that cash is what comes and goes from then on.".to_owned(),
        |cash| format!("It begins with {}.", amounts.unit.whole(cash)),
    );
    let after: &[&str] = if raises { &["all", "low to high", "rests on"] } else { &[] };
    let table = Table { head: amounts.head("", after), rows, ..Table::default() };
    let certain = if raises { "A raise is an upper bound unless it is certain." } else { "No raise is planned for." };
    (has_balance(outline) || raises).then(|| Section {
        title: format!("Cash at each year's end, in {}", amounts.unit.name),
        about: format!("{begin} {certain}"),
        tables: with_facts(table, outline.raises.iter()),
        ..Section::default()
    })
}

/// What would be due under contracts that are not signed, each by itself.
pub(super) fn if_signed(outline: &Outline, amounts: &Amounts<'_>) -> Option<Section> {
    let (due, nothing): (Vec<_>, Vec<_>) = outline.if_signed.iter().partition(|it| !it.parts.is_empty());
    let names = names(nothing.iter().map(|it| it.row.label.as_str()));
    let rows: Vec<Line> = due.iter().map(|it| amounts.row(&contract(it), &it.row, false)).collect();
    let table = Table { head: amounts.head("contract", &["all", "rests on"]), rows, ..Table::default() };
    (!outline.if_signed.is_empty()).then(|| Section {
        title: format!("What would be due under contracts that are not signed, in {}", amounts.unit.name),
        about: "Each as if it alone were signed as the file states it; none of it is in any sum above or below.".into(),
        items: if nothing.is_empty() { Vec::new() } else { vec![format!("Signing would make nothing due by itself: {names}.")] },
        tables: if due.is_empty() { Vec::new() } else { with_facts(table, due.iter().map(|it| &it.row)) },
        ..Section::default()
    })
}

/// What the partners of a joint venture pay in, and what that builds.
pub(super) fn venture(venture: &VentureMeans, amounts: &Amounts<'_>) -> Section {
    let watts = |watts: i64| format!("{}W", scaled(rough(watts)));
    let mut rows: Vec<Line> =
        venture.stakes.iter().map(|row| amounts.row(row.party.as_deref().unwrap_or("the lab itself"), row, true)).collect();
    let by_year: Vec<Money> = (0..amounts.years.len()).map(|year| venture.stakes.iter().map(|stake| stake.amounts[year]).sum()).collect();
    rows.push(amounts.sum("all", &by_year, Some(venture.paid)));
    let without = venture.watts_without.iter().map(|(partner, left)| format!("{} without {partner}", watts(*left)));
    let table = Table { head: amounts.head("partner", &["all", "low to high", "rests on"]), rows, ..Table::default() };
    let mut tables = vec![table];
    tables.extend(said(venture.stakes.iter().map(|stake| &stake.evidence).chain([&venture.evidence])));
    Section {
        title: format!("What the joint venture {} can build, in {}", venture.name, amounts.unit.name),
        about: format!(
            "{} paid in and {} borrowed on it build {}: {}. Cost and borrowing rest on {}.",
            amounts.unit.whole(venture.paid),
            amounts.unit.whole(venture.borrowed),
            watts(venture.watts),
            without.collect::<Vec<_>>().join(", "),
            rests(&venture.evidence).shown
        ),
        tables,
        ..Section::default()
    }
}

/// A table, and below it who said what its rows rest on.
fn with_facts<'a>(table: Table, rows: impl Iterator<Item = &'a Row>) -> Vec<Table> {
    std::iter::once(table).chain(said(rows.map(|row| &row.evidence))).collect()
}

/// A contract, with where it stands and why something is due: `oracle (minimum)`.
fn contract(obligation: &Obligation) -> String {
    let word = |kind: PartKind| match kind {
        PartKind::Committed => "committed",
        PartKind::Prepaid => "prepaid",
        PartKind::Floor => "minimum",
        PartKind::Other => "other",
    };
    let status = match &obligation.row.depends {
        Depends::Signed { status } => Some(status.as_str()),
        _ => None,
    };
    let words: Vec<&str> = status.into_iter().chain(obligation.parts.iter().map(|part| word(part.kind))).collect();
    format!("{} ({})", obligation.row.label, words.join(", "))
}

/// A row's name with what it depends on.
fn label(row: &Row) -> String {
    match &row.depends {
        Depends::Nothing | Depends::Signed { .. } => row.label.clone(),
        Depends::Served { workload } if row.label.contains(workload.as_str()) => row.label.clone(),
        Depends::Served { workload } => format!("{} (serving {workload})", row.label),
        Depends::UpTo { likelihood, cost } => {
            let cost = cost.map(|cost| format!(", costs {cost}")).unwrap_or_default();
            format!("up to: {} ({} likely{cost})", row.label, percent(*likelihood))
        }
    }
}

fn negated(row: &Row) -> Row {
    let minus = |sums: &[Money]| sums.iter().map(|sum| -*sum).collect();
    let range = row.range.as_ref().map(|range| planner::Range { low: minus(&range.low), high: minus(&range.high) });
    Row { amounts: minus(&row.amounts), range, ..row.clone() }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
