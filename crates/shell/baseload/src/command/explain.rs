//! `baseload explain`.

use std::io::Write;

use anyhow::Result;
use fleet::{CODES, CodeInfo};

use crate::exit::{Exit, wrong};

/// Codes that have nothing to do with fleet files.
const OTHERS: [CodeInfo; 1] = [CodeInfo {
    code: ledger::NEWER_STORE,
    title: "store of a newer program",
    explanation: "A newer baseload has brought the state directory, or the database that replicas share, to tables that this one does not know. It changes nothing there. Tables are only ever brought forward.",
    wrong: "(an older baseload on a directory that a newer one has opened)",
    right: "(the newer one, or another directory)",
}];

/// Explains one code, or lists all.
pub fn run(code: Option<&str>, out: &mut dyn Write) -> Result<Exit> {
    let Some(code) = code else {
        for known in CODES.iter().chain(&OTHERS) {
            writeln!(out, "{}  {}", known.code, known.title)?;
        }
        return Ok(Exit::Done);
    };
    let known = CODES.iter().chain(&OTHERS).find(|known| known.code.eq_ignore_ascii_case(code));
    let known = known.ok_or_else(|| wrong(format!("there is no code {code}; `baseload explain` lists all")))?;
    let indented = |text: &str| text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n");
    writeln!(out, "{}: {}\n\n{}\n", known.code, known.title, known.explanation)?;
    writeln!(out, "wrong:\n{}\n\nright:\n{}", indented(known.wrong), indented(known.right))?;
    Ok(Exit::Done)
}
