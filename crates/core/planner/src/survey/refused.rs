//! What can't be planned, in the fleet file's words.

use units::Currency;

/// Something in the fleet that no plan can be made with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Refused {
    /// Where it stands: `contracts.stargate.offer`.
    pub place: String,
    /// Why not.
    pub why: Why,
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No month is left to plan.
    #[error("the plan has no month: write `months`, or a `from` that lies before the end of a contract")]
    NoMonths,
    /// An offer's other start is not whole months from the contract's own.
    #[error("`{start}` is not a whole number of months from the contract's `start`")]
    NotWholeMonths {
        /// As the file says it, in UTC.
        start: String,
    },
    /// Both may or may not be signed, so what is left of the one is no sum over choices.
    #[error("it would take the place of `{of}`, which is itself an offer: sign one of the two, or leave one out")]
    ReplacesOffer {
        /// The other offer.
        of: String,
    },
    /// What is ordered under the other would fall away in part.
    #[error("it would take the place of `{of}`, which may be expanded: leave its expansion out, or this")]
    ReplacesExpanding {
        /// The other contract.
        of: String,
    },
    /// Whether it holds depends on what is signed, and what it covers is not all that a supply does.
    #[error("an offer's exclusivity over some models or uses only is not planned yet: sign the contract, or leave its exclusivity out")]
    OffersExclusivity,
    /// A date has no exchange rate.
    #[error("there is no rate for {currency} at the plan's beginning")]
    NoRate {
        /// For which currency.
        currency: Currency,
    },
}

impl Refused {
    /// At a place.
    pub(crate) fn new(place: impl Into<String>, why: Why) -> Self {
        Self { place: place.into(), why }
    }
}
