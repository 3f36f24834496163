//! Many short lists in one piece of memory.

/// Lists by position, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T> Lists<T> {
    /// `count` lists of items, each given with its list's position, in any order; items of one list keep theirs.
    pub(super) fn new(count: usize, mut items: Vec<(usize, T)>) -> Self {
        items.sort_by_key(|(list, _)| *list);
        let mut starts = vec![0; count + 1];
        for (list, _) in &items {
            starts[list + 1] += 1;
        }
        for list in 0..count {
            starts[list + 1] += starts[list];
        }
        Self { starts, items: items.into_iter().map(|(_, item)| item).collect() }
    }

    /// One list.
    #[inline]
    pub(super) fn of(&self, list: usize) -> &[T] {
        &self.items[self.starts[list] as usize..self.starts[list + 1] as usize]
    }

    /// So many lists in turn.
    #[inline]
    pub(super) fn of_each(&self, first: usize, count: usize) -> impl Iterator<Item = &[T]> {
        self.starts[first..=first + count].windows(2).map(|ends| &self.items[ends[0] as usize..ends[1] as usize])
    }
}
