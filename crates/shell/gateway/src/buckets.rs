//! What provisioned units take now: one bucket per contract and model, which every endpoint of the two shares. The rule is `market`'s;
//! here it is counted by many requests at once, without a lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use fleet::{CapacityOf, ContractId, Fleet, ModelId};
use market::UnitBucket;
use units::Instant;

/// A bucket that many count in at once: each change is [`UnitBucket`]'s, applied to whatever the one before it left.
#[derive(Debug, Default)]
pub(crate) struct Bucket(AtomicI64);

impl Bucket {
    /// Weighted tokens that fit now.
    pub fn room(&self, now: Instant, per_minute: i64) -> i64 {
        UnitBucket::of_word(self.0.load(Ordering::Relaxed)).room(now, per_minute)
    }

    /// Takes weighted tokens, or gives some back when `weight` is below zero.
    pub fn take(&self, now: Instant, weight: i64, per_minute: i64) {
        self.change(|bucket| bucket.with(now, weight, per_minute));
    }

    /// The supplier refused: by its own count nothing fits now.
    pub fn refused(&self, now: Instant) {
        self.change(|bucket| bucket.full(now));
    }

    fn change(&self, change: impl Fn(UnitBucket) -> UnitBucket) {
        let next = |word: i64| Some(change(UnitBucket::of_word(word)).word());
        // The closure always gives a word, so the update can't fail.
        _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

/// Every bucket of a fleet.
#[derive(Debug, Default)]
pub(crate) struct Buckets(BTreeMap<(ContractId, ModelId), Bucket>);

impl Buckets {
    /// One for each contract that has units of a model.
    pub fn new(fleet: &Fleet) -> Self {
        let units = fleet.contracts.iter().flat_map(|(contract, _, terms)| {
            let models =
                terms.capacity.iter().filter_map(|clause| if let CapacityOf::Units(model) = clause.of { Some(model) } else { None });
            models.map(move |model| ((contract, model), Bucket::default()))
        });
        Self(units.collect())
    }

    /// The bucket of a contract's units of a model, if it has any.
    pub fn of(&self, contract: ContractId, model: ModelId) -> Option<&Bucket> {
        self.0.get(&(contract, model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is taken, given back and refused: the shared bucket stands where `market`'s does.
        #[test]
        fn a_shared_bucket_is_markets(
            per_minute in 0_i64..1 << 40,
            steps in prop::collection::vec((0_i64..100_000_000, -(1_i64 << 32)..1 << 40, 0..8_u8), 0..60),
        ) {
            let (shared, mut plain, mut micros) = (Bucket::default(), UnitBucket::default(), 1_800_000_000_000_000);
            for (later, weight, kind) in steps {
                micros += later;
                let now = Instant::from_micros(micros);
                prop_assert_eq!(shared.room(now, per_minute), plain.room(now, per_minute));
                if kind == 0 {
                    shared.refused(now);
                    plain = plain.full(now);
                } else {
                    shared.take(now, weight, per_minute);
                    plain = plain.with(now, weight, per_minute);
                }
            }
        }
    }

    #[test]
    fn what_threads_take_at_once_adds_up() {
        let (bucket, now) = (Bucket::default(), Instant::from_micros(1_800_000_000_000_000));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        bucket.take(now, 7, 60_000);
                    }
                });
            }
        });
        assert_eq!(bucket.room(now, 60_000), 60_000 - 4 * 1_000 * 7);
    }
}
