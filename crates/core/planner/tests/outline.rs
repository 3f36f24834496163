//! What promises come to before anything is decided: hand-computed on the fleets that come with Baseload.

use core::fmt::Write as _;

use expect_test::{Expect, expect};
use planner::{Depends, Evidence, Obligation, Outline, PartKind, Row, outline};
use units::{Money, Share};

fn of(text: &str) -> Outline {
    let parsed = fleet::parse(text);
    outline(&parsed.fleet.expect("a fleet without errors"))
}

fn openai() -> Outline {
    of(include_str!("../../../../fleets/openai-2025.toml"))
}

/// Amounts in so many units of the currency, rounded, so that they fit a line.
fn column(amounts: &[Money], unit: i128) -> String {
    amounts.iter().fold(String::new(), |mut line, amount| {
        write!(line, "{:>8}", units::round_half_even(amount.nanos(), unit * 1_000_000_000)).expect("a string takes it");
        line
    })
}

/// The outline as a table, in so many units of the currency.
fn table(outline: &Outline, unit: i128) -> String {
    let years = outline.years.iter().fold(String::new(), |line, year| format!("{line}{year:>8}"));
    let mut text = format!("{unit} {:<47}{years}\n", outline.currency);
    let mut line = |label: &str, amounts: &[Money]| {
        writeln!(text, "{label:<54}{}", column(amounts, unit)).expect("a string takes it");
    };
    let mut rows = |title: &str, rows: &mut dyn Iterator<Item = &Row>| {
        rows.for_each(|row| line(&format!("{title}: {}", row.label), &row.amounts));
    };
    rows("due", &mut outline.obligations.iter().map(|it| &it.row));
    rows("if signed", &mut outline.if_signed.iter().map(|it| &it.row));
    rows("revenue", &mut outline.revenue.iter());
    rows("raise", &mut outline.raises.iter());
    rows("cost", &mut outline.costs.iter());
    let balance = &outline.balance;
    line("left", &balance.left);
    line("cash without raises", &balance.cash_without);
    line("cash with certain raises", &balance.cash_with_certain);
    line("cash with all raises", &balance.cash_with_all);
    text
}

fn check(outline: &Outline, unit: i128, expected: Expect) {
    expected.assert_eq(&table(outline, unit));
}

fn giga(units: i64) -> Money {
    Money::from_units(units * 1_000_000_000)
}

fn of_contract<'a>(list: &'a [Obligation], name: &str) -> &'a Obligation {
    list.iter().find(|obligation| obligation.row.label == name).expect("the contract is there")
}

fn ids(evidence: &Evidence) -> Vec<&str> {
    evidence.facts.iter().map(|fact| fact.id.as_str()).collect()
}

#[test]
fn openai_in_millions() {
    check(
        &openai(),
        1_000_000,
        expect![[r#"
        1000000 USD                                                2026    2027    2028    2029    2030    2031
        due: azure                                               10000   10000   10000   10000   10000   10000
        due: broadcom                                             2500    5000    2500       0       0       0
        due: coreweave                                            1402    1402     699       0       0       0
        due: google                                               1577    1577    1581    1577    1577    1577
        due: in-house-at-oracle                                     73    1318    3077    3504    3504    3504
        due: oracle                                                  0   30000   45000   60000   75000   90000
        due: rented                                                  0       0       0       0       0       0
        if signed: oracle-for-stargate                               0       0       0       0       0       0
        if signed: stargate                                          0       0       0    5000   15000   26000
        revenue: subscriptions                                   24000   36000   50000   65000   81000   97000
        revenue: api, flex                                         946    1419    2040    2696    3453    4257
        revenue: api, default                                     3784    5676    8159   10785   13813   17029
        revenue: api, priority                                    1183    1734    2530    3390    4336    5361
        raise: raise of 2025, what of it is not yet in the cash   40000       0       0       0       0       0
        raise: raise by March 2026                              100000       0       0       0       0       0
        raise: Amazon                                            10000       0       0       0       0       0
        cost: people, products, selling                          16000   21000   25000   29000   33000   36000
        cost: stake in stargate                                   3821    7579    7600       0       0       0
        left                                                     -5460  -33045  -32728  -22209  -20479  -17433
        cash without raises                                      58540   25495   -7233  -29442  -49921  -67354
        cash with certain raises                                 58540   25495   -7233  -29442  -49921  -67354
        cash with all raises                                    208540  175495  142767  120558  100079   82646
    "#]],
    );
}

#[test]
fn mistral_in_millions() {
    check(
        &of(include_str!("../../../../fleets/mistral-2025.toml")),
        1_000_000,
        expect![[r#"
            1000000 EUR                                                2025    2026    2027    2028    2029
            due: eu-cloud                                               89     107      71       0       0
            due: eu-cloud-hourly                                         0       0       0       0       0
            due: own                                                     0       0      12      12      12
            if signed: eu-cloud-again                                    0       0      34     102     102
            if signed: us-cloud                                          0      55     108     109      54
            revenue: subscriptions                                      40     211     450     701     798
            revenue: api, flex                                          11      32      32      32      32
            revenue: api, default                                       13      59     127     245     315
            raise: the raise of September 2025                        1700       0       0       0       0
            raise: another like it                                       0       0    1140     560       0
            cost: accelerators of the own site                           0     900       0       0       0
            cost: people, products, selling                             88     262     599     601     599
            left                                                      -113    -967     -74     365     533
            cash without raises                                        287    -680    -753    -389     144
            cash with certain raises                                  1987    1020     947    1311    1844
            cash with all raises                                      1987    1020    2086    3011    3544
        "#]],
    );
}

#[test]
fn midsize_in_thousands() {
    check(
        &of(include_str!("../../../../fleets/midsize.toml")),
        1_000,
        expect![[r#"
            1000 EUR                                                2026    2027    2028
            due: hourly                                                  0       0       0
            due: openhost                                                0       0       0
            due: reservation                                           172     101       0
            due: standard                                                0       0       0
            due: units                                                  73      72       0
            if signed: reservation-again                                 0     143     285
            if signed: units-again                                       0      60      59
            revenue: budget                                            523    1037    1040
            cost: people who run it                                    181     359     360
            left                                                        97     505     680
            cash without raises                                        497    1002    1682
            cash with certain raises                                   497    1002    1682
            cash with all raises                                       497    1002    1682
        "#]],
    );
}

/// 30 + 45 + 60 + 75 + 90 = 300, and the first three years alone are 135: more than the 115 of burn that are forecast to 2029.
#[test]
fn oracles_first_three_years_are_more_than_the_burn_that_is_forecast() {
    let outline = openai();
    let oracle = of_contract(&outline.obligations, "oracle");
    assert_eq!(outline.years, [2026, 2027, 2028, 2029, 2030, 2031]);
    assert_eq!(oracle.row.amounts, [0, 30, 45, 60, 75, 90].map(giga));
    assert_eq!(oracle.row.cumulative(), [0, 30, 75, 135, 210, 300].map(giga));
    assert_eq!(oracle.row.total(), giga(300));
    let [part] = oracle.parts.as_slice() else { unreachable!("all of it is the floor") };
    assert_eq!((part.kind, &part.amounts), (PartKind::Floor, &oracle.row.amounts));
    let burn = outline.beside.iter().find(|fact| fact.id == "S067").expect("the forecast carries no figure");
    assert_eq!(burn.says.as_deref(), Some("115 G$ of cash burnt from 2025 to 2029"));
    // What this file comes to itself from 2026 to 2029.
    let burnt: Money = outline.balance.left[..4].iter().copied().sum();
    assert_eq!(column(&[burnt], 1_000_000).trim(), "-93442");
}

#[test]
fn a_line_says_who_carries_it() {
    let outline = openai();
    let oracle = &of_contract(&outline.obligations, "oracle").row.evidence;
    assert_eq!(ids(oracle), ["S001", "S004"]);
    assert_eq!(oracle.facts[0].speaker.as_deref(), Some("Wall Street Journal, by way of Cafétech"));
    // The first year is said, the other four are ours.
    let sources: Vec<_> = oracle.figures.iter().map(|figure| (figure.path.as_str(), figure.source.as_deref(), figure.assumption)).collect();
    assert_eq!(
        sources[..2],
        [("contracts.oracle.floor.0.least.0.is", Some("S004"), false), ("contracts.oracle.floor.0.least.1.is", Some("S001"), true)]
    );
    assert_eq!(oracle.assumptions().count(), 4);
    let azure = &of_contract(&outline.obligations, "azure").row.evidence;
    assert_eq!((ids(azure).len(), azure.assumptions().collect::<Vec<_>>()), (0, vec!["contracts.azure.floor.0.least.0.is"]));
    assert_eq!(ids(&outline.raises[1].evidence), ["S071", "S072"]);
    let subscriptions = &outline.revenue[0];
    assert_eq!(subscriptions.evidence.assumptions().count(), 6);
    assert_eq!(subscriptions.depends, Depends::Served { workload: "chat".to_owned() });
}

/// Raises are upper bounds: from nothing to 40, 100 and 10.
#[test]
fn a_raise_that_may_fail_is_no_cash() {
    let outline = openai();
    for (raise, most) in outline.raises.iter().zip([40, 100, 10]) {
        let range = raise.range.as_ref().expect("each has a range");
        assert_eq!((raise.amounts[0], range.low[0], range.high[0]), (giga(most), Money::ZERO, giga(most)));
        assert!(matches!(raise.depends, Depends::UpTo { cost: Some(_), .. }));
    }
    let balance = &outline.balance;
    assert_eq!(balance.cash_with_certain, balance.cash_without);
    assert_eq!(balance.cash_with_all[5] - balance.cash_without[5], giga(150));
    // The floor is 5 G$: it holds to the end of 2027 by itself.
    assert_eq!((balance.needed[0], balance.needed[1], balance.needed[2]), (Money::ZERO, Money::ZERO, giga(5) - balance.cash_without[2]));
}

/// 52 G$ with 92 % borrowed are 99.84 G$; at 38 G$ a GW that builds 2.627 GW. SoftBank's 19 are 0.96 of it.
#[test]
fn stargate_is_what_its_partners_pay_for() {
    let outline = openai();
    let [stargate] = outline.ventures.as_slice() else { unreachable!("there is one venture") };
    assert_eq!((stargate.paid, stargate.borrowed), (giga(52), Money::from_units(47_840_000_000)));
    assert_eq!(stargate.watts, 2_627_368_421);
    assert_eq!(stargate.watts_without.iter().find(|(partner, _)| partner == "softbank"), Some(&("softbank".to_owned(), 1_667_368_421)));
    let own: Money = outline.costs.iter().filter(|cost| cost.label == "stake in stargate").map(Row::total).sum();
    assert_eq!(own, giga(19));
    let stargate = of_contract(&outline.if_signed, "stargate");
    assert_eq!(stargate.row.depends, Depends::Signed { status: "discussed".to_owned() });
    assert_eq!(stargate.row.amounts, [0, 0, 0, 5, 15, 26].map(giga));
}

/// In 2027 Oracle has 1.5 GW and hosts 300,000 in-house chips in the mean of the year, 200,000 and then 400,000, of 1,100.1 W each.
#[test]
fn what_rests_on_a_party_counts_in_all_its_roles() {
    let outline = openai();
    let on = |party: &str| outline.dependence.iter().find(|dependence| dependence.party == party).expect("it matters");
    let oracle = on("oracle");
    assert_eq!(oracle.roles, ["supplier", "partner"]);
    assert_eq!((oracle.supplies[1].watts, oracle.supplies[1].accelerators), (1_830_030_000, 1_017_000));
    assert_eq!(oracle.brings.iter().map(|row| (row.label.as_str(), row.total())).collect::<Vec<_>>(), [("stake in stargate", giga(7))]);
    // 717,000 + 190,000 GB200 of 2.5 PFLOP/s, 250,000 H100 of 0.989, 60,000 TPU of 2.307 and 300,000 of 0.8 come to 2,893,170.
    assert_eq!(oracle.supplies[1].work_share, Share::from_ppm(702_517));
    assert_eq!(on("nvidia").makes[1].work_share, Share::from_ppm(869_202));
    assert_eq!(on("broadcom").makes[1].work_share, Share::from_ppm(82_954));
    assert_eq!(on("google").makes[1].work_share, Share::from_ppm(47_844));
    assert_eq!(on("amazon").brings[0].total(), giga(10));
    let shares = |year: usize| outline.dependence.iter().map(|dependence| dependence.obligations_share[year].ppm()).sum::<i64>();
    assert!((0..6).all(|year| (shares(year) - 1_000_000).abs() <= 6), "what is due is due to somebody");
}

/// 4,000 x 3.60 USD x 4,417 hours of the second half of 2026 in Paris, which has one hour more, at 0.86.
#[test]
fn dollars_are_converted_at_their_date() {
    let outline = of(include_str!("../../../../fleets/mistral-2025.toml"));
    let us = of_contract(&outline.if_signed, "us-cloud");
    assert_eq!(us.row.amounts[1], Money::from_nanos(4_000 * 3_600_000_000 * 4_417).times_ratio(86, 100));
    assert_eq!(us.row.amounts[0], Money::ZERO);
}

const LATE: &str = r#"
format = 1
name = "late"
currency = "USD"
plan = { from = 2027-01-01, months = 18 }
finance.cash = { at = 2027-01-01, amount = "1 GUSD" }
finance.raises = [{ name = "sure", from = 2026-07-01, to = 2027-07-01, amount = "365 MUSD" }, { name = "hoped", from = 2028-01-01, amount = "1 GUSD", likelihood = "50 %" }]
parties.north = { roles = ["supplier"] }
regions.us = { jurisdiction = "US" }
sites.a = { region = "us", power = "2 GW", energy = "0 USD/kWh" }

[contracts.north]
party = "north"
start = 2027-01-01
end = 2029-01-01
capacity = { site = "a", power = "1 GW" }
delivery = { tranches = [{ power = "1 GW", due = 2027-07-01 }] }
floor = { least = "1 GUSD/year", abated_while_late = true }

[contracts.south]
party = "north"
status = "stalled"
start = 2027-01-01
end = 2029-01-01
floor = { least = "2 GUSD/year" }

[contracts.over]
party = "north"
status = "ended"
start = 2027-01-01
end = 2029-01-01
floor = { least = "4 GUSD/year" }
"#;

/// What is not delivered yet is planned as delivered when due; the year 2029 is not covered, nor what falls due after June 2028.
#[test]
fn a_tranche_still_to_come_is_in_time_and_a_stalled_contract_is_apart() {
    let outline = of(LATE);
    assert_eq!(outline.years, [2027, 2028]);
    assert_eq!(of_contract(&outline.obligations, "north").row.amounts, [giga(1), Money::ZERO]);
    let south = of_contract(&outline.if_signed, "south");
    assert_eq!((&south.row.depends, south.row.amounts[0]), (&Depends::Signed { status: "stalled".to_owned() }, giga(2)));
    assert_eq!((outline.obligations.len(), outline.if_signed.len()), (1, 1));
    // Of 365 days' raise, the 181 from January to June 2027 are covered; nothing of what came before.
    assert_eq!(outline.raises[0].amounts, [Money::from_units(181_000_000), Money::ZERO]);
    assert_eq!(outline.balance.cash_with_certain, [Money::from_units(181_000_000); 2]);
    assert_eq!(outline.balance.cash_with_all[1], Money::from_units(1_181_000_000));
}

#[test]
fn contracts_that_are_billed_every_five_minutes_are_named_and_left_out() {
    let outline = of(include_str!("../../../../fleets/laptop.toml"));
    assert_eq!(outline.not_outlined.len(), 5);
    assert!(outline.obligations.is_empty());
}
