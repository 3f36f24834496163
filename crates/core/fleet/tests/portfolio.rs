//! `fleets/openai-2025.toml`: its sums are those of the founding texts, and each of its figures says where it comes from.

use fleet::{Fleet, Least, parse};
use toml::de::{DeTable, DeValue};
use units::{Instant, Money};

const TEXT: &str = include_str!("../../../../fleets/openai-2025.toml");

fn portfolio() -> Fleet {
    parse(TEXT).fleet.expect("a fleet without errors")
}

fn giga(units: i64) -> Money {
    Money::from_units(units * 1_000_000_000)
}

#[test]
fn oracles_years_come_to_300() {
    let fleet = portfolio();
    let oracle = &fleet.contracts[fleet.contracts.id("oracle").expect("it is there")];
    let Least::Spend(least) = &oracle.floors[0].least else { unreachable!("the floor is in money") };
    let years: Vec<_> = least.steps().iter().map(|(_, money)| *money).collect();
    assert_eq!(years, [30, 45, 60, 75, 90].map(giga));
    assert_eq!(years.iter().copied().sum::<Money>(), giga(300));
    assert_eq!(years[..3].iter().copied().sum::<Money>(), giga(135));
}

#[test]
fn the_partners_named_money_comes_to_52() {
    let fleet = portfolio();
    let [(_, stargate)] = fleet.ventures.as_slice() else { unreachable!("there is one venture") };
    let sum: Money = stargate.stakes.iter().map(|stake| stake.amount.money).sum();
    assert_eq!(sum, giga(52));
    let own: Money = stargate.stakes.iter().filter(|stake| stake.party.is_none()).map(|stake| stake.amount.money).sum();
    assert_eq!(own, giga(19));
}

#[test]
fn broadcoms_payments_come_to_10_and_raises_are_upper_bounds() {
    let fleet = portfolio();
    let broadcom = &fleet.contracts[fleet.contracts.id("broadcom").expect("it is there")];
    assert_eq!(broadcom.prepayments.iter().map(|prepayment| prepayment.amount).sum::<Money>(), giga(10));
    for (index, (raise, most)) in fleet.finance.raises.iter().zip([40, 100, 10]).enumerate() {
        assert_eq!(raise.amount.money, giga(most));
        let range = fleet.figures[&format!("finance.raises.{index}.amount")].range.clone();
        assert_eq!(range, Some(("0 USD".to_owned(), format!("{most} GUSD"))));
    }
    assert_eq!(fleet.finance.raises.len(), 3);
}

#[test]
fn the_in_house_chip_serves_from_the_late_end_of_its_summer_and_never_trains() {
    let fleet = portfolio();
    let chip = &fleet.accelerators[fleet.accelerators.id("in-house").expect("it is there")];
    assert_eq!(chip.runs, [fleet::Use::Serving]);
    let september = Instant::from_micros(1_788_246_000_000_000);
    assert_eq!(chip.available, Some(september), "2026-09-01 in Los Angeles is 07:00 in UTC");
}

/// Every source that a figure names is declared, and every declared source carries a figure or is cited in a comment.
#[test]
fn sources_are_declared_and_used() {
    let fleet = portfolio();
    let named = fleet.figures.values().filter_map(|note| note.source.as_deref());
    let undeclared: Vec<_> = named.filter(|source| !fleet.sources.contains_key(*source)).collect();
    assert!(undeclared.is_empty(), "{undeclared:?}");
    let (body, _) = TEXT.split_once("\n[sources.").expect("the sources stand at the end");
    let cited = |id: &str| body.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == id);
    let unused: Vec<_> = fleet.sources.keys().filter(|id| !cited(id)).collect();
    assert!(unused.is_empty(), "{unused:?}");
    let facts = body.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| {
        word.strip_prefix('S').is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|digit| digit.is_ascii_digit()))
    });
    let missing: Vec<_> = facts.filter(|id| !fleet.sources.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{missing:?} are cited in comments");
}

/// A figure of the portfolio without a source that is not marked as an assumption would pass for a fact.
#[test]
fn every_figure_has_a_source_or_is_an_assumption() {
    let file = DeTable::parse(TEXT).expect("it is TOML");
    let mut bare = Vec::new();
    for (name, value) in file.get_ref().iter().filter(|(name, _)| !["format", "sources"].contains(&name.get_ref().as_ref())) {
        unmarked(name.get_ref(), value.get_ref(), &mut bare);
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

fn unmarked(path: &str, value: &DeValue<'_>, bare: &mut Vec<String>) {
    match value {
        DeValue::Integer(_) | DeValue::Float(_) => bare.push(path.to_owned()),
        DeValue::String(text) if text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) => bare.push(path.to_owned()),
        DeValue::Array(entries) => {
            entries.iter().enumerate().for_each(|(index, entry)| unmarked(&format!("{path}.{index}"), entry.get_ref(), bare));
        }
        DeValue::Table(table) if is_note(table) => {
            let assumed = matches!(table.get("assumption").map(|it| it.get_ref()), Some(DeValue::Boolean(true)));
            if !assumed && !table.contains_key("source") {
                bare.push(path.to_owned());
            }
        }
        DeValue::Table(table) => {
            table.iter().for_each(|(name, value)| unmarked(&format!("{path}.{}", name.get_ref()), value.get_ref(), bare));
        }
        _ => {}
    }
}

/// Whether a table is a figure with its note, and not a table that happens to have a `value`.
fn is_note(table: &DeTable<'_>) -> bool {
    table.iter().all(|(name, _)| ["value", "low", "high", "source", "assumption"].contains(&name.get_ref().as_ref()))
}
