//! Many short lists in one piece of memory.

use super::compile::small;

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

    /// Becomes these lists, in the room that there is.
    pub(super) fn refill<'a>(&mut self, lists: impl Iterator<Item = &'a [T]>)
    where
        T: Copy + 'a,
    {
        self.starts.clear();
        self.items.clear();
        self.starts.push(0);
        for list in lists {
            self.items.extend_from_slice(list);
            self.starts.push(small(self.items.len()));
        }
    }

    /// One list.
    #[inline]
    pub(super) fn of(&self, list: usize) -> &[T] {
        &self.items[self.starts[list] as usize..self.starts[list + 1] as usize]
    }
}
