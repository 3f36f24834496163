//! `baseload ledger show --invoices` and `--invoice`: what was imported, beside what we had.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use ledger::{KeptInvoice, KeptLine, View, escaped};
use serde_json::{Value, json};
use units::{Currency, Money};

use crate::exit::Exit;

/// Shows every invoice, with sums by contract.
pub fn list(view: &View, json: bool, out: &mut dyn Write) -> Result<Exit> {
    let invoices = view.invoices()?;
    if json {
        let invoices: Vec<Value> = invoices.iter().map(|invoice| document(invoice, sums(invoice))).collect();
        writeln!(out, "{}", json!({ "invoices": invoices }))?;
        return Ok(Exit::Done);
    }
    if invoices.is_empty() {
        writeln!(out, "no invoices yet: `baseload ledger import FILE` sets one beside what was metered")?;
    }
    for invoice in &invoices {
        head(invoice, out)?;
        for sum in sums(invoice) {
            line(&sum, out)?;
        }
    }
    Ok(Exit::Done)
}

/// Shows one invoice with its lines.
pub fn show(view: &View, number: i64, json: bool, out: &mut dyn Write) -> Result<Exit> {
    let invoice = view.invoice(number)?;
    if json {
        writeln!(out, "{}", document(&invoice, invoice.lines.iter().map(Shown::of).collect()))?;
        return Ok(Exit::Done);
    }
    head(&invoice, out)?;
    for shown in invoice.lines.iter().map(Shown::of) {
        line(&shown, out)?;
    }
    Ok(Exit::Done)
}

/// A line, or the sum of some.
#[derive(Debug, PartialEq, Eq)]
struct Shown<'a> {
    contract: &'a str,
    /// The line; nothing of a sum.
    line: Option<&'a KeptLine>,
    currency: Option<Currency>,
    billed: Money,
    ours: Money,
}

impl<'a> Shown<'a> {
    fn of(line: &'a KeptLine) -> Self {
        let KeptLine { contract, currency, billed, ours, .. } = line;
        Self { contract, line: Some(line), currency: *currency, billed: *billed, ours: *ours }
    }
}

/// What an invoice comes to by contract. What nothing of ours was beside stays apart: nothing says in which currency it is.
fn sums(invoice: &KeptInvoice) -> Vec<Shown<'_>> {
    let mut sums: BTreeMap<&str, Shown<'_>> = BTreeMap::new();
    let mut apart = Vec::new();
    for line in &invoice.lines {
        let one = Shown::of(line);
        if !line.ours_too() {
            apart.push(one);
            continue;
        }
        let sum = sums.entry(one.contract).or_insert(Shown { line: None, billed: Money::ZERO, ours: Money::ZERO, ..one });
        sum.billed += line.billed;
        sum.ours += line.ours;
    }
    sums.into_values().chain(apart).collect()
}

fn head(KeptInvoice { number, name, who, at, lines }: &KeptInvoice, out: &mut dyn Write) -> Result<()> {
    let [name, who] = [name, who].map(|text| escaped(text));
    Ok(writeln!(out, "{number:>5} {name}, imported by {who} at {at}: {} contract lines", lines.len())?)
}

fn line(shown: &Shown<'_>, out: &mut dyn Write) -> Result<()> {
    let Shown { contract, line, currency, billed, ours } = shown;
    let of = line.map_or_else(String::new, |line| {
        let of = line.meter.as_ref().map_or_else(|| "fees and credits".to_owned(), |(kind, subject)| format!("{kind:?} of {subject}"));
        format!(" {of} from {} to {}", line.period.from, line.period.to)
    });
    let count = |count: Option<i64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let quantities =
        line.map_or_else(String::new, |line| format!(" (quantity {} and {})", count(line.their_quantity), count(line.our_quantity)));
    let currency = currency.map_or_else(String::new, |currency| format!(" {currency}"));
    let what = escaped(&format!("{contract}{of}"));
    Ok(writeln!(out, "      {what}: billed {billed}, ours {ours}, difference {}{currency}{quantities}", *billed - *ours)?)
}

fn document(invoice: &KeptInvoice, shown: Vec<Shown<'_>>) -> Value {
    let lines = shown.into_iter().map(|Shown { contract, line, currency, billed, ours }| {
        let mut shown = json!({ "contract": contract, "currency": currency.map(|currency| currency.to_string()), "billed": billed.to_string(),
            "ours": ours.to_string(), "difference": (billed - ours).to_string() });
        if let (Some(line), Some(shown)) = (line, shown.as_object_mut()) {
            let meter = line.meter.as_ref().map(|(kind, subject)| format!("{kind:?}/{subject}"));
            shown.extend([
                ("meter".to_owned(), json!(meter)),
                ("from".to_owned(), json!(line.period.from.to_string())),
                ("to".to_owned(), json!(line.period.to.to_string())),
                ("their_quantity".to_owned(), json!(line.their_quantity)),
                ("our_quantity".to_owned(), json!(line.our_quantity)),
            ]);
        }
        shown
    });
    json!({ "number": invoice.number, "file": invoice.name, "who": invoice.who, "at": invoice.at.to_string(), "lines": lines.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    use units::{Instant, Span};

    fn kept(contract: &str, billed: i128, ours: i128) -> KeptLine {
        let [billed, ours] = [billed, ours].map(|thousandths| Money::from_nanos(thousandths * 1_000_000));
        let period = Span { from: Instant::from_micros(0), to: Instant::from_micros(1_000_000) };
        let currency = (ours != Money::ZERO).then(|| "USD".parse().expect("a currency"));
        KeptLine { contract: contract.to_owned(), meter: None, period, currency, their_quantity: None, our_quantity: None, billed, ours }
    }

    #[test]
    fn an_invoice_is_summed_by_contract_and_what_is_not_ours_stays_apart() {
        let lines = vec![kept("north", 30, 20), kept("nobody", 9, 0), kept("north", 12, 12), kept("nobody", 1, 0), kept("east", 5, 5)];
        let (name, who) = ("bill\n.csv".to_owned(), "ada".to_owned());
        let invoice = KeptInvoice { number: 7, name, who, at: Instant::from_micros(0), lines };
        let mut out = Vec::new();
        head(&invoice, &mut out).expect("memory takes it");
        sums(&invoice).iter().for_each(|sum| line(sum, &mut out).expect("memory takes it"));
        let period = "from 1970-01-01T00:00:00Z to 1970-01-01T00:00:01Z";
        assert_eq!(
            String::from_utf8(out).expect("text"),
            format!(
                "    7 bill\\n.csv, imported by ada at 1970-01-01T00:00:00Z: 5 contract lines
      east: billed 0.005, ours 0.005, difference 0.00 USD
      north: billed 0.042, ours 0.032, difference 0.01 USD
      nobody fees and credits {period}: billed 0.009, ours 0.00, difference 0.009 (quantity - and -)
      nobody fees and credits {period}: billed 0.001, ours 0.00, difference 0.001 (quantity - and -)
"
            )
        );
    }
}
