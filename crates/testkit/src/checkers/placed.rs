//! I4 and I6: what is held and placed. Nothing places jobs yet: for I4 the replicas' held time is looked at, and I6 stands ready.

use std::collections::{BTreeMap, BTreeSet};

use dispatch::HeldTime;
use fleet::{AcceleratorId, Fleet, Meter, PoolId, SiteId};
use units::{Instant, Span};

use super::{Breach, Invariant};

/// A placement of a job's gang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gang {
    /// Which job.
    pub job: u64,
    /// Which of its placements: each fences off the one before.
    pub generation: u64,
    /// Accelerators that it needs, all or none.
    pub needs: u32,
    /// Accelerators that it has.
    pub has: u32,
    /// While it was live.
    pub live: Span,
}

/// I4: at every instant no more accelerators are held than a pool has, and they take no more power than their site may.
#[must_use]
pub fn check_held(fleet: &Fleet, held: &[HeldTime]) -> Vec<Breach> {
    let uses: Vec<Use> = held.iter().flat_map(|held| uses(fleet, held)).collect();
    let instants: BTreeSet<Instant> = uses.iter().map(|used| used.span.from).collect();
    let mut breaches = Vec::new();
    for at in instants {
        let (mut pools, mut sites): (BTreeMap<PoolId, i64>, BTreeMap<SiteId, i128>) = Default::default();
        for used in uses.iter().filter(|used| used.span.contains(at)) {
            let site = fleet.pools[used.pool].site;
            let watts = i128::from(used.count) * i128::from(fleet.accelerators[used.accelerator].power.count());
            *pools.entry(used.pool).or_default() += used.count;
            *sites.entry(site).or_default() += watts * i128::from(fleet.sites[site].pue_ppm);
        }
        for (pool, count) in pools {
            let most = fleet.pools[pool].count.at(at).unwrap_or(0);
            if count > most {
                breaches.push(format!("pool {} holds {count} of {most} at {at}", fleet.pools.name(pool)));
            }
        }
        for (site, watts) in sites {
            let most = i128::from(fleet.sites[site].power.at(at).unwrap_or(0)) * 1_000_000;
            if watts > most {
                breaches.push(format!("site {} takes {watts} of {most} microwatts at {at}", fleet.sites.name(site)));
            }
        }
    }
    breaches.into_iter().map(|what| Breach::new(Invariant::I4, what)).collect()
}

struct Use {
    pool: PoolId,
    accelerator: AcceleratorId,
    count: i64,
    span: Span,
}

/// The accelerators that a span of held time comes to; a part of one counts as one.
fn uses(fleet: &Fleet, held: &HeldTime) -> Vec<Use> {
    let Some(pool) = fleet.endpoints[held.endpoint].pool else { return Vec::new() };
    let length = i64::try_from(held.span.length().as_millis()).unwrap_or(i64::MAX).max(1);
    let of = |usage: &market::Usage| match usage.meter {
        Meter::AcceleratorTime(accelerator) => {
            let count = usage.held.count().max(0).cast_unsigned().div_ceil(length.cast_unsigned());
            Some(Use { pool, accelerator, count: i64::try_from(count).unwrap_or(i64::MAX), span: held.span })
        }
        _ => None,
    };
    held.usage.iter().filter_map(of).collect()
}

/// I6: every gang has all that it needs or nothing, and no job has two placements that are live at once or out of their order.
#[must_use]
pub fn check_gangs(gangs: &[Gang]) -> Vec<Breach> {
    let mut found = Vec::new();
    for gang in gangs.iter().filter(|gang| gang.has != 0 && gang.has != gang.needs) {
        found.push(format!("job {} has {} of {} accelerators", gang.job, gang.has, gang.needs));
    }
    let mut ordered: Vec<&Gang> = gangs.iter().filter(|gang| gang.has > 0).collect();
    ordered.sort_unstable_by_key(|gang| (gang.job, gang.generation));
    for pair in ordered.windows(2).filter(|pair| pair[0].job == pair[1].job) {
        if pair[1].generation == pair[0].generation || pair[1].live.from < pair[0].live.to {
            found.push(format!("job {} is placed twice at {}", pair[1].job, pair[1].live.from));
        }
    }
    found.into_iter().map(|what| Breach::new(Invariant::I6, what)).collect()
}
