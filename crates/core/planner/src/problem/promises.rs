//! What the lab has promised, as slacks that would break it.

use lp::{ColumnId, Promise};

use super::layout::Layout;
use crate::{Instance, WorkKind};

/// The promises of an instance in the fleet file's words, in the order of its workloads, cash last. In a problem with
/// [`super::Promises::Kept`] and in one with [`super::Promises::Priced`] they have the same columns.
#[must_use]
pub fn promises(instance: &Instance, layout: &Layout) -> Vec<Promise> {
    let columns = &layout.columns;
    let mut promises = Vec::new();
    let mut add = |name: String, slacks: Vec<ColumnId>| {
        if !slacks.is_empty() {
            promises.push(Promise { name, slacks });
        }
    };
    for (index, work) in instance.works.iter().enumerate() {
        match &work.kind {
            WorkKind::Serving { .. } => {
                add(format!("workloads.{}.least", work.name), columns.missed.line(index).map(|(_, column)| column).collect());
            }
            WorkKind::Training { promised: true, .. } => {
                add(format!("workloads.{}.deadline", work.name), columns.late.line(index).map(|(_, column)| column).collect());
            }
            WorkKind::Training { .. } => {}
        }
    }
    add("finance.cash.floor".to_owned(), columns.gap.iter().flatten().copied().collect());
    promises
}
