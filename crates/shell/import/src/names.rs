//! Names of rows: those of a config or a bill, in the letters that a fleet file takes, each once.

use std::collections::BTreeSet;

/// Characters that a name has at most, with room for a number behind it.
const NAME_MAX: usize = 56;

/// The names that a section has so far.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// A name like `text` that no other row of the section has.
    pub(crate) fn take(&mut self, text: &str, otherwise: &str) -> String {
        let name = plain(text, otherwise);
        let mut free = name.clone();
        let mut number = 2;
        while !self.0.insert(free.clone()) {
            free = format!("{name}-{number}");
            number += 1;
        }
        free
    }

    /// Whether a row has the name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// The text in the letters that names have; `otherwise` when none is left, or when it looks like a secret.
pub(crate) fn plain(text: &str, otherwise: &str) -> String {
    if looks_secret(text) {
        return otherwise.to_owned();
    }
    let mut name = String::new();
    for c in text.trim().chars().take(NAME_MAX) {
        let kept = c.is_ascii_alphanumeric() || "-_./:@".contains(c);
        if kept {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_matches('-');
    if name.is_empty() || looks_secret(name) { otherwise.to_owned() } else { name.to_owned() }
}

/// A company's name as a row: `Amazon Web Services` is `amazon-web-services`.
pub(crate) fn slug(text: &str, otherwise: &str) -> String {
    plain(text, otherwise).to_lowercase().replace(['_', '.', '/', ':', '@'], "-")
}

/// A name for an environment variable.
pub(crate) fn variable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Whether a name may stand for an environment variable.
pub(crate) fn is_variable(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&text.len()) && text.bytes().all(fits) && !looks_secret(text)
}

/// Whether a text may stand in a head as it is, and is no secret.
pub(crate) fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) && !looks_secret(text)
}

/// Whether a text looks like a secret, by the rule that the fleet file itself is held to.
pub(crate) fn looks_secret(text: &str) -> bool {
    let line = text.replace(['\n', '\r', '='], " ");
    fleet::looks_secret(text) || fleet::masked(&line, &[]) != line
}

/// A text of the source as a finding repeats it: short, on one line, and nothing that looks like a secret.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    if looks_secret(text) {
        return "(not shown)".to_owned();
    }
    let line: String = text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > SHOWN_MAX { format!("{line}...") } else { line }
}
