//! Amounts in the fleet's currency.

use units::{Amount, Money};

use crate::parse::Fixed;
use crate::ramp::Ramp;
use crate::reader::Reader;

/// An amount in the fleet's currency.
pub(super) fn money(row: &Reader<'_>, name: &str, fixed: &Fixed) -> Option<Money> {
    let amount: Amount = row.figure(name)?;
    row.check_currency(&row.entry(name)?, amount.currency, fixed.currency).then_some(amount.money)
}

/// An amount in the fleet's currency that is not below zero.
pub(super) fn not_below_zero(row: &Reader<'_>, name: &str, fixed: &Fixed) -> Option<Money> {
    let money = money(row, name, fixed)?;
    row.check(name, money >= Money::ZERO, "is below zero", "write zero or more").then_some(money)
}

/// Amounts by date in the fleet's currency, none below zero.
pub(super) fn ramp(row: &Reader<'_>, name: &str, fixed: &Fixed) -> Option<Ramp<Money>> {
    let ramp: Ramp<Amount> = row.ramp(name)?;
    let entry = row.entry(name)?;
    let other = ramp.steps().iter().map(|(_, amount)| amount.currency).find(|currency| *currency != fixed.currency);
    if let Some(currency) = other {
        row.check_currency(&entry, currency, fixed.currency);
        return None;
    }
    let fits = ramp.steps().iter().all(|(_, amount)| amount.money >= Money::ZERO);
    row.check(name, fits, "is below zero", "write zero or more").then(|| ramp.map(|amount| amount.money))
}
