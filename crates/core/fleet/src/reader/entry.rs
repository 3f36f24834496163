//! A value of the file with its path and places.

use core::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

/// A value with its path in the file, where its key stands and where it does.
#[derive(Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) path: String,
    pub(crate) key: Range<usize>,
    pub(crate) span: Range<usize>,
    pub(crate) value: &'a DeValue<'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn of(path: &str, name: &Spanned<toml::de::DeString<'a>>, value: &'a Spanned<DeValue<'a>>) -> Self {
        let path = if path.is_empty() { name.get_ref().to_string() } else { format!("{path}.{}", name.get_ref()) };
        // A table under a header has no text of its own to point at but the name in that header.
        let headed = matches!(value.get_ref(), DeValue::Table(_)) && (value.span().is_empty() || value.span().start <= name.span().start);
        let span = if headed { name.span() } else { value.span() };
        Self { path, key: name.span(), span, value: value.get_ref() }
    }

    /// The last part of the path: the key that a person wrote.
    pub(crate) fn name(&self) -> &str {
        let mut parts = self.path.rsplit('.');
        parts.find(|part| !part.bytes().all(|b| b.is_ascii_digit())).unwrap_or(&self.path)
    }

    /// The entries of a list.
    pub(crate) fn elements(&self) -> Option<Vec<Self>> {
        let DeValue::Array(list) = self.value else { return None };
        Some((0..list.len()).filter_map(|index| self.element(index)).collect())
    }

    /// The entry of a list at a position.
    pub(super) fn element(&self, index: usize) -> Option<Self> {
        let DeValue::Array(list) = self.value else { return None };
        let value = list.get(index)?;
        let span = if value.span().is_empty() { self.key.clone() } else { value.span() };
        Some(Self { path: format!("{}.{index}", self.path), key: span.clone(), span, value: value.get_ref() })
    }
}

/// What a TOML value is called.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a bare number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
