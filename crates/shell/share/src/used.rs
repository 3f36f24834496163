//! What replicas used of held time that another posts. Each tells it once, and who posts takes it up once: what is lost on the way stays
//! idle in the books, and nothing is used twice.

use std::time::Duration;

use dispatch::{AttemptId, RequestId};
use tokio_postgres::{Client, Row};

use crate::error::ShareError;

/// What nobody took up for so long is left alone: nobody posted held time meanwhile.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(30);

/// What a replica used at one endpoint of time that another posts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedTime {
    /// The endpoint's name.
    pub endpoint: String,
    /// For how many microseconds of a second at least one of its requests was outstanding, with the second since 1970 in UTC before each.
    pub busy: Vec<(i64, i64)>,
    /// What its attempts worked, in weighted tokens.
    pub work: Vec<WorkDone>,
}

/// What one attempt worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkDone {
    /// Which.
    pub attempt: AttemptId,
    /// The name of who pays for it.
    pub contract: String,
    /// How much.
    pub work: i64,
}

/// Tells what this replica used.
pub(crate) async fn tell(client: &Client, all: &[UsedTime]) -> Result<(), ShareError> {
    for used in all {
        let (seconds, busy): (Vec<i64>, Vec<i64>) = used.busy.iter().copied().unzip();
        let requests: Vec<[u8; 16]> = used.work.iter().map(|done| done.attempt.request.0.to_be_bytes()).collect();
        let requests: Vec<&[u8]> = requests.iter().map(<[u8; 16]>::as_slice).collect();
        let attempts: Vec<i64> = used.work.iter().map(|done| done.attempt.attempt.into()).collect();
        let contracts: Vec<&str> = used.work.iter().map(|done| done.contract.as_str()).collect();
        let work: Vec<i64> = used.work.iter().map(|done| done.work).collect();
        let insert = "INSERT INTO baseload.used (told, endpoint, seconds, busy, requests, attempts, contracts, work)
            VALUES ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, $1, $2, $3, $4, $5, $6, $7)";
        client.execute(insert, &[&used.endpoint, &seconds, &busy, &requests, &attempts, &contracts, &work]).await?;
    }
    Ok(())
}

/// Takes up what all told, for who posts held time.
pub(crate) async fn take_up(client: &Client) -> Result<Vec<UsedTime>, ShareError> {
    let within = i64::try_from(TAKEN_UP_WITHIN.as_micros()).unwrap_or(i64::MAX);
    let take = "WITH taken AS (DELETE FROM baseload.used RETURNING *)
        SELECT endpoint, seconds, busy, requests, attempts, contracts, work FROM taken
        WHERE told >= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1 ORDER BY told";
    client.query(take, &[&within]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<UsedTime, ShareError> {
    let (seconds, busy): (Vec<i64>, Vec<i64>) = (row.try_get(1)?, row.try_get(2)?);
    let (requests, attempts): (Vec<Vec<u8>>, Vec<i64>) = (row.try_get(3)?, row.try_get(4)?);
    let (contracts, work): (Vec<String>, Vec<i64>) = (row.try_get(5)?, row.try_get(6)?);
    let attempts = requests.iter().zip(attempts).map(|(request, attempt)| {
        // Whose number is none is nobody's: its work counts all the same.
        let request = RequestId(u128::from_be_bytes(request.as_slice().try_into().unwrap_or_default()));
        AttemptId { request, attempt: attempt.try_into().unwrap_or_default() }
    });
    let work = attempts.zip(contracts).zip(work).map(|((attempt, contract), work)| WorkDone { attempt, contract, work });
    Ok(UsedTime { endpoint: row.try_get(0)?, busy: seconds.into_iter().zip(busy).collect(), work: work.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_used_is_taken_up_once_and_not_when_it_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let postgres = testkit::Postgres::start(folder.path()).expect("PostgreSQL is here: tools/setup postgresql");
        let address: crate::Address = postgres.address().parse().expect("an address");
        let mut client = address.connect().await.expect("it is up");
        crate::schema::migrate(&mut client).await.expect("its tables");
        let done = |request: u128, attempt: u8, contract: &str, work: i64| WorkDone {
            attempt: AttemptId { request: RequestId(request), attempt },
            contract: contract.to_owned(),
            work,
        };
        let used = [
            UsedTime {
                endpoint: "west".to_owned(),
                busy: vec![(1_800_000_000, 1_000_000), (1_800_000_001, 7)],
                work: vec![done(u128::MAX, 1, "west-provisioned", 30), done(5, 2, "west-standard", 0)],
            },
            UsedTime { endpoint: "north".to_owned(), busy: Vec::new(), work: vec![done(1 << 64, 1, "north", i64::MAX)] },
        ];
        tell(&client, &used).await.expect("it takes it");
        assert_eq!(take_up(&client).await.expect("it answers"), used);
        assert_eq!(take_up(&client).await.expect("it answers"), []);
        tell(&client, &used).await.expect("it takes it");
        client.batch_execute("UPDATE baseload.used SET told = told - 31000000 WHERE endpoint = 'west'").await.expect("it takes it");
        assert_eq!(take_up(&client).await.expect("it answers"), used[1..]);
        assert_eq!(client.query("SELECT FROM baseload.used", &[]).await.expect("it answers").len(), 0, "what is old is gone too");
    }
}
