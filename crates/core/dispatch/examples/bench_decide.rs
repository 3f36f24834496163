//! `bench_decide ENDPOINTS DECISIONS`: decides so often among so many endpoints, for `cargo xtask bench` to count instructions.

use std::fmt::Write;
use std::hint::black_box;

use dispatch::{Ask, KeyScope, Needs, Policy, Question, RequestId, Seen, SeenAll, decide};
use fleet::{Capability, Fleet, ServiceTier};
use market::{Balances, Forecast, Tokens, price_sheet};

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().expect("two numbers: endpoints and decisions"));
    let (endpoints, decisions) = (numbers.next().unwrap_or(4), numbers.next().unwrap_or(1));
    let fleet = fleet::parse(&fleet_text(endpoints)).fleet.expect("the bench's own fleet is valid");
    let mut question = question(&fleet);
    assert_eq!(question.seen.len(), endpoints, "every endpoint is a candidate");
    for sequence in 0..decisions {
        question.ask.sequence = sequence as u64;
        // Load comes and goes, so that no two neighbours decide alike.
        let turn = sequence % endpoints;
        question.seen[turn].outstanding = (question.seen[turn].outstanding + 3) % 8;
        let decision = black_box(decide(&fleet, black_box(&question)));
        assert!(decision.is_ok_and(|decision| decision.passed_over.len() == endpoints - 1), "one is chosen, the others have reasons");
    }
}

/// Pools of which every other one is reserved; the rest pay by the token.
fn fleet_text(endpoints: usize) -> String {
    let mut text = HEAD.to_owned();
    for number in 0..endpoints {
        let contract = match number % 2 {
            0 => format!("preset = \"reserved\"\npools = [\"p{number}\"]\ncount = 8\nrate = \"2.40 USD/accelerator-hour\""),
            _ => format!(
                "preset = \"on-demand\"\nendpoints = [\"p{number}\"]\ninput = \"1.{number:02} USD/1M tokens\"\noutput = \"4 USD/1M tokens\""
            ),
        };
        writeln!(
            text,
            "[pools.p{number}]\nsite = \"s\"\naccelerator = \"a\"\ncount = 8\nexecutor = {{ kind = \"kubernetes\" }}\n\
             [endpoints.p{number}]\nmodel = \"m\"\npool = \"p{number}\"\nurl = \"http://127.0.0.1:1/v1\"\nslots = 8\nqueue = 16\nprofile = \"f\"\n\
             [contracts.c{number}]\nparty = \"x\"\n{contract}\nstart = 2026-01-01\nend = 2031-01-01"
        )
        .expect("a string takes any text");
    }
    text
}

fn question(fleet: &Fleet) -> Question {
    let now = units::Instant::from("2026-11-22T12:00:00Z".parse::<jiff::Timestamp>().expect("an instant"));
    let sheet = price_sheet(fleet, &Balances::default(), &Forecast::default(), now);
    let seen: SeenAll = fleet
        .endpoints
        .iter()
        .map(|(endpoint, ..)| Seen {
            endpoint,
            health: dispatch::Health::Up,
            outstanding: 2,
            service_us: 900_000,
            arrivals_per_ks: 3_000,
            ttft_us: 300_000,
            tpot_us: 20_000,
            cached_tokens: 0,
            units_left: 0,
            tried: false,
            expressible: true,
            price: sheet.price(endpoint).copied(),
        })
        .collect();
    Question {
        funds: None,
        now,
        fleet: fleet.version,
        policy: Policy::MarginalCost,
        valid_until: sheet.valid_until,
        usable_until: sheet.usable_until,
        ask: ask(fleet),
        seen,
    }
}

fn ask(fleet: &Fleet) -> Ask {
    Ask {
        id: RequestId(1),
        sequence: 0,
        model: fleet.model("m").expect("the fleet has it"),
        tier: ServiceTier::Default,
        needs: Needs::default().with(Capability::Chat),
        input_least: 400,
        tokens: Tokens { input: 800, cached: 0, output: 200 },
        output_max: 256,
        scope: KeyScope::default(),
    }
}

const HEAD: &str = r#"
format = 1
name = "bench"
currency = "USD"
[parties.x]
roles = ["supplier"]
[regions.r]
jurisdiction = "EU"
[sites.s]
region = "r"
power = "10 MW"
pue = 1.2
energy = "0.10 USD/kWh"
[accelerators.a]
peak = "1000 TFLOP/s"
memory = "80 GB"
bandwidth = "3 TB/s"
power = "700 W"
runs = ["serving"]
[models.m]
parameters = "8 B"
context = 8192
memory = "20 GB"
capabilities = ["chat"]
weights = { input = 1, cached = 0.5, output = 4 }
[profiles.f]
model = "m"
accelerator = "a"
prefill = "10000 tokens/s"
decode = "100 tokens/s"
decode_batch = "1000 tokens/s"
slots = 8
start = "60 s"
basis = "roofline"
[workloads.w]
kind = "serving"
model = "m"
classes = [{ tier = "default", ttft = "1 s", tpot = "50 ms", miss = "0.002 USD" }]
"#;
