//! `POST /v1/files`: a form with a file, written to disk as it comes.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dispatch::KeyId;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::time::Instant;

use crate::batch::Desk;
use crate::batch::asked::kept;
use crate::batch::files::shown;
use crate::batch::line::blocking;
use crate::batch::run::seconds;
use crate::batch::shelf::{Draft, FileRow};
use crate::envelope::Refused;
use crate::ids;
use crate::limits::{FILE_BYTES_MAX, FILES_MAX, FORM_BYTES_MAX, UPLOAD_BYTES_PER_SECOND_MIN};
use crate::memory::Share;
use crate::request::Served;
use crate::state::State;

/// Bytes gathered before they are written.
const GATHERED_BYTES: usize = 64 * 1024;
/// What an upload takes of the memory: what is gathered of its file, or its form until that is understood, and the piece that came last.
const HELD_BYTES: usize = 2 * GATHERED_BYTES;
/// The most bytes of a form's field that is no file.
const FIELD_BYTES_MAX: u64 = 1_024;
/// The most characters of a file's name that are kept.
const NAME_CHARS_MAX: usize = 255;

/// Takes a file in.
pub(crate) async fn upload(state: &Arc<State>, desk: &Arc<Desk>, key: KeyId, request: Request<Incoming>) -> Result<Served, Refused> {
    let _place = state.admit()?;
    let _held = Share::take(&state.memory, HELD_BYTES).ok_or_else(Refused::overloaded)?;
    if desk.files.count(key) >= FILES_MAX {
        return Err(Refused::too_many(format!("A key may have {FILES_MAX} files; delete some first.")));
    }
    if !desk.files.has_room(key) {
        return Err(no_room());
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary =
        multer::parse_boundary(kind).map_err(|_| Refused::bad_body("The body should be multipart/form-data with a boundary."))?;
    let sizes =
        SizeLimit::new().whole_stream(FILE_BYTES_MAX + FORM_BYTES_MAX as u64).for_field("file", FILE_BYTES_MAX).per_field(FIELD_BYTES_MAX);
    let came = Arc::new(Came::default());
    let body = Watched { body: request.into_body(), came: Arc::clone(&came), given: false };
    let form = Multipart::with_constraints(body.into_data_stream(), boundary, Constraints::new().size_limit(sizes));
    let id = format!("file-{:032x}", ids::draw(state.clock.now()).ok_or_else(Refused::overloaded)?.0);
    let pace = Pace { began: Instant::now(), least: state.limits.body_timeout, came };
    let (draft, filename) = take(&pace, desk, (key, &id), form).await?;
    let (desk, created_at) = (Arc::clone(desk), seconds(state));
    let row = FileRow { id, key, filename, purpose: "batch".to_owned(), bytes: draft.bytes(), created_at };
    let answer = shown(&row);
    kept(blocking(move || desk.files.keep(draft, row)).await)?;
    Ok(Served::json(&answer))
}

fn no_room() -> Refused {
    Refused::too_many("There is no room for more files of your key; delete some first.")
}

/// Reads the form; the file goes to its draft, whichever field comes first.
async fn take(pace: &Pace, desk: &Arc<Desk>, (key, id): (KeyId, &str), mut form: Multipart<'_>) -> Result<(Draft, String), Refused> {
    let (mut purpose, mut found) = (None, None);
    while let Some(field) = pace.patiently(form.next_field()).await? {
        match field.name().unwrap_or_default() {
            "purpose" => purpose = Some(pace.patiently(field.text()).await?),
            "file" if found.is_none() => {
                let name: String = field.file_name().unwrap_or("file").chars().take(NAME_CHARS_MAX).collect();
                let (desk, id) = (Arc::clone(desk), id.to_owned());
                let draft = kept(blocking(move || desk.files.draft(key, &id)).await)?;
                found = Some((write(pace, draft, field).await?, name));
            }
            name => return Err(Refused::unsupported(name, format!("'{name}' is not supported here."))),
        }
    }
    let missing = |param: &str| Refused::invalid(param, format!("You must provide the parameter '{param}'."));
    let found = found.ok_or_else(|| missing("file"))?;
    match purpose.ok_or_else(|| missing("purpose"))?.as_str() {
        "batch" => Ok(found),
        _ => Err(Refused::invalid("purpose", "'purpose' should be 'batch': files are kept for batches only.")),
    }
}

/// Writes a field's bytes as they come.
async fn write(pace: &Pace, mut draft: Draft, mut field: Field<'_>) -> Result<Draft, Refused> {
    pace.came.is_file.store(true, Ordering::Relaxed);
    let mut gathered = Vec::<u8>::new();
    loop {
        let piece: Option<Bytes> = pace.patiently(field.chunk()).await?;
        let last = piece.is_none();
        gathered.extend_from_slice(&piece.unwrap_or_default());
        if gathered.len() >= GATHERED_BYTES || last {
            if !draft.has_room(gathered.len() as u64) {
                return Err(no_room());
            }
            let written = blocking(move || -> io::Result<(Draft, Vec<u8>)> {
                draft.write_all(&gathered)?;
                gathered.clear();
                Ok((draft, gathered))
            });
            (draft, gathered) = kept(written.await)?;
        }
        if last {
            pace.came.is_file.store(false, Ordering::Relaxed);
            return Ok(draft);
        }
    }
}

/// What has come of a body.
#[derive(Debug, Default)]
struct Came {
    bytes: AtomicU64,
    /// Whether what comes is the file's, and goes to disk; else it stays in memory until it is understood.
    is_file: AtomicBool,
    /// Bytes that are not the file's.
    form: AtomicUsize,
}

/// A body that is watched while a form is read out of it: the form's reader takes all that is there, so it is given one piece at a time.
struct Watched<B> {
    body: B,
    came: Arc<Came>,
    given: bool,
}

impl<B: Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if std::mem::take(&mut self.given) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(piece) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            let more = piece.len();
            self.given = true;
            self.came.bytes.fetch_add(more as u64, Ordering::Relaxed);
            if !self.came.is_file.load(Ordering::Relaxed)
                && self.came.form.fetch_add(more, Ordering::Relaxed).saturating_add(more) > FORM_BYTES_MAX
            {
                return Poll::Ready(Some(Err(io::ErrorKind::InvalidData.into())));
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }
}

/// How fast a body has to come.
struct Pace {
    began: Instant,
    /// What any body may take.
    least: Duration,
    came: Arc<Came>,
}

impl Pace {
    /// Waits for the client for as long as what came allows, and says what was wrong with it.
    async fn patiently<T>(&self, next: impl Future<Output = multer::Result<T>>) -> Result<T, Refused> {
        let due = self.began + self.least + earned(self.came.bytes.load(Ordering::Relaxed));
        match tokio::time::timeout_at(due, next).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. })) => {
                Err(Refused::too_large(usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX)))
            }
            Ok(Err(_)) => Err(Refused::bad_body("The form could not be read.")),
            Err(_) => Err(Refused::too_slow()),
        }
    }
}

/// How much longer an upload may take for the bytes that it has brought.
fn earned(bytes: u64) -> Duration {
    Duration::from_secs(bytes / UPLOAD_BYTES_PER_SECOND_MIN)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use super::*;

    /// A body in pieces, and then silence or its end.
    struct Pieces(VecDeque<Bytes>, bool);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.pop_front() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                None if self.1 => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    /// What comes of a form with so much before its parts, in a part's head, and in the file: how much of it was kept, or the code of the
    /// refusal; and what is left of it on disk.
    async fn check((before, head, file): (usize, usize, usize), ends: bool, want: Result<u64, &str>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let desk = Arc::new(Desk::open(folder.path()).expect("a new folder"));
        let (before, head, file) = ("x".repeat(before), "x".repeat(head), "x".repeat(file));
        let text = [
            before.as_str(),
            "\r\n--edge\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--edge\r\nx-filler: ",
            &head,
            "\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n",
            &file,
            if ends { "\r\n--edge--\r\n" } else { "" },
        ];
        let pieces = text.concat().into_bytes().chunks(16 * 1024).map(Bytes::copy_from_slice).collect();
        let came = Arc::new(Came::default());
        let body = Watched { body: Pieces(pieces, ends), came: Arc::clone(&came), given: false };
        let form = Multipart::new(body.into_data_stream(), "edge");
        // Nothing is waited for longer than what came has earned.
        let pace = Pace { began: Instant::now(), least: Duration::ZERO, came };
        let pace = if ends { Pace { least: Duration::from_secs(60), ..pace } } else { pace };
        let taken = take(&pace, &desk, (KeyId(1), "file-1"), form).await;
        let got = taken.as_ref().map(|(draft, _)| draft.bytes()).map_err(|refused| refused.code.as_deref().unwrap_or_default());
        assert_eq!(got, want, "{} {} {}", before.len(), head.len(), file.len());
        drop(taken);
        assert_eq!(std::fs::read_dir(folder.path().join("files")).expect("it is there").count(), 0, "a draft that is not kept goes");
    }

    #[tokio::test]
    async fn what_is_no_file_has_a_limit_of_its_own() {
        const MOST: usize = FORM_BYTES_MAX;
        check((0, 0, 10), true, Ok(10)).await;
        check((MOST / 4, MOST / 4, 10), true, Ok(10)).await;
        check((0, 0, 20 * MOST), true, Ok(20 * FORM_BYTES_MAX as u64)).await;
        check((2 * MOST, 0, 10), true, Err("invalid_json")).await;
        check((0, 2 * MOST, 10), true, Err("invalid_json")).await;
        check((0, 0, 10), false, Err("request_timeout")).await;
    }

    #[test]
    fn an_upload_has_to_go_on() {
        let check = |bytes: u64, seconds: u64| assert_eq!(earned(bytes), Duration::from_secs(seconds), "{bytes}");
        check(0, 0);
        check(UPLOAD_BYTES_PER_SECOND_MIN - 1, 0);
        check(10 * UPLOAD_BYTES_PER_SECOND_MIN, 10);
    }
}
