//! `baseload check`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use baseload::report;
use fleet::{Diagnostic, Severity};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::fleetfile::coloured;

/// Checks files one after the other; any error makes the whole a failure.
pub fn run(files: &[PathBuf], json: bool, out: &mut dyn Write) -> Result<Exit> {
    let mut whole = true;
    let mut documents = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let text = match read(file) {
            Ok(text) => text,
            Err(error) => {
                whole = false;
                documents.push(json!({ "file": name, "ok": false, "error": error.to_string() }));
                if !json {
                    writeln!(out, "{name}: {error}")?;
                }
                continue;
            }
        };
        let found = fleet::parse(&text).diagnostics;
        let ok = found.iter().all(|found| found.severity != Severity::Error);
        whole &= ok;
        if json {
            let found: Vec<_> = found.iter().map(|diagnostic| row(diagnostic, &text)).collect();
            documents.push(json!({ "file": name, "ok": ok, "diagnostics": found }));
        } else {
            let summary = report::summary(&found);
            out.write_all(report::render(&name, &text, &found, coloured(&io::stdout())).as_bytes())?;
            let said = match (ok, summary.is_empty()) {
                (true, true) => "ok".to_owned(),
                (true, false) => format!("ok, {summary}"),
                (false, _) => summary,
            };
            writeln!(out, "{name}: {said}")?;
        }
    }
    if json {
        writeln!(out, "{}", json!({ "ok": whole, "files": documents }))?;
    }
    Ok(if whole { Exit::Done } else { Exit::Wrong })
}

fn read(file: &Path) -> io::Result<String> {
    let bytes = fs::read(file)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text"))
}

/// Line and column of a byte, from one.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line_from = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_from..].chars().count() + 1)
}

fn row(diagnostic: &Diagnostic, text: &str) -> Value {
    let (line, column) = place(text, diagnostic.span.start);
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::NotComputed => "not computed yet",
    };
    json!({ "severity": severity, "code": diagnostic.code, "line": line, "column": column, "message": diagnostic.message,
        "hint": diagnostic.hint })
}
