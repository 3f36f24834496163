//! Limits on dependence, after rounding: what rests on a party may be too much by what others were rounded down by.

use fleet::WorkloadId;

use super::Settling;
use super::flows::whole;
use super::speed::speed;
use crate::instance::{Cap, EventKind, On, Supply};
use crate::plan::{Flow, Plan};

/// More than this share is not rounding, and no use is taken away for it: the solver stands by it to its own tolerance.
const ROUNDING: f64 = 1e-4;

/// Takes off a month's flows on a party what its limits do not allow; returns what of training is not done therefore.
pub(super) fn keep(settling: &Settling<'_>, plan: &mut Plan, month: usize) -> Vec<(WorkloadId, i64)> {
    let mut undone = Vec::new();
    for cap in settling.instance.caps.iter().filter(|cap| (cap.months.0..cap.months.1).contains(&month) && cap.share < 1.0) {
        let (mut mine, mut all) = committed(settling, cap, month);
        let mut on = Vec::new();
        for (index, flow) in plan.flows.iter().enumerate().filter(|(_, flow)| plan.steps[flow.step].0 == month) {
            let Some((supply, weight)) = weight(settling, cap, flow) else { continue };
            all += weight * flow.quantity as f64;
            if supply.party == cap.party || supply.vendor == Some(cap.party) {
                mine += weight * flow.quantity as f64;
                on.push((index, weight));
            }
        }
        let mut over = (mine - cap.share * all) / (1.0 - cap.share);
        if over <= 0.0 || over > ROUNDING * all {
            continue;
        }
        for (index, weight) in on.into_iter().rev().filter(|(_, weight)| *weight > 0.0) {
            if over <= 0.0 {
                break;
            }
            let less = (whole(libm::ceil(over / weight)) + 1).min(plan.flows[index].quantity);
            over -= less as f64 * weight;
            undone.extend(take(settling, plan, index, less));
        }
    }
    plan.flows.retain(|flow| flow.quantity > 0);
    undone
}

/// What rests on the party, and in all, whatever is used.
fn committed(settling: &Settling<'_>, cap: &Cap, month: usize) -> (f64, f64) {
    if !cap.spend {
        return (0.0, 0.0);
    }
    let events = settling.instance.treasury.events.iter().filter(|event| event.kind == EventKind::Committed);
    let amounts = events.map(|event| (event.party == Some(cap.party), -event.amounts.at(month, &settling.answer.taken)));
    amounts.fold((0.0, 0.0), |(mine, all), (on, amount)| (if on { mine + amount } else { mine }, all + amount))
}

/// The supply that a flow is of.
fn supply_of<'a>(settling: &Settling<'a>, flow: &Flow) -> Option<&'a Supply> {
    let fleet = settling.fleet;
    let named = |supply: &&Supply| {
        let on = match supply.on {
            On::Pool(pool) => flow.pool.as_deref() == Some(fleet.pools.name(pool)),
            On::Tokens(endpoint) | On::Units(endpoint) => {
                flow.endpoint.as_deref() == Some(fleet.endpoints.name(endpoint)) && supply.on.unit() == flow.unit
            }
        };
        on && fleet.contracts.name(supply.contract) == flow.contract
    };
    settling.instance.supplies.iter().find(named)
}

/// That supply, and what a base unit of it counts.
fn weight<'a>(settling: &Settling<'a>, cap: &Cap, flow: &Flow) -> Option<(&'a Supply, f64)> {
    let supply = supply_of(settling, flow)?;
    let each = if cap.spend { supply.rate[flow.step] } else { supply.arithmetic };
    Some((supply, each / supply.base_units))
}

/// Takes so much off a flow, and off what its work got; of training, says which and how much.
fn take(settling: &Settling<'_>, plan: &mut Plan, index: usize, less: i64) -> Option<(WorkloadId, i64)> {
    let fleet = settling.fleet;
    let flow = plan.flows[index].clone();
    let workload = fleet.workloads.id(&flow.workload)?;
    let supply = supply_of(settling, &flow)?;
    let quantity = flow.quantity - less;
    let done = speed(fleet, supply.contract, supply.on, workload)?.done(quantity);
    (plan.flows[index].quantity, plan.flows[index].done) = (quantity, done);
    let mut undone = flow.done - done;
    if matches!(fleet.workloads[workload].kind, fleet::WorkloadKind::Training { .. }) {
        return Some((workload, undone));
    }
    // The tier that may wait most gives up first.
    let rows = plan.served.iter_mut().filter(|row| row.step == flow.step && row.workload == flow.workload);
    for row in rows {
        let given = undone.min(row.served);
        (row.served, undone) = (row.served - given, undone - given);
    }
    None
}
