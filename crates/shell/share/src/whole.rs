//! The entries of all replicas, brought back to each: prices are made from the books of all, and a period is closed once for all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleet::{Fleet, FleetVersion};
use ledger::{ChainEntry, Copied, Hash, Whole};
use tokio_postgres::{GenericClient, Row};
use units::Instant;

use crate::copies::insert;
use crate::error::ShareError;
use crate::link::{Address, within};
use crate::lock::{Lock, locked};
use crate::read::ALL;
use crate::schema;

/// How many entries are fetched at once.
const PAGE: i64 = 2_000;
/// How long fetching a page, or closing, may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Fetches the entries that are not in `whole` yet, and says whether there were any.
pub(crate) async fn fetch(client: &impl GenericClient, whole: &mut Whole) -> Result<bool, ShareError> {
    let mut any = false;
    loop {
        let entries = within(TIMEOUT, page(client, whole)).await?;
        if entries.is_empty() {
            return Ok(any);
        }
        any = true;
        whole.add(&entries)?;
    }
}

async fn page(client: &impl GenericClient, whole: &Whole) -> Result<Vec<Copied>, ShareError> {
    let rows = client
        .query(
            "SELECT replica.number, entry.place, entry.number, entry.kind, entry.row, entry.text, entry.hash, api_key_number.public
             FROM baseload.entry JOIN baseload.replica ON replica.id = entry.replica
             LEFT JOIN baseload.api_key_number ON api_key_number.replica = entry.replica AND api_key_number.number =
                 CASE entry.kind WHEN 'attempt' THEN split_part(convert_from(entry.text, 'UTF8'), E'\\t', 4)::bigint END
             WHERE entry.place > $1 ORDER BY entry.place LIMIT $2",
            &[&whole.place()?, &PAGE],
        )
        .await?;
    let entries = rows.iter().map(copied).collect::<Result<Vec<Copied>, _>>()?;
    if entries.iter().any(|copied| copied.entry.kind == "fleet") {
        for row in client.query("SELECT version, text FROM baseload.fleet", &[]).await? {
            let version: Vec<u8> = row.get(0);
            let version = version.try_into().map_err(|_| ShareError::Unreadable { what: "a fleet version".to_owned() })?;
            whole.keep_fleet(FleetVersion(version), row.get(1))?;
        }
    }
    Ok(entries)
}

fn copied(row: &Row) -> Result<Copied, ShareError> {
    let (number, kind): (i64, String) = (row.get(2), row.get(3));
    let unreadable = || ShareError::Unreadable { what: format!("entry {number}") };
    let text = String::from_utf8(row.get(5)).map_err(|_| unreadable())?;
    let hash = Hash(row.get::<_, Vec<u8>>(6).try_into().map_err(|_| unreadable())?);
    Ok(Copied { replica: row.get(0), place: row.get(1), key: row.get(7), entry: ChainEntry { number, kind, row: row.get(4), text, hash } })
}

/// Closes what `now` allows, once for all replicas, by the entries of all that have come here.
pub(crate) async fn close(
    client: &mut tokio_postgres::Client,
    whole: &mut Whole,
    fleet: &Arc<Fleet>,
    now: Instant,
) -> Result<(), ShareError> {
    // Most of the time there is nothing to close, and nobody is held up to find that out.
    while !whole.closing(fleet, now)?.is_empty() {
        let transaction = locked(client, Lock::Entries).await?;
        // What came since may have closed it, or belong to it.
        fetch(&transaction, whole).await?;
        let entries = whole.closing(fleet, now)?;
        within(TIMEOUT, insert(&transaction, ALL, &entries)).await?;
        within(TIMEOUT, async { Ok(transaction.commit().await?) }).await?;
        fetch(client, whole).await?;
    }
    Ok(())
}

/// Puts the ledger of all replicas together in a folder, changing nothing in the database.
///
/// # Errors
/// When the database can't be reached, refused or is newer than this program, or the folder can't be used.
pub async fn gather(address: &Address, folder: &Path) -> Result<(), ShareError> {
    let client = address.connect().await?;
    schema::known(&client).await?;
    let mut whole = Whole::open(folder)?;
    fetch(&client, &mut whole).await.map(|_| ())
}
