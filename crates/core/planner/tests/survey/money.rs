//! Cash and what moves it, ventures, dependence.

use fleet::{Cap, CashEvent, Debt, Of, Ramp, Stake, Terms, Venture};
use units::{Amount, Currency, Money, Rate, Share};

use crate::view::{NORTH, at, check, fleet, span, surveyed};

fn usd(units: i64) -> Amount {
    Amount { money: Money::from_units(units), currency: Currency::USD }
}

fn event(name: &str, from: &str, to: &str, amount: Amount) -> CashEvent {
    CashEvent { name: name.to_owned(), span: span(from, to), amount, party: None, terms: Terms::default() }
}

#[test]
fn money_is_even_over_its_time_and_what_is_over_does_not_count() {
    let finance = r#"
[finance]
cash = { at = 2026-01-01, amount = "1 MUSD" }
floor = "100 kUSD"
revenue = [{ name = "licences", from = 2025-12-01, to = 2026-02-01, amount = "620 kUSD" }]
costs = [{ name = "people", from = 2026-01-01, to = 2026-03-01, amount = "590 kUSD" }, { name = "past", from = 2025-06-01, amount = "1 MUSD" }]
raises = [{ name = "loan", from = 2026-02-10, amount = "100 kEUR" }]
"#;
    let mut fleet = fleet(&format!("{NORTH}{finance}"), 2);
    fleet.finance.interest = Share::from_ppm(60_000);
    let wants: &[(&str, &[f64])] = &[
        ("event licences", &[310_000.0, 0.0]),
        ("event people", &[-310_000.0, -280_000.0]),
        // On 10 February a euro is 1.10 $.
        ("event loan", &[0.0, 110_000.0]),
    ];
    let it = check(&fleet, wants);
    assert!(it.treasury.events.iter().all(|event| event.name != "past"));
    let treasury = &it.treasury;
    let money = |amount: f64| amount * it.scale.money;
    assert!(treasury.bound && (money(treasury.cash) - 1e6).abs() < 1e-6 && (money(treasury.floor[1]) - 1e5).abs() < 1e-6);
    assert!((treasury.interest - 0.005).abs() < 1e-15);
}

#[test]
fn a_raise_with_a_cost_is_a_window_and_debt_has_its_limit_by_month() {
    let mut fleet = fleet(NORTH, 3);
    let terms = Terms { cost: Some(Share::from_ppm(120_000)), likelihood: Share::from_ppm(250_000), earned_by: None };
    fleet.finance.raises = vec![CashEvent { terms, ..event("series C", "2026-02-10", "2026-03-01", usd(5_000)) }];
    let limit = Ramp::new(vec![(at("2026-01-01"), Money::from_units(1_000)), (at("2026-02-15"), Money::from_units(2_000))]);
    fleet.finance.debt = Some(Debt {
        owed: Money::from_units(500),
        limit: limit.expect("steps rise"),
        rate: Share::from_ppm(120_000),
        covenant: Some(Share::from_ppm(3_000_000)),
        lender: None,
    });
    let it = surveyed(&fleet);
    let window = &it.treasury.windows[0];
    assert_eq!((window.open, window.likelihood), ((1, 2), 0.25));
    // Of two that cost as much the likelier is taken first: three quarters of a millionth more for what comes one time in four.
    assert!((window.cost - 0.120_000_75).abs() < 1e-12, "{}", window.cost);
    assert!((window.most * it.scale.money - 5_000.0).abs() < 1e-9);
    let debt = it.treasury.debt.as_ref().expect("debt");
    let limits: Vec<f64> = debt.limit.iter().map(|limit| (limit * it.scale.money).round()).collect();
    assert_eq!((limits, debt.rate, debt.covenant), (vec![1_000.0, 2_000.0, 2_000.0], 0.01, Some(3.0)));
}

const POWER: &str = r#"
[contracts.first]
party = "south"
pools = ["oslo"]
start = 2026-01-01
end = 2027-01-01
[[contracts.first.capacity]]
site = "oslo"
power = "300 kW"

[contracts.second]
party = "south"
pools = ["oslo"]
start = 2026-01-01
end = 2027-01-01
[[contracts.second.capacity]]
site = "oslo"
power = "300 kW"
"#;

#[test]
fn a_venture_delivers_what_is_paid_for_to_its_contracts_in_order() {
    let mut fleet = fleet(POWER, 4);
    let south = fleet.parties.id("south").expect("a party");
    let stake = |party, from: &str, to: &str, amount| Stake { party, amount: usd(amount), span: span(from, to) };
    let venture = Venture {
        party: south,
        cost_per_watt: Rate { money: Money::from_units(10), per: 1 },
        leverage: Share::ALL,
        lead_months: 1,
        // A million before the plan, another in January from the lab itself.
        stakes: vec![stake(Some(south), "2025-01-01", "2025-02-01", 1_000_000), stake(None, "2026-01-01", "2026-02-01", 1_000_000)],
    };
    fleet.ventures = vec![("joint".to_owned(), venture)];
    // Borrowing doubles a million: 200 kW in January, 400 kW from February.
    let wants: &[(&str, &[f64])] = &[
        ("limit power of first at oslo", &[744.0 * 0.2, 672.0 * 0.3, 744.0 * 0.3, 720.0 * 0.3]),
        ("limit power of second at oslo", &[0.0, 672.0 * 0.1, 744.0 * 0.1, 720.0 * 0.1]),
        ("event stake in joint", &[-1e6, 0.0, 0.0, 0.0]),
    ];
    let it = check(&fleet, wants);
    let funds = &it.ventures[0];
    assert!((funds.cost * it.scale.money - 1e7).abs() < 1e-6);
    assert!((funds.unfunded[1].fixed[0] - 744.0 * 0.3).abs() < 1e-9);
    let paid: Vec<Vec<f64>> = funds.paid.iter().map(|(_, paid)| paid.iter().map(|paid| paid * it.scale.money).collect()).collect();
    assert_eq!(paid, [vec![1e6; 4], vec![1e6; 4]]);
}

#[test]
fn dependence_is_bounded_in_the_months_of_its_span() {
    let mut fleet = fleet(NORTH, 3);
    let chips = fleet.parties.id("chips").expect("a party");
    let cap = |from: &str, to: &str| Cap { party: chips, share: Share::from_ppm(600_000), of: Of::Work, span: span(from, to) };
    fleet.caps = vec![cap("2026-02-01", "2027-01-01"), cap("2027-01-01", "2028-01-01")];
    let it = surveyed(&fleet);
    assert_eq!(it.caps.len(), 1);
    assert_eq!((it.caps[0].name.as_str(), it.caps[0].spend, it.caps[0].months), ("at most 60 % of work on chips", false, (1, 3)));
    assert_eq!(it.supplies[0].vendor, Some(chips));
}

#[test]
fn numbers_lie_near_one_and_an_empty_plan_is_no_error() {
    // 297,600 hours of the pool in January, 4.5 G tokens, 148,800 $.
    let it = surveyed(&fleet(NORTH, 1));
    assert_eq!((it.scale.hours, it.scale.tokens, it.scale.money), (1e3, 1e7, 1e3));
    let mut nothing = fleet("", 1);
    nothing.horizon = fleet::Horizon::default();
    let it = surveyed(&nothing);
    assert!(it.months.is_empty() && it.works.is_empty() && it.supplies.is_empty());
    nothing.horizon.from = Some(at("2026-01-01"));
    let refused: Vec<String> = planner::survey(&nothing).expect_err("no month").iter().map(ToString::to_string).collect();
    assert_eq!(refused, ["plan: the plan has no month: write `months`, or a `from` that lies before the end of a contract"]);
}
