//! Which column or row stands for a thing and a time.

/// One id, or none, for each line and each step or month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid<T> {
    width: usize,
    cells: Vec<Option<T>>,
}

impl<T: Copy> Grid<T> {
    /// A grid in which nothing has an id yet.
    pub(super) fn new(lines: usize, width: usize) -> Self {
        Self { width, cells: vec![None; lines * width] }
    }

    /// The id of a line at a step or month, if it has one there.
    #[must_use]
    #[inline]
    pub fn at(&self, line: usize, time: usize) -> Option<T> {
        self.cells[line * self.width + time]
    }

    /// The ids of a line, in order of time.
    pub fn line(&self, line: usize) -> impl Iterator<Item = (usize, T)> {
        let cells = &self.cells[line * self.width..(line + 1) * self.width];
        cells.iter().enumerate().filter_map(|(time, id)| id.map(|id| (time, id)))
    }

    #[inline]
    pub(super) fn set(&mut self, line: usize, time: usize, id: T) {
        self.cells[line * self.width + time] = Some(id);
    }
}
