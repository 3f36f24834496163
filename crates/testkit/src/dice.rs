//! Numbers that a seed determines, on every machine.

/// A generator of 64 bits a step (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("the upper half of 64 bits is 32 bits")
    }

    /// Evenly in `low..high`, in thousandths, so that a person can read it.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let share = f64::from(self.bits()) / 4_294_967_296.0;
        ((low + (high - low) * share) * 1000.0).round() / 1000.0
    }

    /// Evenly in `least..=most`, which are not far apart.
    pub fn count(&mut self, least: usize, most: usize) -> usize {
        let sides = u32::try_from(most - least + 1).expect("a die has few sides");
        least + usize::try_from(self.bits() % sides).expect("a die has few sides")
    }

    /// Whether something happens that does so with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        f64::from(self.bits()) < probability * 4_294_967_296.0
    }

    /// So many numbers of `low..high`.
    pub fn series(&mut self, count: usize, low: f64, high: f64) -> Vec<f64> {
        (0..count).map(|_| self.between(low, high)).collect()
    }
}
