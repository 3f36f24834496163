//! The rows of a FOCUS bill, with what of each an import needs.

use jiff::civil::Date;
use units::Currency;

use crate::error::ImportError;
use crate::exact::Exact;
use crate::names;

/// Bytes that a bill may have at most.
const BYTES_MAX: usize = 256 << 20;

/// Columns of FOCUS 1.0 to 1.2 that are read; the first four must be there.
const COLUMNS: [&str; 27] = [
    "BilledCost",
    "BillingCurrency",
    "ChargeCategory",
    "ProviderName",
    "PublisherName",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ChargeDescription",
    "ChargeFrequency",
    "ServiceName",
    "RegionId",
    "SkuId",
    "SkuMeter",
    "PricingQuantity",
    "PricingUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "EffectiveCost",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountCategory",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountUnit",
];
const REQUIRED: usize = 4;
/// The columns of a period, its beginning and its end.
const PERIODS: [[&str; 2]; 2] = [["BillingPeriodStart", "BillingPeriodEnd"], ["ChargePeriodStart", "ChargePeriodEnd"]];

/// A row of a bill.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) billed: Exact,
    pub(super) currency: Currency,
    texts: Vec<String>,
}

impl Row {
    /// The text in a column; empty where the bill has no such column, or nothing in it.
    pub(super) fn text(&self, name: &str) -> &str {
        let at = COLUMNS.iter().position(|it| *it == name);
        let text = at.and_then(|at| self.texts.get(at)).map_or("", |text| text.trim());
        if text.eq_ignore_ascii_case("null") { "" } else { text }
    }

    /// The number in a column, when there is one that can be kept exactly.
    pub(super) fn number(&self, name: &str) -> Option<Exact> {
        Exact::parse(self.text(name))
    }

    /// A column's date, from a date or an instant.
    pub(super) fn date(&self, name: &str) -> Option<Date> {
        let (date, time) = self.text(name).split_at_checked(10)?;
        let date: Date = date.parse().ok()?;
        let whole = time.is_empty() || time.starts_with(['T', ' ']);
        (whole && (1970..=2200).contains(&date.year())).then_some(date)
    }

    /// Refuses what stands for a date and is none, and periods that end before they begin.
    fn check_periods(&self) -> Result<(), ImportError> {
        for name in PERIODS.into_iter().flatten() {
            let text = self.text(name);
            if !text.is_empty() && self.date(name).is_none() {
                let message = format!("`{name}` is `{}`, which is no date from 1970 to 2200", names::shown(text));
                return Err(ImportError::at(self.line, message, "write year, month and day, such as 2026-09-01"));
            }
        }
        for [start, end] in PERIODS {
            if self.date(start).zip(self.date(end)).is_some_and(|(from, to)| to < from) {
                return Err(ImportError::at(
                    self.line,
                    format!("`{end}` is before `{start}`"),
                    "export the bill again: one of the two is wrong",
                ));
            }
        }
        Ok(())
    }
}

/// Reads a bill; each row by itself is as the bill has it.
pub(super) fn read(text: &str) -> Result<Vec<Row>, ImportError> {
    if text.len() > BYTES_MAX {
        return Err(ImportError::whole(
            format!("the bill has {} bytes", text.len()),
            format!("split it: a bill has at most {BYTES_MAX} bytes"),
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let head = reader.headers().map_err(|error| broken(text, &error))?.clone();
    let find = |name: &str| head.iter().position(|it| it.trim() == name);
    for name in &COLUMNS[..REQUIRED] {
        let either = *name == "ProviderName" && find("PublisherName").is_some();
        if find(name).is_none() && !either {
            let single = head.get(0).filter(|_| head.len() == 1).unwrap_or_default();
            if let Some((_, separator)) = [(';', "semicolons"), ('\t', "tabs")].into_iter().find(|(it, _)| single.contains(*it)) {
                let hint = "export the bill again with commas between fields, and points in its numbers";
                return Err(ImportError::at(1, format!("the bill has {separator} between its fields"), hint));
            }
            let hint = "give a bill in FOCUS 1.0 to 1.2 as CSV, with its column names in the first line";
            return Err(ImportError::at(1, format!("the bill has no column `{name}`"), hint));
        }
    }
    if let Some(name) = COLUMNS.iter().find(|name| head.iter().filter(|it| it.trim() == **name).count() > 1) {
        let hint = "take out all but the one that counts";
        return Err(ImportError::at(1, format!("the bill has the column `{name}` more than once"), hint));
    }
    let places: Vec<Option<usize>> = COLUMNS.iter().map(|name| find(name)).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| broken(text, &error))?;
        let line = record.position().map_or(1, |it| line_at(text, it));
        let texts: Vec<String> = places.iter().map(|at| at.and_then(|at| record.get(at)).unwrap_or_default().to_owned()).collect();
        rows.push(row(line, texts)?);
    }
    Ok(rows)
}

fn row(line: usize, texts: Vec<String>) -> Result<Row, ImportError> {
    let shown = |at: usize| names::shown(texts.get(at).map_or("", String::as_str));
    let billed = texts.first().and_then(|text| Exact::parse(text)).ok_or_else(|| {
        let hint = "write a plain number, with a point and no thousands separator, of at most 24 digits after the point";
        ImportError::at(line, format!("`BilledCost` is `{}`, which is no number", shown(0)), hint)
    })?;
    let currency = texts.get(1).and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        ImportError::at(
            line,
            format!("`BillingCurrency` is `{}`, which is no currency code", shown(1)),
            "write three capital letters, such as USD",
        )
    })?;
    let row = Row { line, billed, currency, texts };
    row.check_periods()?;
    Ok(row)
}

/// The line that a record begins in: the reader stands before what is left of the line's end before, and before lines that are empty.
fn line_at(text: &str, at: &csv::Position) -> usize {
    let rest = usize::try_from(at.byte()).ok().and_then(|at| text.as_bytes().get(at..)).unwrap_or_default();
    let ends = rest.iter().take_while(|byte| b"\r\n".contains(byte)).filter(|byte| **byte == b'\n').count();
    usize::try_from(at.line()).unwrap_or(usize::MAX).saturating_add(ends)
}

fn broken(text: &str, error: &csv::Error) -> ImportError {
    let line = error.position().map(|it| line_at(text, it));
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("the row has {len} fields, and the first line {expected_len}"),
        _ => "the file is not CSV".to_owned(),
    };
    let hint = "export the bill again: commas between fields, double quotes around those that have commas in them";
    ImportError { line, message, hint: hint.to_owned() }
}
