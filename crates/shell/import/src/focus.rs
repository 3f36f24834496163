//! A bill in FOCUS columns into a fleet file.

mod commitment;
mod meter;
mod row;
mod seen;
mod write;

use crate::error::ImportError;
use crate::finding::Imported;
use crate::page::Page;

/// Makes a fleet file of a bill in FOCUS 1.0 to 1.2, as CSV.
///
/// # Errors
/// When the text is no such bill, or its sums are too large to be exact.
pub fn focus(text: &str) -> Result<Imported, ImportError> {
    let rows = row::read(text)?;
    let seen = seen::of(&rows)?;
    let mut page = Page::default();
    let totals = write::fleet(&mut page, &seen, rows.first().map(|row| row.currency))?;
    page.finish(totals)
}
