//! The chain, computed again from the rows.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use super::{Finding, Verification};
use crate::chain::{Hash, Head, Kind, POSTING, Table, next};
use crate::error::LedgerError;
use crate::line::write_row;
use crate::words::Request;

/// One entry as the chain's table has it.
pub(crate) struct Link {
    pub(crate) number: i64,
    pub(crate) kind: String,
    pub(crate) row: Option<i64>,
    attempt: Option<(Request, u8)>,
    pub(crate) posting_to: i64,
    pub(crate) hash: Hash,
}

/// The columns of [`link_at`].
pub(crate) const LINK: &str = "SELECT number, kind, row, request, attempt, posting_to, hash FROM entry WHERE number > ?1 ORDER BY number";

/// The entry of a row that was selected by [`LINK`].
pub(crate) fn link_at(row: &Row<'_>) -> rusqlite::Result<Link> {
    let attempt = row.get::<_, Option<Request>>(3)?.zip(row.get(4)?);
    Ok(Link { number: row.get(0)?, kind: row.get(1)?, row: row.get(2)?, attempt, posting_to: row.get(5)?, hash: Hash(row.get(6)?) })
}

/// The last row of each table that an entry was.
pub(super) type LastRows = BTreeMap<&'static str, i64>;

/// Checks the chain from `from` on, and gives its end. `noted` is a head that was written down elsewhere: an entry must have it.
pub(super) fn check(
    connection: &Connection,
    (from, rows_to): (Head, &mut LastRows),
    noted: Option<Hash>,
    verification: &mut Verification,
) -> Result<Head, LedgerError> {
    let mut head = from;
    let mut found = noted.is_none_or(|noted| noted == from.hash);
    let mut select = connection.prepare(LINK)?;
    let mut rows = select.query([from.number])?;
    while let Some(row) = rows.next()? {
        let link = link_at(row)?;
        verification.entries += 1;
        let whole = text(connection, &link, head.posting_to)?.is_some_and(|text| next(head.hash, text.as_bytes()) == link.hash);
        if !whole || link.number != head.number + 1 || link.posting_to < head.posting_to {
            verification.find(Finding::Chain { number: link.number });
        }
        check_row(&link, rows_to, verification);
        found |= noted == Some(link.hash);
        head = Head { number: link.number, hash: link.hash, posting_to: link.posting_to };
    }
    if let Some(hash) = noted.filter(|_| !found) {
        verification.find(Finding::Head { hash });
    }
    Ok(head)
}

/// Rows are numbered in the order of their entries. No hash has an entry's row, and others may name it by nothing else, as they do a fleet.
fn check_row(link: &Link, rows_to: &mut LastRows, verification: &mut Verification) {
    // An ending has the number of its opening.
    let Some(kind) = Kind::of(&link.kind).filter(|kind| *kind != Kind::Ending) else { return };
    let Some(row) = link.row else { return };
    let table = kind.tables().0.name;
    let last = rows_to.entry(table).or_default();
    let expected = last.saturating_add(1);
    if row != expected {
        verification.find(Finding::Row { number: link.number, table, row, expected });
    }
    *last = row;
}

/// The text of an entry; nothing when its row is not there.
pub(crate) fn text(connection: &Connection, link: &Link, after: i64) -> Result<Option<String>, LedgerError> {
    let Some(kind) = Kind::of(&link.kind) else { return Ok(None) };
    let mut text = Vec::new();
    let (own, parts) = kind.tables();
    let there = match (link.row, link.attempt) {
        (Some(row), None) => add(connection, &mut text, own, "rowid = ?1", params![row])?,
        (None, Some((request, attempt))) => add(connection, &mut text, own, "request = ?1 AND attempt = ?2", params![request, attempt])?,
        _ => 0,
    };
    if there != 1 {
        return Ok(None);
    }
    for part in parts {
        let order = if part.columns.contains(',') { "1, 2" } else { "1" };
        add(connection, &mut text, part, &format!("{} = ?1 ORDER BY {order}", own.name), params![link.row])?;
    }
    if link.posting_to > after {
        add(connection, &mut text, &POSTING, "id > ?1 AND id <= ?2 ORDER BY id", params![after, link.posting_to])?;
    }
    Ok(Some(String::from_utf8(text).expect("values are written as UTF-8")))
}

fn add(
    connection: &Connection,
    text: &mut Vec<u8>,
    table: &Table,
    which: &str,
    params: impl rusqlite::Params,
) -> Result<usize, LedgerError> {
    let mut select = connection.prepare_cached(&format!("{} WHERE {which}", table.select))?;
    let mut rows = select.query(params)?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        write_row(text, table, row)?;
        count += 1;
    }
    Ok(count)
}

/// Every row of every table of entries is an entry, and every posting belongs to one.
pub(super) fn check_complete(connection: &Connection, head: Head, verification: &mut Verification) -> Result<(), LedgerError> {
    for kind in Kind::ALL {
        let table = kind.tables().0.name;
        let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        let entries: i64 = connection.query_row("SELECT count(*) FROM entry WHERE kind = ?1", [table], |row| row.get(0))?;
        if rows != entries {
            verification.find(Finding::Unchained { table, rows, entries });
        }
    }
    // Entries have postings from number one on: folds leave out those below, and reports don't.
    let postings = "SELECT count(*), count(*) FILTER (WHERE id BETWEEN 1 AND ?1), coalesce(max(id), 0) FROM posting";
    let count = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (rows, chained, last): (i64, i64, i64) = connection.query_row(postings, [head.posting_to], count)?;
    if rows != chained || last < head.posting_to {
        verification.find(Finding::Unchained { table: "posting", rows, entries: head.posting_to });
    }
    Ok(())
}
