//! `/v1/models`: what a key may use, under every name that it may be asked for by; in Anthropic's words for its clients.

use fleet::ModelId;
use hyper::HeaderMap;
use jiff::Timestamp;
use ledger::Scope;
use serde::Serialize;

use crate::envelope::Refused;
use crate::keys::Key;
use crate::paths;
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

/// A model as Anthropic has it.
#[derive(Serialize)]
struct AnthropicModel<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
}

#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<AnthropicModel<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

impl<'a> From<Model<'a>> for AnthropicModel<'a> {
    fn from(Model { id, created, .. }: Model<'a>) -> Self {
        let created_at = Timestamp::from_second(created).unwrap_or_default().to_string();
        Self { r#type: "model", id, display_name: id, created_at }
    }
}

/// Whether one of Anthropic's clients asks for models.
pub(crate) fn is_anthropic(path: &str, head: &HeaderMap) -> bool {
    let bare = paths::bare(path);
    (bare == "/models" || bare.starts_with("/models/")) && speaks_anthropic(head)
}

fn speaks_anthropic(head: &HeaderMap) -> bool {
    head.contains_key("anthropic-version")
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
    if !speaks_anthropic(head) {
        return Ok(write(&List { object: "list", data }));
    }
    let (first_id, last_id) = (data.first().map(|model| model.id), data.last().map(|model| model.id));
    let data = data.into_iter().map(AnthropicModel::from).collect();
    Ok(write(&AnthropicList { data, has_more: false, first_id, last_id }))
}

/// One model by name.
pub(crate) fn one(state: &State, head: &HeaderMap, name: &str) -> Result<Vec<u8>, Refused> {
    let snapshot = state.snapshot.load();
    let key = snapshot.keys.admit(head, state.clock.now(), Scope::Inference)?;
    allowed(&snapshot, key, name).ok_or_else(|| Refused::no_model(name))?;
    let model = describe(state, &snapshot, name);
    Ok(if speaks_anthropic(head) { write(&AnthropicModel::from(model)) } else { write(&model) })
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
