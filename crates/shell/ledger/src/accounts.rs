//! What an accountant asks: heads, closings, corrections, what is open, and usage by time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use dispatch::{AttemptId, KeyId, Known};
use market::Tokens;
use rusqlite::{Connection, TransactionBehavior};
use units::{Instant, Money, Span};

use crate::book::Booking;
use crate::chain::{self, Head};
use crate::closing::{self, Closed};
use crate::correction::{self, Correct, Corrected};
use crate::error::LedgerError;
use crate::register::Registers;
use crate::schema;
use crate::view::View;
use crate::words::{Nanos, Word};

/// What is known only within bounds, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreconciled {
    /// How many attempts.
    pub attempts: u64,
    /// At most so many input tokens.
    pub input: u64,
    /// At most so many output tokens.
    pub output: u64,
    /// At most so much at list prices, in the fleet's currency.
    pub list: Money,
}

/// Which usage is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// Of requests decided within this span.
    pub span: Span,
    /// In buckets so long, from the span's beginning on.
    pub width: Duration,
    /// Of these keys only; empty: of all.
    pub keys: Vec<KeyId>,
    /// Of these models only; empty: of all.
    pub models: Vec<String>,
    /// Whether each key stands by itself.
    pub by_key: bool,
    /// Whether each model stands by itself.
    pub by_model: bool,
}

/// What was used in one bucket by one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// Whose, when keys stand by themselves.
    pub key: Option<KeyId>,
    /// Of which model, when models stand by themselves.
    pub model: Option<String>,
    /// Input tokens, cached ones among them.
    pub input: u64,
    /// Cached input tokens.
    pub cached: u64,
    /// Output tokens.
    pub output: u64,
    /// Attempts that an upstream took up.
    pub requests: u64,
    /// What they come to at list prices, in the fleet's currency.
    pub list: Money,
}

/// One bucket of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageBucket {
    /// Which.
    pub span: Span,
    /// What was used in it, by group; none when nothing was.
    pub rows: Vec<UsageRow>,
}

/// At most so many buckets are answered; a query for more is refused.
pub const BUCKETS_MAX: usize = 10_000;

impl View {
    /// The end of the chain, once all before it is on disk: fit to be noted elsewhere.
    ///
    /// # Errors
    /// When the database refused.
    pub fn head(&self) -> Result<Head, LedgerError> {
        let open = self.lock()?;
        let head = chain::head(&open.connection)?;
        open.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(head)
    }

    /// Every closed period, or those of one contract, in the order in which they were closed.
    ///
    /// # Errors
    /// When the database refused.
    pub fn closings(&self, contract: Option<&str>) -> Result<Vec<Closed>, LedgerError> {
        closing::all(&self.lock()?.connection, contract)
    }

    /// Postings that came for a period after it was closed, and that no closing has taken up yet, by contract.
    ///
    /// # Errors
    /// When the database refused.
    pub fn late(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached(
            "SELECT contract, count(*) FROM posting WHERE id > (SELECT max(posting_to) FROM closing WHERE closing.contract = posting.contract)
             AND at_us < (SELECT max(to_us) FROM closing WHERE closing.contract = posting.contract) GROUP BY contract",
        )?;
        Ok(select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?.collect::<Result<_, _>>()?)
    }

    /// The corrections of an attempt, each of the one before it.
    ///
    /// # Errors
    /// When the database refused.
    pub fn corrections_of(&self, attempt: AttemptId) -> Result<Vec<Corrected>, LedgerError> {
        correction::of(&self.lock()?.connection, attempt)
    }

    /// What is known only within bounds, in all.
    ///
    /// # Errors
    /// When the database refused.
    pub fn unreconciled_total(&self) -> Result<Unreconciled, LedgerError> {
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached(
            "SELECT input, output, list FROM settlement WHERE known = 'bounded' AND NOT EXISTS (SELECT 1 FROM correction
             WHERE (correction.request, correction.attempt) = (settlement.request, settlement.attempt))",
        )?;
        let mut rows = select.query([])?;
        let mut total = Unreconciled::default();
        while let Some(row) = rows.next()? {
            let Nanos(list) = row.get(2)?;
            total.attempts += 1;
            total.input += u64::from(row.get::<_, u32>(0)?);
            total.output += u64::from(row.get::<_, u32>(1)?);
            total.list += list;
        }
        Ok(total)
    }

    /// Usage by buckets of time; a bucket without usage is there without rows.
    ///
    /// # Errors
    /// When there would be more than [`BUCKETS_MAX`] buckets, or the database refused.
    pub fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageBucket>, LedgerError> {
        let mut buckets = buckets(query)?;
        let mut groups: Vec<BTreeMap<(Option<KeyId>, Option<String>), UsageRow>> = vec![BTreeMap::new(); buckets.len()];
        let width = i64::try_from(query.width.as_micros()).unwrap_or(i64::MAX).max(1);
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached(
            "SELECT attempt.decided, attempt.key, attempt.model, settlement.outcome, settlement.known,
                 coalesce(last.input, settlement.input), coalesce(last.cached, settlement.cached), coalesce(last.output, settlement.output),
                 coalesce(last.list, settlement.list), last.id
             FROM attempt JOIN settlement ON (settlement.request, settlement.attempt) = (attempt.request, attempt.attempt)
             LEFT JOIN correction AS last ON last.id = (SELECT max(id) FROM correction
                 WHERE (correction.request, correction.attempt) = (attempt.request, attempt.attempt))
             WHERE attempt.decided >= ?1 AND attempt.decided < ?2",
        )?;
        let mut rows = select.query([query.span.from.micros(), query.span.to.micros()])?;
        while let Some(row) = rows.next()? {
            let (key, model): (KeyId, String) = (KeyId(row.get(1)?), row.get(2)?);
            let Word(known): Word<Known> = row.get(4)?;
            let unknown = known == Known::Bounded && row.get::<_, Option<i64>>(9)?.is_none();
            let wanted = (query.keys.is_empty() || query.keys.contains(&key)) && (query.models.is_empty() || query.models.contains(&model));
            if unknown || !wanted {
                continue;
            }
            let place = usize::try_from((row.get::<_, i64>(0)? - query.span.from.micros()) / width).unwrap_or(usize::MAX);
            let Some(group) = groups.get_mut(place) else { continue };
            let (key, model) = (query.by_key.then_some(key), query.by_model.then_some(model));
            let sums = group.entry((key, model.clone())).or_insert_with(|| UsageRow { key, model, ..UsageRow::default() });
            let tokens = Tokens { input: row.get(5)?, cached: row.get(6)?, output: row.get(7)? };
            let Word(outcome): Word<dispatch::Outcome> = row.get(3)?;
            let Nanos(list) = row.get(8)?;
            sums.input += u64::from(tokens.input);
            sums.cached += u64::from(tokens.cached);
            sums.output += u64::from(tokens.output);
            sums.requests += u64::from(outcome != dispatch::Outcome::Failed);
            sums.list += list;
        }
        for (bucket, group) in buckets.iter_mut().zip(groups) {
            bucket.rows = group.into_values().collect();
        }
        Ok(buckets)
    }
}

fn buckets(query: &UsageQuery) -> Result<Vec<UsageBucket>, LedgerError> {
    let mut buckets = Vec::new();
    let mut from = query.span.from;
    while from < query.span.to {
        if buckets.len() == BUCKETS_MAX || query.width.is_zero() {
            return Err(LedgerError::Missing { what: format!("usage in more than {BUCKETS_MAX} buckets") });
        }
        let to = (from + query.width).min(query.span.to);
        buckets.push(UsageBucket { span: Span { from, to }, rows: Vec::new() });
        from = to;
    }
    Ok(buckets)
}

/// Books a correction in a state directory, also while a service runs on it: that takes it in with its next closing or commit.
///
/// # Errors
/// When the attempt is not settled, the tokens can't be, or the database refused.
pub fn correct(directory: &Path, said: &Correct, now: Instant) -> Result<Corrected, LedgerError> {
    let mut connection = for_writing(directory)?;
    let registers = Registers::read(&connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut booking = Booking::new(&transaction, &registers)?;
    let number = correction::correct(&mut booking, said, None, now)?;
    let corrected = correction::of(&transaction, said.attempt)?.pop().filter(|corrected| corrected.number == number);
    transaction.commit()?;
    corrected.ok_or(LedgerError::Unreadable { attempt: said.attempt })
}

/// A connection whose transactions are on disk when they are committed: no journal is behind them.
pub(crate) fn for_writing(directory: &Path) -> Result<Connection, LedgerError> {
    if !schema::database(directory).exists() {
        return Err(LedgerError::Missing { what: format!("a ledger in {}", directory.display()) });
    }
    let mut connection = schema::connect(directory)?;
    schema::migrate(&mut connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}
