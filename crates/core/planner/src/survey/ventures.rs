//! Joint ventures: what is paid in bounds the power that they can deliver. And limits on dependence.

use fleet::{CapacityOf, Contract, Of, Status, Venture};
use units::{Instant, Span};

use crate::instance::{Cap, Event, EventKind, LimitKind, Series, VentureFunds};
use crate::survey::ground::{Ground, money, part};
use crate::survey::limits::Bound;
use crate::survey::months::{micros, share};
use crate::survey::treasury::amounts;

/// Every venture's means; lowers the limits that it can't pay for.
pub(crate) fn ventures(ground: &Ground<'_>, bounds: &mut [Bound]) -> Vec<VentureFunds> {
    ground.fleet.ventures.iter().map(|(name, venture)| funds(ground, name, venture, bounds)).collect()
}

fn funds(ground: &Ground<'_>, name: &str, venture: &Venture, bounds: &mut [Bound]) -> VentureFunds {
    let of_venture = |contract: &Contract| contract.party == venture.party;
    let power = |bound: &Bound| {
        let clause = bound.clause.is_some_and(|(_, of)| matches!(of, CapacityOf::Power(_)));
        clause && matches!(bound.limit.kind, LimitKind::Contract(contract) if of_venture(&ground.fleet.contracts[contract]))
    };
    let mut limits: Vec<usize> = (0..bounds.len()).filter(|limit| power(&bounds[*limit])).collect();
    limits.sort_by_key(|limit| bounds[*limit].limit.kind);
    let unfunded: Vec<Series> = limits.iter().map(|limit| bounds[*limit].limit.most.clone()).collect();
    let mut left = funded(ground, venture);
    for group in limits.chunk_by(|a, b| bounds[*a].limit.kind == bounds[*b].limit.kind).map(<[usize]>::to_vec).collect::<Vec<_>>() {
        let mut taken = vec![0.0_f64; left.len()];
        for (limit, at) in group.iter().map(|limit| (limit, limits.iter().position(|it| it == limit))) {
            let Some(whole) = at.map(|at| &unfunded[at]) else { continue };
            let ramp = whole.by_choice.iter().fold(whole.fixed.clone(), |mut sum, (_, more)| {
                sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more.max(0.0));
                sum
            });
            taken.iter_mut().zip(ramp).for_each(|(taken, ramp)| *taken = taken.max(ramp));
            bounds[*limit].limit.most = within(whole, &left);
        }
        left.iter_mut().zip(taken).for_each(|(left, taken)| *left = (*left - taken).max(0.0));
    }
    VentureFunds {
        name: name.to_owned(),
        limits,
        unfunded,
        cost: cost_per_megawatt(venture),
        lead: usize::try_from(venture.lead_months).unwrap_or(usize::MAX),
        leverage: part(venture.leverage),
        paid: paid(ground, venture),
    }
}

/// A series that is nowhere above what is left.
fn within(whole: &Series, left: &[f64]) -> Series {
    let fixed: Vec<f64> = whole.fixed.iter().zip(left).map(|(amount, left)| amount.min(*left)).collect();
    let with = |more: &[f64]| -> Vec<f64> {
        let sums = whole.fixed.iter().zip(more).map(|(amount, more)| amount + more);
        sums.zip(left).zip(&fixed).map(|((sum, left), fixed)| sum.min(*left) - fixed).collect()
    };
    let by_choice = whole.by_choice.iter().map(|(choice, more)| (*choice, with(more))).collect();
    Series { fixed, by_choice }
}

fn cost_per_megawatt(venture: &Venture) -> f64 {
    money(venture.cost_per_watt.money) / venture.cost_per_watt.per as f64 * 1e6
}

/// Megawatt-hours of each step that are paid for.
fn funded(ground: &Ground<'_>, venture: &Venture) -> Vec<f64> {
    let calendar = super::months::calendar(ground.fleet);
    let cost = cost_per_megawatt(venture);
    let megawatts = |month: usize| {
        let lead = i64::from(venture.lead_months);
        let index = i64::try_from(month).unwrap_or(i64::MAX);
        let by = calendar.as_ref().map_or(Instant::MIN, |calendar| calendar.boundary(index - lead + 1));
        let paid: f64 = venture.stakes.iter().map(|stake| paid_by(ground, stake, by)).sum();
        // Whole watts, as the plan counts them.
        if cost > 0.0 { libm::floor((1.0 + part(venture.leverage)) * paid / cost * 1e6) / 1e6 } else { f64::INFINITY }
    };
    let months: Vec<f64> = (0..ground.horizon.months.len()).map(megawatts).collect();
    ground.horizon.by_step(|month, step| months[month] * step.hours)
}

/// What of a stake is paid before `by`, at the rate of its last payment before then (before the plan, of the plan's beginning).
fn paid_by(ground: &Ground<'_>, stake: &fleet::Stake, by: Instant) -> f64 {
    let part = share(micros(stake.span.overlap(Span { from: Instant::MIN, to: by })), micros(stake.span));
    let at = by.min(stake.span.to).max(ground.horizon.span().from);
    money(stake.amount.money) * part * ground.worth(stake.amount.currency, at)
}

fn paid(ground: &Ground<'_>, venture: &Venture) -> Vec<(Option<fleet::PartyId>, Vec<f64>)> {
    let by_month = |stake| ground.horizon.months.iter().map(|month| paid_by(ground, stake, month.span.to)).collect();
    venture.stakes.iter().map(|stake| (stake.party, by_month(stake))).collect()
}

/// What the lab itself pays into ventures.
pub(crate) fn stakes(ground: &Ground<'_>) -> Vec<Event> {
    let own = ground.fleet.ventures.iter().flat_map(|(name, venture)| venture.stakes.iter().map(move |stake| (name, venture, stake)));
    let own = own.filter(|(.., stake)| stake.party.is_none());
    let events = own.map(|(name, venture, stake)| {
        let paid: Vec<f64> = amounts(ground, stake.span, stake.amount).iter().map(|amount| -amount).collect();
        let amounts = match founding(ground, venture) {
            None => Series { fixed: paid, by_choice: Vec::new() },
            Some(choices) => {
                Series { fixed: vec![0.0; paid.len()], by_choice: choices.into_iter().map(|choice| (choice, paid.clone())).collect() }
            }
        };
        Event {
            name: format!("stake in {name}"),
            kind: EventKind::Stake,
            party: Some(venture.party),
            contract: None,
            likelihood: 1.0,
            amounts,
        }
    });
    events.filter(|event| !super::charges::nothing(&event.amounts)).collect()
}

/// The choices without which the lab pays nothing into a venture: where its one contract with the venture is an offer.
fn founding(ground: &Ground<'_>, venture: &Venture) -> Option<Vec<usize>> {
    let mut with = ground.fleet.contracts.iter().filter(|(.., terms)| terms.party == venture.party);
    let (contract, _, terms) = with.next()?;
    let offered = terms.status == Status::Discussed && terms.offer.is_some() && with.next().is_none();
    let choices = ground.choices.iter().enumerate().filter(|(_, choice)| choice.contract == contract);
    offered.then(|| choices.map(|(index, _)| index).collect())
}

/// Limits on dependence that hold in some month of the plan.
pub(crate) fn caps(ground: &Ground<'_>) -> Vec<Cap> {
    let fleet = ground.fleet;
    let caps = fleet.caps.iter().map(|cap| {
        let months = ground.horizon.months_in(cap.span);
        let of = if cap.of == Of::Spend { "spend" } else { "work" };
        let name = format!("at most {} of {of} on {}", cap.share, fleet.parties.name(cap.party));
        Cap { name, party: cap.party, share: part(cap.share), spend: cap.of == Of::Spend, months: (months.start, months.end) }
    });
    caps.filter(|cap| cap.months.0 < cap.months.1).collect()
}
