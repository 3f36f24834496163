//! Promises that can't hold together, found with HiGHS.

use lp::{Conflict, Effort, Problem, Promise, Solver as _, conflict};

use crate::solver::{FREE, highs};

/// Two months, each with 10 units of a contract that costs 60 in January, and 6 of a second that costs 40 when it is signed. At most 9 units a month
/// serve chat and earn 4 each; the rest trains. Promised: at least 5 of cash in January, a least service in each month, training done in both.
struct Lab {
    problem: Problem,
    promises: Vec<Promise>,
}

fn lab(cash: f64, least: [f64; 2], backlog: f64) -> Lab {
    let mut problem = Problem::with_room(0, 0, 0);
    let mut promises = Vec::new();
    let sign = problem.choice(0.0);
    let served = [0, 1].map(|_| problem.column(4.0, 0.0, 9.0));
    let trained = [0, 1].map(|_| problem.column(1.0, 0.0, FREE));
    for month in 0..2 {
        problem.entry(served[month], 1.0);
        problem.entry(trained[month], 1.0);
        problem.entry(sign, -6.0);
        problem.row(-FREE, 10.0);
    }
    let mut promise = |problem: &mut Problem, name: &str| {
        let slack = problem.column(-1000.0, 0.0, FREE);
        promises.push(Promise { name: name.to_owned(), slacks: vec![slack] });
        slack
    };
    let floor = promise(&mut problem, "cash.floor");
    problem.entry(floor, 1.0);
    problem.entry(sign, -40.0);
    problem.entry(served[0], 4.0);
    problem.row(5.0 - (cash - 60.0), FREE);
    for (month, (name, least)) in ["chat.least in January", "chat.least in February"].into_iter().zip(least).enumerate() {
        let slack = promise(&mut problem, name);
        problem.entry(slack, 1.0);
        problem.entry(served[month], 1.0);
        problem.row(least, FREE);
    }
    let slack = promise(&mut problem, "training by the deadline");
    [slack, trained[0], trained[1]].iter().for_each(|&column| problem.entry(column, 1.0));
    problem.row(backlog, FREE);
    Lab { problem, promises }
}

fn check(Lab { problem, promises }: Lab, expected: Option<&[&str]>) {
    let mut highs = highs();
    highs.load(problem).expect("a problem");
    let found = conflict(&mut highs, &promises, Effort::default()).expect("it ends");
    let names =
        found.as_ref().map(|Conflict { promises: found }| found.iter().map(|&promise| promises[promise].name.as_str()).collect::<Vec<_>>());
    assert_eq!(names.as_deref(), expected);
    assert_eq!(conflict(&mut highs, &promises, Effort::default()), Ok(found), "asked again");
}

#[test]
fn the_promises_that_conflict_are_named_and_no_others() {
    // The first contract is enough.
    check(lab(60.0, [5.0, 5.0], 10.0), None);
    // 22 units are promised: the second contract is needed, and 60 - 60 + 9 x 4 - 40 is less than 5. Without any one promise it works.
    let all = ["cash.floor", "chat.least in January", "chat.least in February", "training by the deadline"];
    check(lab(60.0, [8.0, 4.0], 10.0), Some(&all));
    check(lab(69.0, [8.0, 4.0], 10.0), None);
    // Both contracts have 32 units.
    check(lab(1000.0, [5.0, 5.0], 33.0), Some(&["training by the deadline"]));
    // 10 - 60 + 9 x 4 is less than 5 without the second contract already.
    check(lab(10.0, [5.0, 5.0], 10.0), Some(&["cash.floor"]));
}
