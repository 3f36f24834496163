//! Planning instances that need no fleet file: the reference, which is large and tight, and small random ones that have
//! something in every field. Both are always feasible when promises may be broken.

mod clauses;
mod demand;
mod finance;
mod random;
mod reference;
mod small;
mod supply;

use planner::{Month, Step};
use units::{Instant, Span};

pub use random::random;
pub use reference::reference;
pub use small::Small;

/// Days from 1970-01-01 to 2026-01-01, with which every instance begins.
const FIRST_DAY: i64 = 20_454;
const FIRST_YEAR: i16 = 2026;
const DAY_MICROS: i64 = 86_400_000_000;
const DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// So many calendar months.
fn months(count: usize) -> Vec<Month> {
    let mut day = FIRST_DAY;
    (0..12)
        .cycle()
        .take(count)
        .scan(FIRST_YEAR - 1, |year, place: usize| {
            *year += i16::from(place == 0);
            let leap = i64::from(place == 1 && *year % 4 == 0);
            let (first, days) = (day, DAYS[place] + leap);
            day += days;
            let span = Span { from: Instant::from_micros(first * DAY_MICROS), to: Instant::from_micros(day * DAY_MICROS) };
            let number = i8::try_from(place + 1).expect("a year has twelve months");
            Some(Month { span, hours: number_of(days) * 24.0, year: *year, number })
        })
        .collect()
}

/// Each month's steps, by their share of its hours.
fn steps(months: &[Month], shares: &[f64]) -> Vec<Step> {
    let of = |(month, at): (usize, &Month)| shares.iter().map(|share| Step { month, hours: share * at.hours }).collect::<Vec<_>>();
    months.iter().enumerate().flat_map(of).collect()
}

/// A small count as a number to compute with.
fn number_of(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::{months, random, reference};

    #[test]
    fn months_follow_the_calendar() {
        let months = months(27);
        let february = months[25];
        assert_eq!((february.year, february.number, february.hours), (2028, 2, 29.0 * 24.0));
        assert!(months.windows(2).all(|pair| pair[0].span.to == pair[1].span.from));
        assert_eq!(months[12].span.from.micros(), 1_798_761_600_000_000, "2027-01-01");
    }

    #[test]
    fn a_seed_gives_the_same_instance_and_another_seed_another() {
        assert_eq!(random(7), random(7));
        assert_ne!(random(7), random(8));
    }

    #[test]
    fn the_reference_has_the_size_that_is_measured() {
        let instance = reference();
        let open: usize = instance.fits.iter().flat_map(|fit| &fit.open).map(|(from, to)| to - from).sum();
        let windows: usize = instance.treasury.windows.iter().map(|window| window.open.1 - window.open.0).sum();
        let (months, expansions) = (instance.months.len(), instance.expansions.len());
        let of_month = 6 * 3 + 6 + 2 * 6 + 2 * expansions + 5;
        assert_eq!((months, expansions, instance.floors.len()), (120, 20, 400));
        assert_eq!(open + windows + months * of_month + instance.floors.len(), 67_720);
    }

    #[test]
    fn random_instances_have_something_in_every_field() {
        let all: Vec<_> = (0..50).map(random).collect();
        let some = |name: &str, has: &dyn Fn(&planner::Instance) -> bool| assert!(all.iter().any(has), "{name}");
        some("choices", &|one| one.choices.len() > 1);
        some("variants of a choice", &|one| one.choices.windows(2).any(|pair| pair[0].group == pair[1].group));
        some("blocks", &|one| one.steps.len() > one.months.len());
        some("expansions", &|one| one.expansions.len() > 1);
        some("chip supply", &|one| one.expansions.iter().any(|expansion| expansion.supply.is_some()));
        some("chips held back", &|one| one.expansions.iter().any(|expansion| expansion.held.is_some()));
        some("volume tiers", &|one| one.tiered.iter().any(|tiered| tiered.volume));
        some("graduated tiers", &|one| one.tiered.iter().any(|tiered| !tiered.volume));
        some("carry-over", &|one| one.floors.iter().any(|floor| floor.carry.is_some()));
        some("floors that count tiers", &|one| one.floors.iter().any(|floor| !floor.tiered.is_empty()));
        some("floors that count expansions", &|one| one.floors.iter().any(|floor| !floor.expansions.is_empty()));
        some("credits", &|one| !one.credits.is_empty());
        some("caps of spend", &|one| one.caps.iter().any(|cap| cap.spend));
        some("caps of work", &|one| one.caps.iter().any(|cap| !cap.spend));
        some("covenants", &|one| one.treasury.debt.as_ref().is_some_and(|debt| debt.covenant.is_some()));
        some("windows", &|one| !one.treasury.windows.is_empty());
        some("tiers over the term", &|one| one.tiered.iter().any(|tiered| tiered.after.is_some()));
        some("nested floors", &|one| one.floors.iter().any(|floor| !floor.nested.is_empty()));
        some("bars of choices", &|one| one.bars.iter().any(|bar| matches!(bar.lifts, planner::Lifts::Choice(_))));
        some("bars of orders", &|one| one.bars.iter().any(|bar| matches!(bar.lifts, planner::Lifts::Expansion(..))));
        some("unknown cash", &|one| !one.treasury.bound);
    }
}
