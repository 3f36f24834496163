//! What lines rest on, and who said it.

use std::collections::BTreeMap;

use planner::{Evidence, Fact, Outline};
use units::Money;

use super::{Amounts, Cell, Line, Section, Table};

/// The names of facts, and how many figures are the lab's own assumptions: `S001, S004 + 4 assumed`.
pub(super) fn rests(evidence: &Evidence) -> Cell {
    let facts = evidence.facts.iter().map(|fact| fact.id.as_str()).collect::<Vec<_>>().join(", ");
    Cell::text(match (facts.as_str(), evidence.assumptions().count()) {
        ("", 0) => "no source given".to_owned(),
        ("", assumed) => format!("{assumed} assumed"),
        (_, 0) => facts,
        (_, assumed) => format!("{facts} + {assumed} assumed"),
    })
}

/// Who said what of the lines above, each fact once; nothing where nobody did.
pub(super) fn said<'a>(evidence: impl IntoIterator<Item = &'a Evidence>) -> Option<Table> {
    let facts: BTreeMap<&str, &Fact> = evidence.into_iter().flat_map(|it| &it.facts).map(|fact| (fact.id.as_str(), fact)).collect();
    (!facts.is_empty()).then(|| Table { caption: "Who said it".into(), folded: true, ..table(facts.into_values()) })
}

fn table<'a>(facts: impl Iterator<Item = &'a Fact>) -> Table {
    let line = |fact: &Fact| {
        let text = |text: &Option<String>| Cell::text(text.as_deref().unwrap_or("-"));
        Line::of([Cell::text(&fact.id), text(&fact.speaker), text(&fact.says), text(&fact.when)])
    };
    let head = ["fact", "who", "what", "when"].map(str::to_owned).into();
    Table { head, rows: facts.map(line).collect(), ..Table::default() }
}

/// A fact as a sentence ends with it: `S067 The Information, after an investor document`.
fn named(fact: &Fact) -> String {
    fact.speaker.as_ref().map_or_else(|| fact.id.clone(), |speaker| format!("{} {speaker}", fact.id))
}

/// What was said and carries no figure; sums of money up to a year have a sentence of their own in `beside`.
pub(super) fn section(outline: &Outline) -> Option<Section> {
    (!outline.beside.is_empty()).then(|| Section {
        title: "Said beside".into(),
        about: "What somebody said that carries no figure of the file: to set beside the sums.".into(),
        tables: vec![table(outline.beside.iter())],
        ..Section::default()
    })
}

/// Sums of money up to a year that somebody spoke of, beside what the file comes to by then.
pub(super) fn beside(outline: &Outline, amounts: &Amounts<'_>) -> Vec<String> {
    let sentence = |fact: &Fact| {
        let says = fact.says.as_deref().filter(|says| is_money(says, &outline.currency))?;
        let until = year_named(says).and_then(|year| outline.years.iter().position(|covered| *covered == year))?;
        let sum = |by_year: &[Money]| by_year[..=until].iter().copied().sum::<Money>();
        let (first, last) = (outline.years[0], outline.years[until]);
        let span = if until == 0 { format!("in {first}") } else { format!("from {first} to {last}") };
        let largest = amounts.largest.filter(|row| sum(&row.amounts) > Money::ZERO).map(|row| {
            let years = row.amounts[..=until].iter().skip_while(|due| **due == Money::ZERO).count();
            let first_years = if years == 1 { "first year".to_owned() } else { format!("first {years} years") };
            format!("the {first_years} of {} alone come to {}, ", row.label, amounts.unit.whole(sum(&row.amounts)))
        });
        let left = sum(&outline.balance.left);
        let left = if left >= Money::ZERO {
            format!("leaves {}", amounts.unit.whole(left))
        } else {
            format!("is {} short of paying for that and the rest", amounts.unit.whole(-left))
        };
        Some(format!(
            "Beside \"{says}\" [{}]: {span} {}all contracts to {}, and revenue {left}.",
            named(fact),
            largest.unwrap_or_default(),
            amounts.unit.whole(sum(&outline.balance.obligations)),
        ))
    };
    outline.beside.iter().filter_map(sentence).collect()
}

fn is_money(says: &str, currency: &str) -> bool {
    says.contains(['$', '€', '£']) || says.contains(currency)
}

/// The year up to which something is said: `to 2029`.
fn year_named(says: &str) -> Option<i16> {
    let words: Vec<&str> = says.split(|letter: char| !letter.is_alphanumeric()).collect();
    words.windows(2).rev().find(|pair| matches!(pair[0], "to" | "by" | "until")).and_then(|pair| pair[1].parse().ok())
}

#[cfg(test)]
mod tests {
    use super::year_named;

    #[test]
    fn the_year_up_to_which_is_the_last_named() {
        let cases = [
            ("115 G$ of cash burnt from 2025 to 2029", Some(2029)),
            ("10 G$ by 2027, 30 G$ by 2028; no more", Some(2028)),
            ("production is to start next summer: 2026", None),
            ("80 G$ more than forecast before", None),
        ];
        for (says, expected) in cases {
            assert_eq!(year_named(says), expected, "{says}");
        }
    }
}
