//! Requests a minute over replicas: together they let in what one alone would, and the last one is not lost between them.

use std::time::Instant;

use crate::cut::Wire;
use crate::fixture::{PATIENCE, Place, Replica, code};
use crate::spend;

const RATE: u64 = 120;

/// No more is let in than a full bucket and what has come since, rounded up.
fn check(began: Instant, answered: [u64; 2]) {
    let most = RATE + (began.elapsed().as_secs() + 1) * RATE / 60;
    assert!(answered.iter().sum::<u64>() <= most, "{answered:?} of {most}");
}

/// Asks until it is refused with this code.
fn until(replica: &Replica, key: &str, wanted: &str, answered: &mut u64, place: &Place) {
    let began = Instant::now();
    while spend(replica, key, answered) != wanted {
        assert!(began.elapsed() < PATIENCE, "never {wanted}: {}", place.errors());
    }
}

/// Two replicas share 120 requests a minute. Both spend at once; one is cut off, the other begins anew; then the first is back.
#[test]
fn requests_a_minute_hold_over_replicas_when_one_is_cut_off_and_when_one_begins_anew() {
    let place = Place::new();
    let key = place.key("one", &["--requests", "120/min"]);
    let wire = Wire::to(place.postgres.socket());
    let far = format!("postgres://postgres@{}/postgres", wire.address());
    let (mut one, two) = (place.up("one", &place.postgres.address()), place.up("two", &far));

    let (began, mut answered) = (Instant::now(), [0, 0]);
    std::thread::scope(|threads| {
        for (replica, answered) in [&one, &two].into_iter().zip(&mut answered) {
            threads.spawn(|| assert_eq!(spend(replica, &key, answered), "rate_limit_exceeded", "{}", place.errors()));
        }
    });
    check(began, answered);
    assert!(answered.iter().sum::<u64>() + 1 >= RATE, "nothing was refused that the bucket had: {answered:?} {}", place.errors());
    assert!(answered.iter().all(|answered| *answered > 0), "each had its part: {answered:?}");
    let told = two.chat(&key);
    answered[1] += u64::from(code(&told) == "200");
    assert!(told.contains("x-ratelimit-limit-requests: 120\r\n"), "{told}");

    wire.cut();
    until(&two, &key, "no_lease", &mut answered[1], &place);
    until(&one, &key, "rate_limit_exceeded", &mut answered[0], &place);
    check(began, answered);
    drop(one);
    one = place.up("one", &place.postgres.address());
    until(&one, &key, "rate_limit_exceeded", &mut answered[0], &place);
    check(began, answered);
    wire.heal();
    let healed = Instant::now();
    while code(&two.chat(&key)) != "200" {
        assert!(healed.elapsed() < PATIENCE, "it never came back: {}", place.errors());
    }
    answered[1] += 1;
    check(began, answered);
    drop((one, two));
    place.verify_copies(2, answered.iter().sum());
}

/// One request a minute at three replicas: the first that asks gets it, wherever that is, and the others hear when to come back.
#[test]
fn one_request_a_minute_goes_to_who_asks_first() {
    let place = Place::new();
    let key = place.key("one", &["--requests", "1/min"]);
    let all = ["one", "two", "three"].map(|name| place.up(name, &place.postgres.address()));
    // Where it is not known yet, it is elsewhere first.
    let asked = Instant::now();
    while code(&all[2].chat(&key)) != "200" {
        assert!(asked.elapsed() < PATIENCE, "nobody is let in: {}", place.errors());
    }
    let began = Instant::now();
    for replica in &all {
        let told = replica.chat(&key);
        // Whoever takes a minute to get here finds the next one there.
        if began.elapsed().as_secs() < 50 {
            assert_eq!(code(&told), "rate_limit_exceeded", "{told}");
            assert!(told.contains("retry-after: ") && told.contains("x-ratelimit-remaining-requests: 0\r\n"), "{told}");
        }
    }
}
