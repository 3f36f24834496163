//! What falls due: the statements of the plan's use, again.

use std::collections::BTreeMap;

use fleet::{ContractId, Meter, Status, WorkloadKind};
use market::{Balances, Clause, Usage};
use units::{Instant, Money, Quantity};

use super::dates::{last_instant, length};
use super::{Auditor, Found, Rule, Where};

pub(super) fn check(auditor: &mut Auditor<'_>) {
    let balances = post(auditor);
    let (mut dues, mut shorts) = (BTreeMap::new(), BTreeMap::new());
    let world = &auditor.world;
    for (contract, name, terms) in world.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed) {
        for period in market::periods(world, contract) {
            let at = last_instant(terms.period(period));
            let Some(month) = auditor.plan.months.iter().position(|month| month.span.contains(at)) else { continue };
            let statement = market::statement(world, &balances, contract, period);
            let paid = world.in_fleet_currency(statement.due, terms.currency, at).unwrap_or(statement.due);
            if statement.due != Money::ZERO {
                dues.insert((name.to_owned(), period), (month, statement.due, paid));
            }
            for line in &statement.lines {
                if let Clause::Shortfall { index } = line.clause {
                    *shorts.entry((name.to_owned(), index, period)).or_insert(Money::ZERO) += line.money;
                }
            }
        }
    }
    for row in &auditor.plan.due {
        let place = format!("{}, period {}", row.contract, row.period);
        let should = dues.remove(&(row.contract.clone(), row.period)).unwrap_or_default();
        let shown = |(month, due, paid): (usize, Money, Money)| format!("{due} ({paid}) in month {month}");
        auditor.same(Rule::Due, place, &shown((row.month, row.due, row.paid)), &shown(should));
    }
    for ((contract, period), (_, due, _)) in dues {
        auditor.report(Rule::Due, format!("{contract}, period {period}"), format!("{due} is missing"));
    }
    for row in &auditor.plan.shorts {
        let should = shorts.remove(&(row.contract.clone(), row.clause, row.period)).unwrap_or(Money::ZERO);
        auditor.same(Rule::Short, format!("{}, floor {}, period {}", row.contract, row.clause, row.period), &row.money, &should);
    }
    for ((contract, clause, period), money) in shorts.into_iter().filter(|(_, money)| *money != Money::ZERO) {
        auditor.report(Rule::Short, format!("{contract}, floor {clause}, period {period}"), format!("{money} is missing"));
    }
}

/// Every flow, part by part: first by kind of token, then by billing period.
pub(super) fn post(auditor: &Auditor<'_>) -> Balances {
    let mut balances = Balances::default();
    for found in &auditor.flows {
        for (meter, quantity) in metered(auditor, found) {
            for (at, part) in by_period(auditor, found.contract, found.month, quantity) {
                let quantity = Quantity::new(part);
                balances.post(&auditor.world, &Usage { contract: found.contract, meter, at, held: quantity, used: quantity });
            }
        }
    }
    balances
}

pub(super) fn metered(auditor: &Auditor<'_>, found: &Found<'_>) -> Vec<(Meter, i64)> {
    let world = &auditor.world;
    match found.on {
        Where::Pool(pool) => vec![(Meter::AcceleratorTime(world.pools[pool].accelerator), found.row.quantity)],
        Where::Units(endpoint) => vec![(Meter::UnitTime(world.endpoints[endpoint].model), found.row.quantity)],
        Where::Tokens(endpoint) => {
            let model = world.endpoints[endpoint].model;
            let WorkloadKind::Serving { mix, .. } = &world.workloads[found.workload].kind else { return Vec::new() };
            let mut shares = [mix.input, mix.cached, mix.output].map(|share| i128::from(share.ppm()));
            let rates = &world.contracts[found.contract].rates;
            if rates.iter().all(|clause| clause.meter != Meter::CachedTokens(model)) {
                shares = [shares[0] + shares[1], 0, shares[2]];
            }
            let parts = largest_remainder(found.row.quantity, &shares);
            vec![(Meter::InputTokens(model), parts[0]), (Meter::CachedTokens(model), parts[1]), (Meter::OutputTokens(model), parts[2])]
        }
    }
}

/// A month's use by billing period: even over the part of the month that lies in the term.
pub(super) fn by_period(auditor: &Auditor<'_>, contract: ContractId, month: usize, quantity: i64) -> Vec<(Instant, i64)> {
    let terms = &auditor.world.contracts[contract];
    let in_term = auditor.span(month).overlap(terms.term);
    if in_term.is_empty() {
        return Vec::new();
    }
    let mut pieces = Vec::new();
    let mut at = in_term.from;
    while at < in_term.to {
        let piece = terms.period(terms.calendar.index(at)).overlap(in_term);
        pieces.push(piece);
        at = piece.to.max(Instant::from_micros(at.micros() + 1));
    }
    let lengths: Vec<i128> = pieces.iter().map(|piece| length(*piece)).collect();
    pieces.iter().map(|piece| piece.from).zip(largest_remainder(quantity, &lengths)).collect()
}

/// Whole parts in proportion that add up: all rounded down, then one more for each of the largest remainders, the earlier first.
fn largest_remainder(quantity: i64, weights: &[i128]) -> Vec<i64> {
    let whole: i128 = weights.iter().sum::<i128>().max(1);
    let exact = |weight: &i128| (i128::from(quantity) * weight / whole, i128::from(quantity) * weight % whole);
    let mut parts: Vec<(usize, i128, i128)> = weights.iter().map(exact).enumerate().map(|(at, (part, rest))| (at, part, rest)).collect();
    let mut left = i128::from(quantity) - parts.iter().map(|(_, part, _)| part).sum::<i128>();
    parts.sort_by(|one, other| other.2.cmp(&one.2).then(one.0.cmp(&other.0)));
    for (_, part, _) in &mut parts {
        let more = left.clamp(0, 1);
        (*part, left) = (*part + more, left - more);
    }
    parts.sort_by_key(|(at, ..)| *at);
    parts.into_iter().map(|(_, part, _)| i64::try_from(part).unwrap_or(i64::MAX)).collect()
}
