//! Section 5 of `docs/contracts.md`: floors, their windows, what counts, what is carried.

use fleet::{
    Basis, CarryOver, Contract, Delivery, Floor, Least, MeterKind, Overflow, Period, Prepayment, Ramp, RateClause, Substitution, Tranche,
};
use units::{Currency, Money, Quantity};

use crate::fixture::*;

/// Three years, billed monthly, tokens at a dollar each.
fn spender() -> Contract {
    Contract { rates: vec![metered(input(), "1 USD/token")], ..contract("2027-01-01", "2030-01-01", Period::Months(1)) }
}

fn yearly(units: i64) -> Floor {
    floor(Period::Months(12), &[("2027-01-01", units)])
}

fn with(floor: Floor) -> Contract {
    Contract { floors: vec![floor], ..spender() }
}

#[test]
fn a_floor_is_settled_in_the_period_that_ends_its_window() {
    // 400 of 1,000 in 2027: December owes 600 more. 1,300 in 2028: nothing more. Nothing in 2029: 1,000.
    let case = Case::new(vec![("c", with(yearly(1_000)))]);
    let case = case.used("c", input(), "2027-03-05", 400).used("c", input(), "2028-06-01", 1_300);
    assert_eq!(case.dues("c", 10..13), ["0.00", "600.00", "0.00"]);
    assert_eq!(case.dues("c", 23..24), ["0.00"]);
    assert_eq!(case.dues("c", 35..36), ["1000.00"]);
}

#[test]
fn several_windows_of_one_billing_period_are_a_line_each() {
    let terms = Contract {
        floors: vec![floor(Period::Months(6), &[("2027-01-01", 10)])],
        ..contract("2027-01-01", "2028-01-01", Period::Months(12))
    };
    assert_eq!(Case::new(vec![("c", terms)]).due("c", 0), usd(20));
}

#[test]
fn a_ramp_counts_by_the_window_s_first_instant() {
    let steps = [("2027-07-01", 100), ("2028-01-01", 200), ("2029-02-01", 900)];
    let case = Case::new(vec![("c", with(floor(Period::Months(12), &steps)))]);
    assert_eq!([11, 23, 35].map(|period| case.due("c", period)), [usd(0), usd(200), usd(200)]);
}

#[test]
fn a_partial_window_asks_for_its_fraction() {
    // The windows are calendar years and the term begins on 1 December 2027: 31 of 365 days of 3,650 = 310; 2028 (leap) is whole.
    let terms = contract("2027-12-01", "2029-01-01", Period::Months(1));
    let floors = vec![floor(Period::Months(12), &[("2027-01-01", 3_650)])];
    let terms = Contract { floors, calendar: calendar("UTC", "2027-01-01", Period::Months(1)), ..terms };
    let case = Case::new(vec![("c", terms)]);
    assert_eq!([11, 23].map(|period| case.due("c", period)), [usd(310), usd(3_650)]);
}

#[test]
fn a_day_of_23_hours_is_a_whole_window_and_a_cut_one_is_not() {
    // 240 USD a day in Paris from noon of 27 March 2027: 12 of 24 h = 120; the 28th has 23 h and is whole: 240.
    let term = units::Span { from: at_in("Europe/Paris", "2027-03-27T12:00"), to: at_in("Europe/Paris", "2027-03-30") };
    let calendar = calendar("Europe/Paris", "2027-03-27", Period::Days(1));
    let terms = contract("2027-03-27", "2027-03-30", Period::Days(1));
    let case = Case::new(vec![("c", Contract { term, calendar, floors: vec![floor(Period::Days(1), &[("2027-01-01", 240)])], ..terms })]);
    assert_eq!(case.dues("c", 0..3), ["120.00", "240.00", "240.00"]);
}

#[test]
fn a_quantity_floor_charges_what_is_short_at_its_rate() {
    // 1,000 tokens a year at 0.25 USD; 600 come: 600 x 1 + 400 x 0.25 = 700 in all.
    let least = Least::Quantity(Ramp::constant(Quantity::new(1_000)), rate("0.25 USD/token"));
    let floor = Floor { least, meters: vec![MeterKind::InputTokens], ..yearly(0) };
    let case = Case::new(vec![("c", with(floor))]).used("c", input(), "2027-12-05", 600).used("c", output(), "2027-12-05", 9_999);
    assert_eq!(case.due("c", 11), usd(700));
}

#[test]
fn what_counts_depends_on_the_basis() {
    // One committed accelerator at 1 USD over a leap February (696 h), a third of it used (232 h), 90 USD prepaid on the first and
    // credited over three months (30 each). Least: 1,000.
    let cases = [
        // 696 + 90 - 30 = 756 counts.
        (Basis::Purchase, "244.00"),
        // 696 counts.
        (Basis::Amortisation, "304.00"),
        // 232 counts.
        (Basis::Use, "768.00"),
    ];
    for (basis, want) in cases {
        let prepayment =
            Prepayment { amount: usd(90), due: at("2028-02-01"), credited_from: at("2028-02-01"), credit_periods: 3, refundable: false };
        let terms = Contract {
            capacity: vec![capacity(h100(), &[("2028-02-01", 1)])],
            rates: vec![committed(h100(), "1 USD/accelerator-hour")],
            prepayments: vec![prepayment],
            floors: vec![Floor { basis, ..floor(Period::Months(1), &[("2028-02-01", 1_000)]) }],
            ..contract("2028-02-01", "2028-05-01", Period::Months(1))
        };
        let case = Case::new(vec![("c", terms)]).post("c", h100(), "2028-02-10", 696 * HOUR, 232 * HOUR);
        // 696 charged, 90 prepaid, 30 credited: 756 whatever the floor.
        assert_eq!((case.due("c", 0) - usd(756)).to_string(), want, "{basis:?}");
    }
}

#[test]
fn use_counts_metered_charges_by_what_was_used() {
    let case = |basis| Case::new(vec![("c", with(Floor { basis, ..yearly(1_000) }))]).post("c", input(), "2027-12-02", 700, 300);
    assert_eq!([Basis::Purchase, Basis::Amortisation, Basis::Use].map(|basis| case(basis).due("c", 11)), [1_000, 1_000, 1_400].map(usd));
}

#[test]
fn a_list_of_meters_leaves_out_others_and_what_has_no_meter() {
    let prepayment =
        Prepayment { amount: usd(50), due: at("2027-12-01"), credited_from: at("2027-12-01"), credit_periods: 1, refundable: false };
    let listed = Floor { meters: vec![MeterKind::OutputTokens], ..yearly(100) };
    let rates = vec![metered(input(), "1 USD/token"), metered(output(), "2 USD/token")];
    let case = Case::new(vec![("c", Contract { rates, prepayments: vec![prepayment], ..with(listed) })]);
    let case = case.used("c", input(), "2027-12-02", 30).used("c", output(), "2027-12-02", 20);
    // 30 + 40 charged, 50 prepaid and 50 credited, and of the least of 100 only the 40 count: 60.
    assert_eq!(case.due("c", 11), usd(130));
}

#[test]
fn excess_is_carried_by_share_for_so_many_windows() {
    let carry_over = Some(CarryOver { share: percent(50), windows: 2 });
    let floor = Floor { carry_over, ..floor(Period::Months(1), &[("2027-01-01", 100)]) };
    let bill = |spend: &[i64]| -> Vec<i64> {
        let case = Case::new(vec![("c", with(floor.clone()))]);
        let days = ["2027-01-02", "2027-02-02", "2027-03-02", "2027-04-02", "2027-05-02", "2027-06-02"];
        let case = days.iter().zip(spend).fold(case, |case, (day, tokens)| case.used("c", input(), day, *tokens));
        let shortfall = |(period, spend): (i64, &i64)| case.due("c", period) - usd(*spend);
        (0..).zip(spend).map(shortfall).map(|money| i64::try_from(money.nanos() / 1_000_000_000).expect("small")).collect()
    };
    // 100 over, half of it (50) carried: February takes 30, March the other 20 of its 50, April has nothing left.
    assert_eq!(bill(&[200, 70, 50, 100, 60]), [0, 0, 30, 0, 40]);
    // It expires: January's 50 serve February and March, not April.
    assert_eq!(bill(&[200, 100, 100, 40]), [0, 0, 0, 60]);
    // Oldest first: March takes January's 50 and 10 of February's 50; April has the other 40.
    assert_eq!(bill(&[200, 200, 40, 40]), [0, 0, 0, 20]);
    // February takes 10 of January's 20; in April those are too old and March's 20 leave 5 of 25; May finds nothing.
    assert_eq!(bill(&[140, 90, 140, 75, 99, 100]), [0, 0, 0, 5, 1, 0]);
}

#[test]
fn a_floor_is_abated_while_the_supplier_is_late() {
    // 4 accelerators, of which 3 are 90 days late in a year of 365: 1,460 x (1 - 3 x 90 / (4 x 365)) = 1,460 - 270 = 1,190.
    let of = capacity(h100(), &[("2027-01-01", 4)]).of;
    let tranches = vec![
        Tranche { amount: 1, due: at("2027-01-01"), delivered: Some(at("2027-01-01")) },
        Tranche { amount: 3, due: at("2027-01-01"), delivered: Some(at("2027-04-01")) },
    ];
    let terms = |abated_while_late| Contract {
        capacity: vec![capacity(h100(), &[("2027-01-01", 4)])],
        delivery: Some(Delivery { of, tranches: tranches.clone(), penalty: None, cap: None, exit_after_days: None }),
        ..with(Floor { abated_while_late, ..yearly(1_460) })
    };
    assert_eq!(Case::new(vec![("c", terms(true))]).due("c", 11), usd(1_190));
    assert_eq!(Case::new(vec![("c", terms(false))]).due("c", 11), usd(1_460));
}

#[test]
fn no_more_is_late_than_the_ramp_gives_a_right_to() {
    // One of two is there and nine are late all year, of which only one is missed: half of the floor is left.
    let units = capacity(h100(), &[("2027-01-01", 2)]);
    let tranche = |amount, delivered: Option<&str>| Tranche { amount, due: at("2027-01-01"), delivered: delivered.map(at) };
    let tranches = vec![tranche(1, Some("2027-01-01")), tranche(9, None)];
    let delivery = Delivery { of: units.of, tranches, penalty: None, cap: None, exit_after_days: None };
    let abated = Floor { abated_while_late: true, ..yearly(1_000) };
    let case = Case::new(vec![("c", Contract { capacity: vec![units], delivery: Some(delivery), ..with(abated) })]);
    assert_eq!(case.due("c", 11), usd(500));
}

#[test]
fn a_substitution_lowers_the_floor_by_the_window_s_first_instant() {
    let names = ["c", "taker"];
    let taker = |from| Contract {
        substitutions: vec![Substitution { of: id(&names, "c"), share: percent(30) }],
        ..contract(from, "2029-01-01", Period::Term)
    };
    for (from, want) in [("2027-01-01", [700, 700, 1_000]), ("2027-01-02", [1_000, 700, 1_000])] {
        let case = Case::new(vec![("c", with(yearly(1_000))), ("taker", taker(from))]);
        assert_eq!([11, 23, 35].map(|period| case.due("c", period)), want.map(usd), "{from}");
    }
}

#[test]
fn nested_contracts_count_with_their_own_calendars() {
    // The umbrella's windows are calendar years; the nested contract bills from the 15th: the period from 15 December 2027 to
    // 15 January 2028 has its last instant in 2028 and counts there.
    let names = ["c", "nested"];
    let nested = Contract {
        under: Some(id(&names, "c")),
        rates: vec![metered(input(), "1 USD/token")],
        ..contract("2027-01-15", "2029-01-15", Period::Months(1))
    };
    let case = Case::new(vec![("c", with(yearly(1_000))), ("nested", nested)]);
    let case =
        case.used("nested", input(), "2027-12-14", 100).used("nested", input(), "2027-12-20", 10).used("c", input(), "2027-12-20", 1);
    assert_eq!(case.due("c", 11), usd(900), "1 of its own, 1,000 - 101 short");
    assert_eq!(case.due("c", 23), usd(990), "what was used on 20 December");
}

#[test]
fn shortfalls_of_nested_contracts_count_by_purchase() {
    let names = ["c", "nested"];
    let nested =
        |basis| Contract { under: Some(id(&names, "c")), ..with(Floor { basis, ..floor(Period::Months(6), &[("2027-01-01", 300)]) }) };
    // Nested: 100 used in the first half (200 short), nothing in the second (300 short): 600 in all of 1,000.
    for (basis, want) in [(Basis::Purchase, 400), (Basis::Amortisation, 900), (Basis::Use, 900)] {
        let umbrella = with(Floor { basis, ..yearly(1_000) });
        let case = Case::new(vec![("c", umbrella), ("nested", nested(basis))]).used("nested", input(), "2027-02-01", 100);
        assert_eq!(case.dues("nested", 5..6), ["200.00"]);
        assert_eq!(case.due("c", 11), usd(want), "{basis:?}");
    }
}

#[test]
fn listed_contracts_count_wherever_they_are() {
    let names = ["c", "listed", "nested"];
    let nested = Contract { under: Some(id(&names, "c")), ..spender() };
    let only = Floor { contracts: vec![id(&names, "listed"), id(&names, "listed")], ..yearly(1_000) };
    let case = Case::new(vec![("c", with(only)), ("listed", spender()), ("nested", nested)]);
    let case = ["c", "listed", "nested"].iter().fold(case, |case, name| case.used(name, input(), "2027-12-02", 100));
    assert_eq!(case.due("c", 11), usd(1_000), "100 charged and 900 short");
}

#[test]
fn another_currency_counts_nothing_towards_money() {
    let names = ["c", "nested"];
    let nested = |currency: &str| Contract {
        under: Some(id(&names, "c")),
        currency: currency.parse::<Currency>().expect("a currency"),
        ..spender()
    };
    for (currency, want) in [("USD", 900), ("EUR", 1_000)] {
        let case = Case::new(vec![("c", with(yearly(1_000))), ("nested", nested(currency))]).used("nested", input(), "2027-12-02", 100);
        assert_eq!(case.due("c", 11), usd(want), "{currency}");
    }
}

#[test]
fn overflow_at_a_rate_counts_and_is_used() {
    // 672 h committed at 1 USD and 28 h more at 5 USD; used 100 h. By use: 100 + 140.
    let terms = Contract {
        capacity: vec![capacity(h100(), &[("2027-02-01", 1)])],
        rates: vec![RateClause { ..committed(h100(), "1 USD/accelerator-hour") }],
        overflow: Some(Overflow::AtRate(rate("5 USD/accelerator-hour"))),
        floors: vec![Floor { basis: Basis::Use, ..floor(Period::Months(1), &[("2027-02-01", 1_000)]) }],
        ..contract("2027-02-01", "2027-03-01", Period::Months(1))
    };
    let case = Case::new(vec![("c", terms)]).post("c", h100(), "2027-02-10", 700 * HOUR, 100 * HOUR);
    assert_eq!(case.due("c", 0) - usd(672 + 140), usd(1_000 - 240));
}

#[test]
fn a_floor_over_the_term_is_one_window() {
    let case = Case::new(vec![("c", with(floor(Period::Term, &[("2027-01-01", 500)])))]).used("c", input(), "2028-05-05", 120);
    let total: Money = (0..36).map(|period| case.due("c", period)).sum();
    assert_eq!((total, case.due("c", 35)), (usd(500), usd(380)));
}
