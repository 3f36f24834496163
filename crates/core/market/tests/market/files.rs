//! The same kinds of deal as files: what `fleets/deals` says, read by `fleet::parse`, comes to what a person works out from the text.

use fleet::Fleet;
use market::{Balances, Usage, periods, statement};
use units::{Instant, Money, Quantity};

fn read(text: &str) -> Fleet {
    let parsed = fleet::parse(text);
    parsed.fleet.unwrap_or_else(|| unreachable!("the deal is valid: {:?}", parsed.diagnostics))
}

/// What falls due in the billing period that holds a date at noon UTC.
fn due(fleet: &Fleet, balances: &Balances, contract: &str, date: &str) -> String {
    let id = fleet.contracts.id(contract).expect("the contract is in the file");
    let period = fleet.contracts[id].calendar.index(noon(date));
    statement(fleet, balances, id, period).due.to_string()
}

fn noon(date: &str) -> Instant {
    format!("{date}T12:00:00Z").parse::<jiff::Timestamp>().expect("a date").into()
}

fn check(fleet: &Fleet, balances: &Balances, contract: &str, wanted: &[(&str, &str)]) {
    for (date, want) in wanted {
        assert_eq!(due(fleet, balances, contract, date), *want, "{contract} in the period of {date}");
    }
}

#[test]
fn oracle_s_five_years_fall_due_in_their_decembers() {
    let fleet = read(include_str!("../../../../../fleets/deals/oracle.toml"));
    // 2028: 1.5 of 3 GW are late for January's 31 of 366 days: 45 G x (1.5 x 31) / (3 x 366) = 45 G x 31 / 732 = 1.905737704918... G; to the cent.
    let wanted = [
        ("2027-06-15", "0.00"),
        ("2027-12-15", "30000000000.00"),
        ("2028-12-15", "43094262295.08"),
        ("2029-12-15", "60000000000.00"),
        ("2030-12-15", "75000000000.00"),
        ("2031-12-15", "90000000000.00"),
    ];
    check(&fleet, &Balances::default(), "oracle", &wanted);
    check(&fleet, &Balances::default(), "stargate", &[("2027-12-15", "0.00")]);
}

#[test]
fn oracle_on_time_is_three_hundred_exactly() {
    let text = include_str!("../../../../../fleets/deals/oracle.toml").replace("delivered = 2028-02-01", "delivered = 2028-01-01");
    let fleet = read(&text);
    let oracle = fleet.contracts.id("oracle").expect("it is there");
    let total: Money = periods(&fleet, oracle).map(|period| statement(&fleet, &Balances::default(), oracle, period).due).sum();
    assert_eq!(total.to_string(), "300000000000.00");
}

#[test]
fn a_signed_draft_takes_its_share_of_stargate() {
    let text = include_str!("../../../../../fleets/deals/oracle.toml").replace("\"discussed\"", "\"signed\"");
    // Half of 20 G falls away while the substitution is in force.
    check(&read(&text), &Balances::default(), "stargate", &[("2027-12-15", "10000000000.00"), ("2031-12-15", "10000000000.00")]);
}

#[test]
fn azure_reservation_pays_in_place_of_the_deployment_and_both_draw_down_the_commitment() {
    let fleet = read(include_str!("../../../../../fleets/deals/azure-ptu.toml"));
    // 100 units at 0.70 in January 2026: 744 h x 70. The deployment's own 1.00 returns in 2027 with February's 672 h.
    check(&fleet, &Balances::default(), "reservation", &[("2026-01-15", "52080.00"), ("2027-01-15", "0.00")]);
    check(&fleet, &Balances::default(), "deployment", &[("2026-01-15", "0.00"), ("2027-02-15", "67200.00")]);
    // Of 10 M: 2026 has 8,760 h x 70 = 613,200 to its credit, 2027 8,760 x 100, 2028 8,784 x 100.
    let wanted = [("2026-11-15", "0.00"), ("2026-12-15", "9386800.00"), ("2027-12-15", "9124000.00"), ("2028-12-15", "9121600.00")];
    check(&fleet, &Balances::default(), "enterprise", &wanted);
}

#[test]
fn azure_overflow_is_paid_by_the_token_and_counts_too() {
    let fleet = read(include_str!("../../../../../fleets/deals/azure-ptu.toml"));
    let (contract, model) = (fleet.contracts.id("standard").expect("it is there"), fleet.model("default").expect("it is there"));
    let mut balances = Balances::default();
    for (meter, count) in [(fleet::Meter::InputTokens(model), 4_000_000), (fleet::Meter::OutputTokens(model), 1_000_000)] {
        let quantity = Quantity::new(count);
        balances.post(&fleet, &Usage { contract, meter, at: noon("2026-05-04"), held: quantity, used: quantity });
    }
    // 4 x 2.50 + 1 x 10 = 20.
    check(&fleet, &balances, "standard", &[("2026-05-15", "20.00")]);
    check(&fleet, &balances, "enterprise", &[("2026-12-15", "9386780.00")]);
}

#[test]
fn coreweave_is_prepaid_late_and_capped() {
    let fleet = read(include_str!("../../../../../fleets/deals/coreweave.toml"));
    // A 36th of 63,297,945.60 is 1,758,276.266... January: 2,048 x 744 h x 2.35 = 3,580,723.20, and the prepayment.
    // April: 2,048 x 720 + 2,048 x 16 x 24 = 2,260,992 h = 5,313,331.20; late 2,048 x 14 x 24 h x 1 USD = 688,128, capped at 500,000.
    // May: 4,096 x 744 h x 2.35 = 7,161,446.40.
    let wanted = [("2026-01-15", "65120392.53"), ("2026-04-15", "3055054.93"), ("2026-05-15", "5403170.13")];
    check(&fleet, &Balances::default(), "coreweave", &wanted);
}
