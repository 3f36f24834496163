//! A cursor over a table of the file: it knows its path and places, and reports what is not as declared.

mod date;
mod entry;
mod figure;
mod findings;
mod word;

use core::ops::Range;

use jiff::tz::TimeZone;
use toml::de::{DeTable, DeValue};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::{Key, Need, Shape, example};
use crate::spelling;

pub(crate) use entry::Entry;
use entry::kind_of;
pub(crate) use findings::{Findings, PROBLEMS_MAX};

/// Entries that a list of the file may have at most.
pub(crate) const ENTRIES_MAX: usize = 65_535;

/// A table being read.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    pub(crate) findings: &'a Findings<'a>,
    pub(crate) path: String,
    /// Where the table is named.
    pub(crate) place: Range<usize>,
    /// The zone of dates without an offset.
    pub(crate) zone: TimeZone,
    keys: &'static [Key],
    table: &'a DeTable<'a>,
}

impl<'a> Reader<'a> {
    /// A cursor over `entry`, which must be a table; reports unknown and missing keys at once.
    pub(crate) fn open(findings: &'a Findings<'a>, keys: &'static [Key], entry: &Entry<'a>, zone: &TimeZone) -> Option<Self> {
        let DeValue::Table(table) = entry.value else {
            let message = format!("`{}` should be a table, not {}", entry.name(), kind_of(entry.value));
            findings.add(Diagnostic::error(codes::WRONG_TYPE, &entry.span, message, keys_hint(keys)));
            return None;
        };
        let reader = Self { findings, path: entry.path.clone(), place: entry.key.clone(), zone: zone.clone(), keys, table };
        let meant = reader.report_unknown();
        reader.report_missing(&meant);
        Some(reader)
    }

    /// The whole file.
    pub(crate) fn root(findings: &'a Findings<'a>, keys: &'static [Key], table: &'a DeTable<'a>) -> Self {
        let reader = Self { findings, path: String::new(), place: 0..0, zone: TimeZone::UTC, keys, table };
        let meant = reader.report_unknown();
        reader.report_missing(&meant);
        reader
    }

    /// This cursor with dates in another zone.
    pub(crate) fn with_zone(&self, zone: &TimeZone) -> Self {
        Self { zone: zone.clone(), ..self.clone() }
    }

    /// Where a path of keys and list positions leads, or as far as it does.
    pub(crate) fn place_of(&self, path: &[&str]) -> Range<usize> {
        let [first, rest @ ..] = path else { return self.place.clone() };
        let Some((name, value)) = self.table.get_key_value(*first) else { return self.place.clone() };
        let mut entry = Entry::of("", name, value);
        for part in rest {
            let next = match entry.value {
                DeValue::Table(table) => table.get_key_value(*part).map(|(name, value)| Entry::of("", name, value)),
                DeValue::Array(_) => part.parse().ok().and_then(|index: usize| entry.element(index)),
                _ => None,
            };
            match next {
                Some(next) => entry = next,
                None => break,
            }
        }
        entry.span
    }

    /// Where a key of a clause stands, which may be written as one table or as a list of them.
    pub(crate) fn clause_place(&self, path: &[&str], number: usize, key: &str) -> Range<usize> {
        let number = number.to_string();
        let listed = [path, &[number.as_str(), key]].concat();
        let (one, many) = (self.place_of(&[path, &[key]].concat()), self.place_of(&listed));
        if many == self.place_of(path) { one } else { many }
    }

    /// Reports keys that are not declared; returns those that were probably meant.
    fn report_unknown(&self) -> Vec<&'static str> {
        let mut meant = Vec::new();
        for (name, _) in self.table.iter().filter(|(name, _)| !self.keys.iter().any(|key| key.name == name.get_ref().as_ref())) {
            let candidates = self.keys.iter().map(|key| key.name).filter(|name| !self.table.contains_key(*name));
            let near = if self.findings.is_full() { None } else { spelling::nearest(name.get_ref(), candidates) };
            meant.extend(near);
            let message = format!("unknown key `{}`{}", spelling::shown(name.get_ref()), self.within());
            let hint = near.map_or_else(|| keys_hint(self.keys), |near| format!("did you mean `{near}`?"));
            self.findings.add(Diagnostic::error(codes::UNKNOWN_KEY, &name.span(), message, hint));
        }
        meant
    }

    fn report_missing(&self, meant: &[&str]) {
        let missing = self.keys.iter().filter(|key| matches!(key.need, Need::Required) && !self.has(key.name));
        for key in missing.filter(|key| !meant.contains(&key.name)) {
            self.report_missing_key(key.name);
        }
    }

    /// Reports that `name` is missing here.
    pub(crate) fn report_missing_key(&self, name: &str) {
        let message = format!("`{name}` is missing{}", self.within());
        let hint = self.keys.iter().find(|key| key.name == name).map_or_else(String::new, |key| {
            let example = example(key.shape);
            format!("add `{name}{}`: {}", if example.is_empty() { String::new() } else { format!(" = {example}") }, key.about)
        });
        self.findings.add(Diagnostic::error(codes::MISSING_KEY, &self.place, message, hint));
    }

    fn within(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) }
    }

    /// Keeps a problem.
    pub(crate) fn add(&self, problem: Diagnostic) {
        self.findings.add(problem);
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// The names in this table that are not declared: those of a table of named rows.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'a>> {
        self.table.iter().map(|(name, value)| Entry::of(&self.path, name, value))
    }

    fn shape(&self, name: &str) -> Shape {
        self.keys.iter().find(|key| key.name == name).map(|key| key.shape).expect("only declared keys are asked for")
    }

    /// The value behind a declared key.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry<'a>> {
        debug_assert!(self.keys.iter().any(|key| key.name == name), "{name} is not declared in {}", self.path);
        let (name, value) = self.table.get_key_value(name)?;
        Some(Entry::of(&self.path, name, value))
    }

    /// Where the value of a key stands, or else the table's name.
    pub(crate) fn span(&self, name: &str) -> Range<usize> {
        self.entry(name).map_or_else(|| self.place.clone(), |entry| entry.span)
    }

    /// Reports that a value is of the wrong type.
    pub(crate) fn wrong_type(&self, entry: &Entry<'a>, expected: &str, example: &str) {
        let message = format!("`{}` should be {expected}, not {}", entry.name(), kind_of(entry.value));
        let hint = if example.is_empty() { format!("write {expected}") } else { format!("write it as in `{} = {example}`", entry.name()) };
        self.add(Diagnostic::error(codes::WRONG_TYPE, &entry.span, message, hint));
    }

    /// A table behind a key.
    pub(crate) fn table(&self, name: &str, keys: &'static [Key]) -> Option<Self> {
        let entry = self.entry(name)?;
        Self::open(self.findings, keys, &entry, &self.zone)
    }

    /// A table or a list of tables behind a key.
    pub(crate) fn tables(&self, name: &str, keys: &'static [Key]) -> Vec<Self> {
        let Some(entry) = self.entry(name) else { return Vec::new() };
        let elements = entry.elements().unwrap_or_else(|| vec![entry.clone()]);
        if self.too_many(&entry, elements.len()) {
            return Vec::new();
        }
        elements.iter().filter_map(|element| Self::open(self.findings, keys, element, &self.zone)).collect()
    }

    fn too_many(&self, entry: &Entry<'a>, count: usize) -> bool {
        if count > ENTRIES_MAX {
            let message = format!("`{}` has {count} entries", entry.name());
            self.add(Diagnostic::error(codes::TOO_MANY_ROWS, &entry.key, message, format!("a table or list has at most {ENTRIES_MAX}")));
        }
        count > ENTRIES_MAX
    }

    /// The rows of a table of named rows, in the order of their names; `None` for a row that could not be read.
    pub(crate) fn rows<T>(&self, name: &str, keys: &'static [Key], read: impl Fn(&Self) -> Option<T>) -> Vec<(String, Option<T>)> {
        let Some(entry) = self.entry(name) else { return Vec::new() };
        let Some(section) = Self::section(self.findings, &entry, &self.zone) else { return Vec::new() };
        if self.too_many(&entry, section.table.len()) {
            return Vec::new();
        }
        let row = |entry: Entry<'a>, name: String| {
            let before = self.findings.errors();
            let row = Self::open(self.findings, keys, &entry, &self.zone).and_then(|row| read(&row));
            if self.findings.errors() > before {
                self.findings.flawed.borrow_mut().insert(entry.path);
            }
            (name, row)
        };
        section.table.iter().zip(section.entries()).map(|((name, _), entry)| row(entry, name.get_ref().to_string())).collect()
    }

    /// A cursor over a table whose keys are names: none is declared, so none is unknown.
    fn section(findings: &'a Findings<'a>, entry: &Entry<'a>, zone: &TimeZone) -> Option<Self> {
        if let DeValue::Table(table) = entry.value {
            return Some(Self { findings, path: entry.path.clone(), place: entry.key.clone(), zone: zone.clone(), keys: &[], table });
        }
        let message = format!("`{}` should be a table of named rows, not {}", entry.name(), kind_of(entry.value));
        let hint = format!("write each row as its own table: `[{}.NAME]`", entry.name());
        findings.add(Diagnostic::error(codes::WRONG_TYPE, &entry.span, message, hint));
        None
    }

    /// The tables behind a key, without checking them again.
    pub(crate) fn tables_quietly(&self, name: &str) -> Vec<Entry<'a>> {
        self.entry(name).map(|entry| entry.elements().unwrap_or_else(|| vec![entry.clone()])).unwrap_or_default()
    }

    /// The table behind a key, without checking it again.
    pub(crate) fn quiet_table(&self, name: &str) -> Option<Self> {
        let entry = self.entry(name)?;
        let Shape::Table(keys) = self.shape(name) else { return None };
        let DeValue::Table(table) = entry.value else { return None };
        Some(Self { path: entry.path, place: entry.key, keys, table, ..self.clone() })
    }
}

fn keys_hint(keys: &[Key]) -> String {
    let names: Vec<_> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
    if names.is_empty() { "leave it out".to_owned() } else { format!("the keys here are {}", names.join(", ")) }
}
