//! FOCUS bills into fleet files: golden files of realistic bills, broken ones, and what must hold of any.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expect_test::{Expect, ExpectFile, expect, expect_file};
use import::{Exact, Imported, focus};
use proptest::prelude::*;

const CLOUD: &str = include_str!("focus/cloud.csv");
const TWO: &str = include_str!("focus/two.csv");
const EMPTY: &str = include_str!("focus/empty.csv");

/// The file, the findings below it, and the totals.
fn shown(imported: &Imported) -> String {
    let mut text = format!("{}\n---\n", imported.fleet);
    for finding in &imported.findings {
        writeln!(text, "{finding}").expect("a string takes it");
    }
    for it in &imported.totals {
        writeln!(text, "{}: billed {} = explained {} + listed {}", it.currency, it.billed, it.explained, it.listed)
            .expect("a string takes it");
    }
    text
}

fn check(bill: &str, expected: &ExpectFile) {
    let imported = focus(bill).expect("it can be imported");
    assert!(fleet::parse(&imported.fleet).fleet.is_some(), "{}", imported.fleet);
    assert_eq!(focus(bill).as_ref(), Ok(&imported), "the same text gives the same file");
    reconcile(bill, &imported);
    expected.assert_eq(&shown(&imported));
}

/// The bill's own sums, read by nothing of ours but the arithmetic, against the totals and against the findings' money.
fn reconcile(bill: &str, imported: &Imported) {
    let mut reader = csv::Reader::from_reader(bill.as_bytes());
    let head = reader.headers().expect("a head").clone();
    let at = |name: &str| head.iter().position(|it| it == name).expect("the column is there");
    let (cost, currency) = (at("BilledCost"), at("BillingCurrency"));
    let mut billed: BTreeMap<String, Exact> = BTreeMap::new();
    for row in reader.records() {
        let row = row.expect("a row");
        let sum = billed.entry(row[currency].to_owned()).or_default();
        *sum = sum.plus(Exact::parse(&row[cost]).expect("a number")).expect("it fits");
    }
    assert_eq!(imported.totals.len(), billed.len());
    for total in &imported.totals {
        let money = imported.findings.iter().filter_map(|it| it.money).filter(|(_, currency)| *currency == total.currency);
        let listed = money.fold(Exact::ZERO, |sum, (money, _)| sum.plus(money).expect("it fits"));
        assert_eq!(listed, total.listed, "what is listed is what the findings say");
        assert_eq!(total.explained.plus(listed), Some(billed[total.currency.code()]), "nothing is lost");
    }
}

#[test]
fn a_cloud_bill_keeps_its_rates_and_its_units() {
    check(CLOUD, &expect_file!["focus/cloud.txt"]);
}

#[test]
fn two_providers_in_two_currencies() {
    check(TWO, &expect_file!["focus/two.txt"]);
}

#[test]
fn an_unknown_price_is_dear_in_the_currency_of_the_bill() {
    let check = |currency: &str, price: &str, dear: &str| {
        let head = "BilledCost,BillingCurrency,ChargeCategory,ProviderName,SkuMeter,PricingQuantity,PricingUnit";
        let row = |model: &str, price: &str| format!("{price},{currency},Usage,A,{model} input tokens,1,1M");
        let imported = focus(&format!("{head}\n{}\n{}\n", row("gpt-4o", price), row("small", "0.5"))).expect("it can be imported");
        let rate = format!("meter = \"output\"\nof = \"small\"\nrate = \"{dear} {currency}/1M tokens\" # unknown: ");
        assert!(imported.fleet.contains(&rate), "{rate} in\n{}", imported.fleet);
    };
    // A hundred times the dearest price of the bill, 100 at least, and no more than a fleet file takes.
    check("JPY", "375", "37500");
    check("USD", "0.6", "100");
    check("IDR", "20000000", "1000000000");
}

#[test]
fn a_party_that_no_row_names_is_marked() {
    let imported = focus(&format!("{EMPTY}1,USD,Usage,A\n1,USD,Usage,\n")).expect("it can be imported");
    let mark = "who it is: the bill has rows with no name for it that a fleet file takes";
    assert!(imported.fleet.contains("[parties.a]\nroles = [\"supplier\"]\n"), "{}", imported.fleet);
    assert!(imported.fleet.contains(&format!("[parties.unnamed]\nroles = [\"supplier\"] # unknown: {mark}\n")), "{}", imported.fleet);
    let told = format!("unknown: line 3: parties.unnamed.roles: {mark}");
    assert!(imported.findings.iter().any(|it| it.to_string() == told), "{:?}", imported.findings);
}

#[test]
fn a_bill_of_nothing_is_a_fleet_of_nothing() {
    check(EMPTY, &expect_file!["focus/empty.txt"]);
}

#[test]
fn the_money_of_a_bill_is_explained_or_listed_as_by_hand() {
    let totals = focus(CLOUD).expect("it can be imported").totals;
    let total = totals.first().expect("dollars");
    // Explained: 10 M x 2.5 + 10 M x 1.25 + 5 M x 10 (4 M were at 10, 1 M at 9) + 25,920 for the units.
    assert_eq!(total.explained.to_string(), "26007.5");
    // Listed: 10^-18 of a row's own rounding less the 1 USD that the cheaper million saved, 310.42, the credit of 50, 0.000019.
    assert_eq!(total.listed.to_string(), "259.420019000000000001");
}

fn check_broken(bill: &str, expected: &Expect) {
    expected.assert_eq(&focus(bill).expect_err("it is broken").shown("bill.csv"));
}

#[test]
fn what_is_no_bill_is_told_by_its_first_line() {
    let check = |bill: &str, expected: Expect| check_broken(bill, &expected);
    check(
        "",
        expect![[r#"
        bill.csv:1: the bill has no column `BilledCost`
        hint: give a bill in FOCUS 1.0 to 1.2 as CSV, with its column names in the first line"#]],
    );
    check(
        "a,b\n1,2\n",
        expect![[r#"
        bill.csv:1: the bill has no column `BilledCost`
        hint: give a bill in FOCUS 1.0 to 1.2 as CSV, with its column names in the first line"#]],
    );
    check(
        "BilledCost,BillingCurrency,ChargeCategory\n",
        expect![[r#"
        bill.csv:1: the bill has no column `ProviderName`
        hint: give a bill in FOCUS 1.0 to 1.2 as CSV, with its column names in the first line"#]],
    );
    check(
        &EMPTY.replace(',', ";"),
        expect![[r#"
        bill.csv:1: the bill has semicolons between its fields
        hint: export the bill again with commas between fields, and points in its numbers"#]],
    );
    check(
        &EMPTY.replace(',', "\t"),
        expect![[r#"
        bill.csv:1: the bill has tabs between its fields
        hint: export the bill again with commas between fields, and points in its numbers"#]],
    );
}

#[test]
fn broken_bills_say_where_and_what_to_do() {
    let check = |bill: &str, expected: Expect| check_broken(bill, &expected);
    check(
        &format!("{EMPTY}1.5,USD,Usage,A\n1,5,USD,Usage,A\n"),
        expect![[r#"
        bill.csv:3: the row has 5 fields, and the first line 4
        hint: export the bill again: commas between fields, double quotes around those that have commas in them"#]],
    );
    check(
        &format!("{EMPTY}1.5,USD,Usage,A\n\"1,234.50\",USD,Usage,A\n"),
        expect![[r#"
        bill.csv:3: `BilledCost` is `1,234.50`, which is no number
        hint: write a plain number, with a point and no thousands separator, of at most 24 digits after the point"#]],
    );
    check(
        &format!("{EMPTY}1.5,dollars,Usage,A\n"),
        expect![[r#"
        bill.csv:2: `BillingCurrency` is `dollars`, which is no currency code
        hint: write three capital letters, such as USD"#]],
    );
    check(
        &format!("BilledCost,{EMPTY}1,2,USD,Usage,A\n"),
        expect![[r#"
        bill.csv:1: the bill has the column `BilledCost` more than once
        hint: take out all but the one that counts"#]],
    );
    let period = |start: &str, end: &str| {
        format!("{},BillingPeriodStart,BillingPeriodEnd\n1,USD,Usage,A,2026-08-01,\n1,USD,Usage,A,{start},{end}\n", EMPTY.trim_end())
    };
    check(
        &period("09/01/2026", "10/01/2026"),
        expect![[r#"
        bill.csv:3: `BillingPeriodStart` is `09/01/2026`, which is no date from 1970 to 2200
        hint: write year, month and day, such as 2026-09-01"#]],
    );
    check(
        &period("2026-10-01T00:00:00Z", "2026-09-01 00:00:00"),
        expect![[r#"
        bill.csv:3: `BillingPeriodEnd` is before `BillingPeriodStart`
        hint: export the bill again: one of the two is wrong"#]],
    );
    check(
        &format!("{EMPTY}99999999999999,IDR,Usage,A\n99999999999999,IDR,Usage,A\n"),
        expect![[r#"
        bill.csv:3: the sum is too large
        hint: split the bill, by provider or by month"#]],
    );
}

/// What comes of any text: a file that parses and totals that reconcile, or an error that is the text's and not ours.
fn sound(bill: &str) -> Result<(), TestCaseError> {
    match focus(bill) {
        Ok(imported) => {
            prop_assert!(fleet::parse(&imported.fleet).fleet.is_some(), "{}", imported.fleet);
            for total in &imported.totals {
                prop_assert_eq!(total.explained.plus(total.listed), Some(total.billed));
                let money = imported.findings.iter().filter_map(|it| it.money).filter(|(_, currency)| *currency == total.currency);
                let listed = money.fold(Exact::ZERO, |sum, (money, _)| sum.plus(money).expect("it fits"));
                prop_assert_eq!(listed, total.listed);
            }
        }
        Err(error) => prop_assert!(!error.message.contains("has a fault"), "{error}: {}\n{bill}", error.hint),
    }
    Ok(())
}

fn cost() -> impl Strategy<Value = String> {
    prop_oneof!["-?[0-9]{1,9}(\\.[0-9]{1,20})?", "[0-9]\\.[0-9]{1,12}[eE]-[0-9]", Just(String::new())]
}

prop_compose! {
    fn row()(billed in "-?[0-9]{1,9}(\\.[0-9]{1,20})?", currency in "USD|EUR|JPY", category in "Usage|Purchase|Tax|Credit|",
        provider in "[A-Za-z .]{0,12}|AWS|sk-aaaaaaaaaaaaaaaa", meter in "(gpt-4o|Claude|\\PC{0,8}) (input|output|cached|Outp|batch|) ?(tokens)?",
        quantity in cost(), unit in "1K Tokens|1M|Tokens|Hours|", price in cost(), effective in cost(),
        commitment in "|c-1|c-2|/a/\\PC{0,5}", kind in "Usage|Spend|", unit_of in "PTU Hours|GSU|Hours|",
        start in "2026-0[1-9]-01|", end in "2026-1[0-2]-01|", frequency in "One-Time|Recurring|Usage-Based") -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        [billed, currency, category, quoted(&provider), quoted(&meter), quantity.clone(), unit, price, effective, quoted(&commitment), kind, unit_of, quantity,
            start.clone(), end.clone(), start, end, frequency].join(",")
    }
}

const HEAD: &str = "BilledCost,BillingCurrency,ChargeCategory,ProviderName,ChargeDescription,PricingQuantity,PricingUnit,ContractedUnitPrice,EffectiveCost,\
    CommitmentDiscountId,CommitmentDiscountCategory,CommitmentDiscountUnit,CommitmentDiscountQuantity,BillingPeriodStart,BillingPeriodEnd,\
    ChargePeriodStart,ChargePeriodEnd,ChargeFrequency";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_text_panics(text in "\\PC{0,200}", tail in "[\",\n\r0-9a-z.-]{0,80}") {
        sound(&text)?;
        sound(&format!("{EMPTY}{tail}"))?;
    }

    #[test]
    fn any_rows_reconcile_and_parse(rows in prop::collection::vec(row(), 0..12)) {
        sound(&format!("{HEAD}\n{}\n", rows.join("\n")))?;
    }

    #[test]
    fn no_edit_of_a_good_bill_panics(which in 0_usize..2, at in 0.0..1.0_f64, put in "\\PC{0,6}", cut in 0_usize..30) {
        let text = [CLOUD, TWO][which];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a short text's length")]
        let at = text.floor_char_boundary((at * text.len() as f64) as usize);
        let end = text.floor_char_boundary((at + cut).min(text.len()));
        sound(&format!("{}{put}{}", &text[..at], &text[end..]))?;
    }
}
