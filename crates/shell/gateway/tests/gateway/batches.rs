//! Files and batches, over a state directory that outlives its gateway.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dispatch::Record;
use fleet::ServiceTier;
use gateway::Limits;
use ledger::{KeyRow, Store};
use serde_json::{Value, json};
use testkit::{Gate, Reply};

use crate::bench::{Bench, KEY, LAPTOP, Setup, key};
use crate::limits::hand;

/// A folder with a ledger in it.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fleet = Arc::new(fleet::parse(LAPTOP).fleet.expect("the laptop fleet is good"));
    let now = gateway::Clock::system().now();
    drop(Store::open(folder.path(), LAPTOP, fleet, now).expect("a new ledger"));
    folder
}

pub async fn over(folder: &Path) -> Bench {
    over_with(folder, Setup::default()).await
}

async fn over_with(folder: &Path, setup: Setup) -> Bench {
    let limits = Limits { drain_timeout: Duration::from_millis(50), ..setup.limits };
    Bench::of(Setup { limits, directory: Some(folder.to_owned()), ..setup }).await
}

async fn post(bench: &Bench, path: &str, body: &str) -> crate::bench::Reply {
    bench.send("POST", path, &[("authorization", &format!("Bearer {KEY}"))], body).await
}

async fn form(bench: &Bench, fields: &[(&str, &str)]) -> crate::bench::Reply {
    let part = |(name, value): &(&str, &str)| match *name {
        "file" => format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{value}\r\n"),
        name => format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"),
    };
    let body: String = fields.iter().map(part).chain(["--edge--\r\n".to_owned()]).collect();
    let head = [("authorization", format!("Bearer {KEY}")), ("content-type", "multipart/form-data; boundary=edge".to_owned())];
    let head: Vec<(&str, &str)> = head.iter().map(|(name, value)| (*name, value.as_str())).collect();
    bench.send("POST", "/v1/files", &head, &body).await
}

fn line(id: &str, more: &str) -> String {
    format!(r#"{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{{"model":"default","messages":[]{more}}}}}"#)
}

async fn order(bench: &Bench, lines: &[String]) -> Value {
    order_of(bench, "/v1/chat/completions", lines).await
}

async fn order_of(bench: &Bench, call: &str, lines: &[String]) -> Value {
    let file = form(bench, &[("purpose", "batch"), ("file", &lines.join("\n"))]).await;
    assert_eq!(file.status, 200, "{}", file.text);
    let body = json!({
        "input_file_id": file.json()["id"], "endpoint": call, "completion_window": "24h", "metadata": { "a": "b" },
    });
    let made = post(bench, "/v1/batches", &body.to_string()).await;
    assert_eq!((made.status.as_u16(), &made.json()["status"]), (200, &json!("validating")), "{}", made.text);
    made.json()
}

/// Looks at a batch until it is like this.
async fn until(bench: &Bench, batch: &Value, holds: impl Fn(&Value) -> bool) -> Value {
    let id = batch["id"].as_str().expect("an id");
    let looked = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let now = bench.get(&format!("/v1/batches/{id}")).await.json();
            if holds(&now) {
                return now;
            }
        }
    });
    looked.await.expect("it comes to that")
}

/// The lines of a file, by their custom id.
async fn told(bench: &Bench, file: &Value) -> Vec<(String, Value)> {
    let Some(id) = file.as_str() else { return Vec::new() };
    let content = bench.get(&format!("/v1/files/{id}/content")).await;
    assert_eq!(content.status, 200, "{}", content.text);
    let mut lines: Vec<(String, Value)> = content
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|line| (line["custom_id"].as_str().expect("an id").to_owned(), line))
        .collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

#[tokio::test]
async fn a_batch_is_answered_line_by_line_as_requests_of_its_tier_under_its_key() {
    let (folder, body) = (folder(), r#"{"error":{"message":"too hot","type":"invalid_request_error","param":"temperature","code":"bad"}}"#);
    let bench = over(folder.path()).await;
    let bad = Reply::Status { status: 400, head: vec![("content-type", "application/json".to_owned())], body: body.to_owned() };
    bench.north.then(Reply::answer(7, 5)).then(bad).then(Reply::answer(7, 5));
    let made = order(&bench, &[line("a", ""), line("b", r#","service_tier":"priority""#), line("c", "")]).await;
    let done = until(&bench, &made, |batch| batch["status"] == "completed").await;
    assert_eq!(done["request_counts"], json!({ "total": 3, "completed": 2, "failed": 1 }));
    assert_eq!((&done["metadata"], &done["errors"]), (&json!({ "a": "b" }), &Value::Null));
    let usage = json!({
        "input_tokens": 14, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": 10, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 24,
    });
    assert_eq!((&done["model"], &done["usage"]), (&json!("smollm2-135m"), &usage));
    for time in ["created_at", "in_progress_at", "finalizing_at", "completed_at"] {
        assert!(done[time].is_i64(), "{time}");
    }
    let (good, failed) = (told(&bench, &done["output_file_id"]).await, told(&bench, &done["error_file_id"]).await);
    assert_eq!((good.len(), failed.len()), (2, 1));
    assert!(good.iter().all(|(_, line)| line["response"]["status_code"] == 200 && line["error"].is_null()));
    assert_eq!(good[0].1["response"]["body"]["choices"][0]["message"]["content"], "scripted answer");
    assert_eq!((&failed[0].1["response"]["status_code"], &failed[0].1["response"]["body"]["error"]["code"]), (&json!(400), &json!("bad")));
    let mut ids: Vec<String> = [good, failed].concat().into_iter().map(|(id, _)| id).collect();
    ids.sort();
    assert_eq!(ids, ["a", "b", "c"]);
    let decided = bench.journal.records().into_iter().filter_map(|record| match record {
        Record::Decided { question, key, .. } => Some((question.ask.tier, key.0)),
        _ => None,
    });
    assert_eq!(decided.collect::<Vec<_>>(), vec![(ServiceTier::Batch, 1); 3], "each line is an ordinary request");
    let heard = bench.north.heard();
    assert!(heard.iter().all(|heard| !String::from_utf8_lossy(&heard.body).contains("service_tier")), "an upstream would bill by it");
}

/// Two lines of 7 and 5 tokens, a live `flex` request of 100 and 10, and one as usual of 1,000 and 20.
#[tokio::test]
async fn usage_tells_batches_and_tiers_apart() {
    let folder = folder();
    let bench = over(folder.path()).await;
    bench.only_north();
    bench.north.then(Reply::answer(7, 5)).then(Reply::answer(7, 5)).then(Reply::answer(100, 10)).then(Reply::answer(1_000, 20));
    let made = order(&bench, &[line("a", ""), line("b", r#","service_tier":"priority""#)]).await;
    until(&bench, &made, |batch| batch["status"] == "completed").await;
    for tier in ["flex", "auto"] {
        let body = json!({ "model": "default", "service_tier": tier, "messages": [] });
        assert_eq!(bench.chat(&body.to_string()).await.status, 200);
    }
    bench.journal.settled(4).await;
    book(folder.path(), &bench);

    let groups = "group_by=batch&group_by=service_tier";
    assert_eq!(usage(&bench, groups).await, ["false default 1 1000 20", "false flex 1 100 10", "true flex 2 14 10"]);
    assert_eq!(usage(&bench, "group_by=batch").await, ["false null 2 1100 30", "true null 2 14 10"]);
    assert_eq!(usage(&bench, "group_by=service_tier").await, ["null default 1 1000 20", "null flex 3 114 20"]);
    assert_eq!(usage(&bench, "batch=true").await, ["null null 2 14 10"]);
    assert_eq!(usage(&bench, "batch=false&group_by=service_tier").await, ["null default 1 1000 20", "null flex 1 100 10"]);
}

/// The contracts that costs of today and yesterday are told of.
async fn items(bench: &Bench, query: &str) -> Vec<String> {
    let since = gateway::Clock::system().now().micros() / 1_000_000 - 86_400;
    let page = bench.get(&format!("/v1/organization/costs?start_time={since}&group_by=line_item{query}")).await.json();
    let results = page["data"].as_array().expect("buckets").iter().flat_map(|bucket| bucket["results"].as_array().expect("results"));
    results.map(|result| result["line_item"].as_str().expect("a contract").to_owned()).collect()
}

#[tokio::test]
async fn reports_are_narrowed_by_what_the_ledger_knows() {
    let folder = folder();
    let bench = over(folder.path()).await;
    assert_eq!(bench.chat(r#"{"model":"default","service_tier":"fast","messages":[]}"#).await.status, 200);
    bench.journal.settled(1).await;
    book(folder.path(), &bench);
    let all = items(&bench, "").await;
    let one = all.first().expect("some contract costs something").clone();
    let of_one: Vec<String> = all.iter().filter(|item| **item == one).cloned().collect();
    assert_eq!(items(&bench, &format!("&line_items={one}&group_by=user_id&group_by=api_source")).await, of_one);
    assert!(items(&bench, "&line_items=nobody").await.is_empty());
    // Nothing is of any project or user.
    assert!(items(&bench, "&project_ids=x").await.is_empty());
    assert_eq!(usage(&bench, "group_by=service_tier&group_by=api_source").await, ["null priority 1 7 5"]);
    assert!(usage(&bench, "user_ids=x").await.is_empty());
}

/// Puts what was journaled into the ledger of a folder.
pub fn book(folder: &Path, bench: &Bench) {
    let (store, _) = Store::open(folder, LAPTOP, Arc::clone(&bench.fleet), gateway::Clock::system().now()).expect("the ledger opens");
    for record in bench.journal.records().iter().filter(|record| !matches!(record, Record::Held(_))) {
        store.append(record).expect("booked");
    }
    store.flush().expect("committed");
}

/// What is told of today and yesterday: whether it was a batch, the tier, requests and tokens in and out.
async fn usage(bench: &Bench, query: &str) -> Vec<String> {
    let since = gateway::Clock::system().now().micros() / 1_000_000 - 3_600;
    let page = bench.get(&format!("/v1/organization/usage/completions?start_time={since}&{query}")).await.json();
    let results = page["data"].as_array().expect("buckets").iter().flat_map(|bucket| bucket["results"].as_array().expect("results"));
    let mut sums = std::collections::BTreeMap::<String, [i64; 3]>::new();
    for result in results {
        let of = format!("{} {}", result["batch"], result["service_tier"]).replace('"', "");
        let more = ["num_model_requests", "input_tokens", "output_tokens"].map(|name| result[name].as_i64().expect("a number"));
        sums.entry(of).or_default().iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    sums.into_iter().map(|(of, [requests, input, output])| format!("{of} {requests} {input} {output}")).collect()
}

#[tokio::test]
async fn an_answered_line_never_runs_again_and_stands_in_the_output_once() {
    let folder = folder();
    let (made, heard) = {
        let bench = over(folder.path()).await;
        let gate = Gate::default();
        bench.only_north();
        bench.north.then(Reply::answer(7, 5)).then(Reply::Hang(gate.clone())).then(Reply::Hang(gate));
        let made = order(&bench, &[line("a", ""), line("b", ""), line("c", "")]).await;
        let half = until(&bench, &made, |batch| batch["request_counts"]["completed"] == 1).await;
        assert_eq!(half["status"], "in_progress");
        bench.north.until_heard(2).await;
        let mut bench = bench;
        bench.stop().await;
        (made, bench.north.heard().len())
    };
    assert!((2..=3).contains(&heard));
    let bench = over(folder.path()).await;
    let done = until(&bench, &made, |batch| batch["status"] == "completed").await;
    assert_eq!(done["request_counts"], json!({ "total": 3, "completed": 3, "failed": 0 }));
    assert_eq!(bench.north.heard().len(), 2, "only what had no answer ran again");
    let ids: Vec<String> = told(&bench, &done["output_file_id"]).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

/// Status and code of each refused line.
fn refusals(failed: &[(String, Value)]) -> Vec<(&Value, &Value)> {
    let response = failed.iter().map(|(_, line)| &line["response"]);
    response.map(|response| (&response["status_code"], &response["body"]["error"]["code"])).collect()
}

#[tokio::test]
async fn an_answer_that_is_always_too_large_is_paid_for_once() {
    let folder = folder();
    let fleet = LAPTOP.replace(r#"["chat", "completions"]"#, r#"["chat", "completions", "embeddings"]"#);
    let limits = Limits { upstream_body_bytes_max: 4_096, ..Limits::default() };
    let bench = over_with(folder.path(), Setup { fleet, limits, ..Setup::default() }).await;
    bench.only_north();
    let head = vec![("content-type", "application/json".to_owned())];
    bench.north.then(Reply::Status { status: 200, head, body: format!(r#"{{"data":"{}"}}"#, "x".repeat(5_000)) });
    let line = r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"default","input":"x"}}"#;
    let made = order_of(&bench, "/v1/embeddings", &[line.to_owned()]).await;
    let done = until(&bench, &made, |batch| batch["status"] == "completed").await;
    let failed = told(&bench, &done["error_file_id"]).await;
    assert_eq!(refusals(&failed), [(&json!(502), &json!("answer_too_large"))]);
    assert_eq!(bench.north.heard().len(), 1);
}

#[tokio::test]
async fn a_line_whose_upstreams_are_lost_with_it_is_paid_for_three_times_at_most() {
    let folder = folder();
    let bench = over(folder.path()).await;
    bench.only_north();
    bench.north.then(Reply::Half).then(Reply::Half).then(Reply::Half);
    let made = order(&bench, &[line("a", "")]).await;
    bench.north.until_heard(3).await;
    let done = until(&bench, &made, |batch| batch["status"] == "completed").await;
    let failed = told(&bench, &done["error_file_id"]).await;
    assert_eq!(refusals(&failed), [(&json!(503), &json!("no_capacity"))]);
    assert_eq!((bench.north.heard().len(), bench.journal.settled(3).await.len()), (3, 3));
}

/// A batch of three lines of which one is answered, and its gateway stopped.
async fn answered_one(folder: &Path) -> Value {
    let (mut bench, gate) = (over(folder).await, Gate::default());
    bench.only_north();
    bench.north.then(Reply::answer(7, 5)).then(Reply::Hang(gate.clone())).then(Reply::Hang(gate));
    let made = order(&bench, &[line("a", ""), line("b", ""), line("c", "")]).await;
    until(&bench, &made, |batch| batch["request_counts"]["completed"] == 1).await;
    bench.stop().await;
    made
}

#[tokio::test]
async fn a_batch_whose_model_is_gone_gives_what_was_answered_and_says_so_of_the_rest() {
    let folder = folder();
    let made = answered_one(folder.path()).await;
    let fleet = LAPTOP.replace(r#"aliases = ["default"]"#, r#"aliases = ["other"]"#);
    let bench = over_with(folder.path(), Setup { fleet, ..Setup::default() }).await;
    let done = until(&bench, &made, |batch| batch["status"] == "completed").await;
    assert_eq!(done["request_counts"], json!({ "total": 3, "completed": 1, "failed": 2 }));
    assert_eq!(told(&bench, &done["output_file_id"]).await.len(), 1);
    let failed = told(&bench, &done["error_file_id"]).await;
    assert_eq!(refusals(&failed), [(&json!(404), &json!("model_not_found")); 2]);
    assert!(bench.north.heard().is_empty(), "nothing ran");
}

#[tokio::test]
async fn a_batch_that_fails_gives_what_was_answered() {
    let folder = folder();
    let made = answered_one(folder.path()).await;
    let input = made["input_file_id"].as_str().expect("an id");
    std::fs::write(folder.path().join("files").join(input), "damaged").expect("it is there");
    let bench = over(folder.path()).await;
    let failed = until(&bench, &made, |batch| batch["status"] == "failed").await;
    assert_eq!(failed["errors"]["data"][0]["code"], "storage_failed");
    let ids: Vec<String> = told(&bench, &failed["output_file_id"]).await.into_iter().map(|(id, _)| id).collect();
    // Its lines run at once: any of them may have been the first.
    assert!(matches!(ids.as_slice(), [id] if ["a", "b", "c"].contains(&id.as_str())), "{ids:?}");
    assert_eq!(failed["error_file_id"], Value::Null);
}

/// The errors of a batch whose input is this: code, param and line of each.
async fn check_flaws(lines: &[String], want: &[(&str, Value, Value)]) {
    let folder = folder();
    let bench = over(folder.path()).await;
    let made = order(&bench, lines).await;
    let failed = until(&bench, &made, |batch| batch["status"] == "failed").await;
    let flaws = failed["errors"]["data"].as_array().expect("errors").clone();
    let got: Vec<(Value, Value, Value)> =
        flaws.iter().map(|flaw| (flaw["code"].clone(), flaw["param"].clone(), flaw["line"].clone())).collect();
    let want: Vec<(Value, Value, Value)> = want.iter().map(|(code, param, line)| (json!(code), param.clone(), line.clone())).collect();
    assert_eq!(got, want);
    assert!(bench.north.heard().is_empty(), "nothing ran");
}

#[tokio::test]
async fn an_input_is_checked_line_by_line() {
    let other = |field: &str, value: &str| {
        let mut line: Value = serde_json::from_str(&line("x", "")).expect("JSON");
        line[field] = json!(value);
        line.to_string()
    };
    let lines = [
        line("a", ""),
        "{nonsense".to_owned(),
        String::new(),
        line("a", ""),
        other("method", "GET"),
        line("b", "").replace("/v1/chat/completions", "/v1/embeddings"),
        line("c", "").replace("default", "none"),
        line("d", r#","stream":true"#),
        line("e", r#","n":"x""#),
        r#"{"method":"POST"}"#.to_owned(),
        line(&"i".repeat(512), r#","stream":true"#),
        line(&"i".repeat(513), ""),
    ];
    // Empty lines are not counted.
    check_flaws(
        &lines,
        &[
            ("invalid_json_line", Value::Null, json!(2)),
            ("duplicate_custom_id", json!("custom_id"), json!(3)),
            ("invalid_method", json!("method"), json!(4)),
            ("invalid_url", json!("url"), json!(5)),
            ("model_not_found", json!("body.model"), json!(6)),
            ("invalid_value", json!("body.stream"), json!(7)),
            ("invalid_value", json!("body.n"), json!(8)),
            ("missing_required_parameter", json!("custom_id"), json!(9)),
            ("invalid_value", json!("body.stream"), json!(10)),
            ("string_above_max_length", json!("custom_id"), json!(11)),
        ],
    )
    .await;
    check_flaws(&[String::new()], &[("empty_file", Value::Null, Value::Null)]).await;
}

#[tokio::test]
async fn a_cancelled_batch_says_what_never_ran() {
    let (folder, gate) = (folder(), Gate::default());
    let bench = over(folder.path()).await;
    bench.only_north();
    let lines: Vec<String> = (0..20).map(|number| line(&format!("l{number:02}"), "")).collect();
    for _ in 0..20 {
        bench.north.then(Reply::Hang(gate.clone()));
    }
    let made = order(&bench, &lines).await;
    bench.north.until_heard(1).await;
    let id = made["id"].as_str().expect("an id");
    let cancelled = post(&bench, &format!("/v1/batches/{id}/cancel"), "").await;
    assert_eq!((cancelled.status.as_u16(), &cancelled.json()["status"]), (200, &json!("cancelling")));
    gate.open(20);
    let done = until(&bench, &made, |batch| batch["status"] == "cancelled").await;
    let (ran, never) = (told(&bench, &done["output_file_id"]).await, told(&bench, &done["error_file_id"]).await);
    assert_eq!((ran.len() + never.len(), ran.len()), (20, bench.north.heard().len()));
    assert!(never.iter().all(|(_, line)| line["error"]["code"] == "batch_cancelled" && line["response"].is_null()));
    let again = post(&bench, &format!("/v1/batches/{id}/cancel"), "").await;
    assert_eq!(again.json()["status"], "cancelled");
}

#[tokio::test]
async fn lines_take_all_slots_of_an_endpoint_that_idles_but_one() {
    let (folder, gate) = (folder(), Gate::default());
    let fleet = Setup::default().fleet.replace("slots = 4", "slots = 24");
    let bench = over_with(folder.path(), Setup { fleet, ..Setup::default() }).await;
    bench.only_north();
    let lines: Vec<String> = (0..40).map(|number| line(&format!("l{number:02}"), "")).collect();
    for _ in 0..lines.len() {
        bench.north.then(Reply::late(&gate, Reply::answer(7, 5)));
    }
    let made = order(&bench, &lines).await;
    bench.north.until_heard(23).await;
    assert_eq!(bench.north.heard().len(), 23);
    gate.open(lines.len());
    let done = until(&bench, &made, |batch| batch["status"] == "completed").await;
    assert_eq!(done["request_counts"], json!({ "total": 40, "completed": 40, "failed": 0 }));
}

#[tokio::test]
async fn prices_noted_for_batches_outlive_their_gateway() {
    let (folder, (clock, seconds)) = (folder(), hand());
    let path = folder.path().join("noted-prices.json");
    for noted in 1..4 {
        let mut bench = over_with(folder.path(), Setup { clock: clock.clone(), ..Setup::default() }).await;
        let written = async {
            loop {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let prices = serde_json::from_str::<Value>(&text).unwrap_or_default();
                if prices["models"]["smollm2-135m"].as_array().is_some_and(|prices| prices.len() == noted) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), written).await.expect("it is written at the start");
        bench.stop().await;
        seconds.fetch_add(60, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn metadata_past_openais_bounds_is_refused() {
    let folder = folder();
    let bench = over(folder.path()).await;
    let file = form(&bench, &[("purpose", "batch"), ("file", &line("a", ""))]).await.json();
    let body = json!({
        "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": { "a": "b".repeat(513) },
    });
    let refused = post(&bench, "/v1/batches", &body.to_string()).await;
    assert_eq!((refused.error().0, &refused.json()["error"]["param"]), (400, &json!("metadata")));
}

#[tokio::test]
async fn what_a_revoked_key_kept_goes_a_day_later() {
    let folder = folder();
    let bench = over(folder.path()).await;
    let made = order(&bench, &[line("a", "")]).await;
    until(&bench, &made, |batch| batch["status"] == "completed").await;
    drop(bench);
    let kept = |what: &str| std::fs::read_dir(folder.path().join(what)).expect("it is there").count();
    assert!(kept("files") > 0 && kept("batches") > 0);
    let revoked = Some(gateway::Clock::system().now() - Duration::from_secs(25 * 3_600));
    let keys = vec![KeyRow { revoked, ..key("abcdefabcdef", "canary-secret", &[]) }];
    let _bench = over_with(folder.path(), Setup { keys, ..Setup::default() }).await;
    let swept = async {
        while kept("files") + kept("batches") > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), swept).await.expect("it is cleared away at the start");
}

#[tokio::test]
async fn what_asks_for_a_batch_is_short_and_flat() {
    let folder = folder();
    let bench = over(folder.path()).await;
    let file = form(&bench, &[("purpose", "batch"), ("file", &line("a", ""))]).await.json();
    let check = async |more: &str, want: (u16, Option<&str>)| {
        let id = file["id"].as_str().expect("an id");
        let body = format!(r#"{{"input_file_id":"{id}","endpoint":"/v1/chat/completions","completion_window":"24h",{more}}}"#);
        let reply = post(&bench, "/v1/batches", &body).await;
        assert_eq!((reply.status.as_u16(), reply.json()["error"]["code"].as_str()), want, "{}", reply.text);
    };
    check(r#""output_expires_after":{"anchor":"created_at","seconds":3600}"#, (400, Some("unsupported_value"))).await;
    check(&format!(r#""output_expires_after":[{}0]"#, "0,".repeat(32 * 1024)), (413, Some("request_too_large"))).await;
    check(&format!(r#""more":{}{}"#, "[".repeat(64), "]".repeat(64)), (400, Some("invalid_json"))).await;
    check(r#""output_expires_after":null"#, (200, None)).await;
}

#[tokio::test]
async fn files_are_kept_listed_read_and_deleted() {
    let folder = folder();
    let bench = over(folder.path()).await;
    let kept = form(&bench, &[("file", "one\ntwo"), ("purpose", "batch")]).await;
    assert_eq!(kept.status, 200, "{}", kept.text);
    let file = kept.json();
    assert_eq!((&file["object"], &file["bytes"], &file["filename"]), (&json!("file"), &json!(7), &json!("in.jsonl")));
    let path = format!("/v1/files/{}", file["id"].as_str().expect("an id"));
    drop(bench);
    let bench = over(folder.path()).await;
    assert_eq!(bench.get(&path).await.json(), file, "it outlives its gateway");
    assert_eq!(bench.get("/v1/files").await.json()["data"], json!([file]));
    assert_eq!(bench.get("/v1/files?purpose=batch_output").await.json()["data"], json!([]));
    assert_eq!(bench.get(&format!("{path}/content")).await.text, "one\ntwo");
    let head = [("authorization", format!("Bearer {KEY}"))];
    let head: Vec<(&str, &str)> = head.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(bench.send("DELETE", &path, &head, "").await.json()["deleted"], true);
    assert_eq!(bench.get(&path).await.error(), (404, "not_found".to_owned()));
    for (fields, param) in [
        (&[("purpose", "fine-tune"), ("file", "x")][..], "purpose"),
        (&[("file", "x")], "purpose"),
        (&[("purpose", "batch")], "file"),
        (&[("purpose", "batch"), ("other", "x")], "other"),
    ] {
        let refused = form(&bench, fields).await;
        assert_eq!((refused.error().0, &refused.json()["error"]["param"]), (400, &json!(param)), "{fields:?}");
    }
    assert_eq!(bench.get("/v1/files").await.json()["data"], json!([]), "what is refused is not kept");
    let none = bench.send("GET", "/v1/files", &[], "").await;
    assert_eq!(none.error(), (401, "invalid_api_key".to_owned()));
}
