//! The books in FOCUS columns, and suppliers' invoices in the same.
//!
//! [FOCUS](https://focus.finops.org) 1.2 is the FinOps Foundation's specification of cost and usage data. What it can't express is in
//! columns that begin with `x_`; docs/books.md says which and why.

mod exact;
mod export;
mod invoice;
mod kept;
pub(crate) mod reconcile;

use fleet::{FleetVersion, MeterKind};
use units::{Currency, Instant, Money, Span};

use crate::words::Word;

pub use exact::Exact;
pub use export::focus_rows;
pub use invoice::{InvoiceError, InvoiceLine, Stated, read_invoice};
pub use kept::{KeptInvoice, KeptLine};
pub use reconcile::{Difference, Invoice, Reckoned, Reconciliation, compare_invoice, import_invoice};

/// Which version of FOCUS the columns are of.
pub const FOCUS_VERSION: &str = "1.2";

const NANOS: i128 = 1_000_000_000;

/// A value in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Text.
    Text(String),
    /// A decimal number, in billionths.
    Decimal(i128),
    /// An instant.
    Time(Instant),
}

impl Cell {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn some(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    fn count(count: Option<i64>) -> Self {
        count.map_or(Self::Null, |count| Self::Decimal(i128::from(count) * NANOS))
    }

    const fn money(money: Money) -> Self {
        Self::Decimal(money.nanos())
    }

    /// As CSV and JSON write it; nothing is empty.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) => text.clone(),
            Self::Decimal(nanos) => decimal(*nanos),
            Self::Time(at) => at.to_string(),
        }
    }
}

/// Billionths as a decimal number without needless zeros.
fn decimal(nanos: i128) -> String {
    let (whole, rest) = (nanos.unsigned_abs() / NANOS.unsigned_abs(), nanos.unsigned_abs() % NANOS.unsigned_abs());
    let sign = if nanos < 0 { "-" } else { "" };
    let digits = format!("{rest:09}");
    match digits.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        digits => format!("{sign}{whole}.{digits}"),
    }
}

/// What kind of values a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Decimal numbers with nine places.
    Decimal,
    /// Instants.
    Time,
}

/// One charge of one contract's billing period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FocusRow {
    pub(crate) account: String,
    /// Nothing where no text is left that says who it is.
    pub(crate) provider: Option<String>,
    pub(crate) currency: Currency,
    pub(crate) contract: String,
    pub(crate) billing: Span,
    pub(crate) charge: Span,
    pub(crate) category: &'static str,
    pub(crate) class: Option<&'static str>,
    pub(crate) frequency: &'static str,
    pub(crate) description: String,
    pub(crate) billed: Money,
    pub(crate) effective: Money,
    pub(crate) contracted: Money,
    pub(crate) meter: Option<(MeterKind, String)>,
    pub(crate) service: Service,
    pub(crate) quantity: Option<i64>,
    pub(crate) rate: Option<units::Rate>,
    /// The kind of commitment that it is under, and whether this part of it was used.
    pub(crate) commitment: Option<(&'static str, Option<&'static str>)>,
    pub(crate) clause: String,
    pub(crate) place: Option<i64>,
    pub(crate) tier: Option<i64>,
    pub(crate) period: i64,
    pub(crate) closing: Option<i64>,
    pub(crate) fleet: FleetVersion,
    pub(crate) held: Option<i64>,
    pub(crate) used: Option<i64>,
}

/// A column: its name, what it holds, and its value for a row.
pub struct Column {
    /// Its name in FOCUS, or with `x_` before it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    value: fn(&FocusRow) -> Cell,
}

impl Column {
    /// Its value for a row.
    #[must_use]
    pub fn of(&self, row: &FocusRow) -> Cell {
        (self.value)(row)
    }
}

const fn text(name: &'static str, value: fn(&FocusRow) -> Cell) -> Column {
    Column { name, kind: Kind::Text, value }
}

const fn number(name: &'static str, value: fn(&FocusRow) -> Cell) -> Column {
    Column { name, kind: Kind::Decimal, value }
}

const fn time(name: &'static str, value: fn(&FocusRow) -> Cell) -> Column {
    Column { name, kind: Kind::Time, value }
}

/// Every column that is written, in order: those of FOCUS by name, then ours.
pub const COLUMNS: &[Column] = &[
    number("BilledCost", |row| Cell::money(row.billed)),
    text("BillingAccountId", |row| Cell::text(&row.account)),
    text("BillingAccountName", |row| Cell::text(&row.account)),
    text("BillingCurrency", |row| Cell::text(row.currency.code())),
    time("BillingPeriodEnd", |row| Cell::Time(row.billing.to)),
    time("BillingPeriodStart", |row| Cell::Time(row.billing.from)),
    text("ChargeCategory", |row| Cell::text(row.category)),
    text("ChargeClass", |row| Cell::some(row.class)),
    text("ChargeDescription", |row| Cell::text(&row.description)),
    text("ChargeFrequency", |row| Cell::text(row.frequency)),
    time("ChargePeriodEnd", |row| Cell::Time(row.charge.to)),
    time("ChargePeriodStart", |row| Cell::Time(row.charge.from)),
    text("CommitmentDiscountCategory", |row| Cell::some(row.commitment.map(|(category, _)| category))),
    text("CommitmentDiscountId", |row| Cell::some(row.commitment.map(|_| row.contract.as_str()))),
    text("CommitmentDiscountName", |row| Cell::some(row.commitment.map(|_| row.contract.as_str()))),
    text("CommitmentDiscountStatus", |row| Cell::some(row.commitment.and_then(|(_, status)| status))),
    text("CommitmentDiscountType", |row| Cell::some(row.commitment.map(|_| row.clause.as_str()))),
    number("ConsumedQuantity", |row| Cell::count(row.consumed())),
    text("ConsumedUnit", |row| row.consumed().map_or(Cell::Null, |_| Cell::some(row.unit()))),
    number("ContractedCost", |row| Cell::money(row.contracted)),
    number("ContractedUnitPrice", |row| row.rate.map_or(Cell::Null, |rate| Cell::money(rate.money))),
    number("EffectiveCost", |row| Cell::money(row.effective)),
    text("InvoiceIssuerName", |row| Cell::some(row.provider.as_deref())),
    number("ListCost", |row| Cell::money(row.contracted)),
    number("ListUnitPrice", |row| row.rate.map_or(Cell::Null, |rate| Cell::money(rate.money))),
    text("PricingCategory", |row| Cell::some(row.pricing())),
    text("PricingCurrency", |row| Cell::text(row.currency.code())),
    number("PricingQuantity", |row| row.pricing_quantity().map_or(Cell::Null, Cell::Decimal)),
    text("PricingUnit", |row| row.rate.zip(row.unit()).map_or(Cell::Null, |(rate, unit)| Cell::Text(format!("{} {unit}", rate.per)))),
    text("ProviderName", |row| Cell::some(row.provider.as_deref())),
    text("PublisherName", |row| Cell::some(row.provider.as_deref())),
    text("ServiceCategory", |row| Cell::text(row.service.0)),
    text("ServiceName", |row| Cell::text(row.meter.as_ref().map_or(row.contract.as_str(), |(_, subject)| subject))),
    text("ServiceSubcategory", |row| Cell::text(row.service.1)),
    text("SkuId", |row| row.meter.as_ref().map_or(Cell::Null, |(kind, subject)| Cell::Text(format!("{}/{subject}", Word(*kind).word())))),
    text("SkuMeter", |row| row.meter.as_ref().map_or(Cell::Null, |(kind, _)| Cell::text(Word(*kind).word()))),
    text("SkuPriceId", |row| row.sku_price()),
    text("x_Clause", |row| Cell::text(&row.clause)),
    number("x_ClauseIndex", |row| Cell::count(row.place)),
    number("x_Closing", |row| Cell::count(row.closing)),
    text("x_Contract", |row| Cell::text(&row.contract)),
    text("x_FleetVersion", |row| Cell::Text(row.fleet.to_string())),
    number("x_HeldQuantity", |row| Cell::count(row.held)),
    number("x_Period", |row| Cell::Decimal(i128::from(row.period) * NANOS)),
    number("x_Tier", |row| Cell::count(row.tier)),
    number("x_UsedQuantity", |row| Cell::count(row.used)),
];

impl FocusRow {
    fn unit(&self) -> Option<&'static str> {
        self.meter.as_ref().map(|(kind, _)| match kind {
            MeterKind::AcceleratorTime => "Accelerator-Milliseconds",
            MeterKind::InputTokens | MeterKind::CachedTokens | MeterKind::OutputTokens => "Tokens",
            MeterKind::UnitTime => "Unit-Milliseconds",
            MeterKind::Energy => "Joules",
            MeterKind::Egress => "Bytes",
        })
    }

    /// What a commitment covers, or leaves unused, is committed; its own purchase is priced like anything else.
    fn pricing(&self) -> Option<&'static str> {
        match self.category {
            "Usage" if self.commitment.is_some() => Some("Committed"),
            "Usage" | "Purchase" => Some("Standard"),
            _ => None,
        }
    }

    /// FOCUS has a consumed quantity on usage that was consumed only.
    fn consumed(&self) -> Option<i64> {
        let unused = self.commitment.is_some_and(|(_, status)| status == Some("Unused"));
        self.quantity.filter(|_| self.category == "Usage" && self.class.is_none() && !unused)
    }

    /// The quantity in units of the price, rounded half to even to nine places.
    fn pricing_quantity(&self) -> Option<i128> {
        let (quantity, rate) = self.quantity.zip(self.rate)?;
        Some(units::round_half_even(i128::from(quantity) * NANOS, i128::from(rate.per)))
    }

    fn sku_price(&self) -> Cell {
        match (self.place, self.tier) {
            (Some(place), Some(tier)) => Cell::Text(format!("{}/{}/{place}/{tier}", self.contract, self.clause)),
            _ => Cell::Null,
        }
    }
}

/// A category of FOCUS with a subcategory of it.
type Service = (&'static str, &'static str);

/// What is of no one category.
const OTHER: Service = ("Other", "Other (Other)");

const fn service(kind: MeterKind) -> Service {
    match kind {
        MeterKind::InputTokens | MeterKind::CachedTokens | MeterKind::OutputTokens | MeterKind::UnitTime => {
            ("AI and Machine Learning", "Generative AI")
        }
        MeterKind::Egress => ("Networking", "Other (Networking)"),
        MeterKind::Energy => OTHER,
        MeterKind::AcceleratorTime => ("Compute", "Other (Compute)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_whole_and_short() {
        for (nanos, shown) in [(0, "0"), (1_500_000_000, "1.5"), (-1, "-0.000000001"), (-2_000_000_000, "-2"), (15_000_000, "0.015")] {
            assert_eq!(decimal(nanos), shown);
        }
    }
}
