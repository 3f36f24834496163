//! The connections to upstreams: each serving thread keeps its own for reuse, so that an answer wakes nobody else.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use dispatch::Fault;
use hyper::header::HOST;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tower_service::Service;

use crate::call::Missed;
use crate::cork::{Corked, Leads};
use crate::envelope::Refused;
use crate::flight::Sent;
use crate::limits::{Limits, UPSTREAM_IDLE_MAX};
use crate::parted::Parted;
use crate::resolve::Resolver;
use crate::upstream::Upstream;
use crate::wire::{Coming, Wire};

/// Connects to addresses that were checked; what is sent leaves corked.
#[derive(Clone)]
struct Connector(HttpConnector<Resolver>);

impl Service<Uri> for Connector {
    type Response = TokioIo<Corked>;
    type Error = <HttpConnector<Resolver> as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, place: Uri) -> Self::Future {
        let connects = self.0.call(place);
        Box::pin(async { Ok(TokioIo::new(Corked::new(connects.await?.into_inner(), Leads::On))) })
    }
}

impl Connection for Corked {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Connections that a serving thread keeps to one upstream; what is past it is closed when its answer ends.
const KEPT_MAX: usize = 1_024;

thread_local! {
    /// Which of the lanes this thread uses; the last where it serves none: its connections end with another event loop.
    static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The connections to upstreams, kept for reuse. Redirects are never followed, and certificates are always checked.
pub(crate) struct Wires {
    plain: Connector,
    /// `None` while no upstream wants it: reading the machine's certificates takes time, and a laptop may have none.
    tls: Option<HttpsConnector<Connector>>,
    lanes: Arc<Lanes>,
    /// For a connection to be made.
    patience: Duration,
}

/// The connections that wait for a request, one lane for each serving thread, whose lock is only ever taken by that thread, and one for all
/// others.
pub(crate) struct Lanes(Vec<Mutex<Lane>>);

/// One thread's connections, by the places that they go to; the last used at the back. Sorted, so that a simulated process that dies closes
/// them in the same order each time.
type Lane = BTreeMap<Arc<str>, VecDeque<Wire>>;

impl Lanes {
    /// Keeps a connection for the next request to that place.
    pub fn keep(&self, place: &Arc<str>, wire: Wire) {
        let mut lane = self.own();
        match lane.get_mut(place) {
            Some(kept) if kept.len() < KEPT_MAX => kept.push_back(wire),
            Some(_) => {}
            None => _ = lane.insert(Arc::clone(place), VecDeque::from([wire])),
        }
    }

    /// No lane is held while anything waits, and nothing that can panic runs while it is: a poisoned one is still good.
    fn own(&self) -> MutexGuard<'_, Lane> {
        let lane = LANE.get().min(self.0.len() - 1);
        self.0[lane].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wires {
    /// Connections, with TLS when some upstream wants it.
    pub fn new(limits: &Limits, tls: bool) -> std::io::Result<Self> {
        let mut plain = Connector(HttpConnector::new_with_resolver(Resolver::of_machine()));
        plain.0.set_nodelay(true);
        plain.0.set_connect_timeout(Some(limits.connect_timeout));
        let secured = |mut connector: Connector| {
            connector.0.enforce_http(false);
            let https = HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().wrap_connector(connector);
            Ok::<_, std::io::Error>(https)
        };
        let tls = tls.then(|| secured(plain.clone())).transpose()?;
        let lanes = std::iter::repeat_with(Mutex::default).take(limits.serving_threads.max(1) + 1).collect();
        Ok(Self { plain, tls, lanes: Arc::new(Lanes(lanes)), patience: limits.connect_timeout })
    }

    /// How many threads can serve.
    pub fn lanes(&self) -> usize {
        self.lanes.0.len() - 1
    }

    /// From now on this thread uses the connections of `lane`.
    pub fn enter(lane: usize) {
        LANE.set(lane);
    }

    /// Sends one request, and marks that it does; what comes back is the head, with the body still on its way.
    pub async fn send(&self, upstream: &Upstream, request: Request<Parted>, sent: (&Sent, u32)) -> Result<Response<Coming>, Missed> {
        let (sent, output_max) = sent;
        let mut request = addressed(upstream, request);
        let coming = |wire, response: Response<_>| response.map(|body| Coming::new(body, wire, &self.lanes, &upstream.place));
        while let Some(mut wire) = self.free(&upstream.place) {
            sent.mark(output_max);
            match wire.ask(request).await {
                Ok(response) => return Ok(coming(wire, response)),
                // It was closed before anything was sent: the next one, or a new one, takes the request.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => {
                        sent.clear();
                        request = unsent;
                    }
                    None => return Err(Fault::Lost.into()),
                },
            }
        }
        // To connect is rare and takes much to remember: that is not kept beside every request.
        let mut wire = Box::pin(self.connect(upstream)).await?;
        sent.mark(output_max);
        let response = wire.ask(request).await.map_err(|_| Fault::Lost)?;
        Ok(coming(wire, response))
    }

    /// Closes what has not been used for long, or was closed by its upstream.
    pub fn tidy(&self) {
        self.lanes.own().retain(|_, kept| {
            kept.retain_mut(|wire| wire.used.elapsed() < UPSTREAM_IDLE_MAX && wire.is_free());
            !kept.is_empty()
        });
    }

    /// Closes all that this thread keeps.
    pub fn close(&self) {
        self.lanes.own().clear();
    }

    /// The connection that was used last, if that was not too long ago.
    fn free(&self, place: &str) -> Option<Wire> {
        self.lanes.own().get_mut(place)?.pop_back().filter(|wire| wire.used.elapsed() < UPSTREAM_IDLE_MAX)
    }

    async fn connect(&self, upstream: &Upstream) -> Result<Wire, Missed> {
        match self.reach_in_time(upstream).await {
            Ok(wire) => return Ok(wire),
            Err(error) if !is_of_this_machine(error.as_ref()) => return Err(Fault::Unreachable.into()),
            // What is kept for later takes the place of what is wanted now.
            Err(_) => self.close(),
        }
        self.reach_in_time(upstream).await.map_err(|error| match is_of_this_machine(error.as_ref()) {
            true => Missed::Here { fault: Fault::Client, refused: Refused::overloaded() },
            false => Fault::Unreachable.into(),
        })
    }

    /// A connection, its name looked up and its handshake done. One that hangs at that has heard nothing of the request.
    async fn reach_in_time(&self, upstream: &Upstream) -> Result<Wire, BoxError> {
        tokio::time::timeout(self.patience, self.reach(upstream)).await?
    }

    async fn reach(&self, upstream: &Upstream) -> Result<Wire, BoxError> {
        let uri = upstream.chat.clone();
        #[cfg(test)]
        if let Some(authority) = uri.authority()
            && let Some(wire) = crate::simulation::connect(authority).await
        {
            return Ok(Wire::new(wire?).await?);
        }
        if upstream.is_tls() {
            let mut tls = self.tls.clone().ok_or("no upstream wanted TLS")?;
            Ok(Wire::new(tls.call(uri).await?).await?)
        } else {
            let mut plain = self.plain.clone();
            Ok(Wire::new(plain.call(uri).await?).await?)
        }
    }
}

/// Why a connection was not made.
type BoxError = Box<dyn Error + Send + Sync>;

/// Whether this machine is out of files, ports or memory, which is no upstream's fault.
fn is_of_this_machine(error: &(dyn Error + 'static)) -> bool {
    let own = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    let errno = error.downcast_ref().and_then(Errno::from_io_error);
    errno.is_some_and(|errno| own.contains(&errno)) || error.source().is_some_and(is_of_this_machine)
}

/// A request as it is written to its upstream, all of whose URLs have one place: the path alone, with the host beside it.
fn addressed(upstream: &Upstream, mut request: Request<Parted>) -> Request<Parted> {
    let path = std::mem::take(request.uri_mut()).into_parts().path_and_query;
    *request.uri_mut() = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    request.headers_mut().insert(HOST, upstream.host.clone());
    request
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use hyper::header::HeaderValue;
    use testkit::Upstream as Server;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn wires() -> Wires {
        Wires::new(&Limits::default(), false).expect("no certificates are needed")
    }

    #[tokio::test]
    async fn small_requests_leave_at_once_to_upstreams() {
        let server = Server::start().await.expect("this machine has a free port");
        let uri = format!("http://{}/", server.address()).parse().expect("an address");
        let wire = wires().plain.call(uri).await.expect("it listens");
        assert!(wire.inner().nodelay());
    }

    #[tokio::test]
    async fn a_connection_is_used_again_once_its_answer_was_read_and_closed_when_idle() {
        let (server, wires) = (Server::start().await.expect("this machine has a free port"), wires());
        let upstream = Upstream::moved_to(server.address(), None).expect("it is this machine");
        for _ in 0..3 {
            let mut request = Request::post(upstream.chat.clone()).body(Bytes::from_static(b"{}").into()).expect("a request");
            request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
            let answer = wires.send(&upstream, request, (&Sent::default(), 1)).await.expect("it answers");
            answer.into_body().collect().await.expect("a whole body");
        }
        let kept = |wires: &Wires| wires.lanes.own().values().map(VecDeque::len).sum::<usize>();
        assert_eq!(kept(&wires), 1);
        wires.tidy();
        assert_eq!(kept(&wires), 1, "it was used just now");
        wires.lanes.own().values_mut().flatten().for_each(|wire| wire.used -= UPSTREAM_IDLE_MAX);
        wires.tidy();
        assert_eq!(kept(&wires), 0);
    }

    #[tokio::test]
    async fn a_handshake_that_hangs_has_reached_nobody() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("this machine has a free port");
        let address = listener.local_addr().expect("it is bound");
        let limits = Limits { connect_timeout: Duration::from_millis(200), ..Limits::default() };
        let mut wires = Wires::new(&limits, false).expect("no certificates are needed");
        let nobody = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let nobody = nobody.with_safe_default_protocol_versions().expect("ring has them");
        let nobody = nobody.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let mut connector = wires.plain.clone();
        connector.0.enforce_http(false);
        wires.tls = Some(HttpsConnectorBuilder::new().with_tls_config(nobody).https_only().enable_http1().wrap_connector(connector));
        let mut upstream = Upstream::moved_to(address, None).expect("it is this machine");
        upstream.chat = format!("https://{address}/v1/chat/completions").parse().expect("an address");
        // The kernel takes the connection, and nobody says anything on it.
        assert_eq!(fault(wires.send(&upstream, asked(&upstream), (&Sent::default(), 1)).await), Some(Fault::Unreachable));
        drop(listener);
    }

    #[tokio::test]
    async fn a_thread_that_serves_nobody_takes_no_connection_of_one_that_does() {
        let (server, wires) = (Server::start().await.expect("this machine has a free port"), wires());
        let upstream = Upstream::moved_to(server.address(), None).expect("it is this machine");
        let answer = wires.send(&upstream, asked(&upstream), (&Sent::default(), 1)).await.expect("it answers");
        answer.into_body().collect().await.expect("a whole body");
        assert!(
            wires.free(&upstream.place).is_some_and(|wire| {
                wires.lanes.keep(&upstream.place, wire);
                true
            }),
            "it is kept"
        );
        for lane in 0..wires.lanes() {
            Wires::enter(lane);
            assert!(wires.free(&upstream.place).is_none(), "but not for {lane}");
        }
    }

    /// An upstream that answers one request on one connection with these bytes, then closes it once it is told to.
    async fn answering(text: &'static str) -> (Upstream, tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<usize>) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("this machine has a free port");
        let upstream = Upstream::moved_to(listener.local_addr().expect("it is bound"), None).expect("it is this machine");
        let (close, told) = tokio::sync::oneshot::channel();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut asked = vec![0; 4_096];
            _ = stream.read(&mut asked).await.expect("a request");
            stream.write_all(text.as_bytes()).await.expect("it listens");
            tokio::select! {
                _ = told => 0,
                // What comes next: more, or the end.
                more = stream.read(&mut asked) => more.unwrap_or(0) + 1,
            }
        });
        (upstream, close, served)
    }

    fn asked(upstream: &Upstream) -> Request<Parted> {
        Request::post(upstream.chat.clone()).body(Bytes::from_static(b"{}").into()).expect("a request")
    }

    fn fault<T>(sent: Result<T, Missed>) -> Option<Fault> {
        sent.err().map(|missed| missed.fault())
    }

    #[test]
    fn what_this_machine_lacks_is_no_upstreams_fault() {
        #[derive(Debug, thiserror::Error)]
        #[error("connect")]
        struct Connect(#[source] std::io::Error);
        for (code, own) in [(Errno::MFILE, true), (Errno::ADDRNOTAVAIL, true), (Errno::CONNREFUSED, false), (Errno::HOSTUNREACH, false)] {
            assert_eq!(is_of_this_machine(&Connect(code.into())), own, "{code}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_its_upstream_closed_is_let_go_of() {
        let (wires, (upstream, close, served)) = (wires(), answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await);
        let answer = wires.send(&upstream, asked(&upstream), (&Sent::default(), 1)).await.expect("it answers");
        assert_eq!(answer.into_body().collect().await.expect("a whole body").to_bytes(), "{}");
        let kept = || wires.lanes.own().values().map(VecDeque::len).sum::<usize>();
        wires.tidy();
        assert_eq!(kept(), 1);
        close.send(()).expect("it waits");
        assert_eq!(served.await.expect("it ends"), 0);
        while kept() > 0 {
            // The news travels with the next turn of the event loop.
            tokio::task::yield_now().await;
            wires.tidy();
        }
        assert_eq!(
            fault(wires.send(&upstream, asked(&upstream), (&Sent::default(), 1)).await),
            Some(Fault::Unreachable),
            "nobody listens any more"
        );
    }

    #[tokio::test]
    async fn a_request_on_a_connection_that_was_just_closed_does_not_wait() {
        let (wires, (upstream, close, served)) = (wires(), answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await);
        let answer = wires.send(&upstream, asked(&upstream), (&Sent::default(), 1)).await.expect("it answers");
        answer.into_body().collect().await.expect("a whole body");
        close.send(()).expect("it waits");
        served.await.expect("it ends");
        // It is still among those kept: nobody has looked.
        assert_eq!(wires.lanes.own().values().map(VecDeque::len).sum::<usize>(), 1);
        tokio::task::yield_now().await;
        let again =
            tokio::time::timeout(std::time::Duration::from_secs(20), wires.send(&upstream, asked(&upstream), (&Sent::default(), 1))).await;
        assert!(again.expect("it does not wait for what can't come").is_err());
    }

    #[tokio::test]
    async fn an_answer_left_before_its_end_closes_its_connection() {
        let (wires, (upstream, _close, served)) = (wires(), answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await);
        let mut answer = wires.send(&upstream, asked(&upstream), (&Sent::default(), 1)).await.expect("it answers");
        answer.body_mut().frame().await.expect("a piece").expect("of the body");
        drop(answer);
        assert_eq!(served.await.expect("it ends"), 1, "the upstream sees the end, and nothing before it");
        assert!(wires.lanes.own().values().all(VecDeque::is_empty));
    }
}
