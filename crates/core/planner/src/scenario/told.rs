//! A scenario in the fleet file's words: what the auditor reads of it.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{Fleet, Id, Table};
use serde::{Deserialize, Serialize};

use super::{Delay, Outage, Scenario};
use crate::instance::Instance;

/// A scenario by the names of the fleet file; what is not named goes as expected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Demand over what was expected: by workload and month.
    pub demand: BTreeMap<String, Vec<f64>>,
    /// The price per token over what was expected, by month.
    pub price: Vec<f64>,
    /// On-demand and spot rents over what was expected, by month.
    pub rent: Vec<f64>,
    /// The month in which a party fails.
    pub defaults: BTreeMap<String, usize>,
    /// How late a party is.
    pub delays: BTreeMap<String, Delay>,
    /// When a kind of chip can't be had.
    pub shortages: BTreeMap<String, Outage>,
    /// When a site lacks power.
    pub shortfalls: BTreeMap<String, Outage>,
    /// Raises taken as needed that can't be had.
    pub shut: BTreeSet<String>,
    /// Revenue and raises taken whole that don't come.
    pub lost: BTreeSet<String>,
    /// Contracts that the holder of a first refusal has taken over, and who it is.
    #[serde(default)]
    pub taken: BTreeMap<String, String>,
}

impl Scenario {
    /// This scenario of `instance` in the words of its fleet.
    #[must_use]
    pub fn told(&self, fleet: &Fleet, instance: &Instance) -> Told {
        let works = instance.works.iter().zip(&self.demand);
        let treasury = &instance.treasury;
        let shut = treasury.windows.iter().zip(&self.windows).filter(|(_, open)| !**open);
        let lost = treasury.events.iter().zip(&self.events).filter(|(_, comes)| !**comes);
        let taken = instance.refusals.iter().zip(&self.refusals).filter(|(_, taken)| **taken).map(|(refusal, _)| refusal);
        let taken = taken.map(|it| (fleet.contracts.name(it.contract).to_owned(), fleet.parties.name(it.holder).to_owned()));
        Told {
            taken: taken.collect(),
            demand: works.map(|(work, factors)| (work.name.clone(), factors.clone())).collect(),
            price: self.price.clone(),
            rent: self.rent.clone(),
            defaults: named(&fleet.parties, &self.defaults),
            delays: named(&fleet.parties, &self.delays),
            shortages: named(&fleet.accelerators, &self.shortages),
            shortfalls: named(&fleet.sites, &self.shortfalls),
            shut: shut.map(|(window, _)| window.name.clone()).collect(),
            lost: lost.map(|(event, _)| event.name.clone()).collect(),
        }
    }
}

fn named<I: Id, T, V: Copy>(table: &Table<I, T>, values: &[Option<V>]) -> BTreeMap<String, V> {
    let rows = table.iter().filter_map(|(id, name, _)| Some((name.to_owned(), values.get(id.index()).copied().flatten()?)));
    rows.collect()
}
