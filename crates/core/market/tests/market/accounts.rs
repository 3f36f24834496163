//! Accounts: rates a minute, budgets, and reservations settled in any order.

use core::time::Duration;

use fleet::{Budget, PerMinute};
use market::{Account, Dry, Limit, Reservation};
use proptest::prelude::*;
use units::{Instant, Money};

fn limit(text: &str) -> Limit {
    Limit::new(text.parse::<PerMinute>().expect("a rate"))
}

fn at(ms: i64) -> Instant {
    Instant::from_micros(1_800_000_000_000_000 + ms * 1_000)
}

#[test]
fn a_full_bucket_holds_a_minute_of_its_rate() {
    assert_eq!((limit("90/min").whole(), limit("90/min").time(90)), (90, 60_000_000_000));
    assert_eq!((limit("1/min").time(i64::MAX), limit("1/min").time(i64::MIN), limit("1/min").time(0)), (i64::MAX, i64::MIN, 0));
}

/// Six a minute: one comes back each ten seconds.
#[test]
fn a_bucket_holds_a_minute_s_worth_and_fills_evenly() {
    let (six, mut state) = (limit("6/min"), 0);
    assert_eq!((six.left(state, at(0)), six.full_in(state, at(0))), (6, Duration::ZERO));
    for taken in 1..=6_i64 {
        state = six.take(state, at(0), 1).expect("there is room");
        assert_eq!((six.left(state, at(0)), six.full_in(state, at(0))), (6 - taken, Duration::from_secs(10 * taken.unsigned_abs())));
    }
    assert_eq!(six.take(state, at(0), 1), Err(Dry::For(Duration::from_secs(10))));
    assert_eq!(six.take(state, at(9_999), 1), Err(Dry::For(Duration::from_millis(1))));
    assert_eq!(six.left(state, at(25_000)), 2);
    state = six.take(state, at(10_000), 1).expect("ten seconds brought one");
    assert_eq!(six.take(state, at(10_000), 2), Err(Dry::For(Duration::from_secs(20))));
    assert_eq!(six.take(state, at(600_000), 7), Err(Dry::Always), "more than it ever holds");
    assert_eq!(six.left(state, at(600_000)), 6, "it never holds more than a minute's worth");
}

#[test]
fn what_was_taken_beside_is_corrected() {
    let (hundred, now) = (limit("100/min"), at(0));
    let state = hundred.take(0, now, 60).expect("there is room");
    assert_eq!(hundred.left(hundred.correct(state, -50), now), 90);
    let owing = hundred.correct(state, 100);
    assert_eq!((hundred.left(owing, now), hundred.take(owing, now, 1)), (0, Err(Dry::For(Duration::from_millis(36_600)))));
}

/// What a stream of requests did to one account.
#[derive(Default)]
struct Run {
    taken: i64,
    open: Vec<Reservation>,
    spent: i128,
    refused: usize,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// I7: nothing is let in but within what is left, what is reserved for those under way counted; so what is spent passes the budget only by
    /// what those cost beyond their reservations that were under way when the last was let in. With every request within its reservation it
    /// never passes it at all. Nothing is lost or counted twice, in whatever order they end.
    #[test]
    fn reservations_settled_in_any_order_lose_and_double_nothing(
        budget in 0..5_000_i64,
        steps in prop::collection::vec((0..3_u8, 0..400_i64, 0..500_i64, any::<prop::sample::Index>()), 0..200),
        within in any::<bool>(),
    ) {
        let account = Account::new(Money::from_nanos(budget.into()));
        let (mut run, mut beyond) = (Run::default(), 0_i128);
        for (what, asked, cost, which) in steps {
            if what == 0 || run.open.is_empty() {
                match account.reserve(run.taken, Money::from_nanos(asked.into())) {
                    Some((taken, reservation)) => {
                        run.taken = taken;
                        run.open.push(reservation);
                        // What costs nothing is let in also when nothing is left.
                        if asked > 0 {
                            beyond = 0;
                        }
                    }
                    None => {
                        prop_assert!(account.left(run.taken) < Money::from_nanos(asked.into()), "none is refused that can be paid");
                        run.refused += 1;
                    }
                }
            } else {
                let reservation = run.open.swap_remove(which.index(run.open.len()));
                let reserved = reservation.amount().nanos();
                if what == 1 {
                    let cost = if within { i128::from(cost).min(reserved) } else { cost.into() };
                    beyond += (cost - reserved).max(0);
                    run.spent += cost;
                    run.taken += reservation.settle(Money::from_nanos(cost));
                } else {
                    run.taken += reservation.release();
                }
            }
            let reserved: i128 = run.open.iter().map(|open| open.amount().nanos()).sum();
            prop_assert_eq!(i128::from(run.taken), run.spent + reserved);
            prop_assert!(run.spent + reserved <= i128::from(budget) + beyond);
        }
    }

    /// Over any span a bucket gives at most a minute's worth and what the span brings, and it never refuses what it has.
    #[test]
    fn a_bucket_never_gives_more_than_its_rate(rate in 1..5_000_i64, asks in prop::collection::vec((0..20_000_i64, 0..300_i64), 1..60)) {
        let limit = Limit::new(PerMinute::new(rate).expect("at least one"));
        let (mut state, mut now, mut given) = (0, 0, 0_i64);
        for (later, count) in asks {
            now += later;
            let left = limit.left(state, at(now));
            match limit.take(state, at(now), count) {
                Ok(next) => {
                    // Reading rounds down, so one that is almost there may be given.
                    prop_assert!(count <= left + 1);
                    (state, given) = (next, given + count);
                }
                Err(_) => prop_assert!(count > left),
            }
            prop_assert!(i128::from(given) * 60_000 <= i128::from(rate) * i128::from(now + 60_000) + 60_000);
        }
    }
}

#[test]
fn what_costs_nothing_can_be_paid_from_an_empty_account() {
    let account = Account::new("0 USD/day".parse::<Budget>().expect("a budget").amount.money);
    let (taken, reservation) = account.reserve(50, Money::ZERO).expect("nothing is needed");
    assert_eq!((taken, account.left(50), reservation.release()), (50, Money::ZERO, 0));
    assert!(account.reserve(0, Money::from_nanos(1)).is_none());
}
