//! What is left of an instance when its choices are made.

use crate::instance::{Instance, Series};

impl Instance {
    /// The instance with its choices made (by choice, 0 or 1) and none left: what is not signed is not there.
    #[must_use]
    pub fn signed(&self, taken: &[f64]) -> Self {
        let mut signed = self.clone();
        signed.choices.clear();
        signed.bars.retain(|bar| !matches!(bar.lifts, crate::Lifts::Choice(_)));
        let is_signed = |choice: Option<usize>| choice.is_none_or(|choice| taken.get(choice).is_some_and(|taken| *taken > 0.5));
        for fit in &mut signed.fits {
            if !is_signed(self.supplies[fit.supply].choice) {
                fit.open.clear();
            }
        }
        signed.supplies.iter_mut().for_each(|supply| supply.choice = None);
        for limit in &mut signed.limits {
            settle(&mut limit.most, taken);
            for (expansion, amounts) in &mut limit.expansions {
                if !is_signed(self.expansions[*expansion].choice) {
                    amounts.fill(0.0);
                }
            }
        }
        for expansion in &mut signed.expansions {
            if !is_signed(expansion.choice.take()) {
                expansion.per_month.fill(0.0);
            }
        }
        for floor in &mut signed.floors {
            settle(&mut floor.least, taken);
            settle(&mut floor.counted, taken);
            floor.counted_of.iter_mut().for_each(|(_, counted)| settle(counted, taken));
        }
        for credit in &mut signed.credits {
            if !is_signed(credit.choice.take()) {
                credit.granted.fill(0.0);
                credit.committed.fill(0.0);
            }
            for (choice, less) in core::mem::take(&mut credit.replaced) {
                credit.committed.iter_mut().zip(&less).for_each(|(committed, less)| *committed += taken[choice].round() * less);
            }
        }
        signed.ventures.iter_mut().flat_map(|venture| &mut venture.unfunded).for_each(|series| settle(series, taken));
        signed.treasury.events.iter_mut().for_each(|event| settle(&mut event.amounts, taken));
        signed
    }
}

fn settle(series: &mut Series, taken: &[f64]) {
    for (choice, amounts) in core::mem::take(&mut series.by_choice) {
        series.fixed.iter_mut().zip(&amounts).for_each(|(fixed, amount)| *fixed += taken[choice].round() * amount);
    }
}
