//! What shadow mode would have saved, as the ledger has it.

use std::collections::BTreeMap;

use dispatch::{Ground, Known, Saved};
use units::{Money, Span};

use crate::correction;
use crate::error::LedgerError;
use crate::rows::{ADVICE, SETTLEMENT, advice_at, cost_at, settlement_at};
use crate::view::View;

/// From where to where the advice would have moved requests, and why the tokens would have been cheaper there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// The endpoint that the callers chose.
    pub from: String,
    /// The endpoint that was advised.
    pub to: String,
    /// The contract that would have paid.
    pub contract: String,
    /// Why.
    pub ground: Ground,
}

/// What one kind of move comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Attempts.
    pub attempts: u64,
    /// What they came to at list prices where they went.
    pub list: Money,
    /// What following the advice would have saved.
    pub saved: Saved,
}

/// What shadow mode found in a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shadowed {
    /// Attempts with an advice beside them that have ended and whose tokens are known.
    pub attempts: u64,
    /// Of these, those that went where they were advised to go.
    pub agreed: u64,
    /// Attempts with an advice whose tokens are not known: still open, or only bounded. They are in no sum.
    pub unknown: u64,
    /// What they all came to at list prices.
    pub list: Money,
    /// The others, by kind of move.
    pub moves: BTreeMap<Move, Moved>,
}

impl Shadowed {
    /// What following every advice would have saved.
    #[must_use]
    pub fn saved(&self) -> Saved {
        self.moves.values().fold(Saved::default(), |sum, moved| sum.and(moved.saved))
    }
}

/// What an attempt was expected to cost where it went.
const GIVEN: &str = "attempt.marginal, attempt.energy, attempt.scarcity, attempt.cache_loss, attempt.slo_miss";
const DECIDED_WITHIN: &str = "FROM advice JOIN attempt ON attempt.id = advice.attempt
     LEFT JOIN settlement ON (settlement.request, settlement.attempt) = (attempt.request, attempt.attempt)
     WHERE attempt.decided >= ?1 AND attempt.decided < ?2";

impl View {
    /// What following its advice would have saved, of the attempts that were decided in a span.
    ///
    /// # Errors
    /// When the database refused.
    pub fn shadowed(&self, within: Span) -> Result<Shadowed, LedgerError> {
        let open = self.lock()?;
        let text = ["SELECT", ADVICE, ",", GIVEN, ",", SETTLEMENT, DECIDED_WITHIN].join(" ");
        let mut select = open.connection.prepare_cached(&text)?;
        const GIVEN_FROM: usize = 17;
        const SETTLEMENT_FROM: usize = GIVEN_FROM + 5;
        let mut rows = select.query([within.from.micros(), within.to.micros()])?;
        let mut found = Shadowed::default();
        while let Some(row) = rows.next()? {
            if row.get_ref(SETTLEMENT_FROM)? == rusqlite::types::ValueRef::Null {
                found.unknown += 1;
                continue;
            }
            let settled = settlement_at(row, SETTLEMENT_FROM, &open.registers)?;
            let corrected = correction::of(&open.connection, settled.attempt)?.pop().map(|said| (said.tokens, said.list));
            let Some((tokens, list)) = corrected.or((settled.known != Known::Bounded).then_some((settled.tokens, settled.list))) else {
                found.unknown += 1;
                continue;
            };
            let register = open.registers.of(settled.fleet)?;
            let advice = advice_at(row, 0, register, settled.attempt)?;
            found.attempts += 1;
            found.list += list;
            if advice.endpoint == settled.endpoint {
                found.agreed += 1;
                continue;
            }
            let moved = found.moves.entry(Move {
                from: register.endpoint(settled.endpoint)?.to_owned(),
                to: register.endpoint(advice.endpoint)?.to_owned(),
                contract: register.contract(advice.contract)?.to_owned(),
                ground: advice.ground(),
            });
            let moved = moved.or_default();
            moved.attempts += 1;
            moved.list += list;
            moved.saved = moved.saved.and(advice.saved(cost_at(row, GIVEN_FROM)?, tokens));
        }
        Ok(found)
    }
}
