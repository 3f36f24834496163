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

/// A row that says this when its keeper comes back was left in good order: all before its `until` is posted.
const LEFT: i64 = 0;

/// Who posts, as the database has it.
struct Row {
    replica: String,
    since: i64,
    until: i64,
    returns: i64,
}

/// Up to when others were heard to post, whatever the database says by now: put back to an earlier day it has forgotten some of it.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Who posted last, and since when.
    whose: (String, i64),
    until: i64,
}

impl Heard {
    fn note(&mut self, row: &Row) {
        let whose = (row.replica.clone(), row.since);
        let gave_back = row.returns == LEFT && whose == self.whose;
        self.until = if gave_back { row.until } else { self.until.max(row.until) };
        self.whose = whose;
    }
}

/// Asks for held time, or for more of it; nothing while another has it. `sent` is the present instant by the replica's clock, `now` by the
/// database's. The lock on leases must be held.
pub(crate) async fn keep(
    transaction: &Transaction<'_>,
    replica: &ReplicaId,
    heard: &mut Heard,
    sent: Instant,
    now: Instant,
) -> Result<Option<Kept>, ShareError> {
    let row = transaction.query_opt("SELECT replica, since, until, returns FROM baseload.keeper", &[]).await?;
    let before = row.map(|row| Row { replica: row.get(0), since: row.get(1), until: row.get(2), returns: row.get(3) });
    let of_another = before.as_ref().filter(|row| row.replica != replica.as_str());
    if let Some(row) = of_another {
        heard.note(row);
    }
    if of_another.is_some_and(|row| row.returns > now.micros()) {
        return Ok(None);
    }
    let (since, until) = before.map_or((0, 0), |row| {
        let goes_on = row.replica == replica.as_str() && row.returns != LEFT;
        (if goes_on { row.since } else { row.until }, row.until)
    });
    let since = since.max(heard.until);
    let until = until.max(since).max((sent + LEASE_HOLDS).micros().div_euclid(1_000) * 1_000);
    transaction
        .execute(
            "INSERT INTO baseload.keeper (replica, since, until, returns) VALUES ($1, $2, $3, $4) ON CONFLICT (one) DO UPDATE SET
                 replica = excluded.replica, since = excluded.since, until = excluded.until, returns = excluded.returns",
            &[&replica.as_str(), &since, &until, &(now + LEASE_HOLDS + LEASE_MARGIN).micros()],
        )
        .await?;
    Ok(Some(Kept { from: Instant::from_micros(since), until: Instant::from_micros(until) }))
}

/// Leaves held time to others from `posted` on: this replica posts no more. A process that posted none does not know what the one before it
/// did, and gives none back.
pub(crate) async fn leave(client: &Client, replica: &ReplicaId, posted: Instant) -> Result<(), ShareError> {
    let posted = (posted != Instant::MIN).then_some(posted.micros());
    let leave = "UPDATE baseload.keeper SET until = greatest(since, coalesce($2, until)), returns = $3 WHERE replica = $1";
    client.execute(leave, &[&replica.as_str(), &posted, &LEFT]).await?;
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

    /// The folder of a database, the database with its tables, and two replicas that take part.
    async fn place() -> (tempfile::TempDir, Postgres, Client, [ReplicaId; 2]) {
        let (folder, state) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let postgres = Postgres::start(folder.path()).expect("PostgreSQL is here: tools/setup postgresql");
        let address: crate::Address = postgres.address().parse().expect("an address");
        let mut client = address.connect().await.expect("it is up");
        crate::schema::migrate(&mut client).await.expect("its tables");
        let replicas = [1, 2].map(|number: u8| {
            let directory = state.path().join(number.to_string());
            std::fs::create_dir(&directory).expect("a folder");
            ReplicaId::of(&directory, [number; 8]).expect("a name")
        });
        for replica in &replicas {
            crate::replica::take_part(&client, replica).await.expect("it takes part");
        }
        (folder, postgres, client, replicas)
    }

    /// What a replica has after it asked, by its clock and by the database's.
    async fn ask(client: &mut Client, replica: &ReplicaId, heard: &mut Heard, sent: i64, now: i64) -> Option<Kept> {
        let transaction = client.transaction().await.expect("a transaction");
        let found = keep(&transaction, replica, heard, at(sent), at(now)).await.expect("it answers");
        transaction.commit().await.expect("kept");
        found
    }

    #[tokio::test]
    async fn one_posts_held_time_at_a_time_and_who_takes_over_begins_where_it_was_to_end() {
        let (_folder, _postgres, mut client, [one, two]) = place().await;
        let mut heard = [Heard::default(), Heard::default()];
        // By whom, when by its clock, when by the database's, and what it has then. The second replica's clock is a minute ahead, the database's
        // a thousand seconds behind.
        for (place, sent, now, expected) in [
            (0, 1, -999, kept(0, 11)),
            (1, 62, -998, None),
            (0, 3, -997, kept(0, 13)),
            (1, 77, -983, None),
            (1, 78, -982, kept(13, 88)),
            (0, 19, -981, None),
            (1, 80, -980, kept(13, 90)),
            (0, 45, -955, kept(90, 90)),
            (0, 95, -905, kept(90, 105)),
        ] {
            let replica = [&one, &two][place];
            assert_eq!(ask(&mut client, replica, &mut heard[place], sent, now).await, expected, "{replica} at {sent}");
        }
        leave(&client, &two, at(99)).await.expect("it is another's");
        assert_eq!(ask(&mut client, &two, &mut heard[1], 155, -904).await, None);
        leave(&client, &one, at(99)).await.expect("it leaves");
        assert_eq!(ask(&mut client, &two, &mut heard[1], 160, -904).await, kept(99, 170), "at once, and without a gap");
        leave(&client, &two, Instant::MIN).await.expect("it leaves");
        assert_eq!(ask(&mut client, &one, &mut heard[0], 161, -903).await, kept(170, 171), "what another process posted stays");
    }

    #[tokio::test]
    async fn what_was_posted_before_the_database_was_put_back_is_posted_by_nobody_else() {
        let (_folder, _postgres, mut client, [one, two]) = place().await;
        let put_back = async |client: &Client, row: Option<(&ReplicaId, Instant, Instant, i64)>| {
            client.batch_execute("DELETE FROM baseload.keeper").await.expect("it takes it");
            if let Some((replica, since, until, returns)) = row {
                let insert = "INSERT INTO baseload.keeper (replica, since, until, returns) VALUES ($1, $2, $3, $4)";
                client.execute(insert, &[&replica.as_str(), &since.micros(), &until.micros(), &returns]).await.expect("it takes it");
            }
        };
        let (mut first, mut second) = (Heard::default(), Heard::default());
        assert_eq!(ask(&mut client, &one, &mut first, 1, 1).await, kept(0, 11));
        leave(&client, &one, at(2)).await.expect("it leaves");
        let backup = Some((&one, Instant::default(), at(2), LEFT));
        // It begins again where it left, goes on for an hour, and another hears of it.
        assert_eq!(ask(&mut client, &one, &mut first, 3, 3).await, kept(2, 13));
        assert_eq!(ask(&mut client, &one, &mut first, 3_600, 3_600).await, kept(2, 3_610));
        assert_eq!(ask(&mut client, &two, &mut second, 3_600, 3_600).await, None);
        put_back(&client, backup).await;
        assert_eq!(ask(&mut client, &two, &mut second, 3_602, 3_602).await, kept(3_610, 3_612), "the other comes first");
        assert_eq!(ask(&mut client, &one, &mut first, 3_603, 3_603).await, None);
        put_back(&client, backup).await;
        assert_eq!(ask(&mut client, &one, &mut first, 3_604, 3_604).await, kept(3_612, 3_614), "who heard the other begins behind it");
        assert_eq!(ask(&mut client, &two, &mut second, 3_605, 3_605).await, None);
        put_back(&client, None).await;
        assert_eq!(
            ask(&mut client, &two, &mut second, 3_606, 3_606).await,
            kept(3_614, 3_616),
            "also where nobody is known to have posted"
        );
        put_back(&client, Some((&two, at(3_614), at(3_616), 1))).await;
        leave(&client, &two, at(3_620)).await.expect("it leaves, and has posted more than the database knows");
        assert_eq!(ask(&mut client, &one, &mut first, 3_621, 3_621).await, kept(3_620, 3_631));
    }
}
