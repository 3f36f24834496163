//! What keeps one slow, busy or lost upstream from mattering: units counted per contract, time limits, the probe, the hang-up.

use std::collections::BTreeSet;
use std::time::Duration;

use dispatch::{Known, Outcome, Record, Seen};
use gateway::Limits;
use http_body_util::BodyExt;
use testkit::{Ending, Gate, Reply};

use crate::bench::{Bench, KEY, LAPTOP, Setup, endpoint, sheet};
use crate::limits::hand;

const WHOLE: &str = r#"{"model":"default","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"model":"default","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

/// Prices as in the other tests, but north and west are paid by the units of one contract, which spill nowhere by themselves.
pub fn on_units(bench: &Bench, units_per_minute: i64) {
    let mut sheet = sheet(&bench.fleet);
    let units = bench.fleet.contracts.id("west-provisioned").expect("the laptop fleet has it");
    for name in ["north", "west"] {
        let id = endpoint(&bench.fleet, name);
        let price = sheet.endpoints.iter_mut().find(|price| price.endpoint == id).expect("somebody pays for it");
        let first = price.payers[0].expect("somebody pays");
        price.payers[0] = Some(market::Payer { contract: units, units_per_minute, ..first });
    }
    bench.gateway.set_sheet(sheet);
}

/// Where a request went.
async fn went(bench: &Bench) -> String {
    let reply = bench.chat(WHOLE).await;
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text);
    reply.header("x-baseload-endpoint").to_owned()
}

#[tokio::test]
async fn endpoints_of_one_contract_share_its_units_and_spill_before_any_429() {
    let bench = Bench::of(Setup { fleet: LAPTOP.to_owned(), ..Setup::default() }).await;
    // An answer of a thousand tokens that nobody expected: 7 in and 1,000 out, which count four each.
    bench.north.then(Reply::answer(7, 1_000));
    on_units(&bench, 1_200);
    assert_eq!(went(&bench).await, "north", "the bucket is empty, so the first request fits");
    assert_eq!(went(&bench).await, "spill", "4,007 of 1,200 are taken: west has none left either, as it has the same contract");
    assert!(bench.west.heard().is_empty(), "no 429 was waited for");
}

#[tokio::test]
async fn what_takes_more_than_a_minute_of_units_has_them_while_they_are_idle() {
    let bench = Bench::of(Setup { fleet: LAPTOP.to_owned(), ..Setup::default() }).await;
    on_units(&bench, 60);
    let long = WHOLE.replace("hello", &"hello ".repeat(200));
    for want in ["north", "spill"] {
        bench.north.then(Reply::answer(300, 2));
        assert_eq!(bench.chat(&long).await.header("x-baseload-endpoint"), want);
    }
}

/// What a cache holds weighs little or nothing on units: set aside in full, it would send the next request away from what is idle.
#[tokio::test]
async fn what_the_endpoint_has_in_its_cache_is_not_set_aside_of_its_units() {
    let ((clock, _), fleet) = (hand(), LAPTOP.replace("cached = 0.5", "cached = 0"));
    let mut bench = Bench::of(Setup { fleet, clock, ..Setup::default() }).await;
    on_units(&bench, 100_000);
    let (long, gate) = (WHOLE.replace("hello", &"what a long question ".repeat(60)), Gate::default());
    bench.north.then(Reply::answer(300, 3)).then(Reply::late(&gate, Reply::answer(300, 3))).then(Reply::answer(300, 3));
    bench.chat(&long).await;
    tokio::join!(bench.chat(&long), async {
        bench.north.until_heard(2).await;
        bench.chat(&long).await;
        gate.open(1);
    });
    bench.journal.settled(3).await;
    bench.stop().await;
    let questions = bench.journal.records().into_iter().filter_map(|record| match record {
        Record::Decided { question, .. } => Some(question),
        _ => None,
    });
    let north = endpoint(&bench.fleet, "north");
    let seen: Vec<Seen> =
        questions.map(|question| *question.seen.iter().find(|seen| seen.endpoint == north).expect("it was seen")).collect();
    assert_eq!(seen.len(), 3);
    assert!(seen[1].cached_tokens > 200, "{:?}", seen[1]);
    let set_aside = seen[1].units_left[0] - seen[2].units_left[0];
    assert!((1..200).contains(&set_aside), "{set_aside} of some 300 read, nearly all from the cache, and at most nine tokens said");
}

#[tokio::test]
async fn a_429_fills_the_bucket_and_the_same_request_goes_on() {
    let bench = Bench::start().await;
    on_units(&bench, 1_200);
    bench.north.then(Reply::busy(None));
    assert_eq!(went(&bench).await, "spill", "west has the same units, which are full by the supplier's word");
    assert_eq!(went(&bench).await, "spill");
    assert_eq!((bench.north.heard().len(), bench.west.heard().len()), (1, 0));
    let outcomes: Vec<Outcome> = bench.journal.settled(3).await.iter().map(|settlement| settlement.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Answered, Outcome::Answered]);
}

/// A supplier that is overloaded has not said that the units are used up.
#[tokio::test]
async fn a_503_or_529_moves_on_and_leaves_the_units_as_they_were() {
    for status in [503, 529] {
        let bench = Bench::start().await;
        on_units(&bench, 1_200);
        bench.north.then(Reply::status(status));
        assert_eq!(went(&bench).await, "west", "{status}: the same units, by another endpoint");
        assert_eq!(went(&bench).await, "north", "{status}: and no breaker opened");
        let head = vec![("retry-after", "30".to_owned())];
        bench.north.then(Reply::Status { status, head, body: String::new() });
        assert_eq!([went(&bench).await, went(&bench).await], ["west", "west"], "{status}: it is left alone for as long as it says");
        assert_eq!((bench.north.heard().len(), bench.west.heard().len()), (3, 3));
    }
}

/// North hears this request and does not answer; what `after` does happens, and the client leaves.
async fn leave(bench: &Bench, body: &str, after: impl FnOnce()) {
    let heard = bench.north.heard().len();
    bench.north.then(Reply::Hang(Gate::default()));
    tokio::select! {
        _ = bench.open("POST", "/v1/chat/completions", &[("api-key", KEY)], body) => unreachable!("the gate stays shut"),
        () = bench.north.until_heard(heard + 1) => after(),
    }
}

#[tokio::test]
async fn a_hang_up_before_any_content_leaves_units_taken_as_was_expected() {
    let bench = Bench::start().await;
    on_units(&bench, 6_000);
    leave(&bench, &WHOLE.replace("\"max_tokens\":9", "\"max_tokens\":2000"), || {}).await;
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].known, settled[0].tokens.output), (Known::Bounded, 2_000), "what a bill may say at worst");
    assert_eq!(went(&bench).await, "north", "eight thousand would be more than a minute's");
}

/// Where requests go after three clients have left north without an answer, each after so many seconds, where one that was answered took
/// `usual` of them.
async fn check_left(usual: i64, after: i64, want: &str) {
    let (clock, seconds) = hand();
    let (bench, gate) = (Bench::of(Setup { clock, ..Setup::default() }).await, Gate::default());
    let wait = |time| _ = seconds.fetch_add(time, std::sync::atomic::Ordering::SeqCst);
    bench.north.then(Reply::late(&gate, Reply::answer(7, 2)));
    let (first, ()) = tokio::join!(went(&bench), async {
        bench.north.until_heard(1).await;
        wait(usual);
        gate.open(1);
    });
    assert_eq!(first, "north");
    for settled in 2..5 {
        leave(&bench, WHOLE, || wait(after)).await;
        bench.journal.settled(settled).await;
    }
    assert_eq!(went(&bench).await, want, "{after} s where {usual} s are usual");
}

#[tokio::test]
async fn an_upstream_that_hangs_is_noticed_though_no_client_waits_as_long_as_we_would() {
    check_left(1, 10, "north").await;
    check_left(1, 11, "west").await;
    check_left(20, 80, "north").await;
    check_left(20, 81, "west").await;
}

/// Where streams go after three have had a good head from north and nothing else, each given up after so many seconds, where the first content of
/// one took `usual` of them.
async fn check_silent(usual: i64, after: i64, want: &str) {
    let (clock, seconds) = hand();
    let limits = Limits { first_token_timeout: Duration::from_millis(300), ..Limits::default() };
    let (bench, gate) = (Bench::of(Setup { clock, limits, ..Setup::default() }).await, Gate::default());
    let wait = |time| _ = seconds.fetch_add(time, std::sync::atomic::Ordering::SeqCst);
    bench.north.then(Reply::late(&gate, Reply::stream(2)));
    let (first, ()) = tokio::join!(bench.chat(STREAM), async {
        bench.north.until_heard(1).await;
        wait(usual);
        gate.open(1);
    });
    assert_eq!(first.header("x-baseload-endpoint"), "north");
    bench.journal.settled(1).await;
    for heard in 2..5 {
        bench.north.then(Reply::ending(0, Ending::Hang));
        bench.west.then(Reply::stream(2));
        let (moved, ()) = tokio::join!(bench.chat(STREAM), async {
            bench.north.until_heard(heard).await;
            wait(after);
        });
        assert_eq!(moved.header("x-baseload-endpoint"), "west", "{}", moved.text);
    }
    for upstream in [&bench.north, &bench.west] {
        upstream.then(Reply::stream(2));
    }
    let last = bench.chat(STREAM).await;
    assert_eq!(last.header("x-baseload-endpoint"), want, "{after} s where {usual} s are usual");
}

#[tokio::test]
async fn an_upstream_that_has_a_good_head_and_nothing_else_is_noticed_where_others_had_content_far_sooner() {
    check_silent(1, 10, "north").await;
    check_silent(1, 11, "west").await;
    check_silent(20, 80, "north").await;
}

/// A request weighs 40 or more of the 120 that the units handle a minute: without a word of when, it fits again after twenty seconds.
#[tokio::test]
async fn a_429_that_says_when_gives_the_units_back_then() {
    let bench = Bench::start().await;
    on_units(&bench, 120);
    let head = vec![("retry-after-ms", "1".to_owned())];
    bench.north.then(Reply::Status { status: 429, head, body: String::new() });
    let back = async { while went(&bench).await == "spill" {} };
    tokio::time::timeout(Duration::from_secs(6), back).await.expect("the supplier said a thousandth of a second");
    assert_eq!(bench.north.heard().len() + bench.west.heard().len(), 2, "the one that was refused and the one that fits");
}

#[tokio::test]
async fn a_date_to_come_back_is_kept_to() {
    let bench = Bench::start().await;
    let date = |text: &str| text.to_owned();
    let head = vec![("retry-after", date("Sun, 22 Nov 2026 09:00:30 GMT")), ("date", date("Sun, 22 Nov 2026 09:00:00 GMT"))];
    bench.north.then(Reply::Status { status: 429, head, body: String::new() });
    for _ in 0..3 {
        assert_eq!(went(&bench).await, "west");
    }
    assert_eq!(bench.north.heard().len(), 1);
}

/// North hangs in this way; the request is answered by west, or its stream ends with an error, and only the limit that is short can have
/// done it, as all others are the usual minutes.
async fn check(limits: Limits, body: &str, hangs: Reply, went_on: bool) {
    let (bench, shown) = (Bench::with(limits).await, format!("{hangs:?}"));
    bench.north.then(hangs);
    bench.west.then(if body == STREAM { Reply::stream(2) } else { Reply::answer(7, 2) });
    let reply = bench.chat(body).await;
    assert_eq!(reply.header("x-baseload-endpoint"), if went_on { "west" } else { "north" }, "{shown}: {}", reply.text);
    assert_eq!(reply.text.contains("upstream_lost"), !went_on, "{shown}: {}", reply.text);
    bench.north.until_left(1).await;
}

#[tokio::test]
async fn each_time_limit_is_kept_to_by_itself() {
    let (short, usual) = (Duration::from_millis(300), Limits::default);
    let stream = |events| Reply::ending(events, Ending::Hang);
    check(Limits { first_token_timeout: short, ..usual() }, STREAM, Reply::Hang(Gate::default()), true).await;
    check(Limits { first_token_timeout: short, ..usual() }, STREAM, stream(0), true).await;
    check(Limits { between_tokens_timeout: short, ..usual() }, STREAM, stream(3), false).await;
    check(Limits { answer_timeout: short, ..usual() }, STREAM, stream(0), true).await;
    check(Limits { answer_timeout: short, ..usual() }, WHOLE, Reply::Hang(Gate::default()), true).await;
}

#[tokio::test]
async fn an_address_that_takes_no_connection_is_given_up_on() {
    // The listener's queue is full, so that the next connection waits as it would for a host that is gone.
    let limits = Limits { connect_timeout: Duration::from_millis(300), ..Limits::default() };
    let bench = Bench::with(limits).await;
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("it is bound");
    let mut fillers = Vec::new();
    for _ in 0..4 {
        let connecting = tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address));
        fillers.extend(connecting.await.ok());
    }
    bench.gateway.set_upstream(endpoint(&bench.fleet, "north"), Some(address)).expect("it is this machine");
    assert_eq!(went(&bench).await, "west");
    let settled = bench.journal.settled(2).await;
    assert_eq!((settled[0].outcome, settled[0].tokens.output), (Outcome::Failed, 0), "nothing was sent, so nothing is owed");
}

#[tokio::test]
async fn one_probe_at_a_time_goes_to_an_upstream_that_failed() {
    let bench = Bench::start().await;
    for _ in 0..3 {
        bench.north.then(Reply::status(500));
    }
    for _ in 0..3 {
        assert_eq!(went(&bench).await, "west");
    }
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate.clone()));
    // The back-off is half a second: until it is over all go to west, then one goes to north and hangs there.
    let bench = &bench;
    let probe = async { while went(bench).await == "west" {} };
    let others = async {
        bench.north.until_heard(4).await;
        let others: BTreeSet<String> = [went(bench).await, went(bench).await, went(bench).await].into();
        assert_eq!(others, BTreeSet::from(["west".to_owned()]), "the probe is under way");
        assert_eq!(bench.north.heard().len(), 4);
        gate.open(1);
    };
    tokio::join!(probe, others);
    assert_eq!(went(bench).await, "north", "the probe was answered");
}

#[tokio::test]
async fn an_upstream_with_a_stream_under_way_is_probed_all_the_same() {
    let (bench, gate) = (Bench::start().await, Gate::default());
    bench.north.then(Reply::Stream { events: 1, usage: None, ending: Ending::Whole, gate: Some(gate.clone()) });
    let bench = &bench;
    let streamed = bench.chat(STREAM);
    let probed = async {
        bench.north.until_heard(1).await;
        for _ in 0..3 {
            bench.north.then(Reply::status(500));
        }
        for _ in 0..3 {
            assert_eq!(went(bench).await, "west");
        }
        while went(bench).await == "west" {}
        gate.open(9);
    };
    assert_eq!(tokio::join!(streamed, probed).0.status, 200);
}

#[tokio::test]
async fn an_answer_that_is_too_long_was_generated_and_vectors_are_not_asked_for_again() {
    let fleet = LAPTOP.replace("capabilities = [", "capabilities = [\"embeddings\", ");
    let bearer = format!("Bearer {KEY}");
    let limits = Limits { upstream_body_bytes_max: 100, ..Limits::default() };
    let bench = Bench::of(Setup { fleet, limits, ..Setup::default() }).await;
    for _ in 0..4 {
        bench.north.then(Reply::answer(7, 9));
        let reply = bench
            .send(
                "POST",
                "/v1/embeddings",
                &[("authorization", &bearer), ("content-type", "application/json")],
                r#"{"model":"default","input":["a"]}"#,
            )
            .await;
        assert_eq!(reply.error(), (502, "answer_too_large".to_owned()));
    }
    let settled = bench.journal.settled(4).await;
    assert!(settled.iter().all(|one| (one.outcome, one.known) == (Outcome::Failed, Known::Bounded)), "{settled:?}");
    assert_eq!((bench.north.heard().len(), bench.west.heard().len()), (4, 0), "nobody is blamed for it");
    bench.chat(WHOLE).await.error();
    assert!(bench.west.heard().len() == 1 && bench.journal.settled(6).await[4].known == Known::Bounded, "text that long is no answer");
}

#[tokio::test]
async fn no_more_is_reckoned_with_than_a_context_holds() {
    let bench = Bench::start().await;
    for (count, (asked, most)) in [(50, 50), (4_000_000_000_u32, 2_048)].into_iter().enumerate() {
        bench.north.then(Reply::Drop);
        let body = format!(r#"{{"model":"default","max_tokens":{asked},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        assert_eq!(bench.chat(&body).await.status, 200);
        let lost = bench
            .journal
            .settled(2 * (count + 1))
            .await
            .into_iter()
            .rfind(|one| one.known == Known::Bounded)
            .expect("what became of it is unknown");
        assert_eq!(lost.tokens.output, most, "{asked}");
    }
}

#[tokio::test]
async fn an_upstream_sees_a_hang_up_before_the_next_event_wherever_it_comes() {
    for seen in [1_usize, 3, 8] {
        let (bench, gate) = (Bench::start().await, Gate::default());
        bench.north.then(Reply::Stream { events: 1_000, usage: None, ending: Ending::Whole, gate: Some(gate.clone()) });
        gate.open(seen);
        let (connection, response) = bench.open("POST", "/v1/chat/completions", &[("api-key", KEY)], STREAM).await;
        let (mut body, mut delivered) = (response.into_body(), 0);
        while delivered < seen {
            let frame = body.frame().await.expect("a frame").expect("no error").into_data().expect("data");
            delivered += String::from_utf8_lossy(&frame).matches("data: ").count();
        }
        drop((connection, body));
        bench.north.until_left(1).await;
        let settled = bench.journal.settled(1).await;
        let (metered, generated) = (settled[0].tokens.output as usize, bench.north.generated() as usize);
        assert_eq!(settled[0].outcome, Outcome::ClientGone);
        assert!(delivered <= metered && metered <= generated && generated <= seen, "{delivered} <= {metered} <= {generated} <= {seen}");
    }
}

#[tokio::test]
async fn wherever_a_stream_is_cut_no_more_is_metered_than_was_generated_and_no_less_than_delivered() {
    for ending in [Ending::Reset, Ending::Silent, Ending::Error] {
        for events in [1_u32, 2, 5, 9] {
            let bench = Bench::start().await;
            bench.north.then(Reply::ending(events, ending));
            let reply = bench.chat(STREAM).await;
            let delivered = reply.events().iter().filter(|event| event.contains("\"content\"")).count();
            let settled = bench.journal.settled(1).await;
            let (metered, generated) = (settled[0].tokens.output as usize, bench.north.generated() as usize);
            assert_eq!((settled[0].outcome, reply.events().last() == Some(&"[DONE]")), (Outcome::Cut, false), "{ending:?} after {events}");
            assert!(delivered <= metered && metered <= generated, "{ending:?}: {delivered} <= {metered} <= {generated}");
        }
    }
}

/// Keeps every line, up to so many.
#[derive(Default)]
struct Kept(std::sync::Mutex<Vec<String>>);

impl gateway::Log for Kept {
    fn line(&self, line: String) -> bool {
        let mut kept = self.0.lock().expect("no test panics with it");
        let room = kept.len() < 3;
        if room {
            kept.push(line);
        }
        room
    }
}

#[tokio::test]
async fn the_log_says_what_happened_and_nothing_of_what_was_said() {
    let (bench, kept) = (Bench::start().await, std::sync::Arc::new(Kept::default()));
    bench.gateway.set_log(std::sync::Arc::clone(&kept) as _);
    let prompt = r#"{"model":"default","user":"somebody","messages":[{"role":"user","content":"a secret plan"}]}"#;
    bench.north.then(Reply::page(500));
    assert_eq!(bench.chat(prompt).await.header("x-baseload-endpoint"), "west");
    assert_eq!(bench.chat(r#"{"model":"a secret model","messages":[]}"#).await.status.as_u16(), 404);
    bench.chat(r#"{"model":"another"}"#).await;
    let lines = kept.0.lock().expect("no test panics with it").clone();
    let of = |line: &String| serde_json::from_str::<serde_json::Value>(line).expect("a JSON object");
    let told: Vec<_> = lines.iter().map(of).collect();
    let words = |field: &str| told.iter().map(|line| line[field].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>();
    assert_eq!(words("event"), ["attempt", "attempt", "refused"]);
    assert_eq!((words("endpoint"), words("outcome")), (vec_of(["north", "west", "-"]), vec_of(["failed", "answered", "-"])));
    assert_eq!(
        (told[1]["output_tokens"].as_u64(), told[1]["tier"].as_str(), told[2]["code"].as_str()),
        (Some(5), Some("default"), Some("model_not_found"))
    );
    for hidden in ["secret", "canary", "somebody", "scripted"] {
        assert!(lines.iter().all(|line| !line.contains(hidden)), "{hidden} in {lines:?}");
    }
    assert!(bench.get("/metrics").await.text.contains("baseload_lost_log_lines_total 1\n"), "the fourth had no room");
}

#[tokio::test]
async fn a_collector_by_https_is_spoken_to_by_tls() {
    let (bench, collector) = (Bench::start().await, tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port"));
    let address = collector.local_addr().expect("it is bound");
    bench.gateway.export_traces(&format!("https://{address}")).expect("it is an address");
    bench.chat(WHOLE).await;
    let (mut stream, _) = collector.accept().await.expect("a connection");
    // A record of a handshake begins so; nothing is sent before it.
    assert_eq!(tokio::io::AsyncReadExt::read_u8(&mut stream).await.expect("it begins"), 0x16);
}

#[tokio::test]
async fn a_collector_gets_a_span_of_each_attempt_in_the_clients_trace() {
    let (bench, collector) = (Bench::start().await, testkit::Upstream::start().await.expect("a port"));
    bench.gateway.export_traces(&format!("http://{}/", collector.address())).expect("it is an address");
    bench.north.then(Reply::page(500));
    let head = [("api-key", KEY), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
    let reply = bench.send("POST", "/v1/chat/completions", &head, WHOLE).await;
    assert_eq!(reply.header("x-baseload-endpoint"), "west");
    let unsampled = [("api-key", KEY), ("traceparent", "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00")];
    bench.send("POST", "/v1/chat/completions", &unsampled, WHOLE).await;
    bench.chat(WHOLE).await;
    let mut spans = Vec::new();
    for batch in 1.. {
        collector.until_heard(batch).await;
        let heard = collector.heard();
        assert_eq!(heard[batch - 1].path, "/v1/traces");
        let document = heard[batch - 1].json().expect("JSON");
        spans.extend(document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans").clone());
        if spans.len() == 3 {
            break;
        }
    }
    let of = |span: &serde_json::Value, key: &str| {
        let attributes = span["attributes"].as_array().expect("attributes");
        attributes.iter().find(|attribute| attribute["key"] == key).map(|attribute| attribute["value"].to_string()).unwrap_or_default()
    };
    let told: Vec<_> = spans.iter().map(|span| (of(span, "baseload.endpoint"), of(span, "baseload.outcome"))).collect();
    assert!(
        told[0].0.contains("north") && told[0].1.contains("failed") && told[1].0.contains("west") && told[1].1.contains("answered"),
        "{told:?}"
    );
    for span in &spans[..2] {
        assert_eq!(
            (span["traceId"].as_str(), span["parentSpanId"].as_str()),
            (Some("0af7651916cd43dd8448eb211c80319c"), Some("b7ad6b7169203331"))
        );
    }
    assert_ne!(spans[0]["spanId"], spans[1]["spanId"], "each attempt has its own");
    // An upstream's spans are within its attempt's; what is not traced goes on as it came.
    let heard = |upstream: &testkit::Upstream| {
        upstream.heard().iter().map(|heard| heard.header("traceparent").unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let within =
        |span: &serde_json::Value| format!("00-{}-{}-01", span["traceId"].as_str().unwrap_or(""), span["spanId"].as_str().unwrap_or(""));
    assert_eq!((&heard(&bench.north)[0], &heard(&bench.west)[0]), (&within(&spans[0]), &within(&spans[1])));
    assert!([heard(&bench.north), heard(&bench.west)].concat().contains(&unsampled[1].1.to_owned()));
    assert_eq!(of(&spans[0], "gen_ai.provider.name"), r#"{"stringValue":"openai"}"#);
    assert_eq!(
        (of(&spans[1], "gen_ai.usage.output_tokens"), spans[1]["status"]["code"].as_i64()),
        (r#"{"intValue":"5"}"#.to_owned(), Some(0))
    );
    assert_eq!((spans[2]["parentSpanId"].as_str(), spans[2]["name"].as_str()), (Some(""), Some("chat smollm2-135m")), "a trace of its own");
    let all = spans.iter().map(ToString::to_string).collect::<String>();
    assert!(!all.contains("hello") && !all.contains("canary"), "no prompt and no secret: {all}");
}

#[tokio::test]
async fn a_collector_that_is_gone_or_hangs_costs_spans_and_nothing_else() {
    let bench = Bench::start().await;
    for bad in ["", "127.0.0.1:4318", "https://key@collector.example.com", "http://"] {
        assert!(bench.gateway.export_traces(bad).is_err(), "{bad:?}");
    }
    let nowhere = testkit::Upstream::nowhere().await.expect("a port");
    bench.gateway.export_traces(&format!("http://{nowhere}")).expect("it is an address");
    assert_eq!(went(&bench).await, "north");
    loop {
        let metrics = bench.get("/metrics").await.text;
        if metrics.contains("baseload_lost_spans_total 1\n") {
            break;
        }
        assert!(metrics.contains("baseload_lost_spans_total 0\n"), "{metrics}");
    }
}

fn vec_of<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}
