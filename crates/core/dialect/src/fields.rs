//! Reads the objects of a request field by field, so that what nobody took is found and refused, and never dropped.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Unsupported;

/// The most fields of one object that is read field by field: many times what any dialect has.
pub const FIELDS_MAX: usize = 256;

/// A string, borrowed when it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One object of a request, with the place where its client wrote it.
pub(crate) struct Fields<'a> {
    at: String,
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// The entries of an object in their order, duplicates included, up to one more than it may have.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    entries.push((name, value));
                    if entries.len() > FIELDS_MAX {
                        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    }
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'a> Fields<'a> {
    /// The object that `text` is, which stands at `at`: empty for the whole request.
    pub fn parse(text: &'a str, at: String) -> Result<Self, Unsupported> {
        let Entries(entries) = serde_json::from_str(text).map_err(|_| Unsupported::not(&at, "an object"))?;
        if entries.len() > FIELDS_MAX {
            let place = if at.is_empty() { "body" } else { &at };
            return Err(Unsupported::new(place, &format!("has more than {FIELDS_MAX} fields")));
        }
        let mut names = BTreeSet::new();
        if let Some((name, _)) = entries.iter().find(|(name, _)| !names.insert(name.as_ref())) {
            return Err(Unsupported::new(join(&at, name), "is given twice"));
        }
        Ok(Self { at, entries })
    }

    /// Where the field `name` stands.
    pub fn place(&self, name: &str) -> String {
        join(&self.at, name)
    }

    /// All that was not taken yet, in no order.
    pub fn into_entries(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.entries
    }

    /// Whether a field is there, whatever it says.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(other, _)| other == name)
    }

    /// Where the object itself stands.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Takes a field as it was written; one that is `null` says nothing.
    pub fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let index = self.entries.iter().position(|(other, _)| other == name)?;
        let (_, value) = self.entries.swap_remove(index);
        (value.get() != "null").then_some(value)
    }

    /// Takes the text that a value is.
    pub fn as_text(raw: &'a RawValue, at: &str) -> Result<Cow<'a, str>, Unsupported> {
        serde_json::from_str::<Text<'a>>(raw.get()).map(|Text(text)| text).map_err(|_| Unsupported::not(at, "a string"))
    }

    /// Takes a field of a type; `what` says which, should it be another.
    pub fn take<T: serde::Deserialize<'a>>(&mut self, name: &str, what: &str) -> Result<Option<T>, Unsupported> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| Unsupported::not(&self.place(name), what))
    }

    pub fn text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Unsupported> {
        Ok(self.take::<Text<'a>>(name, "a string")?.map(|Text(text)| text))
    }

    pub fn must_text(&mut self, name: &str) -> Result<Cow<'a, str>, Unsupported> {
        let missing = Unsupported::new(self.place(name), "is missing");
        self.text(name)?.ok_or(missing)
    }

    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Unsupported> {
        self.take(name, "true or false")
    }

    pub fn count(&mut self, name: &str) -> Result<Option<u32>, Unsupported> {
        self.take(name, "a whole number, not negative")
    }

    /// Takes a number as it was written: it is passed on digit for digit.
    pub fn number(&mut self, name: &str) -> Result<Option<&'a RawValue>, Unsupported> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        if raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            Ok(Some(raw))
        } else {
            Err(Unsupported::not(&self.place(name), "a number"))
        }
    }

    pub fn list(&mut self, name: &str) -> Result<Vec<&'a RawValue>, Unsupported> {
        Ok(self.take(name, "an array")?.unwrap_or_default())
    }

    pub fn object(&mut self, name: &str) -> Result<Option<Self>, Unsupported> {
        let place = self.place(name);
        self.raw(name).map(|raw| Self::parse(raw.get(), place)).transpose()
    }

    pub fn must_object(&mut self, name: &str) -> Result<Self, Unsupported> {
        let missing = Unsupported::new(self.place(name), "is missing");
        self.object(name)?.ok_or(missing)
    }

    /// Takes the objects of a list, each with its place.
    pub fn objects(&mut self, name: &str) -> Result<Vec<Self>, Unsupported> {
        let place = self.place(name);
        let list = self.list(name)?;
        list.into_iter().enumerate().map(|(index, raw)| Self::parse(raw.get(), format!("{place}[{index}]"))).collect()
    }

    /// Takes a field that may be left out because what it says, one of `defaults` as JSON, is what happens anyway.
    pub fn default(&mut self, name: &str, defaults: &[&str]) -> Result<(), Unsupported> {
        let said = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        match self.raw(name) {
            Some(raw) if !defaults.iter().any(|default| said(default) == said(raw.get())) => {
                Err(Unsupported::new(self.place(name), CANT_SAY))
            }
            _ => Ok(()),
        }
    }

    /// Nothing else may be said.
    pub fn end(self) -> Result<(), Unsupported> {
        self.close()
    }

    /// Nothing else may have been said.
    pub fn close(&self) -> Result<(), Unsupported> {
        match self.entries.iter().find(|(_, value)| value.get() != "null") {
            Some((name, _)) => Err(Unsupported::new(join(&self.at, name), CANT_SAY)),
            None => Ok(()),
        }
    }
}

/// Why a field is refused that the other side has no word for.
pub(crate) const CANT_SAY: &str = "can't be told to the endpoints of this model";

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
