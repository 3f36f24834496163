//! What a settled attempt posts.

use expect_test::{Expect, expect};
use fleet::Id;
use market::Tokens;
use units::{Instant, Money};

use dispatch::{AttemptId, Known, Outcome, RequestId, Settlement, TokenMeters};

fn settlement(known: Known, (input, cached, output): (u32, u32, u32)) -> Settlement {
    Settlement {
        attempt: AttemptId { request: RequestId(1), attempt: 1 },
        endpoint: Id::from_index(0),
        contract: Id::from_index(3),
        in_units: false,
        fleet: fleet::FleetVersion([0; 32]),
        outcome: Outcome::Answered,
        tokens: Tokens { input, cached, output },
        known,
        list: Money::ZERO,
        started: Instant::from_micros(1),
        first_content: None,
        ended: Instant::from_micros(9),
    }
}

fn check(cached_apart: bool, known: Known, tokens: (u32, u32, u32), expected: &Expect) {
    let settlement = settlement(known, tokens);
    let postings = TokenMeters { model: Id::from_index(0), cached_apart, last: Instant::MAX }.postings(&settlement);
    for usage in &postings {
        assert_eq!((usage.contract, usage.at, usage.held), (settlement.contract, settlement.ended, usage.used));
    }
    let shown: Vec<String> = postings.iter().map(|usage| format!("{:?} {}", usage.meter.kind(), usage.used)).collect();
    expected.assert_eq(&shown.join(", "));
}

#[test]
fn each_meter_takes_its_tokens_and_none_takes_nothing() {
    check(true, Known::Reported, (10, 4, 5), &expect!["InputTokens 6, CachedTokens 4, OutputTokens 5"]);
    check(true, Known::Counted, (10, 10, 0), &expect!["CachedTokens 10"]);
    check(true, Known::Counted, (0, 0, 0), &expect![""]);
}

#[test]
fn cached_input_without_its_own_price_counts_as_input() {
    check(false, Known::Reported, (10, 4, 5), &expect!["InputTokens 10, OutputTokens 5"]);
}

#[test]
fn a_report_of_more_cached_than_input_tokens_posts_no_more_than_the_input() {
    check(true, Known::Reported, (10, 40, 5), &expect!["CachedTokens 10, OutputTokens 5"]);
}

#[test]
fn what_is_only_bounded_posts_nothing() {
    check(true, Known::Bounded, (10, 4, 5), &expect![""]);
}

#[test]
fn what_units_take_is_posted_as_they_are_held() {
    let meters = TokenMeters { model: Id::from_index(0), cached_apart: true, last: Instant::MAX };
    let settlement = settlement(Known::Reported, (10, 4, 5));
    assert_eq!(meters.postings(&settlement).len(), 3);
    assert_eq!(meters.postings(&Settlement { in_units: true, ..settlement }).len(), 0);
}

#[test]
fn what_outlasts_its_contract_belongs_to_its_last_instant() {
    let (at, settlement) = (Instant::from_micros, settlement(Known::Reported, (1, 0, 1)));
    for (last, want) in [(Instant::MAX, 9), (at(9), 9), (at(5), 5)] {
        let postings = TokenMeters { model: Id::from_index(0), cached_apart: false, last }.postings(&settlement);
        assert_eq!(postings.iter().map(|usage| usage.at).collect::<Vec<_>>(), [at(want), at(want)]);
    }
}
