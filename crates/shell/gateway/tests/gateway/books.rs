//! The gateway with the real ledger: what was served is in the books, with a key from the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway::{Clock, Config, Gateway, Limits};
use ledger::Store;
use testkit::{Reply, Upstream};
use tokio::net::TcpListener;

use crate::bench::{self, endpoint};

const LAPTOP: &str = include_str!("../../../../../fleets/laptop.toml");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_served_is_in_the_books_once() {
    let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::system());
    let fleet = Arc::new(fleet::parse(LAPTOP).fleet.expect("the laptop fleet is good"));
    let (store, _) = Store::open(folder.path(), LAPTOP, Arc::clone(&fleet), clock.now()).expect("a new store");
    let key = store.create_key(&ledger::KeyTerms::named("test"), [7; 38], clock.now()).expect("a key");
    let upstream = Upstream::start().await.expect("a port");
    upstream.then(Reply::status(500)).then(Reply::answer(11, 3));
    let gateway = Gateway::new(Config {
        fleet: Arc::clone(&fleet),
        journal: Arc::new(store.clone()),
        policy: dispatch::Policy::MarginalCost,
        keys: store.keys().expect("the keys"),
        upstreams: BTreeMap::new(),
        clock,
        limits: Limits::default(),
        shadow: false,
        directory: None,
    })
    .expect("no upstream wants TLS");
    for name in ["north", "west"] {
        gateway.set_upstream(endpoint(&fleet, name), Some(upstream.address())).expect("it is this machine");
    }
    gateway.set_sheet(bench::sheet(&fleet));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let authorization = format!("Bearer {}", key.text.0);
    let asked = async {
        let head = [("authorization", authorization.as_str())];
        bench::ask(address, "POST", "/v1/chat/completions", &head, r#"{"model":"default","messages":[]}"#).await.1
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ((), status) = tokio::join!(gateway.serve(listener, async { stopped.await.unwrap_or_default() }), async {
        let status = asked.await.status();
        drop(stop);
        status
    });
    assert_eq!(status, 200);
    store.flush().expect("committed");
    let attempts = store.attempts(9).expect("the attempts");
    let shown: Vec<String> = attempts
        .iter()
        .map(|row| {
            let settled = row.settled.as_ref().expect("it is closed");
            format!("{} {} {} {:?} {:?}", row.attempt.attempt, row.endpoint, row.contract, settled.outcome, settled.tokens.output)
        })
        .collect();
    assert_eq!(shown, ["2 west west-provisioned Answered 3", "1 north north-reserved Failed 0"]);
    let decisions = store.decisions(units::Instant::MIN).expect("the journal");
    for journaled in &decisions {
        assert_eq!(dispatch::decide(&fleet, &journaled.question).as_ref(), Ok(&journaled.decision), "a live decision replays bit for bit");
    }
    assert_eq!(decisions.len(), 2);
    let north: i64 = store
        .books()
        .balances
        .iter()
        .filter(|(contract, ..)| fleet.contracts.name(*contract) == "north-reserved")
        .map(|(.., total)| total.held.count())
        .sum();
    assert!(north > 0, "held time is in the books");
}
