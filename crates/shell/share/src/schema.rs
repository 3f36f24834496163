//! The tables, and the steps from each version of them to the next.

use tokio_postgres::Client;

use crate::error::ShareError;
use crate::lock::{Lock, locked};

/// Step `n` brings a database from version `n` to `n + 1`. A step that was released is never edited.
const STEPS: &[&str] = &[include_str!("schema/0001.sql"), include_str!("schema/0002.sql"), include_str!("schema/0003.sql")];

/// Brings the tables to this program's version; refuses those that are past it.
pub(crate) async fn migrate(client: &mut Client) -> Result<(), ShareError> {
    let known = i32::try_from(STEPS.len()).expect("a handful of steps");
    let transaction = locked(client, Lock::Schema).await?;
    transaction.batch_execute("CREATE SCHEMA IF NOT EXISTS baseload").await?;
    let made = "CREATE TABLE IF NOT EXISTS baseload.migration (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())";
    transaction.batch_execute(made).await?;
    let found: i32 = transaction.query_one("SELECT coalesce(max(version), 0) FROM baseload.migration", &[]).await?.get(0);
    check(found, known)?;
    for (step, version) in STEPS.iter().zip(1..).skip_while(|(_, version)| *version <= found) {
        transaction.batch_execute(step).await?;
        transaction.execute("INSERT INTO baseload.migration (version) VALUES ($1)", &[&version]).await?;
    }
    Ok(transaction.commit().await?)
}

/// Refuses to read tables of a newer program, without changing anything.
pub(crate) async fn known(client: &Client) -> Result<(), ShareError> {
    let found: i32 = client.query_one("SELECT coalesce(max(version), 0) FROM baseload.migration", &[]).await?.get(0);
    check(found, i32::try_from(STEPS.len()).expect("a handful of steps"))
}

fn check(found: i32, known: i32) -> Result<(), ShareError> {
    if found > known { Err(ShareError::Newer { found, known }) } else { Ok(()) }
}
