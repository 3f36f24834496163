//! Requests' ids: the time in microseconds above, randomness below. So they never repeat, also over restarts and replicas, and rows
//! that are kept by id are kept in the order in which they came.

use std::cell::RefCell;

use dispatch::RequestId;
use hyper::header::{HeaderName, HeaderValue};
use units::Instant;

/// The header that says a request's id, to upstreams and to clients.
pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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

/// An id as a header carries it: as it displays, digit by digit, since every request writes two.
pub(crate) fn header(id: RequestId) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = *b"req_00000000000000000000000000000000";
    for (place, byte) in text[4..].chunks_exact_mut(2).zip(id.0.to_be_bytes()) {
        place.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    HeaderValue::from_bytes(&text).expect("digits and letters may stand in a header")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_header_has_an_id_as_it_displays() {
        for id in [0, 1, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210, u128::MAX].map(RequestId) {
            assert_eq!(header(id), id.to_string());
        }
    }

    #[test]
    fn ids_are_in_the_order_of_time_and_never_repeat() {
        let ids: Vec<u128> = (0..10_000).map(|step| draw(Instant::from_micros(step / 100)).expect("randomness").0).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        let times: Vec<u128> = ids.iter().map(|id| id >> RANDOM_BITS).collect();
        assert!(times.is_sorted() && times.last() == Some(&99));
    }
}
