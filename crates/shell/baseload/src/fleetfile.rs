//! Reads a fleet file for use: what `check` would call an error ends here, with the same text.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use baseload::report;
use fleet::{Fleet, Severity};

use crate::exit::{Wrong, wrong};

/// A fleet with the text that it was read from.
#[derive(Clone, Debug)]
pub struct Read {
    /// The file's text.
    pub text: String,
    /// What it says.
    pub fleet: Arc<Fleet>,
}

/// Reads the file at `path`.
pub fn read(path: &Path) -> Result<Read> {
    let text = fs::read_to_string(path).with_context(|| Wrong(format!("can't read the fleet file {}", path.display())))?;
    parse(&text, &path.display().to_string())
}

/// Reads a text that is called `name` in messages.
pub fn parse(text: &str, name: &str) -> Result<Read> {
    let parsed = fleet::parse(text);
    let Some(fleet) = parsed.fleet else {
        let errors: Vec<_> = parsed.diagnostics.into_iter().filter(|found| found.severity == Severity::Error).collect();
        let said = report::render(name, text, &errors, coloured(&io::stderr()));
        io::stderr().lock().write_all(said.as_bytes())?;
        let s = if errors.len() == 1 { "" } else { "s" };
        return Err(wrong(format!("{name} has {} error{s}", errors.len())));
    };
    Ok(Read { text: text.to_owned(), fleet: Arc::new(fleet) })
}

/// Whether a stream takes colour: it is a terminal, and nobody said no.
pub fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Refuses a fleet with a range whose planning value nobody named.
pub fn planned(fleet: &Fleet, name: &str) -> Result<()> {
    let open: Vec<&str> =
        fleet.figures.iter().filter(|(_, note)| note.range.is_some() && !note.planned).map(|(path, _)| path.as_str()).collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(wrong(format!(
        "{name} gives a range without a planning value for {}: `up` needs one, such as `plan = \"...\"` beside it",
        open.join(", ")
    )))
}

/// Where `needle` first stands in a text, as `line:column`.
pub fn place(text: &str, needle: &str) -> Option<String> {
    let at = text.find(&format!("\"{needle}\""))?;
    let before = &text[..at];
    let line_from = before.rfind('\n').map_or(0, |end| end + 1);
    Some(format!("{}:{}", before.matches('\n').count() + 1, before[line_from..].chars().count() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_columns_from_one() {
        let text = "a = 1\nkey = { env = \"NORTH\" }\n";
        assert_eq!(place(text, "NORTH").as_deref(), Some("2:15"));
        assert_eq!(place(text, "SOUTH"), None);
    }
}
