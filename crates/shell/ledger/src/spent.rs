//! What was taken and what it cost, bucket by bucket: what usage and cost reports are made from.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch::KeyId;
use fleet::{ContractId, Fleet, FleetVersion, ServiceTier};
use market::{Accrual, Balances, Usage};
use rusqlite::{Connection, Rows, params};
use units::{Instant, Money, Quantity, Span};

use crate::earlier::Earlier;
use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::register::Register;
use crate::schema;
use crate::view::View;
use crate::words::Word;

/// What one key took of one model at one tier in one bucket of time, by when the attempts ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When the bucket begins.
    pub from: Instant,
    /// Of which model.
    pub model: String,
    /// For which key.
    pub key: KeyId,
    /// As which class of service, lines of batches apart.
    pub tier: ServiceTier,
    /// Requests that had an answer, or the beginning of one.
    pub requests: u64,
    /// Input tokens, cached ones included; what is only bounded is not counted.
    pub input: u64,
    /// Of these, read from a cache.
    pub cached: u64,
    /// Output tokens.
    pub output: u64,
}

/// What one contract cost in one bucket of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// When the bucket begins.
    pub from: Instant,
    /// Which contract.
    pub contract: ContractId,
    /// What it came to, in the contract's currency.
    pub money: Money,
}

impl View {
    /// What was taken within `span`, in buckets of `width` that are counted from 1970.
    ///
    /// # Errors
    /// When the database refused.
    pub fn taken(&self, span: Span, width: Duration) -> Result<Vec<Taken>, LedgerError> {
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached(
            "SELECT settlement.ended / ?3, attempt.model, attempt.key, attempt.tier,
                    sum(settlement.outcome IN ('answered', 'cut', 'client-gone')),
                    sum(coalesce(last.input, iif(known = 'bounded', 0, settlement.input))),
                    sum(coalesce(last.cached, iif(known = 'bounded', 0, settlement.cached))),
                    sum(coalesce(last.output, iif(known = 'bounded', 0, settlement.output)))
             FROM settlement JOIN attempt ON (attempt.request, attempt.attempt) = (settlement.request, settlement.attempt)
             LEFT JOIN correction AS last ON last.id = (SELECT max(id) FROM correction
                 WHERE (correction.request, correction.attempt) = (settlement.request, settlement.attempt))
             WHERE settlement.ended >= ?1 AND settlement.ended < ?2
             GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        )?;
        let width = i64::try_from(width.as_micros()).unwrap_or(i64::MAX).max(1);
        let rows = select.query_map(params![span.from.micros(), span.to.micros(), width], |row| {
            let count = |column: usize| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
            let Word(tier) = row.get(3)?;
            Ok(Taken {
                from: Instant::from_micros(row.get::<_, i64>(0)?.saturating_mul(width)),
                model: row.get(1)?,
                key: KeyId(row.get(2)?),
                tier,
                requests: count(4)?,
                input: count(5)?,
                cached: count(6)?,
                output: count(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What each contract of `fleet` cost between one of `days` and the next, up to the last; as [`Accrual`] tells it. Everything that was ever
    /// posted is read for it, beside whoever else reads here.
    ///
    /// # Errors
    /// When the database refused.
    pub fn spent(&self, fleet: &Fleet, days: &[Instant]) -> Result<Vec<Spent>, LedgerError> {
        let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(Vec::new()) };
        let within = Span { from: *first, to: *last };
        let connection = schema::connect(&self.directory)?;
        let (fleet, register) = terms(&connection, &self.directory, fleet, within.to)?;
        let mut select = connection.prepare(POSTED)?;
        let mut rows = select.query([within.to.micros()])?;
        let mut next = posted(&mut rows, &register)?;
        let (mut accrual, mut balances, mut since) = (Accrual::default(), Balances::default(), Instant::MIN);
        let mut spent: Vec<Spent> = Vec::new();
        for cut in Accrual::cuts(&fleet, within, days.iter().copied()) {
            while let Some(usage) = next.filter(|usage| usage.at < cut) {
                balances.post(&fleet, &usage);
                next = posted(&mut rows, &register)?;
            }
            for (contract, money) in accrual.cut(&fleet, &balances, cut) {
                let from = days.iter().rev().find(|day| **day <= since).copied();
                let Some(from) = from.filter(|_| since >= within.from) else { continue };
                match spent.iter_mut().rev().take_while(|spent| spent.from == from).find(|spent| spent.contract == contract) {
                    Some(spent) => spent.money += money,
                    None => spent.push(Spent { from, contract, money }),
                }
            }
            since = cut;
        }
        Ok(spent)
    }
}

/// Everything posted before an instant, by time.
const POSTED: &str = "SELECT contract, meter, subject, at_us, held, used FROM posting WHERE at_us < ?1 ORDER BY at_us, id";

/// The fleet with the prices that it lacks of what was posted before an instant, and the names of that too.
fn terms(connection: &Connection, directory: &Path, fleet: &Fleet, until: Instant) -> Result<(Arc<Fleet>, Register), LedgerError> {
    let (mut earlier, mut register) = (Earlier::new(&Fleets::of(directory)), Register::new(fleet));
    let mut select = connection.prepare(
        "SELECT contract, meter, subject, version, min(at_us), max(at_us) FROM posting JOIN fleet ON fleet.id = posting.fleet
         WHERE at_us < ?1 GROUP BY contract, meter, subject, version",
    )?;
    let mut rows = select.query([until.micros()])?;
    while let Some(row) = rows.next()? {
        let Some(contract) = register.contract_id(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?) else { continue };
        let Word(kind) = row.get(1)?;
        let meter = register.admit(kind, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?);
        for at in [row.get(4)?, row.get(5)?] {
            earlier.note(fleet, (contract, meter), FleetVersion(row.get(3)?), Instant::from_micros(at))?;
        }
    }
    Ok((earlier.terms(&Arc::new(fleet.clone()), &register, until), register))
}

/// The next of [`POSTED`] under a contract and meter that the fleet of `register` still has.
fn posted(rows: &mut Rows<'_>, register: &Register) -> Result<Option<Usage>, LedgerError> {
    while let Some(row) = rows.next()? {
        let contract = register.contract_id(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
        let Word(kind) = row.get(1)?;
        let meter = register.meter(kind, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?);
        let (Some(contract), Some(meter)) = (contract, meter) else { continue };
        let (held, used) = (Quantity::new(row.get(4)?), Quantity::new(row.get(5)?));
        return Ok(Some(Usage { contract, meter, at: Instant::from_micros(row.get(3)?), held, used }));
    }
    Ok(None)
}
