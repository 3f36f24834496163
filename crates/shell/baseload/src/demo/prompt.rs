//! Prompts for the trace's requests: the trace has lengths only, so the words are drawn from a list.

/// Seeded random numbers (SplitMix64): the same seed plays the same traffic.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice for request number `index` under a seed; neighbours share nothing.
    pub fn new(seed: u64, index: u64) -> Self {
        Self(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below `sides`.
    pub fn below(&mut self, sides: u32) -> u32 {
        u32::try_from(((self.next() >> 32) * u64::from(sides.max(1))) >> 32).unwrap_or(0)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(u32::try_from(from.len()).unwrap_or(u32::MAX)) as usize]
    }
}

/// Which class of service a request asks for, as `service_tier` spells it: half is ordinary, a quarter may wait, a quarter must not.
pub fn tier(dice: &mut Dice) -> &'static str {
    dice.pick(&["default", "default", "flex", "priority"])
}

const OPENINGS: &[&str] =
    &["Explain how", "Tell a short story in which", "Summarise why", "List three reasons why", "Describe the day when"];
const SUBJECTS: &[&str] =
    &["the baker", "a small river", "the old engine", "a careful pilot", "the night train", "our neighbour", "the wind"];
const VERBS: &[&str] = &["found", "carried", "repaired", "counted", "forgot", "painted", "followed", "moved", "warmed", "opened"];
const OBJECTS: &[&str] =
    &["the green door", "a box of maps", "seven lamps", "the market square", "a bridge", "the last letter", "some bread"];
const JOINS: &[&str] = &["and then", "because", "while", "before", "after", "although"];

/// A prompt of about that many tokens: common English words are about a token each.
pub fn prompt(dice: &mut Dice, tokens: u32) -> String {
    let mut text = dice.pick(OPENINGS).to_owned();
    let mut words = text.split(' ').count();
    loop {
        for part in [SUBJECTS, VERBS, OBJECTS] {
            let part = dice.pick(part);
            text.push(' ');
            text.push_str(part);
            words += part.split(' ').count();
        }
        if words >= tokens as usize {
            text.push('.');
            return text;
        }
        let join = dice.pick(JOINS);
        text.push(' ');
        text.push_str(join);
        words += join.split(' ').count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_has_about_the_length_asked_and_depends_on_the_seed_alone() {
        for tokens in [1, 20, 80, 350] {
            let text = prompt(&mut Dice::new(7, 3), tokens);
            let words = u32::try_from(text.split(' ').count()).expect("a short text");
            assert!((tokens.max(6)..tokens + 14).contains(&words), "{tokens}: {words} words");
            assert_eq!(text, prompt(&mut Dice::new(7, 3), tokens));
            assert_ne!(text, prompt(&mut Dice::new(8, 3), tokens));
        }
    }

    #[test]
    fn tiers_are_mixed_half_a_quarter_a_quarter() {
        let tiers: Vec<_> = (0..4000).map(|index| tier(&mut Dice::new(1, index))).collect();
        for (name, share) in [("default", 2000), ("flex", 1000), ("priority", 1000)] {
            let count = tiers.iter().filter(|tier| **tier == name).count();
            assert!(count.abs_diff(share) < 120, "{name}: {count}");
        }
    }
}
