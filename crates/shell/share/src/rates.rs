//! Requests and tokens a minute: leases of buckets that fill while they are taken of.

use std::collections::BTreeMap;

use market::{Holding, LeaseAsk, Leased, RateBucket};
use tokio_postgres::Transaction;
use units::Instant;

use crate::error::ShareError;
use crate::leases::{Held, Of, Portion};

/// The bucket of every rate that is asked about.
pub(crate) type Buckets = BTreeMap<String, RateBucket>;

/// The buckets of the rates that are asked about, as far as there are any yet.
pub(crate) async fn buckets(transaction: &Transaction<'_>, due: &[(Portion, LeaseAsk)]) -> Result<Buckets, ShareError> {
    let rates = due.iter().filter(|(portion, _)| portion.of == Of::Rate);
    let accounts: Vec<&str> = rates.map(|(portion, _)| portion.account.as_str()).collect();
    if accounts.is_empty() {
        return Ok(Buckets::new());
    }
    let select = "SELECT account, full_at, short_until FROM baseload.rate WHERE account = ANY($1)";
    let rows = transaction.query(select, &[&accounts]).await?;
    let bucket = |row: &tokio_postgres::Row| {
        let bucket = RateBucket { full_at: row.get(1), short_until: Instant::from_micros(row.get(2)) };
        (row.get(0), bucket)
    };
    Ok(rows.iter().map(bucket).collect())
}

/// Answers one question: what is known of the replica from now on, what it is told, and whoever else's lease has come back unsaid.
pub(crate) fn answer(
    replica: &str,
    incarnation: i64,
    bucket: &mut RateBucket,
    all: &mut [Held],
    (portion, ask): (&Portion, &LeaseAsk),
    now: Instant,
) -> Option<(Holding, Leased, Vec<Held>)> {
    let mut before = all.iter().find(|(of, ..)| of == replica).map(|(_, holding, _)| *holding);
    // Questions of one process have its number in front.
    if let Some(before) = before.as_mut().filter(|before| before.asked >> 32 != incarnation) {
        bucket.settle_for_good(before, now);
    }
    let (others, mut holdings): (Vec<&Held>, Vec<Holding>) = all.iter().filter(|(of, ..)| of != replica).map(|held| (held, held.1)).unzip();
    let (holding, leased) = bucket.lease(&mut holdings, before, ask, portion.least, now)?;
    let changed = others.into_iter().zip(holdings).filter(|(held, holding)| held.1 != *holding);
    Some((holding, leased, changed.map(|(held, holding)| (held.0.clone(), holding, held.2)).collect()))
}

/// Keeps the buckets as they are after all answers.
pub(crate) async fn write(transaction: &Transaction<'_>, buckets: &Buckets) -> Result<(), ShareError> {
    if buckets.is_empty() {
        return Ok(());
    }
    let accounts: Vec<&str> = buckets.keys().map(String::as_str).collect();
    let column = |value: fn(&RateBucket) -> i64| buckets.values().map(value).collect::<Vec<i64>>();
    transaction
        .execute(
            "INSERT INTO baseload.rate (account, full_at, short_until) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
             ON CONFLICT (account) DO UPDATE SET full_at = excluded.full_at, short_until = excluded.short_until",
            &[&accounts, &column(|bucket| bucket.full_at), &column(|bucket| bucket.short_until.micros())],
        )
        .await?;
    Ok(())
}
