//! What a person probably meant.

/// Characters of a file's own text that a message repeats at most.
const SHOWN_MAX: usize = 40;

/// The candidate that `text` is probably a misspelling of; ties go to the first.
pub(crate) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let ranked = candidates.filter(|candidate| near(text, candidate)).map(|candidate| (distance(text, candidate), candidate));
    ranked.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Whether one is probably a misspelling of the other.
pub(crate) fn near(text: &str, candidate: &str) -> bool {
    if text.len() > 2 * SHOWN_MAX {
        return false;
    }
    let close = distance(text, candidate) <= (candidate.chars().count() / 3).max(1) && candidate.chars().count() > 1;
    // `powers` for `power_limit` is no misspelling, but `power` for `max_power` may be.
    close || (text.len() >= 4 && candidate.len() >= 4 && (candidate.contains(text) || text.contains(candidate)))
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
