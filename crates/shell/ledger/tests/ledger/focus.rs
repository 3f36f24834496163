//! The books in FOCUS columns, and invoices in the same beside them.

use std::path::Path;

use dispatch::Known;
use ledger::{COLUMNS, FOCUS_VERSION, FocusRow, LedgerError, Reconciliation, Store, focus_rows, import_invoice, read_invoice, verify};
use market::Tokens;
use units::{Instant, Money, Span};

use crate::closing::{MINUTE, TOKENS, laptop, open, spill, start};

fn period() -> Span {
    Span { from: start(), to: start() + 5 * MINUTE }
}

fn rows(store: &Store, now: Instant) -> Vec<FocusRow> {
    focus_rows(store, &laptop(), period(), now).expect("read")
}

fn cell(row: &FocusRow, name: &str) -> String {
    let column = COLUMNS.iter().find(|column| column.name == name).expect("it is one of ours");
    column.of(row).shown()
}

/// Some columns of every row, a line each.
fn shown(rows: &[FocusRow], names: &[&str]) -> String {
    rows.iter().map(|row| names.iter().map(|name| cell(row, name)).collect::<Vec<_>>().join(" ") + "\n").collect()
}

fn csv(rows: &[FocusRow], keep: impl Fn(&str) -> bool) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).filter(|name| keep(name)).collect();
    let lines = rows.iter().map(|row| names.iter().map(|name| cell(row, name)).collect::<Vec<_>>().join(",") + "\n");
    names.join(",") + "\n" + &lines.collect::<String>()
}

fn import(directory: &Path, name: &str, text: &str) -> Result<Reconciliation, LedgerError> {
    let lines = read_invoice(text.as_bytes()).expect("an invoice");
    import_invoice(directory, &laptop(), (name, text.as_bytes(), &lines), "an accountant", start() + 60 * MINUTE)
}

#[test]
fn each_charge_has_its_row_open_and_closed() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.flush().expect("committed");
    let names = ["x_Contract", "ChargeCategory", "CommitmentDiscountStatus", "SkuId", "ConsumedQuantity", "BilledCost", "EffectiveCost"];
    let as_it_stands = rows(&store, start() + 2 * MINUTE);
    // The reservation is 2.40 dollars an hour for one accelerator, the units 0.10 for each of 12: five minutes of both, none of it used.
    let expected = "\
north-reserved Purchase  accelerator-time/cpu-share  0.2 0
north-reserved Usage Used accelerator-time/cpu-share 0 0 0
north-reserved Usage Unused accelerator-time/cpu-share  0 0.2
northgrid-umbrella Usage Unused   0.039 0.039
spill-on-demand Usage  input-tokens/smollm2-135m 1000 0.015 0.015
spill-on-demand Usage  output-tokens/smollm2-135m 100 0.006 0.006
west-provisioned Purchase  unit-time/smollm2-135m  0.1 0
west-provisioned Usage Used unit-time/smollm2-135m 0 0 0
west-provisioned Usage Unused unit-time/smollm2-135m  0 0.1
";
    assert_eq!(shown(&as_it_stands, &names), expected);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    let closed = rows(&store, start() + 20 * MINUTE);
    assert_eq!(shown(&closed, &names), expected, "closing changes no figure");
    assert!(
        as_it_stands.iter().all(|row| cell(row, "x_Closing").is_empty()) && closed.iter().all(|row| !cell(row, "x_Closing").is_empty())
    );
    let prices = ["PricingQuantity", "PricingUnit", "ContractedUnitPrice", "ProviderName", "BillingPeriodStart", "ServiceCategory"];
    let expected = "0.001 1000000 Tokens 15 northgrid 2026-11-22T12:00:00Z AI and Machine Learning\n";
    assert_eq!(shown(&closed[4..5], &prices), expected);
    for row in &closed {
        COLUMNS.iter().for_each(|column| assert!(column.of(row).shown().is_ascii(), "{}", column.name));
    }
}

#[test]
fn an_invoice_that_says_what_we_say_agrees_to_the_last_unit_and_counts_once() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.flush().expect("committed");
    let text = csv(&rows(&store, start() + 2 * MINUTE), |_| true);
    let found = import(directory.path(), "november.csv", &text).expect("imported");
    assert!(found.agrees() && found.cleared.is_empty() && found.lines.len() == 5, "{found:?}");
    assert!(matches!(import(directory.path(), "again.csv", &text), Err(LedgerError::Imported { number: 1 })));
    drop(store);
    assert!(verify(directory.path(), None).expect("read").holds());
}

#[test]
fn what_differs_is_told_in_money() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.flush().expect("committed");
    // A supplier knows nothing of our columns, forgets a line and asks for more output tokens; and someone else asks, too.
    let all = rows(&store, start() + 2 * MINUTE);
    let text = csv(&all[5..6], |name| !name.starts_with("x_")).replace(",100,", ",150,").replace("0.006,", "0.009,");
    let strange = text.lines().nth(1).expect("a line").replace("northgrid", "nobody");
    let found = import(directory.path(), "november.csv", &format!("{text}{strange}\n")).expect("imported");
    let told: Vec<_> = found
        .lines
        .iter()
        .map(|line| (line.contract.as_str(), line.ours_too, line.their_quantity, line.our_quantity, line.money()))
        .collect();
    let nanos = Money::from_nanos;
    assert_eq!(
        told,
        [
            ("spill-on-demand", true, None, Some(1_000), nanos(-15_000_000)),
            ("spill-on-demand", true, Some(150), Some(100), nanos(3_000_000)),
            ("nobody", false, Some(150), None, nanos(9_000_000)),
        ]
    );
    assert!(!found.agrees());
}

#[test]
fn what_was_bounded_is_cleared_by_what_the_invoice_says() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    let lost = [(2, 300), (3, 100)]
        .map(|(request, output)| spill(&store, request, Known::Bounded, Tokens { input: 400, cached: 0, output }, start() + 2 * MINUTE));
    store.flush().expect("committed");
    assert_eq!(store.unreconciled_total().expect("read").attempts, 2);
    // 1,000 + 600 input tokens and 100 + 200 output tokens, at 15 and 60 dollars a million.
    let text =
        "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ProviderName,SkuMeter,ServiceName,ConsumedQuantity,ConsumedUnit
0.024,USD,2026-11-22T12:00:00Z,2026-11-22T12:05:00Z,northgrid,Input Tokens,smollm2-135m,1.6,1K Tokens
0.018,USD,2026-11-22T12:00:00Z,2026-11-22T12:05:00Z,northgrid,Output Tokens,smollm2-135m,300,Tokens
";
    let found = import(directory.path(), "november.csv", text).expect("imported");
    assert_eq!((found.agrees(), found.cleared.as_slice()), (true, lost.as_slice()), "{found:?}");
    let tokens = lost.map(|attempt| store.attempts_of(attempt.request).expect("read")[0].taken().expect("cleared").0);
    // By their bounds: input evenly, output three to one.
    assert_eq!(tokens, [Tokens { input: 300, cached: 0, output: 150 }, Tokens { input: 300, cached: 0, output: 50 }]);
    assert_eq!(store.unreconciled_total().expect("read").attempts, 0);
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
    // Another that asks for more than the bounds allow clears nothing further, and differs by it.
    let more = text.replace("0.018", "0.078").replace("300,Tokens", "1300,Tokens");
    let found = import(directory.path(), "december.csv", &more).expect("imported");
    assert_eq!(found.lines.iter().map(|line| line.money().nanos()).collect::<Vec<_>>(), [0, 60_000_000]);
}

/// Columns of FOCUS 1.2, as AWS names them in its data export of that version (table FOCUS_1_2_AWS, without its own `x_` columns).
const OF_FOCUS: &str = "AvailabilityZone BilledCost BillingAccountId BillingAccountName BillingAccountType BillingCurrency BillingPeriodEnd
    BillingPeriodStart CapacityReservationId CapacityReservationStatus ChargeCategory ChargeClass ChargeDescription ChargeFrequency ChargePeriodEnd
    ChargePeriodStart CommitmentDiscountCategory CommitmentDiscountId CommitmentDiscountName CommitmentDiscountQuantity CommitmentDiscountStatus
    CommitmentDiscountType CommitmentDiscountUnit ConsumedQuantity ConsumedUnit ContractedCost ContractedUnitPrice EffectiveCost InvoiceId
    InvoiceIssuerName ListCost ListUnitPrice PricingCategory PricingCurrency PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost
    PricingCurrencyListUnitPrice PricingQuantity PricingUnit ProviderName PublisherName RegionId RegionName ResourceId ResourceName ResourceType
    ServiceCategory ServiceName ServiceSubcategory SkuId SkuMeter SkuPriceId SkuPriceDetails SubAccountId SubAccountName SubAccountType Tags";

#[test]
fn columns_are_those_of_focus_or_marked_as_ours() {
    for column in COLUMNS {
        let is_theirs = OF_FOCUS.split_whitespace().any(|name| name == column.name);
        assert!(is_theirs != column.name.starts_with("x_"), "{}", column.name);
    }
    assert_eq!(FOCUS_VERSION, "1.2");
}
