//! Keys, made known everywhere: what was made, rotated or revoked at one replica is so at all.

use std::collections::BTreeMap;

use dispatch::KeyId;
use fleet::{Allowance, PerMinute};
use ledger::{KeyRow, Keys, Previous, Scope, Scopes};
use tokio_postgres::{Client, Row, Transaction};
use units::Instant;

use crate::error::ShareError;
use crate::link::within;
use crate::lock::{Lock, locked};
use crate::replica::ReplicaId;

/// The keys of this replica and of all, as they were when they were last the same.
#[derive(Debug, Default)]
pub(crate) struct Agreed {
    rows: BTreeMap<String, KeyRow>,
    /// The last change that was seen.
    change: Option<i64>,
}

impl Agreed {
    /// Looks at all keys again: over a new connection there may be another database, or this one as it was on an earlier day.
    pub(crate) fn look_again(&mut self) {
        self.change = None;
    }

    /// Makes both sides the same.
    pub(crate) async fn agree(&mut self, client: &mut Client, keys: &Keys, replica: &ReplicaId) -> Result<(), ShareError> {
        within(Lock::Keys.waits(), self.look(client, keys, replica)).await
    }

    async fn look(&mut self, client: &mut Client, keys: &Keys, replica: &ReplicaId) -> Result<(), ShareError> {
        let own = keys.list()?;
        let last: Option<i64> = client.query_one("SELECT max(change) FROM baseload.api_key", &[]).await?.get(0);
        let local: BTreeMap<String, KeyRow> = own.iter().map(|row| (row.public.clone(), row.clone())).collect();
        let same_here = local.len() == self.rows.len()
            && local.iter().all(|(public, row)| self.rows.get(public).is_some_and(|agreed| is_same(agreed, row)));
        if same_here && self.change == last && self.change.is_some() {
            return Ok(());
        }
        let transaction = locked(client, Lock::Keys).await?;
        let shared = read(&transaction).await?;
        let mut agreed = BTreeMap::new();
        for public in local.keys().chain(shared.keys()) {
            let (here, there) = (local.get(public), shared.get(public));
            let Some(row) = merged(self.rows.get(public), here, there) else { continue };
            if !there.is_some_and(|there| is_same(there, &row)) {
                write(&transaction, &row).await?;
            }
            if !here.is_some_and(|here| is_same(here, &row)) {
                keys.adopt(&row)?;
            }
            agreed.insert(public.clone(), row);
        }
        let last: Option<i64> = transaction.query_one("SELECT max(change) FROM baseload.api_key", &[]).await?.get(0);
        tell_numbers(&transaction, keys, replica).await?;
        transaction.commit().await?;
        (self.rows, self.change) = (agreed, last);
        Ok(())
    }
}

/// Says what entries of this replica call each key.
async fn tell_numbers(transaction: &Transaction<'_>, keys: &Keys, replica: &ReplicaId) -> Result<(), ShareError> {
    let rows = keys.list()?;
    let numbers: Vec<i64> = rows.iter().map(|row| row.id.0.into()).collect();
    let publics: Vec<&str> = rows.iter().map(|row| row.public.as_str()).collect();
    transaction
        .execute(
            "INSERT INTO baseload.api_key_number (replica, number, public)
             SELECT $1, * FROM unnest($2::bigint[], $3::text[]) ON CONFLICT (replica, number) DO NOTHING",
            &[&replica.as_str(), &numbers, &publics],
        )
        .await?;
    Ok(())
}

/// Whether two rows say the same of a key; its number is each replica's own.
fn is_same(one: &KeyRow, other: &KeyRow) -> bool {
    KeyRow { id: other.id, ..one.clone() } == *other
}

/// What a key is by what both sides say of it, and what they agreed on before. What is revoked stays so; the secret is that of the later
/// rotation, whatever was seen of those before it; of two other changes since, the one that comes here second gives way.
fn merged(agreed: Option<&KeyRow>, here: Option<&KeyRow>, there: Option<&KeyRow>) -> Option<KeyRow> {
    let (Some(here), Some(there)) = (here, there) else { return here.or(there).cloned() };
    let newer = if agreed.is_some_and(|agreed| is_same(agreed, there)) { here } else { there };
    let KeyRow { hash, previous, rotated, .. } = if here.rotated > there.rotated { here } else { there };
    let revoked = here.revoked.into_iter().chain(there.revoked).min();
    Some(KeyRow { hash: *hash, previous: *previous, rotated: *rotated, revoked, ..newer.clone() })
}

async fn read(transaction: &Transaction<'_>) -> Result<BTreeMap<String, KeyRow>, ShareError> {
    let rows = transaction
        .query(
            "SELECT public, name, hash, previous, previous_until, scopes, models, team, requests, tokens, budget, created, expires, revoked, rotated
             FROM baseload.api_key",
            &[],
        )
        .await?;
    rows.iter().map(|row| key(row).map(|key| (key.public.clone(), key))).collect()
}

fn key(row: &Row) -> Result<KeyRow, ShareError> {
    let name: String = row.get(1);
    // What this program can't read must not turn into no limit, nor into more scopes.
    let unreadable = || ShareError::Unreadable { what: format!("the key {name}") };
    let hash = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| unreadable());
    let instant = |column: usize| row.get::<_, Option<i64>>(column).map(Instant::from_micros);
    let per_minute =
        |column: usize| row.get::<_, Option<i64>>(column).map(|count| PerMinute::new(count).ok_or_else(unreadable)).transpose();
    let previous = row.get::<_, Option<Vec<u8>>>(3).map(hash).transpose()?;
    let scopes: Scopes =
        row.get::<_, Vec<String>>(5).iter().map(|name| name.parse::<Scope>()).collect::<Result<_, _>>().map_err(|_| unreadable())?;
    let budget = row.get::<_, Option<String>>(10).map(|text| text.parse().map_err(|_| unreadable())).transpose()?;
    let mut models: Vec<String> = row.get(6);
    models.sort_unstable();
    Ok(KeyRow {
        id: KeyId(0),
        public: row.get(0),
        hash: hash(row.get(2))?,
        rotated: instant(14),
        previous: previous.zip(instant(4)).map(|(hash, until)| Previous { hash, until }),
        scopes,
        team: row.get(7),
        allowance: Allowance { requests: per_minute(8)?, tokens: per_minute(9)?, budget },
        models,
        created: instant(11).unwrap_or(Instant::MIN),
        expires: instant(12),
        revoked: instant(13),
        name,
    })
}

async fn write(transaction: &Transaction<'_>, row: &KeyRow) -> Result<(), ShareError> {
    let KeyRow { public, name, hash, rotated, previous, scopes, models, team, allowance, created, expires, revoked, .. } = row;
    let scopes: Vec<&str> = scopes.iter().map(Scope::name).collect();
    let (requests, tokens) = (allowance.requests.map(PerMinute::count), allowance.tokens.map(PerMinute::count));
    transaction
        .execute(
            "INSERT INTO baseload.api_key (public, change, name, hash, previous, previous_until, scopes, models, team, requests, tokens, budget,
                 created, expires, revoked, rotated)
             VALUES ($1, nextval('baseload.api_key_change'), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             ON CONFLICT (public) DO UPDATE SET change = excluded.change, name = excluded.name, hash = excluded.hash,
                 previous = excluded.previous, previous_until = excluded.previous_until, scopes = excluded.scopes, models = excluded.models,
                 team = excluded.team, requests = excluded.requests, tokens = excluded.tokens, budget = excluded.budget,
                 expires = excluded.expires, revoked = excluded.revoked, rotated = excluded.rotated",
            &[
                public,
                name,
                &hash.as_slice(),
                &previous.map(|previous| previous.hash.to_vec()),
                &previous.map(|previous| previous.until.micros()),
                &scopes,
                models,
                team,
                &requests,
                &tokens,
                &allowance.budget.map(|budget| budget.to_string()),
                &created.micros(),
                &expires.map(Instant::micros),
                &revoked.map(Instant::micros),
                &rotated.map(Instant::micros),
            ],
        )
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(hash: u8, previous: Option<u8>, revoked: Option<i64>) -> KeyRow {
        KeyRow {
            id: KeyId(u32::from(hash)),
            name: "ada".to_owned(),
            public: "0123456789ab".to_owned(),
            hash: [hash; 32],
            // The first secret is 1.
            rotated: (hash > 1).then(|| Instant::from_micros(hash.into())),
            previous: previous.map(|hash| Previous { hash: [hash; 32], until: Instant::from_micros(9) }),
            scopes: Scope::Inference.into(),
            team: None,
            allowance: Allowance::default(),
            models: Vec::new(),
            created: Instant::default(),
            expires: None,
            revoked: revoked.map(Instant::from_micros),
        }
    }

    /// The secret of what both come to, and when it is revoked.
    fn check(agreed: Option<&KeyRow>, here: Option<&KeyRow>, there: Option<&KeyRow>) -> Option<(u8, Option<i64>)> {
        merged(agreed, here, there).map(|row| (row.hash[0], row.revoked.map(Instant::micros)))
    }

    #[test]
    fn a_change_on_either_side_reaches_the_other_and_what_is_revoked_stays_so() {
        let (old, new) = (row(1, None, None), row(2, Some(1), None));
        assert_eq!(check(None, Some(&old), None), Some((1, None)), "made here");
        assert_eq!(check(None, None, Some(&old)), Some((1, None)), "made elsewhere");
        assert_eq!(check(Some(&old), Some(&new), Some(&old)), Some((2, None)), "rotated here");
        assert_eq!(check(Some(&old), Some(&old), Some(&new)), Some((2, None)), "rotated elsewhere");
        assert_eq!(check(None, Some(&new), Some(&old)), Some((2, None)), "rotated here while nobody looked");
        assert_eq!(check(None, Some(&old), Some(&new)), Some((2, None)), "or elsewhere");
        let twice = row(3, Some(2), None);
        for agreed in [None, Some(&old), Some(&new)] {
            assert_eq!(check(agreed, Some(&twice), Some(&old)), Some((3, None)), "rotated twice while nobody looked: {agreed:?}");
            assert_eq!(check(agreed, Some(&old), Some(&twice)), Some((3, None)), "or elsewhere: {agreed:?}");
            assert_eq!(check(agreed, Some(&twice), Some(&new)), Some((3, None)), "of two rotations the later one counts: {agreed:?}");
        }
        assert_eq!(check(Some(&old), Some(&row(1, None, Some(7))), Some(&new)), Some((2, Some(7))), "revoked here and rotated elsewhere");
        assert_eq!(check(Some(&old), Some(&new), Some(&row(1, None, Some(7)))), Some((2, Some(7))), "revoked elsewhere, and rotated here");
        assert_eq!(check(None, Some(&row(1, None, Some(8))), Some(&row(1, None, Some(7)))), Some((1, Some(7))), "the first counts");
        assert_eq!(check(None, None, None), None);
    }

    #[tokio::test]
    async fn a_database_that_was_put_back_to_an_earlier_day_learns_again_what_keys_are_called() {
        let (folder, state) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let postgres = testkit::Postgres::start(folder.path()).expect("PostgreSQL is here: tools/setup postgresql");
        let address: crate::Address = postgres.address().parse().expect("an address");
        let mut client = address.connect().await.expect("it is up");
        crate::schema::migrate(&mut client).await.expect("its tables");
        let (replica, keys) = (ReplicaId::of(state.path(), [1; 8]).expect("a name"), Keys::open(state.path()).expect("made"));
        crate::replica::take_part(&client, &replica).await.expect("it takes part");
        keys.create(&ledger::KeyTerms::named("ada"), [7; 38], Instant::default()).expect("made");
        let mut agreed = Agreed::default();
        agreed.agree(&mut client, &keys, &replica).await.expect("the same");
        for forgets in ["DELETE FROM baseload.api_key_number", "DELETE FROM baseload.api_key"] {
            client.batch_execute(forgets).await.expect("it takes it");
            agreed.look_again();
            agreed.agree(&mut client, &keys, &replica).await.expect("the same");
            let known = "SELECT count(*) FROM baseload.api_key JOIN baseload.api_key_number USING (public)";
            assert_eq!(client.query_one(known, &[]).await.expect("it answers").get::<_, i64>(0), 1, "{forgets}");
        }
    }
}
