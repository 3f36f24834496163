//! Time, parties, sites, chips, pools and models.

use super::{any, maybe};
use crate::dice::Dice;

/// What is the same in every fleet.
const ALWAYS: &str = r#"
[parties.cloud]
roles = ["supplier"]
[parties.other]
roles = ["supplier", "shareholder"]
[parties.joint]
roles = ["supplier", "partner"]
[parties.maker]
roles = ["chip-vendor"]
[parties.bank]
roles = ["lender"]

[regions.eu]
jurisdiction = "EU"
[regions.us]
jurisdiction = "US"

[models.m]
parameters = "7 B"
context = 8192
capabilities = ["chat"]
weights = { input = 1, cached = 0.5, output = 4 }
[models.n]
parameters = "7 B"
context = 8192
capabilities = ["chat"]

[profiles.fast]
model = "m"
accelerator = "new"
prefill = "10000 tokens/s"
decode = "100 tokens/s"
decode_batch = "1000 tokens/s"
slots = 16
start = "60 s"
basis = "roofline"
[profiles.faster]
model = "m"
accelerator = "new"
accelerators = 2
prefill = "24000 tokens/s"
decode = "150 tokens/s"
decode_batch = "1900 tokens/s"
slots = 16
start = "60 s"
basis = "roofline"
[profiles.slow]
model = "m"
accelerator = "old"
prefill = "2500 tokens/s"
decode = "25 tokens/s"
decode_batch = "250 tokens/s"
slots = 16
start = "60 s"
basis = "roofline"
[profiles.other]
model = "n"
accelerator = "old"
prefill = "3333 tokens/s"
decode = "33 tokens/s"
decode_batch = "333 tokens/s"
slots = 16
start = "60 s"
basis = "roofline"
"#;

/// Parts of a month that ask for more and less; their hours and their mean demand are whole.
const BLOCKS: [&str; 3] = [
    "",
    r#"blocks = [{ name = "peak", hours = "25 %", demand = "160 %" }, { name = "rest", hours = "75 %", demand = "80 %" }]"#,
    r#"blocks = [{ name = "a", hours = "20 %", demand = "150 %" }, { name = "b", hours = "40 %", demand = "100 %" }, { name = "c", hours = "40 %", demand = "75 %" }]"#,
];

pub(super) fn draw(dice: &mut Dice) -> String {
    let zone =
        maybe(dice, 0.5, |dice| format!("time_zone = \"{}\"\n", any(dice, &["Europe/Paris", "America/Los_Angeles", "Asia/Kolkata"])));
    let from = any(dice, &["2027-01-01", "2027-01-01", "2027-01-17"]);
    let (months, blocks) = (dice.count(3, 8), BLOCKS[dice.count(0, 2)]);
    let rates = any(dice, &["\"1.10 USD\"", "[{ from = 2026-01-01, is = \"1.10 USD\" }, { from = 2027-03-15, is = \"1.25 USD\" }]"]);
    let plan = format!("{zone}\n[plan]\nfrom = {from}\nmonths = {months}\n{blocks}\n[currencies.EUR]\nrates = {rates}\n");
    let north = any(dice, &["\"640 kW\"", "[{ from = 2026-01-01, is = \"640 kW\" }, { from = 2027-03-10, is = \"900 kW\" }]"]);
    let counts = any(dice, &["[{ from = 2026-01-01, is = 700 }]", "[{ from = 2026-01-01, is = 500 }, { from = 2027-02-12, is = 720 }]"]);
    let (idle, available) = (dice.count(0, 40), any(dice, &["2026-01-01", "2027-01-01", "2027-02-01"]));
    let supply = maybe(dice, 0.5, |dice| {
        format!("supply = {}\n", any(dice, &["25", "[{ from = 2026-01-01, is = 7 }, { from = 2027-02-15, is = 60 }]"]))
    });
    let (pue, energy) = (dice.count(5, 45), dice.count(0, 9));
    format!(
        r#"{plan}{ALWAYS}
[sites.north]
region = "eu"
power = {north}
pue = 1.{pue:02}
energy = "0.0{energy} USD/kWh"
[sites.south]
region = "us"
power = "400 kW"
pue = 1.2
energy = "0.04 USD/kWh"

[accelerators.new]
vendor = "maker"
peak = "1000 TFLOP/s"
memory = "80 GB"
bandwidth = "3.35 TB/s"
power = "600 W"
idle = "{idle} %"
{supply}
[accelerators.old]
peak = "250 TFLOP/s"
memory = "80 GB"
bandwidth = "2 TB/s"
power = "450 W"
idle = "10 %"
available = {available}

[pools.north]
site = "north"
accelerator = "new"
count = {counts}
executor = {{ kind = "slurm" }}
[pools.south]
site = "south"
accelerator = "old"
count = 450
executor = {{ kind = "slurm" }}
[pools.mixed]
site = "south"
accelerator = "new"
count = 120
executor = {{ kind = "slurm" }}
"#
    )
}
