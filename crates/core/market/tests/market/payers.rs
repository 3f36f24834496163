//! Who pays for the next token on an endpoint.

use fleet::Fleet;
use market::{Balances, Forecast, price_sheet, price_sheet_by};
use units::Instant;

const LAPTOP: &str = include_str!("../../../../../fleets/laptop.toml");

/// The laptop fleet with these units of west's, which overflow to this contract, or nowhere.
fn west(units: &str, overflow: &str) -> Fleet {
    let text = LAPTOP.replace("units = 12\n", &format!("units = {units}\n")).replace("overflow = \"west-standard\"\n", overflow);
    let parsed = fleet::parse(&text);
    parsed.fleet.unwrap_or_else(|| unreachable!("the fleet is valid: {:?}", parsed.diagnostics))
}

/// Who is asked to pay on west in the middle of 2026, in turn: contract, whether it holds what it pays with, and its units' tokens a minute.
fn check(fleet: &Fleet, want: &[(&str, bool, i64)]) {
    check_at(fleet, "2026-07-01T12:00:00Z", "west", want);
}

fn check_at(fleet: &Fleet, at: &str, endpoint: &str, want: &[(&str, bool, i64)]) {
    let now: Instant = at.parse::<jiff::Timestamp>().expect("a date").into();
    let sheet = price_sheet(fleet, &Balances::default(), &Forecast::default(), now);
    let price = sheet.price(fleet.endpoints.id(endpoint).expect("it is there"));
    let found: Vec<_> = price.iter().flat_map(|price| price.payers()).collect();
    let found: Vec<_> = found.iter().map(|payer| (fleet.contracts.name(payer.contract), payer.prepaid, payer.units_per_minute)).collect();
    assert_eq!(found, want, "{endpoint} at {at}");
}

#[test]
fn a_price_that_left_counts_for_what_was_used_and_pays_for_nothing_new() {
    let fleet = west("12", "overflow = \"west-standard\"\n");
    let now: Instant = "2026-07-01T12:00:00Z".parse::<jiff::Timestamp>().expect("a date").into();
    let id = |name| fleet.contracts.id(name).expect("it is there");
    let mut terms = fleet.clone();
    // As if the units' contract had been paid by the token before.
    let token = fleet.contracts[id("west-standard")].rates.clone();
    let units = &mut terms.contracts[id("west-provisioned")];
    units.rates.extend(token);
    units.overflow = None;
    let (balances, forecast) = (Balances::default(), Forecast::default());
    assert_eq!(price_sheet_by(&fleet, &terms, &balances, &forecast, now), price_sheet(&fleet, &balances, &forecast, now));
    assert_ne!(price_sheet(&terms, &balances, &forecast, now), price_sheet(&fleet, &balances, &forecast, now));
}

#[test]
fn units_that_are_not_delivered_yet_pay_nothing_and_the_next_contract_does() {
    let (later, to_standard) = ("[{ from = 2026-01-01, is = 0 }, { from = 2027-01-01, is = 12 }]", "overflow = \"west-standard\"\n");
    check(&west("12", to_standard), &[("west-provisioned", true, 1_200), ("west-standard", false, 0)]);
    check(&west(later, to_standard), &[("west-standard", false, 0)]);
    check(&west(later, ""), &[("west-standard", false, 0)]);
    // The contract that it overflows to may pay there for nothing else.
    check(&west(later, "overflow = \"spill-on-demand\"\n"), &[("spill-on-demand", false, 0)]);
}

/// The laptop fleet, in which west's units overflow to this contract or nowhere, with more contracts.
fn with(overflow: &str, more: &str) -> Fleet {
    let parsed = fleet::parse(&format!("{}\n{more}", LAPTOP.replace("overflow = \"west-standard\"\n", overflow)));
    parsed.fleet.unwrap_or_else(|| unreachable!("the fleet is valid: {:?}", parsed.diagnostics))
}

/// Units of another contract on west.
fn units(name: &str, units: i64, more: &str) -> String {
    format!(
        "[contracts.{name}]\nparty = \"westcloud\"\npreset = \"provisioned\"\nendpoints = [\"west\"]\nunits = {units}\n\
         rate = \"0.1 USD/unit-hour\"\ntokens_per_unit_minute = 100\n{more}\n"
    )
}

const LONG: &str = "start = 2026-01-01\nend = 2031-01-01";

#[test]
fn units_are_asked_one_contract_after_the_other_before_who_takes_the_rest() {
    let (first, last) = (("west-provisioned", true, 1_200), ("west-standard", false, 0));
    let fleet = with("", &units("west-second", 5, LONG));
    check(&fleet, &[first, ("west-second", true, 500), last]);
    // What exceeds units goes where their contract says, before those that come next.
    let fleet = with("overflow = \"west-standard\"\n", &units("west-second", 5, LONG));
    check(&fleet, &[first, last]);
    let into = |more: &str| units("west-second", 5, &format!("order = 9\noverflow = \"west-standard\"\n{more}"));
    check(&with("overflow = \"west-second\"\n", &into(LONG)), &[first, ("west-second", true, 500), last]);
    // Of more than a sheet has room for, who takes whatever comes is there all the same.
    let many: String = ["a", "b", "c", "d"].iter().map(|name| units(&format!("west-a{name}"), 1, LONG)).collect();
    check(&with("", &many), &[("west-aa", true, 100), ("west-ab", true, 100), ("west-ac", true, 100), last]);
}

#[test]
fn a_contract_with_units_and_prices_of_tokens_pays_with_its_units_first() {
    let model = "of = \"smollm2-135m\"";
    let both = |overflow: &str| {
        let rates = [("units", "0.1 USD/unit-hour"), ("input", "1 USD/1M tokens"), ("output", "2 USD/1M tokens")];
        let rates =
            rates.map(|(meter, rate)| format!("[[contracts.west-both.rates]]\nmeter = \"{meter}\"\n{model}\nrate = \"{rate}\"\n")).concat();
        let units = "[[contracts.west-both.capacity]]\nmodel = \"smollm2-135m\"\nunits = 5\ntokens_per_unit_minute = 100\n";
        with("", &format!("[contracts.west-both]\nparty = \"westcloud\"\nendpoints = [\"west\"]\n{overflow}\n{LONG}\n\n{units}\n{rates}"))
    };
    check(&both(""), &[("west-both", true, 500), ("west-both", false, 0)]);
    // What exceeds its units is another's where it says so.
    check(&both("overflow = \"west-standard\""), &[("west-both", true, 500), ("west-standard", false, 0)]);
}

#[test]
fn who_takes_over_while_the_sheet_may_be_used_stands_behind_who_ends() {
    let renewed = |name: &str, start: &str, end: &str| {
        format!(
            "[contracts.{name}]\nparty = \"westcloud\"\npreset = \"on-demand\"\nendpoints = [\"west\"]\ninput = \"9 USD/1M tokens\"\n\
             output = \"9 USD/1M tokens\"\nstart = {start}\nend = {end}\n\n"
        )
    };
    let both = renewed("west-old", "2026-01-01", "2026-07-02") + &renewed("west-renewed", "2026-07-02", "2027-01-01");
    let fleet = with("", &both);
    let (units, last) = (("west-provisioned", true, 1_200), ("west-standard", false, 0));
    let (old, renewed) = (("west-old", false, 0), ("west-renewed", false, 0));
    check_at(&fleet, "2026-07-01T23:58:59Z", "west", &[old]);
    check_at(&fleet, "2026-07-01T23:59:30Z", "west", &[old, units, renewed, last]);
    check_at(&fleet, "2026-07-02T00:00:00Z", "west", &[units, renewed]);
}

#[test]
fn accelerators_that_are_not_delivered_pay_for_nothing() {
    let late = "[contracts.a-late-one]\nparty = \"northgrid\"\npreset = \"reserved\"\npools = [\"north\"]\n\
        count = 4\naccelerator = \"cpu-share\"\nrate = \"1 USD/accelerator-hour\"\nstart = 2026-01-01\nend = 2031-01-01\n\
        delivery = { tranches = [{ due = 2027-03-01, count = 4 }] }\n";
    let fleet = with("", late);
    check_at(&fleet, "2026-07-01T12:00:00Z", "north", &[("north-reserved", true, 0)]);
}
