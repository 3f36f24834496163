//! Numbers of tokens as upstreams write them: some write whole ones with a fraction of nothing (`3.0`).

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Reads a number of tokens.
///
/// # Errors
/// When it is none.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    whole(<&RawValue>::deserialize(deserializer)?)
}

/// Reads a number of tokens that need not be said.
///
/// # Errors
/// When it is said and none.
pub fn perhaps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Option::<&RawValue>::deserialize(deserializer)?.map(whole).transpose()
}

fn whole<E: Error>(raw: &RawValue) -> Result<u32, E> {
    let (whole, fraction) = raw.get().split_once('.').unwrap_or((raw.get(), ""));
    let read = if fraction.bytes().all(|digit| digit == b'0') { whole.parse().ok() } else { None };
    read.ok_or_else(|| E::custom("no number of tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Said {
        #[serde(deserialize_with = "number")]
        all: u32,
        #[serde(default, deserialize_with = "perhaps")]
        some: Option<u32>,
    }

    fn check(said: &str, want: Option<(u32, Option<u32>)>) {
        let read = serde_json::from_str::<Said>(said).ok();
        assert_eq!(read.map(|said| (said.all, said.some)), want, "{said}");
    }

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        check(r#"{"all":3}"#, Some((3, None)));
        check(r#"{"all": 3.0 ,"some":12.000}"#, Some((3, Some(12))));
        check(r#"{"all":0,"some":null}"#, Some((0, None)));
        for other in ["3.5", "-1", "4294967296", "\"3\"", "null", "[3]", "3e1", "true"] {
            check(&format!(r#"{{"all":{other}}}"#), None);
        }
    }
}
