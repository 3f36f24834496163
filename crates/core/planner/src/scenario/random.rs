//! Random numbers that are a function of their key: scenario 4711 is the same on any number of threads, in any order.

use core::f64::consts::{FRAC_1_SQRT_2, TAU};

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a stream of numbers is for: one kind's numbers don't move when another kind takes more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Market,
    Demand,
    Price,
    Rent,
    Default,
    Delay,
    Shortage,
    Shortfall,
    Window,
    Event,
    Refusal,
}

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    state: u64,
    spare: Option<f64>,
}

impl Stream {
    /// The stream of one thing (`kind`, `position`) in scenario `index` of `seed`.
    pub(super) fn new(seed: u64, index: u64, kind: Kind, position: usize) -> Self {
        let thing = ((kind as u64 + 1) << 32) ^ position as u64;
        // The seed is mixed once more than the number, so that number 3 of seed 4 is not number 4 of seed 3.
        let begin = mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(GOLDEN));
        let state = [index, thing].into_iter().fold(begin, |state, key| mix(state ^ mix(key.wrapping_add(GOLDEN))));
        Self { state, spare: None }
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number in the open interval from 0 to 1.
    pub(super) fn uniform(&mut self) -> f64 {
        const TO_UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        ((self.bits() >> 11) as f64 + 0.5) * TO_UNIT
    }

    /// One of `0..count`, each as likely; `count` is at least one.
    pub(super) fn below(&mut self, count: u32) -> usize {
        let wide = (self.bits() >> 32) * u64::from(count.max(1));
        (wide >> 32) as usize
    }

    /// A number of the standard normal distribution (Box and Muller: they come in pairs).
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        let (sine, cosine) = libm::sincos(TAU * self.uniform());
        self.spare = Some(radius * sine);
        radius * cosine
    }
}

/// How likely a standard normal number is below `z`.
pub(super) fn likelihood_below(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// Spreads every bit of a key over the whole word (the finaliser of SplitMix64).
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let mut stream = Stream::new(7, 3, Kind::Market, 0);
        let numbers: Vec<f64> = (0..100_000).map(|_| stream.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 1e5;
        let variance = numbers.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.015 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let below = numbers.iter().filter(|number| **number < 1.0).count() as f64 / 1e5;
        assert!((below - likelihood_below(1.0)).abs() < 0.005);
    }

    #[test]
    fn streams_differ_by_every_part_of_their_key() {
        let first = |seed, index, kind, position| Stream::new(seed, index, kind, position).bits();
        let all = [
            first(1, 1, Kind::Demand, 1),
            first(2, 1, Kind::Demand, 1),
            first(1, 2, Kind::Demand, 1),
            first(1, 1, Kind::Price, 1),
            first(1, 1, Kind::Demand, 2),
        ];
        assert!((0..5).all(|a| (0..a).all(|b| all[a] != all[b])));
    }
}
