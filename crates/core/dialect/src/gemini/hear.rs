//! A stream of Gemini's, told as OpenAI's, event by event.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::answer::{About, Finish, NoAnswer, Usage};
use crate::gemini::answer::{Candidate, FunctionCall, Part, Read, ReadUsage, call_id};
use crate::openai::chunk::{Begun, Chunks};

/// A stream of `streamGenerateContent` as it is heard.
#[derive(Debug)]
pub(crate) struct Hearing {
    chunks: Chunks,
    /// What the client calls the answer: ids of calls are made of it.
    id: String,
    named: bool,
    usage: Option<Usage>,
    choices: BTreeMap<u32, Heard>,
}

/// How far a choice has come.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    begun: bool,
    calls: u32,
    finished: bool,
}

impl Hearing {
    pub fn new(about: About) -> Self {
        let id = about.id.clone();
        Self { chunks: Chunks::new(about), id, named: false, usage: None, choices: BTreeMap::new() }
    }

    /// Hears the data of one event; what OpenAI's clients are told of it goes to `out`.
    pub fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), NoAnswer> {
        let read: Read<'_> = serde_json::from_slice(data).map_err(|_| NoAnswer::Unread)?;
        if let Some(error) = read.error {
            return Err(error.fault());
        }
        if !self.named {
            self.named = true;
            self.chunks.call(read.response_id, read.model_version);
        }
        self.usage = read.usage_metadata.and_then(ReadUsage::said).or(self.usage);
        let blocked = read.prompt_feedback.and_then(|feedback| feedback.block_reason).is_some();
        if blocked && read.candidates.is_empty() {
            self.chunks.role(0, out);
            self.chunks.finish(0, Finish::Filtered, out);
            self.choices.entry(0).or_default().finished = true;
        }
        read.candidates.into_iter().try_for_each(|candidate| self.candidate(candidate, out))
    }

    /// What has been used so far, hidden thought included, once the upstream has said what of output: it says so beside each event.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.filter(|usage| usage.output > 0)
    }

    /// The stream ended: the end is told when all choices had theirs.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if !self.choices.is_empty() && self.choices.values().all(|choice| choice.finished) {
            if let Some(usage) = self.usage {
                self.chunks.usage(usage, out);
            }
            Chunks::done(out);
        }
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<u8>) -> Result<(), NoAnswer> {
        let index = candidate.index;
        let mut heard = self.choices.get(&index).copied().unwrap_or_default();
        for Part { text, thought, function_call, thought_signature } in candidate.content.map(|content| content.parts).unwrap_or_default() {
            if let Some(call) = function_call {
                self.role(index, &mut heard, out);
                self.call(index, heard.calls, call, thought_signature.as_deref(), out);
                heard.calls += 1;
            } else if let Some(text) = text.filter(|text| !thought && !text.is_empty()) {
                self.role(index, &mut heard, out);
                self.chunks.text(index, &text, out);
            }
        }
        if let Some(word) = candidate.finish_reason.filter(|_| !heard.finished) {
            let finish = Finish::of_gemini(&word, heard.calls > 0).ok_or(NoAnswer::Fruitless(self.usage))?;
            self.role(index, &mut heard, out);
            self.chunks.finish(index, finish, out);
            heard.finished = true;
        }
        self.choices.insert(index, heard);
        Ok(())
    }

    /// What stands before the first thing told of a choice.
    fn role(&self, choice: u32, heard: &mut Heard, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut heard.begun, true) {
            self.chunks.role(choice, out);
        }
    }

    fn call(&self, choice: u32, index: u32, call: FunctionCall<'_>, signature: Option<&str>, out: &mut Vec<u8>) {
        let id = call.id.unwrap_or_else(|| call_id(&self.id, choice, index as usize));
        let arguments = call.args.map_or("{}", RawValue::get);
        self.chunks.begin_call(choice, &Begun { index, id: &id, name: &call.name, arguments, signature }, out);
    }
}
