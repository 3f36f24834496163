//! Spans on their way to a collector: OTLP over HTTP, in JSON, from a bounded queue that no request waits for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::limits::{SPANS_AT_ONCE, SPANS_MAX, SPANS_TIMEOUT};
use crate::state::State;
use crate::trace;

/// Takes the spans of a gateway.
pub(crate) type Spans = mpsc::Sender<Value>;

/// Why spans can't be sent there.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is no address.
    #[error("read the collector's address {0:?}")]
    Address(String, #[source] hyper::http::uri::InvalidUri),
    /// Only `http://` is spoken to a collector.
    #[error("send traces to {0:?}: only http:// is spoken to a collector")]
    Scheme(String),
}

/// The address that spans go to, of a collector's base address.
pub(crate) fn address(base: &str) -> Result<Uri, ExportError> {
    let uri: Uri =
        format!("{}/v1/traces", base.trim_end_matches('/')).parse().map_err(|error| ExportError::Address(base.to_owned(), error))?;
    if uri.scheme_str() == Some("http") { Ok(uri) } else { Err(ExportError::Scheme(base.to_owned())) }
}

/// Begins to send; ends with the gateway.
pub(crate) fn begin(state: &Arc<State>, to: Uri) -> Spans {
    let (send, spans) = mpsc::channel(SPANS_MAX);
    // It holds the state weakly: a gateway that is gone has no more spans, and its queue closes.
    tokio::spawn(run(Arc::downgrade(state), to, spans));
    send
}

async fn run(state: std::sync::Weak<State>, to: Uri, mut spans: mpsc::Receiver<Value>) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut batch = Vec::new();
    while spans.recv_many(&mut batch, SPANS_AT_ONCE).await > 0 {
        let mut request = Request::new(Full::new(Bytes::from(trace::document(&batch).to_string())));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = to.clone();
        request.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        let sent = tokio::time::timeout(SPANS_TIMEOUT, client.request(request)).await;
        let taken = matches!(&sent, Ok(Ok(response)) if response.status().is_success());
        if !taken {
            // Not tried again: a collector that is down must not make the queue long.
            let lost = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            if let Some(state) = state.upgrade() {
                state.lost_spans.fetch_add(lost, Ordering::Relaxed);
            }
            tokio::time::sleep(AFTER_FAILURE).await;
        }
        batch.clear();
    }
}

/// How long a collector that failed is left alone, while the queue fills and then drops.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
