//! Figures as the file writes them, beyond those that `units` reads: times, periods, speeds, counts, quantities.

use core::time::Duration;

use units::{Amount, Bytes, Decimal, Flops, MeterUnit, Quantity, Rate, Share, UnitError, UnitRate, Watts};

use crate::calendar::Period;
use crate::spelling;

/// A figure: what it reads from, and its size, so that a range can be seen to be upside down.
pub(crate) trait Figure: Copy {
    /// Whether the file writes it as a bare number, without quotes and unit.
    const BARE: bool = false;
    /// Reads the text between the quotes, or of the bare number.
    fn read(text: &str) -> Result<Self, UnitError>;
    /// A number that rises with the figure.
    fn size(&self) -> i128;
}

macro_rules! figures {
    ($($name:ty: $size:expr),* $(,)?) => {$(
        impl Figure for $name {
            fn read(text: &str) -> Result<Self, UnitError> {
                text.parse()
            }
            fn size(&self) -> i128 {
                $size(self)
            }
        }
    )*};
}

figures! {
    Watts: |it: &Watts| i128::from(it.count()),
    Bytes: |it: &Bytes| i128::from(it.count()),
    Flops: |it: &Flops| i128::from(it.count()),
    Share: |it: &Share| i128::from(it.ppm()),
    Amount: |it: &Amount| it.money.nanos(),
    UnitRate: |it: &UnitRate| it.rate.money.nanos().saturating_mul(1_000_000) / i128::from(it.rate.per),
}

fn wrong(text: &str, expected: &'static str) -> UnitError {
    UnitError::WrongUnit { text: text.to_owned(), expected }
}

fn out_of_range(text: &str) -> UnitError {
    UnitError::OutOfRange { text: text.to_owned() }
}

/// Splits `"1.5 h"` at the end of its number; a text without a number has an empty one.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-._".contains(c))).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// Reads a number with one of `units` (name, size) into whole base units.
fn scaled(text: &str, units: &[(&str, i128)], expected: &'static str) -> Result<i64, UnitError> {
    let (number, unit) = split(text);
    let size = units.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size).ok_or_else(|| wrong(text, expected))?;
    let count = Decimal::parse(number).map_err(|_| wrong(text, expected))?.times(size);
    count.and_then(|count| i64::try_from(count).ok()).ok_or_else(|| out_of_range(text))
}

/// Units that people miswrite, as `units` spells them.
const UNITS: &[&str] = &[
    "W",
    "kW",
    "MW",
    "GW",
    "B",
    "MB",
    "MiB",
    "GB",
    "GiB",
    "TB",
    "%",
    "TFLOP/s",
    "PFLOP/s",
    "TB/s",
    "GB/s",
    "ms",
    "s",
    "minutes",
    "hours",
    "days",
    "tokens/s",
    "tokens",
    "M tokens",
    "G tokens",
    "accelerator-hours",
    "unit-hours",
    "kWh",
    "M",
    "T",
];
/// What follows the stroke in a price.
const PRICES: &[&str] = &["1M tokens", "1k tokens", "token", "accelerator-hour", "unit-hour", "kWh", "MWh", "GB", "TB", "kW", "MW", "GW"];

/// The figure that `text` probably misspells: the same number with a unit that is near and that `reads`.
pub(crate) fn nearest_unit(text: &str, reads: impl Fn(&str) -> bool) -> Option<String> {
    let (number, unit) = split(text);
    let whole = |unit: &str| format!("{number} {unit}");
    if let Some((money, per)) = unit.split_once('/')
        && let Some(near) = spelling::nearest(per, PRICES.iter().copied().filter(|per| reads(&whole(&format!("{money}/{per}")))))
    {
        return Some(whole(&format!("{money}/{near}")));
    }
    let fitting = || UNITS.iter().copied().filter(|unit| reads(&whole(unit)));
    fitting().find(|it| it.eq_ignore_ascii_case(unit)).or_else(|| spelling::nearest(unit, fitting())).map(whole)
}

/// A whole number, written bare.
#[derive(Clone, Copy)]
pub(crate) struct Count(pub(crate) i64);

impl Figure for Count {
    const BARE: bool = true;
    fn read(text: &str) -> Result<Self, UnitError> {
        let digits: String = text.chars().filter(|c| *c != '_').collect();
        match digits.parse() {
            Ok(count) => Ok(Self(count)),
            Err(_) if digits.trim_start_matches(['-', '+']).chars().all(|c| c.is_ascii_digit()) => Err(out_of_range(text)),
            Err(_) => Err(wrong(text, "a whole number")),
        }
    }
    fn size(&self) -> i128 {
        i128::from(self.0)
    }
}

/// A bare ratio such as 1.14, in parts per million.
#[derive(Clone, Copy)]
pub(crate) struct Ratio(pub(crate) i64);

impl Figure for Ratio {
    const BARE: bool = true;
    fn read(text: &str) -> Result<Self, UnitError> {
        let ppm = Decimal::parse(text)?.times(1_000_000);
        ppm.and_then(|ppm| i64::try_from(ppm).ok()).map(Self).ok_or_else(|| out_of_range(text))
    }
    fn size(&self) -> i128 {
        i128::from(self.0)
    }
}

const DURATION: &str = "a time, such as \"250 ms\", \"2 s\" or \"90 days\"";
const DURATIONS: &[(&str, i128)] = &[
    ("ms", 1_000),
    ("s", 1_000_000),
    ("seconds", 1_000_000),
    ("minute", 60_000_000),
    ("minutes", 60_000_000),
    ("h", 3_600_000_000),
    ("hour", 3_600_000_000),
    ("hours", 3_600_000_000),
    ("day", 86_400_000_000),
    ("days", 86_400_000_000),
];

impl Figure for Duration {
    fn read(text: &str) -> Result<Self, UnitError> {
        let micros = scaled(text, DURATIONS, DURATION)?;
        let micros = u64::try_from(micros).ok().filter(|micros| *micros <= 100 * 366 * 86_400_000_000);
        micros.map(Self::from_micros).ok_or_else(|| out_of_range(text))
    }
    fn size(&self) -> i128 {
        i128::try_from(self.as_micros()).unwrap_or(i128::MAX)
    }
}

const PERIOD: &str = "a period, such as \"month\", \"quarter\", \"year\", \"day\", \"5 minutes\" or \"term\"";
/// A minute, day or month count that no period exceeds: a century of minutes.
const PERIOD_COUNT_MAX: i64 = 60 * 24 * 366 * 100;

impl Figure for Period {
    fn read(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text);
        let count = if number.is_empty() { 1 } else { number.parse::<i64>().map_err(|_| wrong(text, PERIOD))? };
        if unit == "term" && number.is_empty() {
            return Ok(Self::Term);
        }
        let (of, each): (fn(u32) -> Self, i64) = match unit.strip_suffix('s').unwrap_or(unit) {
            "minute" => (Self::Minutes, 1),
            "hour" => (Self::Minutes, 60),
            "day" => (Self::Days, 1),
            "week" => (Self::Days, 7),
            "month" => (Self::Months, 1),
            "quarter" => (Self::Months, 3),
            "year" => (Self::Months, 12),
            _ => return Err(wrong(text, PERIOD)),
        };
        let count = count.checked_mul(each).filter(|count| (1..=PERIOD_COUNT_MAX).contains(count));
        count.and_then(|count| u32::try_from(count).ok()).map(of).ok_or_else(|| out_of_range(text))
    }
    fn size(&self) -> i128 {
        match *self {
            Self::Minutes(minutes) => i128::from(minutes),
            Self::Days(days) => i128::from(days) * 1_440,
            Self::Months(months) => i128::from(months) * 43_829,
            Self::Term => i128::MAX,
        }
    }
}

/// How a period is written: `year`, `5 minutes`.
pub(crate) fn period_name(period: Period) -> String {
    let plural = |count: u32, unit: &str| if count == 1 { unit.to_owned() } else { format!("{count} {unit}s") };
    match period {
        Period::Months(12) => "year".to_owned(),
        Period::Months(3) => "quarter".to_owned(),
        Period::Days(7) => "week".to_owned(),
        Period::Minutes(60) => "hour".to_owned(),
        Period::Minutes(count) => plural(count, "minute"),
        Period::Days(count) => plural(count, "day"),
        Period::Months(count) => plural(count, "month"),
        Period::Term => "term".to_owned(),
    }
}

/// Money that may say per which period: `"30 GUSD/year"`, `"30 GUSD"`.
#[derive(Clone, Copy)]
pub(crate) struct AmountPer {
    pub(crate) amount: Amount,
    pub(crate) per: Option<Period>,
}

impl Figure for AmountPer {
    fn read(text: &str) -> Result<Self, UnitError> {
        let (amount, per) = text.split_once('/').map_or((text, None), |(amount, per)| (amount, Some(per.trim())));
        Ok(Self { amount: amount.trim().parse()?, per: per.map(Period::read).transpose()? })
    }
    fn size(&self) -> i128 {
        self.amount.money.nanos()
    }
}

/// So much of a meter: `"720 accelerator-hours"`, `"100 M tokens"`.
#[derive(Clone, Copy)]
pub(crate) struct Metered {
    pub(crate) quantity: Quantity,
    pub(crate) unit: MeterUnit,
}

const METERED: &str = "a quantity, such as \"720 accelerator-hours\" or \"100 M tokens\"";
const METERED_UNITS: &[(&str, MeterUnit, i128)] = &[
    ("tokens", MeterUnit::Token, 1),
    ("k tokens", MeterUnit::Token, 1_000),
    ("M tokens", MeterUnit::Token, 1_000_000),
    ("G tokens", MeterUnit::Token, 1_000_000_000),
    ("accelerator-hours", MeterUnit::AcceleratorMs, 3_600_000),
    ("accelerator-minutes", MeterUnit::AcceleratorMs, 60_000),
    ("accelerator-seconds", MeterUnit::AcceleratorMs, 1_000),
    ("unit-hours", MeterUnit::UnitMs, 3_600_000),
    ("kWh", MeterUnit::Joule, 3_600_000),
    ("MWh", MeterUnit::Joule, 3_600_000_000),
    ("GB", MeterUnit::Byte, 1_000_000_000),
    ("TB", MeterUnit::Byte, 1_000_000_000_000),
];

impl Figure for Metered {
    fn read(text: &str) -> Result<Self, UnitError> {
        let (_, name) = split(text);
        let unit = METERED_UNITS.iter().find(|(unit, ..)| *unit == name).ok_or_else(|| wrong(text, METERED))?;
        let count = scaled(text, &[(unit.0, unit.2)], METERED)?;
        if count < 0 {
            return Err(out_of_range(text));
        }
        Ok(Self { quantity: Quantity::new(count), unit: unit.1 })
    }
    fn size(&self) -> i128 {
        i128::from(self.quantity.count())
    }
}

/// The least of a floor: money or a quantity.
#[derive(Clone, Copy)]
pub(crate) enum LeastFigure {
    Money(AmountPer),
    Quantity(Metered),
}

impl Figure for LeastFigure {
    fn read(text: &str) -> Result<Self, UnitError> {
        let money = AmountPer::read(text);
        match Metered::read(text) {
            Ok(quantity) => Ok(Self::Quantity(quantity)),
            Err(_) => money.map(Self::Money),
        }
    }
    fn size(&self) -> i128 {
        match self {
            Self::Money(money) => money.size(),
            Self::Quantity(quantity) => quantity.size(),
        }
    }
}

/// Tokens a second.
#[derive(Clone, Copy)]
pub(crate) struct Speed(pub(crate) i64);

impl Figure for Speed {
    fn read(text: &str) -> Result<Self, UnitError> {
        let expected = "a speed, such as \"1200 tokens/s\"";
        let units = [("token/s", 1), ("tokens/s", 1), ("k tokens/s", 1_000), ("M tokens/s", 1_000_000)];
        let speed = scaled(text, &units, expected)?;
        if speed < 0 { Err(out_of_range(text)) } else { Ok(Self(speed)) }
    }
    fn size(&self) -> i128 {
        i128::from(self.0)
    }
}

/// Parameters of a model: `"135 M"`, `"70 B"`.
#[derive(Clone, Copy)]
pub(crate) struct Parameters(pub(crate) i64);

impl Figure for Parameters {
    fn read(text: &str) -> Result<Self, UnitError> {
        let expected = "a number of parameters, such as \"135 M\" or \"70 B\"";
        let units = [("M", 1_000_000), ("B", 1_000_000_000), ("T", 1_000_000_000_000)];
        let count = scaled(text, &units, expected)?;
        if count <= 0 || count > 1_000_000_000_000_000 { Err(out_of_range(text)) } else { Ok(Self(count)) }
    }
    fn size(&self) -> i128 {
        i128::from(self.0)
    }
}

/// What power costs to build: `"38 GUSD/GW"`.
#[derive(Clone, Copy)]
pub(crate) struct PowerCost {
    pub(crate) amount: Amount,
    pub(crate) per: Watts,
}

impl PowerCost {
    /// The money per watt, without its currency.
    pub(crate) const fn rate(self) -> Rate {
        Rate { money: self.amount.money, per: self.per.count() }
    }
}

impl Figure for PowerCost {
    fn read(text: &str) -> Result<Self, UnitError> {
        let wrong = || wrong(text, "money per power, such as \"38 GUSD/GW\"");
        let (amount, per) = text.split_once('/').ok_or_else(wrong)?;
        let per: Watts = format!("1 {}", per.trim()).parse().map_err(|_| wrong())?;
        match amount.parse::<Amount>() {
            Ok(amount) if amount.money < units::Money::ZERO => Err(out_of_range(text)),
            Ok(amount) => Ok(Self { amount, per }),
            Err(UnitError::OutOfRange { .. }) => Err(out_of_range(text)),
            Err(_) => Err(wrong()),
        }
    }
    fn size(&self) -> i128 {
        self.amount.money.nanos() / i128::from(self.per.count())
    }
}
