//! Cash, debt, covenants, raises and credits.

use fleet::{ContractId, Id};
use planner::{Credit, Debt, EventKind, Window};
use testkit::instance::Small;

use crate::solved::{agree, check};

fn debt(limit: f64, rate: f64, covenant: Option<f64>, months: usize) -> Option<Debt> {
    Some(Debt { lender: None, owed: 0.0, limit: vec![limit; months], rate, covenant })
}

#[test]
fn what_is_missing_is_borrowed_and_costs_interest() {
    // 20 in hand, 50 to pay, 100 a month later: 30 are borrowed for a month at a tenth.
    let mut small = Small::new(2, 20.0);
    small.instance.treasury.debt = debt(100.0, 0.1, None, 2);
    small.event(EventKind::Cost, &[-50.0, 0.0]);
    small.event(EventKind::Revenue, &[0.0, 100.0]);
    let answer = check(&small.instance, 100.0 - 3.0 - 30.0);
    assert!(agree(answer.decided.drawn[0], 30.0) && answer.broken.is_empty());
    // So money in the first month is worth a tenth more.
    assert!(agree(answer.decided.prices.cash[0], 1.1) && agree(answer.decided.prices.cash[1], 1.0));
}

#[test]
fn cash_earns_interest_and_stays_above_its_floor() {
    let mut small = Small::new(2, 100.0);
    small.instance.treasury.interest = 0.01;
    check(&small.instance, 100.0 * 1.01 * 1.01);
    // 60 of 100 are to be kept, so of 50 to pay 10 are missing: they cost ten times as much.
    let mut small = Small::new(1, 100.0);
    small.instance.treasury.floor = vec![60.0];
    small.event(EventKind::Cost, &[-50.0]);
    let answer = check(&small.instance, 60.0 - 100.0);
    assert_eq!((answer.broken[0].promise.as_str(), answer.conflict.len()), ("finance.cash.floor", 1));
}

#[test]
fn a_covenant_looks_at_twelve_months_of_revenue() {
    // Months before the plan count as the first: half of 12 x 10 is 60, and 70 are missing.
    let mut small = Small::new(2, 0.0);
    small.instance.treasury.debt = debt(1_000.0, 0.0, Some(0.5), 2);
    small.event(EventKind::Revenue, &[10.0, 100.0]);
    small.event(EventKind::Cost, &[-80.0, 0.0]);
    let answer = check(&small.instance, 10.0 - 80.0 + 100.0 + 10.0 - 100.0);
    assert!(agree(answer.broken[0].by, 10.0) && agree(answer.decided.debt[0], 60.0));
    // What is served is revenue too: 2 more, twelve times over, is 12 more of debt.
    small.supply("oracle", 0.0);
    small.serving("chat", &[1.0, 0.0], 2.0);
    check(&small.instance, 12.0 - 80.0 + 100.0);
}

#[test]
fn a_raise_is_taken_as_far_as_it_is_needed() {
    let mut small = Small::new(2, 0.0);
    small.event(EventKind::Cost, &[-50.0, 0.0]);
    let (name, open) = ("series f".to_owned(), (0, 2));
    small.instance.treasury.windows.push(Window { name, party: None, open, most: 100.0, cost: 0.1, likelihood: 1.0 });
    let answer = check(&small.instance, -55.0);
    assert!(agree(answer.decided.raised[0][0], 50.0));
    small.instance.treasury.windows[0].most = 40.0;
    // 10 are missing: 10 x 10, and the raise is used up.
    check(&small.instance, -44.0 - 100.0);
}

#[test]
fn a_prepayment_is_credited_against_charges_and_what_is_left_is_lost() {
    let mut small = Small::new(2, 100.0);
    let supply = small.supply("oracle", 2.0);
    small.serving("chat", &[3.0, 3.0], 3.0);
    small.event(EventKind::Prepayment, &[-20.0, 0.0]);
    small.instance.credits.push(Credit {
        name: "prepayment of oracle".to_owned(),
        contract: ContractId::from_index(supply),
        clause: 0,
        choice: None,
        granted: vec![4.0, 16.0],
        committed: vec![0.0; 2],
        replaced: vec![],
        refundable: false,
    });
    // 4 of 6 in the first month, 6 of 6 in the second; 10 are lost.
    let answer = check(&small.instance, 100.0 - 20.0 + 18.0 - 2.0);
    assert!(agree(answer.decided.credited[0][0], 4.0) && agree(answer.decided.credited[0][1], 6.0));
    // Committed charges of 5 take 5 more of what is left.
    small.instance.credits[0].committed = vec![0.0, 5.0];
    small.event(EventKind::Committed, &[0.0, -5.0]);
    check(&small.instance, 96.0);
}

#[test]
fn charges_are_paid_when_they_are_due_and_energy_at_once() {
    let mut small = Small::new(2, 10.0);
    let supply = small.supply("oracle", 2.0);
    small.instance.supplies[supply].due = vec![1, 1];
    small.instance.supplies[supply].energy = vec![0.5; 2];
    small.serving("chat", &[20.0, 0.0], 2.6);
    small.instance.treasury.floor = vec![50.0, 0.0];
    // 20 x (2.6 - 0.5) come in during the first month, which is just enough for the floor of 50; the charges are due later.
    let answer = check(&small.instance, 10.0 + 20.0 * 0.1);
    assert!(agree(answer.decided.cash[0], 52.0) && answer.broken.is_empty());
}
