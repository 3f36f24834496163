//! Windows of floors: section 5 of `docs/contracts.md`, as far as no use is known yet.

use core::ops::RangeInclusive;

use fleet::{Basis, Charge, Fleet, Least, Meter, MeterKind};
use market::{Charged, WindowLeast};
use units::{Instant, Span};

use crate::instance::{Floor, Series};
use crate::survey::charges::{Step, laps};
use crate::survey::expansions::{committed_price, held_hours};
use crate::survey::ground::{Bill, Deal, Ground, money, part};
use crate::survey::limits::Bound;
use crate::survey::months::{micros, share};
use crate::survey::periods::{Group, before, groups};
use crate::survey::supplies::{HOUR_MS, Reach, Source, clause_rates, overflow_rate, per, unit};

/// Windows that are looked at one by one; of more of them in a month the first stands for all.
const WINDOWS_MAX: i64 = 64;

/// What a floor is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    Money,
    Hours,
    Tokens,
}

/// A floor's windows that end in one month, with what the rest of the survey asks of them.
pub(crate) struct Window {
    pub counts: Counts,
    pub floor: Floor,
    deal: usize,
    /// Within which a counted contract's last instants count.
    within: Span,
    /// The billing period of the floor's own contract in which it is due.
    billed: Instant,
    numbers: RangeInclusive<i64>,
}

/// What floors are surveyed from.
pub(crate) struct Scene<'a, 'b> {
    pub ground: &'a Ground<'b>,
    pub sources: &'a [Source],
    pub bounds: &'a [Bound],
    pub steps: &'a [Step],
    /// The deal and the clause of each expansion.
    pub expansions: &'a [(usize, usize)],
}

/// Every window of every floor that asks for something.
pub(crate) fn floors(scene: &Scene<'_, '_>) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for (index, deal) in scene.ground.deals.iter().enumerate() {
        for clause in 0..deal.terms.floors.len() {
            let from = windows.len();
            let calendar = deal.terms.calendar.with_period(deal.terms.floors[clause].per);
            let groups = groups(scene.ground.horizon, &calendar, deal.terms.term).into_iter();
            windows.extend(groups.filter_map(|group| window(scene, (index, clause), group)));
            carry(&mut windows[from..], from, deal, clause);
        }
    }
    let nested: Vec<Vec<usize>> = windows.iter().map(|window| nested(scene.ground, &windows, window)).collect();
    windows.iter_mut().zip(nested).for_each(|(window, nested)| window.floor.nested = nested);
    windows
}

/// Windows of a floor that end in one month as one; none when they ask for nothing and leave nothing to others.
fn window(scene: &Scene<'_, '_>, (index, clause): (usize, usize), group: Group) -> Option<Window> {
    let (ground, deal) = (scene.ground, &scene.ground.deals[index]);
    let (floor, plan, Group { numbers, span, .. }) = (&deal.terms.floors[clause], ground.horizon.span(), group);
    let planned = span.overlap(plan);
    let bill = deal.bill_at(before(planned.to)).map(|bill| &deal.bills[bill]);
    let (due, due_at) = bill.map_or((ground.horizon.last(), before(plan.to)), |bill| (bill.due, bill.at));
    let worth = ground.worth(deal.terms.currency, due_at);
    let (counts, factor, price) = match &floor.least {
        Least::Spend(_) => (Counts::Money, worth, 1.0),
        Least::Quantity(_, rate) => {
            let counts = counts_of(&floor.meters);
            (counts, 1.0, per(*rate, if counts == Counts::Hours { HOUR_MS } else { 1.0 }) * worth)
        }
    };
    let fraction = share(micros(planned), micros(span)) * factor;
    let base = if counts == Counts::Hours { HOUR_MS } else { 1.0 };
    let least = ground.with_substitutes(deal, |fleet| vec![least(deal, fleet, clause, &numbers) / base * fraction]);
    if super::charges::nothing(&least) && floor.carry_over.is_none() {
        return None;
    }
    let within = Span { from: planned.from, to: if span.to > plan.to { Instant::MAX } else { span.to } };
    // Without a delivery clause nothing is late in the file; in a scenario any capacity may be.
    let late = deal.terms.delivery.as_ref().map(|it| it.of).or_else(|| deal.terms.capacity.first().map(|it| it.of));
    let bounds = scene.bounds.iter().position(|bound| late.is_some_and(|of| bound.clause == Some((index, of))));
    let floor = Floor {
        name: format!("floor of {}, {}", deal.name, shown(ground, planned)),
        contract: deal.contract,
        clause,
        window: span,
        last: ground.horizon.month(before(planned.to)),
        due,
        least,
        counted: Series { fixed: vec![0.0], by_choice: Vec::new() },
        counted_of: Vec::new(),
        terms: Vec::new(),
        tiered: Vec::new(),
        nested: Vec::new(),
        expansions: Vec::new(),
        price,
        carry: None,
        abated: floor.abated_while_late,
        abated_by: bounds.filter(|_| floor.abated_while_late),
    };
    let mut window = Window { counts, floor, deal: index, within, billed: due_at, numbers };
    for contract in market::counted_towards(deal.fleet, deal.contract, clause) {
        for other in (0..ground.deals.len()).filter(|other| ground.deals[*other].contract == contract) {
            count(scene, &mut window, other, factor);
        }
    }
    Some(window)
}

fn counts_of(meters: &[MeterKind]) -> Counts {
    let time = |kind: &MeterKind| matches!(kind, MeterKind::AcceleratorTime | MeterKind::UnitTime);
    if meters.is_empty() || meters.iter().any(time) { Counts::Hours } else { Counts::Tokens }
}

/// The window as a person reads it: a year, a month, or both ends.
fn shown(ground: &Ground<'_>, planned: Span) -> String {
    let months = ground.horizon.months_in(planned);
    let (first, last) = (ground.horizon.months[months.start], ground.horizon.months[months.end.saturating_sub(1).max(months.start)]);
    match (first.number, last.number) {
        (1, 12) if first.year == last.year => format!("{:04}", first.year),
        _ if months.len() <= 1 => format!("{:04}-{:02}", first.year, first.number),
        _ => format!("{:04}-{:02} to {:04}-{:02}", first.year, first.number, last.year, last.number),
    }
}

/// What windows ask for, in whole currency or in base units.
fn least(deal: &Deal<'_>, fleet: &Fleet, clause: usize, numbers: &RangeInclusive<i64>) -> f64 {
    let one = |number: i64| match market::window(fleet, deal.contract, clause, number).least {
        WindowLeast::Spend(least) => money(least),
        WindowLeast::Quantity(quantity) => quantity.count() as f64,
    };
    let count = numbers.end() - numbers.start() + 1;
    if count > WINDOWS_MAX { one(*numbers.start()) * count as f64 } else { numbers.clone().map(one).sum() }
}

/// Billing periods of one bill that count in a window.
struct Counted {
    bill: usize,
    periods: RangeInclusive<i64>,
    span: Span,
}

/// What of a bill counts in a window: each billing period all or nothing, by its last instant.
fn counted(deal: &Deal<'_>, bill: usize, within: Span) -> Option<Counted> {
    let Bill { periods, span, at, .. } = &deal.bills[bill];
    if periods.start() == periods.end() {
        return within.contains(*at).then(|| Counted { bill, periods: periods.clone(), span: *span });
    }
    let ending = market::periods_ending(&deal.terms.calendar, deal.terms.term, span.overlap(within));
    let (first, last) = (*ending.start().max(periods.start()), *ending.end().min(periods.end()));
    let to = |period: i64| deal.terms.period(period);
    (first <= last).then(|| Counted { bill, periods: first..=last, span: Span { from: to(first).from, to: to(last).to } })
}

/// Adds what another deal counts in a window; `factor` makes its money the window's.
fn count(scene: &Scene<'_, '_>, window: &mut Window, other: usize, factor: f64) {
    let deal = &scene.ground.deals[other];
    let first = deal.bills.partition_point(|bill| bill.span.to <= window.within.from);
    let bills = (first..deal.bills.len()).take_while(|bill| deal.bills[*bill].span.from < window.within.to);
    let bills: Vec<Counted> = bills.filter_map(|bill| counted(deal, bill, window.within)).collect();
    if bills.is_empty() {
        return;
    }
    let floor = &scene.ground.deals[window.deal].terms.floors[window.floor.clause];
    if floor.basis != Basis::Use {
        fixed(scene.ground, window, deal, &bills, factor);
    }
    used(scene, window, other, &bills, factor);
    raised(scene, window, other, &bills, factor);
}

fn listed(meters: &[MeterKind], meter: Meter) -> bool {
    meters.is_empty() || meters.contains(&meter.kind())
}

/// Committed charges, and what is prepaid, when the floor counts what is bought.
fn fixed(ground: &Ground<'_>, window: &mut Window, deal: &Deal<'_>, bills: &[Counted], factor: f64) {
    let floor = &ground.deals[window.deal].terms.floors[window.floor.clause];
    let of =
        |charged: &[Charged]| -> f64 {
            let listed = charged.iter().filter(|charged| listed(&floor.meters, charged.meter));
            listed
                .map(|charged| {
                    if window.counts == Counts::Money {
                        money(charged.money)
                    } else {
                        charged.quantity.count() as f64 / unit(charged.meter)
                    }
                })
                .sum()
        };
    let committed = bills.iter().map(|it| of(&market::committed(deal.fleet, deal.contract, it.periods.clone()))).sum::<f64>();
    let bought = floor.basis == Basis::Purchase && window.counts == Counts::Money && floor.meters.is_empty();
    let prepaid = if bought { prepaid(deal, bills) } else { 0.0 };
    let sum = factor * (committed + prepaid);
    let mut more = Series { fixed: vec![0.0], by_choice: Vec::new() };
    match deal.choice {
        None => more.fixed[0] += sum,
        Some(choice) => by_choice(&mut more, choice, sum),
    }
    for (choice, fleet) in ground.substitutes(deal) {
        let with = bills.iter().map(|it| of(&market::committed(fleet, deal.contract, it.periods.clone()))).sum::<f64>();
        by_choice(&mut more, choice, factor * (with - committed));
    }
    let counted = &mut window.floor.counted;
    counted.fixed[0] += more.fixed[0];
    more.by_choice.iter().for_each(|(choice, amounts)| by_choice(counted, *choice, amounts[0]));
    if deal.contract != window.floor.contract && !super::charges::nothing(&more) {
        window.floor.counted_of.push((deal.contract, more));
    }
}

fn by_choice(series: &mut Series, choice: usize, amount: f64) {
    match series.by_choice.iter_mut().find(|(of, _)| *of == choice) {
        Some((_, amounts)) => amounts[0] += amount,
        None => series.by_choice.push((choice, vec![amount])),
    }
}

/// Prepayments due less what of them is granted: it is planned as used when it is.
fn prepaid(deal: &Deal<'_>, bills: &[Counted]) -> f64 {
    let mut sum = 0.0;
    for prepayment in &deal.terms.prepayments {
        let due = market::prepaid_in(deal.terms, prepayment);
        let by = |last: i64| money(market::granted(deal.terms, prepayment, last));
        for Counted { periods, .. } in bills {
            let paid = if periods.contains(&due) { money(prepayment.amount) } else { 0.0 };
            sum += paid - (by(*periods.end()) - by(*periods.start() - 1));
        }
    }
    sum
}

/// What use counts: money at its rate, or the quantity itself.
fn used(scene: &Scene<'_, '_>, window: &mut Window, other: usize, bills: &[Counted], factor: f64) {
    let (ground, deal) = (scene.ground, &scene.ground.deals[other]);
    let floor = &ground.deals[window.deal].terms.floors[window.floor.clause];
    let in_money = window.counts == Counts::Money;
    for (supply, source) in scene.sources.iter().enumerate().filter(|(_, source)| source.deal == other) {
        let mut each = vec![0.0; bills.len()];
        for (index, clause) in deal.terms.rates.iter().enumerate().filter(|(_, clause)| listed(&floor.meters, clause.meter)) {
            let counts = source.counts(deal.fleet, clause.meter);
            let charged = match clause.charge {
                Charge::Metered => !in_money || clause.tiers.len() == 1,
                Charge::Committed => floor.basis == Basis::Use && source.reach == Reach::Within,
            };
            if counts > 0.0 && charged {
                let rates = in_money.then(|| clause_rates(deal, index, bills.iter().map(|it| it.bill)));
                each.iter_mut().enumerate().for_each(|(at, each)| *each += counts * rates.as_ref().map_or(1.0, |rates| rates[at]));
            }
        }
        if source.reach == Reach::Beyond && overflow_counts(source, deal, &floor.meters) {
            each.iter_mut().for_each(|each| *each += if in_money { overflow_rate(deal) } else { 1.0 });
        }
        if each.iter().all(|each| *each == 0.0) {
            continue;
        }
        for (it, each) in bills.iter().zip(each) {
            for lap in laps(deal, it.bill) {
                let coefficient = factor * lapped(ground, deal, it, lap.month) * each;
                window.floor.terms.extend(ground.horizon.steps_of(lap.month).map(|step| (supply, step, coefficient)));
            }
        }
    }
    merge(&mut window.floor.terms);
    // A rate without tiers counts by what is used, whatever of its bill lies in the window.
    let by_tier = |step: &Step| step.deal == other && step.tiered.tiers.len() > 1;
    let tiers = scene
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| in_money && by_tier(step) && step.meter.is_some_and(|meter| listed(&floor.meters, meter)));
    window.floor.tiered.extend(tiers.filter(|(_, step)| bills.iter().any(|it| it.bill == step.bill)).map(|(position, _)| position));
}

/// The share of a month's use that lies in what counts: use is even over the part of the month in which the contract is in force.
fn lapped(ground: &Ground<'_>, deal: &Deal<'_>, counted: &Counted, month: usize) -> f64 {
    let in_force = ground.horizon.months[month].span.overlap(deal.terms.term);
    share(micros(counted.span.overlap(in_force)), micros(in_force))
}

fn overflow_counts(source: &Source, deal: &Deal<'_>, meters: &[MeterKind]) -> bool {
    let metered = deal.terms.rates.iter().filter(|clause| clause.charge == Charge::Committed).map(|clause| clause.meter);
    metered.into_iter().any(|meter| source.counts(deal.fleet, meter) > 0.0 && listed(meters, meter))
}

/// Adds up what is of one supply and step, or of one expansion and month.
fn merge(terms: &mut Vec<(usize, usize, f64)>) {
    terms.sort_by_key(|(supply, step, _)| (*supply, *step));
    terms.dedup_by(|later, earlier| {
        let same = (later.0, later.1) == (earlier.0, earlier.1);
        if same {
            earlier.2 += later.2;
        }
        same
    });
}

/// What a thousand installed under the deal's expansions count.
fn raised(scene: &Scene<'_, '_>, window: &mut Window, other: usize, bills: &[Counted], factor: f64) {
    let (ground, deal) = (scene.ground, &scene.ground.deals[other]);
    let floor = &ground.deals[window.deal].terms.floors[window.floor.clause];
    for (position, (_, clause)) in scene.expansions.iter().enumerate().filter(|(_, (of, _))| *of == other) {
        let meter = Meter::AcceleratorTime(deal.terms.expansions[*clause].accelerator);
        if floor.basis == Basis::Use || !listed(&floor.meters, meter) {
            continue;
        }
        let (hours, prices) = (held_hours(ground, deal), committed_price(ground, deal, *clause));
        for it in bills {
            // Prices are in the fleet's currency, which the factor of money is too.
            let worth = ground.bill_worth(deal, &deal.bills[it.bill]);
            for lap in laps(deal, it.bill) {
                let each = if window.counts == Counts::Money { prices[lap.month] / worth } else { 1.0 };
                let amount = factor * lapped(ground, deal, it, lap.month) * hours[lap.month] * each;
                if amount != 0.0 {
                    window.floor.expansions.push((position, lap.month, amount));
                }
            }
        }
    }
    merge(&mut window.floor.expansions);
}

/// Says in which later windows of the same floor an excess counts.
fn carry(windows: &mut [Window], from: usize, deal: &Deal<'_>, clause: usize) {
    let Some(carry) = deal.terms.floors[clause].carry_over.filter(|carry| carry.windows > 0) else { return };
    let numbers: Vec<RangeInclusive<i64>> = windows.iter().map(|window| window.numbers.clone()).collect();
    for window in windows {
        let reach = *window.numbers.end() + i64::from(carry.windows);
        let later = numbers.iter().enumerate().filter(|(_, it)| it.start() > window.numbers.end() && *it.start() <= reach);
        let later: Vec<usize> = later.map(|(position, _)| from + position).collect();
        window.floor.carry = (!later.is_empty()).then(|| (part(carry.share), later));
    }
}

/// The windows of nested contracts whose shortfalls are billed within a window that counts what is bought.
fn nested(ground: &Ground<'_>, windows: &[Window], over: &Window) -> Vec<usize> {
    let own = &ground.deals[over.deal];
    let floor = &own.terms.floors[over.floor.clause];
    if floor.basis != Basis::Purchase || over.counts != Counts::Money || !floor.meters.is_empty() {
        return Vec::new();
    }
    let counted = market::counted_towards(own.fleet, own.contract, over.floor.clause);
    let under = |window: &Window| {
        let contract = window.floor.contract;
        contract != own.contract && counted.contains(&contract) && own.fleet.chain(contract).any(|above| above == own.contract)
    };
    let billed = windows.iter().enumerate().filter(|(_, window)| under(window) && over.within.contains(window.billed));
    billed.map(|(position, _)| position).collect()
}
