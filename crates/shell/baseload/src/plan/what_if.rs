//! `--what-if 'contract.oracle.start=+6 months'`: one change to the text of a fleet file.
//!
//! The left side is a path of keys, list positions from zero, and names of list entries that have a `name`; a table's name may
//! be in the singular. The right side is a change (`+6 months` of a date, or of every date in a table or ramp; `-30 %` of a
//! figure), `none` (takes the key away), or a value.

use anyhow::{Result, anyhow};
use jiff::civil::Date;
use jiff::{Span, ToSpan};
use toml_edit::{DocumentMut, Formatted, Item, Table, Value};

use crate::exit::wrong;

/// The text with one change made to it.
pub fn apply(text: &str, change: &str) -> Result<String> {
    let (path, to) = change.split_once('=').ok_or_else(|| wrong(format!("--what-if {change:?} has no `=`: write KEY.KEY=VALUE")))?;
    let mut document: DocumentMut = text.parse().map_err(|error| wrong(format!("the fleet file is not TOML: {error}")))?;
    let keys: Vec<&str> = path.trim().split('.').map(str::trim).collect();
    set(document.as_table_mut(), &keys, to.trim()).map_err(|why| wrong(format!("--what-if {change:?}: {why}")))?;
    Ok(document.to_string())
}

/// The text with the planning value of one figure put to what is written, whatever it looks like.
pub fn put(text: &str, path: &str, to: &str) -> Result<String> {
    let mut document: DocumentMut = text.parse().map_err(|error| wrong(format!("the fleet file is not TOML: {error}")))?;
    let keys: Vec<&str> = path.split('.').chain(["value"]).collect();
    let (last, above) = keys.split_last().ok_or_else(|| anyhow!("it names nothing"))?;
    let mut at = Place::Table(document.as_table_mut());
    for key in above {
        at = at.into(key).ok_or_else(|| anyhow!("there is no `{path}`"))?;
    }
    let Place::Table(table) = at else { return Err(anyhow!("`{path}` has no value")) };
    table.insert(last, Item::Value(value(to)));
    Ok(document.to_string())
}

/// Tables of the file that people name in the singular.
const SINGULAR: [(&str, &str); 14] = [
    ("accelerator", "accelerators"),
    ("cap", "caps"),
    ("contract", "contracts"),
    ("currency", "currencies"),
    ("endpoint", "endpoints"),
    ("link", "links"),
    ("model", "models"),
    ("party", "parties"),
    ("pool", "pools"),
    ("profile", "profiles"),
    ("region", "regions"),
    ("site", "sites"),
    ("venture", "ventures"),
    ("workload", "workloads"),
];

fn set(root: &mut Table, keys: &[&str], to: &str) -> Result<()> {
    let (last, above) = keys.split_last().ok_or_else(|| anyhow!("it names nothing"))?;
    let plural = |key: &str| SINGULAR.iter().find(|(one, _)| *one == key).map_or_else(|| key.to_owned(), |(_, many)| (*many).to_owned());
    let above: Vec<String> =
        above.iter().enumerate().map(|(index, key)| if index == 0 { plural(key) } else { (*key).to_owned() }).collect();
    let mut at = Place::Table(root);
    let mut walked = String::new();
    for key in &above {
        let known = at.names();
        at = at.into(key).ok_or_else(|| anyhow!("there is no `{walked}{key}`{}", near(key, &known)))?;
        walked = format!("{walked}{key}.");
    }
    let known = at.names();
    at.change(last, to).ok_or_else(|| anyhow!("there is no `{walked}{last}`{}", near(last, &known)))?
}

/// A hint at what may have been meant.
fn near(key: &str, known: &[String]) -> String {
    let close = known.iter().map(|name| (strsim::jaro_winkler(name, key), name)).filter(|(likeness, _)| *likeness > 0.8);
    match close.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, name)) => format!(": did you mean `{name}`?"),
        None => format!("; there is {}", known.join(", ")),
    }
}

/// Somewhere in the document that has keys or positions.
enum Place<'a> {
    Table(&'a mut dyn toml_edit::TableLike),
    Tables(&'a mut toml_edit::ArrayOfTables),
    Array(&'a mut toml_edit::Array),
}

impl<'a> Place<'a> {
    fn of(item: &'a mut Item) -> Option<Self> {
        match item {
            Item::Value(Value::Array(array)) => Some(Self::Array(array)),
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
            other => other.as_table_like_mut().map(Self::Table),
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Table(table) => table.iter().map(|(key, _)| key.to_owned()).collect(),
            Self::Tables(tables) => (0..tables.len()).map(|index| index.to_string()).collect(),
            Self::Array(array) => (0..array.len()).map(|index| index.to_string()).collect(),
        }
    }

    fn into(self, key: &str) -> Option<Self> {
        match self {
            Self::Table(table) => table.get_mut(key).and_then(Self::of),
            Self::Tables(tables) => {
                let is_named = |table: &Table| table.get("name").and_then(Item::as_str) == Some(key);
                let index = only(tables.iter().map(is_named)).or_else(|| key.parse().ok())?;
                tables.get_mut(index).map(|table| Self::Table(table))
            }
            Self::Array(array) => {
                let name =
                    |value: &Value| value.as_inline_table().and_then(|table| table.get("name")).and_then(Value::as_str).map(str::to_owned);
                let named = only(array.iter().map(|value| name(value).as_deref() == Some(key)));
                match array.get_mut(named.or_else(|| key.parse().ok())?)? {
                    Value::InlineTable(table) => Some(Self::Table(table)),
                    Value::Array(array) => Some(Self::Array(array)),
                    _ => None,
                }
            }
        }
    }

    /// Changes what stands at `key`; `None` when nothing does and nothing can.
    fn change(self, key: &str, to: &str) -> Option<Result<()>> {
        match self {
            Self::Table(table) => {
                if to == "none" {
                    return table.remove(key).map(|_| Ok(()));
                }
                match table.get_mut(key) {
                    Some(item) => Some(change_item(item, to)),
                    // A key that is left out may be put in, but only with a value.
                    None => changed(to).is_none().then(|| {
                        table.insert(key, Item::Value(value(to)));
                        Ok(())
                    }),
                }
            }
            Self::Array(array) => {
                let index: usize = key.parse().ok()?;
                if to == "none" {
                    return (index < array.len()).then(|| {
                        array.remove(index);
                        Ok(())
                    });
                }
                array.get_mut(index).map(|value| change_value(value, to))
            }
            Self::Tables(tables) => {
                let index: usize = key.parse().ok()?;
                (to == "none" && index < tables.len()).then(|| {
                    tables.remove(index);
                    Ok(())
                })
            }
        }
    }
}

/// Where the only one is; of several with one name, positions say which is meant.
fn only(is: impl Iterator<Item = bool>) -> Option<usize> {
    let mut found = is.enumerate().filter(|(_, is)| *is).map(|(index, _)| index);
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

fn change_item(item: &mut Item, to: &str) -> Result<()> {
    match (item, changed(to)) {
        (Item::Value(value), _) => change_value(value, to),
        (other, Some(change @ Change::Time(_))) => shift(other, change),
        _ => Err(anyhow!("it is a whole table: name a key in it, or move all its dates, as in `=+6 months`")),
    }
}

/// Moves every date in it.
fn shift(item: &mut Item, by: Change) -> Result<()> {
    match item {
        Item::Value(value) => shift_value(value, by),
        Item::Table(table) => table.iter_mut().try_for_each(|(_, item)| shift(item, by)),
        Item::ArrayOfTables(tables) => tables.iter_mut().try_for_each(|table| table.iter_mut().try_for_each(|(_, item)| shift(item, by))),
        Item::None => Ok(()),
    }
}

fn shift_value(value: &mut Value, by: Change) -> Result<()> {
    match value {
        Value::Datetime(_) => {
            let decor = value.decor().clone();
            *value = by.of(value)?;
            *value.decor_mut() = decor;
            Ok(())
        }
        Value::Array(array) => array.iter_mut().try_for_each(|value| shift_value(value, by)),
        Value::InlineTable(table) => table.iter_mut().try_for_each(|(_, value)| shift_value(value, by)),
        _ => Ok(()),
    }
}

fn change_value(at: &mut Value, to: &str) -> Result<()> {
    match at {
        // Of a figure with its range, the planning value.
        Value::InlineTable(table) if is_note(table) => {
            let part = match table.contains_key("value") {
                true => table.get_mut("value"),
                false => table.get_mut("low"),
            };
            let mut plain = part.cloned().ok_or_else(|| anyhow!("the figure has no value"))?;
            change_value(&mut plain, to)?;
            // The range was of the old value.
            table.remove("low");
            table.remove("high");
            table.insert("value", plain);
            table.fmt();
            Ok(())
        }
        Value::Array(_) | Value::InlineTable(_) if matches!(changed(to), Some(Change::Time(_))) => {
            changed(to).map_or(Ok(()), |change| shift_value(at, change))
        }
        Value::Array(steps) if changed(to).is_some() && is_ramp(steps) => {
            let parts = steps.iter_mut().filter_map(Value::as_inline_table_mut).filter_map(|step| step.get_mut("is"));
            parts.into_iter().try_for_each(|is| change_value(is, to))
        }
        _ => {
            let decor = at.decor().clone();
            *at = match changed(to) {
                Some(change) => change.of(at)?,
                None => value(to),
            };
            *at.decor_mut() = decor;
            Ok(())
        }
    }
}

fn is_note(table: &toml_edit::InlineTable) -> bool {
    ["value", "low"].iter().any(|key| table.contains_key(key))
}

fn is_ramp(steps: &toml_edit::Array) -> bool {
    !steps.is_empty() && steps.iter().all(|step| step.as_inline_table().is_some_and(|step| step.contains_key("is")))
}

/// A change relative to what stands there.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// Of a date.
    Time(Span),
    /// Of a figure: parts per million of it that it becomes.
    Share(i128),
}

fn changed(to: &str) -> Option<Change> {
    let sign = match to.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let rest = to[1..].trim();
    if let Some(percent) = rest.strip_suffix('%') {
        let ppm = units::Share::from_ppm(1_000_000).ppm();
        let by: units::Share = format!("{} %", percent.trim()).parse().ok()?;
        return Some(Change::Share(i128::from(ppm) + i128::from(sign) * i128::from(by.ppm())));
    }
    let (count, unit) = rest.split_once(' ')?;
    let count: i64 = count.parse::<i64>().ok()?.checked_mul(sign)?;
    let span = match unit.trim().trim_end_matches('s') {
        "day" => count.days(),
        "week" => count.weeks(),
        "month" => count.months(),
        "year" => count.years(),
        _ => return None,
    };
    Some(Change::Time(span))
}

impl Change {
    fn of(self, at: &Value) -> Result<Value> {
        match (self, at) {
            (Self::Time(span), Value::Datetime(date)) => {
                let stands = date.value().date.ok_or_else(|| anyhow!("it is no date"))?;
                let civil = Date::new(i16::try_from(stands.year)?, i8::try_from(stands.month)?, i8::try_from(stands.day)?)
                    .map_err(|error| anyhow!("{error}"))?;
                let moved = civil.checked_add(span).map_err(|error| anyhow!("the date does not fit: {error}"))?;
                let mut date = *date.value();
                date.date = Some(toml_edit::Date {
                    year: u16::try_from(moved.year())?,
                    month: u8::try_from(moved.month())?,
                    day: u8::try_from(moved.day())?,
                });
                Ok(Value::Datetime(Formatted::new(date)))
            }
            (Self::Time(_), _) => Err(anyhow!("a time moves a date, and no date stands there")),
            (Self::Share(ppm), Value::String(figure)) => {
                let text = figure.value();
                let end = text.find(|c: char| !(c.is_ascii_digit() || "+-._".contains(c))).unwrap_or(text.len());
                let (number, unit) = text.split_at(end);
                Ok(Value::from(format!("{}{unit}", times(number, ppm)?)))
            }
            (Self::Share(ppm), Value::Integer(number)) => {
                let whole = units::round_half_even(i128::from(*number.value()) * ppm, 1_000_000);
                Ok(Value::from(i64::try_from(whole)?))
            }
            (Self::Share(ppm), Value::Float(number)) => {
                let text = times(&number.display_repr(), ppm)?;
                Ok(text.parse::<f64>().map(Value::from)?)
            }
            (Self::Share(_), _) => Err(anyhow!("a share changes a figure, and no figure stands there")),
        }
    }
}

/// A written number times parts per million, to nine digits after the point.
fn times(number: &str, ppm: i128) -> Result<String> {
    const SCALE: i128 = 1_000_000_000;
    let decimal = units::Decimal::parse(number).map_err(|error| anyhow!("{error}"))?;
    let scaled = decimal.times(SCALE).and_then(|scaled| scaled.checked_mul(ppm)).ok_or_else(|| anyhow!("the figure does not fit"))?;
    let scaled = units::round_half_even(scaled, 1_000_000);
    let (whole, part) = (scaled.abs() / SCALE, format!("{:09}", scaled.abs() % SCALE));
    let sign = if scaled < 0 { "-" } else { "" };
    let part = part.trim_end_matches('0');
    Ok(if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}

/// A value as TOML reads it; what TOML does not read is a text.
fn value(to: &str) -> Value {
    to.parse().unwrap_or_else(|_| Value::from(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: &str = r#"
[contracts.oracle] # signed
start = 2027-01-01
status = "signed"
floor = [{ from = 2027-01-01, is = { value = "30 GUSD/year", low = "20 GUSD/year", high = "40 GUSD/year" } }, { from = 2028-01-01, is = "45 GUSD/year" }]
count = 400

[[contracts.oracle.exclusivity]]
uses = ["serving"]

[[finance.raises]]
name = "series-g"
amount = "40 GUSD"
"#;

    #[track_caller]
    fn check(change: &str, expected: &str) {
        let changed = match apply(FLEET, change) {
            Ok(text) => {
                let new: Vec<&str> = text.lines().filter(|line| !FLEET.lines().any(|old| old == *line)).collect();
                let gone = FLEET.lines().filter(|line| !text.lines().any(|now| now == *line)).count();
                format!("{} | {gone} gone", new.join("\n"))
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(changed, expected, "{change}");
    }

    #[test]
    fn dates_figures_ramps_and_keys_change() {
        check("contract.oracle.start=+6 months", "start = 2027-07-01 | 1 gone");
        check("contracts.oracle.start=-1 year", "start = 2026-01-01 | 1 gone");
        check("contract.oracle.status = stalled", "status = \"stalled\" | 1 gone");
        check("contract.oracle.count=-25 %", "count = 300 | 1 gone");
        check("finance.raises.series-g.amount=-25 %", "amount = \"30 GUSD\" | 1 gone");
        check("finance.raises.0.amount=10 GUSD", "amount = \"10 GUSD\" | 1 gone");
        check("contract.oracle.exclusivity.0.uses=none", " | 1 gone");
        check(
            "contract.oracle.floor=+10 %",
            "floor = [{ from = 2027-01-01, is = { value = \"33 GUSD/year\" } }, { from = 2028-01-01, is = \"49.5 GUSD/year\" }] | 1 gone",
        );
        check(
            "contract.oracle.floor.1.is=50 GUSD/year",
            "floor = [{ from = 2027-01-01, is = { value = \"30 GUSD/year\", low = \"20 GUSD/year\", high = \"40 GUSD/year\" } }, \
             { from = 2028-01-01, is = \"50 GUSD/year\" }] | 1 gone",
        );
    }

    #[test]
    fn a_time_moves_every_date_of_a_table_or_a_ramp() {
        check(
            "contract.oracle=+1 year",
            "start = 2028-01-01\nfloor = [{ from = 2028-01-01, is = { value = \"30 GUSD/year\", low = \"20 GUSD/year\", high = \"40 GUSD/year\" } }, \
             { from = 2029-01-01, is = \"45 GUSD/year\" }] | 2 gone",
        );
        check(
            "contract.oracle.floor=+1 month",
            "floor = [{ from = 2027-02-01, is = { value = \"30 GUSD/year\", low = \"20 GUSD/year\", high = \"40 GUSD/year\" } }, \
             { from = 2028-02-01, is = \"45 GUSD/year\" }] | 1 gone",
        );
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        check("contract.oracle", "--what-if \"contract.oracle\" has no `=`: write KEY.KEY=VALUE");
        check(
            "contract.oracel.start=+1 month",
            "--what-if \"contract.oracel.start=+1 month\": there is no `contracts.oracel`: did you mean `oracle`?",
        );
        check(
            "contract.oracle.start=+30 %",
            "--what-if \"contract.oracle.start=+30 %\": a share changes a figure, and no figure stands there",
        );
        check(
            "contract.oracle.status=+1 month",
            "--what-if \"contract.oracle.status=+1 month\": a time moves a date, and no date stands there",
        );
        check(
            "contract.oracle.end=+1 month",
            "--what-if \"contract.oracle.end=+1 month\": there is no `contracts.oracle.end`; there is start, status, floor, count, exclusivity",
        );
    }
}
