//! Changing amounts of which part depends on what is signed.

use crate::instance::Series;

impl Series {
    /// What there is whatever is signed, and then what each choice adds.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Vec<f64>> {
        core::iter::once(&self.fixed).chain(self.by_choice.iter().map(|(_, amounts)| amounts))
    }

    pub(super) fn parts_mut(&mut self) -> impl Iterator<Item = &mut Vec<f64>> {
        core::iter::once(&mut self.fixed).chain(self.by_choice.iter_mut().map(|(_, amounts)| amounts))
    }

    /// The part that `choice` adds, or the fixed one.
    pub(super) fn part(&self, choice: Option<usize>) -> Option<&Vec<f64>> {
        match choice {
            None => Some(&self.fixed),
            Some(choice) => self.by_choice.iter().find(|(of, _)| *of == choice).map(|(_, amounts)| amounts),
        }
    }

    /// Reworks each part, given what it was in `base`. A choice that takes away from what is there takes the same share of what is left of it.
    pub(super) fn rework(&mut self, base: &Self, rework: impl Fn(&mut [f64], &[f64])) {
        rework(&mut self.fixed, &base.fixed);
        for ((_, now), (_, was)) in self.by_choice.iter_mut().zip(&base.by_choice) {
            rework(now, was);
            for (step, amount) in now.iter_mut().enumerate().filter(|(step, _)| was[*step] < 0.0) {
                *amount = was[step] * if base.fixed[step] > 0.0 { self.fixed[step] / base.fixed[step] } else { 1.0 };
            }
        }
    }

    /// Each part times a share of its own.
    pub(super) fn lower(&mut self, share: impl Fn(Option<usize>) -> f64) {
        let parts = core::iter::once((None, &mut self.fixed)).chain(self.by_choice.iter_mut().map(|(choice, of)| (Some(*choice), of)));
        parts.for_each(|(choice, amounts)| amounts.iter_mut().for_each(|amount| *amount *= share(choice)));
    }

    /// One amount of each part times a share of its own.
    pub(super) fn lower_in(&mut self, index: usize, share: impl Fn(Option<usize>) -> f64) {
        self.fixed[index] *= share(None);
        self.by_choice.iter_mut().for_each(|(choice, amounts)| amounts[index] *= share(Some(*choice)));
    }

    /// Nothing from `from` on.
    pub(super) fn stop(&mut self, from: usize) {
        self.parts_mut().for_each(|amounts| amounts[from..].fill(0.0));
    }

    /// As `base` again.
    pub(super) fn restore(&mut self, base: &Self) {
        self.parts_mut().zip(base.parts()).for_each(|(now, base)| now.copy_from_slice(base));
    }
}
