//! A decision allocates nothing, however many endpoints there are.

use dispatch::{ENDPOINTS_MAX, Health, Policy, decide_in};
use testkit::crowd;

#[test]
fn a_decision_allocates_nothing() {
    for endpoints in [1, 4, ENDPOINTS_MAX] {
        let fleet = crowd::fleet(endpoints);
        let mut question = crowd::question(&fleet);
        for policy in Policy::ALL {
            question.policy = policy;
            // With every other one down there are both kinds of reason.
            for seen in question.seen.iter_mut().skip(1).step_by(2) {
                seen.health = Health::Probing;
            }
            let mut room = Some(Vec::with_capacity(ENDPOINTS_MAX));
            let counted = allocation_counter::measure(|| {
                let decision = decide_in(&fleet, &question, room.take().unwrap_or_default()).expect("an endpoint is eligible");
                room = Some(decision.passed_over);
            });
            assert_eq!((counted.count_total, room.map(|room| room.len())), (0, Some(endpoints - 1)), "{policy:?} of {endpoints}");
        }
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(std::hint::black_box(vec![1]))).count_total, 1);
}
