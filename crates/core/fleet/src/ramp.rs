//! Amounts that change by date.

use serde::{Deserialize, Serialize};
use units::{Instant, Span};

/// An amount that steps at given instants; before the first step it is nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ramp<T> {
    steps: Vec<(Instant, T)>,
}

/// Why steps are no ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RampError {
    /// There is no step.
    #[error("a ramp has at least one step")]
    Empty,
    /// A step does not come after the one before it.
    #[error("step {index} is not after the one before it")]
    OutOfOrder {
        /// Which step, from zero.
        index: usize,
    },
}

impl<T: Copy> Ramp<T> {
    /// Steps in rising order of time, at least one. The only way to build a ramp.
    ///
    /// # Errors
    /// When there is no step or one does not come after its predecessor.
    pub fn new(steps: Vec<(Instant, T)>) -> Result<Self, RampError> {
        if steps.is_empty() {
            return Err(RampError::Empty);
        }
        match steps.windows(2).position(|pair| pair[1].0 <= pair[0].0) {
            Some(index) => Err(RampError::OutOfOrder { index: index + 1 }),
            None => Ok(Self { steps }),
        }
    }

    /// The same amount at all times.
    #[must_use]
    pub fn constant(amount: T) -> Self {
        Self { steps: vec![(Instant::MIN, amount)] }
    }

    /// The amount in force at `at`.
    #[must_use]
    pub fn at(&self, at: Instant) -> Option<T> {
        let next = self.steps.partition_point(|(from, _)| *from <= at);
        next.checked_sub(1).map(|index| self.steps[index].1)
    }

    /// The parts of `span` on which the amount is constant, in order; before the first step there is none.
    pub fn pieces(&self, span: Span) -> impl Iterator<Item = (Span, T)> {
        self.steps.iter().enumerate().filter_map(move |(index, (from, amount))| {
            let to = self.steps.get(index + 1).map_or(Instant::MAX, |(next, _)| *next);
            let piece = Span { from: *from, to }.overlap(span);
            (!piece.is_empty()).then_some((piece, *amount))
        })
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[(Instant, T)] {
        &self.steps
    }

    /// The same steps with other amounts.
    #[must_use]
    pub fn map<U>(&self, of: impl Fn(T) -> U) -> Ramp<U> {
        Ramp { steps: self.steps.iter().map(|(from, amount)| (*from, of(*amount))).collect() }
    }
}
