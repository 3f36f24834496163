//! Numbers that a fleet is read from: zero is always the simplest choice, so shrinking the numbers simplifies the fleet.

use units::{Instant, Money, Rate, Span};

/// Numbers taken one after the other; zero once they have run out.
pub struct Genes<'a>(core::slice::Iter<'a, u32>);

impl<'a> Genes<'a> {
    /// From the first of these.
    pub fn new(numbers: &'a [u32]) -> Self {
        Self(numbers.iter())
    }

    fn take(&mut self) -> u32 {
        self.0.next().copied().unwrap_or(0)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        self.take() % end
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.below(100) >= 100 - percent
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.take() as usize % choices.len();
        choices[index]
    }

    /// One to nine times a power of ten up to `exponent`, sometimes with an odd end.
    pub fn size(&mut self, exponent: u32) -> i64 {
        let round = i64::from(1 + self.below(9)) * 10_i64.pow(self.below(exponent + 1));
        round + if self.chance(30) { i64::from(self.below(1_000)) } else { 0 }
    }

    /// Money of up to `exponent` digits, in nano-units.
    pub fn money(&mut self, exponent: u32) -> Money {
        Money::from_nanos(i128::from(self.size(exponent)))
    }

    /// A price: per one or a few units, where halves are common, or per the units that people read.
    pub fn rate(&mut self) -> Rate {
        let per = self.one_of(&[1, 2, 7, 1000, 1_000_000, 3_600_000]);
        Rate { money: self.money(10), per }
    }

    /// An instant from a quarter of the span before it to a quarter after it, often at a midnight in UTC.
    pub fn instant(&mut self, span: Span) -> Instant {
        let length = span.to.micros() - span.from.micros();
        let at = span.from.micros() + (length / 1000) * (i64::from(self.below(1500)) - 250);
        let day = 86_400_000_000;
        Instant::from_micros(if self.chance(50) { at } else { at - at.rem_euclid(day) })
    }

    /// An instant within the span, sometimes its very first or last.
    pub fn instant_within(&mut self, span: Span) -> Instant {
        let last = span.to.micros() - 1;
        match self.below(10) {
            8 => span.from,
            9 => Instant::from_micros(last),
            _ => Instant::from_micros(self.instant(span).micros().clamp(span.from.micros(), last)),
        }
    }
}
