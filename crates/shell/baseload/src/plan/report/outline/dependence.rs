//! On whom it rests: by party in all its roles, and by maker of chips.

use planner::{Capacity, Dependence, Outline, Row};
use units::{Money, Share};

use super::{Amounts, Cell, Line, Section, Table};
use crate::plan::figures::{percent, rough, scaled};

/// One line a party, the one to whom most is due first.
pub(super) fn parties(outline: &Outline, amounts: &Amounts<'_>) -> Option<Section> {
    let first = outline.years.first()?;
    let all: Money = outline.balance.obligations.iter().copied().sum();
    let line = |on: &Dependence| {
        let due: Money = on.obligations.iter().copied().sum();
        let roles = on.roles.join(", ");
        let cells =
            [Cell::text(&on.party), Cell::text(roles), Cell::number(amounts.unit.shown(due)), Cell::number(percent(share(due, all)))];
        let shares = [power, work].into_iter().flat_map(|of| {
            let peak = peak(&on.supplies, of);
            let peaked =
                peak.map_or_else(|| "-".to_owned(), |year| format!("{} ({})", percent(of(&on.supplies[year])), outline.years[year]));
            [percent(of(&on.supplies[0])), peaked]
        });
        Line::of(cells.into_iter().chain(shares.map(Cell::number)).chain([Cell::text(loss(on, outline, amounts))]))
    };
    let head =
        ["party", "as", "due", "of all", &format!("power {first}"), "most", &format!("compute {first}"), "most", "its loss takes away"];
    let table = Table { head: head.map(str::to_owned).into(), rows: ranked(outline).into_iter().map(line).collect(), ..Table::default() };
    (!table.rows.is_empty()).then(|| Section {
        title: format!("On whom it rests, with money in {}", amounts.unit.name),
        about: "A party that fails does so in all its roles. Power and compute are shares of what signed contracts give a right to, delivered or not, \
                in the first year and in the year when it is most; compute is counted by the chips' peak arithmetic."
            .into(),
        tables: vec![table],
        ..Section::default()
    })
}

/// Shares of all compute by maker of chips, by year.
pub(super) fn chips(outline: &Outline) -> Option<Section> {
    let makers = outline.dependence.iter().filter(|on| peak(&on.makes, work).is_some());
    let line = |on: &Dependence| {
        let most = on.makes.iter().map(|made| made.accelerators).max().unwrap_or(0);
        let shares = on.makes.iter().map(|made| Cell::number(percent(made.work_share)));
        Line::of(std::iter::once(Cell::text(&on.party)).chain(shares).chain([Cell::number(scaled(rough(most)).trim_end())]))
    };
    let years = outline.years.iter().map(ToString::to_string);
    let head = std::iter::once("maker".to_owned()).chain(years).chain(["most chips".to_owned()]).collect();
    let table = Table { head, rows: makers.map(line).collect(), ..Table::default() };
    (!table.rows.is_empty()).then(|| Section {
        title: "Whose chips it runs on".into(),
        about: "The share of all compute by who makes the chips. When a maker fails, what is there stays and nothing comes after it."
            .into(),
        tables: vec![table],
        ..Section::default()
    })
}

/// Who it rests on most.
pub(super) fn sentence(outline: &Outline) -> Option<String> {
    let all: Money = outline.balance.obligations.iter().copied().sum();
    let on = ranked(outline).into_iter().next()?;
    let due: Money = on.obligations.iter().copied().sum();
    let owed = (due > Money::ZERO).then(|| format!("{} of what is due", percent(share(due, all))));
    let supplied =
        peak(&on.supplies, work).map(|year| format!("{} of the compute ({})", up_to(work(&on.supplies[year])), outline.years[year]));
    let parts: Vec<String> = owed.into_iter().chain(supplied).collect();
    if parts.is_empty() {
        return None;
    }
    let makers = outline.dependence.iter().filter_map(|on| peak(&on.makes, work).map(|year| (work(&on.makes[year]), year, &on.party)));
    let maker = makers.max_by_key(|(share, ..)| *share);
    let chips = maker.map(|(share, year, party)| format!(" Chips made by {party} do {} of it ({}).", up_to(share), outline.years[year]));
    Some(format!("It rests most on {}: {}.{}", on.party, parts.join(", and "), chips.unwrap_or_default()))
}

/// The share when it is largest, in words.
fn up_to(share: Share) -> String {
    if share == Share::ALL { "all".to_owned() } else { format!("up to {}", percent(share)) }
}

/// What is due to a party first, then what it supplies.
fn ranked(outline: &Outline) -> Vec<&Dependence> {
    let mut ranked: Vec<&Dependence> = outline.dependence.iter().collect();
    let weight = |on: &Dependence| {
        let most = |capacity: &[Capacity]| peak(capacity, power).map(|year| power(&capacity[year]));
        (on.obligations.iter().copied().sum::<Money>(), most(&on.supplies), most(&on.makes))
    };
    ranked.sort_by_key(|on| core::cmp::Reverse(weight(on)));
    ranked
}

/// Capacity when it is most of all, chips to come, and money that would not be there.
fn loss(on: &Dependence, outline: &Outline, amounts: &Amounts<'_>) -> String {
    let watts = |capacity: &Capacity| format!("{}W", scaled(rough(capacity.watts)));
    let supplied = peak(&on.supplies, power)
        .map(|year| format!("{} of {} ({})", watts(&on.supplies[year]), watts(&outline.capacity[year]), outline.years[year]));
    let makes = peak(&on.makes, work).map(|_| "chips to come".to_owned());
    let brings = on.brings.iter().map(|row: &Row| format!("{} ({})", amounts.unit.shown(row.total()), row.label));
    let parts: Vec<String> = supplied.into_iter().chain(makes).chain(brings).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

/// The year in which a share is largest, if it is any.
fn peak(capacity: &[Capacity], of: fn(&Capacity) -> Share) -> Option<usize> {
    let first_of_most = |most: usize, year: usize| if of(&capacity[year]) > of(&capacity[most]) { year } else { most };
    (0..capacity.len()).reduce(first_of_most).filter(|year| of(&capacity[*year]) > Share::NONE)
}

fn power(capacity: &Capacity) -> Share {
    capacity.power_share
}

fn work(capacity: &Capacity) -> Share {
    capacity.work_share
}

fn share(part: Money, whole: Money) -> Share {
    if whole <= Money::ZERO {
        return Share::NONE;
    }
    Share::from_ppm(i64::try_from(part.times_ratio(1_000_000, whole.nanos()).nanos()).unwrap_or(i64::MAX))
}
