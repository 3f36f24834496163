//! What promises come to, as sections: a brief, then one table a question.

mod brief;
mod dependence;
mod facts;
mod money;

use anyhow::Result;
use planner::{Outline, Row};
use units::Money;

use super::chart;
use super::sections::{Cell, Line, Section, Table};
use crate::plan::figures::{Unit, units_of};

/// The outline in the report: its sections, with what is due drawn beside revenue.
pub fn sections(outline: &Outline) -> Result<Vec<Section>> {
    Ok(with(outline, drawn(outline)?.into_iter().collect()))
}

/// The same without charts, for a terminal.
pub fn plain(outline: &Outline) -> Vec<Section> {
    with(outline, Vec::new())
}

/// In short, then what is due, what there is to pay it with, and on whom it rests; `charts` show what is due.
fn with(outline: &Outline, charts: Vec<String>) -> Vec<Section> {
    let amounts = Amounts::of(outline);
    let mut sections = vec![brief::section(outline, &amounts), Section { charts, ..money::due(outline, &amounts) }];
    sections.extend(money::left(outline, &amounts));
    sections.extend(money::cash(outline, &amounts));
    sections.extend(money::if_signed(outline, &amounts));
    sections.extend(outline.ventures.iter().map(|venture| money::venture(venture, &amounts)));
    sections.extend(dependence::parties(outline, &amounts));
    sections.extend(dependence::chips(outline));
    sections.extend(facts::section(outline));
    sections
}

/// Whether the file says anything of money beside contracts, so that a balance says something.
fn has_balance(outline: &Outline) -> bool {
    !outline.revenue.is_empty() || !outline.costs.is_empty() || outline.balance.cash.is_some()
}

/// How money is shown: all in one unit, by year.
struct Amounts<'a> {
    unit: Unit,
    years: &'a [i16],
    /// The signed contract under which most is due.
    largest: Option<&'a Row>,
}

impl<'a> Amounts<'a> {
    fn of(outline: &'a Outline) -> Self {
        let balance = &outline.balance;
        let sums = [balance.obligations.iter().copied().sum(), balance.revenue.iter().copied().sum()];
        let sums = sums.into_iter().chain(balance.cash_with_all.iter().copied());
        let due = outline.obligations.iter().map(|obligation| &obligation.row).filter(|row| row.total() > Money::ZERO);
        Self { unit: Unit::of(sums, &outline.currency), years: &outline.years, largest: due.max_by_key(|row| row.total()) }
    }

    /// The years, and whatever columns come after them.
    fn head(&self, first: &str, after: &[&str]) -> Vec<String> {
        let years = self.years.iter().map(ToString::to_string);
        std::iter::once(first.to_owned()).chain(years).chain(after.iter().map(|&name| name.to_owned())).collect()
    }

    /// A name, its amounts by year, and their total where it says something.
    fn line(&self, label: &str, by_year: &[Money], total: Option<Money>) -> Line {
        let cells = by_year.iter().copied().map(Some).chain([total]).map(|sum| sum.map(|sum| self.unit.shown(sum)).unwrap_or_default());
        Line::of(std::iter::once(Cell::text(label)).chain(cells.map(Cell::number)))
    }

    /// The same as a sum of the lines above.
    fn sum(&self, label: &str, by_year: &[Money], total: Option<Money>) -> Line {
        Line { sum: true, ..self.line(label, by_year, total) }
    }

    /// Amounts with their total, the total's range where there is one, and what they rest on.
    fn row(&self, label: &str, row: &Row, ranges: bool) -> Line {
        let range = row.range.as_ref().map(|range| [&range.low, &range.high].map(|ends| ends.iter().copied().sum::<Money>()));
        let range = range.map(|ends| ends.map(|end| if end == Money::ZERO { "0".to_owned() } else { self.unit.shown(end) }).join(" to "));
        let range = ranges.then(|| Cell::number(range.unwrap_or_default()));
        let mut line = self.line(label, &row.amounts, Some(row.total()));
        line.cells.extend(range.into_iter().chain([facts::rests(&row.evidence)]));
        line
    }
}

/// Up to and with each year.
fn running(by_year: &[Money]) -> Vec<Money> {
    let add = |sum: &mut Money, more: &Money| {
        *sum += *more;
        Some(*sum)
    };
    by_year.iter().scan(Money::ZERO, add).collect()
}

/// What is due by contract on top of each other, and revenue as lines over it; nothing when there is no line to draw.
fn drawn(outline: &Outline) -> Result<Option<String>> {
    let row = |name: &str, sums: &[Money]| chart::Row { name: name.to_owned(), values: sums.iter().map(|sum| units_of(*sum)).collect() };
    let due = outline.obligations.iter().map(|obligation| &obligation.row).filter(|row| row.total() > Money::ZERO);
    let layers: Vec<chart::Row> = due.map(|due| row(&due.label, &due.amounts)).collect();
    let years: Vec<String> = outline.years.iter().map(ToString::to_string).collect();
    if years.len() < 2 || layers.is_empty() {
        return Ok(None);
    }
    let balance = &outline.balance;
    let after_costs: Vec<Money> = balance.revenue.iter().zip(&balance.costs).map(|(revenue, costs)| *revenue - *costs).collect();
    let lines = [row("revenue if all is served", &balance.revenue), row("revenue less other costs", &after_costs)];
    chart::stacked(&years, &format!("{} a year", outline.currency), &layers, &lines).map(Some)
}
