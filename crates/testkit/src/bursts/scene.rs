//! The fleets and loads that are played.

use fleet::ServiceTier;

use super::{OUTPUT_MEAN, Request};
use crate::dice::Dice;

/// A fleet and the load on it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What it shows.
    pub name: &'static str,
    /// The fleet file.
    pub fleet: String,
    /// Requests in each second, over and over.
    pub pattern: Vec<u32>,
    /// Of a hundred requests, so many are `priority` and so many `flex`.
    pub tiers: (u32, u32),
    /// A fault for the checkers to find: the gateway takes slots that are half taken for full.
    pub misread: bool,
    /// Whether a supplier that refuses says when to come back.
    pub says_when: bool,
    /// How many tokens all prompts begin with, which the first endpoint holds and no other ever does.
    pub prefix: u32,
}

/// A request of the load weighs this on average: 1,000 tokens in, and 200 out that count four each.
const WEIGHT: u32 = 1_800;

impl Scene {
    fn new(name: &'static str, fleet: String, pattern: Vec<u32>) -> Self {
        Self { name, fleet, pattern, tiers: (0, 0), misread: false, says_when: true, prefix: 0 }
    }

    /// Provisioned units that two endpoints share, under bursts of a second at 1.5 times their rate, with as much by use as is wanted.
    #[must_use]
    pub fn units() -> Self {
        Self::new("units, one tier, 1 s bursts at 1.5x", [HEAD, &units_of(12), &by_use(8_192)].concat(), vec![18, 9])
    }

    /// Reserved replicas under bursts of a second at 1.5 times what they do.
    #[must_use]
    pub fn replicas() -> Self {
        Self::new("replicas, one tier, 1 s bursts at 1.5x", [HEAD, &replicas_of(256), &by_use(8_192)].concat(), vec![174, 87])
    }

    /// Units, replicas and too little by use, for three tiers with classes of their own.
    #[must_use]
    pub fn tiers() -> Self {
        let fleet = [HEAD, &units_of(60), &replicas_of(128), &by_use(512), CLASSES].concat();
        Self { tiers: (10, 40), ..Self::new("units, replicas and by use, three tiers", fleet, vec![260, 120, 60, 200]) }
    }

    /// As [`Self::tiers`], with more than all of it can take.
    #[must_use]
    pub fn beyond() -> Self {
        Self { name: "the same, with more than it can take", pattern: vec![900, 300, 500, 60], ..Self::tiers() }
    }

    /// Two endpoints at one price, one of which holds what all prompts begin with: bursts of more than it can do, and of less than both can.
    #[must_use]
    pub fn prefix() -> Self {
        let fleet = [HEAD, &holding("a"), &holding("b"), CLASS].concat();
        Self {
            prefix: 800,
            ..Self::new("a prefix that one of two endpoints holds, bursts beyond what it can do", fleet, vec![60, 30, 10, 50])
        }
    }

    /// Whether all requests are of one tier.
    #[must_use]
    pub fn has_one_tier(&self) -> bool {
        self.tiers == (0, 0)
    }

    /// Every scene.
    #[must_use]
    pub fn all() -> [Self; 5] {
        [Self::units(), Self::replicas(), Self::tiers(), Self::beyond(), Self::prefix()]
    }

    pub(super) fn requests_in(&self, second: u32) -> u32 {
        self.pattern[second as usize % self.pattern.len()]
    }

    pub(super) fn draw(&self, dice: &mut Dice, id: u64) -> Request {
        let tier = match u32::try_from(dice.count(0, 99)).unwrap_or(99) {
            roll if roll < self.tiers.0 => ServiceTier::Priority,
            roll if roll < self.tiers.0 + self.tiers.1 => ServiceTier::Flex,
            _ => ServiceTier::Default,
        };
        let mut tokens = |mean: u32| u32::try_from(dice.count(mean as usize / 5, mean as usize * 9 / 5)).unwrap_or(mean);
        Request { id, tier, input: tokens(1_000), output: tokens(OUTPUT_MEAN) }
    }
}

/// Units for so many requests a second, which two endpoints share.
fn units_of(requests: u32) -> String {
    format!(
        r#"
[endpoints.units-a]
model = "m"
region = "r"
url = "https://a.example.com/v1"
slots = 4096
queue = 0
[endpoints.units-b]
model = "m"
region = "r"
url = "https://b.example.com/v1"
slots = 4096
queue = 0
[contracts.units]
party = "x"
preset = "provisioned"
endpoints = ["units-a", "units-b"]
units = {requests}
tokens_per_unit_minute = {}
rate = "1 USD/unit-hour"
start = 2026-01-01
end = 2031-01-01
"#,
        WEIGHT * 60
    )
}

/// Reserved replicas with so many slots: a request stays 2.2 s on average.
fn replicas_of(slots: u32) -> String {
    format!(
        r#"
[endpoints.replicas]
model = "m"
pool = "p"
url = "https://c.example.com/v1"
slots = {slots}
queue = 64
[contracts.reserved]
party = "x"
preset = "reserved"
pools = ["p"]
count = 8
rate = "2 USD/accelerator-hour"
start = 2026-01-01
end = 2031-01-01
"#
    )
}

fn by_use(slots: u32) -> String {
    format!(
        r#"
[endpoints.by-use]
model = "m"
region = "r"
url = "https://d.example.com/v1"
slots = {slots}
queue = 0
[contracts.by-use]
party = "x"
preset = "on-demand"
endpoints = ["by-use"]
input = "1 USD/1M tokens"
output = "4 USD/1M tokens"
start = 2026-01-01
end = 2031-01-01
"#
    )
}

/// An endpoint by use at the price of all others like it, with a tenth of it for what it holds.
fn holding(name: &str) -> String {
    format!(
        r#"
[endpoints.{name}]
model = "m"
region = "r"
url = "https://{name}.example.com/v1"
slots = 64
queue = 64
[contracts.{name}]
party = "x"
preset = "on-demand"
endpoints = ["{name}"]
input = "1 USD/1M tokens"
cached = "0.1 USD/1M tokens"
output = "4 USD/1M tokens"
start = 2026-01-01
end = 2031-01-01
"#
    )
}

const HEAD: &str = r#"
format = 1
name = "bursts"
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
[pools.p]
site = "s"
accelerator = "a"
count = 8
executor = { kind = "kubernetes" }
[models.m]
parameters = "8 B"
context = 8192
memory = "20 GB"
capabilities = ["chat"]
weights = { input = 1, cached = 0.5, output = 4 }
"#;

const CLASSES: &str = r#"
[workloads.w]
kind = "serving"
model = "m"
classes = [
    { tier = "flex", ttft = "20 s", tpot = "1 s", miss = "0.0001 USD" },
    { tier = "default", ttft = "3 s", tpot = "200 ms", miss = "0.002 USD" },
    { tier = "priority", ttft = "1 s", tpot = "100 ms", miss = "0.02 USD" },
]
"#;

const CLASS: &str = r#"
[workloads.w]
kind = "serving"
model = "m"
classes = [{ tier = "default", ttft = "1 s", tpot = "200 ms", miss = "0.01 USD" }]
"#;
