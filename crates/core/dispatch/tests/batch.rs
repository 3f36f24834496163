//! When lines of a batch start, by hand and over random prices.

use std::time::Duration;

use dispatch::batch::{Moment, PRICE_NOTED_EVERY, Prices, Start, share_needed_ppm, start};
use proptest::prelude::*;
use units::{Instant, Money};

const HOUR: i64 = 3_600;

fn at(second: i64) -> Instant {
    Instant::from_micros(1_800_000_000_000_000 + second * 1_000_000)
}

fn money(nanos: i128) -> Money {
    Money::from_nanos(nanos)
}

/// One price a minute.
fn noted(prices: impl IntoIterator<Item = i128>) -> Prices {
    let mut noted = Prices::default();
    for (minute, price) in (0..).zip(prices) {
        noted.note(at(minute * 60), money(price));
    }
    noted
}

/// These prices at these seconds.
fn noted_at(prices: impl IntoIterator<Item = (i64, i128)>) -> Prices {
    let mut noted = Prices::default();
    for (second, price) in prices {
        noted.note(at(second), money(price));
    }
    noted
}

/// A hundred lines of 36 s each, four at once: they need 900 s, and as much is kept in reserve.
fn moment(left: i64, price: Option<i128>) -> Moment {
    let (now, line) = (at(HOUR), Duration::from_secs(36));
    Moment { now, deadline: at(HOUR + left), lines_left: 100, line, at_once: 4, price: price.map(money), room: true }
}

#[test]
fn the_share_that_is_needed_is_twice_the_work_over_the_time() {
    for (left, want) in
        [(24 * HOUR, 250_000), (2 * HOUR, 500_000), (4_800, 750_000), (HOUR, 1_000_000), (900, 1_000_000), (0, 1_000_000), (-5, 1_000_000)]
    {
        assert_eq!(share_needed_ppm(&moment(left, None)), want, "{left} s left");
    }
}

#[test]
fn one_line_starts_long_before_its_deadline_and_a_part_of_a_round_counts_whole() {
    let one = |left| Moment { lines_left: 1, line: Duration::from_secs(2), at_once: 8, ..moment(left, None) };
    assert_eq!(share_needed_ppm(&one(2 * (900 + 2))), 1_000_000);
    assert!(share_needed_ppm(&one(2 * (900 + 2) + 1)) < 1_000_000);
    let nine = Moment { lines_left: 9, ..one(2 * (900 + 4)) };
    assert_eq!(share_needed_ppm(&nine), 1_000_000, "two rounds");
}

#[test]
fn the_quantile_is_a_price_that_was_noted() {
    let prices = noted([40, 10, 30, 20]);
    for (share, want) in [(0, 10), (250_000, 10), (250_001, 20), (500_000, 20), (750_000, 30), (1_000_000, 40)] {
        assert_eq!(prices.quantile(share), Some(money(want)), "{share}");
    }
    assert_eq!(Prices::default().quantile(500_000), None);
}

fn check(prices: &Prices, moment: &Moment, want: Start) {
    assert_eq!(start(prices, moment), want, "{moment:?}");
}

#[test]
fn a_line_starts_when_it_is_cheap_or_pressed_and_gives_way_to_live_traffic() {
    let prices = noted([40, 10, 30, 20]);
    let day = 24 * HOUR;
    check(&prices, &moment(day, Some(10)), Start::Cheap { at_most: money(10) });
    check(&prices, &moment(day, Some(11)), Start::Dear { at_most: money(10) });
    check(&prices, &moment(2 * HOUR, Some(11)), Start::Cheap { at_most: money(20) });
    check(&prices, &moment(1_800, Some(999)), Start::Pressed);
    check(&prices, &moment(day, None), Start::Nowhere);
    check(&prices, &moment(1_800, None), Start::Pressed);
    check(&prices, &Moment { room: false, ..moment(day, Some(10)) }, Start::Busy);
    check(&prices, &Moment { room: false, ..moment(1_800, Some(10)) }, Start::Pressed);
    check(&Prices::default(), &moment(day, Some(7)), Start::Cheap { at_most: money(7) });
}

#[test]
fn prices_are_noted_once_a_minute_and_forgotten_after_a_day() {
    let mut prices = Prices::default();
    prices.note(at(0), money(1));
    prices.note(at(59), money(2));
    assert_eq!(prices.quantile(1_000_000), Some(money(1)), "a second one in the same minute is not noted");
    prices.note(at(60), money(3));
    prices.note(at(24 * HOUR + 1), money(5));
    assert_eq!(prices.quantile(1), Some(money(3)), "the first was forgotten");
    prices.note(at(90), money(7));
    assert_eq!(prices, noted_at([(60, 3)]), "of a clock that was set back, what is to come is forgotten, and a minute is a minute");
    prices.note(at(120), money(7));
    assert_eq!(prices, noted_at([(60, 3), (120, 7)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// On a day like the one before, waiting for the quantile leaves the lines as much time as they need, and they never
    /// start at a price above what was paid for the same share of that day.
    #[test]
    fn the_cheap_share_of_a_day_is_at_least_what_is_needed(day in prop::collection::vec(0..1_000_i128, 200), lines in 1..2_000_u32) {
        let (prices, minutes) = (noted(day.iter().copied()), 200);
        let span = PRICE_NOTED_EVERY * minutes;
        let base = Moment { now: at(0), deadline: at(0) + span, lines_left: lines, line: Duration::from_secs(24), at_once: 4, price: None, room: true };
        let starts = day.iter().filter(|price| start(&prices, &Moment { price: Some(money(**price)), ..base }).is_now()).count();
        let need = Duration::from_secs(24) * lines / 4;
        prop_assert!(PRICE_NOTED_EVERY * u32::try_from(starts).expect("few") >= need.min(span), "{starts} minutes of {minutes}");
        let dearest = day.iter().filter(|price| start(&prices, &Moment { price: Some(money(**price)), ..base }).is_now()).max();
        let at_most = prices.quantile(share_needed_ppm(&base)).expect("there are prices");
        prop_assert!(dearest.is_none_or(|dearest| money(*dearest) <= at_most) || share_needed_ppm(&base) == 1_000_000);
    }

    /// The nearer the deadline, the more is paid.
    #[test]
    fn less_time_never_means_more_patience(day in prop::collection::vec(0..1_000_i128, 1..100), price in 0..1_000_i128, left in 0..100_000_i64, less in 0..100_000_i64) {
        let prices = noted(day);
        let starts = |left: i64| start(&prices, &moment(left, Some(price))).is_now();
        prop_assert!(!starts(left) || starts(left.min(less)));
    }
}
