//! Who is answered: programs on this machine, and no web page that a browser on it shows. There is no key here, so a page must not even
//! have work done whose answer it can't read.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;

/// Lets a request through to its route, or not; `port` is where we listen.
pub async fn guard(State(port): State<u16>, request: Request, next: Next) -> Result<Response, ApiError> {
    admit(port, request.method(), request.headers())?;
    Ok(next.run(request).await)
}

fn admit(port: u16, method: &Method, head: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = head.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    // A page that had its own name resolved to this machine still says its own name.
    if !hosts.next().is_some_and(|host| is_here(port, host)) || hosts.next().is_some() {
        return Err(ApiError::forbidden(format!("the host must be localhost or a loopback address with the port {port}")));
    }
    if head.contains_key(ORIGIN) {
        return Err(ApiError::forbidden("web pages are not answered: an `origin` is stated"));
    }
    // Of any other kind a page could send it without asking first.
    if method == Method::POST && !head.get(CONTENT_TYPE).is_some_and(|kind| is_json(kind.as_bytes())) {
        return Err(ApiError::not_json());
    }
    Ok(())
}

/// Whether this name and port mean us.
fn is_here(port: u16, host: &str) -> bool {
    let Ok(at) = host.parse::<Authority>() else { return false };
    let name = at.host().trim_matches(['[', ']']);
    let is_loopback = name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    // Clients leave out HTTP's own port.
    at.port_u16().unwrap_or(80) == port && (is_loopback || name.eq_ignore_ascii_case("localhost"))
}

fn is_json(kind: &[u8]) -> bool {
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use axum::response::IntoResponse as _;

    use super::*;

    fn check(method: &Method, port: u16, head: &[(HeaderName, &'static str)], want: u16) {
        let mut map = HeaderMap::new();
        for (name, value) in head {
            map.append(name, HeaderValue::from_static(value));
        }
        let status = admit(port, method, &map).map_or_else(|refused| refused.into_response().status().as_u16(), |()| 200);
        assert_eq!(status, want, "{method} {head:?}");
    }

    #[test]
    fn who_names_this_machine_and_our_port_is_answered() {
        for host in ["127.0.0.1:8080", "localhost:8080", "LocalHost:8080", "127.9.9.9:8080", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
            check(&Method::GET, 8080, &[(HOST, host)], 200);
        }
        for host in ["evil.example:8080", "localhost.evil.example:8080", "10.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1", "localhost", ""] {
            check(&Method::GET, 8080, &[(HOST, host)], 403);
        }
        check(&Method::GET, 80, &[(HOST, "localhost")], 200);
        check(&Method::GET, 8080, &[], 403);
        check(&Method::GET, 8080, &[(HOST, "localhost:8080"), (HOST, "evil.example:8080")], 403);
    }

    #[test]
    fn what_a_page_can_send_is_refused() {
        let host = (HOST, "localhost:8080");
        for kind in ["application/json", "Application/JSON; charset=utf-8"] {
            check(&Method::POST, 8080, &[host.clone(), (CONTENT_TYPE, kind)], 200);
            check(&Method::POST, 8080, &[host.clone(), (CONTENT_TYPE, kind), (ORIGIN, "https://evil.example")], 403);
        }
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", "text/plain;application/json"]
        {
            check(&Method::POST, 8080, &[host.clone(), (CONTENT_TYPE, kind)], 415);
        }
        check(&Method::POST, 8080, std::slice::from_ref(&host), 415);
        check(&Method::GET, 8080, &[host, (ORIGIN, "null")], 403);
    }
}
