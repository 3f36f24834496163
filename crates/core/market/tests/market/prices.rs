//! Section 7 of `docs/contracts.md`: what one more unit costs.

use fleet::{Basis, CarryOver, Contract, ContractId, Floor, Meter, Overflow, Period, TierKind};
use market::{Flow, FlowMeter, Forecast, MarginalPrice, marginal_price, marginal_prices};
use proptest::prelude::*;
use units::{Instant, Money, Quantity, Rate, Share};

use crate::fixture::*;

/// Halfway through a year of 365 days of which 182.5 are left: 4,380 h.
const NOW: &str = "2027-07-02T12:00";
const HOURS_LEFT: i64 = 4_380;

fn year(period: Period) -> Contract {
    Contract { rates: vec![metered(input(), "1 USD/1k tokens")], ..contract("2027-01-01", "2028-01-01", period) }
}

fn with(floor: Floor, terms: Contract) -> Contract {
    Contract { floors: vec![floor], ..terms }
}

fn yearly(units: i64) -> Floor {
    floor(Period::Months(12), &[("2027-01-01", units)])
}

fn price(case: &Case, name: &str, meter: Meter, flows: &[(&str, Meter, i64, i64)]) -> MarginalPrice {
    let flow = |(name, meter, per_hour, error): &(&str, Meter, i64, i64)| {
        ((case.id(name), *meter), Flow { per_hour: Quantity::new(*per_hour), error: percent(*error) })
    };
    let forecast = Forecast { flows: flows.iter().map(flow).collect(), ..Forecast::default() };
    marginal_price(&case.fleet, &case.balances, &forecast, case.id(name), meter, at(NOW))
}

/// What a thousand cost, in nano-dollars.
fn nanos(rate: Rate) -> i64 {
    i64::try_from(rate.cost(Quantity::new(1_000)).nanos()).expect("small")
}

const DOLLAR: i64 = 1_000_000_000;

/// Tokens an hour that come to `units` dollars in the rest of the year.
fn coming(units: i64) -> i64 {
    units * 1_000 / HOURS_LEFT
}

#[test]
fn without_a_floor_a_unit_costs_its_list_price() {
    let case = Case::new(vec![("c", year(Period::Months(1)))]);
    let got = price(&case, "c", input(), &[("c", input(), 1_000, 50)]);
    assert_eq!((nanos(got.rate), nanos(got.list), got.floors_met), (DOLLAR, DOLLAR, Share::ALL));
}

#[test]
fn a_floor_surely_missed_makes_units_free_and_one_surely_met_does_not() {
    // 30,000 dollars are expected with an error of a tenth; the floor is far above or far below them.
    for period in [Period::Months(12), Period::Months(1), Period::Days(1), Period::Minutes(60)] {
        for (least, want, met) in [(300_000, 0, Share::NONE), (3_000, DOLLAR, Share::ALL)] {
            let case = Case::new(vec![("c", with(yearly(least), year(period)))]);
            let got = price(&case, "c", input(), &[("c", input(), coming(30_000), 10)]);
            assert_eq!((nanos(got.rate), got.floors_met), (want, met), "{period:?} {least}");
        }
    }
}

#[test]
fn a_floor_as_likely_met_as_not_halves_the_price() {
    // The floor is at the median of what comes: 30,000 x exp(-s^2 / 2) with s^2 = ln(1 + 0.2^2) = 0.0392 is 29,417.
    for (period, slack) in [(Period::Months(12), 1), (Period::Months(1), 1), (Period::Minutes(5), 2)] {
        let case = Case::new(vec![("c", with(yearly(29_417), year(period)))]);
        let got = price(&case, "c", input(), &[("c", input(), coming(30_000), 20)]);
        assert!((nanos(got.rate) - DOLLAR / 2).abs() <= slack * DOLLAR / 64, "{period:?} {got:?}");
    }
}

#[test]
fn what_is_already_posted_and_carried_counts() {
    let carry_over = Some(CarryOver { share: Share::ALL, windows: 1 });
    let monthly = Floor { carry_over, ..floor(Period::Months(1), &[("2027-01-01", 100)]) };
    let case = |tokens| Case::new(vec![("c", with(monthly.clone(), year(Period::Months(1))))]).used("c", input(), "2027-06-05", tokens);
    // June had 100 or 250 of 100: 0 or 150 are carried into July, where nothing comes.
    assert_eq!(nanos(price(&case(100_000), "c", input(), &[]).rate), 0);
    assert_eq!(nanos(price(&case(250_000), "c", input(), &[]).rate), DOLLAR);
    // July has had 99.50 of 100: half of the lot is still short.
    let case = case(100_000).used("c", input(), "2027-07-01", 99_500);
    assert_eq!(nanos(price(&case, "c", input(), &[]).rate), DOLLAR / 2);
}

#[test]
fn a_unit_draws_down_every_umbrella() {
    let names = ["a", "b", "c"];
    let under = |name: &str| Some(id(&names, name));
    let nest = |outer: i64, middle: i64| {
        let a = Contract { floors: vec![yearly(outer)], ..year(Period::Months(12)) };
        let b =
            Contract { under: under("a"), floors: vec![floor(Period::Months(3), &[("2027-01-01", middle)])], ..year(Period::Months(3)) };
        let c = Contract { under: under("b"), ..year(Period::Days(1)) };
        Case::new(vec![("a", a), ("b", b), ("c", c)])
    };
    let flows = [("c", input(), coming(1_000), 0)];
    // Either floor far off: free. By purchase a unit below the middle floor adds nothing to the outer one, so it never saves twice.
    for (outer, middle, want) in [(0, 0, DOLLAR), (50_000, 0, 0), (0, 50_000, 0), (900_000, 50_000, 0)] {
        assert_eq!(nanos(price(&nest(outer, middle), "c", input(), &flows).rate), want, "{outer} {middle}");
    }
}

#[test]
fn floors_by_amortisation_that_do_not_count_each_other_save_twice() {
    let names = ["a", "b"];
    let by_amortisation = |floor: Floor| Floor { basis: Basis::Amortisation, ..floor };
    let a = Contract { floors: vec![by_amortisation(yearly(900_000))], ..year(Period::Months(12)) };
    let b = Contract { under: Some(id(&names, "a")), floors: vec![by_amortisation(yearly(50_000))], ..year(Period::Months(1)) };
    let case = Case::new(vec![("a", a), ("b", b)]);
    assert_eq!(nanos(price(&case, "b", input(), &[]).rate), -DOLLAR);
}

#[test]
fn what_is_expected_of_siblings_counts() {
    let names = ["a", "b", "c"];
    let nested = |period| Contract { under: Some(id(&names, "a")), ..year(period) };
    let a = Contract { floors: vec![yearly(10_000)], rates: Vec::new(), ..year(Period::Months(12)) };
    let case = Case::new(vec![("a", a), ("b", nested(Period::Minutes(5))), ("c", nested(Period::Days(1)))]);
    assert_eq!(nanos(price(&case, "b", input(), &[]).rate), 0);
    assert_eq!(nanos(price(&case, "b", input(), &[("c", input(), coming(12_000), 0)]).rate), DOLLAR);
}

#[test]
fn prices_asked_for_together_are_those_asked_for_alone() {
    let names = ["a", "b"];
    let rates = || vec![metered(input(), "1 USD/1k tokens"), metered(output(), "3 USD/1k tokens")];
    let a = Contract { rates: rates(), floors: vec![yearly(29_000)], ..year(Period::Months(1)) };
    let capacity = vec![capacity(ptu(), &[("2027-01-01", 2)])];
    let b = Contract {
        under: Some(id(&names, "a")),
        capacity,
        rates: [rates(), vec![committed(ptu(), "1 USD/unit-hour")]].concat(),
        ..year(Period::Minutes(5))
    };
    let case = Case::new(vec![("a", a), ("b", b)]).used("b", input(), "2027-07-02T11:58", 9_000).used("a", output(), "2027-02-01", 9_000);
    let flow = Flow { per_hour: Quantity::new(coming(15_000)), error: percent(80) };
    let forecast = Forecast { flows: [((case.id("a"), input()), flow), ((case.id("b"), output()), flow)].into(), ..Forecast::default() };
    let meters: Vec<_> = names.iter().flat_map(|name| [input(), output(), ptu()].map(|meter| (case.id(name), meter))).collect();
    let together = marginal_prices(&case.fleet, &case.balances, &forecast, &meters, at(NOW));
    let alone: Vec<_> =
        meters.iter().map(|(contract, meter)| marginal_price(&case.fleet, &case.balances, &forecast, *contract, *meter, at(NOW))).collect();
    assert_eq!(together, alone);
    assert!(together.iter().any(|price| nanos(price.rate) > 0 && price.floors_met < Share::ALL), "{together:?}");
}

#[test]
fn the_tier_is_the_one_that_the_lot_falls_in_at_the_period_s_end() {
    let tiers = [(0, "1 USD/1k tokens"), (1_000_000, "0.6 USD/1k tokens")];
    let case = Case::new(vec![("c", Contract { rates: vec![tiered(input(), TierKind::Graduated, &tiers)], ..year(Period::Months(12)) })]);
    // 4,380 h at 200 an hour stay below a million, at 300 they don't; the list price is today's.
    for (per_hour, want) in [(200, DOLLAR), (300, DOLLAR * 6 / 10)] {
        let got = price(&case, "c", input(), &[("c", input(), per_hour, 0)]);
        assert_eq!((nanos(got.rate), nanos(got.list)), (want, DOLLAR), "{per_hour}");
    }
    // Across the boundary: 999,600 are posted, so 400 of the lot are at 1.00 and 600 at 0.60.
    let case = case.used("c", input(), "2027-07-01", 999_600);
    assert_eq!(nanos(price(&case, "c", input(), &[]).rate), 760_000_000);
}

#[test]
fn what_is_committed_is_free_until_it_overflows() {
    let terms = Contract {
        capacity: vec![capacity(h100(), &[("2027-01-01", 2)])],
        rates: vec![committed(h100(), "2 USD/accelerator-hour")],
        ..year(Period::Months(1))
    };
    let overflow = Some(Overflow::AtRate(rate("3.6 USD/accelerator-hour")));
    let case = Case::new(vec![("c", terms.clone()), ("o", Contract { overflow, ..terms })]);
    // July has 744 h; 708 of them are left. Held on 3 accelerators is beyond the 2 committed, as far as they were full before.
    let case = ["c", "o"].into_iter().fold(case, |case, name| case.used(name, h100(), "2027-07-01", 72 * HOUR));
    for (name, per_hour, want) in [("c", HOUR, 0), ("o", HOUR, 0), ("c", 3 * HOUR, 0), ("o", 3 * HOUR, 1_000_000)] {
        let got = price(&case, name, h100(), &[(name, h100(), per_hour, 0)]);
        // A thousand accelerator-milliseconds are a 3,600th of an hour.
        assert_eq!(nanos(got.rate), want, "{name} {per_hour}");
        assert_eq!(nanos(got.list), 555_556);
    }
}

#[test]
fn a_flow_is_learnt_from_what_is_posted() {
    let second = |seconds: i64| Instant::from_micros(seconds * 1_000_000);
    let mut meter = FlowMeter::new(second(0), core::time::Duration::from_secs(60));
    for step in 1..600 {
        meter.observe(second(step), Quantity::new(100));
    }
    assert_eq!(meter.flow(second(599)), Flow { per_hour: Quantity::new(360_000), error: Share::NONE });
    // A memory of silence leaves an e-th, and an error; ten leave next to nothing.
    let later = meter.flow(second(659));
    assert_eq!(later.per_hour, Quantity::new(132_437));
    assert!(later.error > percent(50), "{later:?}");
    assert!(meter.flow(second(1_199)).per_hour < Quantity::new(20));
    // What comes at one instant in parts is what comes at once.
    let (mut parts, mut whole) = (meter, meter);
    parts.observe(second(599), Quantity::new(30));
    parts.observe(second(600), Quantity::new(70));
    whole.observe(second(600), Quantity::new(100));
    assert_eq!(parts, whole);
}

#[test]
fn a_bursty_flow_has_a_larger_error_than_a_steady_one() {
    let second = |seconds: i64| Instant::from_micros(seconds * 1_000_000);
    let error = |every: i64| {
        let mut meter = FlowMeter::new(second(0), core::time::Duration::from_secs(300));
        (1..3_000).for_each(|step| meter.observe(second(step), Quantity::new(if step % every == 0 { every } else { 0 })));
        meter.flow(second(2_999)).error
    };
    assert!(error(1) < error(10) && error(10) < error(100), "{:?}", [1, 10, 100].map(error));
}

fn rate_of(case: &Case, contract: ContractId, per_hour: i64, error: i64) -> Money {
    let flow = Flow { per_hour: Quantity::new(per_hour), error: Share::from_ppm(error) };
    let forecast = Forecast { flows: [((contract, input()), flow)].into(), ..Forecast::default() };
    marginal_price(&case.fleet, &case.balances, &forecast, contract, input(), at(NOW)).rate.money
}

#[test]
fn a_plan_guides_what_was_learnt() {
    let case = Case::new(vec![("c", with(yearly(100), year(Period::Months(12))))]);
    let key = (case.id("c"), input());
    let flow = |per_hour: i64, error: i64| Flow { per_hour: Quantity::new(per_hour), error: Share::from_ppm(error) };
    let forecast = |flow: Flow| Forecast { flows: [(key, flow)].into(), ..Forecast::default() };
    let guided = |learnt: Flow, planned: Flow| forecast(learnt).guided(&forecast(planned)).flows[&key];
    assert_eq!(guided(flow(0, 0), flow(1_000, 0)), flow(1_000, 0), "nothing learnt says nothing against the plan");
    assert_eq!(guided(flow(900, 20_000), flow(1_000, 0)), flow(1_000, 100_000), "a tenth off is the error");
    assert_eq!(guided(flow(990, 250_000), flow(1_000, 0)), flow(1_000, 250_000), "what comes in bursts stays uncertain");
    assert_eq!(guided(flow(1_000_000, 0), flow(1, 0)), flow(1, 3_000_000), "the error has a limit");
    assert_eq!(forecast(flow(7, 8)).guided(&Forecast::default()).flows[&key], flow(7, 8), "without a plan what was learnt stays");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_more_is_expected_the_less_likely_a_floor_is_missed(
        least in 1_i64..60_000, posted in 0_i64..20_000_000, flow in 0_i64..10_000, more in 0_i64..10_000, error in 0_i64..1_000_000,
        period in prop_oneof![Just(Period::Months(12)), Just(Period::Months(1)), Just(Period::Days(1))],
    ) {
        let case = Case::new(vec![("c", with(yearly(least), year(period)))]).used("c", input(), "2027-03-01", posted);
        let contract = case.id("c");
        let (less, more) = (rate_of(&case, contract, flow, error), rate_of(&case, contract, flow + more, error));
        prop_assert!(less <= more, "{less} is above {more}");
        prop_assert!(Money::ZERO <= less && more <= Money::from_units(1));
    }
}
