//! What this replica may take of what all share, renewed again and again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::pin::Pin;
use std::time::Duration;

use market::{BUDGET_LEASE, Holding, LeaseAsk, Leased, UNITS_LEASE, fair_part, lease, pace};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Transaction};
use units::Instant;

use crate::error::ShareError;
use crate::keeper::{Heard, keep, leave};
use crate::lock::{Lock, locked};
use crate::rates;
use crate::replica::ReplicaId;
use crate::used::{self, UsedTime};

/// How often leases are renewed.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// How long an account that nothing is taken of goes without being renewed.
const QUIET: Duration = Duration::from_secs(4);

/// What an account is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Money: what is taken stays taken until the period ends.
    Budget,
    /// Provisioned units, in millionths: a part is held, and shared out by how much each replica takes.
    Units,
    /// Requests or tokens a minute, in nanoseconds that a full bucket takes to fill by as much: what is taken comes back by and by.
    Rate,
}

/// An account that is shared, as it stands at this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// What it is called at every replica.
    pub account: String,
    /// When its period began.
    pub period: Instant,
    /// All that there is.
    pub limit: i64,
    /// Of units, how much all that there is handles a second; else nothing.
    pub handled: i64,
    /// What it is of.
    pub of: Of,
    /// How much was taken here, requests under way among it; of units in weighted tokens.
    pub taken: i64,
    /// Up to how much may be; of units, the part.
    pub ceiling: i64,
    /// What the dearest request needed that found too little; of a rate, what all need together that wait.
    pub need: i64,
    /// Of a rate: less than this is of no use, as the smallest request that waits, or that usually comes, needs as much.
    pub least: i64,
}

/// What a replica takes of its leases, and hears of them.
pub trait Portions: Send + Sync {
    /// Every shared account as it stands.
    fn standing(&self) -> Vec<Portion>;
    /// An answer: the lease of `portion` is moved to what is to be kept, and holds until `until`.
    fn renewed(&self, portion: &Portion, leased: Leased, until: Instant);
    /// Waits until something is needed that no lease has.
    fn wanted(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// Held time from `from` to `until` is this replica's to post, as far as it has not.
    fn kept(&self, from: Instant, until: Instant);
    /// Up to when this replica has posted held time.
    fn posted(&self) -> Instant;
    /// What this replica used of held time that another posts, since this was last asked for.
    fn used(&self) -> Vec<UsedTime>;
    /// What another used of held time that this replica posts.
    fn add_used(&self, used: UsedTime);
    /// A turn of that part went well.
    fn went_well(&self, part: Part);
}

/// What replicas do with the shared database, each on a thread of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Leases of budgets, rates and units, and who posts held time.
    Leases,
    /// Agreeing on keys and what was revoked.
    Keys,
    /// Copies of the ledger.
    Copies,
}

impl Part {
    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Leases => "leases",
            Self::Keys => "keys",
            Self::Copies => "copies",
        }
    }

    /// What it is called where it is told of.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Leases => "leases of shared budgets",
            Self::Keys => "agreeing on keys",
            Self::Copies => "copies of the ledger",
        }
    }
}

/// What is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// All that is due.
    Regular,
    /// What somebody waits for.
    Early,
}

/// What was said of an account when it was renewed last.
#[derive(Clone, Copy, Debug)]
struct Said {
    taken: i64,
    pace: i64,
    at: Instant,
}

/// The renewing of one process of a replica.
#[derive(Debug)]
pub(crate) struct Renewing {
    replica: ReplicaId,
    incarnation: i64,
    asked: i64,
    said: BTreeMap<(String, Instant), Said>,
    heard: Heard,
}

/// What an account knows of a replica: its name, what it holds, and its pace.
pub(crate) type Held = (String, Holding, i64);

/// What is known of all replicas, by account and period.
type Known = BTreeMap<(String, i64), Vec<Held>>;

/// What the account knows after an answer: whose, in which account and period.
type Noted<'a> = (&'a str, i64, Held);

impl Renewing {
    pub(crate) fn new(replica: ReplicaId, incarnation: i64) -> Self {
        Self { replica, incarnation, asked: incarnation << 32, said: BTreeMap::new(), heard: Heard::default() }
    }

    /// Renews what `turn` says. `sent` is the present instant by the clock that requests are held against.
    pub(crate) async fn renew(
        &mut self,
        client: &mut Client,
        portions: &dyn Portions,
        turn: Turn,
        sent: Instant,
    ) -> Result<(), ShareError> {
        self.asked += 1;
        let standing = portions.standing();
        let due: Vec<(Portion, LeaseAsk)> = standing.into_iter().filter_map(|portion| self.ask(portion, turn, sent)).collect();
        if turn == Turn::Early && due.is_empty() {
            // A regular turn came first.
            return Ok(());
        }
        let transaction = locked(client, Lock::Leases).await?;
        let now = self.still_this_process(&transaction).await?;
        let (mut known, mut buckets) = (known(&transaction, &due).await?, rates::buckets(&transaction, &due).await?);
        let (mut answers, mut rows) = (Vec::new(), Vec::new());
        for (portion, ask) in &due {
            let all = known.entry((portion.account.clone(), portion.period.micros())).or_default();
            let answer = match portion.of {
                Of::Rate => {
                    let bucket = buckets.entry(portion.account.clone()).or_default();
                    let settled = rates::answer(self.replica.as_str(), self.incarnation, bucket, all, (portion, ask), now);
                    settled.map(|(holding, leased, others)| {
                        rows.extend(others.into_iter().map(|held| (portion.account.as_str(), portion.period.micros(), held)));
                        (holding, leased)
                    })
                }
                Of::Budget | Of::Units => self.answer(portion, ask, all, now),
            };
            if let Some((holding, leased)) = answer {
                rows.push((&portion.account, portion.period.micros(), (self.replica.to_string(), holding, ask.pace)));
                answers.push((portion, *ask, leased));
            }
        }
        write(&transaction, &rows).await?;
        rates::write(&transaction, &buckets).await?;
        let kept = keep(&transaction, &self.replica, &mut self.heard, sent, now).await?;
        transaction.commit().await?;
        if let Some(kept) = &kept {
            portions.kept(kept.from, kept.until);
        }
        for (portion, ask, leased) in answers {
            let said = self.said.entry((portion.account.clone(), portion.period));
            // A pace is what is taken between two regular turns: what came in a moment says little of the next ten seconds.
            if turn == Turn::Regular || matches!(said, Entry::Vacant(_)) {
                said.insert_entry(Said { taken: ask.taken, pace: ask.pace, at: sent });
            }
            portions.renewed(portion, leased, sent + market::LEASE_HOLDS);
        }
        self.said.retain(|_, said| sent.since(said.at) < 4 * QUIET);
        if turn == Turn::Regular {
            used::tell(client, &portions.used()).await?;
            if kept.is_some() {
                used::take_up(client).await?.into_iter().for_each(|used| portions.add_used(used));
            }
        }
        Ok(())
    }

    /// Ends: what is held from now on is posted by another.
    pub(crate) async fn leave(&self, client: &Client, portions: &dyn Portions) -> Result<(), ShareError> {
        used::tell(client, &portions.used()).await?;
        leave(client, &self.replica, portions.posted()).await
    }

    /// The question about an account; nothing where it is quiet and was renewed of late.
    fn ask(&self, portion: Portion, turn: Turn, now: Instant) -> Option<(Portion, LeaseAsk)> {
        let said = self.said.get(&(portion.account.clone(), portion.period));
        let Portion { taken, ceiling, need, of, .. } = portion;
        let quiet = |said: &Said| said.taken == taken && said.pace == 0 && now.since(said.at) < QUIET;
        let is_due = need > 0 || turn == Turn::Regular && (of == Of::Units || !said.is_some_and(quiet));
        if !is_due {
            return None;
        }
        let pace = said.map_or(0, |said| pace(said.pace, taken - said.taken, now.since(said.at).max(EVERY)));
        Some((portion, LeaseAsk { asked: self.asked, taken, ceiling, pace, need }))
    }

    /// Notes that this replica was heard of, and gives the database's time. A database that was put back to an earlier day knows an earlier
    /// process of it, or none: only a later one takes its place.
    async fn still_this_process(&self, transaction: &Transaction<'_>) -> Result<Instant, ShareError> {
        let values: [&(dyn ToSql + Sync); 2] = [&self.replica.as_str(), &self.incarnation];
        let known = "UPDATE baseload.replica SET incarnation = $2, seen = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
            WHERE id = $1 AND incarnation <= $2 RETURNING seen";
        let mut row = transaction.query_opt(known, &values).await?;
        if row.is_none() {
            // A row that is refused for a conflict uses up a number.
            let new = "INSERT INTO baseload.replica (id, incarnation, seen)
                SELECT $1::text, $2::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
                WHERE NOT EXISTS (SELECT 1 FROM baseload.replica WHERE id = $1) ON CONFLICT DO NOTHING RETURNING seen";
            row = transaction.query_opt(new, &values).await?;
        }
        let row = row.ok_or_else(|| ShareError::Displaced { id: self.replica.to_string() })?;
        Ok(Instant::from_micros(row.get(0)))
    }

    fn answer(&self, portion: &Portion, ask: &LeaseAsk, all: &[Held], now: Instant) -> Option<(Holding, Leased)> {
        let is_own = |(replica, ..): &&Held| replica == self.replica.as_str();
        let others = all.iter().filter(|row| !is_own(row)).map(|(_, holding, _)| holding.counts(now)).fold(0, i64::saturating_add);
        let before = all.iter().find(is_own).map(|(_, holding, _)| holding);
        if portion.of == Of::Budget {
            return lease(portion.limit, BUDGET_LEASE, others, before, ask, now);
        }
        let holders = all.iter().filter(|row| !is_own(row) && !row.1.lapsed(now));
        let holders: Vec<_> = holders.map(|(_, holding, pace)| (*pace, holding.granted)).collect();
        // A part is not used up: nothing is taken of it, and no pace makes it larger.
        let need = fair_part(portion.handled, (ask.pace, ask.ceiling), &holders);
        lease(portion.limit, UNITS_LEASE, others, before, &LeaseAsk { taken: 0, pace: 0, need, ..*ask }, now)
    }
}

/// Keeps what the accounts know.
async fn write(transaction: &Transaction<'_>, rows: &[Noted<'_>]) -> Result<(), ShareError> {
    if rows.is_empty() {
        return Ok(());
    }
    let accounts: Vec<&str> = rows.iter().map(|(account, ..)| *account).collect();
    let replicas: Vec<&str> = rows.iter().map(|(.., (replica, ..))| replica.as_str()).collect();
    let column = |value: fn(&Noted<'_>) -> i64| rows.iter().map(value).collect::<Vec<i64>>();
    transaction
        .execute(
            "INSERT INTO baseload.lease (account, period, replica, granted, taken, pace, asked, returns)
             SELECT account, period, replica, granted, taken, pace, asked, returns
             FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
                 AS row (account, period, replica, granted, taken, pace, asked, returns)
             ON CONFLICT (account, period, replica) DO UPDATE SET granted = excluded.granted, taken = excluded.taken,
                 pace = excluded.pace, asked = excluded.asked, returns = excluded.returns",
            &[
                &accounts,
                &column(|(_, period, _)| *period),
                &replicas,
                &column(|(.., (_, holding, _))| holding.granted),
                &column(|(.., (_, holding, _))| holding.taken),
                &column(|(.., (.., pace))| *pace),
                &column(|(.., (_, holding, _))| holding.asked),
                &column(|(.., (_, holding, _))| holding.returns.micros()),
            ],
        )
        .await?;
    Ok(())
}

/// What all replicas hold of the accounts that are asked about.
async fn known(transaction: &Transaction<'_>, due: &[(Portion, LeaseAsk)]) -> Result<Known, ShareError> {
    let accounts: Vec<&str> = due.iter().map(|(portion, _)| portion.account.as_str()).collect();
    let periods: Vec<i64> = due.iter().map(|(portion, _)| portion.period.micros()).collect();
    let rows = transaction
        .query(
            "SELECT account, period, replica, granted, taken, asked, returns, pace FROM baseload.lease
             WHERE (account, period) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))",
            &[&accounts, &periods],
        )
        .await?;
    let mut known = Known::new();
    for row in rows {
        known.entry((row.get(0), row.get(1))).or_default().push((row.get(2), holding(&row), row.get(7)));
    }
    Ok(known)
}

/// How long the leases of a period stay after they have come back, where a later period of their account has begun: longer than a request
/// of the old one can take to end.
const GONE: Duration = Duration::from_secs(2 * 24 * 3_600);

/// Forgets leases of periods that are over, which nobody asks for again: so many at once that nobody waits long for one of them.
pub(crate) async fn forget_past(client: &Client) -> Result<u64, ShareError> {
    let gone = i64::try_from(GONE.as_micros()).unwrap_or(i64::MAX);
    let past = "DELETE FROM baseload.lease WHERE (account, period, replica) IN (
            SELECT account, period, replica FROM baseload.lease AS old
            WHERE returns < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1
                AND EXISTS (SELECT FROM baseload.lease AS later WHERE later.account = old.account AND later.period > old.period)
            LIMIT 10000)";
    Ok(client.execute(past, &[&gone]).await?)
}

fn holding(row: &Row) -> Holding {
    Holding { granted: row.get(3), taken: row.get(4), asked: row.get(5), returns: Instant::from_micros(row.get(6)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::sync::Notify;

    /// Nothing is leased, and nobody waits.
    #[derive(Default)]
    struct Nothing(Notify);

    impl Portions for Nothing {
        fn standing(&self) -> Vec<Portion> {
            Vec::new()
        }

        fn renewed(&self, _: &Portion, _: Leased, _: Instant) {}

        fn wanted(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(self.0.notified())
        }

        fn kept(&self, _: Instant, _: Instant) {}

        fn posted(&self) -> Instant {
            Instant::MIN
        }

        fn used(&self) -> Vec<UsedTime> {
            Vec::new()
        }

        fn add_used(&self, _: UsedTime) {}

        fn went_well(&self, _: Part) {}
    }

    #[tokio::test]
    async fn leases_of_periods_long_past_are_forgotten_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let postgres = testkit::Postgres::start(folder.path()).expect("PostgreSQL is here: tools/setup postgresql");
        let address: crate::Address = postgres.address().parse().expect("an address");
        let mut client = address.connect().await.expect("it is up");
        crate::schema::migrate(&mut client).await.expect("its tables");
        let rows = "INSERT INTO baseload.lease (account, period, replica, granted, taken, pace, asked, returns)
            SELECT account, period, 'all', 0, 0, 0, 0, (extract(epoch FROM clock_timestamp() - ago::interval) * 1000000)::bigint
            FROM (VALUES ('key', 1, '3 days'), ('key', 2, '1 day'), ('key', 3, '0 days'), ('team', 2, '900 days'), ('units', 0, '900 days'))
                AS row (account, period, ago)";
        client.batch_execute(rows).await.expect("it takes it");
        for gone in [1, 0] {
            assert_eq!(forget_past(&client).await.expect("it takes it"), gone);
            let left = client.query("SELECT account || period FROM baseload.lease ORDER BY 1", &[]).await.expect("it answers");
            let left: Vec<String> = left.iter().map(|row| row.get(0)).collect();
            assert_eq!(left, ["key2", "key3", "team2", "units0"]);
        }
    }

    #[tokio::test]
    async fn a_replica_goes_on_with_a_database_that_was_put_back_and_ends_only_for_a_later_process() {
        let (folder, state) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let postgres = testkit::Postgres::start(folder.path()).expect("PostgreSQL is here: tools/setup postgresql");
        let address: crate::Address = postgres.address().parse().expect("an address");
        let mut client = address.connect().await.expect("it is up");
        crate::schema::migrate(&mut client).await.expect("its tables");
        let replica = ReplicaId::of(state.path(), [1; 8]).expect("a name");
        crate::replica::take_part(&client, &replica).await.expect("it takes part");
        let incarnation = crate::replica::take_part(&client, &replica).await.expect("it takes part again");
        let mut renewing = Renewing::new(replica, incarnation);
        let known = "SELECT coalesce(sum(incarnation), 0)::bigint, coalesce(max(number), 0) FROM baseload.replica WHERE id <> 'all'";
        for (change, goes_on) in [
            ("SELECT", true),
            ("UPDATE baseload.replica SET incarnation = 1 WHERE id <> 'all'", true),
            ("DELETE FROM baseload.keeper; DELETE FROM baseload.replica WHERE id <> 'all'", true),
            ("UPDATE baseload.replica SET incarnation = 3 WHERE id <> 'all'", false),
        ] {
            client.batch_execute(change).await.expect("it takes it");
            let renewed = renewing.renew(&mut client, &Nothing::default(), Turn::Regular, Instant::default()).await;
            assert_eq!(renewed.is_ok(), goes_on, "{change}: {renewed:?}");
            assert!(goes_on || matches!(renewed, Err(ShareError::Displaced { .. })), "{renewed:?}");
            let row = client.query_one(known, &[]).await.expect("it answers");
            assert_eq!(row.get::<_, i64>(0), if goes_on { incarnation } else { 3 }, "{change}");
            // Each number that is used up moves all rows of a replica: there are not many of them.
            assert!(row.get::<_, i64>(1) < 5, "{change}");
        }
    }
}
