//! What contracts of the file become: presets, ramps, amendments, notes.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use fleet::{Contract, Fleet, Floor, Least, Overflow, parse};
use units::Instant;

const HEAD: &str = r#"format = 1
name = "lab"
currency = "USD"
[parties.north]
roles = ["supplier"]
[regions.eu]
jurisdiction = "EU"
[sites.oslo]
region = "eu"
power = "10 MW"
energy = "0.04 USD/kWh"
[accelerators.h100]
peak = "989 TFLOP/s"
memory = "80 GB"
bandwidth = "3.35 TB/s"
power = "1 kW"
[pools.oslo]
site = "oslo"
accelerator = "h100"
count = 512
executor = { kind = "slurm" }
[models.llama]
parameters = "8 B"
context = 8192
[endpoints.hosted]
model = "llama"
url = "https://api.example.com/v1"
[endpoints.oslo]
model = "llama"
pool = "oslo"
"#;

/// The fleet with these contracts, which must be right.
fn fleet(contracts: &str) -> Fleet {
    let parsed = parse(&format!("{HEAD}{contracts}"));
    parsed.fleet.unwrap_or_else(|| panic_with(&parsed.diagnostics))
}

#[expect(clippy::panic, reason = "a test says why its own fleet is wrong")]
fn panic_with(diagnostics: &[fleet::Diagnostic]) -> ! {
    panic!("{diagnostics:#?}")
}

fn contract(rest: &str) -> Contract {
    let fleet = fleet(&format!("[contracts.x]\nparty = \"north\"\nstart = 2026-01-01\nend = 2028-01-01\n{rest}"));
    fleet.contracts[fleet.contracts.id("x").expect("it is there")].clone()
}

#[test]
fn a_preset_is_the_same_as_its_clauses() {
    let cases = [
        (
            "preset = \"reserved\"\npools = [\"oslo\"]\ncount = 64\nrate = \"2 USD/accelerator-hour\"",
            "pools = [\"oslo\"]\n[contracts.x.capacity]\naccelerator = \"h100\"\ncount = 64\n[contracts.x.rates]\nmeter = \"accelerators\"\ncharge = \"committed\"\nrate = \"2 USD/accelerator-hour\"",
        ),
        (
            "preset = \"provisioned\"\nendpoints = [\"hosted\"]\nunits = 10\ntokens_per_unit_minute = 2500\nrate = \"1 USD/unit-hour\"\noverflow = { rate = \"2 USD/unit-hour\" }",
            "endpoints = [\"hosted\"]\noverflow = { rate = \"2 USD/unit-hour\" }\n[contracts.x.capacity]\nmodel = \"llama\"\nunits = 10\ntokens_per_unit_minute = 2500\n[contracts.x.rates]\nmeter = \"units\"\ncharge = \"committed\"\nrate = \"1 USD/unit-hour\"",
        ),
        (
            "preset = \"on-demand\"\nendpoints = [\"hosted\"]\ninput = \"1 USD/1M tokens\"\noutput = \"4 USD/1M tokens\"",
            "endpoints = [\"hosted\"]\n[[contracts.x.rates]]\nmeter = \"input\"\nrate = \"1 USD/1M tokens\"\n[[contracts.x.rates]]\nmeter = \"output\"\ntiers = [{ from = \"0 tokens\", rate = \"4 USD/1M tokens\" }]",
        ),
        ("preset = \"take-or-pay\"\nfloor = \"5 MUSD/year\"", "[[contracts.x.floor]]\nleast = \"5 MUSD\"\nper = \"year\""),
        ("preset = \"owned\"\npools = [\"oslo\"]\ncount = 512", "pools = [\"oslo\"]\ncapacity = { accelerator = \"h100\", count = 512 }"),
    ];
    for (short, long) in cases {
        assert_eq!(Contract { preset: None, ..contract(short) }, contract(long), "{short}");
    }
}

/// The steps of a contract's floors and capacities, and where it overflows.
fn shown(contract: &Contract) -> String {
    let mut text = String::new();
    let from = |at: Instant| if at == Instant::MIN { "always".to_owned() } else { at.to_string() };
    for Floor { least, per, .. } in &contract.floors {
        match least {
            Least::Spend(ramp) => {
                ramp.steps().iter().for_each(|(at, it)| writeln!(text, "{} {it} per {per:?}", from(*at)).expect("a string"))
            }
            Least::Quantity(ramp, rate) => {
                ramp.steps()
                    .iter()
                    .for_each(|(at, it)| writeln!(text, "{} {it} x {} per {per:?}", from(*at), rate.money).expect("a string"));
            }
        }
    }
    for clause in &contract.capacity {
        clause.ramp.steps().iter().for_each(|(at, it)| writeln!(text, "{} {it}", from(*at)).expect("a string"));
    }
    if let Some(Overflow::AtRate(rate)) = contract.overflow {
        writeln!(text, "overflow at {}", rate.money).expect("a string");
    }
    text
}

fn check(rest: &str, want: &Expect) {
    want.assert_eq(&shown(&contract(rest)));
}

#[test]
fn dates_are_in_the_contracts_zone() {
    check(
        "calendar = { time_zone = \"America/New_York\", period = \"quarter\" }\nfloor = [{ from = 2026-01-01, is = \"1 MUSD\" }, { from = 2026-07-01T12:00:00, is = \"2 MUSD\" }, { from = 2027-01-01T00:00:00+01:00, is = \"3 MUSD\" }]",
        &expect![[r"
            2026-01-01T05:00:00Z 1000000.00 per Months(3)
            2026-07-01T16:00:00Z 2000000.00 per Months(3)
            2026-12-31T23:00:00Z 3000000.00 per Months(3)
        "]],
    );
}

#[test]
fn amendments_change_ramps_from_their_date() {
    check(
        "[[contracts.x.floor]]\nleast = [{ from = 2026-01-01, is = \"1 MUSD/year\" }, { from = 2027-01-01, is = \"2 MUSD/year\" }]\n[[contracts.x.capacity]]\naccelerator = \"h100\"\ncount = 64\n[[contracts.x.amendment]]\nfrom = 2026-07-01\nchanges = \"floor\"\nleast = \"3 MUSD/year\"\n[[contracts.x.amendment]]\nfrom = 2026-08-01\nchanges = \"capacity\"\ncount = 128",
        &expect![[r"
            2026-01-01T00:00:00Z 1000000.00 per Months(12)
            2026-07-01T00:00:00Z 3000000.00 per Months(12)
            always 64
            2026-08-01T00:00:00Z 128
        "]],
    );
}

#[test]
fn a_floor_in_a_quantity_has_a_rate_for_what_is_short() {
    check(
        "[contracts.x.floor]\nleast = \"1000 accelerator-hours\"\nper = \"month\"\nrate = \"2 USD/accelerator-hour\"",
        &expect![[r"
            always 3600000000 x 2.00 per Months(1)
        "]],
    );
}

#[test]
fn notes_keep_the_range_and_the_source() {
    let fleet = fleet(
        "[contracts.x]\nparty = \"north\"\nstart = 2026-01-01\nend = 2028-01-01\n[contracts.x.floor]\nleast = { low = \"4 MUSD/year\", high = \"5 MUSD/year\", source = \"S005\", assumption = true }",
    );
    let note = &fleet.figures["contracts.x.floor.least"];
    assert_eq!(note.range, Some(("4 MUSD/year".to_owned(), "5 MUSD/year".to_owned())));
    assert_eq!((note.planned, note.source.as_deref(), note.assumption), (false, Some("S005"), true));
}

#[test]
fn an_endpoint_is_in_the_region_of_its_pool() {
    let fleet = fleet("[contracts.x]\nparty = \"north\"\nstart = 2026-01-01\nend = 2028-01-01\npools = [\"oslo\"]");
    assert_eq!(fleet.endpoints[fleet.endpoints.id("oslo").expect("it is there")].region, fleet.regions.id("eu"));
}

#[test]
fn the_version_is_the_hash_of_the_text() {
    let [one, two] = [HEAD.to_owned(), format!("{HEAD}# a comment\n")].map(|text| parse(&text).fleet.expect("it is right").version);
    assert_ne!(one, two);
}

#[test]
fn what_spot_and_owned_say_beside_their_rate_is_kept() {
    let text = include_str!("broken/hazard-above-all.toml").replace("300 %", "3 %");
    let owned = "[contracts.ours]\nparty = \"northgrid\"\npreset = \"owned\"\npools = [\"oslo\"]\ncount = 8\ncapex = \"320 kUSD\"\nstart = 2026-01-01\nend = 2031-01-01\n";
    let fleet = fleet::parse(&format!("{text}\n{owned}")).fleet.expect("both are good");
    let of = |name| &fleet.contracts[fleet.contracts.id(name).expect("it is there")];
    let spot = of("cheap").spot.clone().expect("it is bought on a spot market");
    assert_eq!((spot.notice, spot.hazard_per_hour), (Some(core::time::Duration::from_secs(120)), Some(units::Share::from_ppm(30_000))));
    assert_eq!(of("ours").capex, Some(units::Money::from_units(320_000)));
}
