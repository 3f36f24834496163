//! The connections to upstreams.

use bytes::Bytes;
use dispatch::Fault;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::limits::{Limits, UPSTREAM_IDLE_MAX};
use crate::resolve::Resolver;
use crate::upstream::Upstream;

/// Connects to addresses that were checked.
type Connector = HttpConnector<Resolver>;

/// The connections to upstreams, kept for reuse. Redirects are never followed, and certificates are always checked.
pub(crate) struct Wires {
    plain: Client<Connector, Full<Bytes>>,
    /// `None` while no upstream wants it: reading the machine's certificates takes time, and a laptop may have none.
    tls: Option<Client<HttpsConnector<Connector>, Full<Bytes>>>,
}

impl Wires {
    /// Connections, with TLS when some upstream wants it.
    pub fn new(limits: &Limits, tls: bool) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new_with_resolver(Resolver::of_machine());
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limits.connect_timeout));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(UPSTREAM_IDLE_MAX).pool_max_idle_per_host(1_024);
        let secured = |mut connector: Connector| {
            connector.enforce_http(false);
            let https = HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().wrap_connector(connector);
            Ok::<_, std::io::Error>(builder.build(https))
        };
        let tls = tls.then(|| secured(connector.clone())).transpose()?;
        Ok(Self { plain: builder.build(connector), tls })
    }

    /// Sends one request; what comes back is the head, with the body still on its way.
    pub async fn send(&self, upstream: &Upstream, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Fault> {
        let sent = match (&self.tls, upstream.is_tls()) {
            (Some(tls), true) => tls.request(request).await,
            (_, false) => self.plain.request(request).await,
            (None, true) => return Err(Fault::Unreachable),
        };
        sent.map_err(|error| if error.is_connect() { Fault::Unreachable } else { Fault::Lost })
    }
}
