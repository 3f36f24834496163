//! Random problems that are feasible and bounded.

use lp::{ColumnId, Problem};
use proptest::prelude::*;

/// Up to 8 columns and 8 rows of small numbers around a feasible point, so that many corners are degenerate.
pub fn problems() -> impl Strategy<Value = Problem> {
    (1..=8_usize, 1..=8_usize).prop_flat_map(|(columns, rows)| {
        let column = (-5..=5_i8, 0..=4_i8, 0..=4_i8, -3..=3_i8);
        let row = (proptest::collection::vec(-3..=3_i8, columns), 0..=3_i8, 0..=3_i8, 0..4_u8);
        (proptest::collection::vec(column, columns), proptest::collection::vec(row, rows))
            .prop_map(|(columns, rows)| build(&columns, &rows))
    })
}

type Column = (i8, i8, i8, i8);
type Row = (Vec<i8>, i8, i8, u8);

fn build(columns: &[Column], rows: &[Row]) -> Problem {
    let mut problem = Problem::with_room(columns.len(), rows.len(), 0);
    let ids: Vec<ColumnId> = columns
        .iter()
        .map(|&(cost, below, above, at)| {
            problem.column(f64::from(cost), f64::from(at) - f64::from(below), f64::from(at) + f64::from(above))
        })
        .collect();
    for (factors, below, above, kind) in rows {
        let present = ids.iter().zip(factors).filter(|(_, factor)| **factor != 0);
        present.for_each(|(&id, &factor)| problem.entry(id, f64::from(factor)));
        let at: f64 = columns.iter().zip(factors).map(|(column, &factor)| f64::from(column.3) * f64::from(factor)).sum();
        let (least, most) = (at - f64::from(*below), at + f64::from(*above));
        match kind {
            0 => problem.row(f64::NEG_INFINITY, most),
            1 => problem.row(least, f64::INFINITY),
            2 => problem.row(at, at),
            _ => problem.row(least, most),
        };
    }
    problem
}
