//! Who pays for the next token on an endpoint.

use fleet::Fleet;
use market::{Balances, EndpointPrice, Forecast, price_sheet, price_sheet_by};
use units::Instant;

const LAPTOP: &str = include_str!("../../../../../fleets/laptop.toml");

/// The laptop fleet with these units of west's, which overflow to this contract, or nowhere.
fn west(units: &str, overflow: &str) -> Fleet {
    let text = LAPTOP.replace("units = 12\n", &format!("units = {units}\n")).replace("overflow = \"west-standard\"\n", overflow);
    let parsed = fleet::parse(&text);
    parsed.fleet.unwrap_or_else(|| unreachable!("the fleet is valid: {:?}", parsed.diagnostics))
}

/// Who pays on west in the middle of 2026: contract, whether it holds what it pays with, units' tokens a minute, and where it overflows to.
fn check(fleet: &Fleet, want: Option<(&str, bool, i64, Option<&str>)>) {
    let now: Instant = "2026-07-01T12:00:00Z".parse::<jiff::Timestamp>().expect("a date").into();
    let sheet = price_sheet(fleet, &Balances::default(), &Forecast::default(), now);
    let name = |contract| fleet.contracts.name(contract);
    let told = |price: &EndpointPrice| {
        let overflow = price.overflow.map(|payer| name(payer.contract).to_owned());
        (name(price.payer.contract).to_owned(), price.payer.prepaid, price.units_per_minute, overflow)
    };
    let found = sheet.price(fleet.endpoints.id("west").expect("it is there")).map(told);
    let want = want.map(|(payer, held, units, overflow)| (payer.to_owned(), held, units, overflow.map(str::to_owned)));
    assert_eq!(found, want);
}

#[test]
fn a_price_that_left_counts_for_what_was_used_and_pays_for_nothing_new() {
    let fleet = west("12", "overflow = \"west-standard\"\n");
    let now: Instant = "2026-07-01T12:00:00Z".parse::<jiff::Timestamp>().expect("a date").into();
    let id = |name| fleet.contracts.id(name).expect("it is there");
    let mut terms = fleet.clone();
    // As if the units' contract had been paid by the token before.
    let token = fleet.contracts[id("west-standard")].rates.clone();
    terms.contracts[id("west-provisioned")].rates.extend(token);
    let (balances, forecast) = (Balances::default(), Forecast::default());
    assert_eq!(price_sheet_by(&fleet, &terms, &balances, &forecast, now), price_sheet(&fleet, &balances, &forecast, now));
    assert_ne!(price_sheet(&terms, &balances, &forecast, now), price_sheet(&fleet, &balances, &forecast, now));
}

#[test]
fn units_that_are_not_delivered_yet_pay_nothing_and_the_next_contract_does() {
    let (later, to_standard) = ("[{ from = 2026-01-01, is = 0 }, { from = 2027-01-01, is = 12 }]", "overflow = \"west-standard\"\n");
    check(&west("12", to_standard), Some(("west-provisioned", true, 1_200, Some("west-standard"))));
    check(&west(later, to_standard), Some(("west-standard", false, 0, None)));
    check(&west(later, ""), Some(("west-standard", false, 0, None)));
    // The contract that it overflows to may pay there for nothing else.
    check(&west(later, "overflow = \"spill-on-demand\"\n"), Some(("spill-on-demand", false, 0, None)));
}
