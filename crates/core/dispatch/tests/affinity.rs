//! A held prefix is a price like any other: it wins while the wait is worth less, and holds nobody to an endpoint that is saturated.

use dispatch::{Ask, Health, KeyScope, Needs, Policy, Question, Reason, RequestId, Seen, SeenAll, decide};
use fleet::{Capability, Fleet, ServiceTier};
use market::{Balances, Forecast, Tokens, price_sheet};
use units::{Instant, Money};

/// Two endpoints at one price, each with eight slots and a line of sixteen.
const TEXT: &str = r#"
format = 1
name = "affinity"
currency = "USD"
[parties.x]
roles = ["supplier"]
[regions.r]
jurisdiction = "EU"
[models.m]
parameters = "8 B"
context = 32768
memory = "20 GB"
capabilities = ["chat"]
[endpoints.a]
model = "m"
region = "r"
url = "https://a.example.com/v1"
slots = 8
queue = 16
[endpoints.b]
model = "m"
region = "r"
url = "https://b.example.com/v1"
slots = 8
queue = 16
[contracts.c]
party = "x"
preset = "on-demand"
endpoints = ["a", "b"]
input = "1 USD/1M tokens"
cached = "0.1 USD/1M tokens"
output = "4 USD/1M tokens"
start = 2026-01-01
end = 2031-01-01
[workloads.w]
kind = "serving"
model = "m"
classes = [{ tier = "default", ttft = "1 s", tpot = "200 ms", miss = "0.02 USD" }]
"#;
/// What an endpoint takes: its slots and its line.
const ROOM: u32 = 24;
const INPUT: u32 = 8_000;

/// `b` holds so much of the prompt and has so many requests, `a` holds nothing and is idle.
fn question(fleet: &Fleet, held: u32, outstanding: u32) -> Question {
    let now = Instant::from_micros(1_795_348_800_000_000);
    let sheet = price_sheet(fleet, &Balances::default(), &Forecast::default(), now);
    let seen = fleet.endpoints.iter().map(|(endpoint, name, _)| Seen {
        endpoint,
        health: Health::Up,
        outstanding: if name == "b" { outstanding } else { 0 },
        service_us: 2_000_000,
        ttft_us: 300_000,
        tpot_us: 20_000,
        arrivals_per_ks: 4_000,
        cached_tokens: if name == "b" { held } else { 0 },
        units_left: [0; market::PAYERS_MAX],
        tried: false,
        expressible: true,
        price: sheet.price(endpoint).copied(),
    });
    Question {
        now,
        fleet: fleet.version,
        policy: Policy::MarginalCost,
        valid_until: Instant::MAX,
        usable_until: Instant::MAX,
        wish: None,
        funds: None,
        seen: seen.collect::<SeenAll>(),
        ask: Ask {
            id: RequestId(1),
            sequence: 0,
            model: fleet.model("m").expect("it is there"),
            tier: ServiceTier::Default,
            needs: Needs::default().with(Capability::Chat),
            tokens: Tokens { input: INPUT, cached: held, output: 100 },
            input_least: INPUT,
            output_max: 200,
            scope: KeyScope::default(),
        },
    }
}

/// With how many requests at `b` it is passed over, and what it would have cost more then.
fn leaves(text: &str, held: u32) -> (u32, Money) {
    let fleet = fleet::parse(text).fleet.expect("it is valid");
    let chosen = |outstanding| {
        let decision = decide(&fleet, &question(&fleet, held, outstanding)).expect("one has room");
        let by = decision.passed_over.iter().find_map(|passed| if let Reason::Dearer { by } = passed.reason { Some(by) } else { None });
        (fleet.endpoints.name(decision.endpoint) == "b", by.unwrap_or(Money::ZERO))
    };
    let all: Vec<(bool, Money)> = (0..ROOM).map(chosen).collect();
    let first = all.iter().position(|(holds, _)| !holds).expect("not at any length of the line");
    assert!(all[first..].iter().all(|(holds, _)| !holds), "once it is too long, a longer one is not shorter");
    assert!(all[first..].is_sorted_by_key(|(_, by)| *by), "the longer the line, the dearer");
    (u32::try_from(first).expect("few"), all[first].1)
}

#[test]
fn a_held_prefix_wins_where_nobody_waits_and_loses_to_a_free_endpoint_as_the_line_grows() {
    let (long, by) = leaves(TEXT, 7_800);
    assert!((8..ROOM).contains(&long) && by > Money::ZERO, "it wins with a free slot and loses before its line is full: {long}");
    let (short, _) = leaves(TEXT, 1_000);
    assert!((1..long).contains(&short), "the less is held, the sooner: {short}");
    assert_eq!(leaves(TEXT, 0).0, 0, "what holds nothing has no claim");
}

#[test]
fn where_nobody_said_what_waiting_costs_nobody_waits_for_a_held_prefix() {
    let unclassed = TEXT.split("[workloads.w]").next().expect("what comes before");
    for held in [1_000, 7_800] {
        assert_eq!(leaves(unclassed, held), (8, Money::ZERO), "it wins with a free slot, and with none the other does");
    }
}
