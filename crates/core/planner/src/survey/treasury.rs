//! Cash, and the money that moves it wherever work goes.

use fleet::CashEvent;
use units::{Amount, Span};

use crate::instance::{Debt, Event, EventKind, Series, Treasury, Window};
use crate::survey::ground::{Ground, money, part};
use crate::survey::limits::{Held, idle_watts};
use crate::survey::periods::before;
use crate::survey::supplies::watt_hour;

/// What a raise costs more that can surely not be had: of two that cost as much the likelier is taken first.
const UNLIKELY: f64 = 1e-6;

/// Cash, debt, raises and all other money, those of contracts and ventures with them.
pub(crate) fn treasury(ground: &Ground<'_>, held: &[Held], more: Vec<Event>) -> Treasury {
    let (fleet, horizon) = (ground.fleet, ground.horizon);
    let finance = &fleet.finance;
    let month_ends = || horizon.months.iter().map(|month| before(month.span.to));
    let floor = |at| finance.floor.map_or(0.0, |floor| money(floor.money) * ground.worth(floor.currency, at));
    let cash = finance.cash.map_or(0.0, |(_, cash)| money(cash.money) * ground.worth(cash.currency, horizon.span().from));
    let mut events = Vec::new();
    let whole = finance.raises.iter().filter(|raise| raise.terms.cost.is_none());
    let revenue = finance.revenue.iter().filter(|event| event.terms.earned_by.is_none());
    events.extend(revenue.filter_map(|it| event(ground, it, EventKind::Revenue, 1.0)));
    events.extend(whole.filter_map(|it| event(ground, it, EventKind::Raise, 1.0)));
    events.extend(finance.costs.iter().filter_map(|it| event(ground, it, EventKind::Cost, -1.0)));
    events.extend(more);
    events.extend(idle_energy(ground, held));
    let debt = finance.debt.as_ref().map(|debt| Debt {
        lender: debt.lender,
        owed: money(debt.owed),
        limit: month_ends().map(|at| debt.limit.at(at).map_or(0.0, money)).collect(),
        rate: part(debt.rate) / 12.0,
        covenant: debt.covenant.map(part),
    });
    Treasury {
        cash,
        floor: month_ends().map(floor).collect(),
        interest: part(finance.interest) / 12.0,
        bound: finance.cash.is_some(),
        debt,
        windows: finance.raises.iter().filter_map(|raise| window(ground, raise)).collect(),
        events,
    }
}

/// An amount that is even over a span, by month, in the fleet's currency by the rate of the last instant that each month has of it.
pub(crate) fn amounts(ground: &Ground<'_>, span: Span, amount: Amount) -> Vec<f64> {
    let mut months = ground.horizon.spread(span, money(amount.money));
    for (amount_in, month) in months.iter_mut().zip(&ground.horizon.months).filter(|(amount, _)| **amount != 0.0) {
        *amount_in *= ground.worth(amount.currency, before(month.span.to.min(span.to)));
    }
    months
}

fn event(ground: &Ground<'_>, event: &CashEvent, kind: EventKind, sign: f64) -> Option<Event> {
    let fixed: Vec<f64> = amounts(ground, event.span, event.amount).iter().map(|amount| sign * amount).collect();
    fixed.iter().any(|amount| *amount != 0.0).then(|| Event {
        name: event.name.clone(),
        kind,
        party: event.party,
        contract: None,
        likelihood: part(event.terms.likelihood),
        amounts: Series { fixed, by_choice: Vec::new() },
    })
}

/// A raise that is taken as needed, while it is open.
fn window(ground: &Ground<'_>, raise: &CashEvent) -> Option<Window> {
    let cost = raise.terms.cost?;
    let open = ground.horizon.months_in(raise.span);
    let first = ground.horizon.months.get(open.start).filter(|_| !open.is_empty())?;
    let at = raise.span.from.max(first.span.from);
    Some(Window {
        name: raise.name.clone(),
        party: raise.party,
        open: (open.start, open.end),
        most: money(raise.amount.money) * ground.worth(raise.amount.currency, at),
        cost: part(cost) + UNLIKELY * (1.0 - part(raise.terms.likelihood)),
        likelihood: part(raise.terms.likelihood),
    })
}

/// What accelerators that are held take while nothing runs on them.
fn idle_energy(ground: &Ground<'_>, held: &[Held]) -> Vec<Event> {
    let fleet = ground.fleet;
    let mut events = Vec::new();
    for held in held {
        let hour = idle_watts(fleet, held.pool) * watt_hour(fleet, held.pool);
        if hour == 0.0 {
            continue;
        }
        let deal = &ground.deals[held.deal];
        let cost = |means: &[f64]| means.iter().zip(&ground.horizon.months).map(|(mean, month)| -mean * month.hours * hour).collect();
        let by_choice = held.means.by_choice.iter().map(|(choice, means)| (*choice, cost(means))).collect();
        events.push(Event {
            name: format!("idle energy of {} on {}", deal.name, fleet.pools.name(held.pool)),
            kind: EventKind::Energy,
            party: fleet.sites[fleet.pools[held.pool].site].operator,
            contract: Some(deal.contract),
            likelihood: 1.0,
            amounts: Series { fixed: cost(&held.means.fixed), by_choice },
        });
    }
    events
}
