//! What the journal's records must be by themselves, by the rules of `dispatch::audit`, whatever is booked of them.

use std::time::Duration;

use dispatch::audit::{HeldUntil, held_beyond, is_in_order, is_the_same_again};
use dispatch::{HeldTime, Record};
use rusqlite::Connection;
use units::Instant;

use super::{Finding, Verification};
use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::register::Registers;

/// So many spans of held time are looked at together.
const HELD_AT_ONCE: usize = 4_096;
/// Spans that ended so long before the newest are not looked at with what comes next: readings come far more often.
const BESIDE: Duration = Duration::from_secs(60);

/// Which decisions are taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Every one whose fleet can be read.
    All,
    /// None: `baseload decision replay` does that offline.
    None,
}

/// What is remembered of the records so far.
#[derive(Debug)]
pub(super) struct Records {
    again: Again,
    /// By the endpoint's name, which outlives the fleet's version.
    until: HeldUntil<String>,
    /// When the directory was opened, each time, and how many of these times the spans so far have passed.
    openings: Vec<Instant>,
    passed: usize,
    /// Spans to be held against pools and sites, with those of late from before.
    held: Vec<HeldTime>,
    /// How many of these are new.
    new: usize,
}

impl Records {
    pub fn new(again: Again) -> Self {
        Self { again, until: HeldUntil::default(), openings: Vec::new(), passed: 0, held: Vec::new(), new: 0 }
    }

    /// Reads when the directory was opened.
    pub fn read_openings(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        let mut select = connection.prepare_cached("SELECT at_us FROM opening ORDER BY id")?;
        self.openings = select.query_map([], |row| row.get(0).map(Instant::from_micros))?.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Passes the times at which the directory was opened before a span of an endpoint was held. Where the clock was set back since the process
    /// before, that is where the span begins in time that has been held already.
    fn pass_openings(
        &mut self,
        endpoint: &str,
        from: Instant,
        fleets: &Fleets,
        verification: &mut Verification,
    ) -> Result<(), LedgerError> {
        let rest = &self.openings[self.passed..];
        if from < self.until.of(endpoint) {
            let Some(opened) = rest.iter().position(|opened| *opened <= from) else { return Ok(()) };
            self.until.set_back(rest[opened]);
            self.passed += opened + 1;
            self.finish(fleets, verification)?;
            self.held.clear();
        } else {
            let (mut before, newest) =
                (self.passed.checked_sub(1).map_or(Instant::MIN, |before| self.openings[before]), self.until.newest());
            let passed = rest.iter().take_while(|opened| {
                let is_passed = **opened <= from && **opened > newest && **opened >= before;
                before = **opened;
                is_passed
            });
            self.passed += passed.count();
        }
        Ok(())
    }

    /// Looks at the next record.
    pub fn take(
        &mut self,
        record: &Record,
        registers: &Registers,
        fleets: &Fleets,
        verification: &mut Verification,
    ) -> Result<(), LedgerError> {
        match record {
            Record::Decided { attempt, question, decision, .. } => {
                let fleet = if self.again == Again::All { fleets.get(question.fleet)? } else { None };
                let Some(fleet) = fleet else { return Ok(()) };
                verification.replayed += 1;
                if !is_the_same_again(&fleet, question, decision) {
                    verification.find(Finding::Replayed { attempt: *attempt });
                }
            }
            Record::Settled(settled) if !is_in_order(settled) => verification.find(Finding::Backwards { attempt: settled.attempt }),
            Record::Settled(_) => {}
            Record::Held(held) => {
                let endpoint = registers.of(held.fleet)?.endpoint(held.endpoint)?;
                self.pass_openings(endpoint, held.span.from, fleets, verification)?;
                if let Some(why) = self.until.wrong_with(endpoint.to_owned(), held) {
                    verification.find(Finding::HeldTime { endpoint: endpoint.to_owned(), at: held.span.from, why });
                }
                self.held.push(held.clone());
                self.new += 1;
                if self.new >= HELD_AT_ONCE {
                    self.finish(fleets, verification)?;
                }
            }
        }
        Ok(())
    }

    /// Holds the spans so far against pools and sites.
    pub fn finish(&mut self, fleets: &Fleets, verification: &mut Verification) -> Result<(), LedgerError> {
        if std::mem::take(&mut self.new) == 0 {
            return Ok(());
        }
        self.held.sort_by_key(|held| held.fleet);
        for of_one in self.held.chunk_by(|one, next| one.fleet == next.fleet) {
            let Some(fleet) = fleets.get(of_one[0].fleet)? else { continue };
            held_beyond(&fleet, of_one).into_iter().for_each(|what| verification.find(Finding::Beyond { what }));
        }
        let newest = self.held.iter().map(|held| held.span.from).max();
        self.held.retain(|held| newest.is_some_and(|newest| held.span.to + BESIDE > newest));
        Ok(())
    }
}
