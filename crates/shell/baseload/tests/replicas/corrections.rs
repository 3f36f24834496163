//! What one process corrects counts in the budgets of another that runs.

use std::time::Instant;

use crate::fixture::{PATIENCE, PRICE, Place, Replica, code};
use crate::spend;

const READER: [&str; 4] = ["--scope", "inference", "--scope", "read"];

fn until_left(place: &Place, replica: &Replica, key: &str, left: i64) {
    let until = Instant::now() + PATIENCE;
    while replica.left(key) != left {
        assert!(Instant::now() < until, "{} left, not {left}: {}", replica.left(key), place.errors());
    }
}

/// A request costs 5, and a token of its answer 1; the budget is 20.
#[test]
fn a_correction_gives_a_budget_back_what_was_not_taken_and_takes_what_was_without_a_restart() {
    let place = Place::new();
    place.limit(4 * PRICE);
    let key = place.key("one", &READER);
    let one = place.alone("one");
    let mut answered = 0;
    assert_eq!(spend(&one, &key, &mut answered), "insufficient_quota");
    assert_eq!((answered, one.left(&key)), (4, 0));
    let attempts = place.settled("one", 4);

    place.correct("one", &attempts[0], 0);
    until_left(&place, &one, &key, 5);
    assert_eq!([(); 2].map(|()| code(&one.chat(&key))), ["200", "insufficient_quota"], "what was not taken can be spent once");

    place.correct("one", &attempts[1], 0);
    until_left(&place, &one, &key, 5);
    place.correct("one", &attempts[1], 1);
    until_left(&place, &one, &key, 4);
    assert_eq!(code(&one.chat(&key)), "insufficient_quota", "4 are left, and a request costs 5");
    place.correct("one", &attempts[2], 15);
    until_left(&place, &one, &key, -6);

    drop(one);
    let one = place.alone("one");
    assert_eq!(one.left(&key), -6, "a restart counts the same: 0, 1, 15, 5 and 5");
    assert_eq!(code(&one.chat(&key)), "insufficient_quota");
    place.correct("one", &attempts[2], 4);
    until_left(&place, &one, &key, 5);
    assert_eq!(code(&one.chat(&key)), "200");
    drop(one);
    place.run(&["ledger", "verify", "--state", "one"]);
}

/// Two replicas share 60, which pay for twelve requests; corrections at one of them give back what pays for three.
#[test]
fn what_is_corrected_at_one_replica_can_be_spent_at_all() {
    const BUDGET: u64 = 12 * PRICE;
    let place = Place::new();
    place.limit(BUDGET);
    let key = place.key("one", &READER);
    let (one, two) = (place.up("one", &place.postgres.address()), place.up("two", &place.postgres.address()));
    let mut before = 0;
    assert_eq!(spend(&one, &key, &mut before), "insufficient_quota");
    // Of the lease that the other holds a rest may be left that pays for no request.
    assert!((11..=12).contains(&before), "{before}");
    for attempt in &place.settled("one", before)[..3] {
        place.correct("one", attempt, 0);
    }
    let taken = i64::try_from((before - 3) * PRICE).expect("a few");
    until_left(&place, &one, &key, 60 - taken);

    let until = Instant::now() + PATIENCE;
    let mut after = 0;
    while after < 2 {
        assert_eq!(spend(&two, &key, &mut after), "insufficient_quota");
        assert_eq!(spend(&one, &key, &mut after), "insufficient_quota");
        assert!(Instant::now() < until, "what was given back never comes: {after} {}", place.errors());
    }
    assert!((before + after - 3) * PRICE <= BUDGET, "no more than the budget: {before} and {after}");
    drop((one, two));
    place.verify_copies(2, before + after);
}
