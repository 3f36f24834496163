//! `baseload explain`.

use std::io::Write;

use anyhow::Result;
use fleet::CODES;

use crate::exit::{Exit, wrong};

/// Explains one code, or lists all.
pub fn run(code: Option<&str>, out: &mut dyn Write) -> Result<Exit> {
    let Some(code) = code else {
        for known in CODES {
            writeln!(out, "{}  {}", known.code, known.title)?;
        }
        return Ok(Exit::Done);
    };
    let known = CODES.iter().find(|known| known.code.eq_ignore_ascii_case(code));
    let known = known.ok_or_else(|| wrong(format!("there is no code {code}; `baseload explain` lists all")))?;
    let indented = |text: &str| text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n");
    writeln!(out, "{}: {}\n\n{}\n", known.code, known.title, known.explanation)?;
    writeln!(out, "wrong:\n{}\n\nright:\n{}", indented(known.wrong), indented(known.right))?;
    Ok(Exit::Done)
}
