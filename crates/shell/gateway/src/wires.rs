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
use crate::upstream::Upstream;

/// The connections to upstreams, kept for reuse. Redirects are never followed.
pub(crate) struct Wires {
    plain: Client<HttpConnector, Full<Bytes>>,
    /// `None` while no upstream wants it: reading the machine's certificates takes time, and a laptop may have none.
    tls: Option<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>,
}

impl Wires {
    /// Connections, with TLS when some upstream wants it.
    pub fn new(limits: &Limits, tls: bool) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limits.connect_timeout));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(UPSTREAM_IDLE_MAX).pool_max_idle_per_host(1_024);
        let secured = |mut connector: HttpConnector| {
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
