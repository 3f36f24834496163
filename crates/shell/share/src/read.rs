//! The copies, read and checked.

use std::collections::BTreeMap;

use ledger::Hash;

use crate::error::ShareError;
use crate::link::Address;
use crate::schema;

/// What the chain of entries that are of all is called among those of replicas.
pub const ALL: &str = "all";

/// What was found of one replica's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedChain {
    /// The replica.
    pub replica: String,
    /// How many entries there are.
    pub entries: i64,
    /// The hash of the last.
    pub head: Hash,
    /// The first entry that is not what its chain must have there, if any.
    pub broken: Option<i64>,
}

/// How many entries are read at once.
const PAGE: i64 = 5_000;

/// Checks every replica's chain from its beginning: numbers without a gap, each hash from the one before it and the text, and of its own rows,
/// which no hash has, the number of the next. Changes nothing.
///
/// # Errors
/// When the database can't be reached, refused, or is newer than this program.
pub async fn checked(address: &Address) -> Result<Vec<CheckedChain>, ShareError> {
    let client = address.connect().await?;
    schema::known(&client).await?;
    let replicas = client.query("SELECT id FROM baseload.replica ORDER BY id", &[]).await?;
    let mut chains = Vec::new();
    for row in replicas {
        let mut chain = CheckedChain { replica: row.get(0), entries: 0, head: Hash::default(), broken: None };
        let mut rows_to: BTreeMap<String, i64> = BTreeMap::new();
        loop {
            let page =
                "SELECT number, text, hash, kind, row FROM baseload.entry WHERE replica = $1 AND number > $2 ORDER BY number LIMIT $3";
            let rows = client.query(page, &[&chain.replica, &chain.entries, &PAGE]).await?;
            for row in &rows {
                let (number, text, hash): (i64, Vec<u8>, Vec<u8>) = (row.get(0), row.get(1), row.get(2));
                let expected = std::str::from_utf8(&text).map(|text| chain.head.then(text));
                let is_next = is_next_row(&chain.replica, &mut rows_to, row.get(3), row.get(4));
                let whole = number == chain.entries + 1 && is_next && expected.is_ok_and(|expected| expected.0.as_slice() == hash);
                if !whole {
                    chain.broken = chain.broken.or(Some(number));
                }
                (chain.entries, chain.head) = (number, Hash(hash.try_into().unwrap_or_default()));
            }
            if rows.is_empty() {
                break;
            }
        }
        chains.push(chain);
    }
    Ok(chains)
}

/// Whether an entry is the row that comes next of its kind. An ending has the number of its opening, and closings of all are numbered among those
/// of every replica.
fn is_next_row(replica: &str, rows_to: &mut BTreeMap<String, i64>, kind: String, row: Option<i64>) -> bool {
    let Some(row) = row.filter(|_| replica != ALL && kind != "ending") else { return true };
    let last = rows_to.entry(kind).or_default();
    *last += 1;
    *last == row
}
