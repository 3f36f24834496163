//! Every rule with faults that it must find, each planted in a plan in which nothing is wrong.

use std::collections::BTreeSet;

use planner::{Added, Flow, Gap, Plan, Raised, Rule, audit};
use units::Money;

use crate::answer::{date, fleet, plan};

/// A fault: what it is, which rule must find it, and how it is planted.
type Fault = (&'static str, Rule, fn(&mut Plan));

/// The flow of a contract in a step for a workload.
fn flow<'a>(plan: &'a mut Plan, contract: &str, on: &str, workload: &str, step: usize) -> &'a mut Flow {
    let on = Some(on.to_owned());
    let found = plan.flows.iter_mut().find(|flow| {
        flow.contract == contract && (flow.pool == on || flow.endpoint == on) && flow.workload == workload && flow.step == step
    });
    found.expect("a flow of the settled plan")
}

fn nano() -> Money {
    Money::from_nanos(1)
}

const SHAPE: &[Fault] = &[
    ("another format", Rule::Shape, |plan| plan.format = 2),
    ("another fleet", Rule::Shape, |plan| plan.fleet.replace_range(0..1, "z")),
    ("another currency", Rule::Shape, |plan| plan.currency = "EUR".to_owned()),
    ("no months", Rule::Shape, |plan| plan.months.clear()),
    ("a month too few", Rule::Shape, |plan| plan.months.truncate(4)),
    ("a month that begins late", Rule::Shape, |plan| plan.months[1].span.from = date("2027-02-02")),
    ("another beginning", Rule::Shape, |plan| plan.months[0].span.from = date("2026-12-01")),
    ("blocks of other lengths", Rule::Shape, |plan| plan.steps[0].1 += 1),
    ("a step that is not there", Rule::Shape, |plan| plan.flows[0].step = 10),
    ("a contract that is not there", Rule::Shape, |plan| plan.flows[0].contract = "nobody".to_owned()),
    ("neither pool nor endpoint", Rule::Shape, |plan| plan.flows[0].pool = None),
    ("the same flow twice", Rule::Shape, |plan| plan.flows.push(plan.flows[0].clone())),
    ("a quantity below zero", Rule::Shape, |plan| plan.flows[0].quantity = -1),
    ("money beyond counting", Rule::Shape, |plan| plan.money[0].cash = Money::from_nanos(i128::MAX)),
    ("a tier left out", Rule::Shape, |plan| drop(plan.served.remove(3))),
    ("training left out", Rule::Shape, |plan| drop(plan.trained.remove(2))),
    ("a month without money", Rule::Shape, |plan| plan.money.truncate(4)),
];

const PLACES: &[Fault] = &[
    ("an offer that is not signed", Rule::InForce, |plan| plan.choices.iter_mut().for_each(|choice| choice.signed = false)),
    ("before the term", Rule::InForce, |plan| flow(plan, "offered", "south", "chat", 4).step = 2),
    ("a pool of another contract", Rule::InForce, |plan| flow(plan, "reserved", "north", "chat", 2).pool = Some("south".to_owned())),
    ("a model of another kind", Rule::InForce, |plan| flow(plan, "tokens", "api", "chat", 0).endpoint = Some("wrong".to_owned())),
    ("training by the token", Rule::Fit, |plan| flow(plan, "tokens", "api", "chat", 0).workload = "train".to_owned()),
    ("a token more than the time does", Rule::Done, |plan| flow(plan, "metered", "north", "chat", 0).done += 1),
    ("a token less than the time does", Rule::Done, |plan| flow(plan, "metered", "north", "chat", 0).done -= 1),
    ("units that do more", Rule::Done, |plan| flow(plan, "units", "units", "chat", 0).done += 1),
    ("training that does more", Rule::Done, |plan| flow(plan, "reserved", "north", "train", 0).done += 1),
    ("training on another's", Rule::Exclusivity, |plan| flow(plan, "metered", "north", "chat", 2).workload = "train".to_owned()),
];

const LIMITS: &[Fault] = &[
    ("a millisecond over delivered capacity", Rule::Capacity, |plan| flow(plan, "reserved", "north", "chat", 4).quantity += 1),
    ("a millisecond over an offer's capacity", Rule::Capacity, |plan| flow(plan, "offered", "south", "chat", 4).quantity += 1),
    ("a millisecond over the units", Rule::Capacity, |plan| flow(plan, "units", "units", "chat", 0).quantity += 1),
    ("a millisecond over the pool", Rule::Pool, |plan| flow(plan, "power", "south", "chat", 6).quantity += 1),
    ("a millisecond over the site's power", Rule::SitePower, |plan| flow(plan, "reserved", "north", "chat", 6).quantity += 1),
    ("a millisecond over what is paid for", Rule::Venture, |plan| flow(plan, "power", "south", "chat", 0).quantity += 1),
    ("too much on one maker", Rule::Dependence, |plan| {
        plan.flows.retain(|flow| flow.step != 0 || flow.pool.as_deref() == Some("north"));
        plan.flows.retain(|flow| flow.step != 1);
    }),
];

const OFFERS: &[Fault] = &[
    ("a start that is not offered", Rule::Offer, |plan| plan.choices[1].moved = 2),
    ("signed twice", Rule::Offer, |plan| plan.choices[0].signed = true),
    ("signed too late", Rule::Offer, |plan| plan.choices[1].by = 2),
    ("what is not on offer", Rule::Offer, |plan| plan.choices[0].contract = "tokens".to_owned()),
    ("before the answer", Rule::FirstRefusal, |plan| {
        (plan.choices[0].signed, plan.choices[1].signed) = (true, false);
    }),
    ("more than a month may order", Rule::Expansion, |plan| plan.added[0].count = 31),
    ("more than all months may order", Rule::Expansion, |plan| {
        plan.added.push(Added { contract: "reserved".to_owned(), clause: 0, month: 1, count: 25 });
    }),
    ("an expansion that is not there", Rule::Expansion, |plan| plan.added[0].clause = 1),
    ("more chips than there are", Rule::ChipSupply, |plan| plan.added[0].count = 41),
    ("before they have come", Rule::Capacity, |plan| plan.added[0].month = 3),
];

const DEMAND: &[Fault] = &[
    ("another demand", Rule::Demand, |plan| plan.served[0].wanted += 1),
    ("more served than wanted", Rule::Demand, |plan| plan.served[0].served = plan.served[0].wanted + 1),
    ("served by nobody", Rule::Demand, |plan| plan.served[5].served -= 1),
    ("more arrives", Rule::Backlog, |plan| plan.trained[0].arrived += 1),
    ("more done than flows do", Rule::Backlog, |plan| plan.trained[0].done += 1),
    ("a backlog from nowhere", Rule::Backlog, |plan| plan.trained[1].backlog += 1),
    ("past its deadline", Rule::Backlog, |plan| {
        let left = plan.trained[0].done;
        plan.flows.retain(|flow| flow.workload != "train" || flow.step > 1);
        plan.trained.iter_mut().for_each(|row| row.backlog += left);
        plan.trained[0].done = 0;
    }),
    ("given up and not said so", Rule::Promise, |plan| {
        let left = plan.trained[0].done;
        plan.flows.retain(|flow| flow.workload != "train" || flow.step > 1);
        (plan.trained[0].done, plan.trained[0].backlog, plan.trained[1].backlog, plan.trained[2].late) = (0, left, left, left);
    }),
    ("a promise broken and not said so", Rule::Promise, |plan| {
        plan.flows.retain(|flow| flow.workload != "chat" || flow.step != 3);
        plan.served.iter_mut().filter(|row| row.step == 3).for_each(|row| row.served = 0);
    }),
    ("a promise kept and said to be broken", Rule::Promise, |plan| {
        plan.gaps.push(Gap { promise: "workloads.chat.least".to_owned(), month: 1, by: String::new(), conflicts: false });
    }),
];

const MONEY: &[Fault] = &[
    ("a nano-unit less due", Rule::Due, |plan| plan.due[3].due -= nano()),
    ("paid at another rate", Rule::Due, |plan| {
        let row = plan.due.iter_mut().find(|row| row.contract == "units" && row.month == 2).expect("a bill in euros");
        row.paid -= nano();
    }),
    ("due a month later", Rule::Due, |plan| plan.due[0].month = 1),
    ("a bill left out", Rule::Due, |plan| drop(plan.due.remove(2))),
    ("a bill from nowhere", Rule::Due, |plan| {
        let mut row = plan.due[0].clone();
        row.period = 99;
        plan.due.push(row);
    }),
    ("a millisecond that is not billed", Rule::Due, |plan| flow(plan, "metered", "north", "chat", 0).quantity += 3_600_000),
    ("a smaller shortfall", Rule::Short, |plan| plan.shorts[0].money -= nano()),
    ("a shortfall left out", Rule::Short, |plan| drop(plan.shorts.remove(0))),
    ("interest", Rule::Money, |plan| plan.money[1].interest += nano()),
    ("revenue", Rule::Money, |plan| plan.money[1].revenue += nano()),
    ("raised", Rule::Money, |plan| plan.money[2].raised += nano()),
    ("other money", Rule::Money, |plan| plan.money[1].other += nano()),
    ("interest on debt", Rule::Money, |plan| plan.money[1].debt_interest += nano()),
    ("contracts", Rule::Money, |plan| plan.money[1].contracts += nano()),
    ("energy", Rule::Money, |plan| plan.money[1].energy += nano()),
    ("capex", Rule::Money, |plan| plan.money[0].capex += nano()),
    ("cash from nowhere", Rule::Cash, |plan| plan.money[1].cash += nano()),
    ("below the floor", Rule::Cash, |plan| plan.money[4].cash = Money::from_units(499_999)),
    ("a gap that is none", Rule::Cash, |plan| plan.money[4].gap = nano()),
    ("debt from nowhere", Rule::Debt, |plan| plan.money[4].debt += nano()),
    ("more repaid than owed", Rule::Debt, |plan| plan.money[0].repaid = Money::from_units(200_001)),
    ("over the limit", Rule::Debt, |plan| plan.money[4].debt = Money::from_units(1_500_001)),
    ("a raise before it is open", Rule::Raise, |plan| {
        plan.raised.push(Raised { month: 0, name: "series".to_owned(), amount: nano() });
    }),
    ("a raise that is taken whole", Rule::Raise, |plan| {
        plan.raised.push(Raised { month: 2, name: "grant".to_owned(), amount: nano() });
    }),
    ("more than the raise has", Rule::Raise, |plan| {
        plan.raised.push(Raised { month: 2, name: "series".to_owned(), amount: Money::from_units(3_000_000) + nano() });
    }),
    ("a price that does not add up", Rule::Price, |plan| plan.prices[0].total += nano()),
    ("a price of another quantity", Rule::Price, |plan| plan.prices[0].planned += 1),
];

fn all() -> impl Iterator<Item = &'static Fault> {
    [SHAPE, PLACES, LIMITS, OFFERS, DEMAND, MONEY].into_iter().flatten()
}

#[test]
fn each_fault_is_found_by_its_rule() {
    let fleet = fleet();
    let good = plan(&fleet);
    assert!(audit(&fleet, &good).is_empty());
    let mut missed = Vec::new();
    for (what, rule, plant) in all() {
        let mut bad = good.clone();
        plant(&mut bad);
        assert_ne!(bad, good, "{what} plants nothing");
        let found = audit(&fleet, &bad);
        if !found.iter().any(|violation| violation.rule == *rule) {
            missed.push(format!("{what}: {rule:?} is not in {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn each_rule_has_a_fault() {
    let covered: BTreeSet<Rule> = all().map(|(_, rule, _)| *rule).collect();
    assert_eq!(covered.len(), 24, "a rule without a fault, or without a place in this count");
}
