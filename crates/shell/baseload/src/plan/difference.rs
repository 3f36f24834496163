//! How one plan differs from another, in words.

use std::io::Write;

use anyhow::Result;
use planner::Difference;
use units::Money;

use super::figures::money;

/// Below this part of the largest sum a difference is the solver's tolerance.
const ROUNDING: u128 = 100_000_000;

/// Says it: worth, money by kind, signatures, promises.
pub fn say(found: &Difference, currency: &str, months: &[String], out: &mut dyn Write) -> Result<()> {
    if found.is_none() {
        writeln!(out, "the plans are the same")?;
        return Ok(());
    }
    writeln!(
        out,
        "worth {}{}, cash at the end {}",
        signed(found.objective, currency),
        if found.gaps.is_empty() { "" } else { " (with ten times what broken promises lack)" },
        signed(found.cash, currency)
    )?;
    let largest = found.parts.iter().map(|(_, part)| part.nanos().unsigned_abs()).max().unwrap_or(0);
    for (name, part) in found.parts.iter().filter(|(_, part)| part.nanos().unsigned_abs() > largest / ROUNDING) {
        writeln!(out, "  {name:<24} {:>14}", signed(*part, currency))?;
    }
    let start = |moved: Option<i32>| match moved {
        None => "not signed".to_owned(),
        Some(0) => "signed".to_owned(),
        Some(months) => format!("signed, {months:+} months"),
    };
    for choice in &found.signed {
        writeln!(out, "  {}: {} -> {}", choice.contract, start(choice.a), start(choice.b))?;
    }
    let when =
        |month: Option<usize>| month.map_or("kept".to_owned(), |at| format!("broken from {}", months.get(at).map_or("", String::as_str)));
    for (promise, before, after) in found.gaps.iter().filter(|(_, before, after)| before != after) {
        writeln!(out, "  {promise}: {} -> {}", when(*before), when(*after))?;
    }
    Ok(())
}

/// A sum with its sign.
pub fn signed(sum: Money, currency: &str) -> String {
    let sign = if sum > Money::ZERO { "+" } else { "" };
    format!("{sign}{}", money(sum, currency))
}
