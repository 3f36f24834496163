//! Entries into rows, each attempt and each held time exactly once.

use std::collections::{BTreeMap, BTreeSet};

use dispatch::{Advice, AttemptId, HeldTime, Settlement};
use fleet::FleetVersion;
use market::Usage;
use rusqlite::Connection;
use units::Instant;

use crate::chain::{ADVICE, ATTEMPT, CONFLICT, Chain, HELD, HELD_SHARE, IN_UNITS, Kind, Of, POSTING, SETTLEMENT};
use crate::entry::{Entry, Intent};
use crate::error::LedgerError;
use crate::field::fields;
use crate::insert::Rows;
use crate::journal::Position;
use crate::register::Registers;
use crate::removed::APART;
use crate::rows::{offset, stored_intent, stored_settlement};
use crate::words::{Nanos, Word};

/// What a transaction changed, to be told to the books once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Booked {
    pub(crate) usage: Vec<(FleetVersion, Usage)>,
    /// Its attempts that it didn't settle too, with their rows.
    pub(crate) open: BTreeMap<AttemptId, i64>,
    /// The row of its newest attempt.
    pub(crate) newest: Option<i64>,
    /// What it settled of attempts that were there before.
    pub(crate) settled: BTreeSet<AttemptId>,
}

/// Where a posting comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    Attempt(AttemptId),
    Correction(AttemptId, i64),
    Held(i64),
}

/// A transaction in which entries are booked.
pub(crate) struct Booking<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) registers: &'a Registers,
    pub(crate) chain: Chain<'a>,
    pub(crate) booked: Booked,
}

impl<'a> Booking<'a> {
    pub(crate) fn new(connection: &'a Connection, registers: &'a Registers) -> Result<Self, LedgerError> {
        Self::with(connection, registers, Rows::Single)
    }

    /// One whose rows go in as `rows` says; by groups, they are all there when it has ended.
    pub(crate) fn with(connection: &'a Connection, registers: &'a Registers, rows: Rows) -> Result<Self, LedgerError> {
        Ok(Self { connection, registers, chain: Chain::read(connection, rows)?, booked: Booked::default() })
    }

    /// One of entries that are of all, in a ledger that is put together of several.
    pub(crate) fn of_all(connection: &'a Connection, registers: &'a Registers, posting_to: i64) -> Result<Self, LedgerError> {
        Ok(Self { connection, registers, chain: Chain::of_all(connection, posting_to, APART)?, booked: Booked::default() })
    }

    /// What was booked, and the newest posting.
    pub(crate) fn end(mut self) -> Result<(Booked, i64), LedgerError> {
        self.chain.flush()?;
        Ok((self.booked, self.chain.posting_to()))
    }

    /// Books one entry whose journal record began at `began`.
    pub(crate) fn book(&mut self, entry: &Entry, began: Position) -> Result<(), LedgerError> {
        match entry {
            Entry::Intent(intent) => self.intent(entry, intent, began),
            Entry::Settled(settlement) => self.settlement(entry, settlement),
            Entry::Held(held) => self.held(held, began),
        }
    }

    fn intent(&mut self, entry: &Entry, intent: &Intent, began: Position) -> Result<(), LedgerError> {
        let Some(row) = self.insert_intent(intent, began)? else {
            let same = stored_intent(self.connection, self.registers, intent.attempt)?.as_ref() == Some(intent);
            return self.keep_conflict(entry, intent.attempt, same);
        };
        if let Some(advice) = &intent.advice {
            self.advice(row, intent.fleet, advice)?;
        }
        if intent.in_units {
            self.chain.insert_new(&IN_UNITS, &fields![row])?;
        }
        self.booked.open.insert(intent.attempt, row);
        self.booked.newest = Some(row);
        self.chain.link(Kind::Attempt, Of::Row(row))
    }

    fn insert_intent(&mut self, intent: &Intent, began: Position) -> Result<Option<i64>, LedgerError> {
        let register = self.registers.of(intent.fleet)?;
        let why = intent.why;
        self.chain.insert(
            &ATTEMPT,
            &fields![
                intent.attempt.request,
                intent.attempt.attempt,
                intent.key.0,
                register.model(intent.model)?,
                register.endpoint(intent.endpoint)?,
                register.contract(intent.contract)?,
                self.registers.row(intent.fleet)?,
                intent.decided.micros(),
                intent.bound_input,
                intent.bound_output,
                Word(why.tier),
                Word(why.rule),
                Nanos(why.cost.marginal),
                Nanos(why.cost.energy),
                Nanos(why.cost.scarcity),
                Nanos(why.cost.cache_loss),
                Nanos(why.cost.slo_miss),
                why.list.input,
                why.list.cached,
                why.list.output,
                began.segment,
                offset(began),
            ],
        )
    }

    fn advice(&mut self, attempt: i64, fleet: FleetVersion, advice: &Advice) -> Result<(), LedgerError> {
        let register = self.registers.of(fleet)?;
        let Advice { endpoint, contract, prepaid, cost, list, marginal, given } = *advice;
        let values = fields![
            attempt,
            register.endpoint(endpoint)?,
            register.contract(contract)?,
            prepaid,
            Nanos(cost.marginal),
            Nanos(cost.energy),
            Nanos(cost.scarcity),
            Nanos(cost.cache_loss),
            Nanos(cost.slo_miss),
            list.input,
            list.cached,
            list.output,
            marginal.input,
            marginal.cached,
            marginal.output,
            given.input,
            given.cached,
            given.output,
        ];
        self.chain.insert_new(&ADVICE, &values)?;
        Ok(())
    }

    fn settlement(&mut self, entry: &Entry, settlement: &Settlement) -> Result<(), LedgerError> {
        let attempt = settlement.attempt;
        if self.insert_settlement(settlement)?.is_none() {
            let same = stored_settlement(self.connection, self.registers, attempt)?.as_ref() == Some(settlement);
            return self.keep_conflict(entry, attempt, same);
        }
        let register = self.registers.of(settlement.fleet)?;
        let meters = register.token_meters(settlement.contract, settlement.endpoint);
        let usage = meters.map(|meters| meters.postings(settlement)).unwrap_or_default();
        self.post(settlement.fleet, &usage, Source::Attempt(attempt))?;
        if self.booked.open.remove(&attempt).is_none() {
            self.booked.settled.insert(attempt);
        }
        self.chain.link(Kind::Settlement, Of::Attempt(attempt))
    }

    fn insert_settlement(&mut self, settlement: &Settlement) -> Result<Option<i64>, LedgerError> {
        let register = self.registers.of(settlement.fleet)?;
        self.chain.insert(
            &SETTLEMENT,
            &fields![
                settlement.attempt.request,
                settlement.attempt.attempt,
                register.endpoint(settlement.endpoint)?,
                register.contract(settlement.contract)?,
                self.registers.row(settlement.fleet)?,
                Word(settlement.outcome),
                Word(settlement.known),
                settlement.tokens.input,
                settlement.tokens.cached,
                settlement.tokens.output,
                settlement.started.micros(),
                settlement.first_content.map(Instant::micros),
                settlement.ended.micros(),
                Nanos(settlement.list),
            ],
        )
    }

    fn held(&mut self, held: &HeldTime, began: Position) -> Result<(), LedgerError> {
        let endpoint = self.registers.of(held.fleet)?.endpoint(held.endpoint)?;
        let fleet = self.registers.row(held.fleet)?;
        let values = fields![endpoint, fleet, held.span.from.micros(), held.span.to.micros(), began.segment, offset(began)];
        let row = self.chain.insert_new(&HELD, &values)?;
        for (number, (attempt, quantity)) in (0_i64..).zip(&held.shares) {
            let values = fields![row, number, attempt.request, attempt.attempt, quantity.count()];
            self.chain.insert_new(&HELD_SHARE, &values)?;
        }
        self.post(held.fleet, &held.usage, Source::Held(row))?;
        self.chain.link(Kind::Held, Of::Row(row))
    }

    pub(crate) fn post(&mut self, fleet: FleetVersion, usage: &[Usage], source: Source) -> Result<(), LedgerError> {
        let register = self.registers.of(fleet)?;
        let (attempt, correction, held) = match source {
            Source::Attempt(attempt) => (Some(attempt), None, None),
            Source::Correction(attempt, correction) => (Some(attempt), Some(correction), None),
            Source::Held(row) => (None, None, Some(row)),
        };
        for usage in usage {
            self.chain.insert_new(
                &POSTING,
                &fields![
                    register.contract(usage.contract)?,
                    Word(usage.meter.kind()),
                    register.subject(usage.meter)?,
                    usage.at.micros(),
                    usage.held.count(),
                    usage.used.count(),
                    self.registers.row(fleet)?,
                    attempt.map(|attempt| attempt.request),
                    attempt.map(|attempt| attempt.attempt),
                    correction,
                    held,
                ],
            )?;
            self.booked.usage.push((fleet, *usage));
        }
        Ok(())
    }

    /// A record that says the same as the first is nothing new; one that doesn't is kept apart and never booked.
    fn keep_conflict(&mut self, entry: &Entry, attempt: AttemptId, same: bool) -> Result<(), LedgerError> {
        if same {
            return Ok(());
        }
        let bytes = postcard::to_stdvec(entry)?;
        let row = self.chain.insert_new(&CONFLICT, &fields![attempt.request, attempt.attempt, &bytes[..]])?;
        self.chain.link(Kind::Conflict, Of::Row(row))
    }
}
