//! The entries of all replicas, brought back to each: prices are made from the books of all, and a period is closed once for all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleet::{Fleet, FleetVersion};
use ledger::{ChainEntry, Copied, Hash, Invoice, PassedOver, Reconciliation, Verification, View, Whole};
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
/// How long an invoice may be booked while others wait to copy and close.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(300);
/// So many of its entries are put there at once.
const IMPORTED_AT_ONCE: usize = 2_000;

/// Forgets what was fetched of another database, or of this one before it was put back to an earlier day: places say nothing there.
pub(crate) async fn recognise(client: &impl GenericClient, whole: &mut Whole) -> Result<(), ShareError> {
    let known = whole.fetched()?;
    let last = "SELECT origin.name, replica.number, entry.number, entry.hash
        FROM baseload.origin LEFT JOIN (baseload.entry JOIN baseload.replica ON replica.id = entry.replica) ON entry.place = $1";
    let row = within(TIMEOUT, async { Ok(client.query_one(last, &[&known.place]).await?) }).await?;
    let origin: String = row.get(0);
    let there = (row.get::<_, Option<i64>>(1), row.get::<_, Option<i64>>(2), row.get::<_, Option<Vec<u8>>>(3));
    let here = (Some(known.replica), Some(known.number), Some(known.hash.0.to_vec()));
    if origin != known.origin || known.place > 0 && there != here {
        whole.begin_anew(&origin)?;
    }
    Ok(())
}

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
            "SELECT replica.number, entry.place, entry.number, entry.kind, entry.row, entry.text, entry.hash, entry.replica
             FROM baseload.entry JOIN baseload.replica ON replica.id = entry.replica
             WHERE entry.place > $1 ORDER BY entry.place LIMIT $2",
            &[&whole.place()?, &PAGE],
        )
        .await?;
    let mut entries: Vec<Copied> = rows.iter().map(copied).collect();
    let named: Vec<(usize, &str, i64)> = rows
        .iter()
        .zip(&entries)
        .enumerate()
        .filter_map(|(at, (row, copied))| {
            // The fourth word of an attempt is what its replica calls the key.
            let number = copied.entry.text.split('\t').nth(3).filter(|_| copied.entry.kind == "attempt")?;
            Some((at, row.get(7), number.parse().ok()?))
        })
        .collect();
    for (at, public) in publics(client, &named).await? {
        entries[at].key = Some(public);
    }
    if entries.iter().any(|copied| copied.entry.kind == "fleet") {
        for row in client.query("SELECT version, text FROM baseload.fleet", &[]).await? {
            let version: Vec<u8> = row.get(0);
            let version = version.try_into().map_err(|_| ShareError::Unreadable { what: "a fleet version".to_owned() })?;
            whole.keep_fleet(FleetVersion(version), row.get(1))?;
        }
    }
    Ok(entries)
}

/// The public parts of keys, by where they are asked for: the number by which a replica calls each.
async fn publics(client: &impl GenericClient, named: &[(usize, &str, i64)]) -> Result<Vec<(usize, String)>, ShareError> {
    let replicas: Vec<&str> = named.iter().map(|(_, replica, _)| *replica).collect();
    let numbers: Vec<i64> = named.iter().map(|(.., number)| *number).collect();
    let find = "SELECT asked.at, api_key_number.public FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS asked (replica, number, at)
        JOIN baseload.api_key_number ON (api_key_number.replica, api_key_number.number) = (asked.replica, asked.number)";
    let rows = client.query(find, &[&replicas, &numbers]).await?;
    let found = rows.iter().filter_map(|row| {
        let (at, ..) = named.get(usize::try_from(row.get::<_, i64>(0) - 1).ok()?)?;
        Some((*at, row.get(1)))
    });
    Ok(found.collect())
}

/// An entry as it is there. What is not what a replica writes is passed over by who adds it, and `ledger verify --share` finds it.
fn copied(row: &Row) -> Copied {
    let text = String::from_utf8_lossy(row.get(5)).into_owned();
    let hash = Hash(row.get::<_, &[u8]>(6).try_into().unwrap_or_default());
    let entry = ChainEntry { number: row.get(2), kind: row.get(3), row: row.get(4), text, hash };
    Copied { replica: row.get(0), place: row.get(1), key: None, entry }
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

/// Puts the ledger of all replicas together in a folder, changing nothing in the database; what can't be added is passed over.
///
/// # Errors
/// When the database can't be reached, refused or is newer than this program, or the folder can't be used.
pub async fn gather(address: &Address, folder: &Path) -> Result<(), ShareError> {
    fetch_all(address, &mut Whole::open(folder)?).await
}

/// The same, with what was passed over and what is wrong: each closing is computed again by what came before it.
///
/// # Errors
/// When the database can't be reached, refused or is newer than this program, or the folder can't be used.
pub async fn verify(address: &Address, folder: &Path) -> Result<(Vec<PassedOver>, Verification), ShareError> {
    let mut whole = Whole::open(folder)?.checking();
    fetch_all(address, &mut whole).await?;
    Ok((whole.passed_over()?, whole.verify()?))
}

async fn fetch_all(address: &Address, whole: &mut Whole) -> Result<(), ShareError> {
    let client = address.connect().await?;
    schema::known(&client).await?;
    fetch(&client, whole).await?;
    Ok(())
}

/// Imports an invoice, once for all replicas; the ledger of all is put together in a folder for it.
///
/// # Errors
/// When it was imported before, the database can't be reached, refused or is newer than this program, or the folder can't be used.
pub async fn import(address: &Address, folder: &Path, invoice: &Invoice<'_>, now: Instant) -> Result<Reconciliation, ShareError> {
    let mut client = address.connect().await?;
    schema::known(&client).await?;
    let mut whole = Whole::open(folder)?;
    fetch(&client, &mut whole).await?;
    let fleet = View::open(folder)?.fleet()?;
    let reckoned = whole.reckon(&fleet, invoice, now)?;
    let transaction = locked(&mut client, Lock::Entries).await?;
    // What came since may belong to it, or clear the same.
    fetch(&transaction, &mut whole).await?;
    // It may clear many attempts, and nothing is said to the database meanwhile.
    let patience = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)";
    transaction.execute(patience, &[&IMPORT_TIMEOUT.as_millis().to_string()]).await?;
    let (found, entries) = whole.import(reckoned, invoice, now)?;
    transaction.execute(patience, &[&Lock::Entries.silent().as_millis().to_string()]).await?;
    for slice in entries.chunks(IMPORTED_AT_ONCE) {
        within(TIMEOUT, insert(&transaction, ALL, slice)).await?;
    }
    within(TIMEOUT, async { Ok(transaction.commit().await?) }).await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    use testkit::Postgres;
    use tokio_postgres::Client;

    /// Adds entries of a replica behind all that are there: each says that something was said twice of a request.
    async fn put(client: &mut Client, replica: &str, requests: &[u8]) {
        let transaction = client.transaction().await.expect("a transaction");
        let known = "INSERT INTO baseload.replica (id, incarnation, seen) VALUES ($1, 1, 0) ON CONFLICT DO NOTHING";
        transaction.execute(known, &[&replica]).await.expect("it takes part");
        let count = "SELECT count(*) FROM baseload.entry WHERE replica = $1";
        let mut number: i64 = transaction.query_one(count, &[&replica]).await.expect("it answers").get(0);
        let mut hash = Hash::default();
        let mut entries = Vec::new();
        for request in requests {
            number += 1;
            let text = format!("conflict\t\\x{request:032x}\t1\t\\x00\n");
            hash = hash.then(&text);
            entries.push(ChainEntry { number, kind: "conflict".to_owned(), row: Some(number), text, hash });
        }
        insert(&transaction, replica, &entries).await.expect("added");
        transaction.commit().await.expect("committed");
    }

    /// The requests of all entries, in order, once what is not there yet has been fetched.
    async fn fetched(client: &Client, whole: &mut Whole, folder: &Path) -> Vec<u128> {
        recognise(client, whole).await.expect("it answers");
        fetch(client, whole).await.expect("fetched");
        let conflicts = View::open(folder).expect("a ledger").conflicts().expect("read");
        let mut requests: Vec<u128> = conflicts.iter().map(|attempt| attempt.request.0).collect();
        requests.sort_unstable();
        requests
    }

    #[tokio::test]
    async fn what_was_fetched_from_elsewhere_is_thrown_away() {
        let (database, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let postgres = Postgres::start(database.path()).expect("PostgreSQL is here: tools/setup postgresql");
        let address: Address = postgres.address().parse().expect("an address");
        let mut client = address.connect().await.expect("it is up");
        crate::schema::migrate(&mut client).await.expect("its tables");
        let mut whole = Whole::open(folder.path()).expect("a folder");
        let back_to = async |client: &Client, place: i64| {
            client.batch_execute("ALTER TABLE baseload.entry DISABLE TRIGGER ALL").await.expect("it takes it");
            client.execute("DELETE FROM baseload.entry WHERE place > $1", &[&place]).await.expect("it takes it");
            client.batch_execute("ALTER TABLE baseload.entry ENABLE TRIGGER ALL").await.expect("it takes it");
        };
        put(&mut client, "one", &[1, 2]).await;
        put(&mut client, "two", &[3]).await;
        assert_eq!(fetched(&client, &mut whole, folder.path()).await, [1, 2, 3]);
        drop(whole);
        let mut whole = Whole::open(folder.path()).expect("a folder");
        put(&mut client, "one", &[4]).await;
        let kept = whole.place().expect("a place");
        assert_eq!((kept, fetched(&client, &mut whole, folder.path()).await), (3, vec![1, 2, 3, 4]), "it goes on from there");

        back_to(&client, 2).await;
        assert_eq!(fetched(&client, &mut whole, folder.path()).await, [1, 2], "an earlier day");
        put(&mut client, "two", &[3]).await;
        assert_eq!(fetched(&client, &mut whole, folder.path()).await, [1, 2, 3]);
        back_to(&client, 1).await;
        put(&mut client, "one", &[5]).await;
        put(&mut client, "two", &[6]).await;
        put(&mut client, "one", &[7]).await;
        assert_eq!(fetched(&client, &mut whole, folder.path()).await, [1, 5, 6, 7], "and on from there otherwise");

        back_to(&client, 0).await;
        client.batch_execute("UPDATE baseload.origin SET name = 'another'").await.expect("it takes it");
        put(&mut client, "one", &[8]).await;
        assert_eq!(fetched(&client, &mut whole, folder.path()).await, [8], "another database");
    }
}
