//! A small HTTP client for this machine: health checks, the demo's traffic, `baseload status`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The most bytes of an answer that is read whole.
const BODY_MAX: usize = 16 << 20;

/// Cheap to clone; connections are kept and shared.
#[derive(Clone)]
pub struct Client(Pooled<HttpConnector, Full<Bytes>>);

impl Client {
    /// A client.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(2)));
        connector.set_nodelay(true);
        Self(Pooled::builder(TokioExecutor::new()).build(connector))
    }

    /// What stands at a path.
    pub async fn get(&self, at: SocketAddr, path: &str) -> Result<(StatusCode, Bytes)> {
        self.get_with(at, path, None).await
    }

    /// What stands at a path, for who has a key.
    pub async fn get_with(&self, at: SocketAddr, path: &str, key: Option<&str>) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::get(format!("http://{at}{path}"));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(Full::default())?;
        let answer = self.0.request(request).await.with_context(|| format!("reach {at}"))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), BODY_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error)).with_context(|| format!("read the answer of {at}"))?;
        Ok((status, body.to_bytes()))
    }

    /// Asks `path` with a JSON body under a key; the answer's body is the caller's to read.
    pub async fn post(&self, at: SocketAddr, path: &str, key: &str, body: String) -> Result<Response<Incoming>> {
        let request = Request::post(format!("http://{at}{path}"))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {key}"))
            .body(Full::from(body))?;
        self.0.request(request).await.with_context(|| format!("reach {at}"))
    }

    /// Whether `/healthz` answers with success.
    pub async fn healthy(&self, at: SocketAddr) -> Result<()> {
        let (status, _) = self.get(at, "/healthz").await?;
        ensure!(status.is_success(), "it answers {status}");
        Ok(())
    }
}
