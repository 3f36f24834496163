//! Spans on their way to a collector: OTLP over HTTP or HTTPS, in JSON, from a bounded queue that no request waits for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
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
    /// It has more than an address in it, which may be a secret and is not shown.
    #[error("use the collector's address: it has a name, a password, a query or a fragment, and should look like http://127.0.0.1:4318")]
    Adorned,
    /// Only HTTP is spoken to a collector.
    #[error("send traces to {0:?}: only http:// and https:// are spoken to a collector")]
    Scheme(String),
    /// It wants TLS, and this machine's certificates can't be read.
    #[error("read this machine's TLS certificates")]
    Certificates(#[source] std::io::Error),
}

/// The address that spans go to, of a collector's base address.
pub(crate) fn address(base: &str) -> Result<Uri, ExportError> {
    if base.contains(['@', '?', '#']) {
        return Err(ExportError::Adorned);
    }
    let uri: Uri =
        format!("{}/v1/traces", base.trim_end_matches('/')).parse().map_err(|error| ExportError::Address(base.to_owned(), error))?;
    if matches!(uri.scheme_str(), Some("http" | "https")) { Ok(uri) } else { Err(ExportError::Scheme(base.to_owned())) }
}

/// Begins to send; ends with the gateway.
pub(crate) fn begin(state: &Arc<State>, to: Uri) -> Result<Spans, ExportError> {
    let (send, spans) = mpsc::channel(SPANS_MAX);
    // It holds the state weakly: a gateway that is gone has no more spans, and its queue closes.
    let (state, client) = (Arc::downgrade(state), Client::builder(TokioExecutor::new()));
    if to.scheme_str() == Some("https") {
        let tls = HttpsConnectorBuilder::new().with_native_roots().map_err(ExportError::Certificates)?;
        tokio::spawn(run(state, client.build(tls.https_only().enable_http1().build()), to, spans));
    } else {
        tokio::spawn(run(state, client.build_http(), to, spans));
    }
    Ok(send)
}

async fn run<C: Connect + Clone + Send + Sync + 'static>(
    state: Weak<State>,
    client: Client<C, Full<Bytes>>,
    to: Uri,
    mut spans: mpsc::Receiver<Value>,
) {
    let mut batch = Vec::new();
    while spans.recv_many(&mut batch, SPANS_AT_ONCE).await > 0 {
        let mut request = Request::new(Full::new(Bytes::from(trace::document(&batch).to_string())));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = to.clone();
        request.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        let sent = tokio::time::timeout(SPANS_TIMEOUT, client.request(request)).await;
        let all = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        // What is lost is not tried again: a collector that is down must not make the queue long.
        let lost = match sent {
            Ok(Ok(response)) if response.status().is_success() => rejected(response.into_body()).await.min(all),
            _ => all,
        };
        if let Some(state) = state.upgrade().filter(|_| lost > 0) {
            state.lost_spans.fetch_add(lost, Ordering::Relaxed);
        }
        if lost == all {
            tokio::time::sleep(AFTER_FAILURE).await;
        }
        batch.clear();
    }
}

/// How many spans a collector says that it took not, of those that it was sent.
async fn rejected(body: Incoming) -> u64 {
    let read = tokio::time::timeout(SPANS_TIMEOUT, Limited::new(body, ANSWER_MAX).collect()).await;
    let Ok(Ok(body)) = read else { return 0 };
    let said: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    // A number of 64 bits is a text in the JSON of Protocol Buffers; some write a number all the same.
    let rejected = &said["partialSuccess"]["rejectedSpans"];
    rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0)
}

/// The longest answer of a collector that is looked at.
const ANSWER_MAX: usize = 64 << 10;

/// How long a collector that failed is left alone, while the queue fills and then drops.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_collector_is_named_by_its_address_alone() {
        for (base, want) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector.lab:4318/", "http://collector.lab:4318/v1/traces"),
            ("https://collector.example/otlp", "https://collector.example/otlp/v1/traces"),
        ] {
            assert_eq!(address(base).expect("an address").to_string(), want);
        }
        for base in ["ftp://collector", "collector:4318", "", "http://a b"] {
            assert!(address(base).is_err(), "{base}");
        }
    }

    #[test]
    fn no_secret_of_a_collectors_address_is_shown() {
        for base in [
            "https://user:canary@collector",
            "http://canary@collector:4318",
            "user:canary@collector",
            "http://us er:canary@collector",
            "ftp://user:canary@collector",
            "http://collector/?token=canary",
            "http://collector/#canary",
        ] {
            let error = address(base).expect_err("it is refused");
            let said = format!("{error} {error:?} {:?}", error.source());
            assert!(said.contains("http://127.0.0.1:4318") && !said.contains("canary"), "{said}");
        }
    }
}
