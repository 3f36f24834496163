//! Connections in: accepts, routes, and gives every answer its head.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::body::Answer;
use crate::envelope::Refused;
use crate::limits::{HEADER_BYTES_MAX, HEADERS_MAX};
use crate::peek::Call;
use crate::request::{self, Served};
use crate::state::{self, State};
use crate::{audit, metrics, models, status};

/// Serves until `shutdown`, then lets requests under way end, for as long as the limits allow.
pub(crate) async fn serve(state: Arc<State>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(state.limits.connections_max));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            // Ended ones are let go of as they end.
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: let some connections end first.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        let connection = graceful.watch(connection(&state, stream, peer));
        connections.spawn(async move {
            let _place = place;
            // A connection that breaks is its client's affair; the requests on it were settled when they were dropped.
            _ = connection.await;
        });
    }
    drop(listener);
    // What is still under way after that is dropped, and so settled, before the meter reads for the last time.
    _ = tokio::time::timeout(state.limits.drain_timeout, graceful.shutdown()).await;
    connections.shutdown().await;
}

fn connection(
    state: &Arc<State>,
    stream: TcpStream,
    peer: SocketAddr,
) -> impl GracefulConnection<Error = hyper::Error, Output = hyper::Result<()>> + use<> {
    // Without it, small events wait for the other side's delayed acknowledgement.
    _ = stream.set_nodelay(true);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(state.limits.header_timeout);
    builder.max_buf_size(HEADER_BYTES_MAX).max_headers(HEADERS_MAX);
    let state = Arc::clone(state);
    builder.serve_connection(TokioIo::new(stream), service_fn(move |request| answer(Arc::clone(&state), peer, request)))
}

async fn answer(state: Arc<State>, peer: SocketAddr, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    let began = state.clock.now();
    let Some(id) = state::draw_id() else { return Ok(refuse(&state, Refused::overloaded())) };
    let chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let served = Box::pin(route(&state, peer, id, request)).await;
    let mut response = match served {
        Ok(served) => respond(served),
        Err(refused) => refuse(&state, refused),
    };
    let head = response.headers_mut();
    if chunked {
        // The parser drops a content-length that came beside the chunks, so a head with both can't be told from a good
        // one: no second request is read from such a connection, and there is nothing to smuggle.
        head.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    put(head, "x-request-id", &id.to_string());
    put(head, "openai-processing-ms", &state.clock.now().since(began).as_millis().to_string());
    Ok(response)
}

/// What a path means, with or without the `/v1` that some clients leave out.
enum Route<'a> {
    Inference(Call),
    Models,
    Model(&'a str),
    Health,
    Ready,
    Metrics,
    Status,
    Audit,
}

fn find(path: &str) -> Option<Route<'_>> {
    let bare = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    match bare {
        "/chat/completions" => Some(Route::Inference(Call::Chat)),
        "/completions" => Some(Route::Inference(Call::Completions)),
        "/models" => Some(Route::Models),
        _ if bare.starts_with("/models/") => bare.strip_prefix("/models/").filter(|name| !name.is_empty()).map(Route::Model),
        _ => match path {
            "/healthz" => Some(Route::Health),
            "/readyz" => Some(Route::Ready),
            "/metrics" => Some(Route::Metrics),
            "/api/status" => Some(Route::Status),
            "/api/ledger/verify" => Some(Route::Audit),
            _ => None,
        },
    }
}

async fn route(state: &Arc<State>, peer: SocketAddr, id: dispatch::RequestId, request: Request<Incoming>) -> Result<Served, Refused> {
    let path = request.uri().path().to_owned();
    let route = find(&path).ok_or_else(|| Refused::unknown_url(request.method().as_str(), &path))?;
    let wanted = if matches!(route, Route::Inference(_)) { Method::POST } else { Method::GET };
    if *request.method() != wanted {
        return Err(Refused::wrong_method(wanted.as_str()));
    }
    match route {
        Route::Inference(call) => request::serve(Arc::clone(state), call, id, request).await,
        Route::Models => models::list(state, request.headers()).map(json),
        Route::Model(name) => models::one(state, request.headers(), &decoded(name)).map(json),
        Route::Health => Ok(text("ok\n")),
        Route::Ready if status::is_ready(state) => Ok(text("ready\n")),
        Route::Ready => Err(Refused::no_capacity("No endpoint has a price and an address yet.", std::time::Duration::from_secs(1))),
        Route::Metrics => insider(state, peer, request.headers()).map(|()| text(metrics::render(state))),
        Route::Status => insider(state, peer, request.headers()).map(|()| json(status::render(state))),
        Route::Audit => {
            insider(state, peer, request.headers())?;
            audit::serve(state).await.map(json)
        }
    }
}

/// What we tell of ourselves goes to whoever has a key, and without one to this machine: but not to a web page there that
/// had its own name resolved to this machine.
fn insider(state: &State, peer: SocketAddr, head: &HeaderMap) -> Result<(), Refused> {
    let known = || state.snapshot.load().keys.check(head, state.clock.now()).is_some();
    let host = head.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let local = peer.ip().is_loopback() && (name == "localhost" || name.parse::<std::net::IpAddr>().is_ok());
    if local || known() { Ok(()) } else { Err(Refused::bad_key()) }
}

/// A path's part with its percent-escapes read: clients escape the slash in a model's name. What is no escape stays.
fn decoded(part: &str) -> String {
    let hex = |digits: Option<&[u8]>| u8::from_str_radix(std::str::from_utf8(digits?).ok()?, 16).ok();
    let (bytes, mut out, mut at) = (part.as_bytes(), Vec::with_capacity(part.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = if *byte == b'%' { hex(bytes.get(at + 1..at + 3)) } else { None };
        out.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn json(body: Vec<u8>) -> Served {
    Served { status: StatusCode::OK, body: Answer::from(Bytes::from(body)), kind: "application/json", source: None }
}

fn text(body: impl Into<Bytes>) -> Served {
    Served { status: StatusCode::OK, body: Answer::from(body.into()), kind: "text/plain; charset=utf-8", source: None }
}

fn respond(served: Served) -> Response<Answer> {
    let mut response = Response::new(served.body);
    *response.status_mut() = served.status;
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static(served.kind));
    if served.kind.starts_with("text/event-stream") {
        head.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    if let Some(source) = served.source {
        put(head, "x-baseload-endpoint", &source.endpoint);
        put(head, "x-baseload-contract", &source.contract);
        put(head, "x-baseload-marginal-price", &source.marginal_price);
    }
    response
}

fn refuse(state: &State, refused: Refused) -> Response<Answer> {
    state.refused.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Answer::from(refused.body()));
    *response.status_mut() = refused.status;
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if refused.status == StatusCode::METHOD_NOT_ALLOWED {
        head.insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    if let Some(wait) = refused.retry_after {
        put(head, "retry-after-ms", &wait.as_millis().to_string());
        put(head, RETRY_AFTER.as_str(), &wait.as_millis().div_ceil(1_000).max(1).to_string());
    }
    response
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

    #[test]
    fn escapes_in_a_models_name_are_read() {
        for (part, want) in
            [("a%2Fb%2fc", "a/b/c"), ("a/b", "a/b"), ("100%", "100%"), ("%zz%2", "%zz%2"), ("%C3%A9", "\u{e9}"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(decoded(part), want, "{part}");
        }
    }
}
