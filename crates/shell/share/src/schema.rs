//! The tables, and the steps from each version of them to the next.

use tokio_postgres::{Client, GenericClient};

use crate::error::ShareError;
use crate::lock::{Lock, locked};

/// Step `n` brings a database from version `n` to `n + 1`. A step that was released is never edited.
const STEPS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
];

/// Brings the tables to this program's version; refuses those that are past it.
pub(crate) async fn migrate(client: &mut Client) -> Result<(), ShareError> {
    let known = i32::try_from(STEPS.len()).expect("a handful of steps");
    // Who may make no tables may use those that are there.
    let is_there = client.query_one("SELECT to_regclass('baseload.migration') IS NOT NULL", &[]).await?.get(0);
    if is_there && version(client).await? == known {
        return Ok(());
    }
    let transaction = locked(client, Lock::Schema).await?;
    transaction.batch_execute("CREATE SCHEMA IF NOT EXISTS baseload").await?;
    let made = "CREATE TABLE IF NOT EXISTS baseload.migration (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())";
    transaction.batch_execute(made).await?;
    let found = version(&transaction).await?;
    check(found, known)?;
    for (step, version) in STEPS.iter().zip(1..).skip_while(|(_, version)| *version <= found) {
        transaction.batch_execute(step).await?;
        transaction.execute("INSERT INTO baseload.migration (version) VALUES ($1)", &[&version]).await?;
    }
    Ok(transaction.commit().await?)
}

/// Refuses to read tables of a newer program, without changing anything.
pub(crate) async fn known(client: &Client) -> Result<(), ShareError> {
    check(version(client).await?, i32::try_from(STEPS.len()).expect("a handful of steps"))
}

async fn version(client: &impl GenericClient) -> Result<i32, ShareError> {
    Ok(client.query_one("SELECT coalesce(max(version), 0) FROM baseload.migration", &[]).await?.get(0))
}

fn check(found: i32, known: i32) -> Result<(), ShareError> {
    if found > known { Err(ShareError::Newer { found, known }) } else { Ok(()) }
}
