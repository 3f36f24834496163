//! What a fleet comes to as numbers, against sums done by hand.

use fleet::{Fleet, Severity, parse};
use planner::{Instance, survey};

fn read(text: &str) -> Fleet {
    let parsed = parse(text);
    let errors: Vec<_> = parsed.diagnostics.iter().filter(|it| it.severity == Severity::Error).map(|it| &it.message).collect();
    assert!(errors.is_empty(), "{errors:?}");
    parsed.fleet.expect("without errors there is a fleet")
}

fn surveyed(fleet: &Fleet) -> Instance {
    survey(fleet).expect("it can be planned")
}

fn close(is: f64, want: f64) -> bool {
    (is - want).abs() <= 1e-9 * want.abs().max(1.0)
}

#[test]
fn a_reservation_is_capacity_that_is_paid_with_a_prepayment_and_a_penalty() {
    let mut fleet = read(include_str!("../../../../fleets/deals/coreweave.toml"));
    fleet.horizon.months = Some(4);
    let it = surveyed(&fleet);
    // April: 2,048 for 14 of 30 days, 4,096 for 16.
    let april = (2048.0 * 14.0 + 4096.0 * 16.0) * 24.0;
    assert!(close(it.limits[0].most.fixed[3] * it.scale.hours, april));
    let events: Vec<_> = it.treasury.events.iter().map(|event| event.amounts.fixed[3] * it.scale.money).collect();
    assert!(close(events[0], -april * 2.35) && events[1] == 0.0 && close(events[2], 500_000.0), "{events:?}");
}
