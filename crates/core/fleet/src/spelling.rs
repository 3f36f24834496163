//! What a person probably meant.

/// Candidates that are looked at, so that a file of many names and many mistakes is still read quickly.
const CANDIDATES_MAX: usize = 1_000;
/// Characters of a file's own text that a message repeats at most.
const SHOWN_MAX: usize = 40;

/// The candidate that `text` is probably a misspelling of; ties go to the first.
pub(crate) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A word within another is nearer than two letters that differ: `vendor` is `chip-vendor` before `lender`.
    let rank = |candidate: &str| if within(text, candidate) { 1 } else { distance(text, candidate) };
    let ranked = candidates.take(CANDIDATES_MAX).filter(|candidate| near(text, candidate)).map(|candidate| (rank(candidate), candidate));
    ranked.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Whether one is probably a misspelling of the other.
pub(crate) fn near(text: &str, candidate: &str) -> bool {
    if text.len() > 2 * SHOWN_MAX {
        return false;
    }
    let close = distance(text, candidate) <= (candidate.chars().count() / 3).max(1) && candidate.chars().count() > 1;
    close || within(text, candidate)
}

/// Whether one is a part of the other, as in `max_power` for `power`.
fn within(text: &str, candidate: &str) -> bool {
    text.len() >= 3 && candidate.len() >= 3 && text != candidate && (candidate.contains(text) || text.contains(candidate))
}

fn distance(text: &str, candidate: &str) -> usize {
    let plain = |text: &str| text.to_lowercase().replace([' ', '-'], "_");
    strsim::damerau_levenshtein(&plain(text), &plain(candidate))
}

/// A text of the file as messages repeat it: short, on one line.
pub(crate) fn shown(text: &str) -> String {
    if crate::parse::looks_secret(text) {
        return "(not shown)".to_owned();
    }
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_MAX).collect();
    if text.chars().count() > SHOWN_MAX { format!("{line}...") } else { line }
}
