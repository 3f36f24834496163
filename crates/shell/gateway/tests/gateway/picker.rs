//! An endpoint behind llm-d's picker: what the picker is told of a request, and what a refusal from there does to it, the endpoint and the books.

use dispatch::{KeyId, Known, Settlement};
use fleet::{Endpoint, Picker};
use gateway::Upstream;
use ledger::KeyRow;
use testkit::{Heard, Reply};

use crate::bench::{self, Bench, KEY, Setup, endpoint, key};
use crate::limits::{hand, laptop};
use crate::resilience::on_units;

const HELLO: &str = r#"{"model":"default","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;

/// Puts a picker before north.
fn behind_a_picker(bench: &Bench) {
    let (north, url) = (endpoint(&bench.fleet, "north"), format!("http://{}/v1", bench.north.address()));
    let endpoint = Endpoint { picker: Some(Picker::LlmD), url, ..bench.fleet.endpoints[north].clone() };
    bench.gateway.replace_upstream(north, Upstream::of(&endpoint, "default", None).expect("a good URL"));
}

/// The objective and the fairness id that an upstream heard, under their names of today and those of before.
fn told(heard: &Heard) -> [Option<&str>; 4] {
    ["x-llm-d-inference-objective", "x-llm-d-inference-fairness-id", "x-gateway-inference-objective", "x-gateway-inference-fairness-id"]
        .map(|name| heard.header(name))
}

#[tokio::test]
async fn a_picker_hears_tier_and_team_from_us_and_nothing_from_the_client() {
    let of_team = KeyRow { id: KeyId(2), team: Some("research".to_owned()), ..key("ada000000000", "canary", &[]) };
    let keys = vec![key("abcdefabcdef", "canary-secret", &[]), of_team];
    let bench = Bench::of(Setup { keys, fleet: laptop("[teams.research]"), ..Setup::default() }).await;
    behind_a_picker(&bench);
    let ask = async |key: &str, tier: &str| {
        let body = HELLO.replacen('{', &format!(r#"{{"service_tier":"{tier}","#), 1);
        let head = [("api-key", key), ("x-llm-d-inference-objective", "mine"), ("x-gateway-inference-fairness-id", "mine")];
        assert_eq!(bench.send("POST", "/v1/chat/completions", &head, &body).await.status, 200);
    };
    ask("bl-ada000000000-canary", "priority").await;
    ask(KEY, "flex").await;
    let heard = bench.north.heard();
    assert_eq!(told(&heard[0]), ["priority", "research", "priority", "research"].map(Some));
    assert_eq!(told(&heard[1]), ["flex", "key#1", "flex", "key#1"].map(Some));
    assert!(heard.iter().all(|heard| heard.head.iter().all(|(_, value)| value != "mine")), "{heard:?}");
    bench.without(&["north"]);
    ask(KEY, "priority").await;
    assert_eq!(told(&bench.west.heard()[0]), [None; 4], "nothing picks behind it");
}

/// A refusal of north is answered by west. What is booked of it, and where the next request goes.
async fn refused(picker: bool, (status, dropped, body): (u16, Option<&str>, &str)) -> (Settlement, String) {
    let bench = Bench::of(Setup { clock: hand().0, ..Setup::default() }).await;
    if picker {
        behind_a_picker(&bench);
    }
    on_units(&bench, 1_200);
    let head = dropped.map(|reason| ("x-llm-d-request-dropped-reason", reason.to_owned())).into_iter().collect();
    bench.north.then(Reply::Status { status, head, body: body.to_owned() });
    let replies: [bench::Reply; 2] = [bench.chat(HELLO).await, bench.chat(HELLO).await];
    let went = replies.each_ref().map(|reply| reply.header("x-baseload-endpoint").to_owned());
    assert_eq!((went[0].as_str(), replies[0].status.as_u16()), ("west", 200), "{status} {body}: its units have room: {}", replies[0].text);
    let [_, next] = went;
    (bench.journal.settled(1).await[0], next)
}

#[tokio::test]
async fn a_refusal_is_booked_by_what_a_server_did_and_blamed_on_who_is_gone() {
    const RESET: &str = "upstream connect error or disconnect/reset before headers. reset reason: ";
    let text = |reason: &str| format!("{RESET}{reason}");
    let json = r#"{"error":{"message":"no","type":"server_error","code":503}}"#;
    for (dropped, status, body, known, next) in [
        (None, 429, "inference error: ResourceExhausted - system saturated".to_owned(), Known::Counted, "north"),
        (Some("rejected-saturated"), 429, json.to_owned(), Known::Counted, "north"),
        (Some("evicted"), 429, json.to_owned(), Known::Bounded, "north"),
        (Some("rejected-ttl-expired"), 503, json.to_owned(), Known::Counted, "north"),
        (Some("rejected-no-endpoints"), 503, json.to_owned(), Known::Counted, "west"),
        (None, 503, "no healthy upstream".to_owned(), Known::Counted, "west"),
        (None, 503, text("connection termination"), Known::Bounded, "north"),
        (None, 503, text("remote connection failure"), Known::Counted, "north"),
        (None, 503, text("overflow"), Known::Counted, "north"),
        (None, 504, "upstream request timeout".to_owned(), Known::Bounded, "north"),
        (None, 500, String::new(), Known::Counted, "north"),
    ] {
        let (settled, went) = refused(true, (status, dropped, &body)).await;
        assert_eq!((settled.known, went.as_str()), (known, next), "{status} {dropped:?} {body}");
        let took = settled.tokens.input + settled.tokens.output;
        assert_eq!(took > 0, known == Known::Bounded, "{status} {dropped:?} {body}: {took}");
    }
}

#[tokio::test]
async fn without_a_picker_the_same_words_are_anybodys() {
    for (status, body, known) in [(503, "no healthy upstream", Known::Counted), (504, "upstream request timeout", Known::Bounded)] {
        let (settled, went) = refused(false, (status, Some("evicted"), body)).await;
        assert_eq!((settled.known, went.as_str()), (known, "north"), "{status} {body}");
    }
}

/// It sheds one tier and not another: when that may come back is nothing to the others.
#[tokio::test]
async fn a_pickers_retry_after_keeps_nobody_else_away() {
    let bench = Bench::start().await;
    behind_a_picker(&bench);
    bench.north.then(Reply::busy(Some("30")));
    let mut went = Vec::new();
    for _ in 0..2 {
        went.push(bench.chat(HELLO).await.header("x-baseload-endpoint").to_owned());
    }
    assert_eq!(went, ["west", "north"]);
}

#[tokio::test]
async fn a_text_is_never_handed_on() {
    let bench = Bench::start().await;
    bench.only_north();
    behind_a_picker(&bench);
    for (status, body, want) in [
        (429, "inference error: ResourceExhausted - canary", (503, "no_capacity")),
        (503, "upstream connect error or disconnect/reset before headers. reset reason: overflow, canary", (503, "no_capacity")),
        (400, "inference error: BadRequest - canary", (400, "upstream_refused")),
        (413, "Payload Too Large: canary", (413, "upstream_refused")),
    ] {
        let head = vec![("content-type", "text/plain".to_owned())];
        bench.north.then(Reply::Status { status, head, body: body.to_owned() });
        let reply = bench.chat(HELLO).await;
        assert_eq!(reply.error(), (want.0, want.1.to_owned()), "{body}");
        assert_eq!(reply.header("retry-after"), if want.0 == 503 { "1" } else { "" }, "{body}");
    }
}
