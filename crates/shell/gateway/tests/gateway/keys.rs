//! Keys: what each may do, that bad ones learn nothing, and that a change holds at once.

use std::collections::BTreeSet;
use std::time::Duration;

use dispatch::{KeyId, Outcome};
use ledger::{KeyRow, KeyTerms, Keys, Scope};
use testkit::{Gate, Reply};
use units::Instant;

use crate::batches;
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

/// Every route with who is let in. That it has all of them is checked beside the routes themselves.
const ROUTES: &str = include_str!("routes.txt");

/// A line of [`ROUTES`].
struct Row {
    method: &'static str,
    path: &'static str,
    /// What whoever is let in hears.
    status: u16,
    who: Vec<&'static str>,
}

impl Row {
    fn read(line: &'static str) -> Self {
        let mut words = line.split_whitespace();
        let mut next = || words.next().expect("a method, a path and a status");
        let (method, path, status) = (next(), next(), next().parse().expect("a status"));
        Self { method, path, status, who: words.collect() }
    }

    fn lets_in(&self, role: &str) -> bool {
        self.who.contains(&role) || self.who.contains(&"anyone")
    }

    /// What a good request of this route says.
    fn body(&self) -> &'static str {
        match self.path {
            _ if self.method != "POST" => "",
            "/v1/completions" => r#"{"model":"default","prompt":"hello"}"#,
            "/v1/embeddings" | "/v1/responses" => r#"{"model":"default","input":"hello"}"#,
            "/v1/messages" => r#"{"model":"default","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#,
            "/v1/files" | "/v1/batches" => "{}",
            _ => HELLO,
        }
    }

    /// Asks it from this machine.
    async fn ask(&self, bench: &Bench, key: Option<&str>) -> crate::bench::Reply {
        let reports = self.path.starts_with("/v1/organization/");
        let path = if reports { format!("{}?start_time=1795000000", self.path) } else { self.path.to_owned() };
        let head: Vec<(&str, &str)> = [("host", "localhost")].into_iter().chain(key.map(|key| ("api-key", key))).collect();
        bench.send(self.method, &path, &head, self.body()).await
    }
}

#[tokio::test]
async fn every_route_lets_in_only_the_scopes_that_it_names() {
    let (mut rows, texts): (Vec<_>, Vec<_>) = roles().into_iter().unzip();
    let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).chain(["none", "gone"]).collect();
    let (long_ago, all) = (Some(Instant::from_micros(1)), Scope::ALL.into_iter().collect());
    rows.push(KeyRow { id: KeyId(20), expires: long_ago, scopes: all, ..key("expired00000", "canary", &[]) });
    rows.push(KeyRow { id: KeyId(21), revoked: long_ago, scopes: all, ..key("revoked00000", "canary", &[]) });
    let strangers = ["bl-role00000010-other", "bl-expired00000-canary", "bl-revoked00000-canary", "bl-nobody000000-canary", "nonsense"];
    let folder = batches::folder();
    let bench = Bench::of(Setup { keys: rows, directory: Some(folder.path().to_owned()), ..Setup::default() }).await;
    for row in ROUTES.lines().filter(|line| !line.starts_with('#')).map(Row::read) {
        let route = format!("{} {}", row.method, row.path);
        for (role, text) in names.iter().zip(&texts) {
            let reply = row.ask(&bench, Some(text)).await;
            let want = if row.lets_in(role) { row.status } else { 403 };
            assert_eq!(reply.status, want, "{route} as {role}: {}", reply.text);
            if want == 403 {
                let says = ["insufficient_permissions", "permission_error"].iter().any(|code| reply.text.contains(code));
                assert!(says && reply.header("x-should-retry") == "false", "{route} as {role}: {}", reply.text);
            }
        }
        let bare = row.ask(&bench, None).await;
        assert_eq!(bare.status, if row.lets_in("here") { row.status } else { 401 }, "{route} without a key");
        for stranger in strangers {
            let reply = row.ask(&bench, Some(stranger)).await;
            assert_eq!(reply.status, if row.lets_in("anyone") { row.status } else { 401 }, "{route} with {stranger}");
        }
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
    let bench = Bench::of(Setup { keys: store.list().expect("read").to_vec(), ..Setup::default() }).await;
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

/// GHSA-h6m6-jj8v-94jj: values that requests of callers with a key carried reached the SQL of another gateway's reports.
#[tokio::test]
async fn ghsa_h6m6_jj8v_94jj_no_value_of_a_request_is_read_as_sql() {
    let folder = batches::folder();
    let bench = batches::over(folder.path()).await;
    assert_eq!(bench.chat(HELLO).await.status, 200);
    bench.journal.settled(1).await;
    batches::book(folder.path(), &bench);
    let start = gateway::Clock::system().now().micros() / 1_000_000 - 3_600;
    let report = async |query: &str| bench.get(&format!("/v1/organization/usage/completions?start_time={start}{query}")).await;
    let before = report("&group_by=api_key_id&group_by=model").await;
    assert!(before.text.contains("abcdefabcdef") && before.text.contains("smollm2-135m"), "{}", before.text);
    for attack in [
        "x'%20OR%20'1'='1",
        "x')%20OR%201=1%20--",
        "%25",
        "_",
        "x';%20DROP%20TABLE%20posting;%20--",
        "x'%20UNION%20SELECT%20hash%20FROM%20api_key%20--",
    ] {
        for name in ["api_key_ids", "models"] {
            let told = report(&format!("&{name}={attack}")).await;
            assert_eq!(told.status, 200, "{name}={attack}: {}", told.text);
            assert!(!told.text.contains("organization.usage.completions.result"), "{name}={attack}: {}", told.text);
        }
        for name in ["group_by", "page", "limit", "end_time", "bucket_width", "batch"] {
            let told = report(&format!("&{name}={attack}")).await;
            assert_eq!(told.status, 400, "{name}={attack}: {}", told.text);
        }
        for path in [
            format!("/v1/files/{attack}"),
            format!("/v1/files/{attack}/content"),
            format!("/v1/batches/{attack}"),
            format!("/v1/models/{attack}"),
        ] {
            assert_eq!(bench.get(&path).await.error().0, 404, "{path}");
        }
    }
    assert_eq!(report("&group_by=api_key_id&group_by=model").await.text, before.text, "nothing is gone");
}

#[tokio::test]
async fn a_rotation_and_a_revocation_hold_as_soon_as_keys_are_reread() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Keys::open(folder.path()).expect("a new store");
    let now = gateway::Clock::system().now();
    let first = store.create(&KeyTerms::named("ada"), [7; 38], now).expect("a key").text.0;
    let bench = Bench::of(Setup { keys: store.list().expect("read").to_vec(), ..Setup::default() }).await;
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
