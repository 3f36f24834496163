//! What falls due in a scenario: the statements of the contracts as it left them.

use fleet::{Contract, ContractId, Fleet, Preset, Status, Table};
use market::{Balances, Clause};
use units::{Money, Quantity};

use super::bills::{by_period, metered, post};
use super::dates::last_instant;
use super::limits::delivers;
use super::money::energy;
use super::turned::scaled;
use super::{Auditor, Found, Rule, Turn, Where};

/// Compares what is due, and energy with it, with what the policy paid, as sums up to each month: both may count something a month apart.
pub(super) fn check(auditor: &mut Auditor<'_>, rough: f64) {
    let Some(turn) = auditor.turn else { return };
    let abated = abated(auditor, turn);
    let balances = post(auditor);
    let mut due = vec![Money::ZERO; auditor.plan.months.len()];
    for (contract, ..) in abated.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed) {
        add_due(auditor, turn, &abated, (contract, &balances), &mut due);
    }
    for found in &auditor.flows {
        add_rent(auditor, turn, found, &mut due);
    }
    let (mut should, mut there, mut moved) = (Money::ZERO, Money::ZERO, Money::ZERO);
    let mut worst: Option<(i128, String, String)> = None;
    for (month, due) in due.into_iter().enumerate() {
        let row = &auditor.plan.money[month];
        should += due + energy(auditor, month);
        there += row.contracts + row.energy;
        moved = [row.cash, row.revenue, row.contracts, row.raised, row.debt, row.gap].into_iter().fold(moved, Money::max);
        let apart = (there - should).nanos().abs();
        if worst.as_ref().is_none_or(|(worst, ..)| *worst < apart) {
            worst = Some((apart, format!("month {month}"), format!("{there} so far, and should be {should}")));
        }
    }
    if let Some((apart, place, by)) = worst.filter(|(apart, ..)| *apart > scaled(moved.nanos(), rough)) {
        let parts = apart.saturating_mul(1_000_000) / moved.nanos().max(1);
        auditor.report(Rule::Due, place, format!("{by}: {parts} millionths of what moves"));
    }
}

/// Adds what the statements of a contract come to; without credits of billing periods that its party does not live to see the end of.
fn add_due(auditor: &Auditor<'_>, turn: Turn<'_>, world: &Fleet, (contract, balances): (ContractId, &Balances), due: &mut [Money]) {
    let terms = &world.contracts[contract];
    let fails = turn.turned.ends.get(&contract).copied().unwrap_or(usize::MAX);
    for period in market::periods(world, contract) {
        let at = last_instant(terms.period(period));
        let Some(month) = auditor.plan.months.iter().position(|month| month.span.contains(at)) else { continue };
        let statement = market::statement(world, balances, contract, period);
        let mut money = statement.due;
        if month >= fails {
            money -= statement.lines.iter().filter(|line| matches!(line.clause, Clause::Credit { .. })).map(|line| line.money).sum();
        } else {
            money += penalties(turn, balances, contract, period) - sum_of_penalties(&statement.lines);
        }
        due[month] += world.in_fleet_currency(money, terms.currency, at).unwrap_or(money);
    }
    refund(auditor, turn, contract, due);
}

fn sum_of_penalties(lines: &[market::Line]) -> Money {
    lines.iter().filter(|line| matches!(line.clause, Clause::Penalty { .. })).map(|line| line.money).sum()
}

/// What was late before the plan is credited as it was known then.
fn penalties(turn: Turn<'_>, balances: &Balances, contract: ContractId, period: i64) -> Money {
    sum_of_penalties(&market::statement(&turn.turned.expected, balances, contract, period).lines)
}

/// What was prepaid to a party that fails and is not granted as a credit by then comes back, if that was agreed.
fn refund(auditor: &Auditor<'_>, turn: Turn<'_>, contract: ContractId, due: &mut [Money]) {
    let Some(fails) = turn.turned.ends.get(&contract).copied() else { return };
    let terms = &turn.turned.expected.contracts[contract];
    let begins = auditor.span(fails).from;
    for prepayment in terms.prepayments.iter().filter(|prepayment| prepayment.refundable && prepayment.due < begins) {
        let ended = market::periods(&turn.turned.expected, contract).rfind(|period| terms.period(*period).to <= begins);
        let granted = ended.map_or(Money::ZERO, |last| market::granted(terms, prepayment, last));
        let back = (prepayment.amount - granted).max(Money::ZERO);
        due[fails] -= auditor.world.in_fleet_currency(back, terms.currency, begins).unwrap_or(back);
    }
}

/// What a rent that floats comes to beside the file's: accelerators on demand and on the spot market, at the month's factor.
fn add_rent(auditor: &Auditor<'_>, turn: Turn<'_>, found: &Found<'_>, due: &mut [Money]) {
    let terms = &auditor.world.contracts[found.contract];
    if !matches!((terms.preset, found.on), (Some(Preset::OnDemand | Preset::Spot), Where::Pool(_))) {
        return;
    }
    let factor = turn.told.rent.get(found.month).copied().unwrap_or(1.0);
    for (meter, quantity) in metered(auditor, found) {
        for (at, part) in by_period(auditor, found.contract, found.month, quantity) {
            let period = terms.calendar.index(at);
            let last = last_instant(terms.period(period));
            let Some(month) = auditor.plan.months.iter().position(|month| month.span.contains(last)) else { continue };
            let mut rates = terms.rates.iter().enumerate().filter(|(_, rates)| rates.meter == meter && rates.tiers.len() == 1);
            let Some((clause, _)) = rates.next() else { continue };
            let tier = market::tiers(&auditor.world, found.contract, clause, period).first().map(|tier| tier.rate);
            let cost = tier.map_or(Money::ZERO, |rate| rate.cost(Quantity::new(part)));
            let more = Money::from_nanos(scaled(cost.nanos(), factor)) - cost;
            due[month] += auditor.world.in_fleet_currency(more, terms.currency, last).unwrap_or(more);
        }
    }
}

/// The contracts with floors that shrink by what the supplier is late with in a scenario.
fn abated(auditor: &Auditor<'_>, turn: Turn<'_>) -> Fleet {
    let rows = auditor.world.contracts.iter().map(|(contract, name, terms)| {
        let mut terms = terms.clone();
        let was = &turn.turned.expected.contracts[contract];
        let of = was.delivery.as_ref().map(|delivery| delivery.of).or_else(|| was.capacity.first().map(|clause| clause.of));
        if let Some(of) = of.filter(|_| terms.floors.iter().any(|floor| floor.abated_while_late)) {
            shrink(&mut terms, &|span| {
                let was = delivers(&turn.turned.expected, contract, of, span);
                (delivers(&auditor.world, contract, of, span).min(was), was)
            });
        }
        (name.to_owned(), terms)
    });
    Fleet { contracts: Table::new(rows.collect()), ..auditor.world.clone() }
}

fn shrink(terms: &mut Contract, share: &dyn Fn(units::Span) -> (i128, i128)) {
    let (calendar, term) = (terms.calendar.clone(), terms.term);
    for floor in terms.floors.iter_mut().filter(|floor| floor.abated_while_late) {
        floor.least = super::world::by_window(&floor.least, &calendar.with_period(floor.per), term, share);
    }
}
