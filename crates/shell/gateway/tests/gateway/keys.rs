//! Keys: what each may do, that bad ones learn nothing, and that a change holds at once.

use std::collections::BTreeSet;
use std::time::Duration;

use dispatch::{KeyId, Outcome};
use ledger::{KeyRow, KeyTerms, Keys, Scope};
use testkit::{Gate, Reply};
use units::Instant;

use crate::bench::{Bench, Setup, key};
use crate::limits::hand;

const HELLO: &str = r#"{"model":"default","messages":[{"role":"user","content":"hello"}]}"#;

/// A key for each scope, one with none, and one whose team the fleet lacks.
fn roles() -> Vec<(KeyRow, String)> {
    let role = |number: u32, scopes: &[Scope], team: Option<&str>| {
        let public = format!("role{number:08}");
        let row = KeyRow {
            id: KeyId(number),
            scopes: scopes.iter().copied().collect(),
            team: team.map(str::to_owned),
            ..key(&public, "canary", &[])
        };
        (row, format!("bl-{public}-canary"))
    };
    let scoped = Scope::ALL.into_iter().zip(10..).map(|(scope, number)| role(number, &[scope], None));
    scoped.chain([role(1, &[], None), role(2, &[Scope::Inference], Some("gone"))]).collect()
}

/// Every route, and the roles that are let in, by name; `anyone` also without a key, `here` without a key on this machine.
const ROUTES: [(&str, &str, &[&str]); 8] = [
    ("POST", "/v1/chat/completions", &["inference", "admin"]),
    ("POST", "/v1/completions", &["inference", "admin"]),
    ("GET", "/v1/models", &["inference", "admin", "gone"]),
    ("GET", "/v1/models/default", &["inference", "admin", "gone"]),
    ("GET", "/healthz", &["anyone"]),
    ("GET", "/readyz", &["anyone"]),
    ("GET", "/metrics", &["read", "admin", "here"]),
    ("GET", "/api/status", &["read", "admin", "here"]),
];

#[tokio::test]
async fn every_route_lets_in_only_the_scopes_that_it_names() {
    let (rows, texts): (Vec<_>, Vec<_>) = roles().into_iter().unzip();
    let bench = Bench::of(Setup { keys: rows, ..Setup::default() }).await;
    let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).chain(["none", "gone"]).collect();
    for (method, path, allowed) in ROUTES {
        let body = match path {
            "/v1/completions" => r#"{"model":"default","prompt":"hello"}"#,
            _ => HELLO,
        };
        let body = if method == "POST" { body } else { "" };
        for (role, text) in names.iter().zip(&texts) {
            let reply = bench.send(method, path, &[("api-key", text)], body).await;
            let want = if allowed.contains(role) || allowed.contains(&"anyone") { 200 } else { 403 };
            assert_eq!(reply.status, want, "{method} {path} as {role}: {}", reply.text);
            if want == 403 {
                assert_eq!((reply.error().1.as_str(), reply.header("x-should-retry")), ("insufficient_permissions", "false"));
            }
        }
        let bare = bench.send(method, path, &[("host", "localhost")], body).await;
        let want = if allowed.iter().any(|role| ["anyone", "here"].contains(role)) { 200 } else { 401 };
        assert_eq!(bare.status, want, "{method} {path} without a key");
        let wrong = bench.send(method, path, &[("host", "localhost"), ("api-key", "bl-role00000010-other")], body).await;
        assert_eq!(wrong.status, if allowed.contains(&"anyone") { 200 } else { 401 }, "{method} {path} with a wrong key");
    }
}

#[tokio::test]
async fn unknown_wrong_revoked_and_expired_hear_the_same() {
    let long_ago = Some(Instant::from_micros(1));
    let keys = vec![
        key("good00000000", "canary", &[]),
        KeyRow { revoked: long_ago, ..key("revoked00000", "canary", &[]) },
        KeyRow { expires: long_ago, ..key("expired00000", "canary", &[]) },
    ];
    let bench = Bench::of(Setup { keys, ..Setup::default() }).await;
    let mut heard = BTreeSet::new();
    for text in ["bl-nobody000000-canary", "bl-good00000000-wrong", "bl-revoked00000-canary", "bl-expired00000-canary", "bl-good00000000-"]
    {
        let reply = bench.chat_with(text, HELLO).await;
        assert_eq!(reply.status, 401, "{text}");
        heard.insert(reply.text);
    }
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(bench.chat_with("bl-good00000000-canary", HELLO).await.status, 200);
}

/// CVE-2026-42208: an unauthenticated SQL injection in the key check of another gateway.
#[tokio::test]
async fn cve_2026_42208_no_header_is_read_as_sql() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Keys::open(folder.path()).expect("a new store");
    let now = gateway::Clock::system().now();
    let made = store.create(&KeyTerms::named("x'); DROP TABLE api_key; --"), [7; 38], now).expect("a key");
    let bench = Bench::of(Setup { keys: store.list().expect("read"), ..Setup::default() }).await;
    let public = &made.row.public;
    for attack in [
        "bl-' OR 1=1 --",
        "bl-' UNION SELECT * FROM api_key --x",
        "'; DROP TABLE api_key; --",
        "bl-%-%",
        &format!("bl-{public}-' OR '1'='1"),
    ] {
        for name in ["authorization", "api-key", "x-api-key"] {
            let value = if name == "authorization" { format!("Bearer {attack}") } else { attack.to_owned() };
            assert_eq!(
                bench.send("POST", "/v1/chat/completions", &[(name, &value)], HELLO).await.error(),
                (401, "invalid_api_key".to_owned())
            );
        }
        bench.gateway.set_keys(&store.list().expect("the table is still there"));
    }
    assert_eq!(bench.chat_with(&made.text.0, HELLO).await.status, 200);
}

#[tokio::test]
async fn a_rotation_and_a_revocation_hold_as_soon_as_keys_are_reread() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Keys::open(folder.path()).expect("a new store");
    let now = gateway::Clock::system().now();
    let first = store.create(&KeyTerms::named("ada"), [7; 38], now).expect("a key").text.0;
    let bench = Bench::of(Setup { keys: store.list().expect("read"), ..Setup::default() }).await;
    let status = async |text: &str| bench.chat_with(text, HELLO).await.status.as_u16();
    assert_eq!(status(&first).await, 200);
    let second = store.rotate("ada", [8; 32], Duration::from_secs(3_600), now).expect("rotated").text.0;
    assert_eq!((status(&first).await, status(&second).await), (200, 401), "not yet reread");
    bench.gateway.set_keys(&store.list().expect("read"));
    assert_eq!((status(&first).await, status(&second).await), (200, 200), "both while they overlap");
    let third = store.rotate("ada", [9; 32], Duration::ZERO, now).expect("rotated").text.0;
    bench.gateway.set_keys(&store.list().expect("read"));
    assert_eq!((status(&first).await, status(&second).await, status(&third).await), (401, 401, 200));
    store.revoke("ada", now).expect("revoked");
    bench.gateway.set_keys(&store.list().expect("read"));
    assert_eq!(status(&third).await, 401);
}

#[tokio::test]
async fn no_attempt_begins_for_a_key_that_is_good_no_more() {
    let (clock, seconds) = hand();
    let soon = Instant::from_micros((seconds.load(std::sync::atomic::Ordering::SeqCst) + 60) * 1_000_000);
    for revoked in [true, false] {
        let ada = KeyRow { expires: Some(soon), ..key("ada000000000", "canary", &[]) };
        let bench = Bench::of(Setup { keys: vec![ada.clone()], clock: clock.clone(), ..Setup::default() }).await;
        let gate = Gate::default();
        bench.north.then(Reply::late(&gate, Reply::status(500)));
        let (reply, ()) = tokio::join!(bench.chat_with("bl-ada000000000-canary", HELLO), async {
            bench.north.until_heard(1).await;
            if revoked {
                bench.gateway.set_keys(&[KeyRow { revoked: Some(soon), ..ada }]);
            } else {
                seconds.fetch_add(60, std::sync::atomic::Ordering::SeqCst);
            }
            gate.open(1);
        });
        assert_eq!(reply.error(), (401, "invalid_api_key".to_owned()), "revoked: {revoked}");
        assert!(bench.west.heard().is_empty() && bench.spill.heard().is_empty());
        assert_eq!(bench.journal.settled(1).await[0].outcome, Outcome::Failed, "what had begun is metered as ever");
        assert_eq!(bench.gateway.live().in_flight, 0);
    }
}
