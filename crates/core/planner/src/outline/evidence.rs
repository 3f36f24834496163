//! Where the figures behind a line come from.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{Charge, Contract, Fleet};
use serde::Serialize;
use units::Amount;

/// The figures that a line rests on, as far as the file says where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Who said what of them, each once.
    pub facts: Vec<Fact>,
    /// The figures that say where they come from, by their path in the file.
    pub figures: Vec<Figure>,
}

impl Evidence {
    /// Paths of the figures that are the lab's own assumptions, also where they start from what somebody said.
    pub fn assumptions(&self) -> impl Iterator<Item = &str> {
        self.figures.iter().filter(|figure| figure.assumption).map(|figure| figure.path.as_str())
    }
}

/// Where one figure comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// Its path in the file.
    pub path: String,
    /// Who said it, or what it starts from: the name of a [`Fact`].
    pub source: Option<String>,
    /// Whether it is the lab's own assumption.
    pub assumption: bool,
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// The name by which figures give it as their source.
    pub id: String,
    /// Who said it; `None` where the file only has the name.
    pub speaker: Option<String>,
    /// What, in short.
    pub says: Option<String>,
    /// When.
    pub when: Option<String>,
}

/// What the file says of the figures whose path is `wanted`.
pub(super) fn of(fleet: &Fleet, wanted: impl Fn(&str) -> bool) -> Evidence {
    let mut facts = BTreeMap::new();
    let mut figures = Vec::new();
    for (path, note) in fleet.figures.iter().filter(|(path, _)| wanted(path)) {
        if let Some(id) = &note.source {
            facts.entry(id).or_insert_with(|| fact(fleet, id));
        }
        if note.source.is_some() || note.assumption {
            figures.push(Figure { path: path.clone(), source: note.source.clone(), assumption: note.assumption });
        }
    }
    Evidence { facts: facts.into_values().collect(), figures }
}

/// The figures under a path, such as `finance.revenue.0.`.
pub(super) fn under(fleet: &Fleet, path: &str) -> Evidence {
    of(fleet, |figure| figure.starts_with(path))
}

/// The low and the high end of an amount of money.
pub(super) fn range(fleet: &Fleet, path: &str) -> Option<(Amount, Amount)> {
    let (low, high) = fleet.figures.get(path)?.range.as_ref()?;
    low.parse().ok().zip(high.parse().ok())
}

/// What two lines rest on together.
pub(super) fn join(mut one: Evidence, other: Evidence) -> Evidence {
    one.facts.extend(other.facts);
    one.facts.sort_by(|a, b| a.id.cmp(&b.id));
    one.facts.dedup();
    one.figures.extend(other.figures);
    one
}

/// The figures of a contract that make up what is due when nothing is used.
pub(super) fn obligation(fleet: &Fleet, name: &str, terms: &Contract) -> Evidence {
    let committed = terms.rates.iter().any(|clause| clause.charge == Charge::Committed);
    let abated = terms.delivery.is_some() && (committed || terms.floors.iter().any(|floor| floor.abated_while_late));
    let path = format!("contracts.{name}.");
    of(fleet, |figure| {
        let Some(rest) = figure.strip_prefix(&path) else { return false };
        match rest.split('.').next().unwrap_or_default() {
            "floor" | "prepayment" => true,
            "rate" | "rates" | "count" | "units" => committed,
            "capacity" | "delivery" => committed || abated,
            "amendment" => true,
            _ => false,
        }
    })
}

/// The declared sources that no figure names.
pub(super) fn beside(fleet: &Fleet) -> Vec<Fact> {
    let named: BTreeSet<&str> = fleet.figures.values().filter_map(|note| note.source.as_deref()).collect();
    fleet.sources.keys().filter(|id| !named.contains(id.as_str())).map(|id| fact(fleet, id)).collect()
}

fn fact(fleet: &Fleet, id: &str) -> Fact {
    let source = fleet.sources.get(id);
    Fact {
        id: id.to_owned(),
        speaker: source.map(|source| source.speaker.clone()),
        says: source.and_then(|source| source.says.clone()),
        when: source.and_then(|source| source.when.clone()),
    }
}
