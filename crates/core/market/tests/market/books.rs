//! What must hold of every statement, over random contracts and postings.

use fleet::{
    Basis, Capacity, CarryOver, Contract, Delivery, Escalation, Fleet, Floor, Overflow, Period, Prepayment, Ramp, RateClause, TierKind,
    Tranche,
};
use market::{Balances, Clause, Usage, periods, statement};
use proptest::prelude::*;
use units::{Instant, Money, Quantity, Share};

use crate::fixture::*;

fn a_period() -> impl Strategy<Value = Period> {
    prop_oneof![
        Just(Period::Months(1)),
        Just(Period::Months(3)),
        Just(Period::Days(7)),
        Just(Period::Days(1)),
        Just(Period::Minutes(7_000)),
        Just(Period::Term),
    ]
}

fn a_floor() -> impl Strategy<Value = Floor> {
    let basis = prop_oneof![Just(Basis::Purchase), Just(Basis::Amortisation), Just(Basis::Use)];
    (a_period(), 0_i64..3_000, basis, 0_i64..100, 0_u32..4).prop_map(|(per, least, basis, share, windows)| {
        let carry_over = Some(CarryOver { share: percent(share), windows });
        Floor { basis, carry_over, ..floor(per, &[("2027-01-01", least)]) }
    })
}

fn a_contract() -> impl Strategy<Value = Contract> {
    let tiers = (any::<bool>(), any::<bool>(), 0_i64..4);
    (a_period(), a_floor(), tiers, 1_i64..60, 1_u32..8, any::<bool>()).prop_map(
        |(period, floor, (volume, over_term, units), day, parts, at_rate)| {
            let kind = if volume { TierKind::Volume } else { TierKind::Graduated };
            let tiers = tiered(input(), kind, &[(0, "0.037 USD/token"), (9_000, "0.031 USD/token"), (40_000, "0.011 USD/1k tokens")]);
            let from = Instant::from_micros(at("2027-02-03T07:00").micros() + day * 43_200_000_000);
            let prepayment = Prepayment { amount: usd(999), due: from, credited_from: from, credit_periods: parts, refundable: false };
            Contract {
                rounding: Money::from_nanos(10_000_000),
                term: units::Span { from, to: at("2027-08-09") },
                capacity: vec![capacity(ptu(), &[("2027-03-01", units), ("2027-04-05", units * 2)])],
                rates: vec![RateClause { over_term, ..tiers }, committed(ptu(), "0.07 USD/unit-hour")],
                overflow: at_rate.then(|| Overflow::AtRate(rate("0.13 USD/unit-hour"))),
                floors: vec![floor],
                prepayments: vec![prepayment],
                ..contract("2027-01-01", "2028-01-01", period)
            }
        },
    )
}

/// A nest of two and what is posted to it: contract, meter, second of the year, held, and the share of it that was used.
pub fn a_nest() -> impl Strategy<Value = (Fleet, Vec<Usage>)> {
    let posts = proptest::collection::vec((any::<bool>(), any::<bool>(), 0_i64..250 * 86_400, 0_i64..20_000, 0_i64..=100), 0..40);
    (a_contract(), a_contract(), posts).prop_map(|(outer, inner, posts)| {
        let inner = Contract { under: Some(id(&["a", "b"], "a")), ..inner };
        let case = Case::new(vec![("a", outer), ("b", inner)]);
        let usage = |(outer, tokens, second, held, used): (bool, bool, i64, i64, i64)| Usage {
            contract: case.id(if outer { "a" } else { "b" }),
            meter: if tokens { input() } else { ptu() },
            at: Instant::from_micros(at("2027-01-01").micros() + second * 1_000_000),
            held: Quantity::new(if tokens { held } else { held * HOUR / 100 }),
            used: Quantity::new(if tokens { held } else { held * HOUR / 100 } * used / 100),
        };
        let usages = posts.into_iter().map(usage).collect();
        (case.fleet, usages)
    })
}

fn post<'a>(fleet: &Fleet, usages: impl Iterator<Item = &'a Usage>) -> Balances {
    let mut balances = Balances::default();
    usages.for_each(|usage| balances.post(fleet, usage));
    balances
}

/// Each history is settled in full and more than once: a share of the histories that a lighter property has.
const SHARE: u32 = 40;
/// With each change.
const HISTORIES: u32 = 20_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HISTORIES.div_ceil(SHARE)))]

    #[test]
    fn lines_add_up_and_no_order_of_posting_changes_them((fleet, usages) in a_nest()) {
        let balances = post(&fleet, usages.iter());
        let backwards = post(&fleet, usages.iter().rev());
        prop_assert_eq!(&balances, &backwards);
        for (contract, ..) in fleet.contracts.iter() {
            for period in periods(&fleet, contract) {
                let got = statement(&fleet, &balances, contract, period);
                prop_assert_eq!(got.lines.iter().map(|line| line.money).sum::<Money>(), got.due);
                let rounding = got.lines.iter().filter(|line| line.clause == Clause::Rounding).map(|line| line.money.nanos().abs());
                prop_assert!(rounding.max().unwrap_or(0) <= 5_000_000);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn nothing_posted_is_lost_and_held_is_used_and_idle((fleet, usages) in a_nest()) {
        let balances = post(&fleet, usages.iter());
        for (contract, ..) in fleet.contracts.iter() {
            for meter in [input(), ptu()] {
                let stray = balances.stray(contract, meter);
                let totals = balances.iter().filter(|(of, _, on, _)| (*of, *on) == (contract, meter)).map(|(.., total)| total);
                let (held, used, idle) = totals.fold((stray.held, stray.used, stray.idle()), |sum, total| {
                    (sum.0 + total.held, sum.1 + total.used, sum.2 + total.idle())
                });
                prop_assert_eq!(held, used + idle);
                let posted = usages.iter().filter(|usage| (usage.contract, usage.meter) == (contract, meter));
                prop_assert_eq!(held, posted.map(|usage| usage.held).sum());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HISTORIES.div_ceil(SHARE)))]

    #[test]
    fn credits_never_exceed_what_was_prepaid_nor_a_period_s_charges((fleet, usages) in a_nest()) {
        let balances = post(&fleet, usages.iter());
        for (contract, ..) in fleet.contracts.iter() {
            let mut credited = Money::ZERO;
            for period in periods(&fleet, contract) {
                let (mut charged, mut credit) = (Money::ZERO, Money::ZERO);
                for line in statement(&fleet, &balances, contract, period).lines {
                    match line.clause {
                        Clause::Rates { .. } | Clause::Overflow => charged += line.money,
                        Clause::Credit { .. } => credit -= line.money,
                        _ => {}
                    }
                }
                prop_assert!(Money::ZERO <= credit && credit <= charged);
                credited += credit;
            }
            prop_assert!(credited <= usd(999));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// A floor looks at runs of equal periods as one; the statements look at each period by itself.
    #[test]
    fn a_floor_counts_what_the_statements_charge(
        minutes in 5_u32..400, escalated in 100_u32..3_000, ramp in 0_i64..9, tranche in 0_i64..900_000, late in 0_i64..300_000,
        posts in proptest::collection::vec((0_i64..1_200_000, 0_i64..90), 0..12),
    ) {
        let second = |second: i64| Instant::from_micros(at("2027-01-01").micros() + second * 1_000_000);
        let escalation = Some(Escalation { by: percent(3), every: Period::Minutes(escalated) });
        let steps = vec![(second(-5), ramp), (second(tranche / 3), ramp + 2), (second(tranche), ramp / 2)];
        let units = Capacity { ramp: Ramp::new(steps).unwrap_or_else(|_| Ramp::constant(3)), ..capacity(ptu(), &[("2027-01-01", 1)]) };
        let tranche = |amount, due, delivered| Tranche { amount, due: second(due), delivered: Some(second(delivered)) };
        let tranches = vec![tranche(3, 0, 0), tranche(9, late / 2, late)];
        let inner = Contract {
            under: Some(id(&["a", "b"], "a")),
            rates: vec![RateClause { escalation, ..committed(ptu(), "0.07 USD/unit-hour") }],
            overflow: Some(Overflow::AtRate(rate("0.13 USD/unit-hour"))),
            delivery: Some(Delivery { of: units.of, tranches, penalty: None, cap: None, exit_after_days: None }),
            capacity: vec![units],
            ..contract("2027-01-01", "2027-01-15", Period::Minutes(minutes))
        };
        let floors = vec![floor(Period::Months(12), &[("2027-01-01", 9_000_000)])];
        let outer = Contract { floors, ..contract("2027-01-01", "2028-01-01", Period::Months(12)) };
        let mut case = Case::new(vec![("a", outer), ("b", inner)]);
        let inner = case.id("b");
        for (when, hours) in posts {
            let held = Quantity::new(hours * HOUR);
            case.balances.post(&case.fleet, &Usage { contract: inner, meter: ptu(), at: second(when), held, used: Quantity::ZERO });
        }
        let charged: Money = periods(&case.fleet, inner).map(|period| case.due("b", period)).sum();
        prop_assert_eq!(case.due("a", 0), usd(9_000_000) - charged);
    }

    /// The look-back of carry-over ends early; the whole chain from the term's first window must say the same.
    #[test]
    fn carrying_over_comes_out_as_if_from_the_term_s_start(
        spend in proptest::collection::vec(0_i64..300, 24), share in 0_i64..=100, windows in 0_u32..7,
    ) {
        let carry_over = Some(CarryOver { share: Share::from_ppm(share * 10_000), windows });
        let floor = Floor { carry_over, ..floor(Period::Days(1), &[("2027-01-01", 100)]) };
        let rates = vec![metered(input(), "1 USD/token")];
        let terms = Contract { rates, floors: vec![floor], ..contract("2027-01-01", "2027-01-25", Period::Days(1)) };
        let case = (1..).zip(&spend).fold(Case::new(vec![("c", terms)]), |case, (day, tokens)| {
            case.used("c", input(), &format!("2027-01-{day:02}"), *tokens)
        });
        let mut carried: Vec<i128> = vec![0; 24];
        for (day, tokens) in spend.iter().enumerate() {
            let spent = i128::from(*tokens) * 1_000_000_000;
            let mut need = (100_000_000_000 - spent).max(0);
            for left in &mut carried[day.saturating_sub(windows as usize)..day] {
                let taken = need.min(*left);
                *left -= taken;
                need -= taken;
            }
            carried[day] = (spent - 100_000_000_000).max(0) * i128::from(share) / 100;
            let want = Money::from_nanos(spent + need);
            prop_assert_eq!(case.due("c", i64::try_from(day).expect("a day")), want, "day {}", day);
        }
    }
}
