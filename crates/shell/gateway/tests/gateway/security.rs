//! Where requests and secrets may go, what heads carry, and TLS.

use std::sync::Arc;

use gateway::{Behind, Certificate, Door, Limits};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use testkit::{Reply, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::bench::{Bench, KEY};

const HELLO: &str = r#"{"model":"default","messages":[{"role":"user","content":"hello"}]}"#;

/// An answer that nothing is wrong with,
const ANSWER: &str = r#"{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
/// and one that is streamed.
const STREAMED: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// LiteLLM sent a provider's key wherever the caller's `api_base` said.
#[tokio::test]
async fn cve_2024_6587_a_caller_does_not_say_where_its_request_goes() {
    let (bench, elsewhere) = (Bench::start().await, Upstream::start().await.expect("a free port"));
    let url = format!("http://{}/v1", elsewhere.address());
    let fields = ["api_base", "base_url", "api_url", "url", "custom_llm_provider", "endpoint", "litellm_params"];
    let named: Vec<String> = fields.iter().map(|field| format!("\"{field}\":\"{url}\"")).collect();
    let body = format!(r#"{{"model":"default","messages":[],"extra_body":{{"api_base":"{url}"}},{}}}"#, named.join(","));
    let host = elsewhere.address().to_string();
    let head = [
        ("api-key", KEY),
        ("host", host.as_str()),
        ("x-api-base", &url),
        ("x-baseload-endpoint", &url),
        ("x-forwarded-host", &host),
        ("x-original-url", &url),
        ("x-litellm-api-base", &url),
        ("forwarded", &format!("host={host}")),
    ];
    for path in [format!("/v1/chat/completions?api_base={url}"), format!("{url}/chat/completions")] {
        assert_eq!(bench.send("POST", &path, &head, &body).await.status, 200, "{path}");
    }
    let model = format!(r#"{{"model":"{url}","messages":[]}}"#);
    assert_eq!(bench.send("POST", "/v1/chat/completions", &head, &model).await.status, 404);
    assert_eq!(bench.north.heard().len(), 2);
    assert!(elsewhere.heard().is_empty());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (bench, elsewhere) = (Bench::start().await, Upstream::start().await.expect("a free port"));
    bench.only_north();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://{}/v1/chat/completions", elsewhere.address());
        bench.north.then(Reply::Status { status, head: vec![("location", location)], body: String::new() });
        let reply = bench.chat(HELLO).await;
        assert!(reply.status.is_server_error() && !reply.head.contains_key("location"), "{status}: {}", reply.status);
        bench.gateway.set_upstream(crate::bench::endpoint(&bench.fleet, "north"), Some(bench.north.address())).expect("it is this machine");
    }
    assert!(elsewhere.heard().is_empty());
}

/// Fields of an upstream's that no client sees.
fn chatty() -> Vec<(&'static str, String)> {
    let names = [
        "set-cookie",
        "openai-organization",
        "openai-project",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-limit-tokens",
        "server",
        "via",
        "x-request-id",
        "strict-transport-security",
        "anthropic-organization-id",
        "cf-ray",
        "www-authenticate",
        "proxy-authenticate",
        "x-baseload-endpoint",
        "access-control-allow-origin",
        "x-envoy-upstream-service-time",
        "alt-svc",
        "location",
        "refresh",
        "link",
    ];
    names.into_iter().map(|name| (name, "canary-of-upstream".to_owned())).collect()
}

#[tokio::test]
async fn nothing_of_an_upstreams_head_comes_back() {
    let bench = Bench::start().await;
    bench.only_north();
    let mut allowed = vec!["content-type", "content-length", "date", "x-request-id", "openai-processing-ms"];
    allowed.extend([
        "x-baseload-endpoint",
        "x-baseload-contract",
        "x-baseload-marginal-price",
        "x-should-retry",
        "retry-after",
        "retry-after-ms",
    ]);
    for (status, kind, body) in [
        (200, "application/json", ANSWER),
        (400, "application/json", r#"{"error":{"message":"bad","type":"x","param":null,"code":null}}"#),
        (422, "text/html", "<p>canary-of-upstream</p>"),
        (401, "application/json", r#"{"error":{"message":"Incorrect API key provided: canary"}}"#),
        (429, "application/json", r#"{"error":{"message":"Rate limit reached in organization org-canary"}}"#),
        (500, "text/plain", "canary trace"),
    ] {
        let mut head = chatty();
        head.push(("content-type", kind.to_owned()));
        bench.north.then(Reply::Status { status, head, body: body.to_owned() });
        let reply = bench.chat(HELLO).await;
        let strange: Vec<&str> = reply.head.keys().map(|name| name.as_str()).filter(|name| !allowed.contains(name)).collect();
        assert!(strange.is_empty(), "{status}: {strange:?}");
        bench.gateway.set_upstream(crate::bench::endpoint(&bench.fleet, "north"), Some(bench.north.address())).expect("it is this machine");
    }
    let streamed = r#"{"model":"default","messages":[],"stream":true}"#;
    let mut head = chatty();
    head.push(("content-type", "text/event-stream".to_owned()));
    bench.north.then(Reply::Status { status: 200, head, body: STREAMED.to_owned() });
    let reply = bench.chat(streamed).await;
    allowed.extend(["cache-control", "transfer-encoding"]);
    let strange: Vec<&str> = reply.head.keys().map(|name| name.as_str()).filter(|name| !allowed.contains(name)).collect();
    assert!(reply.status == 200 && strange.is_empty(), "{}: {strange:?}", reply.status);
}

#[tokio::test]
async fn nothing_of_a_clients_head_goes_on_but_what_is_named() {
    let bench = Bench::start().await;
    let head = [
        ("authorization", "Bearer bl-abcdefabcdef-canary-secret"),
        ("cookie", "session=canary"),
        ("proxy-authorization", "Basic canary"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "canary"),
        ("forwarded", "for=canary"),
        ("via", "1.1 canary"),
        ("te", "trailers"),
        ("x-real-ip", "10.0.0.1"),
        ("x-baseload-endpoint", "spill"),
        ("x-baseload-contract", "c"),
        ("keep-alive", "timeout=5"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "canary"),
        ("proxy-connection", "keep-alive"),
        ("upgrade", "h2c"),
        ("http2-settings", "x"),
        ("accept-encoding", "gzip, br"),
        ("openai-organization", "org-canary"),
        ("x-llm-d-inference-objective", "priority"),
        ("x-gateway-destination-endpoint", "127.0.0.1:9"),
        ("origin", "https://canary.example"),
        ("referer", "https://canary.example"),
        ("expect", "100-continue"),
        ("range", "bytes=0-1"),
        ("if-none-match", "x"),
        ("openai-beta", "assistants=v2"),
    ];
    assert_eq!(bench.send("POST", "/v1/chat/completions", &head, HELLO).await.status, 200);
    let mut names: Vec<String> = bench.north.heard()[0].head.iter().map(|(name, _)| name.clone()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "content-length", "content-type", "host", "openai-beta", "user-agent", "x-request-id"]);
    assert_eq!(bench.north.heard()[0].header("accept-encoding"), Some("identity"));
}

/// A web page that had its own name resolved to this machine, and a proxy on this machine, are not somebody here.
#[tokio::test]
async fn this_machine_is_who_asks_for_itself_under_its_own_name() {
    let bench = Bench::start().await;
    let status = async |head: &[(&str, &str)]| bench.send("GET", "/api/status", head, "").await.status.as_u16();
    for (host, want) in [("localhost", 200), ("127.0.0.1:1", 200), ("evil.example", 401), ("localhost.evil.example", 401), ("", 401)] {
        assert_eq!(status(&[("host", host)]).await, want, "{host}");
    }
    for proxy in ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"] {
        assert_eq!(status(&[("host", "localhost"), (proxy, "127.0.0.1")]).await, 401, "{proxy}");
    }
    // A page of another site can't read the answer, but it would have the books audited.
    for (name, value, want) in [
        ("origin", "https://evil.example", 401),
        ("sec-fetch-site", "cross-site", 401),
        ("sec-fetch-site", "same-site", 401),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
    ] {
        assert_eq!(status(&[("host", "localhost"), (name, value)]).await, want, "{name} {value}");
    }
}

/// An answer that is compressed although it was not to be is not unpacked: it can't fill the memory. What is said of it counts: these would
/// pass as they are.
#[tokio::test]
async fn compressed_answers_are_not_unpacked() {
    let bench = Bench::start().await;
    bench.only_north();
    let streamed = r#"{"model":"default","messages":[],"stream":true}"#;
    for (asked, kind, body) in [(HELLO, "application/json", ANSWER), (streamed, "text/event-stream", STREAMED)] {
        for (coding, passes) in [("identity", true), ("gzip", false), ("x-gzip", false), ("br", false), ("identity, gzip", false)] {
            let head = vec![("content-type", kind.to_owned()), ("content-encoding", coding.to_owned())];
            bench.north.then(Reply::Status { status: 200, head, body: body.to_owned() });
            let reply = bench.chat(asked).await;
            assert_eq!((reply.status.is_success(), reply.status.is_server_error()), (passes, !passes), "{kind} {coding}: {}", reply.text);
            let north = crate::bench::endpoint(&bench.fleet, "north");
            bench.gateway.set_upstream(north, Some(bench.north.address())).expect("it is this machine");
        }
    }
}

#[tokio::test]
async fn json_deeper_than_the_limit_is_refused() {
    let bench = Bench::start().await;
    let nested = |depth: usize| format!(r#"{{"model":"default","messages":[],"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(bench.chat(&nested(gateway::JSON_DEPTH_MAX - 1)).await.status, 200);
    for depth in [gateway::JSON_DEPTH_MAX, 200, 100_000] {
        assert_eq!(bench.chat(&nested(depth)).await.error(), (400, "invalid_json".to_owned()), "{depth}");
    }
    let brackets = format!(r#"{{"model":"default","messages":[{{"role":"user","content":"{}\\\""}}]}}"#, "[{".repeat(500));
    assert_eq!(bench.chat(&brackets).await.status, 200, "what is in a string has no depth");
}

#[tokio::test]
async fn slow_heads_and_bodies_end() {
    let short = std::time::Duration::from_millis(200);
    let bench = Bench::with(Limits { header_timeout: short, body_timeout: short, ..Limits::default() }).await;
    let ended = async |bytes: &str| {
        let mut stream = TcpStream::connect(bench.address).await.expect("it listens");
        stream.write_all(bytes.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it closes");
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!(ended("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n").await, "");
    assert_eq!(
        ended(&format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\napi-key: {KEY}\r\ncontent-length: 9\r\n\r\n{{")).await,
        "408"
    );
}

/// A certificate of its own, for `localhost`.
fn certificate() -> (CertificateDer<'static>, String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (cert.der().clone(), cert.pem(), signing_key.serialize_pem())
}

/// What a client that trusts only this certificate hears to this request; `None` when there is no TLS with it.
async fn by_tls(address: std::net::SocketAddr, trusted: &CertificateDer<'static>, request: &str) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it closes well");
    Some(answer)
}

#[tokio::test]
async fn calls_come_in_by_tls_and_a_new_certificate_holds_at_once() {
    let bench = Bench::start().await;
    let (first, chain, key) = certificate();
    let shown = Arc::new(Certificate::new(chain.as_bytes(), key.as_bytes()).expect("it is good"));
    let listener = async || TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let (public, admin) = (listener().await, listener().await);
    let (at, admin_at) = (public.local_addr().expect("bound"), admin.local_addr().expect("bound"));
    let doors = vec![Door::new(public, Some(Arc::clone(&shown)), Behind::Calls), Door::new(admin, None, Behind::Operation)];
    let (stop, stopped) = oneshot::channel::<()>();
    let gateway = Arc::clone(&bench.gateway);
    let served = tokio::spawn(async move { gateway.serve_at(doors, async { stopped.await.unwrap_or_default() }).await });

    let chat = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\napi-key: {KEY}\r\ncontent-length: {}\r\n\r\n{HELLO}",
        HELLO.len()
    );
    let answer = by_tls(at, &first, &chat).await.expect("TLS");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for path in ["/metrics", "/api/status", "/healthz", "/readyz"] {
        let get = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        assert!(by_tls(at, &first, &get).await.expect("TLS").starts_with("HTTP/1.1 404 "), "{path}");
        let (_, response) = crate::bench::ask(admin_at, "GET", path, &[("host", "localhost")], "").await;
        assert_eq!(response.status(), 200, "{path}");
    }
    let audit = "GET /api/ledger/verify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert!(by_tls(at, &first, audit).await.expect("TLS").starts_with("HTTP/1.1 404 "), "the audit is for operation too");
    let (_, response) = crate::bench::ask(admin_at, "POST", "/v1/chat/completions", &[("api-key", KEY)], HELLO).await;
    assert_eq!(response.status(), 404, "calls have their own listener");

    let mut plain = TcpStream::connect(at).await.expect("it listens");
    plain.write_all(chat.as_bytes()).await.expect("sent");
    let mut heard = Vec::new();
    _ = plain.read_to_end(&mut heard).await;
    assert!(!heard.starts_with(b"HTTP"), "in the clear there is no answer");

    let (second, chain, key) = certificate();
    assert!(by_tls(at, &second, &chat).await.is_none());
    shown.replace(chain.as_bytes(), b"no key").expect_err("a key is needed");
    let (_, _, other) = certificate();
    shown.replace(chain.as_bytes(), other.as_bytes()).expect_err("they don't belong together");
    assert!(by_tls(at, &first, &chat).await.is_some(), "the old one stays");
    shown.replace(chain.as_bytes(), key.as_bytes()).expect("it is good");
    assert!(by_tls(at, &second, &chat).await.is_some());
    assert!(by_tls(at, &first, &chat).await.is_none());
    drop(stop);
    served.await.expect("serving ends well");
}

/// An upstream whose certificate nobody vouches for gets no request, and so no key. There is no setting for it.
#[tokio::test]
async fn an_upstream_without_a_good_certificate_is_never_told_the_key() {
    let (_, chain, key) = certificate();
    let config = {
        use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>().expect("a chain");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
        builder.with_single_cert(chain, key).expect("they belong together")
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.is_ok()
    });
    let upstream = gateway::Upstream::new(&format!("https://localhost:{}/v1", at.port()), Some("canary"), None).expect("a good URL");
    let bench = Bench::of(crate::bench::Setup { hosted: vec![("north", upstream)], ..crate::bench::Setup::default() }).await;
    bench.without(&["west", "spill"]);
    assert_eq!(bench.chat(HELLO).await.status, 503);
    assert!(!heard.await.expect("it ends"), "the handshake fails at the client");
}
