//! A chat's stream, told as the typed events of a response, in the order in which OpenAI sends them.

use serde_json::{Map, Value, json};

use crate::responses::answer::{Called, ending, function_call, message, refusal_part, response, text_part, usage};
use crate::responses::ask::Asked;

/// A response on its way, event by event.
#[derive(Debug)]
pub struct Stream {
    echo: Map<String, Value>,
    id: String,
    created: i64,
    model: Value,
    sequence: u64,
    begun: bool,
    over: bool,
    items: Vec<Item>,
    /// The item of each of the chat's tool calls.
    calls: Vec<(u64, usize)>,
    reason: Option<String>,
    usage: Value,
}

/// One item of the output.
#[derive(Debug)]
enum Item {
    Message { parts: Vec<(Kind, String)>, closed: bool },
    Call { called: Box<Called>, arguments: String },
}

/// The kind of a message's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
}

impl Kind {
    fn part(self, text: &str) -> Value {
        match self {
            Self::Text => text_part(text),
            Self::Refusal => refusal_part(text),
        }
    }

    /// The name of its events, and of the field that holds its text when it is done.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("response.output_text", "text"),
            Self::Refusal => ("response.refusal", "refusal"),
        }
    }
}

impl Asked {
    /// Begins to tell a chat's stream. `id` is the request's, without a prefix.
    #[must_use]
    pub fn stream(self, id: &str, created: i64) -> Stream {
        Stream {
            echo: self.echo,
            id: id.to_owned(),
            created,
            model: self.model,
            sequence: 0,
            begun: false,
            over: false,
            items: Vec::new(),
            calls: Vec::new(),
            reason: None,
            usage: Value::Null,
        }
    }
}

impl Stream {
    /// The events that one event of the chat comes to, ready to be sent.
    pub fn chunk(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if self.over {
            return out;
        }
        if data.trim_ascii() == b"[DONE]" {
            self.complete(&mut out);
            return out;
        }
        let Ok(chunk) = serde_json::from_slice::<Value>(data) else { return out };
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            self.fail(&mut out, error);
            return out;
        }
        self.begin(&mut out, &chunk);
        if chunk["usage"].is_object() {
            self.usage = usage(&chunk["usage"]);
        }
        let choice = &chunk["choices"][0];
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.reason = Some(reason.to_owned());
        }
        let delta = &choice["delta"];
        for (name, kind) in [("content", Kind::Text), ("refusal", Kind::Refusal)] {
            if let Some(text) = delta[name].as_str().filter(|text| !text.is_empty()) {
                self.text(&mut out, kind, text);
            }
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(&mut out, call);
        }
        out
    }

    /// The last events, where the chat ended without saying so.
    pub fn end(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.over && self.reason.is_some() {
            self.complete(&mut out);
        } else if !self.over {
            let error = json!({ "code": "upstream_lost", "message": "The answer ended before it was complete." });
            self.fail(&mut out, &error);
        }
        out
    }

    fn begin(&mut self, out: &mut Vec<u8>, chunk: &Value) {
        if self.begun {
            return;
        }
        self.begun = true;
        if chunk["model"].is_string() {
            self.model = chunk["model"].clone();
        }
        for kind in ["response.created", "response.in_progress"] {
            let so_far = response(&self.echo, &self.id, self.created, &self.model, "in_progress");
            self.send(out, kind, json!({ "response": so_far }));
        }
    }

    fn text(&mut self, out: &mut Vec<u8>, kind: Kind, text: &str) {
        let open = self.items.iter().position(|item| matches!(item, Item::Message { closed: false, .. }));
        let index = open.unwrap_or_else(|| {
            let index = self.items.len();
            self.items.push(Item::Message { parts: Vec::new(), closed: false });
            let item = message(&self.id, index, "in_progress", json!([]));
            self.send(out, "response.output_item.added", json!({ "output_index": index, "item": item }));
            index
        });
        let Item::Message { parts, .. } = &mut self.items[index] else { return };
        let fresh = parts.last().is_none_or(|(last, _)| *last != kind);
        if fresh {
            parts.push((kind, String::new()));
        }
        let place = parts.len() - 1;
        parts[place].1.push_str(text);
        if fresh {
            if place > 0 {
                self.close_part(out, index, place - 1);
            }
            let at = self.part_at(index, place);
            self.send(out, "response.content_part.added", with(at, "part", kind.part("")));
        }
        let mut at = self.part_at(index, place);
        if kind == Kind::Text {
            at = with(at, "logprobs", json!([]));
        }
        self.send(out, &format!("{}.delta", kind.words().0), with(at, "delta", json!(text)));
    }

    fn call(&mut self, out: &mut Vec<u8>, call: &Value) {
        let number = call["index"].as_u64();
        let given = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let (has_id, has_name) = (given(&call["id"]), given(&call["function"]["name"]));
        let is_of = |item: &Item| matches!(item, Item::Call { called, .. } if called.call_id == call["id"]);
        // Google numbers no calls, and others give the same number to several.
        let last = self.calls.iter().rev().find(|(of, _)| number.is_none_or(|number| *of == number)).map(|(_, index)| *index);
        let known = last.filter(|index| !has_id || is_of(&self.items[*index]) || number.is_some() && !has_name);
        let index = known.unwrap_or_else(|| {
            self.close_messages(out, "completed");
            let index = self.items.len();
            let called = Box::new(Called::of(call));
            let item = function_call(&self.id, index, "in_progress", &called, "");
            self.items.push(Item::Call { called, arguments: String::new() });
            self.calls.push((number.unwrap_or(0), index));
            self.send(out, "response.output_item.added", json!({ "output_index": index, "item": item }));
            index
        });
        let Some(more) = call["function"]["arguments"].as_str().filter(|more| !more.is_empty()) else { return };
        if let Item::Call { arguments, .. } = &mut self.items[index] {
            arguments.push_str(more);
        }
        let delta = json!({ "item_id": format!("fc_{}_{index}", self.id), "output_index": index, "delta": more });
        self.send(out, "response.function_call_arguments.delta", delta);
    }

    fn complete(&mut self, out: &mut Vec<u8>) {
        self.begin(out, &Value::Null);
        self.over = true;
        let (status, incomplete) = ending(self.reason.as_deref());
        self.close_messages(out, status);
        for index in 0..self.items.len() {
            if let Item::Call { called, arguments } = &self.items[index] {
                let id = format!("fc_{}_{index}", self.id);
                let done = json!({ "item_id": id, "output_index": index, "name": called.name, "arguments": arguments });
                self.send(out, "response.function_call_arguments.done", done);
                self.done(out, index, status);
            }
        }
        let mut whole = response(&self.echo, &self.id, self.created, &self.model, status);
        whole.insert("incomplete_details".to_owned(), incomplete);
        let output = (0..self.items.len()).map(|index| self.item(index, status)).collect();
        whole.insert("output".to_owned(), Value::Array(output));
        whole.insert("usage".to_owned(), self.usage.clone());
        self.send(out, &format!("response.{status}"), json!({ "response": whole }));
    }

    fn fail(&mut self, out: &mut Vec<u8>, error: &Value) {
        self.over = true;
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        out.extend(error_event(text("code"), text("message"), Some(self.sequence)));
    }

    fn close_messages(&mut self, out: &mut Vec<u8>, status: &str) {
        for index in 0..self.items.len() {
            let Item::Message { parts, closed } = &mut self.items[index] else { continue };
            if *closed {
                continue;
            }
            *closed = true;
            if let Some(last) = parts.len().checked_sub(1) {
                self.close_part(out, index, last);
            }
            self.done(out, index, status);
        }
    }

    fn close_part(&mut self, out: &mut Vec<u8>, index: usize, place: usize) {
        let Item::Message { parts, .. } = &self.items[index] else { return };
        let Some((kind, text)) = parts.get(place).cloned() else { return };
        let (events, field) = kind.words();
        let mut done = with(self.part_at(index, place), field, json!(text));
        if kind == Kind::Text {
            done = with(done, "logprobs", json!([]));
        }
        self.send(out, &format!("{events}.done"), done);
        let at = self.part_at(index, place);
        self.send(out, "response.content_part.done", with(at, "part", kind.part(&text)));
    }

    fn done(&mut self, out: &mut Vec<u8>, index: usize, status: &str) {
        let item = self.item(index, status);
        self.send(out, "response.output_item.done", json!({ "output_index": index, "item": item }));
    }

    fn item(&self, index: usize, status: &str) -> Value {
        match &self.items[index] {
            Item::Message { parts, .. } => message(&self.id, index, status, parts.iter().map(|(kind, text)| kind.part(text)).collect()),
            Item::Call { called, arguments } => function_call(&self.id, index, status, called, arguments),
        }
    }

    fn part_at(&self, index: usize, place: usize) -> Value {
        json!({ "item_id": format!("msg_{}_{index}", self.id), "output_index": index, "content_index": place })
    }

    fn send(&mut self, out: &mut Vec<u8>, kind: &str, fields: Value) {
        write(out, kind, self.sequence, fields);
        self.sequence += 1;
    }
}

fn with(mut value: Value, name: &str, field: Value) -> Value {
    value[name] = field;
    value
}

/// One event: its name, and its data with its kind and number first.
fn write(out: &mut Vec<u8>, kind: &str, sequence: u64, fields: Value) {
    let mut event = json!({ "type": kind, "sequence_number": sequence });
    if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
        event.extend(fields);
    }
    out.extend(format!("event: {kind}\ndata: {event}\n\n").into_bytes());
}

/// The event by which a response's stream ends when it can't end well. It says the error twice: as the published schema has
/// it, and as the object by which OpenAI's own clients notice it.
#[must_use]
pub fn error_event(code: &str, message: &str, sequence: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    let error = json!({ "type": "server_error", "code": code, "message": message, "param": null });
    let fields = json!({ "code": code, "message": message, "param": null, "error": error });
    write(&mut out, "error", sequence.unwrap_or(0), fields);
    out
}
