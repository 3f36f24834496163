//! Which contract pays: drawdown order, capacity, overflow; and the split of busy time.

use core::time::Duration;

use fleet::{Capacity, CapacityOf, Contract, EndpointId, Id, Overflow, Period, PoolId, Ramp, SiteId, Status};
use market::{Demand, Drawn, Reach, UnitBucket, draw, split_busy};
use proptest::prelude::*;
use units::{Instant, Quantity};

use crate::fixture::*;

fn on_pool(order: u16, terms: Contract) -> Contract {
    Contract { order, pools: vec![PoolId::from_index(0)], ..terms }
}

fn at_endpoint(order: u16, terms: Contract) -> Contract {
    Contract { order, endpoints: vec![EndpointId::from_index(0)], ..terms }
}

fn year() -> Contract {
    contract("2027-01-01", "2028-01-01", Period::Months(1))
}

/// So many accelerators reserved, paid whether used or not.
fn reserved(count: i64) -> Contract {
    let rates = vec![committed(h100(), "2 USD/accelerator-hour")];
    Contract { capacity: vec![capacity(h100(), &[("2027-02-01", count)])], rates, ..year() }
}

fn on_demand() -> Contract {
    Contract { rates: vec![metered(h100(), "4 USD/accelerator-hour")], ..year() }
}

/// So many units of a thousand weighed tokens a minute each.
fn provisioned(count: i64) -> Contract {
    Contract { capacity: vec![capacity(ptu(), &[("2027-01-01", count)])], rates: vec![committed(ptu(), "1 USD/unit-hour")], ..year() }
}

fn by_token() -> Contract {
    Contract { rates: vec![metered(input(), "2 USD/1M tokens"), metered(output(), "8 USD/1M tokens")], ..year() }
}

/// Each part as `contract quantity`, with a plus when it is beyond capacity, and what no one pays.
fn paid(case: &Case, drawn: &mut Drawn, when: Instant, demand: Demand) -> Vec<String> {
    let got = draw(&case.fleet, EndpointId::from_index(0), when, demand, drawn);
    let beyond = |reach| if reach == Reach::Beyond { "+" } else { "" };
    let unit = |meter: fleet::Meter| meter.unit();
    let part = |part: &market::Part| {
        format!("{} {}{}", case.fleet.contracts.name(part.contract), beyond(part.reach), part.quantity.shown(unit(part.meter)))
    };
    let rest = got.rest.iter().map(|(meter, quantity)| format!("rest {}", quantity.shown(unit(*meter))));
    got.parts.iter().map(part).chain(rest).collect()
}

fn held(case: &Case, when: &str, count: i64) -> Vec<String> {
    paid(case, &mut Drawn::default(), at(when), Demand::Accelerators { count, time: Duration::from_secs(3600) })
}

fn tokens(input: i64, cached: i64, output: i64) -> Demand {
    Demand::Tokens { input: Quantity::new(input), cached: Quantity::new(cached), output: Quantity::new(output) }
}

#[test]
fn accelerators_are_drawn_in_the_supplier_s_order() {
    let case = Case::new(vec![("a", on_pool(2, on_demand())), ("b", on_pool(1, reserved(3))), ("c", on_pool(0, reserved(2)))]);
    let hours =
        |parts: &[(&str, i64)]| -> Vec<String> { parts.iter().map(|(name, h)| format!("{name}{h}.000 accelerator-hours")).collect() };
    assert_eq!(held(&case, "2027-03-01", 1), hours(&[("c ", 1)]));
    assert_eq!(held(&case, "2027-03-01", 9), hours(&[("c ", 2), ("b ", 3), ("a +", 4)]));
    // Before the ramp begins only on-demand is there, and before the term nothing.
    assert_eq!(held(&case, "2027-01-05", 9), hours(&[("a +", 9)]));
    assert_eq!(held(&case, "2026-12-05", 9), hours(&[("rest ", 9)]));
}

#[test]
fn draws_at_one_instant_share_capacity() {
    let case = Case::new(vec![("a", on_pool(1, on_demand())), ("b", on_pool(0, reserved(3)))]);
    let mut drawn = Drawn::default();
    let mut hold = |when| paid(&case, &mut drawn, at(when), Demand::Accelerators { count: 2, time: Duration::from_secs(3600) });
    assert_eq!(hold("2027-03-01"), ["b 2.000 accelerator-hours"]);
    assert_eq!(hold("2027-03-01"), ["b 1.000 accelerator-hours", "a +1.000 accelerator-hours"]);
    assert_eq!(hold("2027-03-02"), ["b 2.000 accelerator-hours"]);
}

#[test]
fn what_exceeds_goes_where_the_contract_says() {
    let names = ["a", "b", "c"];
    let overflowing = |overflow| Contract { overflow: Some(overflow), ..reserved(1) };
    let fleet = |overflow| {
        Case::new(vec![("a", on_pool(0, overflowing(overflow))), ("b", on_pool(1, on_demand())), ("c", on_pool(2, on_demand()))])
    };
    let to = fleet(Overflow::To(id(&names, "c")));
    assert_eq!(held(&to, "2027-03-01", 3), ["a 1.000 accelerator-hours", "c +2.000 accelerator-hours"]);
    let rate = fleet(Overflow::AtRate(rate("5 USD/accelerator-hour")));
    assert_eq!(held(&rate, "2027-03-01", 3), ["a 1.000 accelerator-hours", "a +2.000 accelerator-hours"]);
    // Two that name each other end, and the next in order is asked.
    let circle = Case::new(vec![
        ("a", on_pool(0, overflowing(Overflow::To(id(&names, "b"))))),
        ("b", on_pool(1, overflowing(Overflow::To(id(&names, "a"))))),
        ("c", on_pool(2, on_demand())),
    ]);
    assert_eq!(held(&circle, "2027-03-01", 3), ["a 1.000 accelerator-hours", "b 1.000 accelerator-hours", "c +1.000 accelerator-hours"]);
}

#[test]
fn a_right_to_power_pays_for_as_many_as_it_feeds() {
    // 700 W x 1.2 = 840 W each: 2,600 W feed three.
    let power = Capacity { of: CapacityOf::Power(SiteId::from_index(0)), ramp: Ramp::constant(2_600), tokens_per_unit_minute: 0 };
    let case = Case::new(vec![("a", on_pool(0, Contract { capacity: vec![power], ..year() })), ("b", on_pool(1, on_demand()))]);
    assert_eq!(held(&case, "2027-03-01", 4), ["a 3.000 accelerator-hours", "b +1.000 accelerator-hours"]);
}

#[test]
fn contracts_that_are_not_in_force_pay_nothing() {
    for status in [Status::Discussed, Status::Stalled, Status::Ended] {
        let case = Case::new(vec![("a", on_pool(0, Contract { status, ..reserved(3) })), ("b", on_pool(1, on_demand()))]);
        assert_eq!(held(&case, "2027-03-01", 1), ["b +1.000 accelerator-hours"], "{status:?}");
    }
}

#[test]
fn units_take_what_they_handle_and_the_rest_overflows() {
    let names = ["ptu", "standard"];
    let ptu = Contract { overflow: Some(Overflow::To(id(&names, "standard"))), ..provisioned(2) };
    let case = Case::new(vec![("ptu", at_endpoint(0, ptu)), ("standard", by_token())]);
    let mut drawn = Drawn::default();
    let mut ask = |second: i64, demand| {
        let when = Instant::from_micros(at("2027-03-01").micros() + second * 1_000_000);
        paid(&case, &mut drawn, when, demand)
    };
    // Two units handle 2,000 a minute. 800 input + 100 output x 4 + 1,000 cached / 10 = 1,300 take 1,300 / 1,000 x 1 min = 78 s of a unit.
    assert_eq!(ask(0, tokens(800, 1_000, 100)), ["ptu 0.022 unit-hours"]);
    // 700 are left: 600 input and 25 outputs, which are 42 s; 75 outputs overflow.
    assert_eq!(ask(0, tokens(600, 0, 100)), ["ptu 0.012 unit-hours", "standard +75 tokens"]);
    assert_eq!(ask(0, tokens(5, 5, 5)), ["standard +5 tokens", "standard +5 tokens", "standard +5 tokens"]);
    // Three seconds on, 100 fit again.
    assert_eq!(ask(3, tokens(150, 0, 0)), ["ptu 0.002 unit-hours", "standard +50 tokens"]);
}

#[test]
fn units_may_bill_what_exceeds_or_leave_it_to_the_next() {
    let at_rate = Contract { overflow: Some(Overflow::AtRate(rate("2 USD/unit-hour"))), ..provisioned(1) };
    let case = Case::new(vec![("ptu", at_endpoint(0, at_rate)), ("standard", at_endpoint(1, by_token()))]);
    let ask = |case: &Case| paid(case, &mut Drawn::default(), at("2027-03-01"), tokens(61_000, 0, 0));
    assert_eq!(ask(&case), ["ptu 0.017 unit-hours", "ptu +1.000 unit-hours"]);
    let case = Case::new(vec![("ptu", at_endpoint(0, provisioned(1))), ("standard", at_endpoint(1, by_token()))]);
    assert_eq!(ask(&case), ["ptu 0.017 unit-hours", "standard +60000 tokens"]);
    // A pool's accelerator time is what is paid there: no one prices tokens.
    let case = Case::new(vec![("pool", on_pool(0, reserved(8)))]);
    assert_eq!(ask(&case), ["rest 61000 tokens"]);
}

#[test]
fn a_bucket_never_takes_more_than_a_minute_holds() {
    let mut bucket = UnitBucket::default();
    let second = |seconds: i64| Instant::from_micros(seconds * 1_000_000);
    let taken: Vec<i64> = [0, 0, 30, 29, 90].map(|seconds| bucket.offer(second(seconds), 80, 100)).into();
    assert_eq!(taken, [80, 20, 50, 0, 80]);
    assert_eq!(bucket.offer(second(90), -5, 100), 0);
}

#[test]
fn a_bucket_owes_what_it_took_too_much_and_takes_back_what_did_not_come() {
    let second = |seconds: i64| Instant::from_micros(seconds * 1_000_000);
    let mut bucket = UnitBucket::default();
    // 100 a second: 6,500 are 500 more than a minute holds, which is five seconds.
    bucket = bucket.with(second(0), 6_500, 6_000);
    assert_eq!([0, 5, 10].map(|at| bucket.room(second(at), 6_000)), [-500, 0, 500]);
    assert_eq!(bucket.offer(second(0), 1, 6_000), 0);
    bucket = bucket.with(second(5), -500, 6_000);
    assert_eq!([5, 90].map(|at| bucket.room(second(at), 6_000)), [500, 6_000]);
    assert_eq!((bucket.room(second(200), 0), bucket.with(second(200), 5, 0)), (0, bucket), "no units, nothing to count");
}

/// 100 a second, of which a minute's worth fits. What the supplier counts is not known: only that it refused, and when it says to come back.
#[test]
fn a_refusal_fills_the_bucket_but_for_what_the_supplier_says_will_fit() {
    let second = |seconds: i64| Instant::from_micros(seconds * 1_000_000);
    let refused = |weight, again| UnitBucket::default().refused(second(90), weight, 6_000, Duration::from_secs(again));
    let room = |bucket: UnitBucket, at| bucket.room(second(at), 6_000);
    assert_eq!(
        [90, 91, 200].map(|at| room(refused(1_500, 0), at)),
        [0, 100, 6_000],
        "it does not say: nothing fits, and it drains on from there"
    );
    // In two seconds 1,500 will fit: so 1,300 do now, and the supplier's own holds 4,700.
    assert_eq!([90, 92, 94].map(|at| room(refused(1_500, 2), at)), [1_300, 1_500, 1_700]);
    assert_eq!([90, 120].map(|at| room(refused(1_500, 30), at)), [0, 3_000], "what drains until then is more than it weighs");
    let before = UnitBucket::default().with(second(90), 5_000, 6_000);
    assert_eq!(before.refused(second(90), 1_500, 6_000, Duration::from_secs(2)), before, "it was known that less fits");
    assert_eq!(room(refused(9_000, 1), 90), 6_000, "what never fits says nothing of what waits");
    assert_eq!(refused(1_500, 0), UnitBucket::default().refused(second(90), 1_500, 0, Duration::from_secs(2)), "no units: full");
}

#[test]
fn busy_time_is_split_by_work_with_the_largest_remainders_first() {
    let split = |busy, work: &[i64]| -> Vec<i64> { split_busy(Quantity::new(busy), work).into_iter().map(Quantity::count).collect() };
    assert_eq!(split(100, &[1, 1, 1]), [34, 33, 33]);
    assert_eq!(split(10, &[1, 2, 4]), [1, 3, 6]);
    assert_eq!(split(7, &[0, 0]), [4, 3]);
    assert_eq!(split(7, &[0, -3, 5]), [0, 0, 7]);
    assert_eq!(split(7, &[]), [0; 0]);
}

/// What a bucket should be, told another way: a level in exact thousandths that drains from one step to the next.
struct Level {
    level: i128,
    at: i64,
}

impl Level {
    fn at(&mut self, second: i64, per_minute: i64) -> i128 {
        self.level = (self.level - i128::from(second - self.at) * i128::from(per_minute) * 1_000 / 60).max(0);
        self.at = second;
        i128::from(per_minute) * 1_000 - self.level
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Steps of a second apart on average, rates that 60 divides, so that the level is exact: the bucket never has more room than it, and
    /// less by no more than what its rounding to a nanosecond comes to.
    #[test]
    fn a_bucket_is_its_level(
        rate in 1_i64..1 << 30, steps in proptest::collection::vec((0_i64..90, -(1_i64 << 30)..1 << 32, any::<bool>()), 1..60),
    ) {
        let (per_minute, mut bucket, mut level, mut second) = (rate * 60, UnitBucket::default(), Level { level: 0, at: 0 }, 0);
        for (index, (later, weight, offered)) in steps.into_iter().enumerate() {
            second += later;
            let (now, room) = (Instant::from_micros(second * 1_000_000), level.at(second, per_minute));
            let (got, off) = (i128::from(bucket.room(now, per_minute)), 1 + i128::from(rate) * (index as i128 + 1) / 1_000_000_000);
            prop_assert!(got * 1_000 <= room && room <= (got + off) * 1_000, "{got} {room}");
            if offered {
                let taken = i128::from(bucket.offer(now, weight, per_minute));
                prop_assert!(taken == i128::from(weight).min(got).max(0));
                level.level += taken * 1_000;
            } else {
                // What is taken out is at most what is in.
                let weight = i128::from(weight).max(-(level.level / 1_000)).max(-(i128::from(per_minute) - got).max(0));
                let weight = i64::try_from(weight).expect("a weight is small");
                bucket = bucket.with(now, weight, per_minute);
                level.level += i128::from(weight) * 1_000;
            }
        }
    }

    /// A supplier that takes whatever fits and says truly when the rest will: after its refusal ours stands where its own does, or where it
    /// was if that is fuller.
    #[test]
    fn a_refused_bucket_is_the_suppliers(
        rate in 1_i64..1 << 24, ours in 0_i64..1 << 30, theirs in 0_i64..1 << 30, weight in 1_i64..1 << 30,
    ) {
        let (now, per_minute) = (Instant::from_micros(1_800_000_000_000_000), rate * 60);
        let [weight, ours, theirs] = [weight, ours, theirs].map(|part| part % (per_minute + 1));
        let [ours, theirs] = [ours, theirs].map(|level| UnitBucket::default().with(now, level, per_minute));
        let short = weight - theirs.room(now, per_minute);
        // It refuses only what does not fit.
        let weight = if short > 0 { weight } else { weight + 1 - short };
        let short = short.max(1);
        let again = Duration::from_nanos((short.unsigned_abs() * 1_000_000_000).div_ceil(rate.unsigned_abs()));
        let after = ours.refused(now, weight, per_minute, again).room(now, per_minute);
        let expected = ours.room(now, per_minute).min(theirs.room(now, per_minute));
        // Weights are whole, and nanoseconds are.
        prop_assert!((after - expected).abs() <= 2, "{after} and not {expected}");
        prop_assert!(after < weight, "what was refused is not sent again at once");
    }

    #[test]
    fn busy_time_is_neither_lost_nor_made(busy in 0..i64::MAX, work in proptest::collection::vec(0..1_i64 << 40, 1..40)) {
        let parts = split_busy(Quantity::new(busy), &work);
        prop_assert_eq!(parts.iter().map(|part| i128::from(part.count())).sum::<i128>(), i128::from(busy));
        // Each part is within one of its exact share.
        let total: i128 = work.iter().map(|work| i128::from(*work)).sum();
        for (part, work) in parts.iter().zip(&work).filter(|_| total > 0) {
            let off = i128::from(part.count()) * total - i128::from(busy) * i128::from(*work);
            prop_assert!(off.abs() < total);
        }
    }

    #[test]
    fn what_is_paid_and_the_rest_are_what_was_asked(
        count in 0_i64..40, first in 0_i64..20, second in 0_i64..20, elastic in any::<bool>(), instants in 1_usize..4,
    ) {
        let mut contracts = vec![("a", on_pool(0, reserved(first))), ("b", on_pool(1, reserved(second)))];
        if elastic {
            contracts.push(("c", on_pool(2, on_demand())));
        }
        let (case, mut drawn) = (Case::new(contracts), Drawn::default());
        let demand = Demand::Accelerators { count, time: Duration::from_secs(60) };
        let mut within = 0;
        for _ in 0..instants {
            let got = draw(&case.fleet, EndpointId::from_index(0), at("2027-03-01"), demand, &mut drawn);
            let parts: i64 = got.parts.iter().map(|part| part.quantity.count()).sum();
            let rest: i64 = got.rest.iter().map(|(_, quantity)| quantity.count()).sum();
            prop_assert_eq!(parts + rest, count * 60_000);
            prop_assert!(!elastic || rest == 0);
            within += got.parts.iter().filter(|part| part.reach == Reach::Within).map(|part| part.quantity.count()).sum::<i64>();
        }
        prop_assert!(within <= (first + second) * 60_000);
    }
}
