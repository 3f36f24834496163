//! What became of the requests of a scene.

use std::fmt;
use std::ops::AddAssign;

use fleet::{Fleet, ServiceTier, WorkloadKind};
use units::Money;

/// So much of what is paid for anyway has to be taken before one tier's requests go elsewhere.
const USED_LEAST: f64 = 0.98;

/// What became of the requests of one tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfTier {
    /// Answered from what is paid for anyway.
    pub prepaid: u64,
    /// Answered by what is paid by use.
    pub spilled: u64,
    /// Of both, first content later than the class's target.
    pub late: u64,
    /// Weighted tokens of those answered from what is paid for anyway.
    pub prepaid_weight: i64,
    /// What was paid by use, and what late first content cost.
    pub cost: Money,
}

/// Requests of lower tiers that were sent elsewhere though what is paid for anyway had room, if only in its line: kept for `priority`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headroom {
    /// How many went elsewhere.
    pub requests: u64,
    /// Their weighted tokens.
    pub weight: i64,
    /// What they were paid for by use.
    pub money: Money,
}

/// What a policy that keeps headroom does better than one that keeps none, over the same load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// More `priority` requests answered from what is paid for anyway; fewer, where they don't stand in line for it either.
    pub requests: i64,
    /// More weighted tokens of theirs.
    pub weight: i64,
    /// Fewer late ones.
    pub late: i64,
    /// Less paid for `priority` by use and for being late.
    pub money: Money,
    /// The same for all tiers: what is left of it once the others have gone elsewhere.
    pub in_all: Money,
}

/// How one request was answered.
pub(super) struct Answered {
    pub prepaid: bool,
    pub first_us: i64,
    pub weight: i64,
    pub cached: u32,
    pub paid: Money,
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
    /// What was kept for `priority`.
    pub kept: Headroom,
    /// Tokens of prompts that an endpoint held.
    pub cached: u64,
    /// Requests that were put in line though another endpoint had a free slot.
    pub waits_while_free: u64,
    /// Requests at which an endpoint had neither slot nor room in line while another had a free slot.
    pub full_while_free: u64,
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

    /// Requests whose first content was later than their class's target.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.late).sum()
    }

    /// Requests that were answered.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.prepaid + tier.spilled).sum()
    }

    /// What is held against the policy in every scene, in words; what is paid for anyway has to be used up first where all requests are of one
    /// tier.
    #[must_use]
    pub fn falls_short(&self, has_one_tier: bool) -> Option<String> {
        let used = self.used_at_spill_least.unwrap_or(1.0);
        if self.refused_with_room > 0 {
            return Some(format!("{} requests were refused though an endpoint had room", self.refused_with_room));
        }
        (has_one_tier && used < USED_LEAST).then(|| format!("only {:.2} % of what is paid anyway was taken at a spill", used * 100.0))
    }

    /// What was saved by keeping headroom, beside what a policy that keeps none made of the same load.
    #[must_use]
    pub fn saved(&self, without: &Self) -> Saved {
        let [own, other] = [self, without].map(|figures| figures.tiers[ServiceTier::Priority as usize]);
        let more = |own: u64, other: u64| i64::try_from(own).unwrap_or(i64::MAX) - i64::try_from(other).unwrap_or(i64::MAX);
        Saved {
            requests: more(own.prepaid, other.prepaid),
            weight: own.prepaid_weight - other.prepaid_weight,
            late: more(other.late, own.late),
            money: other.cost - own.cost,
            in_all: without.paid + without.missed - self.paid - self.missed,
        }
    }

    pub(super) fn answered(&mut self, fleet: &Fleet, tier: ServiceTier, answer: &Answered) {
        let mut classes = fleet.workloads.iter().filter_map(|(.., workload)| match &workload.kind {
            WorkloadKind::Serving { classes, .. } => classes.iter().find(|class| class.tier == tier),
            _ => None,
        });
        let late = classes.next().filter(|class| i128::from(answer.first_us) > i128::try_from(class.ttft.as_micros()).unwrap_or(i128::MAX));
        let missed = late.and_then(|class| class.miss).unwrap_or(Money::ZERO);
        let of = &mut self.tiers[tier as usize];
        if answer.prepaid {
            of.prepaid += 1;
            of.prepaid_weight += answer.weight;
        } else {
            of.spilled += 1;
        }
        of.late += u64::from(late.is_some());
        of.cost += answer.paid + missed;
        self.paid += answer.paid;
        self.missed += missed;
        self.cached += u64::from(answer.cached);
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
        if self.cached > 0 {
            writeln!(
                f,
                "  {} tokens were held where they were sent; {} requests waited while another endpoint had a free slot, {} came while one was full",
                self.cached, self.waits_while_free, self.full_while_free
            )?;
        }
        write!(f, "  paid by use {} USD, late answers cost {} USD", self.paid, self.missed)
    }
}

impl AddAssign for Headroom {
    fn add_assign(&mut self, more: Self) {
        self.requests += more.requests;
        self.weight += more.weight;
        self.money += more.money;
    }
}

impl fmt::Display for Headroom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, weight, money } = self;
        write!(
            f,
            "  kept for priority: {requests} others ({weight} weighted tokens) went past room at what is paid anyway, if only in line, for {money} USD"
        )
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, weight, late, money, in_all } = self;
        write!(
            f,
            "  that saved, beside the policy without: {late} late answers of priority fewer, {requests:+} of it ({weight:+} weighted tokens) on what is paid \
             anyway, {money} USD; {in_all} USD over all tiers"
        )
    }
}
