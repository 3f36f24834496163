//! Entries of this replica's chain, brought to the shared database once each.

use ledger::{ChainEntry, Hash, View};
use tokio_postgres::{Client, GenericClient, Transaction};

use crate::error::ShareError;
use crate::link::within;
use crate::lock::{Lock, locked};
use crate::replica::ReplicaId;

/// At most so many entries are brought at once.
const ENTRIES_MAX: usize = 2_000;
/// Brings the next entries that no power cut takes back, and says whether there may be more.
pub(crate) async fn copy(client: &mut Client, view: &View, replica: &ReplicaId) -> Result<bool, ShareError> {
    let synced = view.synced_entries()?;
    within(Lock::Entries.waits(), bring(client, view, replica, synced)).await
}

async fn bring(client: &mut Client, view: &View, replica: &ReplicaId, synced: i64) -> Result<bool, ShareError> {
    // One at a time, so that places are taken in the order in which they can be seen.
    let transaction = locked(client, Lock::Entries).await?;
    let (number, hash) = last(&transaction, replica).await?;
    // The last one that is there is read again.
    let entries = view.entries((number - 1).max(0), synced, ENTRIES_MAX)?;
    let new = behind(&entries, number, &hash)?;
    if new.is_empty() {
        return Ok(false);
    }
    let mut before = Hash(hash.try_into().unwrap_or_default());
    for (entry, expected) in new.iter().zip(number + 1..) {
        if entry.number != expected || before.then(&entry.text) != entry.hash {
            return Err(ShareError::Forked { number: entry.number });
        }
        before = entry.hash;
    }
    insert(&transaction, replica.as_str(), new).await?;
    if new.iter().any(|entry| entry.kind == "fleet") {
        fleets(&transaction, view).await?;
    }
    transaction.commit().await?;
    Ok(new.len() + 1 >= ENTRIES_MAX)
}

/// Refuses a chain that is not the one whose entries were brought as this replica's.
pub(crate) async fn check_own(client: &Client, view: &View, replica: &ReplicaId) -> Result<(), ShareError> {
    let (number, hash) = last(client, replica).await?;
    behind(&view.entries((number - 1).max(0), view.synced_entries()?, 1)?, number, &hash).map(|_| ())
}

/// The last entry of a replica that is there; number 0 where none is.
async fn last(client: &impl GenericClient, replica: &ReplicaId) -> Result<(i64, Vec<u8>), ShareError> {
    let last = "SELECT number, hash FROM baseload.entry WHERE replica = $1 ORDER BY number DESC LIMIT 1";
    let row = client.query_opt(last, &[&replica.as_str()]).await?;
    Ok(row.map_or((0, Vec::new()), |row| (row.get(0), row.get(1))))
}

/// The entries behind the last one that is there, which must be this chain's.
fn behind<'e>(entries: &'e [ChainEntry], number: i64, hash: &[u8]) -> Result<&'e [ChainEntry], ShareError> {
    match entries.split_first() {
        _ if number == 0 => Ok(entries),
        Some((same, new)) if same.number == number && same.hash.0.as_slice() == hash => Ok(new),
        _ => Err(ShareError::Forked { number }),
    }
}

/// Puts entries behind all that are there; the lock on their places must be held.
pub(crate) async fn insert(transaction: &Transaction<'_>, replica: &str, new: &[ChainEntry]) -> Result<(), ShareError> {
    let numbers: Vec<i64> = new.iter().map(|entry| entry.number).collect();
    let kinds: Vec<&str> = new.iter().map(|entry| entry.kind.as_str()).collect();
    let rows: Vec<Option<i64>> = new.iter().map(|entry| entry.row).collect();
    let texts: Vec<&[u8]> = new.iter().map(|entry| entry.text.as_bytes()).collect();
    let hashes: Vec<&[u8]> = new.iter().map(|entry| entry.hash.0.as_slice()).collect();
    transaction
        .execute(
            "INSERT INTO baseload.entry (replica, number, kind, row, text, hash, place)
             SELECT $1, number, kind, row, text, hash,
                 (SELECT coalesce(max(place), 0) FROM baseload.entry) + row_number() OVER (ORDER BY number)
             FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bytea[], $6::bytea[]) AS new (number, kind, row, text, hash)",
            &[&replica, &numbers, &kinds, &rows, &texts, &hashes],
        )
        .await?;
    Ok(())
}

/// Fleet files that entries name.
async fn fleets(transaction: &Transaction<'_>, view: &View) -> Result<(), ShareError> {
    for version in view.fleet_versions()? {
        let (bytes, text) = (version.0.to_vec(), view.fleet_text(version)?);
        transaction
            .execute("INSERT INTO baseload.fleet (version, text) VALUES ($1, $2) ON CONFLICT (version) DO NOTHING", &[&bytes, &text])
            .await?;
    }
    Ok(())
}
