//! Typed positions in the fleet's tables, and the tables.

use core::fmt;
use core::hash::Hash;
use core::marker::PhantomData;
use core::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// A typed position in one of the fleet's tables; stable for one fleet version, so ties break by it.
pub trait Id: Copy + Ord + Hash + fmt::Debug {
    /// The id of the row at `index`.
    fn from_index(index: usize) -> Self;
    /// The row's index.
    fn index(self) -> usize;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(u16);

        impl Id for $name {
            fn from_index(index: usize) -> Self {
                Self(u16::try_from(index).expect("tables are capped at 65,535 rows when they are read"))
            }
            fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    )*};
}

ids! {
    /// A party.
    PartyId,
    /// A region.
    RegionId,
    /// A link between two regions.
    LinkId,
    /// A site.
    SiteId,
    /// A kind of accelerator.
    AcceleratorId,
    /// A pool.
    PoolId,
    /// A model.
    ModelId,
    /// A profile.
    ProfileId,
    /// An endpoint.
    EndpointId,
    /// A contract.
    ContractId,
    /// A workload.
    WorkloadId,
    /// A team.
    TeamId,
}

/// Named rows in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<I, T> {
    rows: Vec<(String, T)>,
    id: PhantomData<I>,
}

impl<I: Id, T> Table<I, T> {
    /// A table of these rows, sorted by name; of two rows with one name the first stays.
    #[must_use]
    pub fn new(mut rows: Vec<(String, T)>) -> Self {
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows.dedup_by(|b, a| a.0 == b.0);
        Self { rows, id: PhantomData }
    }

    /// The row of that name.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<I> {
        self.rows.binary_search_by(|(row, _)| row.as_str().cmp(name)).ok().map(I::from_index)
    }

    /// The name of a row.
    #[must_use]
    pub fn name(&self, id: I) -> &str {
        &self.rows[id.index()].0
    }

    /// Every row with its id and name, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (I, &str, &T)> + ExactSizeIterator {
        self.rows.iter().enumerate().map(|(index, (name, row))| (I::from_index(index), name.as_str(), row))
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<I, T> Default for Table<I, T> {
    fn default() -> Self {
        Self { rows: Vec::new(), id: PhantomData }
    }
}

impl<I: Id, T> Index<I> for Table<I, T> {
    type Output = T;
    fn index(&self, id: I) -> &T {
        &self.rows[id.index()].1
    }
}

impl<I: Id, T> IndexMut<I> for Table<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.rows[id.index()].1
    }
}
