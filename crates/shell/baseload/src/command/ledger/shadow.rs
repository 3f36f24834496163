//! `baseload ledger shadow`: what following its advice would have saved.

use std::io::Write;

use anyhow::Result;
use dispatch::{Ground, Saved};
use ledger::{Shadowed, View};
use serde_json::{Value, json};
use units::{Money, Span};

use crate::exit::Exit;

/// What the figures leave out; said wherever they are shown.
const CAVEAT: &str = "Each request is reckoned alone, at the prices of its moment: they don't feel what moving it would have done to slots, units, floors \
                      and caches. Tokens are those that were taken; energy, scarcity, caches and SLOs are as they were expected.";

/// Shows what shadow mode found.
pub fn show(view: &View, within: Span, json: bool, out: &mut dyn Write) -> Result<Exit> {
    let found = view.shadowed(within)?;
    let currency = view.fleet()?.currency.to_string();
    if json {
        writeln!(out, "{}", document(&found, &currency))?;
        return Ok(Exit::Done);
    }
    if found.attempts + found.unknown == 0 {
        writeln!(out, "no request was decided in shadow mode: `baseload up FLEET --shadow` does so")?;
        return Ok(Exit::Done);
    }
    let saved = found.saved();
    writeln!(out, "{} requests in shadow mode, {} {currency} at list prices", found.attempts, found.list)?;
    writeln!(out, "{} went where they should; {} of unknown size are in no sum", found.agreed, found.unknown)?;
    writeln!(out, "following the advice would have saved {} {currency}:", saved.total())?;
    for ground in Ground::ALL {
        line(out, ground.name(), of(&found, ground), &currency)?;
    }
    for (name, money) in
        [("energy", saved.energy), ("scarcity", saved.scarcity), ("caches", saved.cache_loss), ("missed SLOs", saved.slo_miss)]
    {
        line(out, name, money, &currency)?;
    }
    writeln!(out, "\n{:>9} {:<18} {:<18} {:<20} {:<18} {:>14}", "requests", "from", "to", "paid by", "because", "saved")?;
    for (how, moved) in &found.moves {
        let saved = moved.saved.total().to_string();
        writeln!(out, "{:>9} {:<18} {:<18} {:<20} {:<18} {saved:>14}", moved.attempts, how.from, how.to, how.contract, how.ground.name())?;
    }
    writeln!(out, "\n{CAVEAT}")?;
    Ok(Exit::Done)
}

fn line(out: &mut dyn Write, name: &str, money: Money, currency: &str) -> Result<()> {
    if money == Money::ZERO { Ok(()) } else { Ok(writeln!(out, "  {name:<20} {:>14} {currency}", money.to_string())?) }
}

/// What tokens would have been cheaper by for one reason.
fn of(found: &Shadowed, ground: Ground) -> Money {
    found.moves.iter().filter(|(how, _)| how.ground == ground).fold(Money::ZERO, |sum, (_, moved)| sum + moved.saved.tokens)
}

fn document(found: &Shadowed, currency: &str) -> Value {
    let parts = |saved: Saved| {
        json!({ "tokens": saved.tokens.to_string(), "energy": saved.energy.to_string(), "scarcity": saved.scarcity.to_string(),
            "cache_loss": saved.cache_loss.to_string(), "slo_miss": saved.slo_miss.to_string(), "total": saved.total().to_string() })
    };
    let moves = found.moves.iter().map(|(how, moved)| {
        json!({ "from": how.from, "to": how.to, "contract": how.contract, "because": how.ground.name(), "requests": moved.attempts,
            "list_cost": moved.list.to_string(), "saved": parts(moved.saved) })
    });
    json!({ "currency": currency, "requests": found.attempts, "agreed": found.agreed, "unknown": found.unknown,
        "list_cost": found.list.to_string(), "saved": parts(found.saved()), "moves": moves.collect::<Vec<_>>(), "caveat": CAVEAT })
}
