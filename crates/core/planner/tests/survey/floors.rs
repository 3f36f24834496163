//! Windows of floors.

use fleet::{Basis, CarryOver, Delivery, Floor, Least, Period, Prepayment, Ramp, Tranche};
use planner::Instance;
use units::{Money, Quantity, Rate, Share};

use crate::view::{NORTH, at, check, contract, fleet, surveyed, unit};

/// Metered accelerators for 3 $ an hour.
const METERED: &str = r#"
[contracts.metered]
party = "south"
preset = "on-demand"
pools = ["oslo"]
rate = "3 USD/accelerator-hour"
start = 2026-01-01
end = 2027-01-01
calendar = { anchor = 2026-01-01, period = "month" }
"#;

fn floor(dollars: i64, per: Period, basis: Basis) -> Floor {
    Floor {
        least: Least::Spend(Ramp::constant(Money::from_units(dollars))),
        per,
        basis,
        contracts: Vec::new(),
        meters: Vec::new(),
        carry_over: None,
        abated_while_late: false,
    }
}

/// The terms of a floor as (supply, step, money of an hour).
fn terms(it: &Instance, floor: usize) -> Vec<(String, usize, f64)> {
    let money = |(supply, step, each): &(usize, usize, f64)| {
        let dollars = each * it.scale.money / unit(it, *supply);
        (it.supplies[*supply].name.clone(), *step, (dollars * 1e6).round() / 1e6)
    };
    it.floors[floor].terms.iter().map(money).collect()
}

#[test]
fn committed_charges_count_as_they_accrue_and_use_at_its_rate() {
    let under = METERED.replace("party = \"south\"", "party = \"north\"\nunder = \"north\"");
    let mut fleet = fleet(&format!("{NORTH}{under}"), 6);
    contract(&mut fleet, "north", |terms| terms.floors = vec![floor(1_000_000, Period::Months(3), Basis::Amortisation)]);
    let wants: &[(&str, &[f64])] = &[
        ("least floor of north, 2026-01 to 2026-03", &[1e6]),
        ("counted floor of north, 2026-01 to 2026-03", &[432_000.0]),
        ("counted floor of north, 2026-04 to 2026-06", &[436_800.0]),
    ];
    let it = check(&fleet, wants);
    let name = || "metered on oslo".to_owned();
    assert_eq!(terms(&it, 0), [(name(), 0, 3.0), (name(), 1, 3.0), (name(), 2, 3.0)]);
    assert_eq!((it.floors[0].last, it.floors[0].due, it.floors[1].due, it.floors[0].price), (2, 2, 5, 1.0));
    // By use, what is committed counts as it is used.
    contract(&mut fleet, "north", |terms| terms.floors[0].basis = Basis::Use);
    let it = check(&fleet, &[("counted floor of north, 2026-01 to 2026-03", &[0.0])]);
    assert_eq!(terms(&it, 0).iter().map(|term| term.2).collect::<Vec<_>>(), [3.0, 3.0, 3.0, 2.0, 2.0, 2.0]);
}

#[test]
fn windows_that_the_plan_cuts_ask_for_their_part() {
    let mut fleet = fleet(NORTH, 3);
    fleet.horizon.from = Some(at("2026-02-01"));
    contract(&mut fleet, "north", |terms| terms.floors = vec![floor(1_000_000, Period::Months(3), Basis::Amortisation)]);
    let wants: &[(&str, &[f64])] = &[
        // 59 of 90 days; 30 of 91.
        ("least floor of north, 2026-02 to 2026-03", &[1e6 * 59.0 / 90.0]),
        ("counted floor of north, 2026-02 to 2026-03", &[4_800.0 * 59.0]),
        ("least floor of north, 2026-04", &[1e6 * 30.0 / 91.0]),
        ("counted floor of north, 2026-04", &[4_800.0 * 30.0]),
    ];
    let it = check(&fleet, wants);
    assert_eq!((it.floors[0].due, it.floors[1].due), (1, 2));
}

#[test]
fn what_is_bought_counts_prepayments_less_credits_and_shortfalls_of_nested_floors() {
    let under = METERED.replace("party = \"south\"", "party = \"north\"\nunder = \"north\"");
    let mut fleet = fleet(&format!("{NORTH}{under}"), 3);
    contract(&mut fleet, "north", |terms| {
        terms.floors = vec![floor(1_000_000, Period::Months(3), Basis::Purchase)];
        terms.prepayments = vec![Prepayment {
            amount: Money::from_units(120_000),
            due: at("2026-01-01"),
            credited_from: at("2026-01-01"),
            credit_periods: 12,
            refundable: false,
        }];
    });
    contract(&mut fleet, "metered", |terms| terms.floors = vec![floor(50_000, Period::Months(1), Basis::Amortisation)]);
    let wants: &[(&str, &[f64])] = &[
        // 432,000 committed, 120,000 prepaid, three parts of 10,000 credited.
        ("counted floor of north, 2026-01 to 2026-03", &[522_000.0]),
        ("least floor of metered, 2026-02", &[50_000.0]),
        ("event prepaid to north", &[-120_000.0, 0.0, 0.0]),
    ];
    let it = check(&fleet, wants);
    let over = it.floors.iter().find(|floor| floor.name.starts_with("floor of north")).expect("the umbrella's");
    let nested: Vec<&str> = over.nested.iter().map(|position| it.floors[*position].name.as_str()).collect();
    assert_eq!(nested, ["floor of metered, 2026-01", "floor of metered, 2026-02", "floor of metered, 2026-03"]);
    let granted: Vec<f64> = it.credits[0].granted.iter().map(|money| (money * it.scale.money).round()).collect();
    let committed: Vec<f64> = it.credits[0].committed.iter().map(|money| (money * it.scale.money).round()).collect();
    assert_eq!((granted, committed), (vec![10_000.0; 3], vec![148_800.0, 134_400.0, 148_800.0]));
}

#[test]
fn a_quantity_is_short_in_hours_at_its_rate_and_excess_carries_over() {
    let mut fleet = fleet(METERED, 3);
    contract(&mut fleet, "metered", |terms| {
        let least = Ramp::constant(Quantity::new(1_000 * 3_600_000));
        let rate = Rate { money: Money::from_units(1), per: 3_600_000 };
        let carry_over = Some(CarryOver { share: Share::from_ppm(500_000), windows: 1 });
        let meters = vec![fleet::MeterKind::AcceleratorTime];
        terms.floors = vec![Floor { least: Least::Quantity(least, rate), meters, carry_over, ..floor(0, Period::Months(1), Basis::Use) }];
    });
    let it = surveyed(&fleet);
    let first = &it.floors[0];
    assert!((first.least.fixed[0] * it.scale.hours - 1_000.0).abs() < 1e-9);
    assert!((first.price * it.scale.money / it.scale.hours - 1.0).abs() < 1e-12);
    assert_eq!((first.terms.clone(), first.carry.clone()), (vec![(0, 0, 1.0)], Some((0.5, vec![1]))));
    assert_eq!(it.floors[2].carry, None);
}

#[test]
fn a_floor_shrinks_with_what_does_not_come_and_names_the_capacity() {
    let mut fleet = fleet(NORTH, 12);
    contract(&mut fleet, "north", |terms| {
        let tranche = |amount, due, delivered| Tranche { amount, due: at(due), delivered };
        let tranches = vec![tranche(75, "2025-01-01", Some(at("2025-01-01"))), tranche(25, "2025-12-01", None)];
        terms.delivery = Some(Delivery { of: terms.capacity[0].of, tranches, penalty: None, cap: None, exit_after_days: None });
        let abated_while_late = true;
        terms.floors = vec![Floor { abated_while_late, ..floor(1_000_000, Period::Months(12), Basis::Amortisation) }];
    });
    let it = check(&fleet, &[("least floor of north, 2026", &[750_000.0])]);
    let by = it.floors[0].abated_by.map(|limit| it.limits[limit].name.as_str());
    assert_eq!((it.floors[0].abated, by), (true, Some("capacity of north in h100")));
}

#[test]
fn a_floor_in_another_currency_is_in_the_fleets_by_the_day_it_is_due() {
    let mut fleet = fleet(&METERED.replace("3 USD", "3 EUR").replace("start =", "currency = \"EUR\"\nstart ="), 3);
    contract(&mut fleet, "metered", |terms| terms.floors = vec![floor(1_000, Period::Months(3), Basis::Amortisation)]);
    let it = check(&fleet, &[("least floor of metered, 2026-01 to 2026-03", &[1_200.0]), ("rate metered on oslo", &[3.3, 3.6, 3.6])]);
    // January's use is paid at 1.10 $, and counts in euros: at 1.20 $ as the floor.
    assert_eq!(terms(&it, 0).iter().map(|term| term.2).collect::<Vec<_>>(), [3.6, 3.6, 3.6]);
}
