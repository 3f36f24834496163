//! What may go wrong with a party, a site or a chip.

use units::Share;

use crate::keys::{Key, Shape, must, or};
use crate::outlook::Mishap;
use crate::reader::Reader;

/// Months that a plan, a delay or a lead may have at most.
pub(crate) const MONTHS_MAX: i64 = 120;

pub(crate) const DELAY: &[Key] = &[
    must("likelihood", Shape::Figure("\"40 %\""), "how likely it is late, once within the plan"),
    must("months", Shape::Figure("12"), "by how many months at most: 1 to so many, each as likely"),
];

pub(crate) const MISHAP: &[Key] = &[
    must("likelihood", Shape::Figure("\"20 %\""), "how likely it happens, once within the plan"),
    must("months", Shape::Figure("12"), "for how many months"),
    or("share", "\"100 %\"", Shape::Figure("\"25 %\""), "which share is lost while it lasts"),
];

/// A delay, which holds up all that is due.
pub(super) fn delay(row: &Reader<'_>, name: &str) -> Option<Mishap> {
    read(&row.table(name, DELAY)?, Some(Share::ALL))
}

/// A shortfall or a shortage.
pub(super) fn mishap(row: &Reader<'_>, name: &str) -> Option<Mishap> {
    let table = row.table(name, MISHAP)?;
    let share = if table.has("share") { table.share("share") } else { Some(Share::ALL) };
    read(&table, share)
}

fn read(table: &Reader<'_>, share: Option<Share>) -> Option<Mishap> {
    let (likelihood, months) = (table.share("likelihood"), table.count("months", 1, MONTHS_MAX));
    Some(Mishap { likelihood: likelihood?, months: u32::try_from(months?).ok()?, share: share? })
}
