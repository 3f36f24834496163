//! Reads an input file line by line, and says what is wrong with it in OpenAI's words.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::sync::Arc;

use dispatch::RequestId;
use fleet::ModelId;
use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::batch::Desk;
use crate::batch::order::{Batch, Flaw, Status};
use crate::batch::run::seconds;
use crate::envelope::Refused;
use crate::keys::Key;
use crate::limits::{BATCH_LINES_MAX, CUSTOM_ID_MAX};
use crate::memory::Memory;
use crate::peek::{Call, Peek, Streaming};
use crate::request::Asking;
use crate::responses;
use crate::snapshot::Snapshot;
use crate::state::State;

/// The most characters of what is said of one flaw: parts of it are the client's own.
const FLAW_CHARS_MAX: usize = 256;
/// Flaws listed of one file.
const FLAWS_MAX: usize = 20;

/// One line of an input file.
#[derive(Deserialize)]
pub(crate) struct Line<'a> {
    #[serde(borrow, default)]
    pub custom_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub body: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    /// Reads one line; `None` when it is no JSON object.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().filter(|_: &Self| text.trim_ascii_start().starts_with(b"{"))
    }
}

/// Where each line of a file stands; empty lines are left out, and not counted. Fails at the first line longer than `line_max`.
pub(crate) fn lines(file: File, line_max: usize, each: &mut dyn FnMut(Range<u64>, &[u8])) -> io::Result<Result<(), u32>> {
    let (mut reader, mut text, mut at, mut number) = (BufReader::new(file), Vec::new(), 0_u64, 0_u32);
    loop {
        text.clear();
        let read = reader.by_ref().take(line_max as u64 + 1).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(Ok(()));
        }
        if text.len() > line_max {
            return Ok(Err(number + 1));
        }
        let from = at;
        at += read as u64;
        if !text.trim_ascii().is_empty() {
            number += 1;
            each(from..at, &text);
        }
    }
}

fn short(text: String) -> String {
    if text.chars().nth(FLAW_CHARS_MAX).is_none() { text } else { text.chars().take(FLAW_CHARS_MAX).collect() }
}

/// Checks the input of a batch that was made, and notes what came of it.
pub(crate) fn validate(state: &Arc<State>, desk: &Desk, batch: &Batch) -> io::Result<()> {
    let (snapshot, now) = (state.snapshot.load_full(), seconds(state));
    let checked = match (snapshot.keys.by_id(batch.key, state.clock.now()), batch.call()) {
        (Some(key), Some(call)) => {
            let asked = Asked { state, snapshot: &snapshot, key, room: Memory::new(usize::MAX), call, endpoint: &batch.endpoint };
            check(&asked, desk.files.content(&batch.input_file_id)?)?
        }
        _ => {
            let message = "The key that made the batch is no longer good.".to_owned();
            Err(vec![Flaw { code: "invalid_api_key".to_owned(), message, param: None, line: None }])
        }
    };
    desk.batches.change(&batch.id, |batch| match checked {
        // It was cancelled meanwhile.
        _ if batch.status != Status::Validating => {}
        Ok(good) => {
            batch.total = good.lines;
            batch.model = good.model.map(|model| snapshot.fleet.models.name(model).to_owned());
            batch.become_at(Status::InProgress, now);
        }
        Err(flaws) => {
            batch.flaws = flaws;
            batch.become_at(Status::Failed, now);
        }
    })?;
    Ok(())
}

/// What a file that is good comes to.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub lines: u32,
    /// The model of all its lines.
    pub model: Option<ModelId>,
}

/// Who asks, and for what.
pub(crate) struct Asked<'a> {
    pub state: &'a Arc<State>,
    pub snapshot: &'a Arc<Snapshot>,
    /// Of its own, as few are checked at once: a flaw is no want of room.
    pub room: Arc<Memory>,
    pub key: &'a Key,
    pub call: Call,
    pub endpoint: &'a str,
}

/// Checks every line; the flaws of a file that is not good, or what it comes to.
pub(crate) fn check(asked: &Asked<'_>, file: File) -> io::Result<Result<Checked, Vec<Flaw>>> {
    let line_max = asked.state.limits.line_bytes_max();
    let (mut flaws, mut ids, mut model, mut count) = (Vec::new(), BTreeSet::new(), None, 0_u32);
    let read = lines(file, line_max, &mut |_, text| {
        count += 1;
        if count <= BATCH_LINES_MAX
            && flaws.len() < FLAWS_MAX
            && let Err(flaw) = asked.line(text, &mut ids, &mut model)
        {
            flaws.push(Flaw { line: Some(count), message: short(flaw.message), param: flaw.param.map(short), ..flaw });
        }
    })?;
    let whole = |code: &str, message: String| vec![Flaw { code: code.to_owned(), message, param: None, line: None }];
    Ok(match read {
        Err(number) => {
            let message = format!("A line may have at most {line_max} bytes.");
            Err(vec![Flaw { code: "line_too_long".to_owned(), message, param: None, line: Some(number) }])
        }
        Ok(()) if count == 0 => Err(whole("empty_file", "The input file has no requests.".to_owned())),
        Ok(()) if count > BATCH_LINES_MAX => {
            Err(whole("too_many_requests", format!("A batch may have at most {BATCH_LINES_MAX} requests; this one has {count}.")))
        }
        Ok(()) if !flaws.is_empty() => Err(flaws),
        Ok(()) => Ok(Checked { lines: count, model }),
    })
}

impl Asked<'_> {
    fn line(&self, text: &[u8], ids: &mut BTreeSet<[u8; 32]>, model: &mut Option<ModelId>) -> Result<(), Flaw> {
        let flaw = |code: &str, param: Option<&str>, message: &str| Flaw {
            code: code.to_owned(),
            message: message.to_owned(),
            param: param.map(str::to_owned),
            line: None,
        };
        let Some(line) = Line::read(text) else {
            return Err(flaw("invalid_json_line", None, "This line is not parseable as valid JSON."));
        };
        let missing = |param: &str| flaw("missing_required_parameter", Some(param), &format!("Missing required parameter: '{param}'."));
        let id = line.custom_id.ok_or_else(|| missing("custom_id"))?;
        if id.chars().nth(CUSTOM_ID_MAX).is_some() {
            let message = format!("Invalid 'custom_id': string too long. Expected a string with maximum length {CUSTOM_ID_MAX}.");
            return Err(flaw("string_above_max_length", Some("custom_id"), &message));
        }
        // Fifty thousand of the longest names are a hundred megabytes; of their hashes, few.
        if !ids.insert(Sha256::digest(id.as_bytes()).into()) {
            return Err(flaw(
                "duplicate_custom_id",
                Some("custom_id"),
                "The custom_id for this request is a duplicate of another request.",
            ));
        }
        if line.method.as_deref() != Some("POST") {
            return Err(flaw("invalid_method", Some("method"), "The method should be 'POST'."));
        }
        if line.url.as_deref() != Some(self.endpoint) {
            return Err(flaw("invalid_url", Some("url"), "The URL provided for this request does not match the batch endpoint."));
        }
        let body = line.body.ok_or_else(|| missing("body"))?;
        let asked = self.body(body.get().as_bytes()).map_err(|refused| Flaw {
            code: refused.code.map(String::from).unwrap_or_default(),
            message: refused.message,
            param: refused.param.map(|param| format!("body.{param}")),
            line: None,
        })?;
        match model.replace(asked) {
            Some(other) if other != asked => {
                Err(flaw("mismatched_model", Some("body.model"), "All requests of a batch must be for the same model."))
            }
            _ => Ok(()),
        }
    }

    /// Reads a line's body as its call will; gives the model that it is for.
    fn body(&self, body: &[u8]) -> Result<ModelId, Refused> {
        let (state, snapshot) = (self.state, self.snapshot);
        let body = bytes::Bytes::copy_from_slice(body);
        let head = HeaderMap::new();
        let asking = Asking { call: self.call, head: &head, body, tier: None };
        let (asking, _) = responses::door(state, snapshot, &self.room, RequestId(0), asking)?;
        let peek = Peek::parse(asking.call, &asking.body)?;
        if peek.streaming != Streaming::No {
            return Err(Refused::invalid("stream", "Requests of a batch are not streamed."));
        }
        let model = snapshot.model(&peek.model).filter(|model| self.key.allows(*model));
        model.ok_or_else(|| Refused::no_model(&peek.model))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Which lines of at most 4 bytes are seen, by where they stand, and which is the first that is longer.
    fn check(text: &str, seen: &[Range<u64>], too_long: Option<u32>) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("room");
        let mut got = Vec::new();
        let read = lines(file.reopen().expect("it is there"), 4, &mut |place, _| got.push(place)).expect("it reads");
        assert_eq!((got.as_slice(), read.err()), (seen, too_long), "{text:?}");
    }

    #[test]
    fn lines_are_counted_by_one_rule_whether_good_or_too_long() {
        check("a\n\nbc\n", &[0..2, 3..6], None);
        check("a\n\n \nlonger\n", std::slice::from_ref(&(0..2)), Some(2));
        check("\n\nlonger", &[], Some(1));
        check("", &[], None);
    }
}
