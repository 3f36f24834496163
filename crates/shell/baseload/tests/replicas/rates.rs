//! Requests a minute over replicas: together they let in what one alone would, and the last one is not lost between them.

use std::time::Instant;

use crate::cut::Wire;
use crate::fixture::{PATIENCE, Place, Replica, code};
use crate::spend;

const RATE: u64 = 60;

/// Who has let in how many since when.
struct Count {
    began: Instant,
    answered: u64,
}

impl Count {
    /// Many at once at all of these, as one that asks after another waits its turn and is never refused; gives how many were refused.
    fn burst(&mut self, replicas: &[&Replica], key: &str) -> u64 {
        let one = |replica: &Replica| {
            let answers = (0..10).map(|_| code(&replica.chat(key)));
            let refused = answers.filter(|code| {
                if code == "200" {
                    false
                } else {
                    assert_eq!(code, "rate_limit_exceeded");
                    true
                }
            });
            u64::try_from(refused.count()).expect("a few")
        };
        let refused: u64 = std::thread::scope(|threads| {
            let asking: Vec<_> = replicas.iter().flat_map(|replica| [replica; 6]).map(|replica| threads.spawn(|| one(replica))).collect();
            asking.into_iter().map(|asking| asking.join().expect("it asks")).sum()
        });
        self.add(u64::try_from(replicas.len()).expect("a few") * 60 - refused);
        refused
    }

    /// No more is let in than a full bucket and what has come since, rounded up.
    fn add(&mut self, answered: u64) {
        self.answered += answered;
        crate::println(format_args!("{} let in after {:?}", self.answered, self.began.elapsed()));
        let most = RATE + (self.began.elapsed().as_secs() + 1) * RATE / 60;
        assert!(self.answered <= most, "{} of {most}", self.answered);
    }
}

/// Two replicas share 60 requests a minute. Both are asked for more at once; one is cut off, the other begins anew; then the first is back.
#[test]
fn requests_a_minute_hold_over_replicas_when_one_is_cut_off_and_when_one_begins_anew() {
    let place = Place::new();
    let key = place.key("one", &["--requests", "60/min"]);
    let wire = Wire::to(place.postgres.socket());
    let far = format!("postgres://postgres@{}/postgres", wire.address());
    let (mut one, two) = (place.up("one", &place.postgres.address()), place.up("two", &far));

    let mut count = Count { began: Instant::now(), answered: 0 };
    let refused = count.burst(&[&one, &two], &key);
    assert!(
        count.answered >= RATE && refused > 0,
        "all that the bucket had was let in: {} and {refused} {}",
        count.answered,
        place.errors()
    );
    let told = two.chat(&key);
    count.add(u64::from(code(&told) == "200"));
    assert!(told.contains("x-ratelimit-limit-requests: 60\r\n"), "{told}");

    wire.cut();
    let mut unheard = 0;
    let cut = Instant::now();
    while spend(&two, &key, &mut unheard) != "no_lease" {
        assert!(cut.elapsed() < PATIENCE, "one that is cut off takes what it holds and says so: {}", place.errors());
    }
    count.add(unheard);
    count.burst(&[&one], &key);
    drop(one);
    one = place.up("one", &place.postgres.address());
    count.burst(&[&one], &key);
    wire.heal();
    let healed = Instant::now();
    while code(&two.chat(&key)) != "200" {
        assert!(healed.elapsed() < PATIENCE, "it never came back: {}", place.errors());
    }
    count.add(1);
    drop((one, two));
    place.verify_copies(2, count.answered);
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
