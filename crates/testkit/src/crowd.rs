//! Many endpoints of one model, to decide among.

use std::fmt::Write;

use dispatch::{Ask, KeyScope, Needs, Policy, Question, RequestId, Seen, SeenAll};
use fleet::{Capability, Fleet, ServiceTier};
use market::{Balances, Forecast, Tokens, price_sheet};
use units::Instant;

/// Noon on 22 November 2026, in microseconds.
const NOW: i64 = 1_795_348_800_000_000;

/// A fleet of so many endpoints of one model, every other one reserved; the rest pay by the token.
#[must_use]
pub fn fleet(endpoints: usize) -> Fleet {
    fleet::parse(&text(endpoints)).fleet.expect("a crowd's fleet is valid")
}

/// The text of that fleet.
#[must_use]
pub fn text(endpoints: usize) -> String {
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

/// A request that every endpoint of a crowd could take, each under some load.
#[must_use]
pub fn question(fleet: &Fleet) -> Question {
    let now = Instant::from_micros(NOW);
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
            units_left: [0; market::PAYERS_MAX],
            tried: false,
            expressible: true,
            price: sheet.price(endpoint).copied(),
        })
        .collect();
    Question {
        wish: None,
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
