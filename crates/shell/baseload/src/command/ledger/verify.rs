//! `baseload ledger verify`: the books from first principles, offline or beside a running service.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use ledger::{Hash, Verification};
use serde_json::Value;

use crate::exit::{Exit, wrong};
use crate::http::Client;

/// Checks a directory that nothing runs on.
pub fn run(directory: &Path, head: Option<Hash>, out: &mut dyn Write) -> Result<Exit> {
    let found = ledger::verify(directory, head)
        .with_context(|| format!("verify the ledger in {} (`--state` names another; stop what runs on it first)", directory.display()))?;
    for finding in &found.findings {
        writeln!(out, "{finding}")?;
    }
    let Verification { attempts, settled, unreconciled, held, postings, conflicts, records, ahead, torn_bytes, wrong, .. } = found;
    writeln!(
        out,
        "{attempts} attempts, {settled} settled, {unreconciled} of them unreconciled; {held} spans of held time; {postings} postings"
    )?;
    writeln!(out, "{} corrections; {} billing periods closed; {conflicts} conflicts kept aside", found.corrections, found.closings)?;
    writeln!(out, "{records} records in the journal, {ahead} of them and {torn_bytes} torn bytes for the next start to book or cut off")?;
    writeln!(out, "{} entries in the chain; its head is {}", found.entries, found.head.hash)?;
    writeln!(out, "{wrong} wrong")?;
    Ok(if found.holds() { Exit::Done } else { Exit::No })
}

/// Has a running service check what was added since it was asked last.
pub fn live(at: SocketAddr, key: Option<&str>, out: &mut dyn Write) -> Result<Exit> {
    if key.is_some() && !at.ip().is_loopback() {
        let hint = "ask on its machine, without a key, or through a tunnel that ends on this one";
        return Err(wrong(format!("a key is not sent to {at}: it would go there in the clear\nhint: {hint}")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let (status, body) = runtime.block_on(Client::new().get_with(at, "/api/ledger/verify", key))?;
    ensure!(status.is_success(), "ask {at} to verify its ledger: it answers {status}");
    let found: Value = serde_json::from_slice(&body).with_context(|| format!("read the answer of {at}"))?;
    for finding in found["findings"].as_array().into_iter().flatten() {
        writeln!(out, "{}", finding.as_str().unwrap_or_default())?;
    }
    let number = |key: &str| found[key].as_u64().unwrap_or(0);
    writeln!(
        out,
        "{} entries checked, {} settlements with {} postings among them",
        number("entries"),
        number("settled"),
        number("postings")
    )?;
    writeln!(out, "{} records of the journal, {} decisions taken again", number("records"), number("replayed"))?;
    for cap in found["caps"].as_array().into_iter().flatten() {
        writeln!(out, "{}: {} of at most {}", cap["what"].as_str().unwrap_or_default(), cap["now"], cap["cap"])?;
    }
    writeln!(out, "{} entries in the chain; its head is {}", number("head_number"), found["head"].as_str().unwrap_or("-"))?;
    writeln!(out, "{} wrong", number("wrong"))?;
    Ok(if found["holds"] == Value::Bool(true) { Exit::Done } else { Exit::No })
}
