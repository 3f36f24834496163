//! Teams, and what they and the fleet may take.

use crate::allowance::{Allowance, Budget, PerMinute};
use crate::keys::{Key, Shape, may};
use crate::parse::Fixed;
use crate::reader::Reader;

pub(crate) const ALLOWANCE: &[Key] = &[
    may("budget", Shape::Figure("\"5000 USD/month\""), "money per day, week, month or year that its requests may cost at list prices"),
    may("requests", Shape::Figure("\"600/min\""), "inference calls in any minute"),
    may("tokens", Shape::Figure("\"1M/min\""), "input and output tokens in any minute"),
];

/// What an account may take; `None` when something of it could not be read.
pub(super) fn allowance(row: &Reader<'_>, fixed: &Fixed) -> Option<Allowance> {
    let rate = |name: &str| if row.has(name) { row.figure::<PerMinute>(name).map(Some) } else { Some(None) };
    let (requests, tokens) = (rate("requests"), rate("tokens"));
    let budget = match row.entry("budget") {
        Some(entry) => {
            let budget: Option<Budget> = row.figure("budget");
            budget.filter(|budget| row.check_currency(&entry, budget.amount.currency, fixed.currency)).map(Some)
        }
        None => Some(None),
    };
    Some(Allowance { requests: requests?, tokens: tokens?, budget: budget? })
}
