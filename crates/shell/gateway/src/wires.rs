//! The connections to upstreams: each serving thread keeps its own for reuse, so that an answer wakes nobody else.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dispatch::Fault;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::http::uri::PathAndQuery;
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::Instant;
use tower_service::Service;

use crate::limits::{Limits, UPSTREAM_IDLE_MAX};
use crate::resolve::Resolver;
use crate::upstream::Upstream;

/// Connects to addresses that were checked.
type Connector = HttpConnector<Resolver>;

/// Connections that are looked at for one that is free, before a new one is made.
const LOOKS_MAX: usize = 64;
/// Connections that a serving thread keeps to one upstream; what is past it is closed when its answer ends.
const KEPT_MAX: usize = 1_024;

thread_local! {
    /// Which of the lanes this thread uses.
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// The connections to upstreams, kept for reuse. Redirects are never followed, and certificates are always checked.
pub(crate) struct Wires {
    plain: Connector,
    /// `None` while no upstream wants it: reading the machine's certificates takes time, and a laptop may have none.
    tls: Option<HttpsConnector<Connector>>,
    /// One for each serving thread: its lock is only ever taken by that thread.
    lanes: Vec<Mutex<Lane>>,
}

/// One thread's connections, by the places that they go to.
type Lane = HashMap<String, VecDeque<Kept>>;

/// A connection that is free, or will be when its answer has been read.
struct Kept {
    send: SendRequest<Full<Bytes>>,
    used: Instant,
}

impl Wires {
    /// Connections, with TLS when some upstream wants it.
    pub fn new(limits: &Limits, tls: bool) -> std::io::Result<Self> {
        let mut plain = HttpConnector::new_with_resolver(Resolver::of_machine());
        plain.set_nodelay(true);
        plain.set_connect_timeout(Some(limits.connect_timeout));
        let secured = |mut connector: Connector| {
            connector.enforce_http(false);
            let https = HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().wrap_connector(connector);
            Ok::<_, std::io::Error>(https)
        };
        let tls = tls.then(|| secured(plain.clone())).transpose()?;
        let lanes = std::iter::repeat_with(Mutex::default).take(limits.serving_threads.max(1)).collect();
        Ok(Self { plain, tls, lanes })
    }

    /// How many threads can serve.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// From now on this thread uses the connections of `lane`.
    pub fn enter(lane: usize) {
        LANE.set(lane);
    }

    /// Sends one request; what comes back is the head, with the body still on its way.
    pub async fn send(&self, upstream: &Upstream, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Fault> {
        let mut request = addressed(upstream, request);
        while let Some(mut kept) = self.free(&upstream.place) {
            match kept.try_send_request(request).await {
                Ok(response) => {
                    self.keep(&upstream.place, kept);
                    return Ok(response);
                }
                // It was closed before anything was sent: the next one, or a new one, takes the request.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Fault::Lost),
                },
            }
        }
        // To connect is rare and takes much to remember: that is not kept beside every request.
        let mut send = Box::pin(self.connect(upstream)).await?;
        let response = send.send_request(request).await.map_err(|_| Fault::Lost)?;
        self.keep(&upstream.place, send);
        Ok(response)
    }

    /// Closes what has not been used for long.
    pub fn tidy(&self) {
        self.lane().retain(|_, kept| {
            kept.retain(|kept| !kept.send.is_closed() && (!kept.send.is_ready() || kept.used.elapsed() < UPSTREAM_IDLE_MAX));
            !kept.is_empty()
        });
    }

    /// Closes all that this thread keeps.
    pub fn close(&self) {
        self.lane().clear();
    }

    /// A connection that waits for a request, if one of the first has done so not too long.
    fn free(&self, place: &str) -> Option<SendRequest<Full<Bytes>>> {
        let mut lane = self.lane();
        let kept = lane.get_mut(place)?;
        for _ in 0..kept.len().min(LOOKS_MAX) {
            let next = kept.pop_front()?;
            if next.send.is_closed() {
                continue;
            }
            if !next.send.is_ready() {
                kept.push_back(next);
            } else if next.used.elapsed() < UPSTREAM_IDLE_MAX {
                return Some(next.send);
            }
        }
        None
    }

    fn keep(&self, place: &str, send: SendRequest<Full<Bytes>>) {
        let (mut lane, new) = (self.lane(), Kept { send, used: Instant::now() });
        match lane.get_mut(place) {
            Some(kept) if kept.len() < KEPT_MAX => kept.push_back(new),
            Some(_) => {}
            None => _ = lane.insert(place.to_owned(), VecDeque::from([new])),
        }
    }

    async fn connect(&self, upstream: &Upstream) -> Result<SendRequest<Full<Bytes>>, Fault> {
        let uri = upstream.chat.clone();
        #[cfg(test)]
        if let Some(authority) = uri.authority()
            && let Some(wire) = crate::simulation::connect(authority).await
        {
            return shaken(wire.map_err(|_| Fault::Unreachable)?).await;
        }
        if upstream.is_tls() {
            let mut tls = self.tls.clone().ok_or(Fault::Unreachable)?;
            shaken(tls.call(uri).await.map_err(|_| Fault::Unreachable)?).await
        } else {
            let mut plain = self.plain.clone();
            shaken(plain.call(uri).await.map_err(|_| Fault::Unreachable)?).await
        }
    }

    /// No lane is held while anything waits, and nothing that can panic runs while it is: a poisoned one is still good.
    fn lane(&self) -> MutexGuard<'_, Lane> {
        let lane = LANE.get().min(self.lanes.len() - 1);
        self.lanes[lane].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection ready to be asked, with the task that moves its bytes.
async fn shaken(wire: impl Read + Write + Unpin + Send + 'static) -> Result<SendRequest<Full<Bytes>>, Fault> {
    let (send, connection) = http1::Builder::new().writev(false).handshake(wire).await.map_err(|_| Fault::Unreachable)?;
    tokio::spawn(async move {
        // How it ended shows in the request that it carried.
        _ = connection.await;
    });
    Ok(send)
}

/// A request as it is written to its upstream, all of whose URLs have one place: the path alone, with the host beside it.
fn addressed(upstream: &Upstream, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let path = std::mem::take(request.uri_mut()).into_parts().path_and_query;
    *request.uri_mut() = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    request.headers_mut().insert(HOST, upstream.host.clone());
    request
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use hyper::header::HeaderValue;
    use testkit::Upstream as Server;

    use super::*;

    fn wires() -> Wires {
        Wires::new(&Limits::default(), false).expect("no certificates are needed")
    }

    #[tokio::test]
    async fn small_requests_leave_at_once_to_upstreams() {
        let server = Server::start().await.expect("this machine has a free port");
        let uri = format!("http://{}/", server.address()).parse().expect("an address");
        let wire = wires().plain.call(uri).await.expect("it listens");
        assert!(wire.inner().nodelay().expect("an open socket"));
    }

    #[tokio::test]
    async fn a_connection_is_used_again_once_its_answer_was_read_and_closed_when_idle() {
        let (server, wires) = (Server::start().await.expect("this machine has a free port"), wires());
        let upstream = Upstream::moved_to(server.address(), None).expect("it is this machine");
        for _ in 0..3 {
            let mut request = Request::post(upstream.chat.clone()).body(Full::new(Bytes::from_static(b"{}"))).expect("a request");
            request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
            let answer = wires.send(&upstream, request).await.expect("it answers");
            answer.into_body().collect().await.expect("a whole body");
            // The connection is ready when its own task has seen the end.
            tokio::task::yield_now().await;
        }
        let kept = |wires: &Wires| wires.lane().values().map(VecDeque::len).sum::<usize>();
        assert_eq!(kept(&wires), 1);
        wires.tidy();
        assert_eq!(kept(&wires), 1, "it was used just now");
        wires.lane().values_mut().flatten().for_each(|kept| kept.used -= UPSTREAM_IDLE_MAX);
        wires.tidy();
        assert_eq!(kept(&wires), 0);
    }
}
