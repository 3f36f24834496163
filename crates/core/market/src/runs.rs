//! Periods that must all charge the same, so that one stands for a run of them: exact, and what keeps a year of five-minute periods cheap.

use core::ops::RangeInclusive;
use std::collections::BTreeSet;

use fleet::{Charge, ContractId, Period};
use units::{Instant, Span};

use crate::books::{Books, Step};
use crate::capacity::{committed_to, cuts};
use crate::charge::escalates;

/// The periods among `range` in which a rates clause may charge something, equal neighbours as one step.
///
/// Periods of so many minutes are all equally long. Two neighbours charge the same committed quantities at the same rates when nothing
/// is posted to either and no capacity or rate changes in between; a period that holds such a change, or is cut by the term, stands alone.
pub(crate) fn runs(books: &Books<'_>, contract: ContractId, range: RangeInclusive<i64>) -> Vec<Step> {
    let terms = books.terms(contract);
    let committed = || terms.rates.iter().filter(|clause| clause.charge == Charge::Committed);
    let equal = matches!(terms.calendar.period(), Period::Minutes(_)) && !terms.rates.iter().any(|clause| clause.over_term);
    if !equal || committed().next().is_none() || range.is_empty() {
        return books.charged(contract, range);
    }
    let (known, future) = books.split(contract, range);
    if known.is_empty() {
        return future;
    }
    let (first, last) = (*known.start(), *known.end());
    let span = Span { from: terms.period(first).from, to: terms.period(last).to };
    let capacity = committed().filter_map(|clause| committed_to(clause.meter)).flat_map(|of| cuts(books.fleet, contract, of));
    let changes = capacity.chain(terms.rates.iter().flat_map(|clause| escalates(terms, clause, span)));
    let changes = changes.filter(|at: &Instant| span.contains(*at)).map(|at| terms.calendar.index(at));
    let alone: BTreeSet<i64> =
        changes.chain([first, last]).chain(books.present(contract)).chain(books.balances.posted(contract, known)).collect();
    let mut steps = Vec::new();
    let mut next = first;
    for alone in alone.range(first..=last) {
        if next < *alone {
            steps.push(Step { first: next, count: alone - next });
        }
        steps.push(Step { first: *alone, count: 1 });
        next = alone + 1;
    }
    steps.extend(future);
    steps
}
