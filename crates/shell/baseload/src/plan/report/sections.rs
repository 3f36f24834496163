//! What a section of the report is made of.

use serde::Serialize;

/// A titled part of the report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
    /// What it is about, in a few words.
    pub title: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// SVG texts.
    pub charts: Vec<String>,
    /// Sentences.
    pub items: Vec<String>,
    /// Tables.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// The names of its columns.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Line>,
    /// Whether it opens on demand.
    pub folded: bool,
}

/// A row of a table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Whether it is a sum.
    pub sum: bool,
}

/// A cell.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cell {
    /// What it shows.
    pub shown: String,
    /// Whether it is text, and so stands to the left.
    pub text: bool,
}

impl Cell {
    /// A number, to the right.
    pub fn number(shown: impl Into<String>) -> Self {
        Self { shown: shown.into(), text: false }
    }

    /// A text, to the left.
    pub fn text(shown: impl Into<String>) -> Self {
        Self { shown: shown.into(), text: true }
    }
}

impl Line {
    /// A row of these cells.
    pub fn of(cells: impl IntoIterator<Item = Cell>) -> Self {
        Self { cells: cells.into_iter().collect(), sum: false }
    }
}
