//! Costs by the day: by hand, and over random contracts they add up to what is due.

use fleet::{ContractId, Period};
use market::{Accrual, Balances, Usage, periods, statement};
use proptest::prelude::*;
use units::{Instant, Money, Span};

use crate::books::a_nest;
use crate::fixture::*;

/// What each contract costs from each cut to the next.
fn told(fleet: &fleet::Fleet, usages: &[Usage], within: Span, days: &[Instant]) -> Vec<(Instant, ContractId, Money)> {
    let mut sorted = usages.to_vec();
    sorted.sort_by_key(|usage| usage.at);
    let (mut accrual, mut balances, mut posted, mut since, mut all) = (Accrual::default(), Balances::default(), 0, within.from, Vec::new());
    for cut in Accrual::cuts(fleet, within, days.iter().copied()) {
        while let Some(usage) = sorted.get(posted).filter(|usage| usage.at < cut) {
            balances.post(fleet, usage);
            posted += 1;
        }
        all.extend(accrual.cut(fleet, &balances, cut).into_iter().map(|(id, money)| (since, id, money)));
        since = cut;
    }
    all
}

#[test]
fn a_floor_is_spread_and_what_goes_beyond_it_falls_on_its_day() {
    // 3,100 USD a month whatever is used, which pays the first 100 million tokens at 31 USD a million.
    let terms = fleet::Contract {
        rates: vec![metered(input(), "31 USD/1M tokens")],
        floors: vec![floor(Period::Months(1), &[("2027-01-01", 3_100)])],
        ..contract("2027-01-01", "2027-02-01", Period::Months(1))
    };
    let case = Case::new(vec![("a", terms)]);
    let used = |when: &str, millions: i64| Usage {
        contract: case.id("a"),
        meter: input(),
        at: at(when),
        held: units::Quantity::new(millions * 1_000_000),
        used: units::Quantity::new(millions * 1_000_000),
    };
    let usages = [used("2027-01-02T12:00", 60), used("2027-01-03T12:00", 60), used("2027-01-04T12:00", 1)];
    let days: Vec<Instant> = (1..=5).map(|day| at(&format!("2027-01-0{day}"))).collect();
    let within = Span { from: days[0], to: days[4] };
    let costs: Vec<String> = told(&case.fleet, &usages, within, &days).iter().map(|(since, _, money)| format!("{since} {money}")).collect();
    // 100 USD a day; on the third, 20 million are beyond the floor: 620 USD; on the fourth one more: 31 USD.
    assert_eq!(
        costs,
        ["2027-01-01T00:00:00Z 100.00", "2027-01-02T00:00:00Z 100.00", "2027-01-03T00:00:00Z 720.00", "2027-01-04T00:00:00Z 131.00"]
    );
}

/// Each history is settled again at every step of a period: a share of the histories that a lighter property has.
const SHARE: u32 = 80;
/// With each change.
const HISTORIES: u32 = 20_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HISTORIES.div_ceil(SHARE)))]

    #[test]
    fn the_parts_of_a_period_add_up_to_its_amount_due((fleet, usages) in a_nest(), step in 1_i64..40) {
        let within = Span { from: at("2026-12-01"), to: at("2027-12-01") };
        let days: Vec<Instant> = (0..365 / step).map(|day| Instant::from_micros(within.from.micros() + day * step * 86_400_000_000)).collect();
        let costs = told(&fleet, &usages, within, &days);
        let mut balances = Balances::default();
        usages.iter().for_each(|usage| balances.post(&fleet, usage));
        for (contract, ..) in fleet.contracts.iter() {
            let due: Money = periods(&fleet, contract).map(|period| statement(&fleet, &balances, contract, period).due).sum();
            let told: Money = costs.iter().filter(|(_, of, _)| *of == contract).map(|(.., money)| *money).sum();
            prop_assert_eq!(told, due);
        }
    }
}
