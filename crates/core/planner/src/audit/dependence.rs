//! What rests on whom: limits on dependence, section 4.

use std::collections::BTreeMap;

use fleet::{Charge, ContractId, Of, PartyId, Preset, Status};
use market::Clause;
use units::{Money, Quantity};

use super::bills::{by_period, metered, post};
use super::dates::{PPM, last_instant};
use super::turned::scaled;
use super::{Auditor, Found, Rule, Where};

/// What is committed, or charged by tiers, is whole nano-units in a statement, and float money to who planned it: a hundred-thousandth.
const ROUGH: i128 = 10;

pub(super) fn check(auditor: &mut Auditor<'_>) {
    let fleet = auditor.fleet;
    let spent = if fleet.caps.iter().any(|cap| cap.of == Of::Spend) { spent(auditor) } else { BTreeMap::new() };
    for cap in &fleet.caps {
        for month in 0..auditor.plan.months.len() {
            if cap.span.overlap(auditor.span(month)).is_empty() {
                continue;
            }
            let (mine, all, near) = match cap.of {
                Of::Work => work(auditor, cap.party, month),
                Of::Spend => {
                    let rows = || spent.iter().filter(|((at, ..), _)| *at == month);
                    let mine = rows().filter(|((_, supplier, maker), _)| *supplier == cap.party || *maker == Some(cap.party));
                    (mine.map(|(_, money)| money).sum(), rows().map(|(_, money)| money).sum(), ROUGH)
                }
            };
            // A whole unit of work more or less is rounding.
            let most = all / PPM * (i128::from(cap.share.ppm()) + near) + i128::from(all > 0);
            if mine > most {
                let place = format!("{}, month {month}", fleet.parties.name(cap.party));
                auditor.report(Rule::Dependence, place, format!("{} % of {:?}", mine * 100 / all.max(1), cap.of));
            }
        }
    }
}

/// Work that rests on a party, and all work, by peak arithmetic.
pub(super) fn work(auditor: &Auditor<'_>, party: PartyId, month: usize) -> (i128, i128, i128) {
    let (mut mine, mut all) = (0_i128, 0_i128);
    for found in auditor.flows.iter().filter(|found| found.month == month) {
        let Some(work) = arithmetic(auditor, found) else { continue };
        all += work;
        if auditor.fleet.contracts[found.contract].party == party || maker(auditor, found) == Some(party) {
            mine += work;
        }
    }
    (mine, all, 1)
}

/// The arithmetic of a flow; tokens and units have none.
pub(super) fn arithmetic(auditor: &Auditor<'_>, found: &Found<'_>) -> Option<i128> {
    let Where::Pool(pool) = found.on else { return None };
    let chip = &auditor.fleet.accelerators[auditor.fleet.pools[pool].accelerator];
    Some(i128::from(chip.peak.count()) * i128::from(found.row.quantity))
}

/// Money by month, supplier and maker: metered use as it is used, all else as it falls due. What is committed rests on its supplier alone.
pub(super) type Spent = BTreeMap<(usize, PartyId, Option<PartyId>), i128>;

pub(super) fn spent(auditor: &Auditor<'_>) -> Spent {
    let mut spent = Spent::new();
    for found in &auditor.flows {
        let paid = as_used(auditor, found);
        if paid != 0 {
            let party = auditor.world.contracts[found.contract].party;
            *spent.entry((found.month, party, maker(auditor, found))).or_default() += paid;
        }
    }
    fall_due(auditor, &mut spent);
    spent
}

/// Of what a flow costs, what counts as it is used: all but charges by tiers, and of contracts whose billing periods cut months.
pub(super) fn as_used(auditor: &Auditor<'_>, found: &Found<'_>) -> i128 {
    let terms = &auditor.world.contracts[found.contract];
    let mut sum = 0;
    for (meter, quantity) in metered(auditor, found) {
        let plain = |clause: &usize| {
            let clause = &terms.rates[*clause];
            clause.meter == meter && clause.charge == Charge::Metered && clause.tiers.len() == 1
        };
        let Some(clause) = (0..terms.rates.len()).find(plain).filter(|_| !splits(auditor, found.contract)) else { continue };
        for (at, part) in by_period(auditor, found.contract, found.month, quantity) {
            let period = terms.calendar.index(at);
            let rate = market::tiers(&auditor.world, found.contract, clause, period).first().map(|tier| tier.rate);
            let cost = rate.map_or(Money::ZERO, |rate| rate.cost(Quantity::new(part)));
            sum += in_fleet(auditor, cost, found.contract, period).nanos();
        }
    }
    rented(auditor, found).map_or(sum, |rent| scaled(sum, rent))
}

/// What a rent that floats is over the file's, in a scenario.
fn rented(auditor: &Auditor<'_>, found: &Found<'_>) -> Option<f64> {
    let floats =
        matches!((auditor.world.contracts[found.contract].preset, found.on), (Some(Preset::OnDemand | Preset::Spot), Where::Pool(_)));
    auditor.turn.filter(|_| floats).and_then(|turn| turn.told.rent.get(found.month)).copied()
}

fn in_fleet(auditor: &Auditor<'_>, money: Money, contract: ContractId, period: i64) -> Money {
    let terms = &auditor.world.contracts[contract];
    auditor.world.in_fleet_currency(money, terms.currency, last_instant(terms.period(period))).unwrap_or(money)
}

/// Who makes what a flow runs on.
pub(super) fn maker(auditor: &Auditor<'_>, found: &Found<'_>) -> Option<PartyId> {
    match found.on {
        Where::Pool(pool) => auditor.fleet.accelerators[auditor.fleet.pools[pool].accelerator].vendor,
        Where::Tokens(_) | Where::Units(_) => None,
    }
}

/// Whether some month's use falls due in parts: then all that is metered counts as it falls due.
fn splits(auditor: &Auditor<'_>, contract: ContractId) -> bool {
    let terms = &auditor.world.contracts[contract];
    auditor.plan.months.iter().any(|month| {
        let within = month.span.overlap(terms.term);
        !within.is_empty() && {
            let due = |at| last_instant(terms.period(terms.calendar.index(at)));
            let (first, last) = (due(within.from), due(last_instant(within)));
            // Periods that end in one month are one bill.
            let month_of = |at| auditor.plan.months.iter().position(|month| month.span.contains(at));
            month_of(first) != month_of(last)
        }
    })
}

/// Committed and tiered charges, and what exceeds the capacity, from the statements.
fn fall_due(auditor: &Auditor<'_>, spent: &mut Spent) {
    let balances = post(auditor);
    for (contract, _, terms) in auditor.world.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed) {
        let whole = splits(auditor, contract);
        let makers: Vec<_> = auditor.flows.iter().filter(|found| found.contract == contract).map(|found| maker(auditor, found)).collect();
        for period in market::periods(&auditor.world, contract) {
            let at = last_instant(terms.period(period));
            let Some(month) = auditor.plan.months.iter().position(|month| month.span.contains(at)) else { continue };
            for line in &market::statement(&auditor.world, &balances, contract, period).lines {
                let of = match line.clause {
                    Clause::Rates { index, .. } => {
                        let clause = &terms.rates[index];
                        match clause.charge {
                            Charge::Committed => Some(None),
                            Charge::Metered if whole || clause.tiers.len() > 1 => Some(makers.first().copied().flatten()),
                            Charge::Metered => None,
                        }
                    }
                    Clause::Overflow => Some(makers.first().copied().flatten()),
                    _ => None,
                };
                if let Some(maker) = of {
                    let paid = in_fleet(auditor, line.money, contract, period);
                    *spent.entry((month, terms.party, maker)).or_default() += paid.nanos();
                }
            }
        }
    }
}
