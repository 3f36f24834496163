//! A month's money, cash and debt: section 4.

use std::collections::BTreeMap;

use fleet::{CashEvent, PoolId, SiteId, WorkloadKind};
use units::{Amount, Instant, Money, Quantity, Span, round_half_even};

use super::dates::{PPM, between, last_instant, length};
use super::limits::held;
use super::turned::scaled;
use super::{Auditor, Rule, Where};
use crate::plan::MonthMoney;

pub(super) fn check(auditor: &mut Auditor<'_>) {
    raises(auditor);
    let finance = &auditor.fleet.finance;
    let mut cash = finance.cash.map_or(Money::ZERO, |(_, amount)| in_fleet(auditor, amount, auditor.begins()));
    let mut debt = finance.debt.as_ref().map_or(Money::ZERO, |debt| debt.owed);
    for month in 0..auditor.plan.months.len() {
        let row = auditor.plan.money[month].clone();
        parts(auditor, month, &row, (cash, debt));
        balance(auditor, month, &row, (cash, debt));
        debts(auditor, month, &row, debt);
        (cash, debt) = (row.cash, row.debt);
    }
    prices(auditor);
}

fn in_fleet(auditor: &Auditor<'_>, amount: Amount, at: Instant) -> Money {
    auditor.fleet.in_fleet_currency(amount.money, amount.currency, at).unwrap_or(amount.money)
}

/// What of an amount that is even over `span` falls in a month: what has fallen by its end less what had by its beginning, converted
/// at the last instant that the two share.
fn falls(auditor: &Auditor<'_>, amount: Amount, span: Span, month: usize) -> Money {
    let by = |at: Instant| amount.money.times_ratio(between(span.from, at).min(length(span)), length(span).max(1));
    let Span { from, to } = auditor.span(month);
    in_fleet(auditor, Amount { money: by(to) - by(from), currency: amount.currency }, last_instant(Span { from, to: to.min(span.to) }))
}

fn parts(auditor: &mut Auditor<'_>, month: usize, row: &MonthMoney, (cash, debt): (Money, Money)) {
    let finance = &auditor.fleet.finance;
    let sum = |events: &[CashEvent]| events.iter().map(|event| falls(auditor, event.amount, event.span, month)).sum::<Money>();
    let of =
        |events: &[CashEvent], keep: fn(&CashEvent) -> bool| sum(&events.iter().filter(|event| keep(event)).cloned().collect::<Vec<_>>());
    let twelfth = |money: Money, ppm: i64| Money::from_nanos(round_half_even(money.nanos() * i128::from(ppm), 12 * PPM));
    let own = auditor.fleet.ventures.iter().filter(|(_, venture)| !declined(auditor, venture.party));
    let own = own.flat_map(|(_, venture)| &venture.stakes).filter(|stake| stake.party.is_none());
    let stakes: Money = own.map(|stake| falls(auditor, stake.amount, stake.span, month)).sum();
    let taken: Money = auditor.plan.raised.iter().filter(|raised| raised.month == month).map(|raised| raised.amount).sum();
    let due: Money = auditor.plan.due.iter().filter(|due| due.month == month).map(|due| due.paid).sum();
    let checks = [
        ("interest", row.interest, twelfth(cash, finance.interest.ppm())),
        ("revenue", row.revenue, of(&finance.revenue, |event| event.terms.earned_by.is_none()) + sales(auditor, month)),
        ("raised", row.raised, of(&finance.raises, |event| event.terms.cost.is_none()) + taken),
        ("other", row.other, -(sum(&finance.costs) + stakes)),
        ("interest on debt", row.debt_interest, twelfth(debt, finance.debt.as_ref().map_or(0, |debt| debt.rate.ppm()))),
        ("contracts", row.contracts, due),
        ("energy", row.energy, energy(auditor, month)),
        ("capex", row.capex, capex(auditor, month)),
    ];
    let slack = slack(auditor, row);
    // What falls due in a scenario, and energy with it, is checked beside: `lived`.
    let apart = |what: &str| auditor.turn.is_some() && matches!(what, "contracts" | "energy");
    let checks: Vec<_> = checks.into_iter().filter(|(what, ..)| !apart(what)).collect();
    for (what, there, should) in checks {
        let orders = if what == "capex" { rounded_orders(auditor, month) } else { 0 };
        auditor.same_money(format!("{what}, month {month}"), Rule::Money, (there, should), slack + orders);
    }
}

/// Whether a venture's one contract is an offer that is not signed: then the lab pays nothing into it.
fn declined(auditor: &Auditor<'_>, party: fleet::PartyId) -> bool {
    let mut with = auditor.fleet.contracts.iter().filter(|(.., terms)| terms.party == party);
    let only = with.next().filter(|_| with.next().is_none());
    only.is_some_and(|(id, _, terms)| {
        let offered = terms.offer.is_some() && terms.status == fleet::Status::Discussed;
        offered && auditor.world.contracts[id].status != fleet::Status::Signed
    })
}

/// How far money may be off that the policy counted in floats: of the largest sum of the month.
fn slack(auditor: &Auditor<'_>, row: &MonthMoney) -> i128 {
    let moved = [row.revenue, row.raised, row.other, row.drawn, row.repaid, row.contracts, row.energy, row.capex, row.cash, row.debt];
    let most = moved.iter().map(|money| money.nanos().abs()).max().unwrap_or(0);
    auditor.slack(most, Money::from_units(1).nanos() / 100)
}

/// What orders cost that the policy doesn't round and the auditor reads as whole ones.
fn rounded_orders(auditor: &Auditor<'_>, month: usize) -> i128 {
    if auditor.turn.is_none() {
        return 0;
    }
    let orders = auditor.plan.added.iter().filter(|added| added.month == month);
    let each = orders.filter_map(|added| {
        let terms = auditor.fleet.contracts.id(&added.contract).map(|id| &auditor.fleet.contracts[id])?;
        let capex = terms.expansions.get(added.clause)?.capex?;
        Some(in_fleet(auditor, Amount { money: capex, currency: terms.currency }, last_instant(auditor.span(month))).nanos())
    });
    each.sum()
}

/// The price per token in a month over the file's, and how much more a workload is asked for.
fn factors(auditor: &Auditor<'_>, workload: &str, month: usize) -> (f64, f64) {
    let Some(turn) = auditor.turn else { return (1.0, 1.0) };
    let demand = turn.told.demand.get(workload).map_or(1.0, |factors| factors[month]);
    (turn.told.price.get(month).copied().unwrap_or(1.0), demand)
}

fn times(money: Money, factor: f64) -> Money {
    Money::from_nanos(scaled(money.nanos(), factor))
}

/// What is served at its price, and the share of what the workload earns.
fn sales(auditor: &Auditor<'_>, month: usize) -> Money {
    let (fleet, plan) = (auditor.fleet, auditor.plan);
    let mut tokens: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
    let mut sum = Money::ZERO;
    for row in plan.served.iter().filter(|row| plan.steps[row.step].0 == month) {
        let (served, wanted) = tokens.entry(&row.workload).or_default();
        (*served, *wanted) = (*served + i128::from(row.served), *wanted + i128::from(row.wanted));
        let Some(id) = fleet.workloads.id(&row.workload) else { continue };
        let WorkloadKind::Serving { classes, .. } = &fleet.workloads[id].kind else { continue };
        for class in classes.iter().filter(|class| class.tier == row.tier) {
            sum += times(
                class.price.map_or(Money::ZERO, |price| price.cost(Quantity::new(row.served))),
                factors(auditor, &row.workload, month).0,
            );
        }
    }
    for (name, (served, wanted)) in tokens.into_iter().filter(|(_, (_, wanted))| *wanted > 0) {
        let workload = fleet.workloads.id(name);
        let events = fleet.finance.revenue.iter().filter(|event| event.terms.earned_by.is_some() && event.terms.earned_by == workload);
        let earns: Money = events.map(|event| falls(auditor, event.amount, event.span, month)).sum();
        let earns = times(earns, factors(auditor, name, month).1);
        sum += Money::from_nanos(round_half_even(earns.nanos().saturating_mul(served), wanted));
    }
    sum
}

pub(super) fn energy(auditor: &Auditor<'_>, month: usize) -> Money {
    let sites: Vec<SiteId> = auditor.world.sites.iter().map(|(site, ..)| site).collect();
    sites.into_iter().map(|site| auditor.world.sites[site].energy.cost(Quantity::new(joules(auditor, site, month)))).sum()
}

/// Whole joules: each accelerator's idle power over what is held, and the rest of its power over what is used.
pub(super) fn joules(auditor: &Auditor<'_>, site: SiteId, month: usize) -> i64 {
    let world = &auditor.world;
    let mut time: BTreeMap<PoolId, (i128, i128)> = BTreeMap::new();
    for (pool, held) in held(world, site, auditor.span(month)) {
        time.entry(pool).or_default().0 += held;
    }
    for found in auditor.flows.iter().filter(|found| found.month == month) {
        if let Where::Pool(pool) = found.on
            && world.pools[pool].site == site
        {
            time.entry(pool).or_default().1 += i128::from(found.row.quantity) * 1_000;
        }
    }
    let mut sum = 0;
    for (pool, (held, used)) in time {
        let chip = &world.accelerators[world.pools[pool].accelerator];
        let idle = i128::from(chip.idle.ppm());
        sum += i128::from(chip.power.count()) * i128::from(world.sites[site].pue_ppm) * (idle * held + (PPM - idle) * used);
    }
    i64::try_from(round_half_even(sum, PPM * PPM * PPM)).unwrap_or(i64::MAX)
}

fn capex(auditor: &Auditor<'_>, month: usize) -> Money {
    let fleet = auditor.fleet;
    let mut sum = Money::ZERO;
    for added in auditor.plan.added.iter().filter(|added| added.month == month) {
        let Some(terms) = fleet.contracts.id(&added.contract).map(|id| &fleet.contracts[id]) else { continue };
        let each = terms.expansions.get(added.clause).and_then(|expansion| expansion.capex).unwrap_or(Money::ZERO);
        let money = Money::from_nanos(each.nanos().saturating_mul(i128::from(added.count)));
        sum += in_fleet(auditor, Amount { money, currency: terms.currency }, last_instant(auditor.span(month)));
    }
    sum
}

fn balance(auditor: &mut Auditor<'_>, month: usize, row: &MonthMoney, (cash, debt): (Money, Money)) {
    let into = cash + row.interest + row.revenue + row.raised + row.other + row.drawn + row.gap;
    let out = row.repaid + row.debt_interest + row.contracts + row.energy + row.capex;
    let slack = slack(auditor, row);
    auditor.same_money(format!("cash, month {month}"), Rule::Cash, (row.cash, into - out), slack);
    auditor.same_money(format!("debt, month {month}"), Rule::Debt, (row.debt, debt + row.drawn - row.repaid), slack);
    let near = Money::from_nanos(slack);
    let finance = &auditor.fleet.finance;
    let floor = finance.cash.and(finance.floor).map(|floor| in_fleet(auditor, floor, last_instant(auditor.span(month))));
    let bound = finance.cash.map(|_| floor.unwrap_or(Money::ZERO));
    if bound.is_some_and(|floor| row.cash + near < floor) {
        auditor.report(Rule::Cash, format!("floor, month {month}"), format!("cash is {}", row.cash));
    }
    if row.gap < Money::ZERO || (row.gap > Money::ZERO && bound.is_none_or(|floor| row.cash > floor + near)) {
        auditor.report(Rule::Cash, format!("gap, month {month}"), format!("{} is missing and not needed", row.gap));
    }
}

fn debts(auditor: &mut Auditor<'_>, month: usize, row: &MonthMoney, before: Money) {
    let near = Money::from_nanos(slack(auditor, row));
    let Some(debt) = &auditor.fleet.finance.debt else {
        if row.drawn != Money::ZERO || row.repaid != Money::ZERO {
            auditor.report(Rule::Debt, format!("month {month}"), "nobody lends");
        }
        return;
    };
    if row.drawn < Money::ZERO || row.repaid < Money::ZERO || row.repaid > before + row.drawn + near {
        auditor.report(Rule::Debt, format!("month {month}"), format!("{} drawn, {} repaid", row.drawn, row.repaid));
    }
    let limit = debt.limit.at(last_instant(auditor.span(month))).unwrap_or(Money::ZERO);
    // What was owed already and is not added to may be over a limit that has fallen, while it can't be paid back: it is then a gap.
    if row.debt > limit + near {
        auditor.report(Rule::Debt, format!("limit, month {month}"), format!("{} of at most {limit}", row.debt));
    }
    if let Some(covenant) = debt.covenant {
        let revenue = |back: usize| auditor.plan.money[month.saturating_sub(back)].revenue;
        let year: i128 = (0..12).map(|back| revenue(back).nanos()).sum();
        // The plan's first month stands for those before it.
        if row.debt.nanos() > 0
            && (row.debt - near).nanos().saturating_mul(PPM) > year.saturating_mul(i128::from(covenant.ppm())).saturating_add(PPM / 2)
        {
            let most = Money::from_nanos(year).times_ratio(i128::from(covenant.ppm()), PPM);
            auditor.report(Rule::Debt, format!("covenant, month {month}"), format!("{} of at most {most}", row.debt));
        }
    }
}

fn raises(auditor: &mut Auditor<'_>) {
    let raises: Vec<CashEvent> = auditor.fleet.finance.raises.iter().filter(|event| event.terms.cost.is_some()).cloned().collect();
    let mut sums: BTreeMap<&str, Money> = BTreeMap::new();
    for row in &auditor.plan.raised {
        let open = raises.iter().any(|event| event.name == row.name && !event.span.overlap(auditor.span(row.month)).is_empty());
        if !open || row.amount <= Money::ZERO {
            auditor.report(Rule::Raise, format!("{}, month {}", row.name, row.month), format!("{} is not to be had", row.amount));
        }
        *sums.entry(&row.name).or_insert(Money::ZERO) += row.amount;
    }
    for (name, sum) in sums {
        let named = raises.iter().filter(|event| event.name == name);
        let most: Money = named.map(|event| in_fleet(auditor, event.amount, event.span.from.max(auditor.begins()))).sum();
        let slack = auditor.slack(most.nanos(), Money::from_units(1).nanos() / 100);
        if (sum - most).nanos() > slack {
            auditor.report(Rule::Raise, name, format!("{sum} of at most {most}"));
        }
    }
}

fn prices(auditor: &mut Auditor<'_>) {
    for price in &auditor.plan.prices {
        let place = format!("{}, month {}", price.contract, price.month);
        let total = price.list + price.energy - price.floor_credit + price.power + price.capacity;
        auditor.same(Rule::Price, place.as_str(), &price.total, &total);
        let on = (&price.contract, &price.pool, &price.endpoint, price.unit);
        let mine = auditor.plan.flows.iter().filter(|flow| (&flow.contract, &flow.pool, &flow.endpoint, flow.unit) == on);
        let planned: i128 = mine.filter(|flow| auditor.plan.steps[flow.step].0 == price.month).map(|flow| i128::from(flow.quantity)).sum();
        auditor.same(Rule::Price, format!("{place}: planned"), &i128::from(price.planned), &planned);
    }
}
