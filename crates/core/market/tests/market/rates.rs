//! Rates that replicas share: leases of one bucket, held beside the bucket that one gateway alone would have.

use core::time::Duration;

use fleet::PerMinute;
use market::{Holding, LEASE_HOLDS, LeaseAsk, Limit, RATE_SHORT, RATE_WHOLE, RateBucket, give_back};
use proptest::prelude::*;
use units::Instant;

const REPLICAS: usize = 4;
const BEGAN: i64 = 1_800_000_000_000_000;
/// How long a question may take, in milliseconds.
const QUESTION: i64 = 3_000;
/// A second of the bucket.
const SECOND: i64 = 1_000_000_000;

fn at(ms: i64) -> Instant {
    Instant::from_micros(BEGAN + ms * 1_000)
}

/// A bucket in which one of what is counted is a nanosecond.
fn nanos() -> Limit {
    Limit::new(PerMinute::new(RATE_WHOLE).expect("it is a rate"))
}

/// A replica as it really is.
#[derive(Clone, Copy, Debug)]
struct Replica {
    ceiling: i64,
    /// What is taken less what may be, as requests count it.
    count: i64,
    /// What requests gave back since it was asked for last.
    returned: i64,
    /// What requests of this process took and have not given back.
    out: i64,
    until: Instant,
    asked: i64,
    fast: i64,
    /// Its process: another one counts from nothing.
    process: i64,
}

/// Whose, which, the smallest that is of use, when it was asked by the asker's clock, and when truly; then the answer.
#[derive(Clone, Copy, Debug)]
enum Message {
    Ask(usize, LeaseAsk, i64, Instant, i64),
    Answer(usize, i64, i64, i64, Instant),
}

struct World {
    ms: i64,
    step: i64,
    /// How far the account's clock was ever set off, either way.
    steps: (i64, i64),
    replicas: [Replica; REPLICAS],
    bucket: RateBucket,
    /// What is known of each, and of which of its processes.
    known: [Option<(Holding, i64)>; REPLICAS],
    messages: Vec<Message>,
    /// The bucket that one gateway alone would have.
    alone: i64,
    /// What requests took beyond what was set aside for them.
    beyond: i64,
    taken: i64,
}

impl World {
    fn new(fast: [i64; REPLICAS]) -> Self {
        let replica = |fast| Replica { ceiling: 0, count: 0, returned: 0, out: 0, until: Instant::MIN, asked: 0, fast, process: 0 };
        let (replicas, bucket) = (fast.map(replica), RateBucket::default());
        let (known, messages) = ([None; REPLICAS], Vec::new());
        Self { ms: 0, step: 0, steps: (0, 0), replicas, bucket, known, messages, alone: 0, beyond: 0, taken: 0 }
    }

    fn local(&self, replica: usize) -> Instant {
        Instant::from_micros(BEGAN + self.ms * 1_000 + self.ms * self.replicas[replica].fast / 1_000)
    }

    /// Lets a request take `cost`, if the replica may: then one gateway alone would have let it in too, but for what others took beyond and
    /// as much as a clock that is set ahead fills.
    fn take(&mut self, replica: usize, cost: i64) -> bool {
        let now = self.local(replica);
        let one = &mut self.replicas[replica];
        if now >= one.until || one.count + cost > 0 {
            return false;
        }
        one.count += cost;
        one.out += cost;
        self.taken += cost;
        let slack = self.beyond + (self.steps.1 - self.steps.0) * 1_000_000;
        let (room, state) = (RATE_WHOLE + slack, self.alone.max(at(self.ms).micros() * 1_000) + cost);
        assert!(state - at(self.ms).micros() * 1_000 <= room, "{cost} was let in that one alone has no room for: {slack}");
        self.alone = state;
        true
    }

    /// A request took less than it had set aside, or more.
    fn correct(&mut self, replica: usize, more: i64) {
        let one = &mut self.replicas[replica];
        let more = more.max(-one.out);
        one.out += more;
        if more > 0 {
            (one.count, self.beyond) = (one.count + more, self.beyond + more);
            self.alone = self.alone.max(at(self.ms).micros() * 1_000) + more;
        } else {
            one.returned -= more;
            self.alone += more;
        }
        self.taken += more;
    }

    fn ask(&mut self, replica: usize, need: i64, least: i64) -> Message {
        let now = self.local(replica);
        let one = &mut self.replicas[replica];
        one.ceiling -= core::mem::take(&mut one.returned);
        one.asked += 1;
        let ask = LeaseAsk { asked: one.asked, taken: one.count + one.ceiling, ceiling: one.ceiling, pace: SECOND / 10, need };
        Message::Ask(replica, ask, least, now, self.ms)
    }

    fn deliver(&mut self, message: Message) -> Option<Message> {
        let now = at(self.ms + self.step);
        match message {
            // What takes longer is undone.
            Message::Ask(.., began) if self.ms > began + QUESTION => None,
            Message::Ask(replica, ask, least, sent, _) => {
                let process = self.replicas[replica].process;
                if let Some((holding, known)) = self.known[replica].as_mut().filter(|(_, known)| *known != process) {
                    self.bucket.settle_for_good(holding, now);
                    *known = process;
                }
                let (mut others, mut whose) = (Vec::new(), Vec::new());
                for other in (0..REPLICAS).filter(|other| *other != replica) {
                    others.extend(self.known[other].map(|(holding, _)| holding));
                    whose.extend(self.known[other].map(|_| other));
                }
                let before = self.known[replica].map(|(holding, _)| holding);
                let (holding, leased) = self.bucket.lease(&mut others, before, &ask, least, now)?;
                self.known[replica] = Some((holding, process));
                for (other, holding) in whose.into_iter().zip(others) {
                    self.known[other].as_mut().expect("it was known").0 = holding;
                }
                Some(Message::Answer(replica, ask.asked, leased.keep, leased.granted, sent))
            }
            Message::Answer(replica, asked, keep, granted, sent) => {
                let one = &mut self.replicas[replica];
                if one.asked == asked {
                    assert!(one.ceiling.min(granted) <= granted && keep <= granted);
                    let (count, given) = give_back(one.count, one.ceiling - keep);
                    let more = (keep - one.ceiling).max(0);
                    (one.count, one.ceiling) = (count - more, one.ceiling - given + more);
                    one.until = sent + LEASE_HOLDS;
                }
                None
            }
        }
    }

    /// Asks and hears at once.
    fn renew(&mut self, replica: usize, need: i64, least: i64) {
        let ask = self.ask(replica, need, least);
        if let Some(answer) = self.deliver(ask) {
            self.deliver(answer);
        }
    }

    fn crash(&mut self, replica: usize) {
        let one = &mut self.replicas[replica];
        // What it asked and what it was to hear goes with it: the next process asks for itself.
        self.messages.retain(|message| !matches!(message, Message::Ask(whose, ..) | Message::Answer(whose, ..) if *whose == replica));
        *one = Replica { ceiling: 0, count: 0, returned: 0, out: 0, until: Instant::MIN, process: one.process + 1, ..*one };
    }

    fn set_clock(&mut self, step: i64) {
        self.step = step;
        self.steps = (self.steps.0.min(step), self.steps.1.max(step));
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(usize, i64),
    Correct(usize, i64),
    Ask(usize, i64, i64),
    Deliver(usize),
    Lose(usize),
    Renew(usize, i64, i64),
    Crash(usize),
    Later(i64),
    SetClock(i64),
}

fn step(beyond: bool) -> impl Strategy<Value = Step> {
    let (replica, cost) = (|| 0..REPLICAS, || prop_oneof![0..SECOND, Just(SECOND), 0..40 * SECOND]);
    let most = if beyond { SECOND } else { 1 };
    prop_oneof![
        8 => (replica(), cost()).prop_map(|(replica, cost)| Step::Take(replica, cost)),
        2 => (replica(), prop_oneof![-SECOND..most, -40 * SECOND..0]).prop_map(|(replica, more)| Step::Correct(replica, more)),
        4 => (replica(), cost(), 0..SECOND).prop_map(|(replica, need, least)| Step::Ask(replica, need, least)),
        8 => any::<u8>().prop_map(|which| Step::Deliver(which.into())),
        1 => any::<u8>().prop_map(|which| Step::Lose(which.into())),
        4 => (replica(), cost(), 0..SECOND).prop_map(|(replica, need, least)| Step::Renew(replica, need, least)),
        1 => replica().prop_map(Step::Crash),
        4 => prop_oneof![4 => 0..6_000_i64, 1 => 0..60_000_i64].prop_map(Step::Later),
        1 => (-900..900_i64).prop_map(Step::SetClock),
    ]
}

fn run(world: &mut World, steps: &[Step]) {
    for step in steps {
        match *step {
            Step::Take(replica, cost) => _ = world.take(replica, cost),
            Step::Correct(replica, more) => world.correct(replica, more),
            Step::Ask(replica, need, least) => {
                let ask = world.ask(replica, need, least);
                world.messages.push(ask);
            }
            Step::Deliver(which) if !world.messages.is_empty() => {
                let message = world.messages.swap_remove(which % world.messages.len());
                let answer = world.deliver(message);
                world.messages.extend(answer);
            }
            Step::Lose(which) if !world.messages.is_empty() => _ = world.messages.swap_remove(which % world.messages.len()),
            Step::Deliver(_) | Step::Lose(_) => {}
            Step::Renew(replica, need, least) => world.renew(replica, need, least),
            Step::Crash(replica) => world.crash(replica),
            Step::Later(ms) => world.ms += ms,
            Step::SetClock(step) => world.set_clock(step),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    any::<bool>().prop_flat_map(|beyond| prop::collection::vec(step(beyond), 0..250))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// I8, over replicas: whatever is late, lost, cut off or crashes, replicas together let nothing in that the bucket of one alone has no
    /// room for.
    #[test]
    fn a_shared_rate_lets_in_no_more_than_one_gateway_alone(fast in prop::array::uniform4(-10_000..10_000_i64), steps in steps()) {
        run(&mut World::new(fast), &steps);
    }

    /// No false refusal: whatever came before, a minute after it was said a replica that asks gets all that a bucket holds, once the others
    /// have heard that somebody waits.
    #[test]
    fn who_waits_gets_what_nobody_takes(steps in steps(), replica in 0..REPLICAS, cost in 1..=RATE_WHOLE) {
        let mut world = World::new([0; REPLICAS]);
        run(&mut world, &steps);
        world.set_clock(0);
        world.messages.clear();
        // Half a minute in which old leases come back and what was taken is said; then a minute, and what was taken beyond.
        for later in [30_000, 60_000 + world.beyond / 1_000_000] {
            world.ms += later;
            for other in 0..REPLICAS {
                world.renew(other, 0, 0);
            }
        }
        world.renew(replica, cost, cost);
        for other in (0..REPLICAS).filter(|other| *other != replica) {
            world.renew(other, 0, 0);
            // They lower what they hold, and say so the next time.
            world.renew(other, 0, 0);
        }
        world.renew(replica, cost, cost);
        prop_assert!(world.take(replica, cost), "{cost} with {:?}", world.bucket);
    }
}

/// Sixty requests a minute, each a second of the bucket, at two replicas: what each holds, in thousandths.
#[test]
fn leases_are_as_large_as_the_pace_the_rest_and_the_need_say() {
    let mut world = World::new([0; REPLICAS]);
    let thousandths = |world: &World, replica: usize| world.replicas[replica].ceiling / 1_000_000;
    world.renew(0, 0, SECOND);
    assert_eq!(thousandths(&world, 0), 3_750, "a sixteenth: more than ten seconds of a tenth of a second");
    world.renew(1, 20 * SECOND, SECOND);
    assert_eq!(thousandths(&world, 1), 23_515, "what waits there, and a sixteenth of 56.25");
    for _ in 0..23 {
        assert!(world.take(1, SECOND));
    }
    assert!(!world.take(1, SECOND) && world.take(0, 3 * SECOND) && !world.take(0, SECOND), "26 of 60, and no more than is leased");
    world.renew(0, 50 * SECOND, SECOND);
    assert_eq!(thousandths(&world, 0), 36_484, "the 3 that it took, and all that nobody else holds");
    world.ms += 1_000;
    world.renew(1, SECOND, SECOND);
    assert_eq!(world.bucket.left(at(1_000)), 35 * SECOND, "26 are said to be taken, and one has come");
    assert_eq!(thousandths(&world, 1), 24_378, "the 23, one that waits, and a fourth of the 1.515 that nobody else holds");
}

/// One request a minute at four replicas: whoever asks first gets it, nobody holds a part that is of no use.
#[test]
fn one_request_a_minute_goes_to_who_asks() {
    let mut world = World::new([0; REPLICAS]);
    for replica in 0..REPLICAS {
        world.renew(replica, 0, RATE_WHOLE);
        assert_eq!(world.replicas[replica].ceiling, 0, "nobody holds it while nobody asks");
    }
    for minute in 0..8 {
        let replica = minute % REPLICAS;
        for other in 0..REPLICAS {
            let asks = if other == replica { RATE_WHOLE } else { 0 };
            world.renew(other, asks, RATE_WHOLE);
        }
        assert!(world.take(replica, RATE_WHOLE), "minute {minute}");
        world.renew((replica + 1) % REPLICAS, RATE_WHOLE, RATE_WHOLE);
        assert!(!world.take((replica + 1) % REPLICAS, RATE_WHOLE), "there is one a minute");
        world.renew(replica, 0, RATE_WHOLE);
        world.ms += 60_000;
    }
}

/// Of a minute one replica holds 6.75 s and is cut off; it may take them for ten seconds more, and the others get all else; what it may have
/// taken counts as taken after fifteen, until it is heard again.
#[test]
fn a_replica_that_is_cut_off_takes_what_it_holds_and_stops() {
    let mut world = World::new([0; REPLICAS]);
    let (held, rest) = (6_750_000_000, 53_250_000_000);
    world.renew(0, 3 * SECOND, SECOND);
    assert_eq!(world.replicas[0].ceiling, held, "what waits and a sixteenth");
    world.renew(1, 60 * SECOND, SECOND);
    assert_eq!(world.replicas[1].ceiling, rest);
    assert!(world.take(1, rest) && world.take(0, SECOND), "all is let in but what it holds");
    world.renew(1, 0, SECOND);
    world.ms = 9_999;
    assert!(world.take(0, SECOND), "it holds for ten seconds");
    world.ms = 10_000;
    assert!(!world.take(0, SECOND), "and no longer");
    assert_eq!(world.bucket.left(at(10_000)), held + 10 * SECOND, "what is out, and what ten seconds brought");
    world.ms = 15_000;
    world.renew(1, 60 * SECOND, SECOND);
    assert_eq!(world.bucket.left(at(15_000)), 15 * SECOND, "the lease has come back unsaid: it is taken, and fifteen seconds brought 15");
    assert_eq!(world.replicas[1].ceiling, rest + 15 * SECOND);
    world.renew(0, 0, SECOND);
    assert_eq!(world.bucket.left(at(15_000)), 15 * SECOND, "it took 2 of them, and what it did not take comes back as time goes by only");
    assert_eq!(world.replicas[0].ceiling, 2 * SECOND, "nobody else holds any");
}

/// A request that needs more than others leave waits until they have heard of it; those hold nothing beforehand then.
#[test]
fn others_give_back_what_they_hold_for_who_waits() {
    let mut world = World::new([0; REPLICAS]);
    for replica in 1..REPLICAS {
        world.renew(replica, 0, 0);
        assert!(world.replicas[replica].ceiling > 3 * SECOND, "a sixteenth of what nobody holds");
    }
    world.renew(0, RATE_WHOLE, RATE_WHOLE);
    assert_eq!(world.replicas[0].ceiling, 0, "a part of it is of no use");
    assert_eq!(world.bucket.short_until, at(0) + RATE_SHORT);
    for replica in 1..REPLICAS {
        world.renew(replica, 0, 0);
        assert_eq!(world.replicas[replica].ceiling, 0);
        world.renew(replica, 0, 0);
    }
    world.renew(0, RATE_WHOLE, RATE_WHOLE);
    assert!(world.take(0, RATE_WHOLE));
    world.renew(0, 0, 0);
    world.ms = 70_000;
    world.renew(1, 0, 0);
    assert_eq!(world.replicas[1].ceiling, RATE_WHOLE / 16, "nobody waits any more");
}

/// What a request gives back is everybody's once its replica says so; the replica itself does not take it again before.
#[test]
fn what_is_given_back_goes_back_to_the_bucket_of_all() {
    let mut world = World::new([0; REPLICAS]);
    world.renew(0, 40 * SECOND, SECOND);
    assert!(world.take(0, 40 * SECOND) && world.take(0, RATE_WHOLE / 16), "43.75 s");
    world.correct(0, -30 * SECOND);
    assert!(!world.take(0, 1));
    world.renew(1, 50 * SECOND, SECOND);
    assert_eq!(world.replicas[1].ceiling, 16_250_000_000, "43.75 count as taken until it is said");
    world.renew(0, 0, 60 * SECOND);
    world.renew(1, 50 * SECOND, SECOND);
    assert_eq!((world.replicas[1].ceiling, world.taken), (46_250_000_000, 13_750_000_000));
    world.correct(0, 20 * SECOND);
    world.renew(0, 0, SECOND);
    assert_eq!(world.bucket.left(at(0)), 26_250_000_000, "13.75 and then 20 more");
}

/// Another process on the same state directory counts from nothing, and what the one before may have taken counts as taken.
#[test]
fn what_a_process_held_that_was_killed_counts_as_taken() {
    let mut world = World::new([0; REPLICAS]);
    world.renew(0, 10 * SECOND, SECOND);
    assert!(world.take(0, 4 * SECOND));
    world.crash(0);
    world.renew(0, 60 * SECOND, SECOND);
    assert_eq!((world.bucket.left(at(0)), world.replicas[0].ceiling), (46_250_000_000, 46_250_000_000), "60 less 13.75");
}

#[test]
fn a_late_question_changes_nothing() {
    let (mut bucket, ask) = (RateBucket::default(), LeaseAsk { asked: 7, taken: 9, ceiling: 9, pace: 0, need: 0 });
    let before = Holding { granted: 9, taken: 5, asked: 7, returns: at(1_000) };
    assert_eq!(bucket.lease(&mut [], Some(before), &ask, 0, at(2_000)), None);
    assert_eq!(bucket, RateBucket::default());
}

#[test]
fn counts_are_told_as_times_and_back() {
    for (rate, count, time) in [(1, 1, RATE_WHOLE), (600, 1, SECOND / 10), (7, 7, RATE_WHOLE - 3), (1_000_000_000_000, 16, 0)] {
        let limit = Limit::new(PerMinute::new(rate).expect("it is a rate"));
        let seven = if rate == 7 { 7 * limit.time(1) } else { limit.time(count) };
        assert_eq!(seven, time, "{rate}");
        assert!(limit.count(limit.time(count)) <= count);
    }
    assert_eq!(Limit::new(PerMinute::new(1).expect("a rate")).time(i64::MIN), i64::MIN);
    assert_eq!(nanos().time(5), 5, "what this test reckons with");
    assert_eq!(Duration::from_nanos(RATE_WHOLE.unsigned_abs()), Duration::from_secs(60));
}
