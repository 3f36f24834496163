//! What provisioned units take now: one bucket per contract and model, which every endpoint of the two shares. The rule is `market`'s;
//! here it is counted by many requests at once, without a lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fleet::{CapacityOf, ContractId, EndpointId, Fleet, ModelId};
use market::{Leased, UnitBucket, WHOLE};
use units::Instant;

use crate::meter::held_at;

/// A bucket that many count in at once: each change is [`UnitBucket`]'s, applied to whatever the one before it left. It is that of the part
/// of the units that this gateway may use: all of them, or what it has been leased.
#[derive(Debug)]
pub(crate) struct Bucket {
    word: AtomicI64,
    /// In millionths of the units; only who renews its lease changes it.
    part: AtomicI64,
    /// Until when, in microseconds since 1970.
    until: AtomicI64,
    /// Weighted tokens taken so far.
    taken: AtomicI64,
    /// Where the meter holds the units.
    pub held_at: Option<EndpointId>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { word: 0.into(), part: WHOLE.into(), until: i64::MAX.into(), taken: 0.into(), held_at: None }
    }
}

impl Bucket {
    /// That of units that other gateways use too: none of them are this one's yet.
    fn shared() -> Self {
        Self { part: 0.into(), until: i64::MIN.into(), ..Self::default() }
    }

    /// What this gateway's part of the units handles a minute.
    fn rate(&self, now: Instant, per_minute: i64) -> i64 {
        match self.part.load(Ordering::Relaxed) {
            _ if now.micros() >= self.until.load(Ordering::Relaxed) => 0,
            WHOLE => per_minute,
            part => i64::try_from(i128::from(per_minute) * i128::from(part) / i128::from(WHOLE)).unwrap_or(i64::MAX),
        }
    }

    /// Weighted tokens that fit now. A part of the units in which nothing waits takes one request that only fits the whole: else such a one
    /// would never be let in.
    pub fn room(&self, now: Instant, per_minute: i64) -> i64 {
        let rate = self.rate(now, per_minute);
        let room = UnitBucket::of_word(self.word.load(Ordering::Relaxed)).room(now, rate);
        if rate > 0 && room >= rate { per_minute } else { room }
    }

    /// Takes weighted tokens, or gives some back when `weight` is below zero.
    pub fn take(&self, now: Instant, weight: i64, per_minute: i64) {
        self.taken.fetch_add(weight, Ordering::Relaxed);
        let rate = self.rate(now, per_minute);
        self.change(|bucket| bucket.with(now, weight, rate));
    }

    /// Becomes the bucket of another part of the units.
    fn move_to(&self, part: i64, until: Instant, now: Instant) {
        let before = self.part.load(Ordering::Relaxed);
        // Of a part that ran out meanwhile others may have the whole.
        let had = if now.micros() < self.until.load(Ordering::Relaxed) { before } else { 0 };
        if part != before || had != before {
            // First what waits, then the part: between the two it has less room than it may have, never more.
            self.change(|bucket| bucket.moved(now, had, part));
            self.part.store(part, Ordering::Relaxed);
        }
        self.until.store(until.micros(), Ordering::Relaxed);
    }

    /// The supplier refused weighted tokens, and said when they fit: in so long, or zero where it didn't say.
    pub fn refused(&self, now: Instant, weight: i64, per_minute: i64, again: Duration) {
        let rate = self.rate(now, per_minute);
        self.change(|bucket| bucket.refused(now, weight, rate, again));
    }

    fn change(&self, change: impl Fn(UnitBucket) -> UnitBucket) {
        let next = |word: i64| Some(change(UnitBucket::of_word(word)).word());
        // The closure always gives a word, so the update can't fail.
        _ = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

/// Every bucket of a fleet.
#[derive(Debug, Default)]
pub(crate) struct Buckets(BTreeMap<(ContractId, ModelId), Arc<Bucket>>);

/// Provisioned units that several gateways use, as whoever renews this one's part of them sees it.
#[derive(Clone, Debug)]
pub struct UnitsPart {
    /// Whose units they are.
    pub contract: ContractId,
    /// Of which model.
    pub model: ModelId,
    bucket: Arc<Bucket>,
}

impl UnitsPart {
    /// Weighted tokens taken here so far, and the part of the units, in millionths.
    #[must_use]
    pub fn standing(&self) -> (i64, i64) {
        (self.bucket.taken.load(Ordering::Relaxed), self.bucket.part.load(Ordering::Relaxed))
    }

    /// Takes in an answer: the part becomes what is to be kept, and holds until `until`. To be called by one thread only.
    pub fn renew(&self, leased: Leased, until: Instant, now: Instant) {
        self.bucket.move_to(leased.keep, until, now);
    }
}

impl Buckets {
    /// One for each contract that has units of a model.
    pub fn new(fleet: &Fleet, shared: bool) -> Self {
        let bucket = |contract, model| {
            let bucket = if shared { Bucket::shared() } else { Bucket::default() };
            Arc::new(Bucket { held_at: held_at(fleet, contract, model), ..bucket })
        };
        let units = fleet.contracts.iter().flat_map(|(contract, _, terms)| {
            let models =
                terms.capacity.iter().filter_map(|clause| if let CapacityOf::Units(model) = clause.of { Some(model) } else { None });
            models.map(move |model| ((contract, model), bucket(contract, model)))
        });
        Self(units.collect())
    }

    /// Every bucket, for who renews parts of the units.
    pub fn parts(&self) -> Vec<UnitsPart> {
        let part = |((contract, model), bucket): (&(ContractId, ModelId), &Arc<Bucket>)| UnitsPart {
            contract: *contract,
            model: *model,
            bucket: Arc::clone(bucket),
        };
        self.0.iter().map(part).collect()
    }

    /// The bucket of a contract's units of a model, if it has any.
    pub fn of(&self, contract: ContractId, model: ModelId) -> Option<&Bucket> {
        self.0.get(&(contract, model)).map(Arc::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

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
                    let again = Duration::from_micros(later.unsigned_abs() / 2);
                    shared.refused(now, weight, per_minute, again);
                    plain = plain.refused(now, weight, per_minute, again);
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
