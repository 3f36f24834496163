//! What a batch's lines were answered: a file that is only appended to, so that a line that has an answer never runs again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use market::Tokens;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer;
use crate::envelope::Refused;

/// One answered line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// Which line, from 0.
    pub line: u32,
    /// Whether it goes to the output and not to the errors.
    pub good: bool,
    /// The line of the output or error file.
    pub says: Box<RawValue>,
}

impl Answered {
    /// A line answered with success; `None` when the body is no JSON.
    pub fn good(line: u32, id: &str, custom_id: &str, request: &str, body: &[u8]) -> Option<Self> {
        // In JSON a line break can only stand between tokens; in a file of lines it must not stand at all.
        let body = body.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
        let body: Box<RawValue> = RawValue::from_string(String::from_utf8(body).ok()?).ok()?;
        Some(Self { line, good: true, says: response(id, custom_id, request, 200, &body)? })
    }

    /// A line that was refused.
    pub fn refused(line: u32, id: &str, custom_id: &str, request: &str, refused: &Refused) -> Option<Self> {
        let body = RawValue::from_string(String::from_utf8(refused.body().to_vec()).ok()?).ok()?;
        Some(Self { line, good: false, says: response(id, custom_id, request, refused.status.as_u16(), &body)? })
    }
}

/// What a line's answer says that it used.
pub(crate) fn used(says: &RawValue) -> Option<(Tokens, u32)> {
    #[derive(Deserialize)]
    struct Says<'a> {
        #[serde(borrow)]
        response: Response<'a>,
    }
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        body: &'a RawValue,
    }
    answer::used(serde_json::from_str::<Says<'_>>(says.get()).ok()?.response.body)
}

fn response(id: &str, custom_id: &str, request: &str, status: u16, body: &RawValue) -> Option<Box<RawValue>> {
    #[derive(Serialize)]
    struct Response<'a> {
        status_code: u16,
        request_id: &'a str,
        body: &'a RawValue,
    }
    #[derive(Serialize)]
    struct Says<'a> {
        id: &'a str,
        custom_id: &'a str,
        response: Response<'a>,
        error: Option<()>,
    }
    let response = Response { status_code: status, request_id: request, body };
    serde_json::value::to_raw_value(&Says { id, custom_id, response, error: None }).ok()
}

/// The error line of a request that never ran.
pub(crate) fn never_ran(id: &str, custom_id: &str, expired: bool) -> Value {
    let (code, message) = match expired {
        true => ("batch_expired", "This request could not be executed before the completion window expired."),
        false => ("batch_cancelled", "This request was not executed: its batch was cancelled."),
    };
    json!({ "id": id, "custom_id": custom_id, "response": null, "error": { "code": code, "message": message } })
}

/// The results of one batch.
#[derive(Debug)]
pub(crate) struct Results {
    file: File,
    /// The bytes of its whole lines: what is past them could not be taken back yet.
    whole: u64,
}

impl Results {
    /// Opens the results, cuts off a last line that a kill or a power cut left incomplete, and gives what is there.
    pub fn open(path: &Path, each: &mut dyn FnMut(&Answered)) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let whole = read(path, each)?;
        file.set_len(whole)?;
        Ok(Self { file, whole })
    }

    /// Appends an answered line: on disk once it returns.
    pub fn append(&mut self, answered: &Answered) -> io::Result<()> {
        let mut line = serde_json::to_vec(answered)?;
        line.push(b'\n');
        // Half a line would spoil the next.
        if self.file.metadata()?.len() != self.whole {
            self.file.set_len(self.whole)?;
        }
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.whole += line.len() as u64,
            // What can't be taken back now is before the next.
            Err(_) => _ = self.file.set_len(self.whole),
        }
        written
    }
}

/// Shows every whole line in order; gives the bytes that they take.
pub(crate) fn read(path: &Path, each: &mut dyn FnMut(&Answered)) -> io::Result<u64> {
    let (mut reader, mut line, mut whole) = (BufReader::new(File::open(path)?), Vec::new(), 0);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        let answered = line.ends_with(b"\n").then(|| serde_json::from_slice::<Answered>(&line).ok()).flatten();
        let Some(answered) = answered else { return Ok(whole) };
        whole += read as u64;
        each(&answered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(line: u32) -> Answered {
        Answered::good(line, "b", "c", "req_1", b"{\n \"a\":\r\n1.10}").expect("JSON")
    }

    #[test]
    fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("results");
        let mut results = Results::open(&path, &mut |_| {}).expect("a new file");
        results.append(&answered(0)).expect("room");
        let one = std::fs::metadata(&path).expect("it is there").len();
        results.append(&answered(1)).expect("room");
        let whole = std::fs::read(&path).expect("it is there");
        for length in one..whole.len() as u64 {
            std::fs::write(&path, &whole[..usize::try_from(length).expect("short")]).expect("room");
            let mut seen = Vec::new();
            let mut results = Results::open(&path, &mut |answered| seen.push(answered.line)).expect("it opens");
            assert_eq!(seen, [0], "cut at {length}");
            results.append(&answered(7)).expect("room");
            let mut seen = Vec::new();
            read(&path, &mut |answered| seen.push(answered.line)).expect("it reads");
            assert_eq!(seen, [0, 7], "cut at {length}");
        }
    }

    #[test]
    fn half_a_line_that_could_not_be_taken_back_spoils_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("results");
        let mut results = Results::open(&path, &mut |_| {}).expect("a new file");
        results.append(&answered(0)).expect("room");
        OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(b"{\"line\":1,")).expect("room");
        results.append(&answered(2)).expect("room");
        let mut seen = Vec::new();
        read(&path, &mut |answered| seen.push(answered.line)).expect("it reads");
        assert_eq!(seen, [0, 2]);
    }

    #[test]
    fn an_answer_stands_on_one_line_and_its_numbers_stay_as_they_were() {
        let says = answered(3).says;
        assert_eq!(
            says.get(),
            "{\"id\":\"b\",\"custom_id\":\"c\",\"response\":{\"status_code\":200,\"request_id\":\"req_1\",\"body\":{  \"a\":  1.10}},\"error\":null}"
        );
    }
}
