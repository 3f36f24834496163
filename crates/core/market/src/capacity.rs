//! Capacity in force, delivered and late: section 2 of `docs/contracts.md`.

use fleet::{CapacityOf, ContractId, Fleet, Meter};
use units::{Instant, Quantity, Share, Span, round_half_even};

/// A stretch of time on which a contract's capacity does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The stretch.
    pub span: Span,
    /// What the ramp says, less what others took the place of.
    pub capacity: i64,
    /// What of it is there.
    pub delivered: i64,
    /// What of it should be there and is not.
    pub late: i64,
}

/// The share of a contract that others, in force at `at`, have taken the place of; at most all.
pub(crate) fn substituted(fleet: &Fleet, contract: ContractId, at: Instant) -> Share {
    let in_force = fleet.contracts.iter().map(|(.., other)| other).filter(|other| other.in_force(at));
    let shares = in_force.flat_map(|other| &other.substitutions).filter(|substitution| substitution.of == contract);
    let ppm = shares.fold(0_i64, |sum, substitution| sum.saturating_add(substitution.share.ppm()));
    Share::from_ppm(ppm.clamp(0, Share::ALL.ppm()))
}

/// `amount` less the share of it, rounded half to even.
pub(crate) fn less(amount: i128, share: Share) -> i128 {
    amount - round_half_even(amount * i128::from(share.ppm()), i128::from(Share::ALL.ppm()))
}

/// The capacity of `of` over `span`, in pieces that are constant and cover it.
#[must_use]
pub fn pieces(fleet: &Fleet, contract: ContractId, of: CapacityOf, span: Span) -> Vec<Piece> {
    let mut cuts = cuts(fleet, contract, of);
    cuts.retain(|at| span.from < *at && *at < span.to);
    cuts.sort_unstable();
    cuts.dedup();
    let ends: Vec<Instant> = cuts.iter().copied().chain([span.to]).collect();
    let starts = [span.from].into_iter().chain(cuts);
    let spans = starts.zip(ends).map(|(from, to)| Span { from, to });
    spans.filter(|span| !span.is_empty()).map(|span| piece(fleet, contract, of, span)).collect()
}

/// Every instant at which the capacity may change.
pub(crate) fn cuts(fleet: &Fleet, contract: ContractId, of: CapacityOf) -> Vec<Instant> {
    let terms = &fleet.contracts[contract];
    let ramp = terms.capacity.iter().filter(|clause| clause.of == of).flat_map(|clause| clause.ramp.steps().iter().map(|(at, _)| *at));
    let delivery = terms.delivery.iter().filter(|delivery| delivery.of == of).flat_map(|delivery| &delivery.tranches);
    let delivery = delivery.flat_map(|tranche| [Some(tranche.due), tranche.delivered]).flatten();
    let substitutes =
        fleet.contracts.iter().filter(|(.., other)| other.substitutions.iter().any(|substitution| substitution.of == contract));
    ramp.chain(delivery).chain(substitutes.flat_map(|(.., other)| [other.term.from, other.term.to])).collect()
}

fn piece(fleet: &Fleet, contract: ContractId, of: CapacityOf, span: Span) -> Piece {
    let (terms, at) = (&fleet.contracts[contract], span.from);
    let ramp = i128::from(terms.capacity_at(of, at).unwrap_or(0));
    let capacity = i64::try_from(less(ramp, substituted(fleet, contract, at))).unwrap_or(i64::MAX);
    let Some(delivery) = terms.delivery.as_ref().filter(|delivery| delivery.of == of) else {
        return Piece { span, capacity, delivered: capacity, late: 0 };
    };
    let (mut there, mut missing) = (0_i64, 0_i64);
    for tranche in &delivery.tranches {
        if tranche.delivered.is_some_and(|delivered| delivered <= at) {
            there = there.saturating_add(tranche.amount);
        } else if tranche.due <= at {
            missing = missing.saturating_add(tranche.amount);
        }
    }
    let delivered = capacity.min(there);
    Piece { span, capacity, delivered, late: (capacity - delivered).min(missing) }
}

/// The delivered capacity of `of` at one instant.
#[must_use]
pub fn delivered(fleet: &Fleet, contract: ContractId, of: CapacityOf, at: Instant) -> i64 {
    piece(fleet, contract, of, Span { from: at, to: at }).delivered
}

/// What a meter counts the time of; only accelerators and units are committed.
pub(crate) fn committed_to(meter: Meter) -> Option<CapacityOf> {
    match meter {
        Meter::AcceleratorTime(accelerator) => Some(CapacityOf::Accelerators(accelerator)),
        Meter::UnitTime(model) => Some(CapacityOf::Units(model)),
        _ => None,
    }
}

/// The integral of delivered capacity over `span`, in the meter's base unit; rounded once.
pub(crate) fn committed(fleet: &Fleet, contract: ContractId, meter: Meter, span: Span) -> Quantity {
    let Some(of) = committed_to(meter) else { return Quantity::ZERO };
    let amount = pieces(fleet, contract, of, span).iter().map(|piece| i128::from(piece.delivered) * micros(piece.span)).sum();
    in_base_units(of, amount)
}

/// How long `span` is.
pub(crate) fn micros(span: Span) -> i128 {
    i128::from((span.to.micros() - span.from.micros()).max(0))
}

/// An integral of capacity over microseconds in base units: milliseconds of accelerators and units, watt-seconds of power.
pub(crate) fn in_base_units(of: CapacityOf, capacity_micros: i128) -> Quantity {
    let per = match of {
        CapacityOf::Accelerators(_) | CapacityOf::Units(_) => 1_000,
        CapacityOf::Power(_) => 1_000_000,
    };
    Quantity::new(i64::try_from(round_half_even(capacity_micros, per)).unwrap_or(i64::MAX))
}
