//! Requests that find no place or no room wait in line: bounded, in their tiers' order, and never for ever.

use std::sync::Arc;
use std::time::Duration;

use dispatch::{KeyId, Record};
use fleet::ServiceTier;
use gateway::{Behind, Door, Limits, OPERATION_CONNECTIONS_MAX};
use ledger::KeyRow;
use testkit::{Gate, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::bench::{self, Bench, KEY, Setup, key};

fn body(tier: &str) -> String {
    format!(r#"{{"model":"default","service_tier":"{tier}","messages":[{{"role":"user","content":"{tier}"}}]}}"#)
}

/// Goes on as soon as so many wait in line.
async fn until_waiting(bench: &Bench, count: usize) {
    while bench.gateway.live().waiting != count {
        tokio::task::yield_now().await;
    }
}

fn ask(bench: &Arc<Bench>, key: &'static str, tier: &'static str) -> JoinHandle<bench::Reply> {
    let bench = Arc::clone(bench);
    tokio::spawn(async move { bench.chat_with(key, &body(tier)).await })
}

/// The tiers of what the upstream heard, in order: each prompt says its own.
fn heard(bench: &Bench) -> Vec<String> {
    let said = |body: &[u8]| {
        let body: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        body["messages"][0]["content"].as_str().map(str::to_owned)
    };
    bench.north.heard().iter().filter_map(|heard| said(&heard.body)).collect()
}

/// A bench whose one place is taken until the gate opens.
async fn full(limits: Limits) -> (Arc<Bench>, Gate, JoinHandle<bench::Reply>) {
    let bench = Arc::new(Bench::with(limits).await);
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate.clone()));
    let first = ask(&bench, KEY, "default");
    bench.north.until_heard(1).await;
    (bench, gate, first)
}

#[tokio::test]
async fn who_finds_no_place_waits_and_higher_tiers_go_first() {
    let (bench, gate, first) = full(Limits { in_flight_max: 1, ..Limits::default() }).await;
    let mut waiting = Vec::new();
    for (count, tier) in ["flex", "default", "flex", "priority", "default"].into_iter().enumerate() {
        waiting.push(ask(&bench, KEY, tier));
        until_waiting(&bench, count + 1).await;
    }
    gate.open(1);
    assert_eq!(first.await.expect("it ends").status, 200);
    for reply in waiting {
        assert_eq!(reply.await.expect("it ends").status, 200);
    }
    assert_eq!(heard(&bench), ["default", "priority", "default", "default", "flex", "flex"]);
    assert_eq!((bench.gateway.live().in_flight, bench.gateway.live().waiting), (0, 0));
}

#[tokio::test]
async fn the_line_is_bounded_and_flex_is_shed_first() {
    let (bench, gate, first) = full(Limits { in_flight_max: 1, queue_max: 2, ..Limits::default() }).await;
    let flex = ask(&bench, KEY, "flex");
    until_waiting(&bench, 1).await;
    let default = ask(&bench, KEY, "default");
    until_waiting(&bench, 2).await;
    assert_eq!(bench.chat(&body("flex")).await.error(), (429, "overloaded".to_owned()), "nobody goes for one of the same tier");
    let priority = ask(&bench, KEY, "priority");
    assert_eq!(flex.await.expect("it ends").error(), (429, "overloaded".to_owned()));
    gate.open(1);
    for reply in [first, default, priority] {
        assert_eq!(reply.await.expect("it ends").status, 200);
    }
    assert_eq!(heard(&bench), ["default", "priority", "default"]);
}

#[tokio::test]
async fn who_waits_too_long_is_shed_with_when_to_come_back() {
    let limits = Limits {
        in_flight_max: 1,
        queue_timeout: Duration::from_millis(30),
        queue_timeout_flex: Duration::from_millis(30),
        ..Limits::default()
    };
    let (bench, gate, first) = full(limits).await;
    for (tier, seconds) in [("priority", "1"), ("default", "1"), ("flex", "10")] {
        let reply = bench.chat(&body(tier)).await;
        assert_eq!((reply.error(), reply.header("retry-after")), ((429, "overloaded".to_owned()), seconds));
    }
    assert_eq!(bench.gateway.live().waiting, 0);
    gate.open(1);
    assert_eq!(first.await.expect("it ends").status, 200);
    assert_eq!(bench.chat(&body("flex")).await.status, 200, "the place is free again");
}

#[tokio::test]
async fn a_key_at_its_cap_holds_up_nobody_else() {
    let keys =
        vec![KeyRow { id: KeyId(1), ..key("ada000000000", "canary", &[]) }, KeyRow { id: KeyId(2), ..key("bob000000000", "canary", &[]) }];
    let limits = Limits { key_in_flight_max: 1, ..Limits::default() };
    let bench = Arc::new(Bench::of(Setup { keys, limits, ..Setup::default() }).await);
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate.clone()));
    let first = ask(&bench, "bl-ada000000000-canary", "default");
    bench.north.until_heard(1).await;
    let second = ask(&bench, "bl-ada000000000-canary", "priority");
    until_waiting(&bench, 1).await;
    assert_eq!(bench.chat_with("bl-bob000000000-canary", &body("flex")).await.status, 200, "also in a lower tier");
    gate.open(1);
    assert_eq!((first.await.expect("it ends").status.as_u16(), second.await.expect("it ends").status.as_u16()), (200, 200));
}

#[tokio::test]
async fn a_key_that_fills_the_line_holds_up_nobody_else() {
    let keys =
        vec![KeyRow { id: KeyId(1), ..key("ada000000000", "canary", &[]) }, KeyRow { id: KeyId(2), ..key("bob000000000", "canary", &[]) }];
    let limits = Limits { key_in_flight_max: 1, queue_max: 2, ..Limits::default() };
    let bench = Arc::new(Bench::of(Setup { keys, limits, ..Setup::default() }).await);
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate.clone()));
    let mut hers = vec![ask(&bench, "bl-ada000000000-canary", "default")];
    bench.north.until_heard(1).await;
    for waiting in 1..=2 {
        hers.push(ask(&bench, "bl-ada000000000-canary", "default"));
        until_waiting(&bench, waiting).await;
    }
    assert_eq!(bench.chat_with("bl-ada000000000-canary", &body("default")).await.error(), (429, "overloaded".to_owned()));
    assert_eq!(
        bench.chat_with("bl-bob000000000-canary", &body("default")).await.status,
        200,
        "there are places, and nobody in line could use them"
    );
    gate.open(1);
    for reply in hers {
        assert_eq!(reply.await.expect("it ends").status, 200);
    }
}

#[tokio::test]
async fn an_address_at_its_cap_waits_too_and_has_so_many_connections() {
    let (bench, gate, first) = full(Limits { peer_in_flight_max: 1, peer_connections_max: 2, ..Limits::default() }).await;
    let second = ask(&bench, KEY, "default");
    until_waiting(&bench, 1).await;
    let mut third = TcpStream::connect(bench.address).await.expect("the kernel takes it");
    assert_eq!(third.read(&mut [0; 9]).await.ok(), Some(0), "it is closed before it says anything");
    gate.open(1);
    assert_eq!((first.await.expect("it ends").status.as_u16(), second.await.expect("it ends").status.as_u16()), (200, 200));
}

/// A connection beyond the most is not accepted: its client waits in the kernel until another has ended, while those that came first are served.
#[tokio::test]
async fn so_many_connections_are_open_at_once_in_all() {
    let bench = Bench::with(Limits { connections_max: 2, ..Limits::default() }).await;
    let connect = async || {
        let mut stream = TcpStream::connect(bench.address).await.expect("the kernel takes it");
        stream.write_all(HEALTH).await.expect("sent");
        stream
    };
    let (mut first, mut second) = (connect().await, connect().await);
    let (one, two) = (answer(&mut first).await, answer(&mut second).await);
    assert!(one.starts_with("HTTP/1.1 200 ") && two.starts_with("HTTP/1.1 200 "), "{one}{two}");
    let mut third = connect().await;
    for _ in 0..50 {
        first.write_all(HEALTH).await.expect("sent");
        assert!(answer(&mut first).await.starts_with("HTTP/1.1 200 "), "it is served on");
        let heard = third.try_read(&mut [0; 9]).expect_err("nobody answers the third");
        assert_eq!(heard.kind(), std::io::ErrorKind::WouldBlock);
    }
    drop(second);
    assert!(answer(&mut third).await.starts_with("HTTP/1.1 200 "), "its turn has come");
}

/// Silent connections for calls, as many as may be, leave the listener for operation as it was, also for their own address.
#[tokio::test]
async fn a_flood_of_calls_leaves_operation_its_own_places() {
    let patient = Duration::from_secs(600);
    let limits = Limits { connections_max: 2, peer_connections_max: 2, header_timeout: patient, ..Limits::default() };
    let bench = Bench::with(limits).await;
    let listener = async || TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let (calls, admin) = (listener().await, listener().await);
    let (at, admin_at) = (calls.local_addr().expect("bound"), admin.local_addr().expect("bound"));
    let doors = vec![Door::new(calls, None, Behind::Calls), Door::new(admin, None, Behind::Operation)];
    let (stop, stopped) = oneshot::channel::<()>();
    let gateway = Arc::clone(&bench.gateway);
    let served = tokio::spawn(async move { gateway.serve_at(doors, async { stopped.await.unwrap_or_default() }).await });

    let mut silent = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(at).await.expect("the kernel takes it");
        stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
        // It has a place, and says nothing more.
        assert!(stream.read(&mut [0; 512]).await.expect("it is open") > 0);
        silent.push(stream);
    }
    let probe = async || {
        let mut stream = TcpStream::connect(admin_at).await.expect("the kernel takes it");
        stream.write_all(HEALTH).await.expect("sent");
        stream
    };
    let mut probes = Vec::new();
    for _ in 0..OPERATION_CONNECTIONS_MAX {
        let mut stream = probe().await;
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
        probes.push(stream);
    }
    let mut late = probe().await;
    let mut first = probes.remove(0);
    for _ in 0..50 {
        first.write_all(HEALTH).await.expect("sent");
        assert!(answer(&mut first).await.starts_with("HTTP/1.1 200 "), "it is served on");
        let heard = late.try_read(&mut [0; 9]).expect_err("nobody answers one too many");
        assert_eq!(heard.kind(), std::io::ErrorKind::WouldBlock);
    }
    drop(first);
    assert!(answer(&mut late).await.starts_with("HTTP/1.1 200 "), "its turn has come");
    drop((silent, probes, late, stop));
    served.await.expect("serving ends well");
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// An answer to [`HEALTH`], as far as its body.
async fn answer(stream: &mut TcpStream) -> String {
    let mut heard = String::new();
    while !heard.ends_with("\r\n\r\nok\n") {
        let mut piece = [0; 512];
        let length = stream.read(&mut piece).await.expect("it is open");
        assert!(length > 0, "it was closed behind {heard}");
        heard.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    heard
}

#[tokio::test]
async fn who_leaves_the_line_takes_no_place_with_it() {
    let (bench, gate, first) = full(Limits { in_flight_max: 1, ..Limits::default() }).await;
    let gone = ask(&bench, KEY, "priority");
    until_waiting(&bench, 1).await;
    gone.abort();
    until_waiting(&bench, 0).await;
    gate.open(1);
    assert_eq!(first.await.expect("it ends").status, 200);
    assert_eq!(bench.chat(&body("default")).await.status, 200);
    assert_eq!(heard(&bench).len(), 2);
}

/// Only north, with room for two.
async fn small(limits: Limits) -> (Arc<Bench>, Gate, Vec<JoinHandle<bench::Reply>>) {
    let fleet = Setup::default().fleet.replace("slots = 4\nqueue = 16", "slots = 1\nqueue = 1");
    let bench = Arc::new(Bench::of(Setup { fleet, limits, ..Setup::default() }).await);
    bench.only_north();
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate.clone())).then(Reply::Hang(gate.clone()));
    let under_way = vec![ask(&bench, KEY, "default"), ask(&bench, KEY, "default")];
    bench.north.until_heard(2).await;
    (bench, gate, under_way)
}

#[tokio::test]
async fn when_every_endpoint_is_full_requests_wait_for_room_in_their_tiers_order() {
    let (bench, gate, under_way) = small(Limits::default()).await;
    let mut waiting = Vec::new();
    for (count, tier) in ["flex", "default", "priority"].into_iter().enumerate() {
        waiting.push(ask(&bench, KEY, tier));
        until_waiting(&bench, count + 1).await;
    }
    assert_eq!(bench.north.heard().len(), 2);
    gate.open(2);
    for reply in under_way.into_iter().chain(waiting) {
        assert_eq!(reply.await.expect("it ends").status, 200);
    }
    let decided = |record: &Record| if let Record::Decided { question, .. } = record { Some(question.ask.tier) } else { None };
    let tiers: Vec<ServiceTier> = bench.journal.records().iter().filter_map(decided).collect();
    assert_eq!(tiers[2..], [ServiceTier::Priority, ServiceTier::Default, ServiceTier::Flex]);
    assert_eq!(bench.gateway.live().waiting, 0);
}

#[tokio::test]
async fn the_line_for_room_is_bounded_and_sheds_flex_first() {
    let (bench, gate, under_way) = small(Limits { queue_max: 2, ..Limits::default() }).await;
    let flex = ask(&bench, KEY, "flex");
    until_waiting(&bench, 1).await;
    let default = ask(&bench, KEY, "default");
    until_waiting(&bench, 2).await;
    let priority = ask(&bench, KEY, "priority");
    let shed = flex.await.expect("it ends");
    assert_eq!((shed.error(), shed.header("retry-after")), ((429, "overloaded".to_owned()), "10"), "it made room for a higher tier");
    gate.open(2);
    for reply in under_way.into_iter().chain([default, priority]) {
        assert_eq!(reply.await.expect("it ends").status, 200);
    }
    assert_eq!(bench.gateway.live().waiting, 0);
}

#[tokio::test]
async fn nobody_waits_for_room_for_ever() {
    let (bench, gate, under_way) = small(Limits { queue_timeout: Duration::from_millis(30), ..Limits::default() }).await;
    assert_eq!(bench.chat(&body("priority")).await.error(), (429, "overloaded".to_owned()));
    assert_eq!(bench.gateway.live().waiting, 0);
    gate.open(2);
    for reply in under_way {
        assert_eq!(reply.await.expect("it ends").status, 200);
    }
}
