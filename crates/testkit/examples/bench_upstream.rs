//! `bench_upstream PORT`: a model server that answers at once, so that what a request costs on its way is the gateway's own.
//!
//! A body with `"stream":true` gets events: as many as `max_tokens` says, and so many milliseconds apart as the model's name ends in
//! (`m-d20`: 20 ms). Any other gets a short answer with its usage.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

const ANSWER: &str = r#"{"id":"chatcmpl-0","object":"chat.completion","created":1790000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"The upstream has nothing to say about this, and says so at once, in a sentence of the usual length."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":110,"completion_tokens":21,"total_tokens":131}}"#;
const FIRST: &str = "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
const WORD: &str = "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":110,\"completion_tokens\":50,\"total_tokens\":160}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// The events of one stream, each a frame of its own.
struct Events {
    words: u64,
    sent: u64,
    pace: Option<Interval>,
}

impl Events {
    fn of(text: &str) -> Self {
        let pace = number_after(text, "-d").filter(|millis| *millis > 0).map(Duration::from_millis);
        let pace = pace.map(|pace| {
            let mut ticks = interval_at(tokio::time::Instant::now() + pace, pace);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self { words: number_after(text, "\"max_tokens\"").unwrap_or(50), sent: 0, pace }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (at, words) = (self.sent, self.words);
        if let Some(pace) = self.pace.as_mut().filter(|_| (1..=words).contains(&at)) {
            ready!(pace.poll_tick(cx));
        }
        self.sent += 1;
        let event = match at {
            0 => FIRST,
            at if at <= words => WORD,
            at if at == words + 1 => LAST,
            at if at == words + 2 => USAGE,
            at if at == words + 3 => DONE,
            _ => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(event.as_bytes())))))
    }
}

/// The whole number after `key`, wherever it stands in the text.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = text[text.find(key)? + key.len()..].trim_start_matches(['"', ':', ' ']);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

async fn answer(request: Request<Incoming>) -> Result<Response<Either<Full<Bytes>, Events>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let streamed = text.contains("\"stream\":true") || text.contains("\"stream\": true");
    let (kind, body) = match streamed {
        true => ("text/event-stream", Either::Right(Events::of(&text))),
        false => ("application/json", Either::Left(Full::new(Bytes::from_static(ANSWER.as_bytes())))),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("a port is needed")?.parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A connection that breaks is its client's affair.
            _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}
