//! What a plan says in a few sentences: whether it holds, what to sign and raise, where it is short.

use std::collections::BTreeMap;

use fleet::Fleet;
use planner::Plan;
use units::Money;

use super::figures::{money, rough, scaled};

/// The sentences, the most important first. `months` are the plan's, as shown.
pub fn headline(fleet: &Fleet, plan: &Plan, months: &[String]) -> Vec<String> {
    let mut lines = vec![holds(plan, months)];
    lines.extend(conflict(plan));
    lines.extend(sign(plan, months));
    lines.extend(raise(plan, months));
    lines.extend(short(plan, months));
    lines.extend(unused(fleet, plan));
    lines
}

fn holds(plan: &Plan, months: &[String]) -> String {
    let last = months.last().map_or("", String::as_str);
    let Some(gap) = plan.gaps.iter().min_by_key(|gap| gap.month) else {
        let least = plan.money.iter().enumerate().min_by_key(|(_, month)| month.cash);
        let least = least.map(|(at, month)| format!(": cash is least in {}, at {}", months[at], money(month.cash, &plan.currency)));
        return format!("It holds: every promise is kept through {last}{}.", least.unwrap_or_default());
    };
    let others: Vec<String> =
        plan.gaps.iter().map(|gap| format!("{} from {} (in all {})", gap.promise, months[gap.month], gap.by)).collect();
    format!("It does not hold from {} on. Not kept: {}.", months[gap.month], others.join("; "))
}

fn conflict(plan: &Plan) -> Option<String> {
    let names: Vec<&str> = plan.gaps.iter().filter(|gap| gap.conflicts).map(|gap| gap.promise.as_str()).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("Under what is signed, {one} can't be kept, whatever else is given up.")),
        many => Some(format!("These can't hold together, and any one given up would let the others hold: {}.", many.join(", "))),
    }
}

fn sign(plan: &Plan, months: &[String]) -> Vec<String> {
    let line = |choice: &planner::Chosen| {
        let moved = match choice.moved {
            0 => String::new(),
            months => format!(", {} months {}", months.abs(), if months > 0 { "later" } else { "earlier" }),
        };
        let worth = choice.worth.map(|worth| money(worth, &plan.currency));
        let by = months.get(choice.by).map(|month| format!(" by {month}")).unwrap_or_default();
        if choice.signed {
            let worth = worth.map(|worth| format!(": worth {worth} against not signing")).unwrap_or_default();
            Some(format!("Sign {}{moved}{by}{worth}.", choice.contract))
        } else {
            // Of a contract that is signed with other dates, the dates not taken say nothing.
            let taken = plan.choices.iter().any(|other| other.contract == choice.contract && other.signed);
            let worth = worth.map(|worth| format!(": it would lose {worth}")).unwrap_or_default();
            (!taken).then(|| format!("Don't sign {}{moved}{worth}.", choice.contract))
        }
    };
    plan.choices.iter().filter_map(line).collect()
}

fn raise(plan: &Plan, months: &[String]) -> Vec<String> {
    let mut by_name: BTreeMap<&str, (Money, usize)> = BTreeMap::new();
    for raised in plan.raised.iter().filter(|raised| raised.amount > Money::ZERO) {
        let entry = by_name.entry(&raised.name).or_insert((Money::ZERO, raised.month));
        *entry = (entry.0 + raised.amount, entry.1.min(raised.month));
    }
    let line = |(name, (amount, month)): (&str, (Money, usize))| {
        format!("Raise {} from {name}, the first of it in {}.", money(amount, &plan.currency), months[month])
    };
    by_name.into_iter().map(line).collect()
}

/// The first month in which demand is not met, and how much is not over the whole plan.
fn short(plan: &Plan, months: &[String]) -> Option<String> {
    let first = plan.served.iter().find(|row| row.served < row.wanted - row.wanted / 1_000)?;
    let month = plan.steps.get(first.step).map_or(0, |(month, _)| *month);
    let wanted: f64 = plan.served.iter().map(|row| rough(row.wanted)).sum();
    let missed: f64 = plan.served.iter().map(|row| rough(row.wanted - row.served)).sum();
    Some(format!(
        "Demand is first not met in {} ({}); over the plan {}tokens of {}go unserved ({:.1} %), because serving them would cost more than they are worth or \
         nothing is left to serve them.",
        months[month],
        first.workload,
        scaled(missed),
        scaled(wanted),
        100.0 * missed / wanted.max(1.0)
    ))
}

/// What minimums ask for beyond what is used.
fn unused(fleet: &Fleet, plan: &Plan) -> Vec<String> {
    let mut short: BTreeMap<&str, Money> = BTreeMap::new();
    for row in &plan.shorts {
        *short.entry(&row.contract).or_insert(Money::ZERO) += row.money;
    }
    let line = |(contract, sum): (&str, Money)| {
        let currency = fleet.contracts.id(contract).map_or(fleet.currency, |id| fleet.contracts[id].currency);
        format!("{} is paid to {contract} for nothing, to meet its minimum.", money(sum, currency.code()))
    };
    short.into_iter().filter(|(_, sum)| *sum > Money::ZERO).map(line).collect()
}
