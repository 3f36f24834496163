//! A bill summed up: rates and commitments as they were seen, and the money that neither explains.

use std::collections::BTreeMap;

use jiff::civil::Date;
use units::Currency;

use crate::error::ImportError;
use crate::exact::Exact;
use crate::focus::meter::{self, Meter};
use crate::focus::row::Row;
use crate::names;

/// The party of rows that have no name for theirs, or none that a fleet file takes.
pub(super) const UNNAMED: &str = "unnamed";

/// Whose bill it is, and in which currency.
pub(super) type Payee = (String, Currency);

/// What was seen of one meter.
#[derive(Debug, Default)]
pub(super) struct Rate {
    pub(super) line: usize,
    pub(super) millions: Exact,
    pub(super) billed: Exact,
    /// Millions of tokens by the price of a million.
    prices: BTreeMap<Exact, Exact>,
}

impl Rate {
    /// The price of most of the tokens; of several such the lowest.
    pub(super) fn price(&self) -> Exact {
        let most = self.prices.values().max().copied().unwrap_or_default();
        self.prices.iter().find(|(_, millions)| **millions == most).map_or(Exact::ZERO, |(price, _)| *price)
    }

    pub(super) fn prices(&self) -> usize {
        self.prices.len()
    }
}

/// What was seen of one commitment.
#[derive(Debug, Default)]
pub(super) struct Commitment {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) category: String,
    pub(super) unit: String,
    pub(super) billed: Exact,
    /// Purchases that come again, and what use of it cost, by billing period.
    pub(super) recurring: BTreeMap<Option<Date>, Exact>,
    pub(super) effective: BTreeMap<Option<Date>, Exact>,
    pub(super) once: Exact,
    /// The quantity by billing period, of purchases or else of use.
    pub(super) bought: BTreeMap<Option<Date>, Exact>,
    pub(super) used: BTreeMap<Option<Date>, Exact>,
    pub(super) from: Option<Date>,
    pub(super) to: Option<Date>,
}

/// Money that no contract explains.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) line: usize,
    pub(super) rows: usize,
    pub(super) money: Exact,
}

/// A bill summed up.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) billed: BTreeMap<Currency, Exact>,
    /// The parties, and the row where each was seen first.
    pub(super) parties: BTreeMap<String, usize>,
    pub(super) rates: BTreeMap<Payee, BTreeMap<(String, Meter), Rate>>,
    /// The dearest price of a million tokens, whoever asks it.
    pub(super) dearest: BTreeMap<Currency, Exact>,
    pub(super) commitments: BTreeMap<(Payee, String), Commitment>,
    /// By payee, category and service.
    pub(super) listed: BTreeMap<(Payee, String, String), Listed>,
    pub(super) from: Option<Date>,
    /// Whether every billing period is a month.
    pub(super) monthly: bool,
}

/// Adds up, exactly.
pub(super) fn add(sum: &mut Exact, more: Exact, line: usize) -> Result<(), ImportError> {
    let too_large = || ImportError::at(line, "the sum is too large", "split the bill, by provider or by month");
    *sum = sum.plus(more).ok_or_else(too_large)?;
    Ok(())
}

/// Sums a bill up.
pub(super) fn of(rows: &[Row]) -> Result<Seen, ImportError> {
    let mut seen = Seen { monthly: true, ..Seen::default() };
    for row in rows {
        let provider = if row.text("ProviderName").is_empty() { row.text("PublisherName") } else { row.text("ProviderName") };
        let party = names::slug(provider, UNNAMED);
        seen.parties.entry(party.clone()).or_insert(row.line);
        if !row.text("PublisherName").is_empty() {
            seen.parties.entry(names::slug(row.text("PublisherName"), UNNAMED)).or_insert(row.line);
        }
        add(seen.billed.entry(row.currency).or_default(), row.billed, row.line)?;
        let (from, to) = (row.date("BillingPeriodStart"), row.date("BillingPeriodEnd"));
        seen.from = seen.from.into_iter().chain(from).min();
        if let Some((from, to)) = from.zip(to) {
            seen.monthly &= from.checked_add(jiff::Span::new().months(1)).is_ok_and(|month| month == to);
        }
        let payee = (party, row.currency);
        let commitment = row.text("CommitmentDiscountId");
        if !commitment.is_empty() {
            let found = seen.commitments.entry((payee, commitment.to_owned())).or_default();
            committed(found, row, from)?;
        } else if let Some(metered) = meter::of(row) {
            let dearest = seen.dearest.entry(row.currency).or_default();
            *dearest = metered.price.max(*dearest);
            let rate = seen.rates.entry(payee).or_default().entry((metered.model, metered.meter)).or_default();
            rate.line = if rate.line == 0 { row.line } else { rate.line };
            add(&mut rate.millions, metered.millions, row.line)?;
            add(&mut rate.billed, row.billed, row.line)?;
            add(rate.prices.entry(metered.price).or_default(), metered.millions, row.line)?;
        } else {
            let key = (payee, names::shown(row.text("ChargeCategory")), names::shown(row.text("ServiceName")));
            let listed = seen.listed.entry(key).or_default();
            listed.line = if listed.line == 0 { row.line } else { listed.line };
            listed.rows += 1;
            add(&mut listed.money, row.billed, row.line)?;
        }
    }
    Ok(seen)
}

fn committed(found: &mut Commitment, row: &Row, period: Option<Date>) -> Result<(), ImportError> {
    if found.line == 0 {
        found.line = row.line;
    }
    let fill = |kept: &mut String, name: &str| {
        if kept.is_empty() {
            row.text(name).clone_into(kept);
        }
    };
    fill(&mut found.name, "CommitmentDiscountName");
    fill(&mut found.category, "CommitmentDiscountCategory");
    fill(&mut found.unit, "CommitmentDiscountUnit");
    add(&mut found.billed, row.billed, row.line)?;
    let quantity = row.number("CommitmentDiscountQuantity").unwrap_or_default();
    if row.text("ChargeCategory").eq_ignore_ascii_case("purchase") {
        let once = row.text("ChargeFrequency").eq_ignore_ascii_case("one-time");
        let sum = if once { &mut found.once } else { found.recurring.entry(period).or_default() };
        add(sum, row.billed, row.line)?;
        add(found.bought.entry(period).or_default(), quantity, row.line)?;
    } else {
        add(found.effective.entry(period).or_default(), row.number("EffectiveCost").unwrap_or_default(), row.line)?;
        add(found.used.entry(period).or_default(), quantity, row.line)?;
    }
    found.from = found.from.into_iter().chain(row.date("ChargePeriodStart")).min();
    found.to = found.to.into_iter().chain(row.date("ChargePeriodEnd")).max();
    Ok(())
}
