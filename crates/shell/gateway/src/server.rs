//! Connections in: accepts, routes, and gives every answer its head.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use ledger::Scope;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admission::{Rates, Visit};
use crate::body::Answer;
use crate::door::{Behind, Door};
use crate::envelope::Refused;
use crate::guard::{Guarded, Watch};
use crate::limits::{HEADER_BYTES_MAX, HEADERS_MAX, OPERATION_CONNECTIONS_MAX};
use crate::peek::Call;
use crate::query::decoded;
use crate::request::{self, Served};
use crate::state::State;
use crate::workers::{Arrival, Workers};
use crate::{audit, batch, ids, keys, logged, messages, metrics, models, paths, status, usage};

/// Serves at all doors until `shutdown`, then lets requests under way end, for as long as the limits allow.
pub(crate) async fn serve(state: Arc<State>, doors: Vec<Door>, shutdown: impl Future<Output = ()>) {
    // Whatever comes in at the others, those for operation are open.
    let (operation, calls): (Vec<Door>, Vec<Door>) = doors.into_iter().partition(|door| door.behind == Behind::Operation);
    let (operation, calls) = (Entry::new(operation, OPERATION_CONNECTIONS_MAX), Entry::new(calls, state.limits.connections_max));
    let mut workers = Workers::start(&state);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            entered = operation.next() => entered,
            entered = calls.next() => entered,
        };
        match accepted.and_then(|(stream, peer, door)| Ok((stream.into_std()?, peer, door))) {
            Ok((stream, peer, door)) => {
                // One address can't take the connections of all: what is too many is closed before anything is read.
                let most = if door.behind == Behind::Operation { usize::MAX } else { state.limits.peer_connections_max };
                let Some(visit) = state.peers.visit(peer.ip(), most) else { continue };
                let (certificate, guest) = (door.certificate.clone(), Guest { peer, behind: door.behind, visit });
                workers.take(Arrival { stream, certificate, guest, place });
            }
            // Out of file descriptors, most likely: let some connections end first.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
    drop((operation, calls));
    workers.stop().await;
}

/// Doors with the places for connections that they share.
struct Entry {
    doors: Vec<Door>,
    places: Arc<Semaphore>,
}

/// A connection with who is there and where it came in.
type Accepted<'a> = std::io::Result<(TcpStream, SocketAddr, &'a Door)>;

impl Entry {
    fn new(doors: Vec<Door>, places: usize) -> Self {
        Self { doors, places: Arc::new(Semaphore::new(places)) }
    }

    /// The next connection at any of them, once there is a place for it.
    async fn next(&self) -> (Option<OwnedSemaphorePermit>, Accepted<'_>) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let accepted = std::future::poll_fn(|cx| {
            for door in &self.doors {
                if let Poll::Ready(accepted) = door.listener.poll_accept(cx) {
                    return Poll::Ready(accepted.map(|(stream, peer)| (stream, peer, door)));
                }
            }
            Poll::Pending
        });
        (place.ok(), accepted.await)
    }
}

/// Who is connected, and to what.
pub(crate) struct Guest {
    pub peer: SocketAddr,
    pub behind: Behind,
    pub visit: Arc<Visit>,
}

/// One connection, which serves its requests when it is polled.
pub(crate) fn connection<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    state: &Arc<State>,
    stream: S,
    guest: Guest,
) -> impl GracefulConnection<Error = hyper::Error, Output = hyper::Result<()>> + use<S> {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(state.limits.header_timeout);
    // One piece costs the kernel less than several, and answers and chunks are small.
    builder.max_buf_size(HEADER_BYTES_MAX).max_headers(HEADERS_MAX).writev(false);
    let (state, guest) = (Arc::clone(state), Arc::new(guest));
    let (stream, watch) = Guarded::new(stream, state.limits.write_timeout);
    let service = service_fn(move |request: Request<Incoming>| {
        let is_plain = watch.begin(request.body());
        answer(Arc::clone(&state), Arc::clone(&guest), Arc::clone(&watch), is_plain, request)
    });
    builder.serve_connection(TokioIo::new(stream), service)
}

async fn answer(
    state: Arc<State>,
    guest: Arc<Guest>,
    watch: Arc<Watch>,
    is_plain: bool,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let began = state.clock.now();
    let Some(id) = ids::draw(began) else { return Ok(refuse(&state, Refused::overloaded())) };
    let closes = request.headers().contains_key(TRANSFER_ENCODING) || request.headers().contains_key(UPGRADE);
    let path = request.uri().path();
    let anthropic = messages::is(path) || models::is_anthropic(path, request.headers());
    let served = if is_plain { route(&state, &guest, id, request).await } else { Err(Refused::ambiguous()) };
    if let Err(refused) = &served {
        logged::refused(&state, id, refused);
    }
    let mut response = match served {
        Ok(served) => respond(served),
        Err(refused) if anthropic => refuse(&state, refused.in_anthropic()),
        Err(refused) => refuse(&state, refused),
    };
    let head = response.headers_mut();
    // What comes behind chunks, a wish to speak something else, or right behind a body may have been framed otherwise by a
    // proxy in front: nothing more is read from such a connection.
    if closes || watch.is_spoilt() {
        head.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let (said, time_ms) = (ids::header(id), state.clock.now().since(began).as_millis());
    if anthropic {
        head.insert("request-id", said.clone());
    }
    head.insert(&ids::X_REQUEST_ID, said);
    head.insert(&OPENAI_PROCESSING_MS, HeaderValue::from(u64::try_from(time_ms).unwrap_or(u64::MAX)));
    Ok(response)
}

static OPENAI_PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
/// Where an answer came from, in the order of [`Source`](crate::request::Source).
static SOURCE: [HeaderName; 3] = [
    HeaderName::from_static("x-baseload-endpoint"),
    HeaderName::from_static("x-baseload-contract"),
    HeaderName::from_static("x-baseload-marginal-price"),
];
/// The rates of requests and tokens: limit, left, reset.
static RATES: [[HeaderName; 3]; 2] = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
];
/// As many as an answer has that comes whole.
const HEADERS: usize = 12;

/// What a path means, with or without the `/v1` that some clients leave out.
enum Route<'a> {
    Inference(Call),
    Models,
    Model(&'a str),
    Usage(usage::Report),
    /// Files and batches.
    Kept(batch::Wanted<'a>),
    Health,
    Ready,
    Metrics,
    Status,
    Audit,
}

fn find(path: &str) -> Option<Route<'_>> {
    let bare = paths::bare(path);
    match bare {
        "/chat/completions" => Some(Route::Inference(Call::Chat)),
        "/completions" => Some(Route::Inference(Call::Completions)),
        "/embeddings" => Some(Route::Inference(Call::Embeddings)),
        "/responses" => Some(Route::Inference(Call::Responses)),
        "/messages" => Some(Route::Inference(Call::Messages)),
        "/models" => Some(Route::Models),
        _ if bare.starts_with("/models/") => bare.strip_prefix("/models/").filter(|name| !name.is_empty()).map(Route::Model),
        _ if let Some(report) = usage::find(bare) => Some(Route::Usage(report)),
        _ if let Some(kept) = batch::find(bare) => Some(Route::Kept(kept)),
        _ => match path {
            // vllm-router and others ask for the shorter one.
            "/healthz" | "/health" => Some(Route::Health),
            "/readyz" => Some(Route::Ready),
            "/metrics" => Some(Route::Metrics),
            "/api/status" => Some(Route::Status),
            "/api/ledger/verify" => Some(Route::Audit),
            _ => None,
        },
    }
}

async fn route(state: &Arc<State>, guest: &Guest, id: dispatch::RequestId, mut request: Request<Incoming>) -> Result<Served, Refused> {
    check_head(&request)?;
    // What is got is answered to whoever asks for its head alone, too: the connection leaves the body out.
    if *request.method() == Method::HEAD {
        *request.method_mut() = Method::GET;
    }
    let path = request.uri().path().to_owned();
    let route =
        find(&path).filter(|route| route.is_behind(guest.behind)).ok_or_else(|| Refused::unknown_url(request.method().as_str(), &path))?;
    // Files and batches say themselves which methods they take.
    let (wanted, allowed) = if matches!(route, Route::Inference(_)) { (Method::POST, "POST") } else { (Method::GET, "GET, HEAD") };
    if *request.method() != wanted && !matches!(route, Route::Kept(_)) {
        return Err(Refused::wrong_method(allowed));
    }
    gate(state, guest.peer, request.headers(), route.wants())?;
    match route {
        Route::Inference(call) => request::serve(Arc::clone(state), call, id, &guest.visit, request).await,
        Route::Models => models::list(state, request.headers()).map(json),
        Route::Model(name) => models::one(state, request.headers(), &decoded(name)).map(json),
        // What is asked for rarely is not kept room for beside every call.
        Route::Usage(report) => Box::pin(usage::serve(state, report, &request)).await,
        Route::Kept(kept) => Box::pin(batch::serve(state, kept, request)).await,
        Route::Health => Ok(text("ok\n")),
        Route::Ready if status::is_ready(state) => Ok(text("ready\n")),
        Route::Ready => Err(Refused::no_capacity("No endpoint has a price and an address yet.", std::time::Duration::from_secs(1))),
        Route::Metrics => Ok(text(metrics::render(state))),
        Route::Status => Ok(json(status::render(state))),
        Route::Audit => Box::pin(audit::serve(state)).await.map(json),
    }
}

/// Refuses what another server behind the same proxy may take for somebody else's, and a body that can't be read here.
fn check_head(request: &Request<Incoming>) -> Result<(), Refused> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    // A URI in absolute form names one as well.
    let is_another = |host: &HeaderValue| request.uri().authority().is_some_and(|named| named.as_str().as_bytes() != host.as_bytes());
    if more.is_some() || host.is_some_and(is_another) || host.is_none() && request.version() == Version::HTTP_11 {
        return Err(Refused::no_host());
    }
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if request.headers().get_all(CONTENT_ENCODING).iter().all(is_plain) { Ok(()) } else { Err(Refused::packed()) }
}

/// Who may ask for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// Anyone.
    Nothing,
    /// A key with this scope.
    Key(Scope),
    /// A key with this scope, or whoever asks without any key on this machine.
    KeyOrHere(Scope),
}

impl Route<'_> {
    /// Whether a listener for this answers it.
    const fn is_behind(&self, behind: Behind) -> bool {
        let is_operation = matches!(self, Self::Health | Self::Ready | Self::Metrics | Self::Status | Self::Audit);
        match behind {
            Behind::All => true,
            Behind::Calls => !is_operation,
            Behind::Operation => is_operation,
        }
    }

    /// What it takes to be answered: a route that says nothing here does not compile.
    const fn wants(&self) -> Wants {
        match self {
            Self::Inference(_) | Self::Models | Self::Model(_) | Self::Kept(_) => Wants::Key(Scope::Inference),
            Self::Usage(_) => Wants::Key(Scope::Read),
            Self::Health | Self::Ready => Wants::Nothing,
            Self::Metrics | Self::Status | Self::Audit => Wants::KeyOrHere(Scope::Read),
        }
    }
}

/// Lets a request through to its route, or not.
fn gate(state: &State, peer: SocketAddr, head: &HeaderMap, wants: Wants) -> Result<(), Refused> {
    match wants {
        // The call looks its key up itself, for what it may use and spend.
        Wants::Nothing | Wants::Key(Scope::Inference) => Ok(()),
        Wants::KeyOrHere(_) if is_here(peer, head) && !keys::is_presented(head) => Ok(()),
        Wants::Key(scope) | Wants::KeyOrHere(scope) => state.snapshot.load().keys.admit(head, state.clock.now(), scope).map(|_| ()),
    }
}

/// Whether somebody on this machine asks: but not a web page, of another site or with its own name resolved to this machine, and nobody
/// for whom a proxy on this machine asks.
fn is_here(peer: SocketAddr, head: &HeaderMap) -> bool {
    if PROXIES_SAY.iter().any(|name| head.contains_key(*name)) || head.contains_key(ORIGIN) {
        return false;
    }
    let is_own = |site: &HeaderValue| site == "same-origin" || site == "none";
    if !head.get("sec-fetch-site").is_none_or(is_own) {
        return false;
    }
    let host = head.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    peer.ip().is_loopback() && (name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()))
}

/// What proxies add to a request.
const PROXIES_SAY: [&str; 6] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

fn json(body: Vec<u8>) -> Served {
    Served {
        status: StatusCode::OK,
        body: Answer::from(Bytes::from(body)),
        kind: "application/json",
        source: None,
        rates: Rates::default(),
    }
}

fn text(body: impl Into<Bytes>) -> Served {
    Served {
        status: StatusCode::OK,
        body: Answer::from(body.into()),
        kind: "text/plain; charset=utf-8",
        source: None,
        rates: Rates::default(),
    }
}

fn respond(served: Served) -> Response<Answer> {
    let mut response = Response::new(served.body);
    *response.status_mut() = served.status;
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static(served.kind));
    if served.kind.starts_with("text/event-stream") {
        head.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    put_rates(head, &served.rates);
    if let Some(source) = served.source {
        for (name, value) in SOURCE.iter().zip([source.endpoint, source.contract, source.marginal_price]) {
            head.insert(name, value);
        }
    }
    response
}

fn refuse(state: &State, refused: Refused) -> Response<Answer> {
    state.refused.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Answer::from(refused.body()));
    *response.status_mut() = refused.status;
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(methods) = refused.allow {
        head.insert(ALLOW, HeaderValue::from_static(methods));
    }
    if let Some(rates) = &refused.rates {
        put_rates(head, rates);
    }
    if refused.is_final() {
        put(head, "x-should-retry", "false");
    }
    if let Some(wait) = refused.retry_after {
        put(head, "retry-after-ms", &wait.as_millis().to_string());
        put(head, RETRY_AFTER.as_str(), &wait.as_millis().div_ceil(1_000).max(1).to_string());
    }
    response
}

/// How much is left of the key's rates, as OpenAI's headers say it.
fn put_rates(head: &mut HeaderMap, rates: &Rates) {
    for (rate, [limit, left, reset]) in [&rates.requests, &rates.tokens].into_iter().zip(&RATES) {
        let Some(rate) = rate else { continue };
        head.insert(limit, rate.limit.into());
        head.insert(left, rate.left.into());
        if let Ok(value) = HeaderValue::from_str(&rate.reset()) {
            head.insert(reset, value);
        }
    }
}

/// Sets a header; a value that no header may have is left out.
fn put(head: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        head.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every route with who is let in, as the tests by HTTP walk it.
    const TABLE: &str = include_str!("../tests/gateway/routes.txt");

    /// The paths and who is let in.
    fn table() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
        TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[1], words[3..].to_vec())
        })
    }

    /// The path that the table has for a route. A route without one does not compile, and one that the table lacks fails below.
    macro_rules! paths {
        ($($route:pat => $path:literal,)*) => {
            const PATHS: &[&str] = &[$($path),*];
            const fn path(route: &Route<'_>) -> &'static str {
                match route { $($route => $path),* }
            }
        };
    }

    paths! {
        Route::Inference(Call::Chat) => "/v1/chat/completions",
        Route::Inference(Call::Completions) => "/v1/completions",
        Route::Inference(Call::Embeddings) => "/v1/embeddings",
        Route::Inference(Call::Responses) => "/v1/responses",
        Route::Inference(Call::Messages) => "/v1/messages",
        Route::Models => "/v1/models",
        Route::Model(_) => "/v1/models/default",
        Route::Usage(usage::Report::Completions) => "/v1/organization/usage/completions",
        Route::Usage(usage::Report::Embeddings) => "/v1/organization/usage/embeddings",
        Route::Usage(usage::Report::Costs) => "/v1/organization/costs",
        Route::Kept(batch::Wanted::Files) => "/v1/files",
        Route::Kept(batch::Wanted::File(_)) => "/v1/files/file-x",
        Route::Kept(batch::Wanted::Content(_)) => "/v1/files/file-x/content",
        Route::Kept(batch::Wanted::Batches) => "/v1/batches",
        Route::Kept(batch::Wanted::Batch(_)) => "/v1/batches/batch_x",
        Route::Kept(batch::Wanted::Cancel(_)) => "/v1/batches/batch_x/cancel",
        Route::Health => "/healthz",
        Route::Ready => "/readyz",
        Route::Metrics => "/metrics",
        Route::Status => "/api/status",
        Route::Audit => "/api/ledger/verify",
    }

    #[test]
    fn what_is_for_operation_is_behind_its_own_door() {
        for (path, _) in table() {
            let route = find(path).expect("it is one");
            let is_operation = ["/api/", "/metrics", "/healthz", "/readyz"].iter().any(|begin| path.starts_with(begin));
            assert_eq!([Behind::Calls, Behind::Operation].map(|door| route.is_behind(door)), [!is_operation, is_operation], "{path}");
        }
    }

    #[test]
    fn every_route_is_in_the_table_with_what_it_wants() {
        for (at, who) in table() {
            let route = find(at).expect("it is one");
            let wants = match who.as_slice() {
                ["anyone"] => Wants::Nothing,
                ["read", "admin", "here"] => Wants::KeyOrHere(Scope::Read),
                ["read", "admin"] => Wants::Key(Scope::Read),
                ["inference", "admin", ..] => Wants::Key(Scope::Inference),
                _ => unreachable!("{at} is for {who:?}"),
            };
            assert_eq!((path(&route), route.wants()), (at, wants));
        }
        let missing: Vec<&&str> = PATHS.iter().filter(|path| !table().any(|(at, _)| at == **path)).collect();
        assert!(missing.is_empty(), "the table of the tests by HTTP lacks {missing:?}");
    }

    #[test]
    fn the_v1_may_be_left_out() {
        for (path, _) in table().filter(|(path, _)| path.starts_with("/v1")) {
            assert!(find(path.trim_start_matches("/v1")).is_some(), "{path}");
        }
    }
}
