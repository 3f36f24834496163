//! A replica's busy time, split among the requests that it served at once.

use std::cmp::Reverse;

use units::Quantity;

/// `busy` split by token work: parts proportional to `work`, by largest remainder, that add up to `busy` exactly.
///
/// Work below zero counts as none. Without any work the parts are even, the first ones larger; without any request there is no part.
/// Ties of remainders go to the earlier request.
#[must_use]
pub fn split_busy(busy: Quantity, work: &[i64]) -> Vec<Quantity> {
    let done = work.iter().any(|work| *work > 0);
    let weights: Vec<i128> = work.iter().map(|work| if done { i128::from((*work).max(0)) } else { 1 }).collect();
    let (total, all) = (weights.iter().sum::<i128>(), i128::from(busy.count()));
    if total == 0 {
        return Vec::new();
    }
    let mut parts: Vec<i128> = weights.iter().map(|weight| (all * weight).div_euclid(total)).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| (Reverse((all * weights[*index]).rem_euclid(total)), *index));
    // Each part was rounded down by less than one, so fewer units are left than there are requests.
    let left = usize::try_from(all - parts.iter().sum::<i128>()).unwrap_or(0);
    for index in order.into_iter().take(left) {
        parts[index] += 1;
    }
    assert!(parts.iter().sum::<i128>() == all, "the parts add up to the busy time");
    parts.into_iter().map(|part| Quantity::new(i64::try_from(part).unwrap_or(i64::MAX))).collect()
}
