//! What became of the requests of a scene.

use std::fmt;

use fleet::{Fleet, ServiceTier, WorkloadKind};
use units::Money;

/// What became of the requests of one tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfTier {
    /// Answered from what is paid for anyway.
    pub prepaid: u64,
    /// Answered by what is paid by use.
    pub spilled: u64,
    /// Of both, first content later than the class's target.
    pub late: u64,
}

/// What became of the requests of a scene.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// By tier: flex, default, priority.
    pub tiers: [OfTier; 3],
    /// Refused, as nothing had room.
    pub refused: u64,
    /// Of these, though some endpoint had room for it, by the supplier's count and ours.
    pub refused_with_room: u64,
    /// Of these, though the supplier's units had room by its own count, which no gateway is told.
    pub refused_with_units: u64,
    /// Calls that a supplier answered with 429, and that moved on.
    pub refused_by_suppliers: u64,
    /// What was paid by use.
    pub paid: Money,
    /// What late first content cost, by the classes.
    pub missed: Money,
    /// Weighted tokens that units took.
    pub on_units: i64,
    /// How long the load took, in simulated seconds.
    pub seconds: i64,
    /// The share of what is paid for anyway that was taken, at the spill where it was least; `None` without spills.
    pub used_at_spill_least: Option<f64>,
    /// The same, added up over all spills.
    used_at_spill: f64,
}

impl Figures {
    /// The share of what is paid for anyway that was taken when a request went elsewhere, on average; `None` without spills.
    #[must_use]
    pub fn used_at_spill_mean(&self) -> Option<f64> {
        self.used_at_spill_least.map(|_| self.used_at_spill / self.spills() as f64)
    }

    /// Requests that went to what is paid by use.
    #[must_use]
    pub fn spills(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.spilled).sum()
    }

    /// Requests that were answered.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.prepaid + tier.spilled).sum()
    }

    pub(super) fn answered(&mut self, fleet: &Fleet, tier: ServiceTier, prepaid: bool, first_us: i64) {
        let mut classes = fleet.workloads.iter().filter_map(|(.., workload)| match &workload.kind {
            WorkloadKind::Serving { classes, .. } => classes.iter().find(|class| class.tier == tier),
            _ => None,
        });
        let class = classes.next().filter(|class| i128::from(first_us) > i128::try_from(class.ttft.as_micros()).unwrap_or(i128::MAX));
        let of = &mut self.tiers[tier as usize];
        let count = if prepaid { &mut of.prepaid } else { &mut of.spilled };
        *count += 1;
        of.late += u64::from(class.is_some());
        self.missed += class.and_then(|class| class.miss).unwrap_or(Money::ZERO);
    }

    pub(super) fn spilled_at(&mut self, used: f64) {
        self.used_at_spill += used;
        self.used_at_spill_least = Some(self.used_at_spill_least.map_or(used, |least| least.min(used)));
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |share: Option<f64>| share.map_or_else(|| "no spill".to_owned(), |share| format!("{:.2} %", share * 100.0));
        writeln!(
            f,
            "  answered {} in {} s of simulated time; refused {}, of these with room left {}, with room by the supplier's own count {}",
            self.answers(),
            self.seconds,
            self.refused,
            self.refused_with_room,
            self.refused_with_units
        )?;
        writeln!(
            f,
            "  taken of what is paid anyway at a spill: least {}, mean {}; 429s that moved on {}",
            share(self.used_at_spill_least),
            share(self.used_at_spill_mean()),
            self.refused_by_suppliers
        )?;
        for (name, tier) in ["flex", "default", "priority"].into_iter().zip(self.tiers).filter(|(_, tier)| tier.prepaid + tier.spilled > 0)
        {
            writeln!(f, "  {name}: {} from what is paid anyway, {} by use, {} late", tier.prepaid, tier.spilled, tier.late)?;
        }
        write!(f, "  paid by use {} USD, late answers cost {} USD", self.paid, self.missed)
    }
}
