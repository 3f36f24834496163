//! The demo's two keys: one for the person, one for the background traffic. Both are kept in the state directory, readable
//! by its owner only, so that a second start prints the key that was pasted into a shell before.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use ledger::{By, KeyTerms, Keys, hash_secret, split_key};

use crate::clock;
use crate::command::key::create;

/// The text of the demo's key of that name; made when there is none that is still good.
pub fn kept(state: &Path, name: &str) -> Result<String> {
    let by = By { who: "baseload demo".to_owned(), why: String::new() };
    let keys = Keys::open(state).context("open the demo's keys")?.by(by);
    let path = state.join(format!("{name}.key"));
    if let Ok(text) = fs::read_to_string(&path)
        && is_good(&keys, text.trim())?
    {
        return Ok(text.trim().to_owned());
    }
    let text = create(&keys, &KeyTerms::named(name))?.text.0;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| writeln!(file, "{text}"));
    written.with_context(|| format!("write {}", path.display()))?;
    Ok(text)
}

fn is_good(keys: &Keys, text: &str) -> Result<bool> {
    let Some((public, secret)) = split_key(text) else { return Ok(false) };
    let (hash, now) = (hash_secret(secret), clock::now());
    Ok(keys.list()?.iter().any(|row| row.public == public && row.hash == hash && row.valid(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_until_it_is_revoked() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kept = || kept(folder.path(), "demo").expect("a key");
        let first = kept();
        assert_eq!(kept(), first);
        Keys::open(folder.path()).expect("the keys").revoke("demo", clock::now()).expect("there is one");
        assert_ne!(kept(), first);
    }
}
