//! What holds between the sections. A row that could not be read is skipped: its own problems say why.

use crate::reader::Reader;
use crate::rows::Rows;

/// Checks everything that no section can check by itself.
pub(crate) fn all(_rows: &Rows, _root: &Reader<'_>) {}
