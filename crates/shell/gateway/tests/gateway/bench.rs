//! A gateway over the laptop fleet, with a scripted upstream behind each endpoint and a journal that can be read back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{self, Duration};

use bytes::Bytes;
use dispatch::{AttemptId, KeyId, Record, RequestId, Settlement};
use fleet::{EndpointId, Fleet};
use gateway::{Clock, Config, Gateway, Journal, Limits};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ledger::{KeyRow, LedgerError, Scope};
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::Upstream;
use testkit::checkers::check_secrets;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use units::Instant;

/// The key of the tests; its secret must never come back in any answer.
pub const KEY: &str = "bl-abcdefabcdef-canary-secret";

/// The fleet that ships with the program.
pub const LAPTOP: &str = include_str!("../../../../../fleets/laptop.toml");

/// A journal in memory.
#[derive(Default)]
pub struct Memory {
    records: Mutex<Vec<(time::Instant, Record)>>,
    count: watch::Sender<usize>,
    full: std::sync::atomic::AtomicBool,
}

impl Memory {
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, record)| record.clone()).collect()
    }

    /// When each attempt was in the journal, by a clock that began at `began`.
    pub fn intents(&self, began: time::Instant) -> BTreeMap<(RequestId, EndpointId), (AttemptId, Duration)> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let intent = |(at, record): &(time::Instant, Record)| match record {
            Record::Decided { attempt, decision, .. } => Some(((attempt.request, decision.endpoint), (*attempt, at.duration_since(began)))),
            Record::Settled(_) | Record::Held(_) => None,
        };
        records.iter().filter_map(intent).collect()
    }

    /// Takes nothing more.
    pub fn fill(&self) {
        self.full.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    /// Waits for so many settlements, and gives them.
    pub async fn settled(&self, count: usize) -> Vec<Settlement> {
        let all = || -> Vec<Settlement> {
            let settled = |record: Record| if let Record::Settled(settlement) = record { Some(settlement) } else { None };
            self.records().into_iter().filter_map(settled).collect()
        };
        self.count.subscribe().wait_for(|_| all().len() >= count).await.expect("the sender lives in the journal");
        all()
    }
}

impl Journal for Memory {
    fn append(&self, record: &Record) -> Result<(), LedgerError> {
        if self.full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(LedgerError::Missing { what: "room".to_owned() });
        }
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push((time::Instant::now(), record.clone()));
        drop(records);
        self.count.send_modify(|count| *count += 1);
        Ok(())
    }
}

/// Everything that a test needs.
pub struct Bench {
    pub gateway: Arc<Gateway>,
    pub journal: Arc<Memory>,
    pub fleet: Arc<Fleet>,
    pub north: Upstream,
    pub west: Upstream,
    pub spill: Upstream,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: Option<tokio::task::JoinHandle<()>>,
}

/// What a bench is made of.
pub struct Setup {
    pub fleet: String,
    pub limits: Limits,
    pub shadow: bool,
    pub keys: Vec<KeyRow>,
    pub clock: Clock,
    pub directory: Option<std::path::PathBuf>,
    /// Endpoints with upstreams of their own instead of scripted ones.
    pub hosted: Vec<(&'static str, gateway::Upstream)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            fleet: LAPTOP.to_owned(),
            limits: Limits::default(),
            shadow: false,
            keys: vec![key("abcdefabcdef", "canary-secret", &[]), KeyRow { id: KeyId(2), ..key("fedcbafedcba", "other", &["gone"]) }],
            clock: Clock::system(),
            directory: None,
            hosted: Vec::new(),
        }
    }
}

/// Limits short enough to reach in a test.
pub fn impatient() -> Limits {
    let short = Duration::from_millis(800);
    Limits { first_token_timeout: short, between_tokens_timeout: short, answer_timeout: short, ..Limits::default() }
}

impl Bench {
    pub async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        Self::of(Setup { limits, ..Setup::default() }).await
    }

    pub async fn of(setup: Setup) -> Self {
        let fleet = Arc::new(fleet::parse(&setup.fleet).fleet.expect("the fleet is good"));
        let journal = Arc::new(Memory::default());
        let gateway = Arc::new(
            Gateway::new(Config {
                fleet: Arc::clone(&fleet),
                journal: Arc::clone(&journal) as Arc<dyn Journal>,
                policy: dispatch::Policy::MarginalCost,
                keys: setup.keys.into(),
                upstreams: setup.hosted.iter().map(|(name, upstream)| (endpoint(&fleet, name), upstream.clone())).collect(),
                clock: setup.clock,
                limits: setup.limits,
                shadow: setup.shadow,
                directory: setup.directory,
            })
            .expect("no upstream wants TLS"),
        );
        let upstream = async || Upstream::start().await.expect("this machine has a free port");
        let (north, west, spill) = (upstream().await, upstream().await, upstream().await);
        for (name, at) in [("north", &north), ("west", &west), ("spill", &spill)] {
            if setup.hosted.iter().any(|(hosted, _)| *hosted == name) {
                continue;
            }
            gateway.set_upstream(endpoint(&fleet, name), Some(at.address())).expect("it is this machine");
        }
        gateway.set_sheet(sheet(&fleet));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("this machine has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Arc::clone(&gateway);
        let served = tokio::spawn(async move {
            server.serve(listener, async { stopped.await.unwrap_or_default() }).await;
        });
        Self { gateway, journal, fleet, north, west, spill, address, stop: Some(stop), served: Some(served) }
    }

    /// Leaves only north with an address.
    pub fn only_north(&self) {
        self.without(&["west", "spill"]);
    }

    /// Takes these endpoints' addresses away.
    pub fn without(&self, names: &[&str]) {
        for name in names {
            self.gateway.set_upstream(endpoint(&self.fleet, name), None).expect("no address is fine");
        }
    }

    pub async fn stop(&mut self) {
        self.stop.take();
        if let Some(served) = self.served.take() {
            served.await.expect("serving ends well");
        }
    }

    pub async fn chat(&self, body: &str) -> Reply {
        self.send("POST", "/v1/chat/completions", &[("authorization", &format!("Bearer {KEY}"))], body).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[("authorization", &format!("Bearer {KEY}"))], "").await
    }

    /// A chat with another key than the usual one.
    pub async fn chat_with(&self, key: &str, body: &str) -> Reply {
        self.send("POST", "/v1/chat/completions", &[("api-key", key)], body).await
    }

    /// Asks without a key, under this name of the gateway.
    pub async fn named(&self, host: &str, path: &str) -> Reply {
        self.send("GET", path, &[("host", host)], "").await
    }

    pub async fn send(&self, method: &str, path: &str, head: &[(&str, &str)], body: &str) -> Reply {
        let (_connection, response) = self.open(method, path, head, body).await;
        Reply::read(response).await
    }

    /// Sends a request and gives the answer as its head comes; dropping the connection hangs up.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        head: &[(&str, &str)],
        body: &str,
    ) -> (SendRequest<Full<Bytes>>, Response<Incoming>) {
        ask(self.address, method, path, head, body).await
    }
}

/// Sends a request and gives the answer as its head comes; dropping the connection hangs up.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    head: &[(&str, &str)],
    body: &str,
) -> (SendRequest<Full<Bytes>>, Response<Incoming>) {
    let stream = TcpStream::connect(address).await.expect("the gateway listens");
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    let mut request = Request::builder().method(method).uri(path);
    if !head.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "gateway");
    }
    for (name, value) in head {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a good request");
    let response = send.send_request(request).await.expect("an answer");
    (send, response)
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub head: hyper::HeaderMap,
    pub text: String,
}

impl Reply {
    pub async fn read(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the gateway never breaks off").to_bytes();
        let text = String::from_utf8(body.to_vec()).expect("text");
        let head = format!("{:?}", parts.headers);
        assert_eq!(check_secrets([("an answer", text.as_bytes()), ("its head", head.as_bytes())], &["canary"]), [], "{text} {head}");
        assert!(parts.headers.contains_key("x-request-id"), "every answer has an id");
        Self { status: parts.status, head: parts.headers, text }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// The error's code, after checking that the envelope has its four fields.
    pub fn error(&self) -> (u16, String) {
        let (json, status) = (self.json(), self.status.as_u16());
        let error = json["error"].as_object().expect("an error envelope");
        let fields: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(fields, ["message", "type", "param", "code"]);
        (status, error["code"].as_str().unwrap_or_default().to_owned())
    }

    pub fn header(&self, name: &str) -> &str {
        self.head.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The data of every event.
    pub fn events(&self) -> Vec<&str> {
        self.text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect()
    }
}

pub fn endpoint(fleet: &Fleet, name: &str) -> EndpointId {
    fleet.endpoints.id(name).expect("the laptop fleet has it")
}

/// A key `bl-<public>-<secret>` for inference and reading.
pub fn key(public: &str, secret: &str, models: &[&str]) -> KeyRow {
    KeyRow {
        id: KeyId(1),
        rotated: None,
        previous: None,
        scopes: [Scope::Inference, Scope::Read].into_iter().collect(),
        team: None,
        allowance: fleet::Allowance::default(),
        name: public.to_owned(),
        public: public.to_owned(),
        hash: Sha256::digest(secret.as_bytes()).into(),
        models: models.iter().map(|name| (*name).to_owned()).collect(),
        created: Instant::default(),
        expires: None,
        revoked: None,
    }
}

/// Prices that make north the cheapest, then west, then spill.
pub fn sheet(fleet: &Fleet) -> market::PriceSheet {
    let now = Clock::system().now();
    let mut sheet = market::price_sheet(fleet, &market::Balances::default(), &market::Forecast::default(), now);
    let flat = |price: i64| market::TokenPrices { input: price, cached: price, output: price };
    for (name, price) in [("north", 1_000_000_000), ("west", 100_000_000_000), ("spill", 10_000_000_000_000)] {
        let id = endpoint(fleet, name);
        let found = sheet.endpoints.iter_mut().find(|price| price.endpoint == id).expect("somebody pays for it");
        let first = found.payers[0].expect("somebody is asked first");
        found.payers = [None; market::PAYERS_MAX];
        found.payers[0] = Some(market::Payer { marginal: flat(price), units_per_minute: 0, ..first });
        found.energy = flat(0);
        found.replacement = flat(0);
    }
    (sheet.valid_until, sheet.usable_until) = (Instant::MAX, Instant::MAX);
    sheet
}
