//! What is owed for capacity, when less of it is delivered.

use fleet::ContractId;

use super::shape::Shape;
use crate::instance::{EventKind, Instance, Limit, Series};

/// Committed charges follow the capacity that is delivered, and floors that are abated shrink with it.
pub(super) fn recommit(base: &Instance, now: &mut Instance, shape: &Shape) {
    let limits = Limits { base: &base.limits, now: &now.limits, shape };
    for charge in shape.charges.iter().filter(|charge| limits.changed(charge.contract)) {
        let was = &base.treasury.events[charge.event].amounts;
        let is = &mut now.treasury.events[charge.event].amounts;
        let (was, is, choice) = match charge.choice {
            None => (&was.fixed, &mut is.fixed, None),
            Some(part) => (&was.by_choice[part].1, &mut is.by_choice[part].1, Some(was.by_choice[part].0)),
        };
        for months in &charge.periods {
            is[months.1 - 1] = was[months.1 - 1] * limits.kept(charge.contract, choice, *months);
        }
    }
    for (is, was) in now.treasury.events.iter_mut().zip(&base.treasury.events).filter(|(_, was)| was.kind == EventKind::Energy) {
        let Some(contract) = was.contract.filter(|contract| limits.changed(*contract)) else { continue };
        for month in 0..base.months.len() {
            is.amounts.lower_in(month, |choice| limits.kept(contract, choice, (month, month + 1)));
        }
    }
    for (credit, was) in now.credits.iter_mut().zip(&base.credits).filter(|(credit, _)| limits.changed(credit.contract)) {
        for charge in shape.charges.iter().filter(|charge| charge.contract == was.contract) {
            for months in charge.periods.iter().filter(|months| was.committed[months.1 - 1] > 0.0) {
                credit.committed[months.1 - 1] = was.committed[months.1 - 1] * limits.kept(was.contract, was.choice, *months);
            }
        }
    }
    for (contract, floors) in shape.contract_floors.iter().filter(|(contract, _)| limits.changed(**contract)) {
        for index in floors {
            let (floor, was) = (&mut now.floors[*index], &base.floors[*index]);
            let months = (shape.floor_from[*index], was.last + 1);
            if was.contract == *contract {
                let mut own = was.counted.clone();
                was.counted_of.iter().for_each(|(_, counted)| lower(&mut own, counted, |_| 0.0));
                lower(&mut floor.counted, &own, |choice| limits.kept(*contract, choice, months));
            }
            for (_, counted) in was.counted_of.iter().filter(|(of, _)| of == contract) {
                lower(&mut floor.counted, counted, |choice| limits.kept(*contract, choice, months));
            }
        }
    }
    for (index, limit) in shape.abated.iter().filter(|(_, limit)| shape.touched[*limit]) {
        let months = (shape.floor_from[*index], base.floors[*index].last + 1);
        now.floors[*index].least.lower(|choice| limits.share(*limit, choice, months));
    }
}

/// Takes off the one number of each part of `series` what is not kept of `part`.
fn lower(series: &mut Series, part: &Series, kept: impl Fn(Option<usize>) -> f64) {
    series.fixed[0] -= part.fixed[0] * (1.0 - kept(None));
    for (choice, amounts) in &mut series.by_choice {
        if let Some(part) = part.part(Some(*choice)) {
            amounts[0] -= part[0] * (1.0 - kept(Some(*choice)));
        }
    }
}

struct Limits<'a> {
    base: &'a [Limit],
    now: &'a [Limit],
    shape: &'a Shape,
}

impl Limits<'_> {
    fn of(&self, contract: ContractId) -> &[usize] {
        self.shape.contract_limits.get(&contract).map_or(&[], Vec::as_slice)
    }

    fn changed(&self, contract: ContractId) -> bool {
        self.of(contract).iter().any(|limit| self.shape.touched[*limit])
    }

    /// The share of a contract's capacity that is left in months `from..to`.
    fn kept(&self, contract: ContractId, choice: Option<usize>, months: (usize, usize)) -> f64 {
        let steps = self.shape.firsts[months.0]..self.shape.firsts[months.1];
        let sum = |limits: &[Limit]| {
            let own = self.of(contract).iter();
            own.filter_map(|limit| limits[*limit].most.part(choice)).map(|amounts| amounts[steps.clone()].iter().sum::<f64>()).sum::<f64>()
        };
        ratio(sum(self.now), sum(self.base))
    }

    /// The share of one limit that is left in months `from..to`.
    fn share(&self, limit: usize, choice: Option<usize>, months: (usize, usize)) -> f64 {
        let steps = self.shape.firsts[months.0]..self.shape.firsts[months.1];
        let sum = |limit: &Limit| limit.most.part(choice).map_or(0.0, |amounts| amounts[steps.clone()].iter().sum::<f64>());
        ratio(sum(&self.now[limit]), sum(&self.base[limit]))
    }
}

fn ratio(now: f64, base: f64) -> f64 {
    if base > 0.0 { (now / base).clamp(0.0, 1.0) } else { 1.0 }
}
