//! A cursor over a table of the file: it knows its path and places, and reports what is not as declared.

use core::cell::RefCell;
use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::{Datetime, Offset};
use units::{Amount, Currency, Instant, UnitError};

use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::figure::{self, Figure};
use crate::id::Id;
use crate::keys::{self, Key, Kind, Need, Shape, example};
use crate::model::FigureNote;
use crate::ramp::Ramp;
use crate::spelling;

/// Entries that a list of the file may have at most.
pub(crate) const ENTRIES_MAX: usize = 65_535;
/// Problems that are kept at most.
pub(crate) const PROBLEMS_MAX: usize = 500;

/// What all cursors of a file share: the names it defines and what was found.
#[derive(Default)]
pub(crate) struct Findings<'a> {
    problems: RefCell<Vec<Diagnostic>>,
    figures: RefCell<BTreeMap<String, FigureNote>>,
    /// Names by table, sorted; a name is here also when its row has problems of its own.
    pub(crate) names: BTreeMap<Kind, Vec<(&'a str, Range<usize>)>>,
    /// Paths of rows that have an error inside: what they lack may be because of it.
    flawed: RefCell<BTreeSet<String>>,
    /// Currencies that the file uses, with where.
    pub(crate) currencies: RefCell<BTreeMap<Currency, Range<usize>>>,
}

impl Findings<'_> {
    /// Keeps a problem; one past the limit is dropped, and `parse` says so.
    pub(crate) fn add(&self, problem: Diagnostic) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() <= PROBLEMS_MAX {
            problems.push(problem);
        }
    }

    /// Everything found.
    pub(crate) fn finish(self) -> (Vec<Diagnostic>, BTreeMap<String, FigureNote>) {
        (self.problems.into_inner(), self.figures.into_inner())
    }

    /// The position of a name in its table.
    pub(crate) fn id<I: Id>(&self, kind: Kind, name: &str) -> Option<I> {
        self.names.get(&kind)?.binary_search_by(|(row, _)| (*row).cmp(name)).ok().map(I::from_index)
    }

    /// Where the row of that position is named.
    pub(crate) fn place<I: Id>(&self, kind: Kind, id: I) -> Range<usize> {
        self.names.get(&kind).and_then(|names| names.get(id.index())).map_or(0..0, |(_, span)| span.clone())
    }

    /// Whether a row, such as `contracts.north`, has an error inside.
    pub(crate) fn is_flawed(&self, path: &str) -> bool {
        self.flawed.borrow().contains(path)
    }

    /// Whether any row of a table has an error inside.
    pub(crate) fn any_flawed(&self, table: &str) -> bool {
        self.flawed.borrow().iter().any(|path| path.split('.').next() == Some(table))
    }

    fn errors(&self) -> usize {
        self.problems.borrow().iter().filter(|it| it.severity == Severity::Error).count()
    }
}

/// A value with its path in the file, where its key stands and where it does.
#[derive(Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) path: String,
    pub(crate) key: Range<usize>,
    pub(crate) span: Range<usize>,
    pub(crate) value: &'a DeValue<'a>,
}

impl<'a> Entry<'a> {
    fn of(path: &str, name: &Spanned<toml::de::DeString<'a>>, value: &'a Spanned<DeValue<'a>>) -> Self {
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
        let element = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| {
            let value_span = if value.span().is_empty() { self.key.clone() } else { value.span() };
            Self { path: format!("{}.{index}", self.path), key: value_span.clone(), span: value_span, value: value.get_ref() }
        };
        Some(list.iter().enumerate().map(element).collect())
    }
}

/// What a TOML value is called.
fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a bare number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

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
                DeValue::Array(_) => part.parse().ok().and_then(|index: usize| entry.elements()?.into_iter().nth(index)),
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
            let near = spelling::nearest(name.get_ref(), candidates);
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

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        let entry = self.entry(name)?;
        self.text_of(&entry, &example(self.shape(name)))
    }

    pub(crate) fn text_of(&self, entry: &Entry<'a>, example: &str) -> Option<&'a str> {
        match entry.value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => {
                self.wrong_type(entry, "text in quotes", example);
                None
            }
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str) -> Vec<(Entry<'a>, &'a str)> {
        let Some(entry) = self.entry(name) else { return Vec::new() };
        let Some(elements) = entry.elements() else {
            self.wrong_type(&entry, "a list", &example(self.shape(name)));
            return Vec::new();
        };
        elements.into_iter().filter_map(|element| self.text_of(&element, "").map(|text| (element, text))).collect()
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let entry = self.entry(name)?;
        match entry.value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong_type(&entry, "true or false", "true");
                None
            }
        }
    }

    /// One of the words of a list.
    pub(crate) fn word<T: Copy>(&self, name: &str, pairs: &[(&'static str, T)]) -> Option<T> {
        let entry = self.entry(name)?;
        let text = self.text_of(&entry, &example(self.shape(name)))?;
        self.word_of(&entry, text, pairs)
    }

    /// Which of the words a text is.
    pub(crate) fn word_of<T: Copy>(&self, entry: &Entry<'a>, text: &str, pairs: &[(&'static str, T)]) -> Option<T> {
        if let Some((_, meaning)) = pairs.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let message = format!("`{}` is not a word that `{}` may have", spelling::shown(text), entry.name());
        let all = pairs.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let near = spelling::nearest(text, pairs.iter().map(|(word, _)| *word));
        let hint = near.map_or_else(|| format!("it may be {all}"), |near| format!("did you mean \"{near}\"? It may be {all}"));
        self.add(Diagnostic::error(codes::UNKNOWN_WORD, &entry.span, message, hint));
        None
    }

    /// Some of the words of a list.
    pub(crate) fn words<T: Copy>(&self, name: &str, pairs: &[(&'static str, T)]) -> Vec<T> {
        let texts = self.texts(name);
        self.report_twice(&texts);
        texts.iter().filter_map(|(entry, text)| self.word_of(entry, text, pairs)).collect()
    }

    fn report_twice(&self, texts: &[(Entry<'a>, &'a str)]) {
        for (index, (entry, text)) in texts.iter().enumerate() {
            if let Some((first, _)) = texts[..index].iter().find(|(_, earlier)| earlier == text) {
                let message = format!("`{}` is listed twice", spelling::shown(text));
                let problem = Diagnostic::error(codes::TWICE, &entry.span, message, "leave one out");
                self.add(problem.related(&first.span, "first here"));
            }
        }
    }

    /// The row that a key names.
    pub(crate) fn named<I: Id>(&self, name: &str, kind: Kind) -> Option<I> {
        let entry = self.entry(name)?;
        let text = self.text_of(&entry, &format!("\"...\", the name of a {}", kind.singular()))?;
        self.named_of(&entry, text, kind)
    }

    /// The row that a text names.
    pub(crate) fn named_of<I: Id>(&self, entry: &Entry<'a>, text: &str, kind: Kind) -> Option<I> {
        let found = self.findings.id(kind, text);
        if found.is_none() {
            let message = format!("there is no {} named `{}`", kind.singular(), spelling::shown(text));
            let names = || self.findings.names.get(&kind).into_iter().flatten().map(|(name, _)| *name);
            let place = names().find(|name| spelling::near(text, name)).and_then(|near| self.findings.id::<I>(kind, near));
            let hint = match spelling::nearest(text, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names().next().is_none() => format!("define it: add a table `[{}.{}]`", kind.table(), spelling::shown(text)),
                None => {
                    let all: Vec<_> = names().take(8).map(|name| format!("`{name}`")).collect();
                    let more = if names().nth(8).is_some() { " and more" } else { "" };
                    format!("the file has {}{more}; or add a table `[{}.{}]`", all.join(", "), kind.table(), spelling::shown(text))
                }
            };
            let problem = Diagnostic::error(codes::UNKNOWN_NAME, &entry.span, message, hint);
            self.add(match place {
                Some(id) => problem.related(&self.findings.place(kind, id), format!("a {} with a similar name", kind.singular())),
                None => problem,
            });
        }
        found
    }

    /// The rows that a list names.
    pub(crate) fn named_list<I: Id>(&self, name: &str, kind: Kind) -> Vec<I> {
        let texts = self.texts(name);
        self.report_twice(&texts);
        texts.iter().filter_map(|(entry, text)| self.named_of(entry, text, kind)).collect()
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

    /// A figure.
    pub(crate) fn figure<T: Figure>(&self, name: &str) -> Option<T> {
        let entry = self.entry(name)?;
        self.figure_of(&entry, &example(self.shape(name)))
    }

    /// A figure, plain or with its note.
    pub(crate) fn figure_of<T: Figure>(&self, entry: &Entry<'a>, example: &str) -> Option<T> {
        if !matches!(entry.value, DeValue::Table(_)) {
            return self.plain_figure(entry, example);
        }
        let note = Self::open(self.findings, keys::NOTE, entry, &self.zone)?;
        let source = note.text("source").map(str::to_owned);
        let assumption = note.flag("assumption").unwrap_or(false);
        let part = |key: &str| note.entry(key).map(|entry| (self.plain_figure::<T>(&entry, example), entry));
        let [value, low, high] = [part("value"), part("low"), part("high")];
        if value.is_none() && (low.is_none() || high.is_none()) {
            let message = format!("`{}` has neither a `value` nor a whole range", entry.name());
            let hint = format!("write `value = {example}`, or both `low` and `high`");
            self.add(Diagnostic::error(codes::ONE_OF, &entry.span, message, hint));
            return None;
        }
        self.check_range(&low, &value, &high);
        let planned = value.is_some();
        if !planned {
            let message = format!("`{}` is a range without a planning value", entry.name());
            let hint = "add `value = ...` inside the range: `baseload up` decides with it, and refuses the fleet without it";
            self.add(Diagnostic::warning(codes::UNPLANNED, &entry.span, message, hint));
        }
        let written = |part: &Option<(Option<T>, Entry<'a>)>| part.as_ref().map(|(_, entry)| as_written(entry.value));
        let range = written(&low).zip(written(&high));
        self.findings.figures.borrow_mut().insert(entry.path.clone(), FigureNote { range, planned, source, assumption });
        value.or(low).and_then(|(figure, _)| figure)
    }

    fn check_range<T: Figure>(
        &self,
        low: &Option<(Option<T>, Entry<'a>)>,
        value: &Option<(Option<T>, Entry<'a>)>,
        high: &Option<(Option<T>, Entry<'a>)>,
    ) {
        let parts: Vec<_> = [low, value, high].into_iter().flatten().filter_map(|(it, entry)| it.map(|it| (it.size(), entry))).collect();
        if let Some(pair) = parts.windows(2).find(|pair| pair[0].0 > pair[1].0) {
            let message = format!("`{}` is above `{}`", pair[0].1.name(), pair[1].1.name());
            let problem = Diagnostic::error(codes::UPSIDE_DOWN, &pair[1].1.span, message, "write low <= value <= high");
            self.add(problem.related(&pair[0].1.span, "this is more"));
        }
    }

    fn plain_figure<T: Figure>(&self, entry: &Entry<'a>, example: &str) -> Option<T> {
        let read = match entry.value {
            DeValue::String(text) if !T::BARE => T::read(text),
            DeValue::Integer(number) if number.radix() == 10 => T::read(number.as_str()),
            DeValue::Float(number) => T::read(number.as_str()),
            _ => {
                let expected = if T::BARE { "a bare number" } else { "a figure with its unit, in quotes" };
                self.wrong_type(entry, expected, example);
                return None;
            }
        };
        let near = |text: &str| figure::nearest_unit(text, |text| T::read(text).is_ok());
        read.map_err(|error| self.report_unit(entry, &error, near, example)).ok()
    }

    fn report_unit(&self, entry: &Entry<'a>, error: &UnitError, near: impl Fn(&str) -> Option<String>, example: &str) {
        let code = if matches!(error, UnitError::OutOfRange { .. }) { codes::RANGE } else { codes::FIGURE };
        let hint = match error {
            UnitError::OutOfRange { .. } => format!("write a figure that can be, as in `{} = {example}`", entry.name()),
            UnitError::NotANumber { text } | UnitError::WrongUnit { text, .. } => match near(text) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write the number and its unit, as in `{} = {example}`", entry.name()),
            },
        };
        let message = match error {
            UnitError::NotANumber { text } => format!("`{}` is not a number with a unit", spelling::shown(text)),
            UnitError::WrongUnit { text, expected } => format!("`{}` is not {expected}", spelling::shown(text)),
            UnitError::OutOfRange { text } => format!("`{}` is too large, or too small, for `{}`", spelling::shown(text), entry.name()),
        };
        self.add(Diagnostic::error(code, &entry.span, message, hint));
    }

    /// A figure that is the same at all times, or a list of dated steps.
    pub(crate) fn ramp<T: Figure>(&self, name: &str) -> Option<Ramp<T>> {
        let entry = self.entry(name)?;
        self.ramp_of(&entry, &example(self.shape(name)))
    }

    /// As [`Self::ramp`], of an entry.
    pub(crate) fn ramp_of<T: Figure>(&self, entry: &Entry<'a>, example: &str) -> Option<Ramp<T>> {
        let Some(elements) = entry.elements() else { return self.figure_of(entry, example).map(Ramp::constant) };
        if elements.is_empty() {
            let hint = format!("write one figure, as in `{} = {example}`, or steps {{ from = DATE, is = {example} }}", entry.name());
            self.add(Diagnostic::error(codes::RAMP_EMPTY, &entry.span, format!("`{}` has no step", entry.name()), hint));
            return None;
        }
        if self.too_many(entry, elements.len()) {
            return None;
        }
        let steps: Vec<_> = elements.iter().map(|element| self.step(element, example)).collect();
        for pair in steps.windows(2) {
            let [Some((Some(earlier), before, _)), Some((Some(later), after, _))] = pair else { continue };
            if later <= earlier {
                let same = if later == earlier { "has the same date as" } else { "is dated before" };
                let message = format!("a step of `{}` {same} the one above it", entry.name());
                let problem =
                    Diagnostic::error(codes::RAMP_ORDER, after, message, "put the steps in rising order, each with a date of its own");
                self.add(problem.related(before, "the step before it"));
            }
        }
        let steps: Option<Vec<_>> = steps.into_iter().map(|step| step.and_then(|(from, _, is)| from.zip(is))).collect();
        Ramp::new(steps?).ok()
    }

    fn step<T: Figure>(&self, element: &Entry<'a>, example: &str) -> Option<(Option<Instant>, Range<usize>, Option<T>)> {
        let step = Self::open(self.findings, keys::STEP, element, &self.zone)?;
        let is = step.entry("is").and_then(|is| self.figure_of(&is, example));
        Some((step.date("from"), step.span("from"), is))
    }

    /// An instant; a date without an offset is in this reader's zone.
    pub(crate) fn date(&self, name: &str) -> Option<Instant> {
        let (civil, instant) = self.civil(name)?;
        let instant = instant.or_else(|| self.zone.to_ambiguous_timestamp(civil).compatible().ok().map(Instant::from));
        if instant.is_none() {
            let message = format!("`{name}` is too far away");
            self.add(Diagnostic::error(codes::DATE, &self.span(name), message, "write a date from the year 1 to 9999"));
        }
        instant
    }

    /// A civil time, with the instant when it has an offset.
    pub(crate) fn civil(&self, name: &str) -> Option<(civil::DateTime, Option<Instant>)> {
        let entry = self.entry(name)?;
        let DeValue::Datetime(written) = entry.value else {
            let message = format!("`{}` should be a date, not {}", entry.name(), kind_of(entry.value));
            let hint = format!("write it without quotes, as in `{} = 2026-01-01`", entry.name());
            self.add(Diagnostic::error(codes::DATE, &entry.span, message, hint));
            return None;
        };
        let read = from_toml(written);
        if read.is_none() {
            let message = format!("`{}` is no date with a day", entry.name());
            let hint = format!("write a date, as in `{} = 2026-01-01`, or a date and time", entry.name());
            self.add(Diagnostic::error(codes::DATE, &entry.span, message, hint));
        }
        read
    }

    /// The civil time in `zone` of a date that [`Self::date`] has already checked.
    pub(crate) fn civil_in(&self, name: &str, zone: &TimeZone) -> Option<civil::DateTime> {
        let DeValue::Datetime(written) = self.entry(name)?.value else { return None };
        let (civil, instant) = from_toml(written)?;
        Some(instant.map_or(civil, |instant| zone.to_datetime(instant.into())))
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

    /// Money in `currency`, which is what `whose` amounts are in.
    pub(crate) fn check_currency(&self, entry: &Entry<'a>, found: Currency, currency: Currency) -> bool {
        if found == currency {
            return true;
        }
        let message = format!("`{}` is in {found}, but the amounts here are in {currency}", entry.name());
        let hint = format!("write it in {currency}; a contract's own currency is set by its `currency`");
        self.add(Diagnostic::error(codes::CURRENCY, &entry.span, message, hint));
        false
    }

    /// An amount of any currency, which is noted as used.
    pub(crate) fn amount(&self, name: &str) -> Option<Amount> {
        let amount: Amount = self.figure(name)?;
        self.findings.currencies.borrow_mut().entry(amount.currency).or_insert_with(|| self.span(name));
        Some(amount)
    }

    /// Whether the figure behind `name` is within bounds; reports it otherwise.
    pub(crate) fn check(&self, name: &str, fits: bool, message: &str, hint: &str) -> bool {
        if !fits {
            self.add(Diagnostic::error(codes::RANGE, &self.span(name), format!("`{name}` {message}"), hint));
        }
        fits
    }

    /// A whole number within bounds.
    pub(crate) fn count(&self, name: &str, least: i64, most: i64) -> Option<i64> {
        let crate::figure::Count(count) = self.figure(name)?;
        let hint = format!("write a whole number from {least} to {most}");
        self.check(name, (least..=most).contains(&count), &format!("is {count}"), &hint).then_some(count)
    }
}

fn from_toml(written: &Datetime) -> Option<(civil::DateTime, Option<Instant>)> {
    let date = written.date?;
    let [month, day] = [date.month, date.day].map(|part| i8::try_from(part).ok());
    let date = civil::Date::new(i16::try_from(date.year).ok()?, month?, day?).ok()?;
    let time = match written.time {
        None => civil::Time::midnight(),
        Some(time) => {
            let [hour, minute, second] = [time.hour, time.minute, time.second.unwrap_or(0)].map(|part| i8::try_from(part).ok());
            civil::Time::new(hour?, minute?, second?.min(59), i32::try_from(time.nanosecond.unwrap_or(0)).ok()?).ok()?
        }
    };
    let civil = date.to_datetime(time);
    let minutes = match written.offset {
        None => return Some((civil, None)),
        Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => minutes,
    };
    let utc = TimeZone::UTC.to_timestamp(civil).ok()?;
    let instant = utc.checked_sub(jiff::SignedDuration::from_mins(i64::from(minutes))).ok()?;
    Some((civil, Some(Instant::from(instant))))
}

fn as_written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        _ => String::new(),
    }
}

fn keys_hint(keys: &[Key]) -> String {
    let names: Vec<_> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
    if names.is_empty() { "leave it out".to_owned() } else { format!("the keys here are {}", names.join(", ")) }
}
