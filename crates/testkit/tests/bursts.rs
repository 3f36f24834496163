//! Bursts over supplies that are paid for: nothing is refused while something has room, and what is paid for is used up first.

use dispatch::Policy;
use testkit::bursts::{Figures, Scene, run};
use units::Money;

const REQUESTS: u64 = 20_000;

fn check(scene: &Scene, holds: impl Fn(&Figures) -> bool) {
    for seed in 0..4 {
        let figures = run(scene, Policy::MarginalCost, REQUESTS, seed);
        assert_eq!(figures.answers() + figures.refused, REQUESTS, "every request is answered or refused, once");
        assert_eq!(figures.falls_short(scene.has_one_tier()), None, "{}, seed {seed}:\n{figures}", scene.name);
        assert!(holds(&figures), "{}, seed {seed}:\n{figures}", scene.name);
    }
}

#[test]
fn what_is_paid_for_is_used_up_before_anything_spills() {
    check(&Scene::units(), |figures| figures.spills() > 0);
    check(&Scene::replicas(), |figures| figures.spills() > 0);
}

#[test]
fn with_tiers_nothing_is_refused_while_something_has_room() {
    check(&Scene::tiers(), |figures| figures.refused == 0);
    check(&Scene::beyond(), |figures| figures.refused > 0);
}

#[test]
fn a_gateway_that_takes_half_full_for_full_is_found_out() {
    let figures = run(&Scene { misread: true, ..Scene::beyond() }, Policy::MarginalCost, REQUESTS, 1);
    assert!(figures.falls_short(false).is_some_and(|why| why.contains("had room")), "{figures}");
    let figures = run(&Scene { misread: true, ..Scene::replicas() }, Policy::ReservedFirst, REQUESTS, 1);
    assert!(figures.falls_short(true).is_some_and(|why| why.contains("at a spill")) && figures.falls_short(false).is_none(), "{figures}");
}

#[test]
fn headroom_for_priority_is_counted_with_what_it_saves() {
    for seed in 0..4 {
        let [ours, without] = [Policy::MarginalCost, Policy::ReservedFirst].map(|policy| run(&Scene::tiers(), policy, REQUESTS, seed));
        let saved = ours.saved(&without);
        assert!(ours.kept.requests > 0 && ours.kept.weight > 0 && ours.kept.money > Money::ZERO, "{}", ours.kept);
        assert!(ours.kept.requests > without.kept.requests, "beside {}", without.kept);
        assert!(saved.late > 0 && saved.money > Money::ZERO && saved.in_all > Money::ZERO, "{saved}");
        assert_eq!(ours.saved(&ours).in_all, Money::ZERO);
        let costs: Money = [ours.tiers, without.tiers].map(|tiers| tiers.iter().map(|tier| tier.cost).sum::<Money>()).into_iter().sum();
        assert_eq!(costs, ours.paid + ours.missed + without.paid + without.missed, "each tier's own");
    }
}

/// One of two endpoints holds what every prompt begins with: it is chosen while it has a free slot, and is never full while the other is idle.
#[test]
fn a_shared_prefix_pins_nobody_to_a_saturated_endpoint() {
    check(&Scene::prefix(), |figures| figures.refused == 0 && figures.full_while_free == 0 && figures.late() == 0);
    let quiet = Scene { pattern: vec![8], ..Scene::prefix() };
    check(&quiet, |figures| figures.waits_while_free == 0 && figures.cached > REQUESTS * 650);
    // The same where no class says what a wait costs.
    let scene = Scene::prefix();
    let fleet = scene.fleet.split("[workloads.w]").next().expect("what comes before").to_owned();
    let unclassed = Scene { fleet, ..scene };
    check(&unclassed, |figures| figures.refused == 0 && figures.full_while_free == 0 && figures.waits_while_free == 0);
    // Who goes by what is held alone is found out.
    let figures = run(&unclassed, Policy::LowestListPrice, REQUESTS, 1);
    assert!(figures.full_while_free > 0, "{figures}");
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let figures = |seed| run(&Scene::beyond(), Policy::MarginalCost, 2_000, seed);
    assert_eq!(figures(7), figures(7));
    assert_ne!(figures(7), figures(8));
}
