//! `/v1/files`: what a key has kept.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use dispatch::KeyId;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::admission::Rates;
use crate::batch::Desk;
use crate::batch::asked::{kept, page};
use crate::batch::line::blocking;
use crate::batch::shelf::FileRow;
use crate::body::Answer;
use crate::envelope::Refused;
use crate::query::Query;
use crate::request::Served;

/// How much of a file is read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// As OpenAI shows it.
pub(crate) fn shown(row: &FileRow) -> Value {
    json!({
        "id": row.id, "object": "file", "bytes": row.bytes, "created_at": row.created_at, "expires_at": null,
        "filename": row.filename, "purpose": row.purpose, "status": "processed", "status_details": null,
    })
}

pub(crate) fn list(desk: &Desk, key: KeyId, query: &Query) -> Result<Served, Refused> {
    let mut rows = desk.files.of(key);
    if let Some(purpose) = query.text("purpose") {
        rows.retain(|row| row.purpose == purpose);
    }
    rows.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    match query.text("order") {
        Some("asc") => {}
        None | Some("desc") => rows.reverse(),
        Some(_) => return Err(Refused::invalid("order", "'order' should be 'asc' or 'desc'.")),
    }
    page(rows.iter().map(shown).collect(), query)
}

pub(crate) fn one(desk: &Desk, key: KeyId, id: &str) -> Result<Served, Refused> {
    desk.files.find(key, id).map(|row| Served::json(&shown(&row))).ok_or_else(|| Refused::not_kept("file", id))
}

/// The content of a file, piece by piece.
pub(crate) async fn content(desk: &Arc<Desk>, key: KeyId, id: &str) -> Result<Served, Refused> {
    let row = desk.files.find(key, id).ok_or_else(|| Refused::not_kept("file", id))?;
    let (desk, id, left) = (Arc::clone(desk), row.id, row.bytes);
    let mut file = kept(blocking(move || desk.files.content(&id)).await)?;
    let (send, pieces) = mpsc::channel::<Bytes>(2);
    // Not waited for: it ends with the file, or when its reader goes.
    drop(tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(read) = file.read(&mut piece) {
            if read == 0 || send.blocking_send(Bytes::copy_from_slice(&piece[..read])).is_err() {
                return;
            }
        }
    }));
    let body = Answer::Pieces { pieces, left };
    Ok(Served { status: StatusCode::OK, body, kind: "application/octet-stream", source: None, rates: Rates::default() })
}

pub(crate) async fn delete(desk: &Arc<Desk>, key: KeyId, id: &str) -> Result<Served, Refused> {
    desk.files.find(key, id).ok_or_else(|| Refused::not_kept("file", id))?;
    if desk.batches.reads(id) {
        return Err(Refused::conflict("A batch that is not over reads this file; cancel it first."));
    }
    let (desk, id) = (Arc::clone(desk), id.to_owned());
    let gone = json!({ "id": id, "object": "file", "deleted": true });
    kept(blocking(move || desk.files.remove(&id)).await)?;
    Ok(Served::json(&gone))
}
