//! Texts that people give and terminals show: what keys are called, who does something, and why.

use crate::error::LedgerError;

/// So many characters a name has at most: of a key, of what it may use, of who changes something.
pub const NAME_CHARS_MAX: usize = 100;
/// So many characters a reason has at most.
pub const WHY_CHARS_MAX: usize = 1_000;

/// Why a text is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPlain {
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// It is longer than any may be.
    #[error("it is longer than {limit} characters")]
    TooLong {
        /// How long it may be.
        limit: usize,
    },
    /// It has what ends a line, turns it around or speaks to a terminal.
    #[error("it has a control character")]
    Control,
}

/// Whether this can be the name of something.
///
/// # Errors
/// When it is empty, too long, or has a control character.
pub fn check_name(text: &str) -> Result<(), NotPlain> {
    if text.trim().is_empty() { Err(NotPlain::Empty) } else { check_plain(text, NAME_CHARS_MAX) }
}

/// Whether this is one line of at most `limit` characters, which any terminal shows as it is.
///
/// # Errors
/// When it is too long, or has a control character.
pub fn check_plain(text: &str, limit: usize) -> Result<(), NotPlain> {
    if text.chars().any(is_control) {
        return Err(NotPlain::Control);
    }
    if text.chars().count() > limit { Err(NotPlain::TooLong { limit }) } else { Ok(()) }
}

/// Refuses who and why where they are more than a line.
pub(crate) fn check_by(who: &str, why: &str) -> Result<(), LedgerError> {
    let refused = |what| move |source| LedgerError::NotPlain { what, source };
    check_plain(who, NAME_CHARS_MAX).map_err(refused("who does it"))?;
    check_plain(why, WHY_CHARS_MAX).map_err(refused("why it is done"))
}

/// The text as a terminal may show it: what was kept before it was looked at may have anything in it.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, it| {
        if is_control(it) {
            shown.extend(it.escape_default())
        } else {
            shown.push(it)
        }
        shown
    })
}

/// Controls, and what ends or turns around a line of text without being one.
fn is_control(it: char) -> bool {
    it.is_control() || matches!(it, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_plain_line_is_a_name() {
        for good in ["ada", "Zoë's laptop", "x'); DROP TABLE api_key; --", "\u{65e5}\u{672c}", &"a".repeat(NAME_CHARS_MAX)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", NotPlain::Empty),
            ("  ", NotPlain::Empty),
            ("ada\n2026-01-01  revoked", NotPlain::Control),
            ("\u{1b}[2J", NotPlain::Control),
            ("a\u{9b}2J", NotPlain::Control),
            ("a\u{202e}b", NotPlain::Control),
            ("a\0", NotPlain::Control),
            (&"é".repeat(NAME_CHARS_MAX + 1), NotPlain::TooLong { limit: NAME_CHARS_MAX }),
        ] {
            assert_eq!(check_name(bad), Err(why), "{bad:?}");
        }
        assert_eq!(check_plain("", WHY_CHARS_MAX), Ok(()));
    }

    #[test]
    fn what_a_terminal_would_obey_is_spelt_out() {
        assert_eq!(escaped("a\nb\u{1b}[2J \u{202e}\\ é"), "a\\nb\\u{1b}[2J \\u{202e}\\ é");
    }
}
