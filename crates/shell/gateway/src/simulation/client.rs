//! Simulated clients: each asks, listens or leaves as its dice fall, and remembers what it was told.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fleet::EndpointId;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use testkit::Dice;
use testkit::checkers::Told;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use turmoil::net::TcpStream;

use super::run::{Run, lock};
use super::scene::{self, BUDGETED, KEYS, SECRET};

/// Tasks of one client's host that ask at the same time.
const TASKS: usize = 4;
/// How long a client waits for the end of one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a client leaves before its answer is complete.
const LEAVES_SOON: &str = "client leaves before a head";
const LEAVES_MIDWAY: &str = "client leaves midway";
const UNKNOWN_KEY: &str = "client with an unknown key";

/// What clients do, besides listening to the end.
pub(super) const ACTS: [&str; 3] = [LEAVES_SOON, LEAVES_MIDWAY, UNKNOWN_KEY];

const UNKNOWN_MODEL: &str = "code model_not_found";
const UNKNOWN_URL: &str = "code unknown_url";
const WRONG_METHOD: &str = "code method_not_supported";
const BROKEN_JSON: &str = "code invalid_json";
const BAD_VALUE: &str = "code invalid_value";
const TOO_LARGE: &str = "code request_too_large";
const MASKED_NAME: &str = "code ambiguous_head";
const OUT_OF_SCOPE: &str = "code insufficient_permissions";
const NOT_KEPT: &str = "code not_supported";
const BEYOND_BUDGET: &str = "code insufficient_quota";
const ENDLESS: &str = "code request_timeout";

/// What is wrong with some requests themselves, by the code that they are refused with.
const ODD: [&str; 11] = [
    UNKNOWN_MODEL,
    UNKNOWN_URL,
    WRONG_METHOD,
    BROKEN_JSON,
    BAD_VALUE,
    TOO_LARGE,
    MASKED_NAME,
    OUT_OF_SCOPE,
    NOT_KEPT,
    BEYOND_BUDGET,
    ENDLESS,
];

/// Asks until nothing goes wrong any more, then once more for an answer.
pub(super) async fn run(run: Arc<Run>, number: usize) -> turmoil::Result {
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (run, dice) = (Arc::clone(&run), run.dice((number * TASKS + task) as u64));
        tasks.spawn_local(live(run, dice));
    }
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

async fn live(run: Arc<Run>, mut dice: Dice) {
    while !run.is_calm() {
        sleep(Duration::from_millis(dice.count(0, 900) as u64)).await;
        let wish = Wish::draw(&mut dice);
        wish.covered(&run);
        let number = begin(&run);
        // Whatever it heard of, its end is known.
        _ = timeout(PATIENCE, Box::pin(ask(&run, &wish, number))).await;
        end(&run, number);
    }
    let number = begin(&run);
    let wish = Wish { streamed: dice.chance(0.5), ..Wish::default() };
    loop {
        if timeout(PATIENCE, Box::pin(ask(&run, &wish, number))).await == Ok(Some(200)) {
            break;
        }
        sleep(Duration::from_millis(200)).await;
        if run.now() > lock(&run.told)[number].asked + 4 * PATIENCE {
            // It is told as never having ended.
            return;
        }
    }
    end(&run, number);
}

fn begin(run: &Run) -> usize {
    run.cover(|coverage| coverage.count("requests"));
    let mut told = lock(&run.told);
    told.push(Told { request: None, endpoint: None, asked: run.now(), over: None, status: None, delivered: 0, usage: None, whole: false });
    told.len() - 1
}

fn end(run: &Run, number: usize) {
    let mut told = lock(&run.told);
    told[number].over = Some(run.now());
    run.note(&format!("{:?}", told[number]));
}

/// A key as its holder sends it.
fn key_of(index: usize) -> String {
    format!("bl-{}-{SECRET}", KEYS[index])
}

/// What a client wants, and how long it stays.
#[derive(Clone, Debug)]
struct Wish {
    key: String,
    streamed: bool,
    tier: &'static str,
    max_tokens: Option<usize>,
    prompt: usize,
    tools: bool,
    seed: bool,
    /// What is wrong with it, one of [`ODD`].
    odd: Option<&'static str>,
    /// It leaves after so long without a head, or after so many tokens.
    leaves_after: Option<Duration>,
    leaves_at: Option<u32>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            key: key_of(0),
            streamed: true,
            tier: "default",
            max_tokens: Some(20),
            prompt: 40,
            tools: false,
            seed: false,
            odd: None,
            leaves_after: None,
            leaves_at: None,
        }
    }
}

impl Wish {
    fn draw(dice: &mut Dice) -> Self {
        let key = if dice.chance(0.03) { "bl-nobody-nothing".to_owned() } else { key_of(dice.count(0, 2)) };
        let wish = Self {
            key,
            streamed: dice.chance(0.6),
            tier: ["default", "default", "flex", "priority"][dice.count(0, 3)],
            max_tokens: dice.chance(0.7).then(|| dice.count(1, 300)),
            prompt: if dice.chance(0.03) { 36_000 } else { dice.count(10, 400) },
            tools: dice.chance(0.03),
            seed: dice.chance(0.1),
            odd: dice.chance(0.08).then(|| ODD[dice.count(0, ODD.len() - 1)]),
            leaves_after: dice.chance(0.08).then(|| Duration::from_millis(dice.count(0, 400) as u64)),
            leaves_at: dice.chance(0.08).then(|| u32::try_from(dice.count(0, 8)).unwrap_or(0)),
        };
        if wish.odd == Some(BEYOND_BUDGET) { Self { key: key_of(BUDGETED), ..wish } } else { wish }
    }

    fn covered(&self, run: &Run) {
        run.cover(|coverage| {
            let did = [
                (self.leaves_after.is_some(), LEAVES_SOON),
                (self.leaves_at.is_some(), LEAVES_MIDWAY),
                (!self.key.contains(SECRET), UNKNOWN_KEY),
            ];
            did.into_iter().filter(|(is_so, _)| *is_so).for_each(|(_, case)| coverage.count(case));
        });
    }

    fn method_and_path(&self) -> (&'static str, &'static str) {
        match self.odd {
            Some(UNKNOWN_URL) => ("POST", "/v1/nowhere"),
            Some(WRONG_METHOD) => ("DELETE", "/v1/chat/completions"),
            Some(OUT_OF_SCOPE) => ("GET", "/v1/organization/costs"),
            Some(NOT_KEPT) => ("GET", "/v1/files"),
            _ => ("POST", "/v1/chat/completions"),
        }
    }

    fn body(&self) -> String {
        let model = match self.odd {
            Some(UNKNOWN_MODEL) => "nobody",
            Some(BEYOND_BUDGET) => "large",
            _ => "default",
        };
        let mut body = json!({
            "model": model, "stream": self.streamed, "service_tier": self.tier,
            "messages": [{ "role": "user", "content": "x ".repeat(self.prompt / 2) }],
        });
        if let Some(most) = self.max_tokens {
            body["max_tokens"] = json!(most);
        }
        if self.tools {
            body["tools"] = json!([{ "type": "function", "function": { "name": "f", "parameters": {} } }]);
        }
        if self.seed {
            body["seed"] = json!(1);
        }
        match self.odd {
            Some(BAD_VALUE) => body["n"] = json!("x"),
            Some(TOO_LARGE) => body["user"] = json!("x".repeat(scene::BODY_BYTES_MAX)),
            Some(BROKEN_JSON) => return "{".to_owned(),
            _ => {}
        }
        body.to_string()
    }
}

/// Asks once; the status, when the answer came to its end.
async fn ask(run: &Arc<Run>, wish: &Wish, number: usize) -> Option<u16> {
    let asking = async {
        let stream = TcpStream::connect(("gateway", 80)).await.ok()?;
        let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        let connection = Connection(tokio::task::spawn_local(async move { _ = connection.await }));
        let (method, path) = wish.method_and_path();
        let request = Request::builder().method(method).uri(path).header("host", "gateway");
        let request = request.header("authorization", format!("Bearer {}", wish.key));
        let request = if wish.odd == Some(MASKED_NAME) { request.header("x_api_key", "other") } else { request };
        let request = request.body(Asked { text: Some(Bytes::from(wish.body())), ends: wish.odd != Some(ENDLESS) }).ok()?;
        Some((send.send_request(request).await.ok()?, connection))
    };
    let answered = match wish.leaves_after {
        Some(patience) => timeout(patience, Box::pin(asking)).await.ok().flatten(),
        None => Box::pin(asking).await,
    };
    let (response, _connection) = answered?;
    listen(run, wish, number, response).await
}

/// A request's body, whose end some never send.
struct Asked {
    text: Option<Bytes>,
    ends: bool,
}

impl Body for Asked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.text.take() {
            Some(text) => Poll::Ready(Some(Ok(Frame::data(text)))),
            None if self.ends => Poll::Ready(None),
            // Nobody is woken, as nothing more comes.
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ends && self.text.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.text.as_ref().filter(|_| self.ends).map(|text| text.len() as u64);
        length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A connection that is hung up when it is dropped.
struct Connection(tokio::task::JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Hears an answer to its end, unless the client wants to leave before.
async fn listen(run: &Arc<Run>, wish: &Wish, number: usize, response: Response<Incoming>) -> Option<u16> {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let endpoint: Option<EndpointId> = header("x-baseload-endpoint").and_then(|name| run.fleet.endpoints.id(name));
    {
        let told = &mut lock(&run.told)[number];
        (told.request, told.endpoint, told.status) = (header("x-request-id").and_then(|id| id.parse().ok()), endpoint, Some(status));
        (told.delivered, told.whole) = (0, false);
    }
    lock(&run.outputs).push(format!("{:?}", response.headers()));
    let (mut body, mut text) = (response.into_body(), String::new());
    while let Some(frame) = body.frame().await {
        let piece = frame.ok()?.into_data().unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&piece));
        let delivered = u32::try_from(text.matches("\"content\":\"word \"").count()).unwrap_or(u32::MAX);
        lock(&run.told)[number].delivered = delivered;
        if wish.leaves_at.is_some_and(|at| delivered > at) {
            return None;
        }
    }
    let is_whole = if wish.streamed && status == 200 { text.ends_with("data: [DONE]\n\n") } else { true };
    lock(&run.told)[number].whole = is_whole;
    lock(&run.outputs).push(text);
    is_whole.then_some(status)
}
