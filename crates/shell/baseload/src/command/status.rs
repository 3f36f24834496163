//! `baseload status`.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use units::Money;

use crate::exit::Exit;
use crate::explain::shown;
use crate::http::Client;

/// Asks a running service how it stands.
pub fn run(at: SocketAddr, json: bool, out: &mut dyn Write) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let (status, body) = runtime.block_on(Client::new().get(at, "/api/status"))?;
    ensure!(status.is_success(), "ask {at} for its status: it answers {status}");
    let document: Value = serde_json::from_slice(&body).with_context(|| format!("read the status of {at}"))?;
    if json {
        writeln!(out, "{document}")?;
    } else {
        write(&document, out)?;
    }
    Ok(Exit::Done)
}

fn write(document: &Value, out: &mut dyn Write) -> Result<()> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or("-").to_owned();
    let number = |value: &Value, key: &str| value[key].as_u64().unwrap_or(0);
    writeln!(
        out,
        "fleet {}   {} requests under way   {} refused",
        text(document, "fleet"),
        number(document, "in_flight"),
        number(document, "refused")
    )?;
    let names = ["endpoint", "health", "running", "served", "failed", "in", "out", "1M out at", "who pays"];
    writeln!(
        out,
        "{:<12} {:<8} {:>7} {:>8} {:>7} {:>10} {:>10} {:>10}  {}",
        names[0], names[1], names[2], names[3], names[4], names[5], names[6], names[7], names[8]
    )?;
    for row in document["endpoints"].as_array().into_iter().flatten() {
        let nanos = row["marginal_output_nanos_per_million_tokens"].as_i64();
        let price = nanos.map_or_else(|| "-".to_owned(), |nanos| shown(Money::from_nanos(nanos.into()), 4));
        let (running, served, failed) = (number(row, "outstanding"), number(row, "served"), number(row, "failed"));
        let (input, output) = (number(row, "input_tokens"), number(row, "output_tokens"));
        let (endpoint, health, contract) = (text(row, "endpoint"), text(row, "health"), text(row, "contract"));
        writeln!(out, "{endpoint:<12} {health:<8} {running:>7} {served:>8} {failed:>7} {input:>10} {output:>10} {price:>10}  {contract}")?;
    }
    Ok(())
}
