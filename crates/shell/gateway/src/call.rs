//! One call of one upstream, up to its first content: what happened, in the words of [`dispatch::Event`].

use std::time::Duration;

use bytes::Bytes;
use dispatch::{Fault, RequestId};
use fleet::Dialect;
use http_body_util::{BodyExt, Limited};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::{self, Whole};
use crate::envelope::Refused;
use crate::flight::Sent;
use crate::ids;
use crate::limits::ERROR_BODY_MAX;
use crate::memory::{self, Unread};
use crate::parted::Parted;
use crate::peek;
use crate::picker::{self, Share};
use crate::relay::{Relay, Terms, Unbegun};
use crate::retry::{retry_after_ms, said_ms};
use crate::spoken::{Ear, Spoken};
use crate::state::State;
use crate::translate::{self, Passage};
use crate::upstream::Upstream;
use crate::wire::Coming;

/// Request headers that go on to an upstream; all others stay here.
static FORWARDED: [HeaderName; 3] =
    [HeaderName::from_static("openai-beta"), HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];
/// What a stream of events calls itself, in capitals or not.
const EVENTS: &str = "text/event-stream";
/// More than any request has.
const HEADERS: usize = 16;

/// What is sent.
pub(crate) struct Asked<'a> {
    pub id: RequestId,
    pub call: peek::Call,
    pub body: Bytes,
    /// What the upstream calls the model.
    pub model: &'a str,
    pub now: units::Instant,
    pub head: &'a HeaderMap,
    pub streamed: bool,
    /// How many choices a stream has.
    pub choices: u32,
    /// Whether the client did not ask for usage.
    pub strip_usage: bool,
    /// What its upstream's picker is told, where it has one.
    pub share: Option<Share>,
    /// The attempt's place in a trace, where one is kept.
    pub trace: Option<HeaderValue>,
    /// Whether its caller chose where it goes, and hears what was said there.
    pub in_shadow: bool,
    /// How long what says nothing yet is kept from the client; `None` for as long as it takes.
    pub kept: Option<Duration>,
    /// Where it is marked that it was sent, and the most output tokens that it is sent with.
    pub sent: (Sent, u32),
}

/// How an upstream answered.
pub(crate) enum Answered {
    Whole(Bytes, Whole),
    /// An answer as good as any, that the caller's dialect has no words for.
    Untold(Whole),
    Stream(Box<Relay>, Passage),
}

/// Why an attempt gave no answer.
#[derive(Debug)]
pub(crate) enum Missed {
    Fault(Fault),
    /// The request itself is at fault: what to tell the client.
    Client(Refused),
    /// A fault that its client hears of as the upstream said it, as nobody else is asked.
    Said {
        fault: Fault,
        refused: Refused,
    },
    /// This machine lacked what the call or its answer took, or has a limit for it, which is no upstream's fault: how the attempt ended, and what to tell the client.
    Here {
        fault: Fault,
        refused: Refused,
    },
}

impl Missed {
    /// Whose fault it was.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Fault(fault) | Self::Said { fault, .. } | Self::Here { fault, .. } => *fault,
            Self::Client(_) => Fault::Client,
        }
    }

    /// What to tell the client, where there is nothing else to do.
    pub fn refusal(self) -> Option<Refused> {
        match self {
            Self::Fault(_) => None,
            Self::Client(refused) | Self::Said { refused, .. } | Self::Here { refused, .. } => Some(refused),
        }
    }
}

impl From<Fault> for Missed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Calls an upstream and waits until there is content to send, or until it is sure that there will be none. A stream that has begun well
/// may think for as long as it goes on to say anything at all, and no longer than a whole answer may take: once it has said that it will answer, its
/// client is told so after a while.
pub(crate) async fn call(state: &State, upstream: &Upstream, mut asked: Asked<'_>) -> Result<Answered, Missed> {
    let State { wires, limits, .. } = state;
    let (begun, body) = (Instant::now(), std::mem::take(&mut asked.body));
    let for_head = if asked.streamed { limits.first_token_timeout.min(limits.answer_timeout) } else { limits.answer_timeout };
    let sent = timeout_at(begun + for_head, wires.send(upstream, request(upstream, &asked, body), (&asked.sent.0, asked.sent.1))).await;
    let response = sent.map_err(|_| Fault::TimedOut)??;
    let thinks = asked.streamed && response.status().is_success();
    let until = begun + if thinks { limits.answer_timeout } else { for_head };
    match timeout_at(until, answer(state, upstream, &asked, response, until)).await {
        Ok(answered) => answered,
        Err(_) if thinks => Err(Fault::Fruitless { used: None, is_late: true }.into()),
        Err(_) => Err(Fault::TimedOut.into()),
    }
}

async fn answer(
    state: &State,
    upstream: &Upstream,
    asked: &Asked<'_>,
    response: Response<Coming>,
    until: Instant,
) -> Result<Answered, Missed> {
    let State { limits, memory, .. } = state;
    let Asked { id, call, model, now, strip_usage, choices, kept, .. } = *asked;
    let passage = Passage::of(call, upstream.dialect);
    let about = || translate::about(id, now, model);
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        return Err(Box::pin(refused(head.status, &head.headers, body, upstream, asked)).await);
    }
    // It was told not to: what is packed can't be read in bounded memory, nor metered. It may be billed all the same.
    if head.headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Fault::Lost.into());
    }
    let kind = head.headers.get(CONTENT_TYPE).map_or(b"".as_slice(), HeaderValue::as_bytes);
    if kind.get(..EVENTS.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS.as_bytes())) {
        let (body, ear) = (Spoken::new(body, passage, about), Ear::of(call, passage));
        let terms = Terms { strip_usage, choices, until, kept };
        let relay = Relay::begin(body, ear, terms, limits, &asked.sent.0).await;
        let relay = relay.map_err(|unbegun| missed(&unbegun, passage, upstream, asked.in_shadow))?;
        return Ok(Answered::Stream(Box::new(relay), passage));
    }
    let body = match memory::whole(body, limits.upstream_body_bytes_max, memory).await {
        Ok(whole) => whole,
        // Whichever it is, it was generated and will be billed. Vectors are as long wherever they come from.
        Err(Unread::TooLong) if call != peek::Call::Embeddings => return Err(Fault::Lost.into()),
        Err(Unread::TooLong) => {
            return Err(Missed::Here { fault: Fault::Lost, refused: Refused::answer_too_large(limits.upstream_body_bytes_max) });
        }
        Err(Unread::NoRoom) => return Err(Missed::Here { fault: Fault::Lost, refused: Refused::overloaded() }),
        Err(Unread::Ended(_)) => return Err(Fault::Lost.into()),
    };
    let (body, read) = passage.whole(body, about)?;
    if call == peek::Call::Messages && passage != Passage::Messages {
        // The upstream has done its work: no other is asked to do it again.
        let told = dialect::told_as_anthropic(&body, &about());
        return Ok(told.map_or(Answered::Untold(read), |told| Answered::Whole(Bytes::from(told), read)));
    }
    Ok(Answered::Whole(body, read))
}

/// The head is built anew: nothing of the client's goes on but what is named.
fn request(upstream: &Upstream, asked: &Asked<'_>, body: Bytes) -> Request<Parted> {
    let uri = match asked.call {
        peek::Call::Chat | peek::Call::Messages if asked.streamed => &upstream.streamed,
        peek::Call::Chat | peek::Call::Messages => &upstream.chat,
        peek::Call::Completions => &upstream.completions,
        peek::Call::Embeddings => &upstream.embeddings,
        peek::Call::Responses => &upstream.responses,
    };
    let mut request = Request::new(Parted::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = HeaderMap::with_capacity(HEADERS);
    let head = request.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.insert(ACCEPT, HeaderValue::from_static(if asked.streamed { EVENTS } else { "application/json" }));
    head.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    head.insert(USER_AGENT, HeaderValue::from_static(concat!("baseload/", env!("CARGO_PKG_VERSION"))));
    head.insert(&ids::X_REQUEST_ID, ids::header(asked.id));
    if let Some((name, secret)) = &upstream.secret {
        head.insert(name, secret.clone());
    }
    for (name, value) in &upstream.counted_to {
        head.insert(name, value.clone());
    }
    if upstream.dialect == Dialect::Anthropic {
        head.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
    }
    for name in &FORWARDED {
        asked.head.get_all(name).into_iter().for_each(|value| _ = head.append(name, value.clone()));
    }
    if let Some(trace) = &asked.trace {
        head.insert(HeaderName::from_static("traceparent"), trace.clone());
    }
    if upstream.dialect == Dialect::Anthropic && asked.call == peek::Call::Messages {
        if let Some(version) = asked.head.get(ANTHROPIC_VERSION) {
            head.insert(ANTHROPIC_VERSION, version.clone());
        }
        asked.head.get_all("anthropic-beta").into_iter().for_each(|value| _ = head.append("anthropic-beta", value.clone()));
    }
    asked.share.iter().for_each(|share| share.tell(head));
    request
}

/// The version of Messages that a request is written in.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// The fault that an upstream's status tells of; `None` where it is the request's own.
fn fault(upstream: &Upstream, status: u16, retry_after_ms: impl FnOnce() -> u32) -> Option<Fault> {
    match status {
        429 if upstream.picker.is_some() => Some(picker::SHED),
        429 => Some(Fault::Busy { retry_after_ms: retry_after_ms() }),
        // 529 is Anthropic's for being overloaded.
        503 | 529 => Some(Fault::Overloaded { retry_after_ms: retry_after_ms() }),
        // 504 is a proxy's before it: what it did with the request is as unknown.
        408 | 504 => Some(Fault::TimedOut),
        // Our own credentials or address are at fault, not the client's request.
        401..=404 => Some(Fault::Broken),
        400..=499 => None,
        _ => Some(Fault::Broken),
    }
}

/// Whose fault an answer without success is.
async fn refused(status: StatusCode, head: &HeaderMap, body: Coming, upstream: &Upstream, asked: &Asked<'_>) -> Missed {
    let mut again_ms = retry_after_ms(head, asked.now);
    let told = |again_ms| fault(upstream, status.as_u16(), || again_ms);
    let is_told_on = told(0).is_none() || asked.in_shadow && !speaks_of_us(status);
    let missed = match told(again_ms) {
        Some(fault) if upstream.picker.is_some() => picker::fault(fault, head, body).await.into(),
        Some(fault) if !is_told_on => {
            let unsaid = matches!(fault, Fault::Busy { retry_after_ms: 0 } | Fault::Overloaded { retry_after_ms: 0 });
            if unsaid && let Ok(Some(body)) = timeout(PUSHED_BACK_TIMEOUT, error_body(body)).await {
                again_ms = said_ms(&body);
            }
            told(again_ms).unwrap_or(fault).into()
        }
        _ => match error_body(body).await {
            Some(body) => {
                again_ms = if again_ms == 0 { said_ms(&body) } else { again_ms };
                at_fault(status, &body, upstream)
            }
            None => Missed::Client(Refused::refused_upstream(status)),
        },
    };
    let again = (again_ms > 0).then(|| Duration::from_millis(again_ms.into()));
    if asked.in_shadow { as_said(missed, told(again_ms), status, again) } else { missed }
}

/// How long it is waited for what a refusal for the time being says of when to come back: another endpoint is there to be asked.
const PUSHED_BACK_TIMEOUT: Duration = Duration::from_secs(1);

/// What an error says, where it is no longer than one is.
async fn error_body(body: Coming) -> Option<Bytes> {
    Some(Limited::new(body, ERROR_BODY_MAX).collect().await.ok()?.to_bytes())
}

/// Whether what an upstream says behind this status is about our credentials.
const fn speaks_of_us(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403)
}

/// What came of an attempt whose caller hears what its upstream said, whosever fault that is.
fn as_said(missed: Missed, fault: Option<Fault>, status: StatusCode, again: Option<Duration>) -> Missed {
    let (fault, refused) = match (missed, fault) {
        (Missed::Client(refused), Some(fault)) => (fault, refused),
        (Missed::Fault(fault), _) if status.is_client_error() || status.is_server_error() => (fault, Refused::refused_upstream(status)),
        (missed, _) => return missed,
    };
    Missed::Said { fault, refused: Refused { retry_after: again, ..refused } }
}

/// Whose fault it is that a stream has an error and no answer: vLLM, for one, finds some flaws of a request only after it has said 200, and
/// puts the status into the error.
fn missed(unbegun: &Unbegun, passage: Passage, upstream: &Upstream, in_shadow: bool) -> Missed {
    let status = if passage == Passage::Own { answer::status(&unbegun.said) } else { None };
    let Some(status) = status else { return unbegun.fault.into() };
    let fault = fault(upstream, status.as_u16(), || said_ms(&unbegun.said));
    let missed = match fault {
        Some(fault) if !in_shadow || speaks_of_us(status) => fault.into(),
        _ => at_fault(status, &unbegun.said, upstream),
    };
    if in_shadow { as_said(missed, fault, status, None) } else { missed }
}

/// A request's own fault; an upstream that repeats its key is not repeated.
fn at_fault(status: StatusCode, body: &[u8], upstream: &Upstream) -> Missed {
    if upstream.is_told_in(body) {
        return Missed::Client(Refused::refused_upstream(status));
    }
    client_error(status, body, upstream.dialect)
}

/// A client's own fault as the upstream words it, unless it is ours after all.
fn client_error(status: StatusCode, body: &[u8], dialect: Dialect) -> Missed {
    let refusal = match dialect {
        Dialect::OpenAi | Dialect::Azure => return Missed::Client(answer::client_error(status, body)),
        Dialect::Anthropic => dialect::fault::of_anthropic(body),
        Dialect::Gemini => dialect::fault::of_gemini(body),
    };
    match refusal {
        Some(refusal) if refusal.is_ours => Fault::Broken.into(),
        Some(refusal) => Missed::Client(answer::told(status, refusal)),
        None => Missed::Client(Refused::refused_upstream(status)),
    }
}
