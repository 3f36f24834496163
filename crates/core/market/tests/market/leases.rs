//! Leases: replicas, an account and the messages between them, of which any may be late or lost, with clocks that differ.

use core::time::Duration;

use market::{
    Account, BUDGET_LEASE, Holding, LEASE_HOLDS, LEASE_MARGIN, LEASE_QUESTION, LeaseAsk, LeaseSize, Leased, UNITS_LEASE, UnitBucket, WHOLE,
    fair_part, give_back, lease, pace,
};
use proptest::prelude::*;
use units::{Instant, Money};

const REPLICAS: usize = 4;
const BEGAN: i64 = 1_800_000_000_000_000;
/// How long a question may take, in milliseconds.
const QUESTION: i64 = 3_000;

fn at(ms: i64) -> Instant {
    Instant::from_micros(BEGAN + ms * 1_000)
}

/// A replica as it really is.
#[derive(Clone, Copy, Debug)]
struct Replica {
    taken: i64,
    ceiling: i64,
    /// What is taken less what may be, as requests count it.
    count: i64,
    until: Instant,
    asked: i64,
    /// What its clock gains in a second, in microseconds.
    fast: i64,
}

/// A question or an answer under way: whose, which, when it was asked by the asker's clock, and when truly.
#[derive(Clone, Copy, Debug)]
enum Message {
    Ask(usize, LeaseAsk, Instant, i64),
    Answer(usize, i64, Leased, Instant),
}

struct World {
    limit: i64,
    ms: i64,
    /// How far the account's clock was set off, in milliseconds.
    step: i64,
    replicas: [Replica; REPLICAS],
    known: [Option<Holding>; REPLICAS],
    messages: Vec<Message>,
    /// The most of each replica's lease that came back without its holder having said what it took of it.
    unsaid: [i64; REPLICAS],
    /// What corrections added to what each has taken.
    added: [i64; REPLICAS],
}

impl World {
    fn new(limit: i64, fast: [i64; REPLICAS]) -> Self {
        let replica = |fast| Replica { taken: 0, ceiling: 0, count: 0, until: Instant::MIN, asked: 0, fast };
        let replicas = fast.map(replica);
        Self { limit, ms: 0, step: 0, replicas, known: [None; REPLICAS], messages: Vec::new(), unsaid: [0; REPLICAS], added: [0; REPLICAS] }
    }

    fn account_now(&self) -> Instant {
        at(self.ms + self.step)
    }

    fn local(&self, replica: usize) -> Instant {
        Instant::from_micros(BEGAN + self.ms * 1_000 + self.ms * self.replicas[replica].fast / 1_000)
    }

    /// Lets a request take `cost`, if the replica may.
    fn spend(&mut self, replica: usize, cost: i64) -> bool {
        let now = self.local(replica);
        let one = &mut self.replicas[replica];
        let reserved = Account::leased().reserve(one.count, Money::from_nanos(cost.into())).filter(|_| now < one.until);
        let Some((count, reservation)) = reserved else { return false };
        one.count = count + reservation.settle(Money::from_nanos(cost.into()));
        one.taken += cost;
        true
    }

    fn ask(&mut self, replica: usize, need: i64) -> Message {
        let now = self.local(replica);
        let one = &mut self.replicas[replica];
        one.asked += 1;
        let ask = LeaseAsk { asked: one.asked, taken: one.taken, ceiling: one.ceiling, pace: 3, need };
        Message::Ask(replica, ask, now, self.ms)
    }

    fn others(&self, replica: usize) -> i64 {
        let now = self.account_now();
        let others = self.known.iter().enumerate().filter(|(other, _)| *other != replica);
        others.filter_map(|(_, holding)| holding.as_ref()).map(|holding| holding.counts(now)).sum()
    }

    /// Brings a message where it goes, and gives the answer that it draws.
    fn deliver(&mut self, message: Message) -> Option<Message> {
        match message {
            // What takes longer is undone.
            Message::Ask(.., began) if self.ms > began + QUESTION => None,
            Message::Ask(replica, ask, sent, _) => {
                let before = self.known[replica];
                let (holding, leased) = lease(self.limit, BUDGET_LEASE, self.others(replica), before.as_ref(), &ask, self.account_now())?;
                self.known[replica] = Some(holding);
                Some(Message::Answer(replica, ask.asked, leased, sent))
            }
            Message::Answer(replica, asked, leased, sent) => {
                let one = &mut self.replicas[replica];
                if one.asked == asked {
                    let (count, given) = give_back(one.count, one.ceiling - leased.granted.min(leased.keep));
                    (one.count, one.ceiling) = (count, one.ceiling - given);
                    let more = (leased.granted.min(leased.keep) - one.ceiling).max(0);
                    (one.count, one.ceiling) = (one.count - more, one.ceiling + more);
                    one.until = sent + LEASE_HOLDS;
                }
                None
            }
        }
    }

    fn crash(&mut self, replica: usize) {
        let one = &mut self.replicas[replica];
        (one.ceiling, one.count, one.until) = (one.taken, 0, Instant::MIN);
    }

    fn advance(&mut self, ms: i64) {
        self.ms += ms;
        let now = self.account_now();
        for replica in 0..REPLICAS {
            if let Some(holding) = self.known[replica].filter(|holding| holding.lapsed(now)) {
                self.unsaid[replica] = self.unsaid[replica].max(holding.granted - holding.taken);
            }
        }
    }

    /// What must hold at any moment.
    fn check(&self) {
        let now = self.account_now();
        let truly: i64 = self.replicas.iter().map(|one| one.taken).sum();
        for (replica, one) in self.replicas.iter().enumerate() {
            assert_eq!(one.count, one.taken - one.ceiling, "one word says what is left");
            let counts = self.known[replica].map_or(0, |holding| holding.counts(now));
            if self.local(replica) < one.until {
                // What was added since it was heard is not known yet.
                let known = one.ceiling.max(one.taken) - self.added[replica];
                assert!(known <= counts, "what a replica may take counts for all others: {one:?}, {counts}");
            }
        }
        let (unsaid, added): (i64, i64) = (self.unsaid.iter().sum(), self.added.iter().sum());
        assert!(truly <= self.limit + unsaid + added, "the bound: {truly} of {} with {unsaid} unsaid, {added} added", self.limit);
    }

    /// A request that its replica can't pay asks and tries again at once: it is refused only where what is left is leased to others.
    fn insist(&mut self, replica: usize, cost: i64) {
        if self.spend(replica, cost) {
            return;
        }
        let ask = self.ask(replica, cost);
        if let Some(answer) = self.deliver(ask) {
            self.deliver(answer);
        }
        let left = self.limit - self.others(replica) - self.replicas[replica].taken;
        assert!(self.spend(replica, cost) || left < cost, "refused {cost} with {left} left");
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Spend(usize, i64),
    Refund(usize, i64),
    Add(usize, i64),
    Ask(usize, i64),
    Deliver(usize),
    Lose(usize),
    Crash(usize),
    Later(i64),
    SetClock(i64),
    Insist(usize, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let replica = || 0..REPLICAS;
    prop_oneof![
        8 => (replica(), 0..60_i64).prop_map(|(replica, cost)| Step::Spend(replica, cost)),
        2 => (replica(), 0..60_i64).prop_map(|(replica, cost)| Step::Refund(replica, cost)),
        1 => (replica(), 0..60_i64).prop_map(|(replica, cost)| Step::Add(replica, cost)),
        4 => (replica(), 0..60_i64).prop_map(|(replica, need)| Step::Ask(replica, need)),
        8 => any::<u8>().prop_map(|which| Step::Deliver(which.into())),
        1 => any::<u8>().prop_map(|which| Step::Lose(which.into())),
        1 => replica().prop_map(Step::Crash),
        4 => (0..6_000_i64).prop_map(Step::Later),
        1 => (-900..900_i64).prop_map(Step::SetClock),
        2 => (replica(), 0..60_i64).prop_map(|(replica, cost)| Step::Insist(replica, cost)),
    ]
}

fn run(world: &mut World, steps: &[Step]) {
    for step in steps {
        match *step {
            Step::Spend(replica, cost) => _ = world.spend(replica, cost),
            Step::Refund(replica, less) => {
                let one = &mut world.replicas[replica];
                let less = less.min(one.taken);
                (one.taken, one.count) = (one.taken - less, one.count - less);
            }
            Step::Add(replica, more) => {
                let one = &mut world.replicas[replica];
                (one.taken, one.count) = (one.taken + more, one.count + more);
                world.added[replica] += more;
            }
            Step::Ask(replica, need) => {
                let ask = world.ask(replica, need);
                world.messages.push(ask);
            }
            Step::Deliver(which) if !world.messages.is_empty() => {
                let message = world.messages.swap_remove(which % world.messages.len());
                let answer = world.deliver(message);
                world.messages.extend(answer);
            }
            Step::Lose(which) if !world.messages.is_empty() => _ = world.messages.swap_remove(which % world.messages.len()),
            Step::Deliver(_) | Step::Lose(_) => {}
            Step::Crash(replica) => world.crash(replica),
            Step::Later(ms) => world.advance(ms),
            Step::SetClock(step) => world.step = step,
            Step::Insist(replica, cost) => world.insist(replica, cost),
        }
        world.advance(0);
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// I8, over replicas: whatever is late, lost or crashes, the cap is passed by no more than came back unsaid, and nothing is refused that
    /// nobody else holds. Clocks gain or lose up to a tenth of a second in ten, and the account's is set
    /// back and forth by nearly two seconds.
    #[test]
    fn a_shared_budget_is_overspent_by_no_more_than_leases_that_came_back_unsaid(
        limit in 0..5_000_i64,
        fast in prop::array::uniform4(-10_000..10_000_i64),
        steps in prop::collection::vec(step(), 0..250),
    ) {
        run(&mut World::new(limit, fast), &steps);
    }
}

/// Of 1,600 one replica is leased a sixteenth at its pace; it is cut off, spends that and stops; fifteen seconds later it comes back.
#[test]
fn a_replica_that_is_cut_off_spends_what_it_holds_and_stops() {
    let mut world = World::new(1_600, [0; REPLICAS]);
    let ask = world.ask(0, 0);
    let answer = world.deliver(ask).expect("an answer");
    world.deliver(answer);
    assert_eq!(world.replicas[0].ceiling, 30, "ten seconds at three a second, more than a sixty-fourth and less than a sixteenth");
    assert!(world.spend(0, 20) && !world.spend(0, 11) && world.spend(0, 5));
    world.advance(10_000);
    assert!(!world.spend(0, 1), "its lease has run out");
    world.insist(1, 1_600 - 30);
    assert_eq!(world.replicas[1].taken, 1_570, "all but the lease that is out");
    world.advance(5_000);
    world.insist(1, 30);
    assert_eq!(world.replicas[1].taken, 1_600, "the lease came back");
    let ask = world.ask(0, 0);
    let answer = world.deliver(ask).expect("an answer");
    world.deliver(answer);
    assert!(!world.spend(0, 1) && world.replicas[0].taken == 25, "it comes back, and what it spent counts: 25 beyond, of 30");
    assert_eq!(world.others(3), 1_625);
    world.check();
}

/// A question that is asked at the last moment, takes as long as one may and comes to an account whose clock gained all that it may: the lease
/// is still out, so nothing that was taken behind the question is leased to another.
#[test]
fn a_question_asked_at_the_last_moment_comes_before_its_lease_is_back() {
    let mut world = World::new(1_600, [0; REPLICAS]);
    let ask = world.ask(0, 0);
    let answer = world.deliver(ask).expect("an answer");
    world.deliver(answer);
    assert_eq!(world.replicas[0].ceiling, 30);
    world.advance(9_999);
    let last = world.ask(0, 0);
    assert!(world.spend(0, 20), "its lease has a thousandth of a second to go");
    world.advance(QUESTION);
    world.step = 2_000;
    world.insist(1, 1_600 - 30);
    assert!(!world.spend(1, 1), "the lease is out");
    let answer = world.deliver(last).expect("an answer");
    world.deliver(answer);
    world.check();
    assert_eq!((world.unsaid[0], world.others(3)), (0, 1_600), "nothing came back, and nothing is unsaid");
    assert_eq!(world.replicas[0].ceiling, 20, "of little that is left it keeps little: the rest is given back");
}

fn told(limit: i64, size: LeaseSize, others: i64, ask: LeaseAsk) -> (i64, i64, i64) {
    let (_, leased) = lease(limit, size, others, None, &ask, at(0)).expect("it is the first question");
    (leased.granted, leased.keep, leased.free)
}

#[test]
fn leases_are_as_large_as_the_pace_the_rest_and_the_need_say() {
    let ask = LeaseAsk { asked: 1, taken: 100, ceiling: 100, pace: 0, need: 0 };
    assert_eq!(told(6_500, BUDGET_LEASE, 0, ask), (200, 200, 6_300), "a quiet one: a sixty-fourth of 6,400");
    assert_eq!(told(6_500, BUDGET_LEASE, 0, LeaseAsk { pace: 25, ..ask }), (350, 350, 6_150), "ten seconds of its pace");
    assert_eq!(told(6_500, BUDGET_LEASE, 0, LeaseAsk { pace: 900, ..ask }), (500, 500, 6_000), "a sixteenth at most");
    assert_eq!(told(6_500, BUDGET_LEASE, 0, LeaseAsk { need: 4_000, ..ask }), (4_100, 4_100, 2_400), "but what a request needs");
    assert_eq!(told(6_500, BUDGET_LEASE, 6_000, LeaseAsk { need: 4_000, ..ask }), (500, 500, 0), "as far as there is any");
    assert_eq!(told(6_500, BUDGET_LEASE, 9_000, ask), (100, 100, 0), "nothing of what is overspent");
    assert_eq!(told(1_000_000, UNITS_LEASE, 400_000, LeaseAsk { taken: 0, need: 900_000, ..ask }), (600_000, 600_000, 0), "all units");
    assert_eq!(told(i64::MAX, BUDGET_LEASE, i64::MAX, LeaseAsk { pace: i64::MAX, need: i64::MAX, ..ask }), (100, 100, 0));
}

#[test]
fn what_is_in_use_stays_granted_and_a_late_question_changes_nothing() {
    let ask = |asked, taken, ceiling| LeaseAsk { asked, taken, ceiling, pace: 0, need: 0 };
    let before = Holding { granted: 900, taken: 0, asked: 7, returns: at(1_000) };
    let answer = |ask: &LeaseAsk, ms| lease(6_400, BUDGET_LEASE, 0, Some(&before), ask, at(ms)).map(|(_, leased)| leased);
    assert_eq!(answer(&ask(7, 0, 900), 0), None);
    let stays = answer(&ask(8, 0, 800), 999).expect("an answer");
    assert_eq!((stays.granted, stays.keep), (800, 100), "it may be using 800; it is to lower that to 100");
    let lapsed = answer(&ask(8, 0, 800), 1_000).expect("an answer");
    assert_eq!((lapsed.granted, lapsed.keep), (100, 100), "what has come back is not in use");
}

#[test]
fn what_is_given_back_is_only_what_is_left_and_a_pace_falls_slowly() {
    assert_eq!(give_back(-100, 30), (-70, 30));
    assert_eq!(give_back(-100, 300), (0, 100));
    assert_eq!((give_back(5, 30), give_back(-5, -30)), ((5, 0), (-5, 0)));
    let second = Duration::from_secs(1);
    assert_eq!(pace(0, 50, second), 50);
    assert_eq!(pace(80, 0, second), 70);
    assert_eq!(pace(80, -10, Duration::ZERO), 70);
    assert_eq!(pace(0, 50, Duration::from_millis(500)), 100);
    assert_eq!([7, 1, 0].map(|before| pace(before, 0, second)), [6, 0, 0], "to nothing in the end");
    assert_eq!(LEASE_HOLDS + LEASE_MARGIN, Duration::from_secs(15), "what the other tests reckon with");
    assert_eq!(LEASE_QUESTION, Duration::from_millis(QUESTION.unsigned_abs()));
    assert_eq!(LEASE_MARGIN - LEASE_QUESTION, Duration::from_secs(2), "what is left for clocks");
}

#[test]
fn units_are_shared_out_by_what_each_takes() {
    assert_eq!(fair_part(0, (0, 0), &[]), WHOLE, "one alone has all");
    assert_eq!(fair_part(100, (0, 0), &[(0, 0)]), WHOLE / 2, "two that are quiet have half each");
    assert_eq!(fair_part(3_200, (0, 0), &[(3_200, WHOLE)]), 29_688, "who was quiet can begin: 101 of 3,402");
    assert_eq!(fair_part(3_200, (3_200, WHOLE), &[(0, 0)]), 970_311);
    assert_eq!(fair_part(0, (100, 480_000), &[(100, 500_000)]), 480_000, "what is about right stays");
    assert_eq!(fair_part(0, (100, 550_000), &[(100, 90_000), (0, 300_000)]), 488_372, "but not while another starves");
    // A few requests move hardly anything: of 10,000 a second one takes 100, and what is left is for both.
    assert_eq!(fair_part(10_000, (100, 0), &[(0, 0)]), 504_999);
    assert_eq!(fair_part(10_000, (0, WHOLE / 2), &[(100, WHOLE / 2)]), WHOLE / 2, "so a part stays where it is");
    assert_eq!(fair_part(10_000, (7_000, 0), &[(1_000, 0), (0, 0)]), 766_623, "7,000 and a third of 2,000");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Parts of units that move among replicas never let in more than the supplier's own bucket takes.
    #[test]
    fn parts_of_units_never_let_in_more_than_the_whole(
        per_minute in 1_000..1_000_000_i64,
        steps in prop::collection::vec((0..3_usize, 0..20_000_i64, 0..400_000_i64, 0..WHOLE, 0..4_u8), 0..120),
    ) {
        let (mut supplier, mut parts, mut ms) = (UnitBucket::default(), [(UnitBucket::default(), 0_i64); 3], 0);
        for (which, later, weight, part, kind) in steps {
            ms += later;
            let now = at(ms);
            if kind == 0 {
                let free = WHOLE - parts.iter().map(|(_, part)| part).sum::<i64>();
                let (bucket, before) = parts[which];
                let after = part.min(before + free);
                parts[which] = (bucket.moved(now, before, after), after);
            } else {
                let (bucket, part) = &mut parts[which];
                let rate = per_minute * *part / WHOLE;
                let taken = bucket.offer(now, weight, rate);
                supplier = supplier.with(now, taken, per_minute);
            }
            prop_assert!(supplier.room(now, per_minute) >= -1, "{} at {ms}", supplier.room(now, per_minute));
        }
    }
}
