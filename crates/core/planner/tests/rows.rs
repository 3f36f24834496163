//! What is written of an instance, without a solver.

use expect_test::{Expect, expect};
use lp::{ColumnId, Problem, RowId};
use planner::{EventKind, Instance, Promises, State, promises, rows};
use testkit::instance::{Small, random, reference};

fn written(instance: &Instance) -> Problem {
    rows(instance, &State::opening(instance), Promises::Priced, None).0
}

/// A problem as a person reads it.
fn text(problem: &Problem) -> String {
    let entry = |(column, factor): (ColumnId, f64)| format!("{factor:+}x{}", column.0);
    let bounds = |least: f64, most: f64| match (least, most) {
        (least, most) if least == most => format!("= {most}"),
        (f64::NEG_INFINITY, f64::INFINITY) => "free".to_owned(),
        (f64::NEG_INFINITY, most) => format!("<= {most}"),
        (least, f64::INFINITY) => format!(">= {least}"),
        (least, most) => format!("in {least}..{most}"),
    };
    let row = |row: u32| {
        let entries: Vec<String> = problem.entries(RowId(row)).map(entry).collect();
        let at = row as usize;
        format!("{}: {} {}\n", problem.row_name(RowId(row)), entries.join(" "), bounds(problem.least[at], problem.most[at]))
    };
    let column = |at: u32| {
        let index = at as usize;
        format!(
            "{}: x{at} {}, worth {}\n",
            problem.column_name(ColumnId(at)),
            bounds(problem.low[index], problem.high[index]),
            problem.cost[index]
        )
    };
    (0..).take(problem.column_count()).map(column).chain((0..).take(problem.row_count()).map(row)).collect()
}

fn check(small: &Small, expected: &Expect) {
    expected.assert_eq(&text(&written(&small.instance)));
}

#[test]
fn a_contract_a_floor_and_a_promise() {
    let mut small = Small::new(1, 7.0);
    let supply = small.supply("oracle", 2.0);
    small.limit("capacity of oracle", &[supply], 10.0);
    let chat = small.serving("chat", &[12.0], 3.0);
    small.promise(chat, 0.5);
    small.training("next", &[4.0], &[1.0], 5.0, false);
    let floor = small.floor(supply, (0, 1), 15.0);
    small.instance.floors[floor].terms.push((supply, 0, 0.5));
    small.event(EventKind::Cost, &[-1.0]);
    check(
        &small,
        &expect![[r#"
        2026-01 [0]: x0 >= 0, worth 0
        2026-01 [1]: x1 >= 0, worth 5
        2026-01 [2]: x2 >= 0, worth 0
        2026-01 [3]: x3 in 0..12, worth 0
        2026-01 [4]: x4 >= 0, worth -30
        2026-01 [5]: x5 in 0..3, worth 0
        2026-01 [6]: x6 >= 0, worth 0
        2026-01 [7]: x7 >= 0, worth 0
        2026-01 [8]: x8 >= 0, worth 1
        2026-01 [9]: x9 >= 0, worth -10
        use of oracle: +1x0 +1x1 -1x2 = 0
        capacity of oracle: +1x2 <= 10
        chat is served: +1x0 -1x3 = 0
        least of chat: +1x3 +1x4 >= 6
        backlog of next: +1x1 +1x5 +1x6 = 4
        floor of oracle, 0 to 1: +2.5x2 +1x7 >= 15
        cash: +1x8 -1x9 -3x3 +2x2 +1x7 = 6
    "#]],
    );
}

#[test]
fn every_random_instance_is_a_problem_and_promises_are_bounds_only() {
    for seed in 0..60 {
        let instance = random(seed);
        let problem = written(&instance);
        assert_eq!(problem.check(), Ok(()), "seed {seed}");
        for (row, id) in (0..).take(problem.row_count()).map(|row| (row, RowId(row))) {
            let mut columns: Vec<ColumnId> = problem.entries(id).map(|(column, _)| column).collect();
            columns.sort_unstable();
            assert!(columns.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {row} has a column twice");
        }
        let named: u32 = problem.row_blocks.iter().map(|block| block.count).sum();
        assert_eq!(named as usize, problem.row_count(), "seed {seed}: every row has a name");
        let (mut kept, layout) = rows(&instance, &State::opening(&instance), Promises::Kept, None);
        for slack in promises(&instance, &layout).into_iter().flat_map(|promise| promise.slacks) {
            assert_eq!(kept.high[slack.0 as usize], 0.0, "seed {seed}");
            kept.high[slack.0 as usize] = f64::INFINITY;
        }
        assert_eq!(kept, problem, "seed {seed}");
    }
}

#[test]
fn the_reference_is_as_sparse_as_columns_of_use_make_it() {
    let problem = written(&reference());
    assert_eq!(problem.check(), Ok(()));
    // Without a column for what is used of each supply it would have 376,000 entries.
    assert!(problem.columns.len() < 185_000, "{} entries", problem.columns.len());
}
