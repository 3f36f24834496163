//! What a plan says in a few sentences: whether it holds, what to sign and raise, where it is short.

use std::collections::BTreeMap;

use fleet::Fleet;
use planner::{Chosen, Gap, Plan};
use units::Money;

use super::figures::{money, rough, scaled};

/// The sentences, the most important first. `months` are the plan's, as shown.
pub fn headline(fleet: &Fleet, plan: &Plan, months: &[String]) -> Vec<String> {
    let mut lines = vec![holds(plan, months)];
    lines.extend(conflict(plan));
    lines.extend(plan.choices.iter().filter_map(|choice| sign(plan, choice, months)));
    lines.extend(raise(plan, months));
    lines.extend(short(plan, months));
    lines.extend(unused(fleet, plan));
    lines
}

fn holds(plan: &Plan, months: &[String]) -> String {
    let last = months.last().map_or("", String::as_str);
    let Some(first) = plan.gaps.iter().map(|gap| gap.month).min() else {
        let least = plan.money.iter().enumerate().min_by_key(|(_, month)| month.cash);
        let least = least.map(|(at, month)| format!(" Cash is least in {}, at {}.", months[at], money(month.cash, &plan.currency)));
        return format!("The plan holds: every promise is kept through {last}.{}", least.unwrap_or_default());
    };
    let broken = |gap: &Gap| format!("{}, from {} on, by {} in all", promise(&gap.promise), months[gap.month], in_short(&gap.by));
    let broken: Vec<String> = plan.gaps.iter().map(broken).collect();
    format!("The plan does not hold from {} on. Not kept: {}.", months[first], broken.join("; "))
}

fn conflict(plan: &Plan) -> Option<String> {
    let names: Vec<String> = plan.gaps.iter().filter(|gap| gap.conflicts).map(|gap| promise(&gap.promise)).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("With what is signed it can't hold, whatever else is given up: {one}.")),
        many => Some(format!("These can't all hold, and giving up any one of them lets the others hold: {}.", many.join("; "))),
    }
}

/// A promise in words, with its path in the fleet file.
fn promise(path: &str) -> String {
    let workload = |end: &str| path.strip_prefix("workloads.").and_then(|rest| rest.strip_suffix(end));
    match (path, workload(".least"), workload(".deadline")) {
        ("finance.cash.floor", ..) => format!("cash above its floor ({path})"),
        (_, Some(name), _) => format!("the share of {name} that must be served ({path})"),
        (_, _, Some(name)) => format!("the deadline of {name} ({path})"),
        _ => path.to_owned(),
    }
}

/// A figure with its unit in three digits: `12345678.9 USD` as `12.3 MUSD`.
fn in_short(figure: &str) -> String {
    let number = figure.split_once(' ').and_then(|(number, unit)| number.parse().ok().map(|number: f64| (number, unit)));
    number.map_or_else(|| figure.to_owned(), |(number, unit)| counted(number, unit))
}

/// A count with its unit: a currency takes the prefix, as in `12.3 MUSD`, and a word stands apart from it, as in `81.8 P tokens`.
fn counted(count: f64, unit: &str) -> String {
    let is_word = unit.contains(char::is_lowercase);
    let shown = scaled(count);
    if is_word { format!("{} {unit}", shown.trim_end()) } else { format!("{shown}{unit}") }
}

fn sign(plan: &Plan, choice: &Chosen, months: &[String]) -> Option<String> {
    let start = match choice.moved {
        0 => String::new(),
        moved => format!(" with a start {} {} {}", moved.abs(), plural(moved, "month"), if moved > 0 { "later" } else { "earlier" }),
    };
    let worth = choice.worth.map(|worth| money(worth, &plan.currency));
    if choice.signed {
        let by = months.get(choice.by).map(|month| format!(" by {month}")).unwrap_or_default();
        let worth = worth.map(|worth| format!(": that is worth {worth}")).unwrap_or_default();
        return Some(format!("Sign {}{by}{start}{worth}.", choice.contract));
    }
    // Of a contract that is signed with other dates, the dates not taken say nothing.
    let taken = plan.choices.iter().any(|other| other.contract == choice.contract && other.signed);
    let worth = worth.map(|worth| format!(": that would lose {worth}")).unwrap_or_default();
    (!taken).then(|| format!("Don't sign {}{start}{worth}.", choice.contract))
}

fn plural(count: i32, one: &str) -> String {
    if count.abs() == 1 { one.to_owned() } else { format!("{one}s") }
}

fn raise(plan: &Plan, months: &[String]) -> Vec<String> {
    let mut by_name: BTreeMap<&str, (Money, usize)> = BTreeMap::new();
    for raised in plan.raised.iter().filter(|raised| raised.amount > Money::ZERO) {
        let entry = by_name.entry(&raised.name).or_insert((Money::ZERO, raised.month));
        *entry = (entry.0 + raised.amount, entry.1.min(raised.month));
    }
    let line = |(name, (amount, month)): (&str, (Money, usize))| {
        format!("Raise {} from {} on (\"{name}\").", money(amount, &plan.currency), months[month])
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
        "Not all demand is served: {:.1} % of it over the plan ({} of {}) goes without, first {} in {}, for want of capacity or because serving it \
         costs more than it is worth.",
        100.0 * missed / wanted.max(1.0),
        counted(missed, "tokens"),
        counted(wanted, "tokens"),
        first.workload,
        months[month],
    ))
}

/// What minimums ask for beyond what is used, in each contract's currency.
fn unused(fleet: &Fleet, plan: &Plan) -> Vec<String> {
    let mut short: BTreeMap<&str, Money> = BTreeMap::new();
    for row in &plan.shorts {
        *short.entry(&row.contract).or_insert(Money::ZERO) += row.money;
    }
    let line = |(contract, sum): (&str, Money)| {
        let currency = fleet.contracts.id(contract).map_or(plan.currency.as_str(), |id| fleet.contracts[id].currency.code());
        format!("{} paid to meet the minimum of {contract} buys nothing.", money(sum, currency))
    };
    // What shows as nothing is rounding.
    short.into_iter().filter(|(_, sum)| money(*sum, "") != money(Money::ZERO, "")).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use planner::{MonthMoney, Raised, Served, Short};

    fn giga(units: i64) -> Money {
        Money::from_units(units * 1_000_000_000)
    }

    fn check(plan: &Plan, expected: &[&str]) {
        let text = include_str!("../../../../../fleets/mistral-2025.toml");
        let fleet = fleet::parse(text).fleet.expect("a fleet without errors");
        let months = ["2027-01", "2027-02", "2027-03"].map(str::to_owned);
        assert_eq!(headline(&fleet, plan, &months), expected);
    }

    fn plan() -> Plan {
        let money = [30, 12, 20].map(|cash| MonthMoney { cash: giga(cash), ..MonthMoney::default() });
        Plan { currency: "EUR".to_owned(), money: money.into(), steps: vec![(0, 1_000_000), (1, 1_000_000)], ..Plan::default() }
    }

    #[test]
    fn a_plan_that_holds_says_where_cash_is_least() {
        check(&plan(), &["The plan holds: every promise is kept through 2027-03. Cash is least in 2027-02, at 12 GEUR."]);
    }

    #[test]
    fn broken_promises_are_in_words_and_short_figures() {
        let gap = |promise: &str, month: usize, by: &str| Gap { promise: promise.into(), month, by: by.into(), conflicts: true };
        let gaps = vec![
            gap("finance.cash.floor", 2, "12345678901.25 EUR"),
            gap("workloads.chat.least", 1, "81771000000000000 tokens"),
            gap("workloads.run.deadline", 1, "1500.000 accelerator-hours"),
        ];
        check(
            &Plan { gaps, ..plan() },
            &[
                "The plan does not hold from 2027-02 on. Not kept: cash above its floor (finance.cash.floor), from 2027-03 on, by 12.3 GEUR in all; the \
                 share of chat that must be served (workloads.chat.least), from 2027-02 on, by 81.8 P tokens in all; the deadline of run \
                 (workloads.run.deadline), from 2027-02 on, by 1.5 k accelerator-hours in all.",
                "These can't all hold, and giving up any one of them lets the others hold: cash above its floor (finance.cash.floor); the share of chat \
                 that must be served (workloads.chat.least); the deadline of run (workloads.run.deadline).",
            ],
        );
    }

    #[test]
    fn what_to_do_comes_with_its_month_and_worth() {
        let choice =
            |contract: &str, signed: bool, moved: i32| Chosen { contract: contract.into(), signed, moved, by: 1, worth: Some(giga(3)) };
        let choices = vec![choice("stargate", true, 12), choice("stargate", false, 0), choice("us-cloud", false, 0)];
        let raised = vec![
            Raised { month: 2, name: "another".into(), amount: giga(1) },
            Raised { month: 1, name: "another".into(), amount: giga(1) },
        ];
        let shorts = vec![Short { contract: "us-cloud".into(), clause: 0, period: 0, money: giga(2) }];
        let served = |step: usize, served: i64| Served {
            step,
            workload: "chat".into(),
            tier: fleet::ServiceTier::Default,
            wanted: 1_000_000_000_000_000_000,
            served,
        };
        let served = vec![served(0, 1_000_000_000_000_000_000), served(1, 900_000_000_000_000_000)];
        check(
            &Plan { choices, raised, shorts, served, ..plan() },
            &[
                "The plan holds: every promise is kept through 2027-03. Cash is least in 2027-02, at 12 GEUR.",
                "Sign stargate by 2027-02 with a start 12 months later: that is worth 3 GEUR.",
                "Don't sign us-cloud: that would lose 3 GEUR.",
                "Raise 2 GEUR from 2027-02 on (\"another\").",
                "Not all demand is served: 5.0 % of it over the plan (100 P tokens of 2 E tokens) goes without, first chat in 2027-02, for want of \
                 capacity or because serving it costs more than it is worth.",
                "2 GUSD paid to meet the minimum of us-cloud buys nothing.",
            ],
        );
    }
}
