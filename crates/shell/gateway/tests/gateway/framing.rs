//! Raw bytes: one request in, at most one out, however it is framed. Each known hole of another gateway is a test here.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use testkit::{Gate, Reply};

use crate::bench::{Bench, KEY};

const HELLO: &str = r#"{"model":"default","messages":[{"role":"user","content":"hello"}]}"#;

/// The beginning of a head with a good key.
fn head() -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\napi-key: {KEY}\r\n")
}

fn chunked() -> String {
    format!("{:x}\r\n{HELLO}\r\n0\r\n\r\n", HELLO.len())
}

/// A request of its own, that somebody would like to have taken for one.
fn hidden() -> String {
    format!("{}connection: close\r\ncontent-length: {}\r\n\r\n{HELLO}", head(), HELLO.len())
}

/// Sends these bytes as they are, and gives the answers and how many requests reached an upstream.
async fn send(bench: &Bench, bytes: &[u8]) -> (Vec<u16>, usize) {
    let before = bench.north.heard().len();
    let mut stream = tokio::net::TcpStream::connect(bench.address).await.expect("it listens");
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    // A connection that is closed with bytes unread is reset, which is as good an end.
    _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains("canary"), "{answer}");
    let statuses = answer.match_indices("HTTP/1.").filter_map(|(at, _)| answer.get(at + 9..at + 12)?.parse().ok()).collect();
    (statuses, bench.north.heard().len() - before)
}

async fn check(bench: &Bench, bytes: &str, statuses: &[u16], reached: usize) {
    let (found, found_reached) = send(bench, bytes.as_bytes()).await;
    assert_eq!((found.as_slice(), found_reached), (statuses, reached), "{bytes}");
}

#[tokio::test]
async fn lengths_that_can_be_read_in_two_ways_are_refused() {
    let bench = &Bench::start().await;
    let (head, chunked, hidden, length) = (head(), chunked(), hidden(), HELLO.len());
    for framing in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "transfer-encoding: identity, x\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: x\r\n",
        "transfer-encoding: x\r\ntransfer-encoding: chunked\r\n",
        "transfer_encoding: chunked\r\n",
        "transfer-encoding : chunked\r\n",
    ] {
        check(bench, &format!("{head}{framing}\r\n{chunked}{hidden}"), &[400], 0).await;
    }
    for number in ["+5", "-5", "5, 5", "0x5", "5 5", "", "5_", "99999999999999999999"] {
        check(bench, &format!("{head}content-length: {number}\r\n\r\n{hidden}"), &[400], 0).await;
    }
    check(bench, &format!("{head}content-length: {length}\r\ncontent-length: {length}\r\n\r\n{HELLO}"), &[400], 0).await;
    check(bench, &format!("{head}content-length: {length}\r\nContent_Length: 1\r\n\r\n{HELLO}"), &[400], 0).await;
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_are_refused() {
    let bench = &Bench::start().await;
    let (head, length) = (head(), HELLO.len());
    let framed = format!("content-length: {length}\r\n\r\n{HELLO}");
    check(bench, &format!("{head}x: a\r\n folded\r\n{framed}"), &[400], 0).await;
    check(bench, &format!("{head}x: a\ny: b\r\n{framed}"), &[400], 0).await;
    check(bench, &format!("{head}x: a\rb\r\n{framed}"), &[400], 0).await;
    check(bench, &format!("{head}x_api_key: other\r\n{framed}"), &[400], 0).await;
    check(bench, &format!("{head}x: \0\r\n{framed}"), &[400], 0).await;
    check(bench, &format!("{}content-length: 0\n\n", head.replace("\r\n", "\n")), &[400], 0).await;
}

/// RFC 9112, 3.2: servers behind one proxy would each take it for somebody's.
#[tokio::test]
async fn a_request_names_its_host_once() {
    let bench = &Bench::start().await;
    let framed = format!("connection: close\r\ncontent-length: {}\r\n\r\n{HELLO}", HELLO.len());
    check(bench, &format!("{}{framed}", head()), &[200], 1).await;
    check(bench, &format!("{}{framed}", head().replace("host: x\r\n", "")), &[400], 0).await;
    check(bench, &format!("{}host: y\r\n{framed}", head()), &[400], 0).await;
    check(bench, &format!("{}{framed}", head().replace("HTTP/1.1\r\nhost: x", "HTTP/1.0")), &[200], 1).await;
    // A URI in absolute form names one as well.
    check(bench, &format!("{}{framed}", head().replace("POST /", "POST http://x/")), &[200], 1).await;
    check(bench, &format!("{}{framed}", head().replace("POST /", "POST http://y/")), &[400], 0).await;
}

/// Pingora took a body that was not read whole, as after an early answer, for the next request.
#[tokio::test]
async fn cve_2025_4366_a_body_that_nobody_read_is_no_request() {
    let bench = &Bench::start().await;
    let hidden = hidden();
    for early in ["POST /v1/nowhere", "GET /v1/models", "DELETE /v1/chat/completions"] {
        let head = format!("{early} HTTP/1.1\r\nhost: x\r\napi-key: {KEY}\r\ncontent-length: {}\r\n\r\n{hidden}", hidden.len());
        let (statuses, reached) = send(bench, format!("{head}{hidden}").as_bytes()).await;
        assert_eq!((statuses.len(), reached), (1, 0), "{early}");
    }
    let wrong = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{hidden}", hidden.len());
    check(bench, &format!("{wrong}{hidden}"), &[401], 0).await;
}

/// Pingora passed on what came behind a wish to upgrade before anyone had agreed to it.
#[tokio::test]
async fn cve_2026_2833_nothing_behind_an_upgrade_is_passed_on() {
    let bench = &Bench::start().await;
    let (length, hidden) = (HELLO.len(), hidden());
    let upgrade = format!("{}connection: upgrade\r\nupgrade: websocket\r\ncontent-length: {length}\r\n\r\n{HELLO}", head());
    check(bench, &format!("{upgrade}{hidden}"), &[200], 1).await;
    assert!(bench.north.heard()[0].header("upgrade").is_none(), "the wish goes no further");
    let connect = format!("CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\napi-key: {KEY}\r\n\r\n{hidden}");
    let (statuses, reached) = send(bench, connect.as_bytes()).await;
    assert!(statuses.len() == 1 && statuses[0] >= 400 && reached == 0, "{statuses:?}");
}

/// Pingora took HTTP/1.0 bodies to end with the connection, and let chunked be one of several encodings.
#[tokio::test]
async fn cve_2026_2835_http_1_0_and_odd_encodings_are_refused() {
    let bench = &Bench::start().await;
    let (old, chunked, hidden) = (head().replace("HTTP/1.1", "HTTP/1.0"), chunked(), hidden());
    check(bench, &format!("{old}transfer-encoding: chunked\r\n\r\n{chunked}{hidden}"), &[400], 0).await;
    let (statuses, reached) = send(bench, format!("{old}\r\n{hidden}").as_bytes()).await;
    assert_eq!((statuses.len(), reached), (1, 0), "a body without a length is none");
    for encoding in ["chunked, identity", "xchunked", "chunked;x=y", "\"chunked\"", "gzip"] {
        let (statuses, reached) = send(bench, format!("{}transfer-encoding: {encoding}\r\n\r\n{chunked}{hidden}", head()).as_bytes()).await;
        assert_eq!((statuses.as_slice(), reached), ([400].as_slice(), 0), "{encoding}");
    }
}

/// Pingora's default cache key left out the host, so that one tenant's answer was given to another.
#[tokio::test]
async fn cve_2026_2836_no_answer_is_kept_for_another() {
    let bench = &Bench::start().await;
    let once = |host: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\napi-key: {KEY}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{HELLO}",
            HELLO.len()
        )
    };
    check(bench, &once("a.example"), &[200], 1).await;
    check(bench, &once("b.example"), &[200], 1).await;
    check(bench, &once("a.example"), &[200], 1).await;
}

/// What comes right behind a body is not read; what comes by itself is the next request.
#[tokio::test]
async fn requests_that_come_by_themselves_share_a_connection() {
    let bench = &Bench::start().await;
    let length = HELLO.len();
    let one = format!("{}content-length: {length}\r\n\r\n{HELLO}", head());
    check(bench, &format!("{one}{}", hidden()), &[200], 1).await;
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate.clone()));
    let mut stream = tokio::net::TcpStream::connect(bench.address).await.expect("it listens");
    stream.write_all(one.as_bytes()).await.expect("sent");
    bench.north.until_heard(2).await;
    stream.write_all(hidden().as_bytes()).await.expect("sent while the first is under way");
    gate.open(1);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the second asks to close");
    assert_eq!((answer.matches("HTTP/1.1 200").count(), bench.north.heard().len()), (2, 3));
}

#[tokio::test]
async fn a_hang_up_is_seen_though_bytes_lie_behind_the_body() {
    let bench = &Bench::start().await;
    let one = format!("{}content-length: {}\r\n\r\n{HELLO}", head(), HELLO.len());
    for (left, (behind, later)) in [("\r\n".to_owned(), ""), (hidden(), ""), (String::new(), "\r\n")].into_iter().enumerate() {
        bench.north.then(Reply::Hang(Gate::default()));
        let mut stream = tokio::net::TcpStream::connect(bench.address).await.expect("it listens");
        stream.write_all(format!("{one}{behind}").as_bytes()).await.expect("sent");
        bench.north.until_heard(left + 1).await;
        stream.write_all(later.as_bytes()).await.expect("sent");
        drop(stream);
        let seen = tokio::time::timeout(std::time::Duration::from_secs(30), bench.north.until_left(left + 1)).await;
        assert!(seen.is_ok(), "{behind:?} {later:?}");
    }
}

#[tokio::test]
async fn limits_of_a_head_are_reached() {
    let bench = &Bench::start().await;
    let (head, length) = (head(), HELLO.len());
    let framed = format!("connection: close\r\ncontent-length: {length}\r\n\r\n{HELLO}");
    let fields = |count: usize| (0..count).map(|at| format!("x-{at}: y\r\n")).collect::<String>();
    check(bench, &format!("{head}{}{framed}", fields(gateway::HEADERS_MAX - 4)), &[200], 1).await;
    check(bench, &format!("{head}{}{framed}", fields(gateway::HEADERS_MAX)), &[431], 0).await;
    check(bench, &format!("{head}x: {}\r\n{framed}", "y".repeat(gateway::HEADER_BYTES_MAX)), &[431], 0).await;
}

/// CVE-2019-15226: each of very many small fields made Envoy look at all fields before it. Here a head has so many fields, whatever their
/// size and however they come, and what is behind the last that fits is not waited for.
#[tokio::test]
async fn cve_2019_15226_small_fields_are_counted_and_bounded() {
    let bench = &Bench::start().await;
    let framed = format!("connection: close\r\ncontent-length: {}\r\n\r\n{HELLO}", HELLO.len());
    let small = |count: usize| "a:\r\n".repeat(count);
    check(bench, &format!("{}{}{framed}", head(), small(gateway::HEADERS_MAX - 4)), &[200], 1).await;
    for count in [gateway::HEADERS_MAX - 3, 2 * gateway::HEADERS_MAX, 3_000] {
        check(bench, &format!("{}{}{framed}", head(), small(count)), &[431], 0).await;
    }
    // One that never ends, field by field: it is answered while it still comes.
    let stream = tokio::net::TcpStream::connect(bench.address).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let (mut answers, mut asks) = stream.into_split();
    let endless = async {
        asks.write_all(head().as_bytes()).await?;
        for _ in 0..FIELDS_ENDLESS {
            asks.write_all(b"a:\r\n").await?;
            tokio::task::yield_now().await;
        }
        Err::<(), std::io::Error>(std::io::ErrorKind::TimedOut.into())
    };
    let answered = async {
        let mut heard = Vec::new();
        // A reset may take the answer away, as bytes are left unread.
        _ = answers.read_to_end(&mut heard).await;
        heard
    };
    tokio::select! {
        ended = endless => assert_ne!(ended.expect_err("it never ends well").kind(), std::io::ErrorKind::TimedOut, "all were taken"),
        heard = answered => assert!(heard.is_empty() || heard.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&heard)),
    }
    assert!(bench.north.heard().len() == 1 && bench.chat(HELLO).await.status == 200, "others are served");
}

/// More than fit into all buffers between here and the gateway.
const FIELDS_ENDLESS: usize = 4_000_000;

/// A piece that framing is made of.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "content-length: 5\r\n",
        "content-length: 0\r\n",
        "Content-Length:70\r\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding:\tchunked\r\n",
        "transfer-encoding: identity\r\n",
        "connection: keep-alive\r\n",
        "connection: close\r\n",
        "expect: 100-continue\r\n",
        "x: y\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "0\r\n\r\n",
        "5\r\nhello\r\n",
        "upgrade: h2c\r\n",
        "POST / HTTP/1.0\r\n",
    ];
    prop_oneof![
        6 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => Just(head()),
        1 => Just(hidden()),
        1 => Just(chunked()),
        1 => Just(HELLO.to_owned()),
    ]
}

/// A gateway with its upstreams begins and ends with each history: a share of those that a pure property has.
const SHARE: u32 = 20;
/// With each change.
const HISTORIES: u32 = 20_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES.div_ceil(SHARE), failure_persistence: None, ..ProptestConfig::default() })]
    /// The bytes are written at once and closed: whatever they are, at most one request comes out of them.
    #[test]
    fn one_in_at_most_one_out(pieces in prop::collection::vec(piece(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (statuses, reached) = runtime.block_on(async {
            let bench = Bench::start().await;
            let bytes = format!("{}{}", head(), pieces.concat());
            let before = bench.north.heard().len();
            let mut stream = tokio::net::TcpStream::connect(bench.address).await.expect("it listens");
            stream.write_all(bytes.as_bytes()).await.expect("sent");
            stream.shutdown().await.expect("shut");
            let mut answer = Vec::new();
            _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            (answer.matches("HTTP/1.1 ").count() - answer.matches("HTTP/1.1 100").count(), bench.north.heard().len() - before)
        });
        prop_assert!(statuses <= 1 && reached <= 1, "{statuses} answers, {reached} reached");
    }
}
