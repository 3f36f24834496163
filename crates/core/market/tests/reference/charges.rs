//! Section 3 of the page: what rates and overflow charge in each billing period.

use fleet::{Charge, ContractId, Meter, Overflow, RateClause, TierKind};
use market::Clause;
use units::{Money, Rate};

use crate::capacity::capacity_of;
use crate::division::{cost, rounded};
use crate::model::Reference;
use crate::periods::{Stretch, whole_intervals};

/// How often a rate may escalate, and to how much.
const ESCALATIONS_MAX: u32 = 1_000;
const ESCALATED_NANOS_MAX: i128 = 1_000_000_000 * 1_000_000_000;

/// One line of section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// Which clause, and tier.
    pub clause: Clause,
    /// On which meter.
    pub meter: Meter,
    /// The part of `Q` that it charges.
    pub quantity: i128,
    /// Nano-units.
    pub money: i128,
}

/// Whether what is charged is what was held, or what was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// As the bill says.
    Held,
    /// As a floor on the basis `use` counts.
    Used,
}

impl Reference<'_> {
    /// What was posted as held and as used to a meter in a period.
    fn posted(&self, id: ContractId, meter: Meter, period: Stretch) -> (i128, i128) {
        let here = self.usages.iter().filter(|usage| usage.contract == id && usage.meter == meter && period.holds(usage.at));
        here.fold((0, 0), |(held, used), usage| (held + i128::from(usage.held.count()), used + i128::from(usage.used.count())))
    }

    /// Delivered capacity times time, in base units.
    fn committed(&self, id: ContractId, meter: Meter, period: Stretch) -> i128 {
        let time = capacity_of(meter).map(|of| self.capacity_time(id, of, period.from, period.to).delivered);
        rounded(time.unwrap_or(0), 1, 1000)
    }

    fn quantity(&self, id: ContractId, clause: &RateClause, period: Stretch, measure: Measure) -> i128 {
        let (held, used) = self.posted(id, clause.meter, period);
        match (clause.charge, measure) {
            (Charge::Metered, Measure::Held) => held.max(0),
            (Charge::Metered, Measure::Used) => used.max(0),
            (Charge::Committed, Measure::Held) => self.committed(id, clause.meter, period),
            (Charge::Committed, Measure::Used) => used.max(0).min(self.committed(id, clause.meter, period)),
        }
    }

    /// The charges of section 3, period by period.
    pub fn charges(&self, id: ContractId, periods: &[Stretch], measure: Measure) -> Vec<Vec<Charged>> {
        let contract = &self.fleet.contracts[id];
        let mut rows = vec![Vec::new(); periods.len()];
        for (index, clause) in contract.rates.iter().enumerate() {
            let mut before = 0;
            for (row, period) in rows.iter_mut().zip(periods) {
                let quantity = self.quantity(id, clause, *period, measure);
                for (tier, part) in parts(clause, if clause.over_term { before } else { 0 }, quantity) {
                    let money = cost(self.escalated(id, clause, tier, *period), part);
                    row.push(Charged { clause: Clause::Rates { index, tier }, meter: clause.meter, quantity: part, money });
                }
                before += quantity;
            }
        }
        if let Some(Overflow::AtRate(rate)) = contract.overflow {
            let mut meters: Vec<Meter> =
                contract.rates.iter().filter(|clause| clause.charge == Charge::Committed).map(|clause| clause.meter).collect();
            meters.sort_unstable();
            meters.dedup();
            for (row, period) in rows.iter_mut().zip(periods) {
                for meter in &meters {
                    let over = self.posted(id, *meter, *period).0 - self.committed(id, *meter, *period);
                    if over > 0 {
                        row.push(Charged { clause: Clause::Overflow, meter: *meter, quantity: over, money: cost(rate, over) });
                    }
                }
            }
        }
        rows
    }

    fn escalated(&self, id: ContractId, clause: &RateClause, tier: usize, period: Stretch) -> Rate {
        let contract = &self.fleet.contracts[id];
        let Rate { money, per } = clause.tiers[tier].rate;
        let mut nanos = money.nanos();
        if let Some(escalation) = clause.escalation {
            let times = whole_intervals(contract.calendar.zone(), contract.term.from, escalation.every, period.from);
            for _ in 0..times.min(ESCALATIONS_MAX) {
                nanos = (nanos + rounded(nanos, i128::from(escalation.by.ppm()), 1_000_000)).min(ESCALATED_NANOS_MAX);
            }
        }
        Rate { money: Money::from_nanos(nanos), per }
    }
}

/// How a quantity that comes after `before` falls on the tiers: each tier with a part above zero.
fn parts(clause: &RateClause, before: i128, quantity: i128) -> Vec<(usize, i128)> {
    let from = |tier: usize| clause.tiers.get(tier).map_or(i128::MAX, |tier| i128::from(tier.from.count()));
    let end = before + quantity;
    match clause.kind {
        _ if quantity == 0 => Vec::new(),
        TierKind::Volume => {
            (0..clause.tiers.len()).rev().find(|tier| from(*tier) <= end).map(|tier| (tier, quantity)).into_iter().collect()
        }
        TierKind::Graduated => {
            let mut filled = before;
            let mut found = Vec::new();
            for tier in 0..clause.tiers.len() {
                let part = end.min(from(tier + 1)) - filled;
                if part > 0 {
                    found.push((tier, part));
                    filled += part;
                }
            }
            found
        }
    }
}
