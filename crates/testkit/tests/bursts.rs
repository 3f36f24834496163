//! Bursts over supplies that are paid for: nothing is refused while something has room, and what is paid for is used up first.

use dispatch::Policy;
use testkit::bursts::{Figures, Scene, run};

const REQUESTS: u64 = 20_000;

fn check(scene: &Scene, holds: impl Fn(&Figures) -> bool) {
    for seed in 0..4 {
        let figures = run(scene, Policy::MarginalCost, REQUESTS, seed);
        assert_eq!(figures.answers() + figures.refused, REQUESTS, "every request is answered or refused, once");
        assert_eq!(figures.refused_with_room, 0, "{}, seed {seed}:\n{figures}", scene.name);
        assert!(holds(&figures), "{}, seed {seed}:\n{figures}", scene.name);
    }
}

#[test]
fn what_is_paid_for_is_used_up_before_anything_spills() {
    let used_up = |figures: &Figures| figures.spills() > 0 && figures.used_at_spill_least.is_some_and(|used| used >= 0.98);
    check(&Scene::units(), used_up);
    check(&Scene::replicas(), used_up);
}

#[test]
fn with_tiers_nothing_is_refused_while_something_has_room() {
    check(&Scene::tiers(), |figures| figures.refused == 0);
    check(&Scene::beyond(), |figures| figures.refused > 0);
}

#[test]
fn a_gateway_that_takes_half_full_for_full_is_found_out() {
    let figures = run(&Scene { misread: true, ..Scene::beyond() }, Policy::MarginalCost, REQUESTS, 1);
    assert!(figures.refused_with_room > 0, "{figures}");
    let figures = run(&Scene { misread: true, ..Scene::replicas() }, Policy::ReservedFirst, REQUESTS, 1);
    assert!(figures.used_at_spill_least.is_some_and(|used| used < 0.98), "{figures}");
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let figures = |seed| run(&Scene::beyond(), Policy::MarginalCost, 2_000, seed);
    assert_eq!(figures(7), figures(7));
    assert_ne!(figures(7), figures(8));
}
