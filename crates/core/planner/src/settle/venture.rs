//! What a joint venture's money has built by a month.

use std::collections::BTreeMap;

use fleet::{CapacityOf, ContractId, Fleet, Stake, Venture};
use units::{Instant, Money, Span};

use super::speed::{delivered, micros};
use crate::zone::months_later;

/// What each power clause of a venture's contracts is paid for in a month, in watts times microseconds: by the names of the contracts.
pub(super) fn funded(fleet: &Fleet, begins: Instant, month: Span) -> BTreeMap<(ContractId, CapacityOf), i128> {
    let mut funded = BTreeMap::new();
    for (_, venture) in &fleet.ventures {
        let mut left = watts(fleet, venture, begins, month) * micros(month);
        for (contract, _, terms) in fleet.contracts.iter().filter(|(.., terms)| terms.party == venture.party) {
            for of in terms.capacity.iter().map(|clause| clause.of).filter(|of| matches!(of, CapacityOf::Power(_))) {
                let there = delivered(fleet, contract, of, month).min(left);
                left -= there;
                funded.insert((contract, of), there);
            }
        }
    }
    funded
}

/// Whole watts that are paid for: what was paid in by the end of the month `lead` months before, and what is borrowed on it.
fn watts(fleet: &Fleet, venture: &Venture, begins: Instant, month: Span) -> i128 {
    let by = months_later(fleet, month.to, -i64::from(venture.lead_months));
    let paid_by = |stake: &Stake| {
        let at = by.min(stake.span.to).max(begins);
        let passed = passed(stake.amount.money, stake.span, by);
        fleet.in_fleet_currency(passed, stake.amount.currency, at).unwrap_or(passed)
    };
    let paid: Money = venture.stakes.iter().map(paid_by).sum();
    let means = paid + venture.leverage.of(paid);
    let (price, per) = (venture.cost_per_watt.money.nanos(), i128::from(venture.cost_per_watt.per));
    if price <= 0 { i128::from(i64::MAX) } else { means.nanos().saturating_mul(per).div_euclid(price) }
}

/// The part of an amount, spread evenly over its span, that falls before `by`.
fn passed(money: Money, span: Span, by: Instant) -> Money {
    money.times_ratio(micros(Span { from: span.from, to: by.min(span.to) }), micros(span).max(1))
}

/// What of an amount spread evenly over `span` falls in `month`, by the rate of the last instant that it has of the month. All parts
/// together are the amount.
pub(super) fn portion(fleet: &Fleet, amount: units::Amount, span: Span, month: Span) -> Money {
    let money = passed(amount.money, span, month.to) - passed(amount.money, span, month.from);
    let last = Instant::from_micros(month.to.min(span.to).micros() - 1);
    fleet.in_fleet_currency(money, amount.currency, last).unwrap_or(money)
}
