//! Examples worked by hand from the page, so that the reference itself is tested.

use fleet::{
    AcceleratorId, Basis, Calendar, Capacity, CapacityOf, CarryOver, Charge, Contract, ContractId, Delivery, Escalation, Floor, Id, Least,
    Meter, MeterKind, Overflow, Period, Prepayment, Ramp, RateClause, Substitution, Tier, TierKind, Tranche,
};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use market::{Clause, Usage};
use units::{Amount, Instant, Money, Quantity, Rate, Share, Span};

use crate::compare;
use crate::generator::{bare, fleet_of, meters};
use crate::model::Reference;

const HOUR: i64 = 3_600_000;

fn usd(text: &str) -> Money {
    format!("{text} USD").parse::<Amount>().expect("an amount").money
}

fn on(day: Date) -> Instant {
    Instant::from(day.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).expect("in range").timestamp())
}

fn monthly(from: Date, to: Date) -> Contract {
    bare(Calendar::new(TimeZone::UTC, date(2026, 1, 1).at(0, 0, 0, 0), Period::Months(1)), Span { from: on(from), to: on(to) })
}

/// A contract by calendar months of 2026 from the first of `first` to the first of `end`.
fn months(first: i8, end: i8) -> Contract {
    monthly(date(2026, first, 1), date(2026, end, 1))
}

fn chips() -> (Meter, CapacityOf) {
    let id = AcceleratorId::from_index(0);
    (Meter::AcceleratorTime(id), CapacityOf::Accelerators(id))
}

fn tokens() -> Meter {
    meters()[3]
}

fn per(money: &str, per: i64) -> Rate {
    Rate { money: usd(money), per }
}

fn flat(meter: Meter, charge: Charge, rate: Rate) -> RateClause {
    let tiers = vec![Tier { from: Quantity::ZERO, rate }];
    RateClause { meter, charge, tiers, kind: TierKind::Graduated, over_term: false, escalation: None }
}

fn least(money: &str, per: Period, basis: Basis) -> Floor {
    let least = Least::Spend(Ramp::constant(usd(money)));
    Floor { least, per, basis, contracts: Vec::new(), meters: Vec::new(), carry_over: None, abated_while_late: false }
}

fn capacity(amount: i64) -> Capacity {
    Capacity { of: chips().1, ramp: Ramp::constant(amount), tokens_per_unit_minute: 0 }
}

/// So much of a meter held and used on a day by contract number `contract`.
fn post(contract: usize, meter: Meter, day: Date, held: i64, used: i64) -> Usage {
    Usage { contract: ContractId::from_index(contract), meter, at: on(day), held: Quantity::new(held), used: Quantity::new(used) }
}

fn token_days(counts: &[(i8, i64)]) -> Vec<Usage> {
    counts.iter().map(|(month, count)| post(0, tokens(), date(2026, *month, 9), *count, *count)).collect()
}

/// Compares the reference's statements of contract 0 that have a line, `0: rates 0.0 1.20 = 1.20`, then `market`'s with it.
fn check(contracts: Vec<Contract>, usages: &[Usage], want: &[&str]) {
    let fleet = fleet_of(contracts);
    let accounts = Reference { fleet: &fleet, usages }.accounts();
    let id = ContractId::from_index(0);
    let bills = accounts[&id].bills(fleet.contracts[id].rounding.nanos());
    let shown = |(clause, money): &(Clause, i128)| {
        let name = match clause {
            Clause::Rates { index, tier } => format!("rates {index}.{tier}"),
            Clause::Overflow => "overflow".to_owned(),
            Clause::Prepayment { index } => format!("prepayment {index}"),
            Clause::Credit { index } => format!("credit {index}"),
            Clause::Penalty { tranche } => format!("penalty {tranche}"),
            Clause::Shortfall { index } => format!("shortfall {index}"),
            Clause::Rounding => "rounding".to_owned(),
        };
        format!("{name} {}", Money::from_nanos(*money))
    };
    let text: Vec<String> = bills
        .iter()
        .filter(|bill| !bill.lines.is_empty())
        .map(|bill| {
            let lines: Vec<String> = bill.lines.iter().map(shown).collect();
            format!("{}: {} = {}", bill.period.number, lines.join(", "), Money::from_nanos(bill.due))
        })
        .collect();
    assert_eq!(text, want);
    assert_eq!(compare(&fleet, usages).map_err(|difference| difference.0), Ok(()));
}

#[test]
fn tiers_over_the_term_go_on_where_the_last_period_stopped() {
    let tiered = |kind| {
        let mut contract = months(1, 4);
        let mut clause = flat(tokens(), Charge::Metered, per("2", 1000));
        clause.tiers.push(Tier { from: Quantity::new(1000), rate: per("1", 1000) });
        contract.rates.push(RateClause { kind, over_term: true, ..clause });
        contract
    };
    let usages = token_days(&[(1, 600), (2, 900), (3, 100)]);
    let graduated = ["0: rates 0.0 1.20 = 1.20", "1: rates 0.0 0.80, rates 0.1 0.50 = 1.30", "2: rates 0.1 0.10 = 0.10"];
    check(vec![tiered(TierKind::Graduated)], &usages, &graduated);
    let volume = ["0: rates 0.0 1.20 = 1.20", "1: rates 0.1 0.90 = 0.90", "2: rates 0.1 0.10 = 0.10"];
    check(vec![tiered(TierKind::Volume)], &usages, &volume);
}

#[test]
fn whole_multiples_are_exact_and_the_rest_rounds_once() {
    let mut contract = months(1, 4);
    contract.rates.push(flat(tokens(), Charge::Metered, Rate { money: Money::from_nanos(1), per: 2 }));
    // 1/2 goes to 0; 3/2 is 1 and 1/2; 5/2 is 2 and 1/2: the rest alone decides what is even.
    let want = ["0: rates 0.0 0.00 = 0.00", "1: rates 0.0 0.000000001 = 0.000000001", "2: rates 0.0 0.000000002 = 0.000000002"];
    check(vec![contract], &token_days(&[(1, 1), (2, 3), (3, 5)]), &want);
}

#[test]
fn a_partial_month_asks_for_its_part_of_the_floor() {
    // Months from the 31st: [31 January, 28 February) has 28 days, of which the term holds 18; the next is whole.
    let calendar = Calendar::new(TimeZone::UTC, date(2026, 1, 31).at(0, 0, 0, 0), Period::Months(1));
    let mut contract = bare(calendar, Span { from: on(date(2026, 2, 10)), to: on(date(2026, 3, 31)) });
    contract.floors.push(least("28", Period::Months(1), Basis::Purchase));
    check(vec![contract], &[], &["0: shortfall 0 18.00 = 18.00", "1: shortfall 0 28.00 = 28.00"]);
}

#[test]
fn a_committed_day_has_as_many_hours_as_its_clock() {
    let zone = TimeZone::get("Europe/Paris").expect("bundled");
    let midnight = |day: Date| Instant::from(day.at(0, 0, 0, 0).to_zoned(zone.clone()).expect("in range").timestamp());
    let term = Span { from: midnight(date(2026, 3, 28)), to: midnight(date(2026, 3, 31)) };
    let mut contract = bare(Calendar::new(zone.clone(), date(2026, 3, 28).at(0, 0, 0, 0), Period::Days(1)), term);
    contract.capacity.push(capacity(2));
    contract.rates.push(flat(chips().0, Charge::Committed, per("1", HOUR)));
    check(vec![contract], &[], &["0: rates 0.0 48.00 = 48.00", "1: rates 0.0 46.00 = 46.00", "2: rates 0.0 48.00 = 48.00"]);
}

#[test]
fn a_late_tranche_is_not_charged_and_abates_the_floor() {
    // 6 of 10 chips are there from the start; 4 due on the 6th come on the 16th: 6 * 744 h + 4 * 384 h = 6,000 h.
    // Late are 4 * 240 h: at 0.50 that is 480, of which the cap leaves 300. The floor of 7,440 shrinks by 40/310 to 6,480.
    let mut contract = months(1, 2);
    contract.capacity.push(capacity(10));
    contract.rates.push(flat(chips().0, Charge::Committed, per("1", HOUR)));
    let tranche = |amount, due, delivered| Tranche { amount, due: on(date(2026, 1, due)), delivered: Some(on(date(2026, 1, delivered))) };
    contract.delivery = Some(Delivery {
        of: chips().1,
        tranches: vec![tranche(6, 1, 1), tranche(4, 6, 16)],
        penalty: Some(per("0.5", HOUR)),
        cap: Some(usd("300")),
        exit_after_days: None,
    });
    contract.floors.push(Floor { abated_while_late: true, ..least("7440", Period::Months(1), Basis::Amortisation) });
    check(vec![contract], &[], &["0: rates 0.0 6000.00, penalty 1 -300.00, shortfall 0 480.00 = 6180.00"]);
}

#[test]
fn a_credit_that_finds_no_charge_waits_for_the_next_period() {
    // Thirds of 100 fall in February, March and April; February takes 20 of the first, March what was left and the second.
    let mut contract = months(1, 5);
    contract.rounding = usd("0.01");
    contract.rates.push(flat(tokens(), Charge::Metered, per("1", 1)));
    let (due, credited_from) = (on(date(2025, 12, 1)), on(date(2026, 2, 10)));
    contract.prepayments.push(Prepayment { amount: usd("100"), due, credited_from, credit_periods: 3, refundable: false });
    let want = [
        "0: rates 0.0 10.00, prepayment 0 100.00 = 110.00",
        "1: rates 0.0 20.00, credit 0 -20.00 = 0.00",
        "2: rates 0.0 60.00, credit 0 -46.666666667, rounding -0.003333333 = 13.33",
        "3: rates 0.0 5.00, credit 0 -5.00 = 0.00",
    ];
    check(vec![contract], &token_days(&[(1, 10), (2, 20), (3, 60), (4, 5)]), &want);
}

#[test]
fn an_umbrella_counts_what_is_nested_and_its_shortfalls() {
    // Nested: 10, 30 and 15 against 20 a month, so 10 and 5 are short. The umbrella's quarter counts 55 + 15 of 100.
    let mut umbrella = months(1, 4);
    umbrella.floors.push(least("100", Period::Months(3), Basis::Purchase));
    let mut nested = months(1, 4);
    nested.under = Some(ContractId::from_index(0));
    nested.rates.push(flat(tokens(), Charge::Metered, per("1", 1)));
    nested.floors.push(least("20", Period::Months(1), Basis::Purchase));
    let usages: Vec<Usage> = [(1, 10), (2, 30), (3, 15)].map(|(month, count)| post(1, tokens(), date(2026, month, 9), count, count)).into();
    check(vec![umbrella.clone(), nested.clone()], &usages, &["2: shortfall 0 30.00 = 30.00"]);
    umbrella.floors[0].basis = Basis::Amortisation;
    check(vec![umbrella, nested], &usages, &["2: shortfall 0 45.00 = 45.00"]);
}

#[test]
fn half_the_excess_is_carried_until_it_expires() {
    let carrying = |windows| {
        let mut contract = months(1, 5);
        contract.rates.push(flat(tokens(), Charge::Metered, per("1", 1)));
        let carry_over = Some(CarryOver { share: Share::from_ppm(500_000), windows });
        contract.floors.push(Floor { carry_over, ..least("10", Period::Months(1), Basis::Amortisation) });
        contract
    };
    // January carries 5. For one window: February needs 1 of them, and March finds none.
    let usages = token_days(&[(1, 20), (2, 9), (3, 8), (4, 9)]);
    let once = [
        "0: rates 0.0 20.00 = 20.00",
        "1: rates 0.0 9.00 = 9.00",
        "2: rates 0.0 8.00, shortfall 0 2.00 = 10.00",
        "3: rates 0.0 9.00, shortfall 0 1.00 = 10.00",
    ];
    check(vec![carrying(1)], &usages, &once);
    let twice = [once[0], once[1], "2: rates 0.0 8.00 = 8.00", once[3]];
    check(vec![carrying(2)], &usages, &twice);
}

#[test]
fn a_rate_escalates_on_the_terms_anniversary() {
    // From 29 February 2024 the anniversary is 28 February 2025: the February period begins before it, March after.
    let mut contract = monthly(date(2024, 2, 29), date(2025, 4, 1));
    let escalation = Some(Escalation { by: Share::from_ppm(100_000), every: Period::Months(12) });
    contract.rates.push(RateClause { escalation, ..flat(tokens(), Charge::Metered, per("1", 1)) });
    let usages = [post(0, tokens(), date(2025, 2, 28), 1, 1), post(0, tokens(), date(2025, 3, 1), 1, 1)];
    check(vec![contract], &usages, &["-11: rates 0.0 1.00 = 1.00", "-10: rates 0.0 1.10 = 1.10"]);
}

#[test]
fn a_floor_on_use_counts_work_and_overflow() {
    // Of 744 committed hours work used 300; 800 were held, 56 of them past the commitment at 2.00: 300 + 112 of 500 count.
    let mut contract = months(1, 2);
    contract.capacity.push(capacity(1));
    contract.rates.push(flat(chips().0, Charge::Committed, per("1", HOUR)));
    contract.overflow = Some(Overflow::AtRate(per("2", HOUR)));
    contract.floors.push(least("500", Period::Months(1), Basis::Use));
    let usages = [post(0, chips().0, date(2026, 1, 9), 800 * HOUR, 300 * HOUR)];
    check(vec![contract], &usages, &["0: rates 0.0 744.00, overflow 112.00, shortfall 0 88.00 = 944.00"]);
}

#[test]
fn a_substitution_lowers_capacity_at_once_and_the_floor_from_the_next_window() {
    // 25 % of 10 chips is 2.5, which rounds to 2: 8 stay from 15 February. March's floor is 8,000 less a quarter.
    let mut replaced = months(1, 4);
    replaced.capacity.push(capacity(10));
    replaced.rates.push(flat(chips().0, Charge::Committed, per("1", HOUR)));
    replaced.floors.push(least("8000", Period::Months(1), Basis::Amortisation));
    let mut replacing = monthly(date(2026, 2, 15), date(2026, 12, 1));
    replacing.substitutions.push(Substitution { of: ContractId::from_index(0), share: Share::from_ppm(250_000) });
    let want = [
        "0: rates 0.0 7440.00, shortfall 0 560.00 = 8000.00",
        "1: rates 0.0 6048.00, shortfall 0 1952.00 = 8000.00",
        "2: rates 0.0 5952.00, shortfall 0 48.00 = 6000.00",
    ];
    check(vec![replaced, replacing], &[], &want);
}

#[test]
fn a_floor_in_quantity_is_short_at_its_rate() {
    let mut contract = months(1, 2);
    contract.rates.push(flat(tokens(), Charge::Metered, per("1", 100)));
    let quantity = Least::Quantity(Ramp::constant(Quantity::new(1000)), per("3", 100));
    let floor = Floor { least: quantity, meters: vec![MeterKind::OutputTokens], ..least("0", Period::Months(1), Basis::Amortisation) };
    contract.floors.push(floor);
    check(vec![contract], &token_days(&[(1, 400)]), &["0: rates 0.0 4.00, shortfall 0 18.00 = 22.00"]);
}
