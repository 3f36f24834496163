//! What many scenarios say together. Outcomes are put in the order of their numbers first: however they were computed, the same come out.

use serde::{Deserialize, Serialize};

use super::Outcome;

/// Which part of the scenarios each line of the fan has below it.
pub const FAN: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// The part of the scenarios that the tail is: the worst of them.
const TAIL: f64 = 0.05;

/// What many scenarios say together, in the instance's units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many scenarios.
    pub count: usize,
    /// The share of them that is out of cash by the end of each month.
    pub out_of_cash: Vec<f64>,
    /// Cash by month, for each part of [`FAN`].
    pub cash: Vec<[f64; 5]>,
    /// The mean of what is missing in all.
    pub gap: f64,
    /// The mean of what is missing in the worst twentieth.
    pub gap_tail: f64,
    /// The mean worth.
    pub worth: f64,
    /// The mean worth of the worst twentieth.
    pub worth_tail: f64,
    /// The mean of promised tokens that are not served.
    pub missed: f64,
}

impl Summary {
    /// Sums outcomes up, in any order.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut all: Vec<&Outcome> = outcomes.iter().collect();
        all.sort_by_key(|outcome| outcome.index);
        let months = all.iter().map(|outcome| outcome.cash.len()).max().unwrap_or(0);
        let mean = |of: &dyn Fn(&Outcome) -> f64| all.iter().map(|outcome| of(outcome)).sum::<f64>() / all.len().max(1) as f64;
        let sorted = |of: &dyn Fn(&Outcome) -> f64| {
            let mut values: Vec<f64> = all.iter().map(|outcome| of(outcome)).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let out_by = |month: usize| mean(&|outcome| f64::from(u8::from(outcome.first_gap.is_some_and(|first| first <= month))));
        Self {
            count: all.len(),
            out_of_cash: (0..months).map(out_by).collect(),
            cash: (0..months)
                .map(|month| {
                    let values = sorted(&|outcome| outcome.cash.get(month).copied().unwrap_or(0.0));
                    FAN.map(|part| quantile(&values, part))
                })
                .collect(),
            gap: mean(&|outcome| outcome.gap),
            gap_tail: -tail(&sorted(&|outcome| -outcome.gap)),
            worth: mean(&|outcome| outcome.worth),
            worth_tail: tail(&sorted(&|outcome| outcome.worth)),
            missed: mean(&|outcome| outcome.missed),
        }
    }
}

/// What the same scenarios would have been worth more with foresight, on the mean; `None` when none is in both.
#[must_use]
pub fn regret(outcomes: &[Outcome], foresight: &[Outcome]) -> Option<f64> {
    let mut pairs: Vec<(u64, f64)> = Vec::new();
    for outcome in outcomes {
        let known = foresight.iter().find(|known| known.index == outcome.index);
        pairs.extend(known.map(|known| (outcome.index, known.worth - outcome.worth)));
    }
    pairs.sort_by_key(|(index, _)| *index);
    (!pairs.is_empty()).then(|| pairs.iter().map(|(_, regret)| regret).sum::<f64>() / pairs.len() as f64)
}

/// The value that a part of the sorted values lies below, between the two that are nearest to it.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = part * last as f64;
    let below = (0..last).rev().find(|at| *at as f64 <= place).unwrap_or(0);
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

/// The mean of the lowest twentieth; of the value at its end only the part that belongs to it.
fn tail(sorted: &[f64]) -> f64 {
    let wanted = TAIL * sorted.len() as f64;
    let (mut left, mut sum) = (wanted, 0.0);
    for value in sorted {
        let part = left.min(1.0);
        if part <= 0.0 {
            break;
        }
        sum += part * value;
        left -= part;
    }
    if wanted > 0.0 { sum / wanted } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(index: u64, cash: &[f64], gap: f64, first_gap: Option<usize>) -> Outcome {
        let worth = index as f64;
        Outcome { index, least_cash: 0.0, first_gap, gap, worst_gap: gap, worth, missed: 0.0, cash: cash.to_vec() }
    }

    #[test]
    fn four_scenarios_by_hand() {
        let all = [
            outcome(1, &[1.0, -4.0], 4.0, Some(1)),
            outcome(2, &[2.0, 2.0], 0.0, None),
            outcome(3, &[3.0, 3.0], 0.0, None),
            outcome(4, &[-5.0, 1.0], 5.0, Some(0)),
        ];
        let summary = Summary::of(&all);
        assert_eq!(summary.out_of_cash, [0.25, 0.5]);
        // Sorted: -5 1 2 3; the median halfway between 1 and 2, the lower quartile a quarter below 1 from -5.
        assert_eq!((summary.cash[0][2], summary.cash[0][1]), (1.5, -0.5));
        assert_eq!((summary.gap, summary.gap_tail, summary.worth, summary.worth_tail), (2.25, 5.0, 2.5, 1.0));
        assert_eq!(regret(&all[..2], &[outcome(2, &[], 0.0, None)].map(|one| Outcome { worth: 5.0, ..one })), Some(3.0));
        assert_eq!(regret(&all, &[]), None);
    }

    #[test]
    fn a_tail_of_thirty_is_one_and_a_half() {
        let values: Vec<f64> = (1..=30).map(f64::from).collect();
        assert!((tail(&values) - (1.0 + 0.5 * 2.0) / 1.5).abs() < 1e-12);
    }

    #[test]
    fn the_order_of_outcomes_does_not_matter() {
        let all: Vec<Outcome> = (0..40).map(|index| outcome(index, &[libm::sin(index as f64) * 1e3, 0.1], 0.3, None)).collect();
        let mut turned = all.clone();
        turned.rotate_left(17);
        turned.swap(3, 29);
        assert_eq!(Summary::of(&turned), Summary::of(&all));
    }
}
