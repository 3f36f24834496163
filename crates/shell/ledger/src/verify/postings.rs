//! Postings computed again from what they come from.

use dispatch::{AttemptId, Settlement, TokenMeters};
use fleet::MeterKind;
use market::Usage;
use rusqlite::{Connection, Row, Rows};
use units::Instant;

use super::{Finding, Verification};
use crate::chain::Head;
use crate::error::LedgerError;
use crate::register::{Register, Registers};
use crate::rows::{SETTLEMENT, settlement_at, stored_settlement};
use crate::words::{Word, attempt_at};

/// A posting by the names in its row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Posting {
    contract: String,
    meter: MeterKind,
    subject: String,
    at: Instant,
    held: i64,
    used: i64,
}

impl Posting {
    pub(super) fn of(register: &Register, usage: &Usage) -> Result<Self, LedgerError> {
        Ok(Self {
            contract: register.contract(usage.contract)?.to_owned(),
            meter: usage.meter.kind(),
            subject: register.subject(usage.meter)?.to_owned(),
            at: usage.at,
            held: usage.held.count(),
            used: usage.used.count(),
        })
    }

    /// The columns that [`Self::at`] reads.
    pub(super) const COLUMNS: &str = "contract, meter, subject, at_us, held, used";

    pub(super) fn at(row: &Row<'_>, from: usize) -> rusqlite::Result<Self> {
        let Word(meter) = row.get(from + 1)?;
        let at = Instant::from_micros(row.get(from + 3)?);
        Ok(Self { contract: row.get(from)?, meter, subject: row.get(from + 2)?, at, held: row.get(from + 4)?, used: row.get(from + 5)? })
    }
}

fn shown(postings: &[Posting]) -> String {
    let one = |posting: &Posting| format!("{}/{} {:?} of {}", posting.used, posting.held, posting.meter, posting.subject);
    if postings.is_empty() { "nothing".to_owned() } else { postings.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// The postings of attempts, grouped by attempt and in its order.
struct Groups<'a> {
    rows: Rows<'a>,
    next: Option<(AttemptId, Posting)>,
}

impl<'a> Groups<'a> {
    fn new(rows: Rows<'a>) -> Result<Self, LedgerError> {
        let mut groups = Self { rows, next: None };
        groups.step()?;
        Ok(groups)
    }

    /// Takes the posting that stands next.
    fn step(&mut self) -> Result<Option<(AttemptId, Posting)>, LedgerError> {
        let row = self.rows.next()?;
        let following = row.map(|row| Ok::<_, rusqlite::Error>((attempt_at(row, 0)?, Posting::at(row, 2)?))).transpose()?;
        Ok(std::mem::replace(&mut self.next, following))
    }

    /// Takes the postings of `attempt`; those of attempts before it, which have no settlement, are findings.
    fn take(&mut self, attempt: Option<AttemptId>, verification: &mut Verification) -> Result<Vec<Posting>, LedgerError> {
        let mut found = Vec::new();
        while let Some((of, _)) = &self.next
            && attempt.is_none_or(|attempt| *of <= attempt)
        {
            let Some((of, posting)) = self.step()? else { break };
            if Some(of) == attempt {
                found.push(posting);
            } else {
                verification.find(Finding::Posted { attempt: of, expected: shown(&[]), found: shown(&[posting]) });
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Every settlement's postings are those that it comes to, and no attempt has others.
pub(super) fn check_settled(connection: &Connection, registers: &Registers, verification: &mut Verification) -> Result<(), LedgerError> {
    let columns = Posting::COLUMNS;
    let mut postings = connection.prepare(&format!(
        "SELECT request, attempt, {columns} FROM posting WHERE request IS NOT NULL AND correction IS NULL ORDER BY request, attempt"
    ))?;
    let mut groups = Groups::new(postings.query([])?)?;
    let mut settlements = connection.prepare(&format!("SELECT {SETTLEMENT} FROM settlement ORDER BY request, attempt"))?;
    let mut rows = settlements.query([])?;
    while let Some(row) = rows.next()? {
        let settlement = settlement_at(row, 0, registers)?;
        let found = groups.take(Some(settlement.attempt), verification)?;
        let expected = expected(registers, &settlement)?;
        if found != expected && found != stray(registers, &settlement)? {
            verification.find(Finding::Posted { attempt: settlement.attempt, expected: shown(&expected), found: shown(&found) });
        }
    }
    groups.take(None, verification)?;
    Ok(())
}

/// Every settlement past `from` posted what it comes to: its postings are those between the entry before it and itself.
pub(super) fn check_added(
    connection: &Connection,
    registers: &Registers,
    from: Head,
    verification: &mut Verification,
) -> Result<(), LedgerError> {
    let columns = Posting::COLUMNS;
    let mut entries = connection.prepare(
        "SELECT request, attempt, posting_to, coalesce((SELECT posting_to FROM entry AS before WHERE before.number = entry.number - 1), 0)
         FROM entry WHERE number > ?1 AND kind = 'settlement' ORDER BY number",
    )?;
    let mut postings = connection.prepare(&format!("SELECT {columns} FROM posting WHERE id > ?1 AND id <= ?2"))?;
    let mut rows = entries.query([from.number])?;
    while let Some(row) = rows.next()? {
        let (attempt, to, after): (AttemptId, i64, i64) = (attempt_at(row, 0)?, row.get(2)?, row.get(3)?);
        let mut found = postings.query_map([after, to], |row| Posting::at(row, 0))?.collect::<Result<Vec<_>, _>>()?;
        found.sort();
        let settlement = stored_settlement(connection, registers, attempt)?;
        let expected = settlement.map(|settlement| expected(registers, &settlement)).transpose()?.unwrap_or_default();
        verification.settled += 1;
        verification.postings += found.len() as u64;
        let is_stray = || settlement.map_or(Ok(false), |settlement| Ok::<_, LedgerError>(found == stray(registers, &settlement)?));
        if found != expected && !is_stray()? {
            verification.find(Finding::Posted { attempt, expected: shown(&expected), found: shown(&found) });
        }
    }
    Ok(())
}

/// What a settlement posts.
fn expected(registers: &Registers, settlement: &Settlement) -> Result<Vec<Posting>, LedgerError> {
    let register = registers.of(settlement.fleet)?;
    posted_by(register, register.token_meters(settlement.contract, settlement.endpoint), settlement)
}

/// What earlier programs posted of it, when it ended after its contract: outside any period of that.
fn stray(registers: &Registers, settlement: &Settlement) -> Result<Vec<Posting>, LedgerError> {
    let register = registers.of(settlement.fleet)?;
    let meters = register.token_meters(settlement.contract, settlement.endpoint);
    posted_by(register, meters.map(|meters| TokenMeters { last: Instant::MAX, ..meters }), settlement)
}

fn posted_by(register: &Register, meters: Option<TokenMeters>, settlement: &Settlement) -> Result<Vec<Posting>, LedgerError> {
    let usage = meters.map(|meters| meters.postings(settlement)).unwrap_or_default();
    let mut expected = usage.iter().map(|usage| Posting::of(register, usage)).collect::<Result<Vec<_>, _>>()?;
    expected.sort();
    Ok(expected)
}

/// Of held time past the row `past`: held = used + idle, all three at least nothing, and the attempts' shares add up to what was used.
pub(super) fn check_held(connection: &Connection, past: i64, verification: &mut Verification) -> Result<(), LedgerError> {
    let checks = [
        (
            "what was used is not between nothing and what was held",
            "SELECT DISTINCT source FROM posting WHERE source > ?1 AND NOT (0 <= used AND used <= held)",
        ),
        (
            "the attempts' shares don't add up to what was used",
            "WITH share AS (SELECT held, sum(quantity) AS taken FROM held_share WHERE held > ?1 GROUP BY held),
                  paid AS (SELECT source, sum(used) AS used FROM posting WHERE source > ?1 GROUP BY source)
             SELECT paid.source FROM paid LEFT JOIN share ON share.held = paid.source WHERE coalesce(share.taken, 0) <> paid.used",
        ),
        ("its span ends before it begins", "SELECT id FROM held WHERE id > ?1 AND to_us < from_us"),
    ];
    for (why, select) in checks {
        let mut select = connection.prepare(select)?;
        for held in select.query_map([past], |row| row.get(0))? {
            verification.find(Finding::Held { held: held?, why });
        }
    }
    Ok(())
}
