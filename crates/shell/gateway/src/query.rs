//! The part of a URL after its question mark, as OpenAI's clients write it.

use std::ops::RangeInclusive;

use crate::envelope::Refused;

/// Names with their values, in order; `name[]=a` is the same as `name=a`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub fn of(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let read = |part: &str| decoded(&part.replace('+', " "));
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    let name = read(name);
                    let bare = name.split_once('[').filter(|_| name.ends_with(']')).map_or(name.as_str(), |(bare, _)| bare);
                    (bare.to_owned(), read(value))
                })
                .collect(),
        )
    }

    /// The value of a name, the last where there are several.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a name; commas separate several in one.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let values = self.0.iter().filter(|(own, _)| own == name).flat_map(|(_, value)| value.split(','));
        values.filter(|value| !value.is_empty()).collect()
    }

    /// A whole number within bounds, or its default.
    pub fn number<T: TryFrom<i64> + PartialOrd + std::fmt::Display>(
        &self,
        name: &str,
        default: T,
        within: RangeInclusive<T>,
    ) -> Result<T, Refused> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let number = text.parse::<i64>().ok().and_then(|number| T::try_from(number).ok()).filter(|number| within.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (within.start(), within.end());
            Refused::invalid(name, format!("'{name}' should be a whole number from {least} to {most}."))
        })
    }

    /// The first name that is not among these.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name))
    }
}

/// A part of a URL with its percent-escapes read. What is no escape stays.
pub(crate) fn decoded(part: &str) -> String {
    let hex = |digits: Option<&[u8]>| u8::from_str_radix(std::str::from_utf8(digits?).ok()?, 16).ok();
    let (bytes, mut out, mut at) = (part.as_bytes(), Vec::with_capacity(part.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = if *byte == b'%' { hex(bytes.get(at + 1..at + 3)) } else { None };
        out.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read() {
        for (part, want) in
            [("a%2Fb%2fc", "a/b/c"), ("a/b", "a/b"), ("100%", "100%"), ("%zz%2", "%zz%2"), ("%C3%A9", "\u{e9}"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(decoded(part), want, "{part}");
        }
    }

    #[test]
    fn values_are_found_as_clients_write_them() {
        let query = Query::of(Some("group_by%5B%5D=model&group_by[]=api_key_id&limit=7&x=a+b&y&models=m1,m2&i[0]=z"));
        assert_eq!(query.all("group_by"), ["model", "api_key_id"]);
        assert_eq!(query.all("models"), ["m1", "m2"]);
        assert_eq!((query.text("x"), query.text("y"), query.text("i"), query.text("z")), (Some("a b"), Some(""), Some("z"), None));
        assert_eq!(query.number("limit", 1, 1..=10).ok(), Some(7));
        assert_eq!(query.number("limit", 1, 1..=6).err().and_then(|refused| refused.param).as_deref(), Some("limit"));
        assert_eq!(query.number("none", 1, 1..=6).ok(), Some(1));
        assert_eq!(query.unknown(&["group_by", "limit", "x", "y", "models"]), Some("i"));
    }
}
