//! A supplier's invoice in FOCUS CSV, as it was written.

use std::collections::BTreeMap;

use fleet::MeterKind;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use units::{Currency, Instant, Span};

use super::exact::Exact;
use crate::words::Words;

/// At most so many lines are read.
const LINES_MAX: usize = 1_000_000;
/// A date as `2026-11-01`: a longer text that begins like one says more than a date.
const DATE_CHARS: usize = 10;

/// How much was taken, as an invoice says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stated {
    /// Nothing is said: what is charged is no use, such as a purchase or what was left unused.
    #[default]
    Nothing,
    /// Something was taken, and it isn't said how much in a unit that we count in.
    Unknown,
    /// So many base units.
    Units(Exact),
}

impl std::ops::AddAssign for Stated {
    /// What is unknown of one line is so of all together.
    fn add_assign(&mut self, other: Self) {
        *self = match (*self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (Self::Units(mut sum), Self::Units(more)) => {
                sum += more;
                Self::Units(sum)
            }
            _ => Self::Unknown,
        };
    }
}

impl Stated {
    /// How many base units, rounded half to even.
    #[must_use]
    pub fn units(self) -> Option<i64> {
        if let Self::Units(units) = self { units.to_whole() } else { None }
    }
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceLine {
    /// Where in the file, from 1; the header is line 1.
    pub line: u64,
    /// The contract that it names.
    pub contract: Option<String>,
    /// Who issued it.
    pub provider: String,
    /// What it counts, where it says so.
    pub meter: Option<MeterKind>,
    /// Of what.
    pub subject: Option<String>,
    /// The billing period.
    pub period: Span,
    /// How much was taken.
    pub taken: Stated,
    /// What is to be paid.
    pub billed: Exact,
    /// In which currency.
    pub currency: Currency,
}

/// Why a file can't be read as an invoice.
#[derive(Debug, thiserror::Error)]
pub enum InvoiceError {
    /// It is something else than CSV with commas.
    #[error("read {found}: only CSV with commas between its columns is read")]
    Strange {
        /// What it is.
        found: &'static str,
    },
    /// It is no CSV.
    #[error("read it as CSV")]
    Csv(#[from] csv::Error),
    /// A column that an invoice must have is not there.
    #[error("find column {column}: an invoice in FOCUS has it")]
    Column {
        /// Which.
        column: &'static str,
    },
    /// A value is not what its column holds.
    #[error("read line {line}, column {column}: {text:?} is {wanted}")]
    Value {
        /// Where.
        line: u64,
        /// In which column.
        column: &'static str,
        /// What is there.
        text: String,
        /// What is wrong with it.
        wanted: &'static str,
    },
    /// A billing period that ends before it has begun, or as it begins.
    #[error("read line {line}: its BillingPeriodEnd is not after its BillingPeriodStart")]
    Backwards {
        /// Where.
        line: u64,
    },
    /// It is longer than any that is read.
    #[error("read more than {limit} lines")]
    TooLong {
        /// The limit.
        limit: usize,
    },
}

impl InvoiceError {
    /// What to do about it, where that isn't said already.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Strange { .. } | Self::Csv(_) => Some("export the invoice again, as CSV in UTF-8 with commas"),
            Self::Backwards { .. } => {
                Some("a billing period goes from its first instant to the next one's, such as 2026-11-01 to 2026-12-01")
            }
            Self::Column { .. } | Self::Value { .. } | Self::TooLong { .. } => None,
        }
    }
}

/// A line as it stands in the file.
struct Raw<'a> {
    line: u64,
    places: &'a BTreeMap<String, usize>,
    record: &'a csv::StringRecord,
}

impl Raw<'_> {
    fn get(&self, column: &str) -> Option<&str> {
        self.record.get(*self.places.get(column)?).map(str::trim).filter(|text| !text.is_empty() && *text != "null")
    }

    fn read<T>(&self, column: &'static str, wanted: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, InvoiceError> {
        let text = self.get(column).unwrap_or_default();
        read(text).ok_or_else(|| InvoiceError::Value { line: self.line, column, text: text.to_owned(), wanted })
    }

    fn time(&self, column: &'static str) -> Result<Instant, InvoiceError> {
        self.read(column, "no date or time, such as 2026-11-01 or 2026-11-01T00:00:00Z", instant)
    }

    fn period(&self) -> Result<Span, InvoiceError> {
        let period = Span { from: self.time("BillingPeriodStart")?, to: self.time("BillingPeriodEnd")? };
        if period.is_empty() { Err(InvoiceError::Backwards { line: self.line }) } else { Ok(period) }
    }
}

/// An instant with an offset, or without one in UTC; a date is its midnight there.
fn instant(text: &str) -> Option<Instant> {
    let midnight = || {
        let date = text.parse::<Date>().ok().filter(|_| text.len() == DATE_CHARS)?;
        date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let in_utc = || format!("{text}Z").parse().ok();
    text.parse::<Timestamp>().ok().or_else(in_utc).or_else(midnight).map(Instant::from)
}

/// What a file is that is no text with commas, where its first bytes tell.
fn strange(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let known: [(&[u8], &str); 5] = [
        (b"PAR1", "Parquet"),
        (b"{", "JSON"),
        (b"[", "JSON"),
        (b"\x1f\x8b", "what gzip has compressed"),
        (b"PK\x03\x04", "a ZIP archive or a spreadsheet"),
    ];
    known.into_iter().find(|(start, _)| text.starts_with(start)).map(|(_, found)| found)
}

/// What stands between the columns of a head that has no comma.
fn separator(head: &csv::StringRecord) -> Option<&'static str> {
    let only = head.get(0).filter(|_| head.len() == 1)?;
    let known = [(';', "CSV with semicolons"), ('\t', "CSV with tabs"), ('|', "CSV with bars")];
    known.into_iter().find(|(separator, _)| only.contains(*separator)).map(|(_, found)| found)
}

/// Reads an invoice whole. Columns are found by name; those that no line of ours can be matched by are left alone.
///
/// # Errors
/// When it is no CSV, lacks what an invoice must have, or has a billing period that ends before it begins.
pub fn read_invoice(bytes: &[u8]) -> Result<Vec<InvoiceLine>, InvoiceError> {
    if let Some(found) = strange(bytes) {
        return Err(InvoiceError::Strange { found });
    }
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    if let Some(found) = separator(reader.headers()?) {
        return Err(InvoiceError::Strange { found });
    }
    let places: BTreeMap<String, usize> =
        reader.headers()?.iter().enumerate().map(|(place, name)| (name.trim().to_owned(), place)).collect();
    let needed = ["BilledCost", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ProviderName"];
    if let Some(column) = needed.into_iter().find(|column| !places.contains_key(*column)) {
        return Err(InvoiceError::Column { column });
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record?;
        if lines.len() == LINES_MAX {
            return Err(InvoiceError::TooLong { limit: LINES_MAX });
        }
        let line = record.position().map_or(0, |at| line_at(bytes, at));
        lines.push(line_of(&Raw { line, places: &places, record: &record })?);
    }
    Ok(lines)
}

/// The line that a record begins in: the reader stands before what is left of the line's end before, and before lines that are empty.
fn line_at(bytes: &[u8], at: &csv::Position) -> u64 {
    let rest = usize::try_from(at.byte()).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    at.line() + rest.iter().take_while(|byte| b"\r\n".contains(byte)).filter(|byte| **byte == b'\n').count() as u64
}

fn line_of(raw: &Raw<'_>) -> Result<InvoiceLine, InvoiceError> {
    let sku = raw.get("SkuId").and_then(|sku| sku.split_once('/'));
    let meter = raw.get("SkuMeter").or(sku.map(|(meter, _)| meter)).and_then(meter);
    let subject =
        sku.filter(|_| meter.is_some()).map(|(_, subject)| subject).or_else(|| raw.get("ServiceName").filter(|_| meter.is_some()));
    Ok(InvoiceLine {
        line: raw.line,
        contract: raw.get("x_Contract").or_else(|| raw.get("CommitmentDiscountId")).map(str::to_owned),
        provider: raw.get("InvoiceIssuerName").or_else(|| raw.get("ProviderName")).unwrap_or_default().to_owned(),
        meter,
        subject: subject.map(str::to_owned),
        period: raw.period()?,
        taken: taken(raw)?,
        billed: raw.read("BilledCost", "no amount", Exact::parse)?,
        currency: raw.read("BillingCurrency", "no currency", |text| text.parse().ok())?,
    })
}

/// How much was consumed, else how much was priced, where the charge is one for use.
fn taken(raw: &Raw<'_>) -> Result<Stated, InvoiceError> {
    let is_use = raw.get("ChargeCategory").is_none_or(|category| category.eq_ignore_ascii_case("usage"));
    let is_unused = raw.get("CommitmentDiscountStatus").is_some_and(|status| status.eq_ignore_ascii_case("unused"));
    if !is_use || is_unused {
        return Ok(Stated::Nothing);
    }
    for (quantity, unit) in [("ConsumedQuantity", "ConsumedUnit"), ("PricingQuantity", "PricingUnit")] {
        let Some(factor) = raw.get(quantity).and(raw.get(unit)).and_then(base_units) else { continue };
        let units = raw.read(quantity, "no number", Exact::parse)?.times(factor);
        return Ok(units.map_or(Stated::Unknown, Stated::Units));
    }
    Ok(Stated::Unknown)
}

/// How many base units one of these is.
fn base_units(unit: &str) -> Option<i64> {
    let lower = unit.to_lowercase();
    let (count, word) = lower.split_once(' ').unwrap_or(("1", &lower));
    let count: i64 = match count {
        "1k" | "thousand" => 1_000,
        "1m" | "million" => 1_000_000,
        "1b" | "billion" => 1_000_000_000,
        other => other.parse().ok()?,
    };
    let each = match word.rsplit_once('-').map_or(word, |(_, word)| word) {
        "token" | "tokens" | "millisecond" | "milliseconds" | "joule" | "joules" | "byte" | "bytes" => 1,
        "second" | "seconds" => 1_000,
        "hour" | "hours" | "kwh" => 3_600_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    count.checked_mul(each)
}

/// A meter by its name, however it is spelt.
fn meter(name: &str) -> Option<MeterKind> {
    let words: String = name.to_lowercase().chars().map(|it| if it.is_alphanumeric() { it } else { '-' }).collect();
    let known = MeterKind::WORDS.iter().find(|(_, word)| *word == words).map(|(kind, _)| *kind);
    known.or(match words.as_str() {
        "cached-input-tokens" | "cache-read-tokens" => Some(MeterKind::CachedTokens),
        "prompt-tokens" => Some(MeterKind::InputTokens),
        "completion-tokens" => Some(MeterKind::OutputTokens),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_meters_are_read() {
        for (unit, factor) in [
            ("Tokens", Some(1)),
            ("1M Tokens", Some(1_000_000)),
            ("Accelerator-Hours", Some(3_600_000)),
            ("Parsecs", None),
            ("9223372036854775807 GB", None),
        ] {
            assert_eq!(base_units(unit), factor, "{unit}");
        }
        assert_eq!(meter("Output Tokens"), Some(MeterKind::OutputTokens));
        assert_eq!(meter("cached_input_tokens"), Some(MeterKind::CachedTokens));
        assert_eq!(meter("widgets"), None);
    }

    #[test]
    fn what_is_no_invoice_is_refused_with_its_place() {
        let refused = |text: &str| read_invoice(text.as_bytes()).expect_err("no invoice").to_string();
        assert_eq!(refused("BilledCost\n1\n"), "find column BillingCurrency: an invoice in FOCUS has it");
        let head = "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ProviderName\n";
        let line = refused(&format!("{head}1,USD,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,north\n1,USD,November,2026-12-01,north\n"));
        let wanted = "no date or time, such as 2026-11-01 or 2026-11-01T00:00:00Z";
        assert_eq!(line, format!("read line 3, column BillingPeriodStart: \"November\" is {wanted}"));
        for (from, to) in
            [("2026-11-01", "2026-11-01"), ("2026-12-01", "2026-11-01"), ("2026-11-01T00:00:00+01:00", "2026-10-31T23:00:00Z")]
        {
            let backwards = refused(&format!("{head}1,USD,{from},{to},north\n"));
            assert_eq!(backwards, "read line 2: its BillingPeriodEnd is not after its BillingPeriodStart");
        }
    }

    #[test]
    fn what_is_no_csv_with_commas_is_called_what_it_is() {
        let head = "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ProviderName\n";
        for (bytes, found) in [
            (head.replace(',', ";").as_bytes(), "CSV with semicolons"),
            (head.replace(',', "\t").as_bytes(), "CSV with tabs"),
            (b"PAR1\x15\x04", "Parquet"),
            (b"\xef\xbb\xbf [{\"BilledCost\": 1}]", "JSON"),
            (b"{}", "JSON"),
        ] {
            let refused = read_invoice(bytes).expect_err("no CSV");
            assert_eq!(refused.to_string(), format!("read {found}: only CSV with commas between its columns is read"));
            assert!(refused.hint().is_some());
        }
        assert_eq!(read_invoice(format!("\u{feff}{head}").as_bytes()).expect("no lines").len(), 0);
    }

    #[test]
    fn billing_periods_are_read_as_suppliers_write_them() {
        let midnight = instant("2026-09-01T00:00:00Z");
        assert!(midnight.is_some());
        for text in [
            "2026-09-01",
            "2026-09-01T00:00:00",
            "2026-09-01 00:00:00",
            "2026-09-01T00:00:00.000Z",
            "2026-09-01T00:00:00+00:00",
            "2026-09-01T02:00:00+02:00",
        ] {
            assert_eq!(instant(text), midnight, "{text}");
        }
        for text in ["", "2026-09", "2026-13-01", "2026-09-01T", "01.09.2026", "2026-09-01[Europe/Berlin]"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
