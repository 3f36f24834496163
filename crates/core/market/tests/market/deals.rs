//! Three deals as they are signed in the field, with their amounts due worked out by hand.

use expect_test::expect;
use fleet::{CapacityOf, Contract, Delivery, Floor, Id, Overflow, Period, Prepayment, Ramp, SiteId, Status, Substitution, Tranche};
use market::periods;
use units::Money;

use crate::fixture::*;

const GIGA: i64 = 1_000_000_000;

/// 300 GUSD over five years from 2027: 30, 45, 60, 75, 90. Power at a site whose chips are chosen later: 1.5 GW, from 2028 4.5 GW.
/// Billed by the year; tokens at a dollar stand for whatever is bought there.
fn oracle() -> Contract {
    let least = [
        ("2027-01-01", 30 * GIGA),
        ("2028-01-01", 45 * GIGA),
        ("2029-01-01", 60 * GIGA),
        ("2030-01-01", 75 * GIGA),
        ("2031-01-01", 90 * GIGA),
    ];
    let power = Ramp::new(vec![(at("2027-01-01"), 3 * GIGA / 2), (at("2028-01-01"), 9 * GIGA / 2)]).expect("dates rise");
    let of = CapacityOf::Power(SiteId::from_index(0));
    Contract {
        capacity: vec![fleet::Capacity { of, ramp: power, tokens_per_unit_minute: 0 }],
        rates: vec![metered(input(), "1 USD/token")],
        floors: vec![Floor { abated_while_late: true, ..floor(Period::Months(12), &least) }],
        ..contract("2027-01-01", "2032-01-01", Period::Months(12))
    }
}

/// The site's second part, 3 GW, is due on 1 January 2028.
fn delivery(second: Option<&str>) -> Option<Delivery> {
    let tranches = vec![
        Tranche { amount: 3 * GIGA / 2, due: at("2027-01-01"), delivered: Some(at("2027-01-01")) },
        Tranche { amount: 3 * GIGA, due: at("2028-01-01"), delivered: second.map(at) },
    ];
    Some(Delivery { of: CapacityOf::Power(SiteId::from_index(0)), tranches, penalty: None, cap: None, exit_after_days: None })
}

#[test]
fn oracle_is_paid_whether_used_or_not() {
    let case = Case::new(vec![("oracle", oracle())]);
    assert_eq!(case.dues("oracle", 0..5), ["30000000000.00", "45000000000.00", "60000000000.00", "75000000000.00", "90000000000.00"]);
    // 10 G in 2027 leaves 20 G short; 50 G in 2028 is above the floor and due as it is; nothing of the 5 G is carried.
    let case = case.used("oracle", input(), "2027-06-01", 10 * GIGA).used("oracle", input(), "2028-06-01", 50 * GIGA);
    expect![[r#"
        2027-01-01T00:00:00Z to 2028-01-01T00:00:00Z
        rates 0.0                    10000000000 tokens       10000000000.00
        shortfall 0                                           20000000000.00
        due                                                   30000000000.00
    "#]]
    .assert_eq(&case.table("oracle", 0));
    assert_eq!(case.dues("oracle", 0..3), ["30000000000.00", "50000000000.00", "60000000000.00"]);
}

#[test]
fn oracle_is_abated_while_a_site_is_late() {
    // 3 of 4.5 GW come on 1 July 2028, after 182 of 366 days. L / T = 3 x 182 / (4.5 x 366) = 546 / 1,647, so of 45 G
    // 45 x 546 / 1,647 = 14.918032786885245901 6... G fall away (the last digit kept is a nano-dollar, rounded up to ...902).
    let case = Case::new(vec![("oracle", Contract { delivery: delivery(Some("2028-07-01")), ..oracle() })]);
    assert_eq!(case.dues("oracle", 0..3), ["30000000000.00", "30081967213.114754098", "60000000000.00"]);
    // Never delivered: two thirds of 2028 to 2031 fall away: 15, 20, 25, 30.
    let case = Case::new(vec![("oracle", Contract { delivery: delivery(None), ..oracle() })]);
    assert_eq!(case.dues("oracle", 1..5), ["15000000000.00", "20000000000.00", "25000000000.00", "30000000000.00"]);
}

#[test]
fn oracle_takes_the_place_of_a_part_of_stargate() {
    // Stargate has a floor of 100 G a year; once Oracle is signed a quarter of it falls away while Oracle is in force (to 2031).
    let names = ["oracle", "stargate"];
    let substitution = Substitution { of: id(&names, "stargate"), share: percent(25) };
    let stargate = || Contract {
        floors: vec![floor(Period::Months(12), &[("2026-01-01", 100 * GIGA)])],
        ..contract("2026-01-01", "2033-01-01", Period::Months(12))
    };
    let due = |status| {
        let oracle = Contract { status, substitutions: vec![substitution.clone()], ..oracle() };
        let case = Case::new(vec![("oracle", oracle), ("stargate", stargate())]);
        (0..7).map(|year| i64::try_from(case.due("stargate", year).nanos() / 1_000_000_000).expect("small") / GIGA).collect::<Vec<_>>()
    };
    assert_eq!(due(Status::Signed), [100, 75, 75, 75, 75, 75, 100]);
    assert_eq!(due(Status::Discussed), [100; 7]);
}

/// An enterprise commitment of 10 MUSD a year; under it a yearly reservation of 100 PTU that is billed by the hour at 0.70 USD (the
/// discount on the deployment, whose list price is 1 USD), and the standard deployment, to which what exceeds the units goes.
fn azure() -> Case {
    let names = ["azure", "ptu", "standard"];
    let under = Some(id(&names, "azure"));
    let year = |period| contract("2027-01-01", "2028-01-01", period);
    let umbrella = Contract { floors: vec![floor(Period::Months(12), &[("2027-01-01", 10_000_000)])], ..year(Period::Months(1)) };
    let reservation = Contract {
        under,
        capacity: vec![capacity(ptu(), &[("2027-01-01", 100)])],
        rates: vec![committed(ptu(), "0.70 USD/unit-hour")],
        overflow: Some(Overflow::To(id(&names, "standard"))),
        ..year(Period::Minutes(60))
    };
    let rates = vec![metered(input(), "2.50 USD/1M tokens"), metered(output(), "10 USD/1M tokens")];
    let standard = Contract { under, rates, rounding: Money::from_nanos(10_000_000), ..year(Period::Months(1)) };
    Case::new(vec![("azure", umbrella), ("ptu", reservation), ("standard", standard)])
}

#[test]
fn azure_reservation_draws_down_the_umbrella() {
    // An hour of 100 PTU is 70 USD, used or not. In March 3,000,001 tokens in and 400 k out overflow to the standard deployment:
    // 7.5000025 + 4 = 11.5000025, due as 11.50.
    let case = azure().used("standard", input(), "2027-03-05", 3_000_001).used("standard", output(), "2027-03-05", 400_000);
    assert_eq!(case.due("ptu", 1_234), usd(70));
    expect![[r#"
        2027-03-01T00:00:00Z to 2027-04-01T00:00:00Z
        rates 0.0                        3000001 tokens            7.5000025
        rates 1.0                         400000 tokens                 4.00
        rounding                                                  -0.0000025
        due                                                            11.50
    "#]]
    .assert_eq(&case.table("standard", 2));
    // 8,760 h x 70 = 613,200 and 11.5000025 (what is charged counts, not what rounding made of it): 10,000,000 - 613,211.5000025.
    assert_eq!(case.due("azure", 10), Money::ZERO);
    assert_eq!(case.due("azure", 11).to_string(), "9386788.4999975");
}

#[test]
fn azure_umbrella_that_is_met_costs_nothing_more() {
    // 613,200 of units and 1,000 G tokens out at 10 USD a million = 10,000,000.
    let case = azure().used("standard", output(), "2027-07-05", 1_000 * GIGA);
    assert_eq!((case.due("azure", 11), case.due("standard", 6)), (Money::ZERO, usd(10_000_000)));
}

/// 4,096 H100 for 36 months at 2.35 USD an hour: 1,096 days x 24 x 4,096 = 107,741,184 h = 253,191,782.40 USD, of which 25 %
/// (63,297,945.60) are paid ahead. The second half comes on 15 February 2027, 45 days late, at 0.50 USD an hour up to a million.
fn coreweave() -> Case {
    let of = capacity(h100(), &[("2027-01-01", 1)]).of;
    let tranches = vec![
        Tranche { amount: 2_048, due: at("2027-01-01"), delivered: Some(at("2027-01-01")) },
        Tranche { amount: 2_048, due: at("2027-01-01"), delivered: Some(at("2027-02-15")) },
    ];
    let penalty = Some(rate("0.50 USD/accelerator-hour"));
    let prepayment = Prepayment {
        amount: Money::from_nanos(63_297_945_600_000_000),
        due: at("2026-12-15"),
        credited_from: at("2027-01-01"),
        credit_periods: 36,
        refundable: true,
    };
    let terms = Contract {
        rounding: Money::from_nanos(10_000_000),
        capacity: vec![capacity(h100(), &[("2027-01-01", 4_096)])],
        rates: vec![committed(h100(), "2.35 USD/accelerator-hour")],
        prepayments: vec![prepayment],
        delivery: Some(Delivery { of, tranches, penalty, cap: Some(usd(1_000_000)), exit_after_days: Some(90) }),
        ..contract("2027-01-01", "2030-01-01", Period::Months(1))
    };
    Case::new(vec![("coreweave", terms)])
}

#[test]
fn coreweave_is_prepaid_credited_and_penalised() {
    let case = coreweave();
    // January: 2,048 x 744 = 1,523,712 h = 3,580,723.20; a 36th of the prepayment is 1,758,276.2666...; 1,523,712 h late = 761,856.
    expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0         1523712.000 accelerator-hours           3580723.20
        prepayment 0                                             63297945.60
        credit 0                                          -1758276.266666667
        penalty 1                         5485363200000           -761856.00
        rounding                                                -0.003333333
        due                                                      64358536.53
    "#]]
    .assert_eq(&case.table("coreweave", 0));
    // February: 2,048 x 672 + 2,048 x 336 = 2,064,384 h = 4,851,302.40; 2,048 x 336 = 688,128 h late = 344,064, but the cap of a
    // million leaves 238,144.
    expect![[r#"
        2027-02-01T00:00:00Z to 2027-03-01T00:00:00Z
        rates 0.0         2064384.000 accelerator-hours           4851302.40
        credit 0                                          -1758276.266666666
        penalty 1                         2477260800000           -238144.00
        rounding                                                -0.003333334
        due                                                       2854882.13
    "#]]
    .assert_eq(&case.table("coreweave", 1));
    // March: 4,096 x 744 = 3,047,424 h = 7,161,446.40 less the 36th.
    expect![[r#"
        2027-03-01T00:00:00Z to 2027-04-01T00:00:00Z
        rates 0.0         3047424.000 accelerator-hours           7161446.40
        credit 0                                          -1758276.266666667
        rounding                                                -0.003333333
        due                                                       5403170.13
    "#]]
    .assert_eq(&case.table("coreweave", 2));
}

#[test]
fn coreweave_s_term_adds_up() {
    // What is not delivered is not charged: 2,048 x 45 x 24 h = 2,211,840 h = 5,197,824.00 less than 253,191,782.40; the prepayment
    // comes back in full; penalties take the million. 246,993,958.40, and each month rounds by less than a cent.
    let case = coreweave();
    let all = periods(&case.fleet, case.id("coreweave"));
    assert_eq!(all, 0..=35);
    let total: Money = all.map(|period| case.due("coreweave", period)).sum();
    assert!((total.nanos() - 246_993_958_400_000_000).abs() < 36 * 5_000_000, "{total}");
}
