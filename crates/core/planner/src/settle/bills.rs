//! What falls due: the plan's use as postings, and `market`'s statements of them.

use fleet::{ContractId, Fleet, Meter, Status, WorkloadKind};
use market::{Balances, Clause, Usage};
use units::{Instant, MeterUnit, Money, Quantity, Span, round_half_even};

use super::Settling;
use super::asked::month_of;
use super::speed::micros;
use crate::plan::{Due, Flow, Plan, Short};

/// Fills `due` and `shorts`. Answers what of prepayments is credited by month, in the fleet's currency.
pub(super) fn bill(settling: &Settling<'_>, plan: &mut Plan) -> Vec<Money> {
    let fleet = &settling.decided;
    let balances = balances(settling, plan);
    let mut credited = vec![Money::ZERO; plan.months.len()];
    let begin = plan.months.first().map_or(Instant::MAX, |month| month.span.from);
    for (contract, name, terms) in fleet.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed) {
        for period in market::periods(fleet, contract) {
            let last = Instant::from_micros(terms.period(period).to.micros() - 1);
            let Some(month) = month_of(plan, last).filter(|_| last >= begin) else { continue };
            let statement = market::statement(fleet, &balances, contract, period);
            let due = statement.due;
            let credits = statement.lines.iter().filter(|line| matches!(line.clause, Clause::Credit { .. }));
            let credits: Money = credits.map(|line| -line.money).sum();
            credited[month] += fleet.in_fleet_currency(credits, terms.currency, last).unwrap_or(credits);
            if due != Money::ZERO {
                let paid = fleet.in_fleet_currency(due, terms.currency, last).unwrap_or(due);
                plan.due.push(Due { contract: name.to_owned(), period, month, due, paid });
            }
            for clause in 0..terms.floors.len() {
                let lines = statement.lines.iter().filter(|line| line.clause == Clause::Shortfall { index: clause });
                let money: Money = lines.map(|line| line.money).sum();
                if money != Money::ZERO {
                    plan.shorts.push(Short { contract: name.to_owned(), clause, period, money });
                }
            }
        }
    }
    credited
}

/// All of the plan's use, posted to the billing periods that it falls in.
pub(super) fn balances(settling: &Settling<'_>, plan: &Plan) -> Balances {
    let fleet = &settling.decided;
    let mut balances = Balances::default();
    for flow in &plan.flows {
        let Some(contract) = fleet.contracts.id(&flow.contract) else { continue };
        let month = plan.months[plan.steps[flow.step].0].span;
        for (meter, quantity) in meters(fleet, contract, flow) {
            for (at, quantity) in split(fleet, contract, month, quantity) {
                let quantity = Quantity::new(quantity);
                balances.post(fleet, &Usage { contract, meter, at, held: quantity, used: quantity });
            }
        }
    }
    balances
}

/// What a flow is metered as: tokens by the workload's mix.
fn meters(fleet: &Fleet, contract: ContractId, flow: &Flow) -> Vec<(Meter, i64)> {
    if let Some(pool) = flow.pool.as_ref().and_then(|name| fleet.pools.id(name)) {
        return vec![(Meter::AcceleratorTime(fleet.pools[pool].accelerator), flow.quantity)];
    }
    let Some(endpoint) = flow.endpoint.as_ref().and_then(|name| fleet.endpoints.id(name)) else { return Vec::new() };
    let model = fleet.endpoints[endpoint].model;
    if flow.unit == MeterUnit::UnitMs {
        return vec![(Meter::UnitTime(model), flow.quantity)];
    }
    let workload = fleet.workloads.id(&flow.workload).map(|id| &fleet.workloads[id].kind);
    let Some(WorkloadKind::Serving { mix, .. }) = workload else { return Vec::new() };
    let mut shares = [mix.input, mix.cached, mix.output].map(units::Share::ppm);
    // A contract without a price for cached tokens sells them as input.
    if !fleet.contracts[contract].rates.iter().any(|clause| clause.meter == Meter::CachedTokens(model)) {
        shares = [shares[0] + shares[1], 0, shares[2]];
    }
    let parts = market::split_busy(Quantity::new(flow.quantity), &shares);
    let meters = [Meter::InputTokens(model), Meter::CachedTokens(model), Meter::OutputTokens(model)];
    meters.into_iter().zip(parts).map(|(meter, part)| (meter, part.count())).collect()
}

/// A month's quantity by billing period, in proportion to the time that each has of the month within the term, by largest remainder.
fn split(fleet: &Fleet, contract: ContractId, month: Span, quantity: i64) -> Vec<(Instant, i64)> {
    let terms = &fleet.contracts[contract];
    let span = month.overlap(terms.term);
    if span.is_empty() {
        return Vec::new();
    }
    let last = Instant::from_micros(span.to.micros() - 1);
    let periods = terms.calendar.index(span.from)..=terms.calendar.index(last);
    let pieces: Vec<Span> = periods.map(|period| terms.period(period).overlap(span)).collect();
    // A month has fewer microseconds than `i64` holds.
    let lengths: Vec<i64> = pieces.iter().map(|piece| i64::try_from(micros(*piece)).unwrap_or(i64::MAX)).collect();
    let parts = market::split_busy(Quantity::new(quantity), &lengths);
    pieces.into_iter().zip(parts).map(|(piece, part)| (piece.from, part.count())).collect()
}

/// What customers pay in a month for what is served: its prices, and the share of the revenue that the workload earns.
pub(super) fn earned(settling: &Settling<'_>, plan: &Plan, month: usize) -> Money {
    let fleet = settling.fleet;
    let mut sum = Money::ZERO;
    for (id, name, workload) in fleet.workloads.iter() {
        let WorkloadKind::Serving { classes, .. } = &workload.kind else { continue };
        let of_month = plan.served.iter().filter(|served| served.workload == name && plan.steps[served.step].0 == month);
        let (mut wanted, mut served) = (0_i128, 0_i128);
        for tier in of_month {
            (wanted, served) = (wanted + i128::from(tier.wanted), served + i128::from(tier.served));
            let price = classes.iter().find(|class| class.tier == tier.tier).and_then(|class| class.price);
            sum += price.map_or(Money::ZERO, |price| price.cost(Quantity::new(tier.served)));
        }
        let events = fleet.finance.revenue.iter().filter(|event| event.terms.earned_by == Some(id));
        let revenue: Money = events.map(|event| super::venture::portion(fleet, event.amount, event.span, plan.months[month].span)).sum();
        if wanted > 0 {
            sum += Money::from_nanos(round_half_even(revenue.nanos().saturating_mul(served), wanted));
        }
    }
    sum
}
