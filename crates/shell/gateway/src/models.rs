//! `/v1/models`: what a key may use, under every name that it may be asked for by.

use fleet::ModelId;
use hyper::HeaderMap;
use ledger::Scope;
use serde::Serialize;

use crate::envelope::Refused;
use crate::keys::Key;
use crate::snapshot::Snapshot;
use crate::state::State;

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'a str,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

/// Every model that the key may use, by name, aliases included.
pub(crate) fn list(state: &State, head: &HeaderMap) -> Result<Vec<u8>, Refused> {
    let snapshot = state.snapshot.load();
    let key = snapshot.keys.admit(head, state.clock.now(), Scope::Inference)?;
    let mut data: Vec<Model<'_>> = snapshot
        .fleet
        .models
        .iter()
        .filter(|(id, ..)| key.allows(*id))
        .flat_map(|(_, name, model)| std::iter::once(name).chain(model.aliases.iter().map(String::as_str)))
        .map(|name| describe(state, &snapshot, name))
        .collect();
    data.sort_unstable_by_key(|model| model.id);
    Ok(write(&List { object: "list", data }))
}

/// One model by name.
pub(crate) fn one(state: &State, head: &HeaderMap, name: &str) -> Result<Vec<u8>, Refused> {
    let snapshot = state.snapshot.load();
    let key = snapshot.keys.admit(head, state.clock.now(), Scope::Inference)?;
    allowed(&snapshot, key, name).ok_or_else(|| Refused::no_model(name))?;
    Ok(write(&describe(state, &snapshot, name)))
}

fn allowed(snapshot: &Snapshot, key: &Key, name: &str) -> Option<ModelId> {
    snapshot.model(name).filter(|model| key.allows(*model))
}

fn describe<'a>(state: &State, snapshot: &'a Snapshot, name: &'a str) -> Model<'a> {
    Model { id: name, object: "model", created: state.started.micros().div_euclid(1_000_000), owned_by: &snapshot.fleet.name }
}

fn write(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers can always be written as JSON")
}
