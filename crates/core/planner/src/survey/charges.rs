//! What contracts charge besides metered use by the step: tiers, committed capacity, prepayments, penalties.

use fleet::{Charge, Fleet, Meter, TierKind};

use crate::instance::{Credit, Event, EventKind, Series, Tiered};
use crate::survey::ground::{Bill, Deal, Ground, money};
use crate::survey::supplies::{Reach, Source, overflow_rate, per, tiered, unit};

/// Tiered charges, each with the deal, the clause and the bill that it is of.
pub(crate) struct Step {
    pub deal: usize,
    pub bill: usize,
    /// None of what exceeds a capacity: a floor counts it by what is used.
    pub meter: Option<Meter>,
    pub tiered: Tiered,
}

/// Every tiered charge: a contract's clauses in order, a clause's bills in order of time.
pub(crate) fn tiers(ground: &Ground<'_>, sources: &[Source]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, deal) in ground.deals.iter().enumerate() {
        for clause in (0..deal.terms.rates.len()).filter(|clause| tiered(deal, *clause)) {
            let mut previous = None;
            for bill in 0..deal.bills.len() {
                let Some(mut step) = tier(ground, sources, (index, clause, bill)) else { continue };
                step.tiered.after = previous.filter(|_| deal.terms.rates[clause].over_term);
                previous = Some(steps.len());
                steps.push(step);
            }
        }
        let beyond = |source: &Source| source.deal == index && source.reach == Reach::Beyond && deal.split;
        for supply in (0..sources.len()).filter(|supply| beyond(&sources[*supply])) {
            steps.extend((0..deal.bills.len()).filter_map(|bill| overflow(ground, sources, supply, bill)));
        }
    }
    steps
}

/// What a bill has of a month's use beyond the capacity, where that falls due in parts: a charge of one tier.
fn overflow(ground: &Ground<'_>, sources: &[Source], supply: usize, bill: usize) -> Option<Step> {
    let source = &sources[supply];
    let deal = &ground.deals[source.deal];
    let counts = |clause: &usize| source.counts(deal.fleet, deal.terms.rates[*clause].meter) > 0.0;
    let clause = (0..deal.terms.rates.len()).find(counts)?;
    let at = &deal.bills[bill];
    let terms = laps(deal, bill).flat_map(|lap| ground.horizon.steps_of(lap.month).map(move |step| (supply, step, lap.share)));
    let tiered = Tiered {
        name: format!("{} beyond the capacity of {}", ground.fleet.meter_name(deal.terms.rates[clause].meter), deal.name),
        contract: deal.contract,
        clause,
        terms: terms.collect(),
        volume: false,
        tiers: vec![(0.0, overflow_rate(deal) * ground.bill_worth(deal, at))],
        due: at.due,
        after: None,
    };
    Some(Step { deal: source.deal, bill, meter: None, tiered }).filter(|step| !step.tiered.terms.is_empty())
}

fn tier(ground: &Ground<'_>, sources: &[Source], (index, clause, bill): (usize, usize, usize)) -> Option<Step> {
    let deal = &ground.deals[index];
    let (rates, at) = (&deal.terms.rates[clause], &deal.bills[bill]);
    let mut terms = Vec::new();
    for (supply, source) in sources.iter().enumerate().filter(|(_, source)| source.deal == index) {
        let counts = source.counts(deal.fleet, rates.meter);
        if counts > 0.0 {
            let laps = laps(deal, bill).flat_map(|lap| ground.horizon.steps_of(lap.month).map(move |step| (step, lap.share)));
            terms.extend(laps.map(|(step, share)| (supply, step, share * counts)));
        }
    }
    if terms.is_empty() {
        return None;
    }
    let unit = unit(rates.meter);
    // Use is even within a step, so of many short periods in a month each has as much.
    let many = if rates.over_term { 1.0 } else { at.count() };
    let worth = ground.bill_worth(deal, at);
    let tiers = market::tiers(deal.fleet, deal.contract, clause, *at.periods.start());
    let tiers = tiers.into_iter().map(|tier| (tier.from.count() as f64 / unit * many, per(tier.rate, unit) * worth));
    let mut tiers: Vec<(f64, f64)> = tiers.collect();
    if rates.kind == TierKind::Volume {
        surely(&mut tiers, unit);
    }
    let tiered = Tiered {
        name: format!("{} of {}", ground.fleet.meter_name(rates.meter), deal.name),
        contract: deal.contract,
        clause,
        terms,
        volume: rates.kind == TierKind::Volume,
        tiers,
        due: at.due,
        after: None,
    };
    Some(Step { deal: index, bill, meter: Some(rates.meter), tiered })
}

/// At the quantity where all is charged at another rate whole units decide: the solver stays a little on the cheaper side of it.
fn surely(tiers: &mut [(f64, f64)], unit: f64) {
    for tier in 1..tiers.len() {
        let little = (tiers[tier].0 * 1e-7).max(16.0 / unit);
        tiers[tier].0 += if tiers[tier].1 < tiers[tier - 1].1 { little } else { -little };
    }
}

/// The laps of a bill.
pub(crate) fn laps<'a>(deal: &'a Deal<'_>, bill: usize) -> impl Iterator<Item = &'a crate::survey::ground::Lap> {
    let from = deal.laps.partition_point(|lap| lap.bill < bill);
    deal.laps[from..].iter().take_while(move |lap| lap.bill == bill)
}

/// What is committed in a bill, as money.
fn committed(charged: &[market::Charged]) -> f64 {
    charged.iter().map(|charged| money(charged.money)).sum()
}

/// Committed charges by the month in which they fall due, in the fleet's currency; below zero they are money out.
fn committed_due(ground: &Ground<'_>, deal: &Deal<'_>, sign: f64) -> Series {
    let by_month = |of_bill: &dyn Fn(usize) -> f64| {
        let mut months = vec![0.0; ground.horizon.months.len()];
        for (index, bill) in deal.bills.iter().enumerate() {
            months[bill.due] += sign * of_bill(index) * ground.bill_worth(deal, bill);
        }
        months
    };
    let mut series = ground.series(deal, by_month(&|bill| committed(&deal.committed[bill])));
    for (choice, fleet) in ground.substitutes(deal) {
        let more = by_month(&|bill| committed(&recommitted(deal, fleet, bill)) - committed(&deal.committed[bill]));
        series.by_choice.push((choice, more));
    }
    series
}

/// What is committed in a bill in another fleet, in which part of the contract is substituted.
pub(crate) fn recommitted(deal: &Deal<'_>, fleet: &Fleet, bill: usize) -> Vec<market::Charged> {
    market::committed(fleet, deal.contract, deal.bills[bill].periods.clone())
}

/// Money that falls due under contracts wherever work goes.
pub(crate) fn events(ground: &Ground<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    for deal in &ground.deals {
        let event = |name: String, kind, amounts| Event {
            name,
            kind,
            party: Some(deal.terms.party),
            contract: Some(deal.contract),
            likelihood: 1.0,
            amounts,
        };
        let due = committed_due(ground, deal, -1.0);
        events.push(event(format!("committed under {}", deal.name), EventKind::Committed, due));
        for index in 0..deal.terms.prepayments.len() {
            let due = prepaid(ground, deal, index);
            events.push(event(format!("prepaid to {}", deal.name), EventKind::Prepayment, ground.series(deal, due)));
        }
        events.push(event(format!("penalties of {}", deal.name), EventKind::Penalty, ground.series(deal, penalties(ground, deal))));
    }
    events.retain(|event| !nothing(&event.amounts));
    events
}

/// Whether a series is zero whatever is signed.
pub(crate) fn nothing(series: &Series) -> bool {
    let zero = |amounts: &[f64]| amounts.iter().all(|amount| *amount == 0.0);
    zero(&series.fixed) && series.by_choice.iter().all(|(_, amounts)| zero(amounts))
}

fn prepaid(ground: &Ground<'_>, deal: &Deal<'_>, index: usize) -> Vec<f64> {
    let mut months = vec![0.0; ground.horizon.months.len()];
    let prepayment = &deal.terms.prepayments[index];
    let bill = deal.bill_of(market::prepaid_in(deal.terms, prepayment)).map(|bill| &deal.bills[bill]);
    if let Some(bill) = bill {
        months[bill.due] -= money(prepayment.amount) * ground.bill_worth(deal, bill);
    }
    months
}

fn penalties(ground: &Ground<'_>, deal: &Deal<'_>) -> Vec<f64> {
    let mut months = vec![0.0; ground.horizon.months.len()];
    let Some((first, last)) = deal.bills.first().zip(deal.bills.last()) else { return months };
    let (first, last) = (*first.periods.start(), *last.periods.end());
    let penalties = market::penalties(deal.fleet, deal.contract, first..=last);
    for (period, penalty) in (first..).zip(penalties) {
        if let Some(bill) = deal.bill_of(period).map(|bill| &deal.bills[bill]) {
            // A penalty is below zero on a statement: money that stays here.
            months[bill.due] -= money(penalty) * ground.bill_worth(deal, bill);
        }
    }
    months
}

/// Every prepayment that still can be credited.
pub(crate) fn credits(ground: &Ground<'_>) -> Vec<Credit> {
    let mut credits = Vec::new();
    for deal in &ground.deals {
        let mut last = last_charges(deal);
        for (clause, prepayment) in deal.terms.prepayments.iter().enumerate() {
            let mut granted = vec![0.0; ground.horizon.months.len()];
            for (index, bill) in deal.bills.iter().enumerate() {
                let mut part = granted_in(deal, clause, bill);
                if index + 1 == deal.bills.len() {
                    part = part.min(last);
                    last -= part;
                }
                granted[bill.due] += part * ground.bill_worth(deal, bill);
            }
            if granted.iter().any(|money| *money > 0.0) {
                let mut due = committed_due(ground, deal, 1.0);
                let committed = if deal.choice.is_some() { due.by_choice.swap_remove(0).1 } else { due.fixed };
                credits.push(Credit {
                    name: format!("prepaid to {}", deal.name),
                    contract: deal.contract,
                    clause,
                    choice: deal.choice,
                    granted,
                    committed,
                    replaced: due.by_choice,
                    refundable: prepayment.refundable,
                });
            }
        }
    }
    credits
}

/// What the last bill charges, where that is known whatever is used: the plan's end may leave less of it than is credited in a whole one.
fn last_charges(deal: &Deal<'_>) -> f64 {
    let known = deal.terms.rates.iter().all(|clause| clause.charge == Charge::Committed) && deal.terms.overflow.is_none();
    deal.committed.last().filter(|_| known && deal.terms.expansions.is_empty()).map_or(f64::INFINITY, |charged| committed(charged))
}

/// What of a prepayment is first credited in a bill, in the contract's currency.
pub(crate) fn granted_in(deal: &Deal<'_>, clause: usize, bill: &Bill) -> f64 {
    let prepayment = &deal.terms.prepayments[clause];
    let by = |last: i64| money(market::granted(deal.terms, prepayment, last));
    by(*bill.periods.end()) - by(*bill.periods.start() - 1)
}
