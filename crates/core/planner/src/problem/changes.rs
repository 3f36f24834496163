//! What differs between two problems of one structure.

use lp::{Change, ColumnId, Problem, RowId};

/// The changes that turn one problem into another; `None` when they differ in more than bounds, worths and factors. Names don't count.
#[must_use]
pub fn changes(old: &Problem, new: &Problem) -> Option<Vec<Change>> {
    if old.starts != new.starts || old.columns != new.columns || old.whole != new.whole || old.cost.len() != new.cost.len() {
        return None;
    }
    if old.offset != new.offset {
        return None;
    }
    let mut changes = Vec::new();
    for (index, id) in (0..old.cost.len()).zip(0..) {
        if old.low[index] != new.low[index] || old.high[index] != new.high[index] {
            changes.push(Change::Column(ColumnId(id), new.low[index], new.high[index]));
        }
        if old.cost[index] != new.cost[index] {
            changes.push(Change::Cost(ColumnId(id), new.cost[index]));
        }
    }
    for (index, id) in (0..old.least.len()).zip(0..) {
        if old.least[index] != new.least[index] || old.most[index] != new.most[index] {
            changes.push(Change::Row(RowId(id), new.least[index], new.most[index]));
        }
        for entry in old.starts[index] as usize..old.starts[index + 1] as usize {
            if old.factors[entry] != new.factors[entry] {
                changes.push(Change::Factor(RowId(id), new.columns[entry], new.factors[entry]));
            }
        }
    }
    Some(changes)
}

/// How much changes, as a share of the problem's rows.
#[must_use]
pub fn changed_share(problem: &Problem, changes: &[Change]) -> f64 {
    changes.len() as f64 / problem.row_count().max(1) as f64
}
