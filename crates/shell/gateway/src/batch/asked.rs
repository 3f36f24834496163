//! What clients ask of files and batches, and who may.

use std::sync::Arc;

use bytes::Bytes;
use dispatch::KeyId;
use hyper::body::Incoming;
use hyper::{Method, Request};
use ledger::Scope;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::batch::files;
use crate::batch::line::blocking;
use crate::batch::order::{Batch, Status, call};
use crate::batch::run::seconds;
use crate::batch::{Desk, upload};
use crate::body::Answer;
use crate::depth;
use crate::envelope::Refused;
use crate::ids;
use crate::limits::{BATCHES_LISTED_MAX, BATCHES_MAX, METADATA_MAX, METADATA_NAME_MAX, METADATA_VALUE_MAX, ORDER_BYTES_MAX};
use crate::memory;
use crate::query::Query;
use crate::request::{self, Served};
use crate::state::State;

/// How long after it was made what has not run of a batch expires, in seconds.
const WINDOW_SECONDS: i64 = 24 * 3_600;

/// A call of files or batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    Files,
    File(&'a str),
    Content(&'a str),
    Batches,
    Batch(&'a str),
    Cancel(&'a str),
}

/// What a path without its `/v1` means.
pub(crate) fn find(path: &str) -> Option<Wanted<'_>> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let found = match (parts.next()?, parts.next(), parts.next()) {
        ("files", None, None) => Wanted::Files,
        ("files", Some(id), None) => Wanted::File(id),
        ("files", Some(id), Some("content")) => Wanted::Content(id),
        ("batches", None, None) => Wanted::Batches,
        ("batches", Some(id), None) => Wanted::Batch(id),
        ("batches", Some(id), Some("cancel")) => Wanted::Cancel(id),
        _ => return None,
    };
    parts.next().is_none().then_some(found)
}

/// Serves one call of files or batches.
pub(crate) async fn serve(state: &Arc<State>, wanted: Wanted<'_>, request: Request<Incoming>) -> Result<Served, Refused> {
    let key = {
        let snapshot = state.snapshot.load();
        snapshot.keys.admit(request.headers(), state.clock.now(), Scope::Inference)?.id
    };
    let desk = state.desk.clone().ok_or_else(Refused::nothing_kept)?;
    let query = Query::of(request.uri().query());
    match (request.method(), wanted) {
        (&Method::POST, Wanted::Files) => upload::upload(state, &desk, key, request).await,
        (&Method::GET, Wanted::Files) => files::list(state, &desk, key, &query),
        (&Method::GET, Wanted::File(id)) => files::one(&desk, key, id),
        (&Method::GET, Wanted::Content(id)) => files::content(&desk, key, id).await,
        (&Method::DELETE, Wanted::File(id)) => files::delete(&desk, key, id).await,
        (&Method::POST, Wanted::Batches) => make(state, desk, key, request).await,
        (&Method::GET, Wanted::Batches) => list(state, &desk, key, &query),
        (&Method::GET, Wanted::Batch(id)) => {
            let batch = desk.batches.find(key, id).ok_or_else(|| Refused::not_kept("batch", id))?;
            Ok(Served::json(&batch.shown()))
        }
        (&Method::POST, Wanted::Cancel(id)) => cancel(state, desk, key, id.to_owned()).await,
        (_, Wanted::File(_)) => Err(Refused::wrong_method("GET, HEAD, DELETE")),
        (_, Wanted::Files | Wanted::Batches) => Err(Refused::wrong_method("GET, HEAD, POST")),
        (_, Wanted::Content(_) | Wanted::Batch(_)) => Err(Refused::wrong_method("GET, HEAD")),
        (_, Wanted::Cancel(_)) => Err(Refused::wrong_method("POST")),
    }
}

#[derive(Deserialize)]
struct Order {
    #[serde(default)]
    input_file_id: Option<String>,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    completion_window: Option<String>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    output_expires_after: Option<IgnoredAny>,
}

async fn make(state: &Arc<State>, desk: Arc<Desk>, key: KeyId, request: Request<Incoming>) -> Result<Served, Refused> {
    let _place = state.admit()?;
    // What is made of it may come to many times as much, and has no room of its own.
    let body = request::read(state, (&state.memory, ORDER_BYTES_MAX), request.into_body()).await?;
    depth::check(&body)?;
    let order: Order = serde_json::from_slice(&body).map_err(|error| {
        Refused::bad_body(format!("We could not read the body of your request (line {}, column {}).", error.line(), error.column()))
    })?;
    let missing = |param: &'static str| move || Refused::invalid(param, format!("You must provide the parameter '{param}'."));
    let input_file_id = order.input_file_id.ok_or_else(missing("input_file_id"))?;
    let endpoint = order.endpoint.ok_or_else(missing("endpoint"))?;
    if call(&endpoint).is_none() {
        let known = "'/v1/chat/completions', '/v1/completions', '/v1/embeddings' and '/v1/responses'";
        return Err(Refused::invalid("endpoint", format!("'endpoint' should be one of {known}.")));
    }
    if order.completion_window.ok_or_else(missing("completion_window"))? != "24h" {
        return Err(Refused::invalid("completion_window", "'completion_window' should be '24h'."));
    }
    if order.output_expires_after.is_some() {
        return Err(Refused::unsupported("output_expires_after", "Files are kept until they are deleted."));
    }
    order.metadata.as_ref().map_or(Ok(()), check_metadata)?;
    let file = desk.files.find(key, &input_file_id).ok_or_else(|| Refused::not_kept("file", &input_file_id).about("input_file_id"))?;
    if file.purpose != "batch" {
        return Err(Refused::invalid("input_file_id", "The file's purpose should be 'batch'."));
    }
    if desk.batches.of(key).iter().filter(|batch| !batch.status.is_over()).count() >= BATCHES_MAX {
        return Err(Refused::too_many(format!("A key may have {BATCHES_MAX} batches under way.")));
    }
    if !desk.batches.has_room() {
        return Err(Refused::too_many("Too many batches are under way."));
    }
    let id = format!("batch_{:032x}", ids::draw(state.clock.now()).ok_or_else(Refused::overloaded)?.0);
    let created_at = seconds(state);
    let batch = Batch {
        id,
        key,
        endpoint,
        input_file_id,
        status: Status::Validating,
        flaws: Vec::new(),
        output_file_id: None,
        error_file_id: None,
        created_at,
        expires_at: created_at + WINDOW_SECONDS,
        since: std::collections::BTreeMap::new(),
        total: 0,
        completed: 0,
        failed: 0,
        metadata: order.metadata,
        model: None,
        used: None,
    };
    let shown = batch.shown();
    kept(blocking(move || desk.batches.keep(batch).map(|()| desk.wake.notify_one())).await)?;
    Ok(Served::json(&shown))
}

fn list(state: &State, desk: &Desk, key: KeyId, query: &Query) -> Result<Served, Refused> {
    let mut batches = desk.batches.of(key);
    batches.reverse();
    let (after, limit) = (query.text("after"), query.number("limit", 20, 1..=BATCHES_LISTED_MAX)?);
    sent(state, &page(&batches, |batch| &batch.id, |batch| batch.shown(), (after, limit)))
}

/// A page, which takes of the room of all bodies until its client has read it.
pub(crate) fn sent(state: &State, page: &Value) -> Result<Served, Refused> {
    let body = memory::made(Bytes::from(page.to_string()), &state.memory).ok_or_else(Refused::overloaded)?;
    Ok(Served { body: Answer::from(body), ..Served::json(&Value::Null) })
}

/// What a client notes of its batch is kept with it, within OpenAI's bounds.
fn check_metadata(metadata: &Map<String, Value>) -> Result<(), Refused> {
    if metadata.len() > METADATA_MAX {
        return Err(Refused::invalid("metadata", format!("'metadata' may have at most {METADATA_MAX} pairs.")));
    }
    let is_longer = |text: &str, most: usize| text.chars().nth(most).is_some();
    for (name, value) in metadata {
        if is_longer(name, METADATA_NAME_MAX) {
            return Err(Refused::invalid("metadata", format!("A name in 'metadata' may have at most {METADATA_NAME_MAX} characters.")));
        }
        if value.as_str().is_none_or(|value| is_longer(value, METADATA_VALUE_MAX)) {
            let message = format!("Values in 'metadata' should be strings of at most {METADATA_VALUE_MAX} characters.");
            return Err(Refused::invalid("metadata", message));
        }
    }
    Ok(())
}

async fn cancel(state: &Arc<State>, desk: Arc<Desk>, key: KeyId, id: String) -> Result<Served, Refused> {
    let now = seconds(state);
    desk.batches.find(key, &id).ok_or_else(|| Refused::not_kept("batch", &id))?;
    let changed = blocking(move || {
        let changed = desk.batches.change(&id, |batch| match batch.status {
            // None of its lines has begun.
            Status::Validating => {
                batch.become_at(Status::Cancelling, now);
                batch.become_at(Status::Cancelled, now);
            }
            Status::InProgress => batch.become_at(Status::Cancelling, now),
            _ => {}
        })?;
        desk.wake.notify_one();
        Ok(changed)
    });
    let batch = kept(changed.await)?.ok_or_else(Refused::not_stored)?;
    match batch.status {
        Status::Cancelling | Status::Cancelled => Ok(Served::json(&batch.shown())),
        _ => Err(Refused::conflict("Cannot cancel a batch that is finalizing or over.")),
    }
}

/// What came of writing something down.
pub(crate) fn kept<T>(done: Option<std::io::Result<T>>) -> Result<T, Refused> {
    done.and_then(Result::ok).ok_or_else(Refused::not_stored)
}

/// One page of a list of things that are in order: those after the one of that id, `limit` at most; only they are shown.
pub(crate) fn page<T>(all: &[T], id: impl Fn(&T) -> &str, shown: impl Fn(&T) -> Value, (after, limit): (Option<&str>, usize)) -> Value {
    let begin = match after {
        Some(after) => all.iter().position(|one| id(one) == after).map_or(all.len(), |at| at + 1),
        None => 0,
    };
    let left = &all[begin..];
    let (data, has_more) = (&left[..left.len().min(limit)], left.len() > limit);
    let (first_id, last_id) = (data.first().map(&id), data.last().map(&id));
    let data: Vec<Value> = data.iter().map(shown).collect();
    json!({ "object": "list", "data": data, "first_id": first_id, "last_id": last_id, "has_more": has_more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        let check = |path: &str, want: Option<Wanted<'_>>| assert_eq!(find(path), want, "{path}");
        check("/files", Some(Wanted::Files));
        check("/files/file-1", Some(Wanted::File("file-1")));
        check("/files/file-1/content", Some(Wanted::Content("file-1")));
        check("/batches/batch_1/cancel", Some(Wanted::Cancel("batch_1")));
        check("/batches", Some(Wanted::Batches));
        check("/batches/b", Some(Wanted::Batch("b")));
        for none in ["/", "", "/file", "/files/a/b", "/files/a/content/x", "/batches/a/cancel/", "/batches/a/content"] {
            check(none, None);
        }
    }

    #[test]
    fn metadata_has_openais_bounds() {
        let check = |metadata: Value, good: bool| {
            let Value::Object(pairs) = &metadata else { unreachable!("it is one") };
            assert_eq!(check_metadata(pairs).is_ok(), good, "{metadata}");
        };
        let many = |count: usize| Value::Object((0..count).map(|number| (number.to_string(), json!(""))).collect());
        check(many(METADATA_MAX), true);
        check(many(METADATA_MAX + 1), false);
        let pair = |name: usize, value: usize| json!({ "\u{e9}".repeat(name): "\u{e9}".repeat(value) });
        check(pair(METADATA_NAME_MAX, METADATA_VALUE_MAX), true);
        check(pair(METADATA_NAME_MAX + 1, 1), false);
        check(pair(1, METADATA_VALUE_MAX + 1), false);
        check(json!({ "a": 1 }), false);
        check(json!({ "a": { "b": "c" } }), false);
    }

    #[test]
    fn lists_come_in_pages() {
        let all: Vec<String> = (0..5).map(|id| format!("f{id}")).collect();
        let check = |after: Option<&str>, limit: usize, ids: &[&str], more: bool| {
            let shown = page(&all, String::as_str, |id| json!({ "id": id }), (after, limit));
            let got: Vec<&str> = shown["data"].as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect();
            assert_eq!((got.as_slice(), &shown["has_more"]), (ids, &json!(more)), "{limit} after {after:?}");
        };
        check(None, 2, &["f0", "f1"], true);
        check(Some("f1"), 2, &["f2", "f3"], true);
        check(Some("f3"), 2, &["f4"], false);
        check(Some("f4"), 20, &[], false);
        check(Some("gone"), 20, &[], false);
    }
}
