//! Compute: capacity, floors, tiers, offers, expansions, backlogs and caps.

use fleet::{Id, PartyId};
use planner::{Cap, Lifts, Series};
use proptest::prelude::*;
use testkit::instance::Small;

use crate::solved::{agree, check, solved};

/// One contract and one workload: 12 wanted a month at 3, of which 10 can be had.
fn one(months: usize, rate: f64) -> (Small, usize, usize) {
    let mut small = Small::new(months, 0.0);
    small.instance.treasury.bound = false;
    let supply = small.supply("oracle", rate);
    let limit = small.limit("capacity of oracle", &[supply], 10.0);
    small.serving("chat", &vec![12.0; months], 3.0);
    (small, supply, limit)
}

/// What is used of each fit and step.
#[track_caller]
fn used(small: &Small, worth: f64, expected: &[f64]) {
    let answer = check(&small.instance, worth);
    let near = answer.decided.used.iter().zip(expected).all(|(used, expected)| agree(*used, *expected));
    assert!(near && answer.decided.used.len() == expected.len(), "{:?}, not {expected:?}", answer.decided.used);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn one_contract_and_one_workload_have_a_closed_form(capacity in 0.1..100.0, demand in 0.1..100.0, price in 0.1..10.0, rate in 0.1..10.0, speed in 0.1..10.0) {
        let mut small = Small::new(1, 5.0);
        let supply = small.supply("oracle", rate);
        small.limit("capacity of oracle", &[supply], capacity);
        small.serving("chat", &[demand], price);
        small.instance.fits[0].speed = speed;
        let quantity = f64::min(capacity, demand / speed);
        let answer = solved(&small.instance);
        prop_assert!(agree(answer.decided.objective, 5.0 + f64::max(0.0, price * speed - rate) * quantity));
        if price * speed > rate * 1.001 {
            prop_assert!(agree(answer.decided.used[0], quantity));
        }
        prop_assert!(answer.broken.is_empty() && answer.decided.residual < 1e-6);
    }
}

#[test]
fn use_is_free_until_a_floor_is_met() {
    // At a rate of 4 nothing would be sold at 3; but 30 are due anyway, so 7.5 units are used.
    let (mut small, supply, _) = one(2, 4.0);
    small.floor(supply, (0, 2), 30.0);
    let answer = check(&small.instance, 7.5 * 3.0 - 30.0);
    assert!(agree(answer.decided.used.iter().sum::<f64>(), 7.5) && agree(answer.decided.short[0], 0.0));
    // What counts gives back a quarter of its price: 3 = 4 (1 - 1/4).
    assert!(agree(answer.decided.prices.floors[0], 0.25), "{:?}", answer.decided.prices);
    // Nobody wants anything: all of it is short, and what counts gives back its whole price.
    let (mut small, supply, _) = one(1, 4.0);
    small.instance.fits[0].open.clear();
    small.floor(supply, (0, 1), 30.0);
    let answer = check(&small.instance, -30.0);
    assert!(agree(answer.decided.prices.floors[0], 1.0));
}

#[test]
fn an_excess_is_carried_once_and_no_further() {
    let lab = |wanted: &[f64]| {
        let mut small = Small::new(wanted.len(), 0.0);
        small.instance.treasury.bound = false;
        let supply = small.supply("oracle", 1.0);
        small.serving("chat", wanted, 1.5);
        for month in 0..wanted.len() {
            let floor = small.floor(supply, (month, month + 1), 10.0);
            small.instance.floors[floor].carry = (month + 1 < wanted.len()).then(|| (1.0, vec![month + 1]));
        }
        small
    };
    check(&lab(&[15.0, 0.0]).instance, 7.5 - 5.0);
    // What the second window doesn't need of the first one's excess is gone: it is no excess of its own.
    check(&lab(&[20.0, 10.0, 0.0]).instance, 15.0 - 10.0);
    let mut half = lab(&[20.0, 0.0]);
    half.instance.floors[0].carry = Some((0.5, vec![1]));
    check(&half.instance, 10.0 - 5.0);
}

#[test]
fn a_nested_shortfall_counts_above() {
    // The umbrella wants 30 over what its reservation is billed: 20 of shortfall, so 10 more.
    let (mut small, supply, _) = one(1, 2.0);
    small.instance.fits[0].open.clear();
    let nested = small.floor(supply, (0, 1), 20.0);
    let above = small.floor(supply, (0, 1), 30.0);
    small.instance.floors[above].nested = vec![nested];
    check(&small.instance, -30.0);
}

#[test]
fn tiers_are_filled_in_their_order_also_when_the_last_is_cheapest() {
    let tiers = |demand: f64, tiers: &[(f64, f64)], volume: bool, worth: f64, expected: f64| {
        let (mut small, supply, _) = one(1, 0.0);
        if let planner::WorkKind::Serving { tranches, .. } = &mut small.instance.works[0].kind {
            tranches[0].demand[0] = demand;
        }
        small.tiers(supply, tiers, volume, false);
        used(&small, worth, &[expected]);
    };
    let (rising, falling) = ([(0.0, 1.0), (5.0, 4.0)], [(0.0, 4.0), (5.0, 1.0)]);
    tiers(12.0, &rising, false, 10.0, 5.0);
    tiers(12.0, &falling, false, 30.0 - 25.0, 10.0);
    tiers(6.0, &falling, false, 0.0, 0.0);
    tiers(12.0, &falling, true, 20.0, 10.0);
    tiers(4.0, &falling, true, 0.0, 0.0);
    tiers(12.0, &rising, true, 10.0, 5.0);
    // A middle tier that is dearest: 5 at 1, 2 at 9, the rest at 1.
    tiers(12.0, &[(0.0, 1.0), (5.0, 9.0), (7.0, 1.0)], false, 10.0, 5.0);
    tiers(12.0, &[(0.0, 1.0), (5.0, 3.5), (7.0, 1.0)], false, 30.0 - 5.0 - 7.0 - 3.0, 10.0);
}

#[test]
fn tiers_over_the_term_go_on_where_the_last_period_stopped() {
    let over_term = |tiers: &[(f64, f64)], volume: bool, worth: f64| {
        let mut small = Small::new(2, 0.0);
        let supply = small.supply("oracle", 0.0);
        small.serving("chat", &[4.0, 4.0], 3.0);
        small.instance.treasury.bound = false;
        small.tiers(supply, tiers, volume, true);
        check(&small.instance, worth);
    };
    over_term(&[(0.0, 4.0), (5.0, 1.0)], false, 24.0 - 16.0 - 4.0 - 3.0);
    over_term(&[(0.0, 1.0), (5.0, 4.0)], false, 15.0 - 5.0);
    // By volume one unit in the first month is enough for the second month's 4 to be all at the second rate.
    over_term(&[(0.0, 4.0), (5.0, 1.0)], true, 15.0 - 4.0 - 4.0);
}

#[test]
fn an_offer_is_signed_when_it_is_worth_more_than_it_commits_to() {
    let offer = |committed: f64, tied: bool| {
        let mut small = Small::new(2, 0.0);
        small.instance.treasury.bound = false;
        let supply = small.supply("stargate", 0.0);
        small.serving("chat", &[10.0, 10.0], 2.0);
        let choice = small.offer(supply, 0, committed);
        if tied {
            let limit = small.limit("capacity of stargate", &[supply], 0.0);
            small.instance.limits[limit].most.by_choice.push((choice, vec![10.0; 2]));
        }
        small
    };
    for tied in [true, false] {
        assert_eq!(check(&offer(15.0, tied).instance, 10.0).decided.taken, [1.0]);
        assert_eq!(check(&offer(25.0, tied).instance, 0.0).decided.taken, [0.0]);
    }
    // A second offer of the same contract excludes the first, however good both are.
    let mut small = offer(15.0, false);
    let later = small.supply("stargate later", 0.0);
    small.instance.fits.push(planner::Fit { supply: later, work: 0, speed: 1.0, open: vec![(1, 2)] });
    small.offer(later, 0, 2.0);
    small.instance.treasury.events[1].amounts.by_choice[0].1 = vec![0.0, -2.0];
    assert_eq!(check(&small.instance, 20.0 - 2.0).decided.taken, [0.0, 1.0]);
    // One that a first refusal bars can't be taken.
    let mut barred = offer(15.0, true);
    let (name, kind) = ("first refusal of azure".to_owned(), planner::BarKind::FirstRefusal);
    barred.instance.bars.push(planner::Bar { name, kind, contract: None, lifts: Lifts::Choice(0) });
    assert_eq!(check(&barred.instance, 0.0).decided.taken, [0.0]);
}

#[test]
fn expansions_arrive_later_and_share_the_chips_that_there_are() {
    let mut small = Small::new(3, 0.0);
    small.instance.treasury.bound = false;
    let supply = small.supply("oracle", 0.0);
    let limit = small.limit("capacity of oracle", &[supply], 0.0);
    small.serving("chat", &[100.0; 3], 3.0);
    let expansion = small.expansion(limit, 5.0, 1);
    small.instance.expansions[expansion].capex = vec![1.0; 3];
    small.instance.expansions[expansion].supply = Some(vec![4.0; 3]);
    // 4 in the second month and 8 in the third, each earning 3 for 0.5 of running, 8 of capex.
    let answer = check(&small.instance, 12.0 * 2.5 - 8.0);
    assert!(answer.decided.ordered[0].iter().zip([4.0, 4.0, 0.0]).all(|(found, expected)| agree(*found, expected)));
    // One more chip in the first month earns a month longer than in the second, where it would be taken from; or its margin, if the contract allowed more.
    let chip = answer.decided.prices.orders[0][0];
    assert!((2.5 - 1e-9..=4.0 + 1e-9).contains(&chip), "{chip}");
    // While chips are short, what would arrive in the second month arrives in the third.
    small.instance.expansions[expansion].held = Some((1, 2));
    check(&small.instance, 8.0 * 2.5 - 8.0);
}

#[test]
fn training_is_done_by_its_deadline_or_given_up() {
    let mut small = Small::new(2, 0.0);
    let supply = small.supply("oracle", 1.0);
    small.limit("capacity of oracle", &[supply], 4.0);
    small.instance.treasury.bound = false;
    small.training("next", &[10.0, 0.0], &[0.0, 10.0], 5.0, false);
    let answer = check(&small.instance, 8.0 * 4.0);
    assert!(agree(answer.decided.late[0].iter().sum(), 2.0) && answer.broken.is_empty());
    // One more unit done elsewhere is worth all of its value while some is given up.
    assert!(agree(answer.decided.prices.works[0][0], 5.0), "{:?}", answer.decided.prices.works);
}

#[test]
fn no_more_than_a_share_rests_on_a_party() {
    let capped = |spend: bool, share: f64, worth: f64| {
        let mut small = Small::new(1, 0.0);
        small.instance.treasury.bound = false;
        small.supply("cheap", 1.0);
        small.supply("dear", 2.0);
        small.serving("chat", &[10.0], 3.0);
        small.instance.caps.push(Cap { name: "at most".to_owned(), party: PartyId::from_index(0), share, spend, months: (0, 1) });
        check(&small.instance, worth);
    };
    capped(false, 0.6, 6.0 * 2.0 + 4.0);
    // a <= (a + 2 b) / 2 with a + b = 10: two thirds.
    capped(true, 0.5, 20.0 / 3.0 * 2.0 + 10.0 / 3.0);
    capped(true, 1.0, 20.0);
}

#[test]
fn a_site_s_power_bounds_its_supplies_together() {
    let mut small = Small::new(1, 0.0);
    small.instance.treasury.bound = false;
    let (light, heavy) = (small.supply("light", 1.0), small.supply("heavy", 0.5));
    small.serving("chat", &[20.0], 3.0);
    let site = small.limit("power of oslo", &[], 12.0);
    small.instance.limits[site].terms = vec![(light, 1.0), (heavy, 2.0)];
    small.instance.limits[site].most = Series { fixed: vec![12.0], by_choice: vec![] };
    let answer = check(&small.instance, 12.0 * 2.0);
    assert!(agree(answer.decided.prices.limits[site][0], 2.0));
}
