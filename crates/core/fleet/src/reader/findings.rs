//! What was found so far in a file, and the names that it defines.

use core::cell::RefCell;
use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use units::Currency;

use crate::diagnostic::{Diagnostic, Severity};
use crate::id::Id;
use crate::keys::Kind;
use crate::model::FigureNote;

/// Problems that are kept at most.
pub(crate) const PROBLEMS_MAX: usize = 500;

/// What all cursors of a file share: the names it defines and what was found.
#[derive(Default)]
pub(crate) struct Findings<'a> {
    problems: RefCell<Vec<Diagnostic>>,
    pub(super) figures: RefCell<BTreeMap<String, FigureNote>>,
    /// Names by table, sorted; a name is here also when its row has problems of its own.
    pub(crate) names: BTreeMap<Kind, Vec<(&'a str, Range<usize>)>>,
    /// Paths of rows that have an error inside: what they lack may be because of it.
    pub(super) flawed: RefCell<BTreeSet<String>>,
    /// Currencies that the file uses, with where.
    pub(crate) currencies: RefCell<BTreeMap<Currency, Range<usize>>>,
}

impl Findings<'_> {
    /// Keeps a problem; one past the limit is dropped, and `parse` says so.
    pub(crate) fn add(&self, problem: Diagnostic) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() <= PROBLEMS_MAX {
            problems.push(problem);
        }
    }

    /// Whether no more problems are kept.
    pub(super) fn is_full(&self) -> bool {
        self.problems.borrow().len() > PROBLEMS_MAX
    }

    /// Everything found.
    pub(crate) fn finish(self) -> (Vec<Diagnostic>, BTreeMap<String, FigureNote>) {
        (self.problems.into_inner(), self.figures.into_inner())
    }

    /// The position of a name in its table.
    pub(crate) fn id<I: Id>(&self, kind: Kind, name: &str) -> Option<I> {
        self.names.get(&kind)?.binary_search_by(|(row, _)| (*row).cmp(name)).ok().map(I::from_index)
    }

    /// Where the row of that position is named.
    pub(crate) fn place<I: Id>(&self, kind: Kind, id: I) -> Range<usize> {
        self.names.get(&kind).and_then(|names| names.get(id.index())).map_or(0..0, |(_, span)| span.clone())
    }

    /// Whether a row, such as `contracts.north`, has an error inside.
    pub(crate) fn is_flawed(&self, path: &str) -> bool {
        self.flawed.borrow().contains(path)
    }

    /// Whether any row of a table has an error inside.
    pub(crate) fn any_flawed(&self, table: &str) -> bool {
        self.flawed.borrow().iter().any(|path| path.split('.').next() == Some(table))
    }

    /// How many errors there are so far.
    pub(super) fn errors(&self) -> usize {
        self.problems.borrow().iter().filter(|it| it.severity == Severity::Error).count()
    }
}
