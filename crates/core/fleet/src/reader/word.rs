//! Texts, words of a list, and names of rows.

use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::id::Id;
use crate::keys::{Kind, example};
use crate::reader::{Entry, Reader};
use crate::spelling;

impl<'a> Reader<'a> {
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
        if self.too_many(&entry, elements.len()) {
            return Vec::new();
        }
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
        let mut first = BTreeMap::new();
        for (entry, text) in texts {
            if let Some(earlier) = first.get(text) {
                let message = format!("`{}` is listed twice", spelling::shown(text));
                let problem = Diagnostic::error(codes::TWICE, &entry.span, message, "leave one out");
                self.add(problem.related(earlier, "first here"));
            } else {
                first.insert(*text, entry.span.clone());
            }
        }
    }

    /// The row that a key names.
    pub(crate) fn named<I: Id>(&self, name: &str, kind: Kind) -> Option<I> {
        let entry = self.entry(name)?;
        let text = self.text_of(&entry, &format!("\"...\", the name of {}", kind.one()))?;
        self.named_of(&entry, text, kind)
    }

    /// The row that a text names.
    pub(crate) fn named_of<I: Id>(&self, entry: &Entry<'a>, text: &str, kind: Kind) -> Option<I> {
        let found = self.findings.id(kind, text);
        if found.is_none() && !self.findings.is_full() {
            let message = format!("there is no {} named `{}`", kind.singular(), spelling::shown(text));
            let names = || self.findings.names.get(&kind).into_iter().flatten().map(|(name, _)| *name);
            let place = spelling::nearest(text, names()).and_then(|near| self.findings.id::<I>(kind, near));
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
                Some(id) => problem.related(&self.findings.place(kind, id), format!("{} with a similar name", kind.one())),
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
}
