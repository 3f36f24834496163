//! What a gateway may be told to do wrong, so that the checkers have something to find.

/// One thing done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mischief {
    /// Calls go out whose intents the journal never had.
    NoIntents,
    /// Answers are given to the end whose settlements the journal never had.
    NoSettlements,
    /// What was counted or reported is written down with a token more.
    ATokenMore,
    /// Attempts are written down under the endpoint beside theirs.
    AnotherEndpoint,
    /// Attempts end a second before they begin.
    BackInTime,
    /// Held time is posted twice.
    HeldTwice,
    /// Budgets are not known to the gateway.
    NoBudgets,
    /// Endpoints take more than their slots and queues have room for.
    NoSlots,
    /// The log says the key's secret.
    Secrets,
}

impl Mischief {
    pub const ALL: [Self; 9] = [
        Self::NoIntents,
        Self::NoSettlements,
        Self::ATokenMore,
        Self::AnotherEndpoint,
        Self::BackInTime,
        Self::HeldTwice,
        Self::NoBudgets,
        Self::NoSlots,
        Self::Secrets,
    ];
}
