//! `/v1/files`: what a key has kept.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use dispatch::KeyId;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::admission::Rates;
use crate::batch::Desk;
use crate::batch::asked::{kept, page, sent};
use crate::batch::line::blocking;
use crate::batch::shelf::FileRow;
use crate::body::Answer;
use crate::envelope::Refused;
use crate::limits::FILES_MAX;
use crate::query::Query;
use crate::request::Served;
use crate::state::State;

/// How much of a file is read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// As OpenAI shows it.
pub(crate) fn shown(row: &FileRow) -> Value {
    json!({
        "id": row.id, "object": "file", "bytes": row.bytes, "created_at": row.created_at, "expires_at": null,
        "filename": row.filename, "purpose": row.purpose, "status": "processed", "status_details": null,
    })
}

pub(crate) fn list(state: &State, desk: &Desk, key: KeyId, query: &Query) -> Result<Served, Refused> {
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
    let (after, limit) = (query.text("after"), query.number("limit", 10_000, 1..=FILES_MAX)?);
    sent(state, &page(&rows, |row| &row.id, shown, (after, limit)))
}

pub(crate) fn one(desk: &Desk, key: KeyId, id: &str) -> Result<Served, Refused> {
    desk.files.find(key, id).map(|row| Served::json(&shown(&row))).ok_or_else(|| Refused::not_kept("file", id))
}

/// The content of a file, piece by piece.
pub(crate) async fn content(desk: &Arc<Desk>, key: KeyId, id: &str) -> Result<Served, Refused> {
    let row = desk.files.find(key, id).ok_or_else(|| Refused::not_kept("file", id))?;
    let (desk, id, left) = (Arc::clone(desk), row.id, row.bytes);
    let file = kept(blocking(move || desk.files.content(&id)).await)?;
    let (send, pieces) = mpsc::channel::<Bytes>(2);
    // Not waited for: it ends with the file, or when its reader goes.
    drop(tokio::spawn(pump(file, send)));
    let body = Answer::Pieces { pieces, left };
    Ok(Served { status: StatusCode::OK, body, kind: "application/octet-stream", source: None, rates: Rates::default() })
}

/// Sends a file piece by piece. Whoever reads slowly holds no thread meanwhile: names of upstreams are looked up on the same ones.
async fn pump(mut file: File, send: mpsc::Sender<Bytes>) {
    while let Ok(place) = send.reserve().await {
        let read = blocking(move || {
            let mut piece = vec![0; PIECE_BYTES];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            Ok::<_, io::Error>((file, piece))
        });
        let Some(Ok((read_on, piece))) = read.await else { return };
        if piece.is_empty() {
            return;
        }
        file = read_on;
        place.send(Bytes::from(piece));
    }
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::*;

    /// A desk with one file of so many pieces.
    fn desk(folder: &std::path::Path, pieces: usize) -> Arc<Desk> {
        let desk = Desk::open(folder).expect("a new folder");
        let mut draft = desk.files.draft(KeyId(1), "file-1").expect("room");
        draft.write_all(&vec![b'x'; pieces * PIECE_BYTES]).expect("room");
        let (key, filename, purpose) = (KeyId(1), "f".to_owned(), "batch".to_owned());
        let row = FileRow { id: "file-1".to_owned(), key, filename, purpose, bytes: draft.bytes(), created_at: 1 };
        desk.files.keep(draft, row).expect("room");
        Arc::new(desk)
    }

    #[test]
    fn who_reads_slowly_holds_no_thread() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let desk = desk(folder.path(), 9);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().expect("a runtime");
        runtime.block_on(async {
            let slow = content(&desk, KeyId(1), "file-1").await.unwrap_or_else(|_| unreachable!("it is there"));
            let other = tokio::time::timeout(Duration::from_secs(60), blocking(|| 7)).await;
            assert_eq!(other.expect("there is a thread for others"), Some(7));
            let whole = slow.body.collect().await.unwrap_or_else(|never| match never {});
            assert_eq!(whole.to_bytes().len(), 9 * PIECE_BYTES);
        });
    }
}
