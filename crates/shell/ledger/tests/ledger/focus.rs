//! The books in FOCUS columns, and invoices in the same beside them.

use std::path::Path;
use std::sync::Arc;

use dispatch::Known;
use fleet::Fleet;
use ledger::{
    COLUMNS, FOCUS_VERSION, FocusRow, Invoice, LedgerError, Reconciliation, Store, compare_invoice, focus_rows, import_invoice,
    read_invoice, verify,
};
use market::Tokens;
use units::{Instant, Money, Span};

use crate::closing::{LAPTOP, MINUTE, TOKENS, by_the_hour, laptop, open, open_with, spill, spill_by, start};

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
    import_by(&laptop(), directory, name, text)
}

fn import_by(fleet: &Arc<Fleet>, directory: &Path, name: &str, text: &str) -> Result<Reconciliation, LedgerError> {
    let lines = read_invoice(text.as_bytes()).expect("an invoice");
    let invoice = Invoice { name, bytes: text.as_bytes(), lines: &lines, who: "an accountant" };
    import_invoice(directory, fleet, &invoice, start() + 60 * MINUTE)
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
fn a_contracted_cost_is_the_price_times_the_quantity_or_else_what_is_billed() {
    let directory = tempfile::tempdir().expect("a folder");
    let prepaid = format!("{LAPTOP}\n[[contracts.spill-on-demand.prepayment]]\namount = \"1 USD\"\ncredit_periods = 1\n");
    let (store, fleet) = open_with(directory.path(), &prepaid);
    spill_by(&fleet, &store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.flush().expect("committed");
    let rows = focus_rows(&store, &fleet, period(), start() + 2 * MINUTE).expect("read");
    let of = ["spill-on-demand", "west-provisioned"];
    let rows: Vec<FocusRow> = rows.into_iter().filter(|row| of.contains(&cell(row, "x_Contract").as_str())).collect();
    let names = ["x_Clause", "ChargeCategory", "ContractedUnitPrice", "PricingQuantity", "ContractedCost", "ListCost", "BilledCost"];
    let expected = "\
rates Usage 15 0.001 0.015 0.015 0.015
rates Usage 60 0.0001 0.006 0.006 0.006
credit Credit   -0.021 -0.021 -0.021
rates Purchase 0.1 1 0.1 0.1 0.1
rates Usage 0.1 0 0 0 0
rates Usage 0.1 1 0.1 0.1 0
";
    assert_eq!(shown(&rows, &names), expected);
}

#[test]
fn only_what_a_commitment_covers_is_priced_by_it() {
    let directory = tempfile::tempdir().expect("a folder");
    let prepaid = format!("{LAPTOP}\n[[contracts.spill-on-demand.prepayment]]\namount = \"1 USD\"\ncredit_periods = 1\n");
    let (store, fleet) = open_with(directory.path(), &prepaid);
    spill_by(&fleet, &store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.flush().expect("committed");
    let rows = focus_rows(&store, &fleet, period(), start() + 2 * MINUTE).expect("read");
    let expected = "\
north-reserved rates Purchase Standard
north-reserved rates Usage Committed
north-reserved rates Usage Committed
northgrid-umbrella shortfall Usage Committed
spill-on-demand rates Usage Standard
spill-on-demand rates Usage Standard
spill-on-demand credit Credit\x20
west-provisioned rates Purchase Standard
west-provisioned rates Usage Committed
west-provisioned rates Usage Committed
";
    assert_eq!(shown(&rows, &["x_Contract", "x_Clause", "ChargeCategory", "PricingCategory"]), expected);
}

#[test]
fn what_names_no_meter_is_of_the_service_that_its_contract_prices() {
    let directory = tempfile::tempdir().expect("a folder");
    let prepaid = format!("{LAPTOP}\n[[contracts.spill-on-demand.prepayment]]\namount = \"1 USD\"\ncredit_periods = 1\n");
    // With tokens alone under it the umbrella is for them; with accelerators beside them for neither.
    let apart = prepaid.replace(
        "[contracts.north-reserved]\nparty = \"northgrid\"\nunder = \"northgrid-umbrella\"\n",
        "[contracts.north-reserved]\nparty = \"northgrid\"\n",
    );
    for (text, umbrella) in [(prepaid, "Other Other (Other)"), (apart, "AI and Machine Learning Generative AI")] {
        let folder = directory.path().join(umbrella);
        let (store, fleet) = open_with(&folder, &text);
        spill_by(&fleet, &store, 1, Known::Reported, TOKENS, start() + MINUTE);
        store.flush().expect("committed");
        let rows = focus_rows(&store, &fleet, period(), start() + 2 * MINUTE).expect("read");
        let rows: Vec<FocusRow> = rows.into_iter().filter(|row| cell(row, "SkuMeter").is_empty()).collect();
        let expected = format!("northgrid-umbrella shortfall {umbrella}\nspill-on-demand credit AI and Machine Learning Generative AI\n");
        assert_eq!(shown(&rows, &["x_Contract", "x_Clause", "ServiceCategory", "ServiceSubcategory"]), expected);
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
fn an_invoice_that_is_only_compared_leaves_no_trace() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    let lost = spill(&store, 2, Known::Bounded, Tokens { input: 400, cached: 0, output: 300 }, start() + 2 * MINUTE);
    store.flush().expect("committed");
    // 1,000 + 400 input tokens and 100 + 100 output tokens.
    let text =
        "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ProviderName,SkuMeter,ServiceName,ConsumedQuantity,ConsumedUnit
0.021,USD,2026-11-22T12:00:00Z,2026-11-22T12:05:00Z,northgrid,Input Tokens,smollm2-135m,1400,Tokens
0.012,USD,2026-11-22T12:00:00Z,2026-11-22T12:05:00Z,northgrid,Output Tokens,smollm2-135m,200,Tokens
";
    let lines = read_invoice(text.as_bytes()).expect("an invoice");
    let invoice = Invoice { name: "november.csv", bytes: text.as_bytes(), lines: &lines, who: "an accountant" };
    for _ in 0..2 {
        let found = compare_invoice(directory.path(), &laptop(), &invoice, start() + 60 * MINUTE).expect("compared");
        assert_eq!((found.number, found.agrees(), found.cleared.as_slice()), (1, true, [lost].as_slice()), "{found:?}");
        assert_eq!(store.unreconciled_total().expect("read").attempts, 1);
    }
    assert_eq!(import(directory.path(), "november.csv", text).expect("imported").cleared, [lost]);
    assert_eq!(store.unreconciled_total().expect("read").attempts, 0);
    drop(store);
    assert!(verify(directory.path(), None).expect("read").holds());
}

#[test]
fn an_invoice_of_a_closed_period_is_compared_by_the_terms_that_it_was_closed_by() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    // What comes late is compared by them as well.
    spill(&store, 2, Known::Reported, TOKENS, start() + 2 * MINUTE);
    store.flush().expect("committed");
    let text = csv(&rows(&store, start() + 20 * MINUTE)[4..6], |name| !name.starts_with("x_"));
    let text = text.replace(",1000,", ",2000,").replace(",100,", ",200,").replace("0.015,", "0.03,").replace("0.006,", "0.012,");
    drop(store);
    // From now on dearer, by quarters of an hour, and without the model.
    let quarters = LAPTOP.replace("period = \"5 minutes\"", "period = \"15 minutes\"").replace("input = \"15 USD", "input = \"30 USD");
    let (store, fleet) = open_with(directory.path(), &quarters.replace("smollm2-135m", "another"));
    drop(store);
    let found = import_by(&fleet, directory.path(), "november.csv", &text).expect("imported");
    assert!(found.agrees() && found.lines.len() == 2, "{found:?}");
    assert_eq!(found.lines.iter().map(|line| line.ours.nanos()).collect::<Vec<_>>(), [30_000_000, 12_000_000]);
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
    // It can be seen again, as it was then.
    spill(&store, 2, Known::Reported, TOKENS, start() + 2 * MINUTE);
    store.flush().expect("committed");
    let kept = store.invoice(1).expect("it is kept");
    assert_eq!((kept.name.as_str(), kept.who.as_str(), kept.at), ("november.csv", "an accountant", start() + 60 * MINUTE));
    assert_eq!(kept.lines.len(), found.lines.len());
    for (kept, line) in kept.lines.iter().zip(&found.lines) {
        assert_eq!((&kept.contract, &kept.meter, kept.period), (&line.contract, &line.meter, line.period));
        assert_eq!((kept.their_quantity, kept.our_quantity), (line.their_quantity, line.our_quantity));
        assert_eq!((kept.billed, kept.ours, kept.money()), (line.billed, line.ours, line.money()));
        assert_eq!((kept.ours_too(), kept.currency), (line.ours_too, line.ours_too.then_some(line.currency)));
    }
    assert_eq!(store.invoices().expect("read"), [kept]);
    assert!(matches!(store.invoice(2), Err(LedgerError::Missing { what }) if what == "invoice 2"));
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

#[test]
fn what_is_planted_in_an_invoice_is_found() {
    for change in ["UPDATE invoice SET name = 'other'", "UPDATE invoice_line SET ours = 1 WHERE number = 0"] {
        let directory = tempfile::tempdir().expect("a folder");
        let store = open(directory.path());
        spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
        store.flush().expect("committed");
        let text = csv(&rows(&store, start() + 2 * MINUTE), |_| true);
        import(directory.path(), "november.csv", &text).expect("imported");
        drop(store);
        assert!(verify(directory.path(), None).expect("read").holds());
        let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
        database.execute_batch(change).expect("changed");
        drop(database);
        let found = verify(directory.path(), None).expect("read");
        assert!(found.findings.iter().any(|finding| matches!(finding, ledger::Finding::Chain { .. })), "{change}: {:?}", found.findings);
    }
}

#[test]
fn what_an_invoice_does_not_say_clears_nothing() {
    let input = "0.024,USD,2026-11-22T12:00:00Z,2026-11-22T12:05:00Z,northgrid,Input Tokens,smollm2-135m,1.6,1K Tokens,spill-on-demand\n";
    let output = "0.018,USD,2026-11-22T12:00:00Z,2026-11-22T12:05:00Z,northgrid,Output Tokens,smollm2-135m,300,Tokens,spill-on-demand\n";
    let strange = output.replace("300,Tokens", "0.3,Bushels");
    let cached = output.replace("Output Tokens", "Cached Tokens").replace("300,Tokens", "0.3,Bushels");
    for (lines, bound, cleared) in [
        (format!("{input}{output}"), 300, 1),
        (input.to_owned(), 300, 0),
        (output.to_owned(), 300, 0),
        (format!("{input}{strange}"), 300, 0),
        (format!("{input}{output}{cached}"), 300, 0),
        (format!("{input}{output}{strange}"), 300, 0),
        // Nothing can have come out, and nothing is said of it.
        (input.to_owned(), 0, 1),
    ] {
        let directory = tempfile::tempdir().expect("a folder");
        let store = open(directory.path());
        spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
        spill(&store, 2, Known::Bounded, Tokens { input: 900, cached: 0, output: bound }, start() + 2 * MINUTE);
        store.flush().expect("committed");
        let head = "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ProviderName,SkuMeter,ServiceName,ConsumedQuantity,ConsumedUnit,x_Contract";
        let found = import(directory.path(), "november.csv", &format!("{head}\n{lines}")).expect("imported");
        assert_eq!((found.cleared.len(), store.unreconciled_total().expect("read").attempts), (cleared, 1 - cleared as u64), "{lines}");
    }
}

/// Two models that one supplier serves, each by a contract of its own.
fn two_models() -> String {
    let of = |name: &str| {
        let from = LAPTOP.find(&format!("[{name}]")).expect("it is there");
        let text = &LAPTOP[from..];
        text[..text.find("\n\n").expect("it ends")].to_owned()
    };
    let model = of("models.smollm2-135m").replace("smollm2-135m", "second").replace("aliases", "# aliases");
    let contract = of("contracts.spill-on-demand").replace("spill-on-demand", "second-on-demand").replace("\"spill\"", "\"second\"");
    let contract = contract.replace("15 USD", "5 USD").replace("60 USD", "20 USD");
    let endpoint = "[endpoints.second]\nmodel = \"second\"\nregion = \"home\"\nurl = \"https://second.example.com/v1\"\nslots = 4";
    format!("{LAPTOP}\n{model}\n\n{endpoint}\n\n{contract}\n")
}

/// The supplier's own invoice for what is on demand: it knows nothing of our columns.
fn on_demand(store: &Store, fleet: &Arc<Fleet>) -> String {
    let rows = focus_rows(store, fleet, period(), start() + 2 * MINUTE).expect("read");
    let rows: Vec<FocusRow> = rows.into_iter().filter(|row| cell(row, "x_Contract") == "spill-on-demand").collect();
    csv(&rows, |name| !name.starts_with("x_"))
}

#[test]
fn a_line_is_of_the_contract_that_prices_its_model() {
    let renamed = two_models().replace(
        "[contracts.spill-on-demand]\nparty = \"northgrid\"\nunder = \"northgrid-umbrella\"\n",
        "[contracts.spill-by-token]\nparty = \"westcloud\"\n",
    );
    let retired = LAPTOP.replace("smollm2-135m", "another");
    for (before, after) in [
        // Of two contracts, of one that left the file where another of the supplier stayed, and of one whose model left it.
        (two_models(), two_models()),
        (two_models(), renamed),
        (LAPTOP.to_owned(), retired),
    ] {
        let directory = tempfile::tempdir().expect("a folder");
        let (store, fleet) = open_with(directory.path(), &before);
        spill_by(&fleet, &store, 1, Known::Reported, TOKENS, start() + MINUTE);
        let lost = spill_by(&fleet, &store, 2, Known::Bounded, Tokens { input: 600, cached: 0, output: 200 }, start() + 2 * MINUTE);
        store.flush().expect("committed");
        let text = on_demand(&store, &fleet);
        drop(store);
        let (store, fleet) = open_with(directory.path(), &after);
        drop(store);
        let found = import_by(&fleet, directory.path(), "november.csv", &text).expect("imported");
        assert!(found.agrees() && found.lines.len() == 2, "{found:?}");
        assert!(found.lines.iter().all(|line| line.ours_too && line.contract == "spill-on-demand"), "{found:?}");
        assert_eq!(found.cleared, [lost], "nothing was taken beyond what was metered");
        assert!(verify(directory.path(), None).expect("read").holds());
    }
}

#[test]
fn a_name_that_is_none_of_ours_says_nothing_of_the_contract() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.flush().expect("committed");
    let text = on_demand(&store, &laptop()).replace("smollm2-135m", "Tokens as a Service");
    let found = import(directory.path(), "november.csv", &text).expect("imported");
    assert!(found.lines.iter().all(|line| line.ours_too && line.contract == "spill-on-demand"), "{found:?}");
}

/// What a line of an invoice begins with, for November's first five minutes.
const HEAD: &str = "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ProviderName,ConsumedUnit,ServiceName,x_Contract,SkuMeter,ConsumedQuantity,ChargeCategory,CommitmentDiscountStatus";
const FIRST: &str = "USD,2026-11-22T12:00:00Z,2026-11-22T12:05:00Z,northgrid,Tokens,smollm2-135m,spill-on-demand";

#[test]
fn cached_input_that_only_one_side_tells_apart_is_no_use_beyond() {
    let priced = LAPTOP.replace("output = \"60 USD/1M tokens\"\n", "output = \"60 USD/1M tokens\"\ncached = \"1 USD/1M tokens\"\n");
    assert_ne!(priced, LAPTOP);
    for (text, input, cached, expected) in [
        (LAPTOP, 700, Some(300), (0, 0)),
        (LAPTOP, 800, Some(350), (150, 0)),
        (LAPTOP, 1_000, None, (0, 0)),
        (priced.as_str(), 1_000, None, (0, 0)),
        (priced.as_str(), 1_150, None, (150, 0)),
        (priced.as_str(), 700, Some(300), (0, 0)),
        (priced.as_str(), 800, Some(350), (150, 50)),
    ] {
        let directory = tempfile::tempdir().expect("a folder");
        let (store, fleet) = open_with(directory.path(), text);
        spill_by(&fleet, &store, 1, Known::Reported, Tokens { input: 1_000, cached: 300, output: 100 }, start() + MINUTE);
        let lost = spill_by(&fleet, &store, 2, Known::Bounded, Tokens { input: 400, cached: 0, output: 100 }, start() + 2 * MINUTE);
        store.flush().expect("committed");
        let cached = cached.map_or(String::new(), |cached| format!("0,{FIRST},Cached Tokens,{cached},,\n"));
        let invoice = format!("{HEAD}\n0,{FIRST},Input Tokens,{input},,\n0,{FIRST},Output Tokens,100,,\n{cached}");
        let lines = read_invoice(invoice.as_bytes()).expect("an invoice");
        let bill = Invoice { name: "november.csv", bytes: invoice.as_bytes(), lines: &lines, who: "an accountant" };
        let found = import_invoice(directory.path(), &fleet, &bill, start() + 60 * MINUTE).expect("imported");
        assert_eq!(found.cleared, [lost]);
        let taken = store.attempts_of(lost.request).expect("read")[0].taken().expect("cleared").0;
        assert_eq!((taken.input, taken.cached), expected, "{invoice}");
    }
}

#[test]
fn what_is_bought_or_left_unused_was_not_taken() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    let lost = spill(&store, 2, Known::Bounded, Tokens { input: 600, cached: 0, output: 900 }, start() + 2 * MINUTE);
    store.flush().expect("committed");
    let text = format!(
        "{HEAD}\n0.024,{FIRST},Input Tokens,1600,Usage,\n0.018,{FIRST},Output Tokens,300,,Used\n\
         0,{FIRST},Output Tokens,500,Purchase,\n0,{FIRST},Output Tokens,500,Usage,Unused\n0,{FIRST},Output Tokens,,Credit,\n"
    );
    let found = import(directory.path(), "november.csv", &text).expect("imported");
    assert!(found.agrees(), "{found:?}");
    let taken = store.attempts_of(lost.request).expect("read")[0].taken().expect("cleared").0;
    assert_eq!(taken, Tokens { input: 600, cached: 0, output: 200 });
}

#[test]
fn finer_amounts_than_a_billionth_are_added_up_before_they_are_rounded() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.flush().expect("committed");
    let third = format!("0.0050000000003,{FIRST},Input Tokens,333.33333333333,,\n");
    let rest = format!("4.9999999994e-3,{FIRST},Input Tokens,333.33333333334,,\n0.006,{FIRST},Output Tokens,100,,\n");
    let found = import(directory.path(), "november.csv", &format!("{HEAD}\n{third}{third}{rest}")).expect("imported");
    assert!(found.agrees(), "{found:?}");
    assert!(found.lines.iter().all(|line| line.their_quantity == line.our_quantity), "{found:?}");
}

#[test]
fn a_contract_whose_one_period_is_its_term_has_one() {
    let directory = tempfile::tempdir().expect("a folder");
    let (before, after) = LAPTOP.split_once("[contracts.spill-on-demand]").expect("it is there");
    let text = format!("{before}[contracts.spill-on-demand]{}", after.replacen("5 minutes", "term", 1));
    spill(&open(directory.path()), 1, Known::Reported, TOKENS, start() + MINUTE);
    let (store, fleet) = open_with(directory.path(), &text);
    let rows = focus_rows(&store, &fleet, period(), start() + 2 * MINUTE).expect("read");
    let names = ["x_Contract", "SkuMeter", "x_Period", "BillingPeriodStart", "BillingPeriodEnd", "BilledCost"];
    let rows: Vec<FocusRow> = rows.into_iter().filter(|row| cell(row, "x_Contract") == "spill-on-demand").collect();
    let expected = "\
spill-on-demand input-tokens 0 2026-01-01T00:00:00Z 2031-01-01T00:00:00Z 0.015
spill-on-demand output-tokens 0 2026-01-01T00:00:00Z 2031-01-01T00:00:00Z 0.006
";
    assert_eq!(shown(&rows, &names), expected);
}

#[test]
fn what_was_closed_stays_as_it_was_when_the_calendar_changes() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    let first = laptop().version.to_string();
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    drop(store);
    let (store, fleet) = open_with(directory.path(), &by_the_hour());
    let hour = Span { from: start(), to: start() + 60 * MINUTE };
    let rows = focus_rows(&store, &fleet, hour, start() + 21 * MINUTE).expect("read");
    let names = ["BillingPeriodStart", "BillingPeriodEnd", "BilledCost", "x_Closing", "x_FleetVersion"];
    let rows: Vec<FocusRow> = rows.into_iter().filter(|row| cell(row, "SkuId") == "input-tokens/smollm2-135m").collect();
    let rows: Vec<FocusRow> = rows.into_iter().filter(|row| cell(row, "x_Contract") == "spill-on-demand").collect();
    let number = cell(&rows[0], "x_Closing");
    let expected = format!(
        "2026-11-22T12:00:00Z 2026-11-22T12:05:00Z 0.015 {number} {first}\n\
         2026-11-22T12:05:00Z 2026-11-22T13:00:00Z 0.015  {}\n",
        fleet.version
    );
    assert_eq!((shown(&rows, &names), number.is_empty()), (expected, false));
}

/// The provisioned units in the long form, at those rates.
fn provisioned(rates: &[&str]) -> String {
    let short =
        "preset = \"provisioned\"\nendpoints = [\"west\"]\nunits = 12\ntokens_per_unit_minute = 100\nrate = \"0.10 USD/unit-hour\"\n";
    let capacity = "
[[contracts.west-provisioned.capacity]]
model = \"smollm2-135m\"
units = 12
tokens_per_unit_minute = 100
";
    let rates = rates.iter().map(|rate| format!("[[contracts.west-provisioned.rates]]\n{rate}\n"));
    LAPTOP.replace(short, "endpoints = [\"west\"]\n") + capacity + &rates.collect::<String>()
}

/// Holds provisioned units from some minute to another, for an attempt that there is.
fn hold(store: &Store, fleet: &Fleet, (from, to): (u32, u32), held: i64, used: i64) {
    let (endpoint, contract) = (fleet.endpoints.id("west").expect("there"), fleet.contracts.id("west-provisioned").expect("there"));
    let meter = fleet::Meter::UnitTime(fleet.endpoints[endpoint].model);
    let span = Span { from: start() + from * MINUTE, to: start() + to * MINUTE };
    let [held, used] = [held, used].map(units::Quantity::new);
    let usage = vec![market::Usage { contract, meter, at: span.from, held, used }];
    let shares = vec![(crate::fixture::attempt(1, 1), used)];
    let held = dispatch::HeldTime { endpoint, fleet: fleet.version, span, usage, shares };
    store.append(&dispatch::Record::Held(held)).expect("appended");
    store.flush().expect("committed");
}

fn of_west(rows: Vec<FocusRow>) -> Vec<FocusRow> {
    rows.into_iter().filter(|row| cell(row, "x_Contract") == "west-provisioned").collect()
}

#[test]
fn what_was_used_of_a_commitment_is_handed_out_tier_by_tier() {
    let directory = tempfile::tempdir().expect("a folder");
    // Twelve units for five minutes are 3.6 million unit-milliseconds: half at one price, the rest at half of it.
    let tiers = "meter = \"units\"
charge = \"committed\"
tiers = [{ from = \"0 unit-hours\", rate = \"0.10 USD/unit-hour\" }, { from = \"0.5 unit-hours\", rate = \"0.05 USD/unit-hour\" }]";
    spill(&open(directory.path()), 1, Known::Reported, TOKENS, start() + MINUTE);
    let (store, fleet) = open_with(directory.path(), &provisioned(&[tiers]));
    hold(&store, &fleet, (0, 4), 2_400_000, 2_000_000);
    let rows = of_west(focus_rows(&store, &fleet, period(), start() + 4 * MINUTE).expect("read"));
    let expected = "\
0 Purchase   0
0 Usage Used 1800000 0.05
0 Usage Unused  0
1 Purchase   0
1 Usage Used 200000 0.002777778
1 Usage Unused  0.022222222
";
    assert_eq!(shown(&rows, &["x_Tier", "ChargeCategory", "CommitmentDiscountStatus", "ConsumedQuantity", "EffectiveCost"]), expected);
}

#[test]
fn what_was_closed_stays_as_it_was_whatever_the_file_says_since() {
    let directory = tempfile::tempdir().expect("a folder");
    let units = "meter = \"units\"\ncharge = \"committed\"\nrate = \"0.10 USD/unit-hour\"";
    let input = "meter = \"input\"\nrate = \"18 USD/1M tokens\"";
    let names = [
        "ChargeCategory",
        "CommitmentDiscountStatus",
        "x_HeldQuantity",
        "x_UsedQuantity",
        "BilledCost",
        "EffectiveCost",
        "BillingCurrency",
        "ProviderName",
    ];
    let expected = "\
Purchase    0.1 0 USD westcloud
Usage Used 2400000 2000000 0 0.055555556 USD westcloud
Usage Unused 2400000 2000000 0 0.044444444 USD westcloud
";
    spill(&open(directory.path()), 1, Known::Reported, TOKENS, start() + MINUTE);
    let (store, fleet) = open_with(directory.path(), &provisioned(&[units, input]));
    hold(&store, &fleet, (0, 4), 2_400_000, 2_000_000);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    // What comes late is no part of it.
    hold(&store, &fleet, (4, 5), 600_000, 300_000);
    let rows = focus_rows(&store, &fleet, period(), start() + 20 * MINUTE).expect("read");
    assert_eq!(shown(&of_west(rows), &names), expected);
    drop(store);
    // Other clauses in that place, another calendar, currency and supplier.
    let text = provisioned(&[input, units]).replace("USD", "EUR").replace("westcloud", "eastcloud");
    let text = text.replace("period = \"5 minutes\"", "period = \"60 minutes\"");
    let (store, fleet) = open_with(directory.path(), &text);
    let rows = focus_rows(&store, &fleet, period(), start() + 21 * MINUTE).expect("read");
    assert_eq!(shown(&of_west(rows), &names), expected);
    drop(store);
    // Once nothing says any more what it was closed by, it is told by the present file; its money stays what it was.
    std::fs::remove_dir_all(directory.path().join("fleets")).expect("removed");
    let (store, fleet) = open_with(directory.path(), &text);
    let rows = focus_rows(&store, &fleet, period(), start() + 21 * MINUTE).expect("read");
    assert_eq!(shown(&of_west(rows), &names), "Usage    0.1 0.1 USD eastcloud\n");
    drop(store);
    // And by nothing where that lacks the contract.
    let (store, fleet) = open_with(directory.path(), &LAPTOP.replace("west-provisioned", "west-reserved"));
    std::fs::remove_dir_all(directory.path().join("fleets")).expect("removed");
    let rows = focus_rows(&store, &fleet, period(), start() + 21 * MINUTE).expect("read");
    assert_eq!(shown(&of_west(rows), &names), "Usage    0.1 0.1 USD \n");
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
