//! Simulated upstreams: each answers as its dice fall, and remembers what it generated.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dispatch::RequestId;
use fleet::EndpointId;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use market::Tokens;
use serde_json::{Value, json};
use testkit::Dice;
use testkit::checkers::Call;
use tokio::sync::mpsc;
use tokio::time::sleep;
use turmoil::net::TcpListener;

use super::run::{Run, lock};
use super::scene::UPSTREAMS;

/// What an upstream does with one request; its name is the case that is counted.
type Act = &'static str;

const GOOD: Act = "upstream good";
const SLOW: Act = "upstream slow";
const NO_USAGE: Act = "upstream no usage";
const NO_DONE: Act = "upstream no done";
const RESET: Act = "upstream reset";
const SILENT: Act = "upstream silent end";
const ERROR_EVENT: Act = "upstream error event";
const HANG: Act = "upstream hang";
const LATE: Act = "upstream late";
const BUSY: Act = "upstream busy";
const BUSY_UNTIL: Act = "upstream busy until";
const EVICTED: Act = "upstream evicts";
const BROKEN: Act = "upstream broken";
const LOCKED: Act = "upstream refuses our key";
const REFUSED: Act = "upstream refuses the request";
const DROP: Act = "upstream drops";

/// All of them.
pub(super) const ACTS: [Act; 16] =
    [GOOD, SLOW, NO_USAGE, NO_DONE, RESET, SILENT, ERROR_EVENT, HANG, LATE, BUSY, BUSY_UNTIL, EVICTED, BROKEN, LOCKED, REFUSED, DROP];

/// Half of what comes is answered well.
fn draw(dice: &mut Dice) -> Act {
    if dice.chance(0.5) { GOOD } else { ACTS[dice.count(0, ACTS.len() - 1)] }
}

/// Listens until it is crashed.
pub(super) async fn run(run: Arc<Run>, index: usize) -> turmoil::Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    let endpoint = super::scene::endpoint(&run.fleet, UPSTREAMS[index]);
    loop {
        let (stream, peer) = listener.accept().await?;
        run.note(&format!("{} meets {peer}", UPSTREAMS[index]));
        let run = Arc::clone(&run);
        tokio::task::spawn_local(async move {
            let serving = Arc::clone(&run);
            let service = service_fn(move |request| serve(Arc::clone(&serving), index, endpoint, request));
            // Breaking connections is part of what it does.
            _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            run.note(&format!("{} parts from {peer}", UPSTREAMS[index]));
        });
    }
}

/// One call under way.
struct Work {
    run: Arc<Run>,
    /// Its place among the calls of the run.
    number: usize,
    dice: Dice,
    act: Act,
    output: u32,
    usage: bool,
}

impl Work {
    fn note(&self, change: impl FnOnce(&mut Call)) {
        change(&mut lock(&self.run.calls)[self.number]);
    }

    fn tokens(&self) -> Tokens {
        Tokens { input: 9, cached: 0, output: self.output }
    }
}

async fn serve(run: Arc<Run>, index: usize, endpoint: EndpointId, request: Request<Incoming>) -> Result<Response<Pieces>, io::Error> {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<RequestId>().ok());
    let request_id = id.ok_or(io::ErrorKind::InvalidData)?;
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    let asked: Value = serde_json::from_slice(&body)?;
    let streamed = asked["stream"] == json!(true);
    let call = Call { request: request_id, endpoint, at: run.now(), streamed, read: 0, generated: 0, reported: None };
    let number = {
        let mut calls = lock(&run.calls);
        calls.push(call);
        calls.len() - 1
    };
    let mut dice = run.dice(1_000 + number as u64);
    let act = if run.is_calm() { GOOD } else { draw(&mut dice) };
    run.cover(|coverage| coverage.count(act));
    run.note(&format!("{request_id} at {}: {act}", UPSTREAMS[index]));
    let most = asked["max_tokens"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(20).min(20);
    let output = u32::try_from(dice.count(1, most.max(1))).unwrap_or(1);
    let usage = asked["stream_options"]["include_usage"] == json!(true) && act != NO_USAGE;
    let work = Work { run, number, dice, act, output, usage };
    sleep(Duration::from_millis(if act == LATE { 5_000 } else { 5 })).await;
    match act {
        BUSY | BUSY_UNTIL | EVICTED | BROKEN | LOCKED | REFUSED => Ok(status(act)),
        DROP => Err(io::ErrorKind::ConnectionReset.into()),
        _ if streamed => Ok(stream(work)),
        _ => Ok(whole(work).await),
    }
}

/// An answer without success.
fn status(act: Act) -> Response<Pieces> {
    let status = match act {
        BUSY | EVICTED => 429,
        BUSY_UNTIL => 503,
        BROKEN => 500,
        LOCKED => 401,
        _ => 422,
    };
    let body = json!({ "error": { "message": "simulated", "type": "x", "param": null, "code": "simulated" } });
    let mut response = respond(status, "application/json", Pieces::whole(body.to_string()));
    let says = match act {
        BUSY_UNTIL => Some(("retry-after", "1")),
        // Only where the fleet file says that something picks there is it read.
        EVICTED => Some(("x-llm-d-request-dropped-reason", "evicted-simulated")),
        _ => None,
    };
    if let Some((name, value)) = says {
        response.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}

/// An answer that should come whole.
async fn whole(mut work: Work) -> Response<Pieces> {
    let thinks = if work.act == SLOW { work.dice.count(500, 3_000) } else { work.dice.count(10, 300) };
    sleep(Duration::from_millis(thinks as u64)).await;
    work.note(|call| call.generated = work.output);
    let (send, pieces) = mpsc::channel(2);
    let body = Pieces(pieces);
    // There is room for two pieces.
    match work.act {
        RESET | SILENT | ERROR_EVENT => {
            _ = send.try_send(Ok(Bytes::from_static(b"{\"choices\":[")));
            _ = send.try_send(Err(io::ErrorKind::ConnectionReset.into()));
        }
        HANG => {
            tokio::task::spawn_local(async move { send.closed().await });
        }
        _ => {
            let reported = (work.act != NO_USAGE).then(|| work.tokens());
            work.note(|call| call.reported = reported);
            let answer = json!({
                "id": "x", "object": "chat.completion", "created": 0, "model": "x", "usage": reported.map(usage),
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": "simulated answer" }, "finish_reason": "stop" }],
            });
            _ = send.try_send(Ok(Bytes::from(answer.to_string())));
        }
    }
    respond(200, "application/json", body)
}

fn usage(tokens: Tokens) -> Value {
    json!({ "prompt_tokens": tokens.input, "completion_tokens": tokens.output, "total_tokens": tokens.input + tokens.output })
}

/// An answer that comes token by token.
fn stream(work: Work) -> Response<Pieces> {
    let (send, pieces) = mpsc::channel(1);
    tokio::task::spawn_local(async move {
        // A client that has left gets nothing more, and that is what a failure here means.
        _ = tell(work, &send).await;
    });
    respond(200, "text/event-stream", Pieces(pieces))
}

type Send = mpsc::Sender<io::Result<Bytes>>;

async fn tell(mut work: Work, send: &Send) -> Result<(), mpsc::error::SendError<io::Result<Bytes>>> {
    let ends_early = [RESET, SILENT, ERROR_EVENT, HANG].contains(&work.act);
    let tokens = if ends_early { u32::try_from(work.dice.count(0, work.output as usize)).unwrap_or(0) } else { work.output };
    for _ in 0..tokens {
        let pause = if work.act == SLOW { work.dice.count(50, 600) } else { work.dice.count(0, 40) };
        sleep(Duration::from_millis(pause as u64)).await;
        work.note(|call| call.generated += 1);
        send.send(Ok(event(&chunk(json!({ "content": "word " }), None)))).await?;
    }
    match work.act {
        RESET => return send.send(Err(io::ErrorKind::ConnectionReset.into())).await,
        SILENT => return Ok(()),
        ERROR_EVENT => return send.send(Ok(event(&json!({ "error": { "message": "simulated", "type": "x" } })))).await,
        HANG => {
            send.closed().await;
            return Ok(());
        }
        _ => {}
    }
    send.send(Ok(event(&chunk(json!({}), Some("stop"))))).await?;
    if work.usage {
        work.note(|call| call.reported = Some(work.tokens()));
        send.send(Ok(event(&json!({ "id": "x", "object": "chat.completion.chunk", "choices": [], "usage": usage(work.tokens()) }))))
            .await?;
    }
    if work.act != NO_DONE {
        send.send(Ok(Bytes::from_static(b"data: [DONE]\n\n"))).await?;
    }
    Ok(())
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({
        "id": "x", "object": "chat.completion.chunk", "created": 0, "model": "x",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
    })
}

fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

fn respond(status: u16, kind: &'static str, body: Pieces) -> Response<Pieces> {
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

/// A body that comes piece by piece.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Pieces {
    fn whole(body: String) -> Self {
        let (send, pieces) = mpsc::channel(1);
        // There is room for one.
        _ = send.try_send(Ok::<_, io::Error>(Bytes::from(body)));
        Self(pieces)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
