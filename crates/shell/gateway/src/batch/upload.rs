//! `POST /v1/files`: a form with a file, written to disk as it comes.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use dispatch::KeyId;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use multer::{Constraints, Field, Multipart, SizeLimit};

use crate::batch::Desk;
use crate::batch::asked::kept;
use crate::batch::files::shown;
use crate::batch::line::blocking;
use crate::batch::run::seconds;
use crate::batch::shelf::FileRow;
use crate::envelope::Refused;
use crate::ids;
use crate::limits::{FILE_BYTES_MAX, FILES_BYTES_MAX, FILES_MAX};
use crate::request::Served;
use crate::state::State;

/// Bytes gathered before they are written.
const GATHERED_BYTES: usize = 1024 * 1024;
/// The most bytes of a form's field that is no file.
const FIELD_BYTES_MAX: u64 = 1_024;
/// The most bytes of a file's name that are kept.
const NAME_CHARS_MAX: usize = 255;

/// Takes a file in.
pub(crate) async fn upload(state: &Arc<State>, desk: &Arc<Desk>, key: KeyId, request: Request<Incoming>) -> Result<Served, Refused> {
    let _place = state.admit()?;
    if desk.files.of(key).len() >= FILES_MAX {
        return Err(Refused::too_many(format!("A key may have {FILES_MAX} files; delete some first.")));
    }
    if desk.files.bytes() >= FILES_BYTES_MAX {
        return Err(Refused::too_many("There is no room for more files; delete some first."));
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary =
        multer::parse_boundary(kind).map_err(|_| Refused::bad_body("The body should be multipart/form-data with a boundary."))?;
    let sizes = SizeLimit::new().whole_stream(FILE_BYTES_MAX + 64 * 1024).for_field("file", FILE_BYTES_MAX).per_field(FIELD_BYTES_MAX);
    let form = Multipart::with_constraints(request.into_body().into_data_stream(), boundary, Constraints::new().size_limit(sizes));
    let id = format!("file-{:032x}", ids::draw(state.clock.now()).ok_or_else(Refused::overloaded)?.0);
    let taken = take(state, desk, &id, form).await;
    if taken.is_err() {
        let (desk, id) = (Arc::clone(desk), id.clone());
        // What stays is cleared away at the next start.
        _ = blocking(move || desk.files.discard(&id)).await;
    }
    let (file, filename, bytes) = taken?;
    let (desk, created_at) = (Arc::clone(desk), seconds(state));
    let row = FileRow { id, key, filename, purpose: "batch".to_owned(), bytes, created_at };
    let answer = shown(&row);
    kept(blocking(move || desk.files.keep(&file, row)).await)?;
    Ok(Served::json(&answer))
}

/// Reads the form; the file goes to its draft, whichever field comes first.
async fn take(state: &State, desk: &Arc<Desk>, id: &str, mut form: Multipart<'_>) -> Result<(File, String, u64), Refused> {
    let (mut purpose, mut found) = (None, None);
    while let Some(field) = patiently(state, form.next_field()).await? {
        match field.name().unwrap_or_default() {
            "purpose" => purpose = Some(patiently(state, field.text()).await?),
            "file" if found.is_none() => {
                let name: String = field.file_name().unwrap_or("file").chars().take(NAME_CHARS_MAX).collect();
                let (desk, id) = (Arc::clone(desk), id.to_owned());
                let draft = kept(blocking(move || desk.files.draft(&id)).await)?;
                let (file, bytes) = write(state, draft, field).await?;
                found = Some((file, name, bytes));
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
async fn write(state: &State, mut file: File, mut field: Field<'_>) -> Result<(File, u64), Refused> {
    let (mut gathered, mut bytes) = (Vec::<u8>::new(), 0);
    loop {
        let piece: Option<Bytes> = patiently(state, field.chunk()).await?;
        let last = piece.is_none();
        let piece = piece.unwrap_or_default();
        bytes += piece.len() as u64;
        gathered.extend_from_slice(&piece);
        if gathered.len() >= GATHERED_BYTES || last {
            let written = blocking(move || -> io::Result<(File, Vec<u8>)> {
                file.write_all(&gathered)?;
                gathered.clear();
                Ok((file, gathered))
            });
            (file, gathered) = kept(written.await)?;
        }
        if last {
            return Ok((file, bytes));
        }
    }
}

/// Waits for the client as long as for any body, and says what was wrong with what came.
async fn patiently<T>(state: &State, next: impl Future<Output = multer::Result<T>>) -> Result<T, Refused> {
    match tokio::time::timeout(state.limits.body_timeout, next).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. })) => {
            Err(Refused::too_large(usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX)))
        }
        Ok(Err(_)) => Err(Refused::bad_body("The form could not be read.")),
        Err(_) => Err(Refused::too_slow()),
    }
}
