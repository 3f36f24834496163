//! Promises that hold, that can't, and rows that nothing can soften.

use planner::{Bar, BarKind, DecideError, EventKind, Lifts, State, clause_price, clauses};
use testkit::instance::Small;

use crate::solved::{agree, check, highs, solved, tried};

/// Chat is promised and costs more than it earns; there is cash for some of it.
fn lab(cash: f64) -> Small {
    let mut small = Small::new(2, cash);
    let supply = small.supply("oracle", 5.0);
    small.limit("capacity of oracle", &[supply], 10.0);
    let chat = small.serving("chat", &[4.0, 0.0], 1.0);
    small.promise(chat, 1.0);
    let search = small.serving("search", &[0.5, 0.5], 6.0);
    small.promise(search, 0.5);
    small
}

#[test]
fn a_promise_costs_money_while_there_is_some() {
    let answer = check(&lab(100.0).instance, 100.0 - 16.0 + 1.0);
    assert!(answer.broken.is_empty() && answer.conflict.is_empty() && answer.keeping.is_none());
}

#[test]
fn promises_that_can_t_hold_together_are_named_and_no_others() {
    let answer = solved(&lab(10.0).instance);
    assert_eq!(answer.conflict, ["workloads.chat.least", "finance.cash.floor"]);
    assert!(answer.broken.iter().all(|broken| broken.conflicts && broken.first == 0), "{:?}", answer.broken);
    // A tenth more of missing money costs less than a missed token: 4 x 4 - 10 - 0.5 are missing.
    assert!(agree(answer.broken.iter().map(|broken| broken.by).sum(), 5.5 / 4.0), "{:?}", answer.broken);
}

#[test]
fn a_deadline_that_is_promised_is_broken_last() {
    let mut small = Small::new(2, 100.0);
    let supply = small.supply("oracle", 9.0);
    small.limit("capacity of oracle", &[supply], 4.0);
    small.training("next", &[10.0, 0.0], &[0.0, 10.0], 5.0, true);
    // It costs 9 and is worth 5, and is done all the same; for 2 there is no capacity.
    let answer = check(&small.instance, 100.0 - 8.0 * 4.0 - 2.0 * 50.0);
    assert_eq!((answer.conflict, answer.broken[0].first), (vec!["workloads.next.deadline".to_owned()], answer.broken[0].first));
    assert!(agree(answer.broken[0].by, 2.0));
}

#[test]
fn a_promise_that_is_too_dear_says_what_keeping_it_costs() {
    // Training is worth 500 for 10 of money that is not there: breaking the floor costs 100.
    let mut small = Small::new(1, 0.0);
    small.supply("oracle", 10.0);
    small.training("next", &[1.0], &[0.0], 500.0, false);
    let answer = check(&small.instance, 400.0);
    assert_eq!(answer.broken.len(), 1);
    assert!(answer.conflict.is_empty() && agree(answer.keeping.expect("it can be kept"), 400.0));
}

#[test]
fn rows_that_nothing_can_soften_are_named() {
    let mut small = lab(10.0);
    let held = small.limit("power of oslo", &[0], -1.0);
    small.limit("power of bergen", &[0], 1.0);
    let Err(DecideError::Impossible(rows)) = tried(&small.instance) else { unreachable!("nothing satisfies power below zero") };
    assert_eq!(rows, [small.instance.limits[held].name.clone()]);
}

#[test]
fn a_clause_costs_what_the_plan_would_gain_without_it() {
    let mut small = Small::new(2, 100.0);
    let azure = small.supply("azure", 2.0);
    let google = small.supply("google", 1.0);
    small.serving("chat", &[10.0, 10.0], 3.0);
    small.floor(azure, (0, 2), 50.0);
    small.event(EventKind::Prepayment, &[-7.0, 0.0]);
    small.instance.fits[google].open = vec![(1, 2)];
    let (name, kind) = ("exclusivity of azure".to_owned(), BarKind::Exclusivity);
    small.instance.bars.push(Bar { name, kind, contract: None, lifts: Lifts::Fit(google, 0, 1) });
    // 20 served; up to the floor of 50 azure's 2 each are paid anyway, so all goes there and 10 are short.
    let answer = check(&small.instance, 100.0 + 60.0 - 50.0 - 7.0);
    let mut solver = highs();
    let mut price = |clause: &planner::Clause| {
        clause_price(
            &small.instance,
            clause,
            &State::opening(&small.instance),
            None,
            answer.decided.objective,
            &mut solver,
            lp::Effort::default(),
        )
        .expect("it is solved")
    };
    let prices: Vec<(String, f64)> = clauses(&small.instance).iter().map(|clause| (clause.name.clone(), price(clause))).collect();
    // Without the floor azure serves the first month only; without the exclusivity nothing changes, as the floor is to be paid.
    let expected = [("floor of azure", 50.0 - 30.0), ("Prepayment", 7.0), ("exclusivity of azure", 0.0)];
    for ((name, found), (of, expected)) in prices.iter().zip(expected) {
        assert!(name.starts_with(of) && agree(*found, expected), "{prices:?}");
    }
    small.instance.floors.clear();
    let without = check(&small.instance, 100.0 + 60.0 - 30.0 - 7.0);
    let exclusivity = &clauses(&small.instance)[1];
    let found = clause_price(
        &small.instance,
        exclusivity,
        &State::opening(&small.instance),
        None,
        without.decided.objective,
        &mut solver,
        lp::Effort::default(),
    );
    assert!(agree(found.expect("it is solved"), 10.0));
}
