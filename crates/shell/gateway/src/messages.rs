//! Anthropic's Messages at the door: what routing needs of a request, and answers told in its words.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dialect::About;
use dialect::anthropic::Telling;
use dispatch::Needs;
use fleet::{Capability, ServiceTier};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::attached;
use crate::body::Streaming;
use crate::envelope::Refused;
use crate::paths;
use crate::peek::{self, Peek, Streaming as Asked};
use crate::translate::Passage;

/// Whether a path is one of Anthropic's, so that errors are told in its words.
pub(crate) fn is(path: &str) -> bool {
    let bare = paths::bare(path);
    bare == "/messages" || bare.starts_with("/messages/")
}

/// The fields that matter, each still as the client wrote it; a key given twice is refused.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    system: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    output_config: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    mcp_servers: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    speed: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "peek::raw")]
    inference_geo: Option<&'a RawValue>,
}

/// Reads what routing needs of a Messages request.
pub(crate) fn peek(body: &[u8]) -> Result<Peek<'_>, Refused> {
    let fields: Fields<'_> = serde_json::from_slice(body).map_err(|error| peek::at_fault(&error))?;
    dialect::extras::of_messages(fields.tools, fields.mcp_servers, fields.speed, fields.inference_geo)?;
    let prompt = peek::required(fields.messages, "messages")?;
    let model_raw = peek::required(fields.model, "model")?;
    let most = peek::number(Some(peek::required(fields.max_tokens, "max_tokens")?), "max_tokens")?;
    let stream = peek::flag(fields.stream, "stream")?.unwrap_or(false);
    let bytes = |raw: Option<&RawValue>| raw.map_or(0, |raw| raw.get().len());
    let (attached, before) = (attached::over_in(prompt.get()), bytes(fields.tools) + bytes(fields.system));
    let (said, beside) = (prompt.get().len() - attached.all + before, peek::beside(body, prompt.get().len() + before));
    Ok(Peek {
        model: peek::text(model_raw, "model")?,
        model_at: peek::range(body, model_raw),
        streaming: if stream { Asked::WithUsage } else { Asked::No },
        options_at: None,
        tier: ServiceTier::Default,
        // Anthropic's own field of this name passes.
        tier_at: None,
        needs: needs(&fields, prompt),
        choices: 1,
        output_max: most,
        prompt: prompt.get(),
        prompt_bytes: said + beside,
        context_bytes: said,
        document_bytes: attached.documents,
        teaches: attached.all == 0 && beside == 0,
        unstored: None,
    })
}

fn needs(fields: &Fields<'_>, prompt: &RawValue) -> Needs {
    let holds = |raw: &RawValue, what: &[u8]| memchr::memmem::find(raw.get().as_bytes(), what).is_some();
    let mut needs = Needs::default().with(Capability::Chat);
    if fields.tools.is_some_and(|raw| !matches!(raw.get(), "null" | "[]")) {
        needs = needs.with(Capability::Tools);
    }
    // One of these inside a string has its quotes escaped, so it is not found.
    if fields.output_config.is_some_and(|raw| holds(raw, b"\"json_schema\"")) {
        needs = needs.with(Capability::JsonSchema);
    }
    if holds(prompt, b"\"image\"") {
        needs = needs.with(Capability::Vision);
    }
    needs
}

/// A stream on its way to a client of Anthropic's dialect.
pub(crate) struct Told {
    stream: Streaming,
    /// `None` where what comes is Anthropic's already.
    telling: Option<Telling>,
    over: bool,
}

impl Told {
    pub fn new(stream: Streaming, passage: Passage, about: About) -> Self {
        let telling = (passage != Passage::Messages).then(|| Telling::new(about));
        Self { stream, telling, over: false }
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The next piece of the answer.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let Some(came) = ready!(self.stream.poll_next(cx)) else {
                self.over = true;
                return Poll::Ready(None);
            };
            let told = self.tell(came);
            if !told.is_empty() {
                return Poll::Ready(Some(told));
            }
        }
    }

    fn tell(&mut self, came: Bytes) -> Bytes {
        let Some(telling) = &mut self.telling else { return own(came) };
        let mut out = Vec::new();
        telling.feed(&came, &mut out);
        Bytes::from(out)
    }
}

/// Anthropic's events pass as they are; the last, where the upstream left it out, the gateway adds in OpenAI's words.
fn own(came: Bytes) -> Bytes {
    if came.as_ref() == b"data: [DONE]\n\n" {
        Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
    } else {
        came
    }
}
