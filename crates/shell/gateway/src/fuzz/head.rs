//! Raw bytes of a connection, through the guard and the parser: what they make of it, beside a reader of our own that takes nothing but what
//! is written down plainly.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

use crate::guard::Guarded;
use crate::limits::{HEADER_BYTES_MAX, HEADERS_MAX};

/// As much as the parser reads at once.
const BYTES_MAX: usize = 4_096;
/// More turns than it takes to read and answer that.
const TURNS: usize = 16;

/// A request as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    method: String,
    target: String,
    body: Vec<u8>,
}

/// One in, at most one out; and it is the one that a plain reader sees, however its head was cut.
///
/// The first two bytes say where it is cut.
pub fn head(bytes: &[u8]) {
    let Some(([high, low], text)) = bytes.split_first_chunk() else { return };
    let text = &text[..text.len().min(BYTES_MAX)];
    let whole = serve([text, b""]);
    assert!(whole.len() <= 1, "one in, {} out", whole.len());
    match plainly(text) {
        Plain::Request(plain) => assert!(whole.first().is_none_or(|read| *read == plain), "{whole:?} is not {plain:?}"),
        Plain::Ambiguous => assert!(whole.is_empty(), "what can be read in two ways is served: {whole:?}"),
        Plain::Other => {}
    }
    let end = memchr::memmem::find(text, b"\r\n\r\n").map_or(text.len(), |end| end + 4);
    let cut = usize::from(u16::from_be_bytes([*high, *low])) % (end + 1);
    let pieces = serve([&text[..cut], &text[cut..]]);
    assert_eq!(pieces.first(), whole.first(), "a head cut at {cut} says the same: {:?}", String::from_utf8_lossy(text));
}

/// What is served of bytes that come in these pieces.
fn serve(pieces: [&[u8]; 2]) -> Vec<Read> {
    let served = Arc::new(Mutex::new(Vec::new()));
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let (stream, watch) = Guarded::new(server, std::time::Duration::from_secs(3600));
    let seen = Arc::clone(&served);
    let service = service_fn(move |request: Request<Incoming>| {
        let is_plain = watch.begin(request.body());
        let closes = request.headers().contains_key(TRANSFER_ENCODING) || request.headers().contains_key(UPGRADE);
        let (watch, seen) = (Arc::clone(&watch), Arc::clone(&seen));
        async move {
            let (method, target) = (request.method().to_string(), request.uri().to_string());
            // As in a request's life: the body is read, and only then anything happens.
            if is_plain && let Ok(body) = request.into_body().collect().await {
                let read = Read { method, target, body: body.to_bytes().to_vec() };
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(read);
            }
            let mut response = Response::new(Empty::<Bytes>::new());
            if closes || watch.is_spoilt() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.max_buf_size(HEADER_BYTES_MAX).max_headers(HEADERS_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let asking = async {
                for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                    // A connection that the server has closed takes nothing more.
                    _ = client.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
                // A client that leaves while its request is read may be given up on: this one stays until all is answered.
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
                _ = client.shutdown().await;
                _ = client.read_to_end(&mut Vec::new()).await;
            };
            // That it was no request is fine.
            _ = tokio::join!(connection, asking);
        });
    });
    let served = served.lock().unwrap_or_else(PoisonError::into_inner);
    served.clone()
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a thread can have a runtime");
}

/// What a reader makes of it that takes nothing but what is plain.
enum Plain {
    Request(Read),
    /// Framed in two ways.
    Ambiguous,
    /// What only the parser has an opinion on.
    Other,
}

fn plainly(text: &[u8]) -> Plain {
    let Some(end) = memchr::memmem::find(text, b"\r\n\r\n") else { return Plain::Other };
    let Ok(head) = std::str::from_utf8(&text[..end]) else { return Plain::Other };
    let mut lines = head.split("\r\n");
    let [method, target, version] = lines.next().unwrap_or_default().split(' ').collect::<Vec<_>>()[..] else { return Plain::Other };
    if version != "HTTP/1.1" || method.is_empty() || !target.starts_with('/') || target.contains('#') {
        return Plain::Other;
    }
    let mut framing = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return Plain::Other };
        if line.contains(['\r', '\n', '\0']) {
            return Plain::Other;
        }
        let name = name.to_ascii_lowercase();
        if name.starts_with([' ', '\t']) || matches!(name.trim_end(), "content-length" | "transfer-encoding") && name != name.trim_end() {
            return Plain::Ambiguous;
        }
        if name == "content-length" || name == "transfer-encoding" {
            framing.push((name, value.trim()));
        }
    }
    let length = match framing.as_slice() {
        [] => 0,
        [(name, value)] if name == "content-length" && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
            value.parse().unwrap_or(usize::MAX)
        }
        [_] => return Plain::Other,
        _ => return Plain::Ambiguous,
    };
    match text.get(end + 4..(end + 4).saturating_add(length)) {
        Some(body) => Plain::Request(Read { method: method.to_owned(), target: target.to_owned(), body: body.to_vec() }),
        // Cut short: it must not be served at all.
        None => Plain::Ambiguous,
    }
}
