//! A scripted upstream: speaks OpenAI's API on a free port of this machine, does what it is told, and remembers.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::script::{Ending, Gate, Heard, Reply};

/// A scripted upstream. It stops when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    script: Arc<Script>,
    task: AbortHandle,
}

#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Reply>>,
    heard: Mutex<Vec<Heard>>,
    seen: watch::Sender<Seen>,
}

impl Script {
    /// Remembers a request; its number.
    fn hear(&self, heard: Heard) -> usize {
        let mut all = lock(&self.heard);
        all.push(heard);
        all.len() - 1
    }

    /// So many output tokens were generated for that request.
    fn generate(&self, number: usize, tokens: u32) {
        lock(&self.heard)[number].generated += tokens;
        self.seen.send_modify(|seen| seen.generated += tokens);
    }

    /// It is about to be said what that request took.
    fn report(&self, number: usize, usage: Option<market::Tokens>) {
        lock(&self.heard)[number].reported = usage;
    }
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    requests: usize,
    /// Requests whose client left before the answer was complete.
    left: usize,
    /// Output tokens generated: one per event of content, and what whole answers report.
    generated: u32,
}

impl Upstream {
    /// Starts one that gives every request a whole answer of 7 tokens in and 5 out, unless told otherwise.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, script) = (listener.local_addr()?, Arc::new(Script::default()));
        let task = tokio::spawn(accept(listener, Arc::clone(&script))).abort_handle();
        Ok(Self { address, script, task })
    }

    /// An address where nobody listens.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn nowhere() -> io::Result<SocketAddr> {
        TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does with the next request that nothing is scripted for yet.
    pub fn then(&self, reply: Reply) -> &Self {
        lock(&self.script.replies).push_back(reply);
        self
    }

    /// Every request that it got.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.script.heard).clone()
    }

    /// Output tokens that it generated.
    #[must_use]
    pub fn generated(&self) -> u32 {
        self.script.seen.borrow().generated
    }

    /// Waits until it got `count` requests in all.
    pub async fn until_heard(&self, count: usize) {
        self.until(|seen| seen.requests >= count).await;
    }

    /// Waits until `count` requests in all were left by their client before the answer was complete.
    pub async fn until_left(&self, count: usize) {
        self.until(|seen| seen.left >= count).await;
    }

    /// Waits until it generated `count` tokens in all.
    pub async fn until_generated(&self, count: u32) {
        self.until(|seen| seen.generated >= count).await;
    }

    async fn until(&self, enough: impl Fn(&Seen) -> bool) {
        // The sender lives as long as this, so waiting can't fail.
        _ = self.script.seen.subscribe().wait_for(|seen| enough(seen)).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, script: Arc<Script>) {
    // Connections end with the upstream, as they would with its process.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let script = Arc::clone(&script);
        connections.spawn(async move {
            let service = service_fn(move |request| serve(Arc::clone(&script), request));
            // Breaking connections is part of the script.
            _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn serve(script: Arc<Script>, request: Request<Incoming>) -> Result<Response<Frames>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let head = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let path = parts.uri.path().to_owned();
    let mut reply = lock(&script.replies).pop_front().unwrap_or_else(|| Reply::answer(7, 5));
    let streamed = reply.is_streamed();
    let number = script.hear(Heard { path, head, body: body.to_vec(), at: Instant::now(), streamed, generated: 0, reported: None });
    script.seen.send_modify(|seen| seen.requests += 1);
    let stay = Stay { script: Arc::clone(&script), complete: false };
    while let Reply::Late(gate, then) = reply {
        gate.pass().await;
        reply = *then;
    }
    let asked = serde_json::from_slice(&body).unwrap_or(Value::Null);
    answer(script, number, stay, reply, &asked).await
}

/// Does what the script says with the request of that number.
async fn answer(script: Arc<Script>, number: usize, mut stay: Stay, reply: Reply, asked: &Value) -> Result<Response<Frames>, io::Error> {
    match reply {
        Reply::Late(..) => unreachable!("it has been waited for"),
        Reply::Answer(usage) => {
            let answer = json!({
                "id": "scripted", "object": "chat.completion", "created": 0, "model": asked["model"],
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": "scripted answer" }, "finish_reason": "stop" }],
                "usage": usage.map(reported),
            });
            script.generate(number, usage.map_or(0, |usage| usage.output));
            script.report(number, usage);
            stay.complete = true;
            respond(200, "application/json", Frames::whole(answer.to_string(), stay))
        }
        Reply::Status { status, head, body } => {
            stay.complete = true;
            let mut response = respond(status, "text/plain", Frames::whole(body, stay))?;
            for (name, value) in head {
                response.headers_mut().insert(name, value.parse().map_err(io::Error::other)?);
            }
            Ok(response)
        }
        Reply::Hang(gate) => {
            gate.pass().await;
            respond(200, "application/json", Frames::whole("{\"choices\":[]}".to_owned(), stay))
        }
        Reply::Drop => {
            stay.complete = true;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Reply::Half => {
            let (send, frames) = mpsc::channel(2);
            // There is room for two.
            _ = send.try_send(Ok(Bytes::from_static(b"{\"choices\":[")));
            _ = send.try_send(Err(io::ErrorKind::ConnectionReset.into()));
            stay.complete = true;
            respond(200, "application/json", Frames { frames, stay })
        }
        Reply::Raw(cuts) => {
            let (send, frames) = mpsc::channel(cuts.len().max(1));
            for cut in cuts {
                // There is room for all.
                _ = send.try_send(Ok(Bytes::from(cut)));
            }
            respond(200, "text/event-stream", Frames { frames, stay })
        }
        Reply::Slow(cuts, gate) => {
            let (send, frames) = mpsc::channel(1);
            tokio::spawn(trickle(cuts, gate, send));
            respond(200, "text/event-stream", Frames { frames, stay })
        }
        Reply::Stream { events, usage, ending, gate } => {
            let (send, frames) = mpsc::channel(1);
            let wanted = asked["stream_options"]["include_usage"] == json!(true);
            tokio::spawn(async move {
                if stream((&script, number), &send, events, gate.as_ref()).await.is_ok() {
                    let usage = usage.filter(|_| wanted && matches!(ending, Ending::Whole | Ending::NoDone));
                    script.report(number, usage);
                    end(&send, ending, usage).await;
                }
            });
            respond(200, "text/event-stream", Frames { frames, stay })
        }
    }
}

/// Sends cuts, each once the gate lets it pass, until the client has left.
async fn trickle(cuts: Vec<Vec<u8>>, gate: Gate, send: mpsc::Sender<io::Result<Bytes>>) {
    for cut in cuts {
        gate.pass().await;
        if send.send(Ok(Bytes::from(cut))).await.is_err() {
            return;
        }
    }
}

/// Sends events of content, each once the gate lets it pass; fails when the client has left.
async fn stream(
    (script, number): (&Script, usize),
    send: &mpsc::Sender<io::Result<Bytes>>,
    events: u32,
    gate: Option<&Gate>,
) -> Result<(), mpsc::error::SendError<io::Result<Bytes>>> {
    for index in 0..events {
        if let Some(gate) = gate {
            gate.pass().await;
        }
        send.send(Ok(event(&chunk(json!({ "content": format!("t{index} ") }), None)))).await?;
        script.generate(number, 1);
    }
    if let Some(gate) = gate {
        gate.pass().await;
    }
    Ok(())
}

/// Sends what comes after the content. A client that has left gets nothing, and that is what `send` failing means.
async fn end(send: &mpsc::Sender<io::Result<Bytes>>, ending: Ending, usage: Option<market::Tokens>) {
    match ending {
        Ending::Whole | Ending::NoDone => {
            _ = send.send(Ok(event(&chunk(json!({}), Some("stop"))))).await;
            if let Some(usage) = usage {
                let last = json!({ "id": "scripted", "object": "chat.completion.chunk", "choices": [], "usage": reported(usage) });
                _ = send.send(Ok(event(&last))).await;
            }
            if ending == Ending::Whole {
                _ = send.send(Ok(Bytes::from_static(b"data: [DONE]\n\n"))).await;
            }
        }
        Ending::Reset => _ = send.send(Err(io::ErrorKind::ConnectionReset.into())).await,
        Ending::Silent => {}
        Ending::Error => {
            _ = send.send(Ok(event(&json!({ "error": { "message": "scripted", "type": "x", "param": null, "code": null } })))).await
        }
        Ending::Hang => send.closed().await,
    }
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({
        "id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "scripted",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
    })
}

fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

fn reported(usage: market::Tokens) -> Value {
    json!({
        "prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": { "cached_tokens": usage.cached },
    })
}

fn respond(status: u16, kind: &'static str, frames: Frames) -> io::Result<Response<Frames>> {
    let mut response = Response::new(frames);
    *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    Ok(response)
}

/// Notes when a client leaves before its answer is complete.
struct Stay {
    script: Arc<Script>,
    complete: bool,
}

impl Drop for Stay {
    fn drop(&mut self) {
        if !self.complete {
            self.script.seen.send_modify(|seen| seen.left += 1);
        }
    }
}

/// A body whose frames come from a script.
struct Frames {
    frames: mpsc::Receiver<io::Result<Bytes>>,
    stay: Stay,
}

impl Frames {
    fn whole(body: String, stay: Stay) -> Self {
        let (send, frames) = mpsc::channel(1);
        // There is room for one.
        _ = send.try_send(Ok(Bytes::from(body)));
        Self { frames, stay }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.frames.poll_recv(cx).map(|next| {
            let over = !matches!(next, Some(Ok(_)));
            self.stay.complete |= over;
            next.map(|frame| frame.map(Frame::data))
        })
    }
}
