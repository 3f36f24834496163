//! Clears away what keys left behind that are over: nobody can read it any more, and nobody delete it.

use dispatch::KeyId;
use units::Instant;

use crate::batch::Desk;
use crate::limits::KEPT_WITHOUT_KEY;

/// Forgets files and batches of keys that ended long ago; a key for which `ended` is `None` goes on, or is not known yet. What a batch under
/// way still reads goes with a later sweep, and so does what can't be removed now.
pub(crate) fn sweep(desk: &Desk, ended: impl Fn(KeyId) -> Option<Instant>, now: Instant) {
    let is_gone = |key| ended(key).is_some_and(|ended| ended + KEPT_WITHOUT_KEY <= now);
    for id in desk.files.of_keys(is_gone) {
        if !desk.batches.reads(&id) {
            _ = desk.files.remove(&id);
        }
    }
    desk.batches.forget_of(is_gone);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::batch::order::{Batch, Status};
    use crate::batch::shelf::FileRow;

    /// Keeps a file of a key, and a batch that reads it.
    fn keep(desk: &Desk, key: u32, name: &str, status: &str) {
        let (id, filename, purpose) = (format!("file-{name}"), "f".to_owned(), "batch".to_owned());
        let draft = desk.files.draft(KeyId(key), &id).expect("room");
        let row = FileRow { id: id.clone(), key: KeyId(key), filename, purpose, bytes: 0, created_at: 1 };
        desk.files.keep(draft, row).expect("room");
        let batch: Batch = serde_json::from_value(json!({
            "id": format!("batch_{name}"), "key": key, "endpoint": "/v1/chat/completions", "input_file_id": id, "status": status,
            "flaws": [], "output_file_id": null, "error_file_id": null, "created_at": 1, "expires_at": 2, "since": {},
            "total": 1, "completed": 0, "failed": 0, "metadata": null,
        }))
        .expect("a batch");
        desk.batches.keep(batch).expect("room");
    }

    #[test]
    fn what_a_key_kept_goes_a_day_after_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let desk = Desk::open(folder.path()).expect("a new folder");
        let names = ["for_ever", "expires_later", "just_revoked", "gone", "gone_but_read"];
        for (key, name) in (0..).zip(names) {
            keep(&desk, key, name, if name == "gone_but_read" { "in_progress" } else { "completed" });
        }
        let now = Instant::from_micros(1_800_000_000_000_000);
        let ended = |key: KeyId| match key.0 {
            0 => None,
            1 => Some(now + KEPT_WITHOUT_KEY),
            2 => Some(now - KEPT_WITHOUT_KEY + Duration::from_secs(1)),
            _ => Some(now - KEPT_WITHOUT_KEY),
        };
        let left = |desk: &Desk| {
            let is_left = |(key, name): (u32, &&str)| {
                let file = desk.files.find(KeyId(key), &format!("file-{name}")).is_some();
                assert_eq!(desk.batches.find(KeyId(key), &format!("batch_{name}")).is_some(), file, "{name}");
                file
            };
            (0..).zip(&names).map(is_left).collect::<Vec<_>>()
        };
        sweep(&desk, ended, now);
        assert_eq!(left(&desk), [true, true, true, false, true]);
        assert_eq!(left(&Desk::open(folder.path()).expect("it is there")), [true, true, true, false, true], "nor after a restart");
        desk.batches.change("batch_gone_but_read", |batch| batch.become_at(Status::Expired, 3)).expect("room");
        sweep(&desk, ended, now);
        assert_eq!(left(&desk), [true, true, true, false, false]);
    }
}
