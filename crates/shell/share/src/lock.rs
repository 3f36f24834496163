//! Transactions that only one replica has at a time, and that no replica has for long: one that is cut off in the middle loses it.

use std::time::Duration;

use market::LEASE_QUESTION;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::error::ShareError;
use crate::link::within;

/// Locks of this program in the database, by what they keep from happening twice at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lock {
    /// Bringing the tables forward.
    Schema,
    /// Granting leases.
    Leases,
    /// Agreeing on keys.
    Keys,
    /// Giving entries their places.
    Entries,
}

impl Lock {
    /// Its key among the database's advisory locks: "base" and a number.
    const fn key(self) -> i64 {
        0x6261_7365_0000_0000 + self as i64
    }

    /// How long to wait for it. The database gives up then too, so that nobody stands in line for one who has left.
    pub(crate) const fn waits(self) -> Duration {
        Duration::from_secs(match self {
            Self::Schema => 60,
            // With the second below: nothing is kept of a question that takes longer than one may.
            Self::Leases => LEASE_QUESTION.as_secs() - 1,
            Self::Keys => 5,
            Self::Entries => 30,
        })
    }

    /// How long the database keeps it for one that says nothing: more than goes by between two statements, and less than anybody waits.
    pub(crate) const fn silent(self) -> Duration {
        Duration::from_secs(match self {
            Self::Leases => 1,
            Self::Keys => 2,
            Self::Schema | Self::Entries => 10,
        })
    }
}

/// Begins a transaction that has `lock` until it ends. The limits are the transaction's own: poolers hand sessions on.
pub(crate) async fn locked(client: &mut Client, lock: Lock) -> Result<Transaction<'_>, ShareError> {
    within(lock.waits(), async {
        // What others did before they gave up the lock must be seen, whatever the database takes for granted.
        let transaction = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await?;
        let limits = "SELECT set_config('idle_in_transaction_session_timeout', $1, true), set_config('lock_timeout', $2, true)";
        let millis = |time: Duration| time.as_millis().to_string();
        transaction.execute(limits, &[&millis(lock.silent()), &millis(lock.waits())]).await?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&lock.key()]).await?;
        Ok(transaction)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    use testkit::Postgres;

    #[tokio::test]
    async fn who_falls_silent_with_a_lock_loses_it_and_who_waits_gets_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let postgres = Postgres::start(folder.path()).expect("PostgreSQL is here: tools/setup postgresql");
        let address: crate::Address = postgres.address().parse().expect("an address");
        let (mut one, mut two) = (address.connect().await.expect("it is up"), address.connect().await.expect("it is up"));

        let silent = locked(&mut one, Lock::Leases).await.expect("nobody has it");
        locked(&mut two, Lock::Leases).await.expect("it comes free in time").commit().await.expect("it goes on");
        assert!(silent.execute("SELECT 1", &[]).await.is_err(), "what was begun is undone");

        for lock in [Lock::Schema, Lock::Leases, Lock::Keys, Lock::Entries] {
            assert!(lock.silent() < lock.waits(), "{lock:?}");
            let transaction = locked(&mut two, lock).await.expect("nobody has it");
            let shown = "SELECT current_setting('idle_in_transaction_session_timeout')::interval = $1::text::interval, \
                         current_setting('lock_timeout')::interval = $2::text::interval";
            let stated = |time: Duration| format!("{} s", time.as_secs());
            let row = transaction.query_one(shown, &[&stated(lock.silent()), &stated(lock.waits())]).await.expect("it answers");
            assert!(row.get::<_, bool>(0) && row.get::<_, bool>(1), "{lock:?}");
        }
    }
}
