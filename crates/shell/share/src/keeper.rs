//! Who posts held time: what several replicas hold together is paid once, so one of them posts it at a time.
//!
//! The one that does says up to when, ahead of time; who takes over begins there. Instants are those of whoever said them: no two replicas
//! need the same clock for their spans not to overlap.

use market::{LEASE_HOLDS, LEASE_MARGIN};
use tokio_postgres::{Client, Transaction};
use units::Instant;

use crate::error::ShareError;
use crate::replica::ReplicaId;

/// Held time that is one replica's to post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// What comes before was posted by others.
    pub from: Instant,
    /// Up to when nobody else posts any.
    pub until: Instant,
}

/// Asks for held time, or for more of it; nothing while another has it. `sent` is the present instant by the replica's clock, `now` by the
/// database's. The lock on leases must be held.
pub(crate) async fn keep(
    transaction: &Transaction<'_>,
    replica: &ReplicaId,
    sent: Instant,
    now: Instant,
) -> Result<Option<Kept>, ShareError> {
    let until = Instant::from_micros((sent + LEASE_HOLDS).micros().div_euclid(1_000) * 1_000);
    let row = transaction
        .query_opt(
            "INSERT INTO baseload.keeper AS kept (replica, since, until, returns) VALUES ($1, 0, $2, $3)
             ON CONFLICT (one) DO UPDATE SET replica = excluded.replica, returns = excluded.returns,
                 since = CASE kept.replica WHEN excluded.replica THEN kept.since ELSE kept.until END,
                 until = greatest(kept.until, excluded.until)
             WHERE kept.replica = excluded.replica OR kept.returns <= $4 RETURNING since, until",
            &[&replica.as_str(), &until.micros(), &(now + LEASE_HOLDS + LEASE_MARGIN).micros(), &now.micros()],
        )
        .await?;
    Ok(row.map(|row| Kept { from: Instant::from_micros(row.get(0)), until: Instant::from_micros(row.get(1)) }))
}

/// Leaves held time to others from `posted` on: this replica posts no more. A process that posted none does not know what the one before it
/// did, and gives none back.
pub(crate) async fn leave(client: &Client, replica: &ReplicaId, posted: Instant) -> Result<(), ShareError> {
    let posted = if posted == Instant::MIN { Instant::MAX } else { posted };
    let leave = "UPDATE baseload.keeper SET until = greatest(since, least(until, $2)), returns = 0 WHERE replica = $1";
    client.execute(leave, &[&replica.as_str(), &posted.micros()]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use testkit::Postgres;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(1_800_000_000_000_000 + seconds * 1_000_000)
    }

    fn kept(from: i64, until: i64) -> Option<Kept> {
        Some(Kept { from: if from == 0 { Instant::from_micros(0) } else { at(from) }, until: at(until) })
    }

    #[tokio::test]
    async fn one_posts_held_time_at_a_time_and_who_takes_over_begins_where_it_was_to_end() {
        let (folder, state) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let postgres = Postgres::start(folder.path()).expect("PostgreSQL is here: tools/setup postgresql");
        let address: crate::Address = postgres.address().parse().expect("an address");
        let mut client = address.connect().await.expect("it is up");
        crate::schema::migrate(&mut client).await.expect("its tables");
        let [one, two] = ["one", "two"].map(|name| {
            let directory = state.path().join(name);
            std::fs::create_dir(&directory).expect("a folder");
            ReplicaId::of(&directory, if name == "one" { [1; 8] } else { [2; 8] }).expect("a name")
        });
        for replica in [&one, &two] {
            crate::replica::take_part(&client, replica).await.expect("it takes part");
        }
        // By whom, when by its clock, when by the database's, and what it has then. The second replica's clock is a minute ahead, the database's
        // a thousand seconds behind.
        for (replica, sent, now, expected) in [
            (&one, 1, -999, kept(0, 11)),
            (&two, 62, -998, None),
            (&one, 3, -997, kept(0, 13)),
            (&two, 77, -983, None),
            (&two, 78, -982, kept(13, 88)),
            (&one, 19, -981, None),
            (&two, 80, -980, kept(13, 90)),
            (&one, 45, -955, kept(90, 90)),
            (&one, 95, -905, kept(90, 105)),
        ] {
            let transaction = client.transaction().await.expect("a transaction");
            let found = keep(&transaction, replica, at(sent), at(now)).await.expect("it answers");
            transaction.commit().await.expect("kept");
            assert_eq!(found, expected, "{replica} at {sent}");
        }
        leave(&client, &two, at(99)).await.expect("it is another's");
        leave(&client, &one, at(99)).await.expect("it leaves");
        let transaction = client.transaction().await.expect("a transaction");
        assert_eq!(keep(&transaction, &two, at(160), at(-904)).await.expect("it answers"), kept(99, 170), "at once, and without a gap");
        transaction.commit().await.expect("kept");
        leave(&client, &two, Instant::MIN).await.expect("it leaves");
        let transaction = client.transaction().await.expect("a transaction");
        assert_eq!(
            keep(&transaction, &one, at(161), at(-903)).await.expect("it answers"),
            kept(170, 171),
            "what another process posted stays"
        );
    }
}
