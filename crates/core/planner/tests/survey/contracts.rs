//! Supplies, their prices and what bounds them.

use fleet::{Delivery, Exclusivity, Expansion, Mix, Scope, Tranche, Use, WorkloadKind};
use planner::Lifts;
use units::{Money, Share};

use crate::view::{NORTH, ask, at, check, contract, edit, fleet, span, surveyed, workload};

/// Hours of January, February and March 2026.
const HOURS: [f64; 3] = [744.0, 672.0, 744.0];

#[test]
fn a_reservation_is_capacity_that_is_paid_used_or_not() {
    let wants: &[(&str, &[f64])] = &[
        ("limit capacity of north in h100", &[74_400.0, 67_200.0, 74_400.0]),
        ("limit pool oslo", &[297_600.0, 268_800.0, 297_600.0]),
        ("limit power at oslo", &HOURS),
        ("event committed under north", &[-148_800.0, -134_400.0, -148_800.0]),
        ("rate north on oslo", &[0.0, 0.0, 0.0]),
        // 1 kW x 1.25 x 0.10 $/kWh.
        ("energy north on oslo", &[0.125, 0.125, 0.125]),
        // 3,600 s over 2 accelerators x (0.75 / 4,000 + 0.25 / 1,000) s a token.
        ("speed north on oslo / chat", &[3_600.0 / 0.000_875]),
        ("demand chat", &[744.0 * 3.6e6, 672.0 * 3.6e6, 744.0 * 3.6e6]),
    ];
    let it = check(&fleet(NORTH, 3), wants);
    let power = it.limits.iter().find(|limit| limit.name == "power at oslo").expect("a site");
    assert!((power.terms[0].1 / it.scale.hours - 0.001_25).abs() < 1e-15, "1.25 kW in MWh an hour");
    assert_eq!(it.supplies[0].due, [0, 1, 2]);
}

#[test]
fn idle_accelerators_take_power_and_energy_where_they_are_held() {
    let mut fleet = fleet(NORTH, 3);
    edit(&mut fleet.accelerators, "h100", |kind| kind.idle = Share::from_ppm(200_000));
    let wants: &[(&str, &[f64])] = &[
        // 1 MW less 100 x 1.25 kW x 20 % = 25 kW.
        ("limit power at oslo", &[744.0 * 0.975, 672.0 * 0.975, 744.0 * 0.975]),
        ("event idle energy of north on oslo", &[-744.0 * 2.5, -672.0 * 2.5, -744.0 * 2.5]),
        ("energy north on oslo", &[0.1, 0.1, 0.1]),
    ];
    check(&fleet, wants);
}

#[test]
fn cached_tokens_are_a_tenth_of_the_work_and_priced_as_input_without_a_price_of_their_own() {
    let hosted = r#"
[contracts.hosted]
party = "south"
preset = "on-demand"
endpoints = ["hosted"]
input = "0.60 USD/1M tokens"
output = "2 USD/1M tokens"
start = 2026-01-01
end = 2027-01-01
"#;
    let mut fleet = fleet(&format!("{NORTH}{hosted}"), 1);
    let share = |percent: i64| Share::from_ppm(percent * 10_000);
    workload(&mut fleet, "chat", |kind| {
        if let WorkloadKind::Serving { mix, .. } = kind {
            *mix = Mix { input: share(50), cached: share(25), output: share(25) };
        }
    });
    let wants: &[(&str, &[f64])] = &[
        ("speed north on oslo / chat", &[3_600.0 / (2.0 * (0.525 / 4_000.0 + 0.25 / 1_000.0))]),
        ("speed hosted on hosted / chat", &[1.0]),
        ("rate hosted on hosted", &[(0.75 * 0.60 + 0.25 * 2.0) / 1e6]),
        // Nobody says what a token is worth: the hosted one costs 0.95 $ a million, the reserved 2 $ over 4.72 M tokens an hour.
        ("value chat", &[2.0 / (3_600.0 / (2.0 * (0.525 / 4_000.0 + 0.25 / 1_000.0)))]),
    ];
    let it = check(&fleet, wants);
    // Ten times the dearest: the value.
    let value = ask(&it, "value chat")[0];
    assert!((it.miss_cost[0] * it.scale.money / it.scale.tokens - 10.0 * value).abs() < 1e-15);
}

#[test]
fn provisioned_units_handle_weighed_tokens_and_overflow_at_a_rate_is_a_supply_of_its_own() {
    let units = r#"
[contracts.units]
party = "south"
preset = "provisioned"
endpoints = ["hosted"]
units = 10
tokens_per_unit_minute = 2500
rate = "1 USD/unit-hour"
overflow = { rate = "1.50 USD/unit-hour" }
start = 2026-01-01
end = 2027-01-01
"#;
    let wants: &[(&str, &[f64])] = &[
        ("limit units of units for llama", &[7_440.0]),
        ("event committed under units", &[-7_440.0]),
        // A mixed token weighs 0.75 + 0.25 x 4 = 1.75.
        ("speed units on hosted / chat", &[150_000.0 / 1.75]),
        ("speed units on hosted, beyond its capacity / chat", &[150_000.0 / 1.75]),
        ("rate units on hosted", &[0.0]),
        ("rate units on hosted, beyond its capacity", &[1.5]),
        ("value chat", &[1.75 / 150_000.0]),
    ];
    check(&fleet(units, 1), wants);
}

#[test]
fn rates_escalate_and_are_converted_when_they_fall_due() {
    let metered = r#"
[contracts.metered]
party = "south"
pools = ["oslo"]
currency = "EUR"
start = 2025-03-01
end = 2027-01-01
calendar = { anchor = 2025-03-01, period = "month" }

[[contracts.metered.rates]]
meter = "accelerators"
of = "h100"
rate = "2 EUR/accelerator-hour"
escalation = { by = "10 %", every = "year" }
"#;
    // 1.10 $ at the end of January, 1.20 at the end of February; 10 % more from March.
    let it = check(&fleet(metered, 3), &[("rate metered on oslo", &[2.2, 2.4, 2.64])]);
    assert!(it.tiered.is_empty() && it.limits.iter().all(|limit| !limit.name.starts_with("capacity")));
}

#[test]
fn billing_periods_from_mid_month_share_a_months_use() {
    let mid = r#"
[contracts.mid]
party = "south"
pools = ["oslo"]
start = 2026-01-16
end = 2026-03-16
calendar = { anchor = 2026-01-16, period = "month" }

[[contracts.mid.rates]]
meter = "accelerators"
of = "h100"
rate = "2 USD/accelerator-hour"
"#;
    let it = check(&fleet(mid, 3), &[("rate mid on oslo", &[0.0, 0.0, 0.0])]);
    let periods: Vec<_> = it.tiered.iter().map(|tiered| (tiered.due, tiered.terms.clone())).collect();
    // January and 15 of 28 days of February fall due in February, the rest in March.
    assert_eq!(periods, [(1, vec![(0, 0, 1.0), (0, 1, 15.0 / 28.0)]), (2, vec![(0, 1, 13.0 / 28.0), (0, 2, 1.0)])]);
    assert!(it.tiered.iter().all(|tiered| tiered.tiers == [(0.0, 2.0 * it.scale.hours / it.scale.money)]));
    let terms = ask(&it, "limit terms of mid on oslo");
    assert_eq!(terms, [400.0 * 16.0 * 24.0, 400.0 * 672.0, 400.0 * 15.0 * 24.0]);
}

#[test]
fn what_a_period_commits_falls_due_at_its_end_and_in_part_when_the_plan_ends_first() {
    let quarters = NORTH.replace("period = \"month\"", "period = \"quarter\"");
    let wants: &[(&str, &[f64])] = &[
        // 90 days at 4,800 $ in March; of the second quarter's 91 days 61 are in the plan.
        ("event committed under north", &[0.0, 0.0, -432_000.0, 0.0, -436_800.0 * 61.0 / 91.0]),
    ];
    let it = check(&fleet(&quarters, 5), wants);
    assert_eq!(it.treasury.events.len(), 1);
}

#[test]
fn tiers_are_charged_by_the_period_or_over_the_term() {
    let tiers = |over: &str| {
        format!(
            r#"
[contracts.tiers]
party = "south"
pools = ["oslo"]
start = 2026-01-01
end = 2027-01-01
calendar = {{ anchor = 2026-01-01, period = "month" }}

[[contracts.tiers.rates]]
meter = "accelerators"
of = "h100"
tiers = [
    {{ from = "0 accelerator-hours", rate = "2 USD/accelerator-hour" }},
    {{ from = "10000 accelerator-hours", rate = "1.50 USD/accelerator-hour" }},
]
{over}
"#
        )
    };
    let it = check(&fleet(&tiers(""), 2), &[("rate tiers on oslo", &[0.0, 0.0]), ("value chat", &[2.0 * 0.000_875 / 3_600.0; 2])]);
    let hours = it.scale.hours;
    for (month, tiered) in it.tiered.iter().enumerate() {
        assert_eq!((tiered.due, &tiered.terms[..], tiered.after), (month, &[(0, month, 1.0)][..], None));
        assert_eq!(tiered.tiers, [(0.0, 2.0 * hours / it.scale.money), (10_000.0 / hours, 1.5 * hours / it.scale.money)]);
    }
    let it = surveyed(&fleet(&tiers("over = \"term\""), 2));
    assert_eq!(it.tiered.iter().map(|tiered| tiered.after).collect::<Vec<_>>(), [None, Some(0)]);
}

#[test]
fn five_minute_periods_are_one_bill_a_month() {
    let minutes = NORTH.replace("period = \"month\"", "period = \"5 minutes\"");
    let it = check(&fleet(&minutes, 2), &[("event committed under north", &[-148_800.0, -134_400.0])]);
    assert_eq!(it.supplies[0].due, [0, 1]);
}

#[test]
fn power_whose_chips_are_chosen_later_bounds_what_runs_there() {
    let power = r#"
[contracts.power]
party = "north"
pools = ["oslo"]
start = 2026-01-01
end = 2027-01-01

[[contracts.power.capacity]]
site = "oslo"
power = "300 kW"
"#;
    let it = check(&fleet(power, 1), &[("limit power of power at oslo", &[744.0 * 0.3])]);
    let limit = it.limits.iter().find(|limit| limit.name == "power of power at oslo").expect("the clause");
    assert!((limit.terms[0].1 / it.scale.hours - 0.001_25).abs() < 1e-15);
}

#[test]
fn tranches_come_when_they_are_due_unless_they_are_late_already() {
    let mut fleet = fleet(NORTH, 3);
    fleet.horizon.from = Some(at("2026-02-01"));
    contract(&mut fleet, "north", |terms| {
        let tranche = |amount, due| Tranche { amount, due: at(due), delivered: None };
        let delivered = Tranche { delivered: Some(at("2026-01-01")), ..tranche(40, "2026-01-01") };
        let tranches = vec![delivered, tranche(20, "2026-01-15"), tranche(40, "2026-03-01")];
        terms.delivery = Some(Delivery { of: terms.capacity[0].of, tranches, penalty: None, cap: None, exit_after_days: None });
    });
    let wants: &[(&str, &[f64])] = &[
        ("limit capacity of north in h100", &[40.0 * 672.0, 80.0 * 744.0, 80.0 * 720.0]),
        ("event committed under north", &[-80.0 * 672.0, -160.0 * 744.0, -160.0 * 720.0]),
    ];
    check(&fleet, wants);
}

#[test]
fn an_expansion_adds_capacity_and_committed_charges_after_its_lead() {
    let mut fleet = fleet(NORTH, 4);
    edit(&mut fleet.accelerators, "h100", |kind| kind.idle = Share::from_ppm(200_000));
    contract(&mut fleet, "north", |terms| {
        let accelerator = match terms.capacity[0].of {
            fleet::CapacityOf::Accelerators(kind) => kind,
            _ => unreachable!("a reservation is of accelerators"),
        };
        let capex = Some(Money::from_units(10_000));
        terms.expansions = vec![Expansion { accelerator, most: 200, per_month: Some(50), lead_months: 2, capex }];
    });
    let it = surveyed(&fleet);
    let expansion = &it.expansions[0];
    assert_eq!((expansion.most, &expansion.per_month[..], expansion.lead), (0.2, &[0.05, 0.05, 0.0, 0.0][..], 2));
    assert!((expansion.capex[0] * it.scale.money - 1e7).abs() < 1e-3);
    // A thousand for 744 hours: 2 $ and 0.025 $ of idle energy each.
    assert!((expansion.running[0] * it.scale.money - 744_000.0 * 2.025).abs() < 1e-3);
    let added = |name: &str| it.limits.iter().find(|limit| limit.name == name).expect("a limit").expansions[0].1[0];
    assert!((added("capacity of north in h100") * it.scale.hours - 744_000.0).abs() < 1e-6);
    // 1.25 kW x 20 % x 744 h of a thousand.
    assert!((added("power at oslo") + 186.0).abs() < 1e-9);
}

#[test]
fn work_keeps_off_what_does_not_run_it_is_not_there_yet_or_is_kept_by_others() {
    let mut fleet = fleet(&format!("{NORTH}{}", NORTH.replace("contracts.north", "contracts.south")), 3);
    let open = |fleet: &fleet::Fleet| {
        let it = surveyed(fleet);
        it.fits.iter().map(|fit| (it.supplies[fit.supply].name.clone(), fit.open.clone())).collect::<Vec<_>>()
    };
    let (north, south) = ("north on oslo".to_owned(), "south on oslo".to_owned());
    contract(&mut fleet, "south", |terms| {
        let scope = Scope { uses: vec![Use::Serving], ..Scope::default() };
        terms.exclusivities = vec![Exclusivity { scope, span: span("2026-02-10", "2026-03-01"), except: Vec::new() }];
    });
    assert_eq!(open(&fleet), [(north.clone(), vec![(0, 1), (2, 3)]), (south.clone(), vec![(0, 3)])]);
    let bars: Vec<_> = surveyed(&fleet).bars.into_iter().map(|bar| (bar.name, bar.lifts)).collect();
    assert_eq!(bars, [("exclusivity of south".to_owned(), Lifts::Fit(0, 1, 2))]);
    edit(&mut fleet.accelerators, "h100", |kind| kind.available = Some(at("2026-01-20")));
    assert_eq!(open(&fleet), [(north, vec![(2, 3)]), (south, vec![(1, 3)])]);
    edit(&mut fleet.accelerators, "h100", |kind| kind.runs = vec![Use::Training]);
    assert_eq!(open(&fleet), []);
}
