//! Sections 1 to 4 and 6 of `docs/contracts.md`: charges, prepayments, penalties, rounding.

use expect_test::{Expect, expect};
use fleet::{Charge, Contract, Delivery, Escalation, Overflow, Period, Prepayment, RateClause, Status, Substitution, TierKind, Tranche};
use units::{Money, Quantity};

use crate::fixture::*;

#[expect(clippy::needless_pass_by_value, reason = "an expectation is used up")]
fn check(case: &Case, period: i64, want: Expect) {
    want.assert_eq(&case.table("c", period));
}

fn monthly() -> Contract {
    contract("2027-01-01", "2028-01-01", Period::Months(1))
}

fn one(contract: Contract) -> Case {
    Case::new(vec![("c", contract)])
}

#[test]
fn metered_charges_what_is_held() {
    // 3 h held at 2.10 = 6.30, whatever was used of it; corrections take it back, but never below nothing.
    let case = one(Contract { rates: vec![metered(h100(), "2.10 USD/accelerator-hour")], ..monthly() });
    let case = case.post("c", h100(), "2027-01-05", 3 * HOUR, HOUR).used("c", h100(), "2027-03-01", -HOUR);
    check(
        &case,
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0               3.000 accelerator-hours                 6.30
        due                                                             6.30
    "#]],
    );
    check(
        &case,
        2,
        expect![[r#"
        2027-03-01T00:00:00Z to 2027-04-01T00:00:00Z
        due                                                             0.00
    "#]],
    );
}

#[test]
fn committed_charges_delivered_capacity_used_or_not() {
    // January: 10 days x 24 h x 2 + 21 days x 24 h x 5 = 480 + 2,520 = 3,000 h at 2 USD.
    let steps = [("2027-01-01", 2), ("2027-01-11", 5)];
    let case =
        one(Contract { capacity: vec![capacity(h100(), &steps)], rates: vec![committed(h100(), "2 USD/accelerator-hour")], ..monthly() });
    check(
        &case,
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0            3000.000 accelerator-hours              6000.00
        due                                                          6000.00
    "#]],
    );
}

#[test]
fn substitution_lowers_the_capacity_while_the_other_is_in_force() {
    // January: 31 x 24 x 10 = 7,440 h; the other takes 40 % from the 16th: 15 x 24 x 10 + 16 x 24 x 6 = 3,600 + 2,304 = 5,904 h.
    let taken = Contract {
        capacity: vec![capacity(h100(), &[("2027-01-01", 10)])],
        rates: vec![committed(h100(), "1 USD/accelerator-hour")],
        ..monthly()
    };
    let names = ["c", "taker"];
    let substitution = Substitution { of: id(&names, "c"), share: percent(40) };
    let taker = Contract { substitutions: vec![substitution], ..contract("2027-01-16", "2028-01-01", Period::Months(1)) };
    let case = |status| Case::new(vec![("c", taken.clone()), ("taker", Contract { status, ..taker.clone() })]);
    assert_eq!(case(Status::Signed).due("c", 0), usd(5_904));
    assert_eq!(case(Status::Discussed).due("c", 0), usd(7_440));
}

#[test]
fn tiers_are_graduated_or_by_volume() {
    // 250 k tokens. Graduated: 100 k at 1.00 + 100 k at 0.80 + 50 k at 0.50 USD/1k = 100 + 80 + 25; by volume: all at 0.50 = 125.
    let tiers = [(0, "1.00 USD/1k tokens"), (100_000, "0.80 USD/1k tokens"), (200_000, "0.50 USD/1k tokens")];
    let case = |kind| one(Contract { rates: vec![tiered(input(), kind, &tiers)], ..monthly() }).used("c", input(), "2027-01-31", 250_000);
    check(
        &case(TierKind::Graduated),
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0                         100000 tokens               100.00
        rates 0.1                         100000 tokens                80.00
        rates 0.2                          50000 tokens                25.00
        due                                                           205.00
    "#]],
    );
    check(
        &case(TierKind::Volume),
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.2                         250000 tokens               125.00
        due                                                           125.00
    "#]],
    );
}

#[test]
fn a_volume_tier_is_reached_at_its_threshold() {
    let tiers = [(0, "1 USD/1k tokens"), (1_000, "0.5 USD/1k tokens")];
    for (quantity, want) in [(999, Money::from_nanos(999_000_000)), (1_000, Money::from_nanos(500_000_000))] {
        let case = one(Contract { rates: vec![tiered(input(), TierKind::Volume, &tiers)], ..monthly() });
        assert_eq!(case.used("c", input(), "2027-01-02", quantity).due("c", 0), want, "{quantity}");
    }
}

#[test]
fn tiers_over_the_term_go_on_where_earlier_periods_ended() {
    // 150 k tokens a month. January: 100 k at 1.00 + 50 k at 0.80 = 140; March begins at 300 k: all at 0.50 = 75.
    // By volume January ends at 150 k: all at 0.80 = 120; February at 300 k: 0.50 = 75, and January is not billed again.
    let tiers = [(0, "1.00 USD/1k tokens"), (100_000, "0.80 USD/1k tokens"), (200_000, "0.50 USD/1k tokens")];
    for (kind, want) in [(TierKind::Graduated, ["140.00", "90.00", "75.00"]), (TierKind::Volume, ["120.00", "75.00", "75.00"])] {
        let clause = RateClause { over_term: true, ..tiered(input(), kind, &tiers) };
        let case = one(Contract { rates: vec![clause], ..monthly() });
        let case = ["2027-01-02", "2027-02-02", "2027-03-02"].iter().fold(case, |case, day| case.used("c", input(), day, 150_000));
        assert_eq!(case.dues("c", 0..3), want, "{kind:?}");
    }
}

#[test]
fn escalation_raises_by_whole_intervals_and_rounds_each_time() {
    // 1,000 h a month. 2.00; from the term's first anniversary 2.00 x 1.03 = 2.06; from the second 2.06 x 1.03 = 2.1218.
    let escalation = Some(Escalation { by: percent(3), every: Period::Months(12) });
    let clause = RateClause { escalation, ..metered(h100(), "2 USD/accelerator-hour") };
    let terms =
        Contract { calendar: calendar("UTC", "2027-01-01", Period::Months(1)), ..contract("2027-01-15", "2030-01-01", Period::Months(1)) };
    let case = one(Contract { rates: vec![clause], ..terms });
    let days = ["2027-01-20", "2028-01-20", "2028-02-20", "2029-02-20"];
    let case = days.iter().fold(case, |case, day| case.used("c", h100(), day, 1_000 * HOUR));
    // January 2028 begins before the anniversary (the 15th), so it is at the first price still.
    let dues: Vec<String> = [0, 12, 13, 25].iter().map(|period| case.due("c", *period).to_string()).collect();
    assert_eq!(dues, ["2000.00", "2000.00", "2060.00", "2121.80"]);
}

#[test]
fn overflow_at_a_rate_charges_what_exceeds_the_commitment() {
    // 2 accelerators x 744 h = 1,488 h at 2 USD = 2,976; 1,500 h were held: 12 h more at 5 USD = 60.
    let case = one(Contract {
        capacity: vec![capacity(h100(), &[("2027-01-01", 2)])],
        rates: vec![committed(h100(), "2 USD/accelerator-hour")],
        overflow: Some(Overflow::AtRate(rate("5 USD/accelerator-hour"))),
        ..monthly()
    });
    check(
        &case.used("c", h100(), "2027-01-31", 1_500 * HOUR),
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0            1488.000 accelerator-hours              2976.00
        overflow               12.000 accelerator-hours                60.00
        due                                                          3036.00
    "#]],
    );
}

#[test]
fn periods_are_clipped_to_the_term_and_follow_the_calendar() {
    // One accelerator at 1 USD: the first period is 10 Feb to 1 Mar 2028 (leap): 20 days = 480 h; then March in Paris: 31 x 24 - 1 = 743 h.
    let terms = contract("2028-02-10", "2028-05-01", Period::Months(1));
    let term = units::Span { from: at_in("Europe/Paris", "2028-02-10"), to: at_in("Europe/Paris", "2028-05-01") };
    let case = one(Contract {
        term,
        calendar: calendar("Europe/Paris", "2028-01-01", Period::Months(1)),
        capacity: vec![capacity(h100(), &[("2028-01-01", 1)])],
        rates: vec![committed(h100(), "1 USD/accelerator-hour")],
        ..terms
    });
    assert_eq!(case.dues("c", 1..4), ["480.00", "743.00", "720.00"]);
    assert_eq!(market::periods(&case.fleet, case.id("c")), 1..=3);
}

#[test]
fn a_period_that_is_the_term_is_one() {
    let case = one(Contract { rates: vec![metered(input(), "1 USD/1k tokens")], ..contract("2027-01-01", "2027-02-01", Period::Term) });
    let case = case.used("c", input(), "2027-01-01", 1_000).used("c", input(), "2027-01-31", 1_000);
    assert_eq!(market::periods(&case.fleet, case.id("c")), 0..=0);
    check(
        &case,
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0                           2000 tokens                 2.00
        due                                                             2.00
    "#]],
    );
}

#[test]
fn what_is_posted_outside_the_term_is_a_stray() {
    let case =
        one(Contract { rates: vec![metered(input(), "1 USD/1k tokens")], ..contract("2027-01-10", "2027-02-10", Period::Months(1)) });
    let case = case.used("c", input(), "2027-01-09", 7).used("c", input(), "2027-02-10", 8);
    assert_eq!(case.due("c", 0), Money::ZERO);
    assert_eq!(case.balances.stray(case.id("c"), input()).held, Quantity::new(15));
}

#[test]
fn a_contract_that_is_not_signed_owes_nothing() {
    let prepaid =
        Prepayment { amount: usd(10), due: at("2027-01-05"), credited_from: at("2027-01-01"), credit_periods: 1, refundable: false };
    let clauses = Contract {
        prepayments: vec![prepaid],
        rates: vec![metered(input(), "1 USD/token")],
        floors: vec![floor(Period::Months(1), &[("2027-01-01", 5)])],
        ..monthly()
    };
    for status in [Status::Discussed, Status::Stalled, Status::Ended] {
        let case = one(Contract { status, ..clauses.clone() }).used("c", input(), "2027-01-02", 5);
        check(
            &case,
            0,
            expect![[r#"
            2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
            due                                                             0.00
        "#]],
        );
    }
}

#[test]
fn credits_use_up_charges_and_keep_the_rest() {
    // 100 USD in 3 parts: 33.333333333, 33.333333334, 33.333333333. January charges 10: 23.333333333 stays; February charges
    // 100: 56.666666667 is used; March charges 10, April 40: 23.333333333 is left and used then, though its parts have ended.
    let prepayment =
        Prepayment { amount: usd(100), due: at("2026-12-01"), credited_from: at("2027-01-10"), credit_periods: 3, refundable: false };
    let case = one(Contract { rates: vec![metered(input(), "1 USD/1k tokens")], prepayments: vec![prepayment], ..monthly() });
    let posts = [("2027-01-05", 10_000), ("2027-02-05", 100_000), ("2027-03-05", 10_000), ("2027-04-05", 40_000)];
    let case = posts.iter().fold(case, |case, (day, tokens)| case.used("c", input(), day, *tokens));
    check(
        &case,
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0                          10000 tokens                10.00
        prepayment 0                                                  100.00
        credit 0                                                      -10.00
        due                                                           100.00
    "#]],
    );
    assert_eq!(case.dues("c", 1..5), ["43.333333333", "0.00", "16.666666667", "0.00"]);
}

#[test]
fn what_is_not_credited_by_the_end_is_lost() {
    // Twelve parts from November: only two fall in the term. Due after the term: in its last period.
    let prepayment =
        Prepayment { amount: usd(12), due: at("2029-01-01"), credited_from: at("2027-11-01"), credit_periods: 12, refundable: false };
    let case = one(Contract { rates: vec![metered(input(), "1 USD/1k tokens")], prepayments: vec![prepayment], ..monthly() });
    let case = case.used("c", input(), "2027-11-05", 5_000).used("c", input(), "2027-12-05", 5_000);
    assert_eq!(case.dues("c", 9..12), ["0.00", "4.00", "16.00"]);
}

#[test]
fn several_prepayments_are_used_in_the_order_of_the_file() {
    let prepayment = |units| Prepayment {
        amount: usd(units),
        due: at("2027-01-01"),
        credited_from: at("2027-01-01"),
        credit_periods: 1,
        refundable: false,
    };
    let case =
        one(Contract { rates: vec![metered(input(), "1 USD/1k tokens")], prepayments: vec![prepayment(10), prepayment(20)], ..monthly() });
    check(
        &case.used("c", input(), "2027-01-05", 15_000),
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0                          15000 tokens                15.00
        prepayment 0                                                   10.00
        prepayment 1                                                   20.00
        credit 0                                                      -10.00
        credit 1                                                       -5.00
        due                                                            30.00
    "#]],
    );
}

#[test]
fn late_tranches_are_not_charged_and_are_penalised_up_to_the_cap() {
    // 4 accelerators: 1 is there, 3 are due on the 11th and come on 10 February. January charges 744 h at 2 = 1,488. Penalty at
    // 0.10: 3 x 21 x 24 = 1,512 h = 151.20 in January; 3 x 9 x 24 = 648 h = 64.80 in February, of which the cap of 200 leaves 48.80.
    // February charges 1 x 672 h + 3 x 19 x 24 h = 2,040 h at 2 = 4,080.
    let tranches = vec![
        Tranche { amount: 1, due: at("2027-01-01"), delivered: Some(at("2027-01-01")) },
        Tranche { amount: 3, due: at("2027-01-11"), delivered: Some(at("2027-02-10")) },
    ];
    let case = one(Contract {
        capacity: vec![capacity(h100(), &[("2027-01-01", 4)])],
        rates: vec![RateClause { charge: Charge::Committed, ..metered(h100(), "2 USD/accelerator-hour") }],
        delivery: Some(Delivery {
            of: capacity(h100(), &[("2027-01-01", 4)]).of,
            tranches,
            penalty: Some(rate("0.10 USD/accelerator-hour")),
            cap: Some(usd(200)),
            exit_after_days: None,
        }),
        ..monthly()
    });
    check(
        &case,
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0             744.000 accelerator-hours              1488.00
        penalty 1                            5443200000              -151.20
        due                                                          1336.80
    "#]],
    );
    check(
        &case,
        1,
        expect![[r#"
        2027-02-01T00:00:00Z to 2027-03-01T00:00:00Z
        rates 0.0            2040.000 accelerator-hours              4080.00
        penalty 1                            2332800000               -48.80
        due                                                          4031.20
    "#]],
    );
}

#[test]
fn no_more_is_delivered_than_the_ramp_gives_a_right_to() {
    // Four come at once, but the right is to 2 for 15 days and to 4 for 16: 15 x 24 x 2 + 16 x 24 x 4 = 2,256 h.
    let units = capacity(h100(), &[("2027-01-01", 2), ("2027-01-16", 4)]);
    let tranches = vec![Tranche { amount: 4, due: at("2027-01-01"), delivered: Some(at("2026-12-01")) }];
    let delivery = Delivery { of: units.of, tranches, penalty: None, cap: None, exit_after_days: None };
    let rates = vec![committed(h100(), "1 USD/accelerator-hour")];
    assert_eq!(one(Contract { capacity: vec![units], rates, delivery: Some(delivery), ..monthly() }).due("c", 0), usd(2_256));
}

#[test]
fn the_amount_due_is_rounded_half_to_even_in_a_line_of_its_own() {
    let case = |tokens| {
        let case = one(Contract { rounding: Money::from_nanos(10_000_000), rates: vec![metered(input(), "0.001 USD/token")], ..monthly() });
        case.used("c", input(), "2027-01-05", tokens)
    };
    check(
        &case(1_005),
        0,
        expect![[r#"
        2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z
        rates 0.0                           1005 tokens                1.005
        rounding                                                      -0.005
        due                                                             1.00
    "#]],
    );
    for (tokens, want) in [(1_015, "1.02"), (1_025, "1.02"), (1_024, "1.02"), (1_026, "1.03")] {
        assert_eq!(case(tokens).due("c", 0).to_string(), want, "{tokens}");
    }
}
