//! Requests' ids: the time in microseconds above, randomness below. So they never repeat, also over restarts and replicas, and rows
//! that are kept by id are kept in the order in which they came.

use std::cell::RefCell;

use dispatch::RequestId;
use units::Instant;

/// Random bits of an id.
const RANDOM_BITS: u32 = 72;
/// Ids for which randomness is drawn at once: one system call each would cost more than the rest.
const DRAWN: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

/// Draws a request's id; `None` when the machine gives no randomness.
pub(crate) fn draw(now: Instant) -> Option<RequestId> {
    #[cfg(test)]
    if let Some(random) = crate::simulation::random() {
        return Some(id(now, random));
    }
    let random = POOL.with_borrow_mut(|pool| {
        if pool.is_empty() {
            let mut bytes = [0; 16 * DRAWN];
            getrandom::fill(&mut bytes).ok()?;
            let (words, _) = bytes.as_chunks::<16>();
            pool.extend(words.iter().map(|word| u128::from_le_bytes(*word)));
        }
        pool.pop()
    })?;
    Some(id(now, random))
}

fn id(now: Instant, random: u128) -> RequestId {
    let time = u128::try_from(now.micros()).unwrap_or(0);
    RequestId(time << RANDOM_BITS | random & ((1 << RANDOM_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_in_the_order_of_time_and_never_repeat() {
        let ids: Vec<u128> = (0..10_000).map(|step| draw(Instant::from_micros(step / 100)).expect("randomness").0).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        let times: Vec<u128> = ids.iter().map(|id| id >> RANDOM_BITS).collect();
        assert!(times.is_sorted() && times.last() == Some(&99));
    }
}
