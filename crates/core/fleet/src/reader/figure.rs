//! Figures, plain or with their notes, and ramps of them.

use core::ops::Range;

use toml::de::DeValue;
use units::{Amount, Currency, Instant, Share, UnitError};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::figure::{Count, Figure, nearest_unit};
use crate::keys::{self, Kind, example};
use crate::model::FigureNote;
use crate::ramp::Ramp;
use crate::reader::{Entry, Reader};
use crate::spelling;

impl<'a> Reader<'a> {
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
        note.check_source();
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
        let near = |text: &str| nearest_unit(text, |text| T::read(text).is_ok());
        read.map_err(|error| self.report_unit(entry, &error, near, example)).ok()
    }

    fn report_unit(&self, entry: &Entry<'a>, error: &UnitError, near: impl Fn(&str) -> Option<String>, example: &str) {
        let code = if matches!(error, UnitError::OutOfRange { .. }) { codes::RANGE } else { codes::FIGURE };
        let hint = match error {
            UnitError::OutOfRange { .. } => format!("write a figure that can be, as in `{} = {example}`", entry.name()),
            UnitError::NotANumber { text } | UnitError::WrongUnit { text, .. } => match near(text) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if example.contains(|c: char| c.is_ascii_digit()) => {
                    format!("write the number and its unit, as in `{} = {example}`", entry.name())
                }
                None => format!("write it as in `{} = {example}`", entry.name()),
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

    /// A share of a whole.
    pub(crate) fn share(&self, name: &str) -> Option<Share> {
        let share: Share = self.figure(name)?;
        let fits = share >= Share::NONE && share <= Share::ALL;
        if !fits {
            let hint = "write a share from \"0 %\" to \"100 %\"";
            self.add(Diagnostic::error(codes::SHARE, &self.span(name), format!("`{name}` is {share} of a whole"), hint));
        }
        fits.then_some(share)
    }

    /// A share that is no part of a whole, such as a growth: in percent, from `least` to `most`.
    pub(crate) fn percent(&self, name: &str, least: i64, most: i64) -> Option<Share> {
        let share: Share = self.figure(name)?;
        let hint = format!("write a share from \"{least} %\" to \"{most} %\"");
        let fits = (least * 10_000..=most * 10_000).contains(&share.ppm());
        self.check(name, fits, &format!("is {share}"), &hint).then_some(share)
    }

    /// Warns of a source that no table `[sources]` explains, when the file has one.
    fn check_source(&self) {
        let Some(names) = self.findings.names.get(&Kind::Source) else { return };
        let Some(entry) = self.entry("source") else { return };
        let DeValue::String(text) = entry.value else { return };
        if names.binary_search_by(|(name, _)| (*name).cmp(text.as_ref())).is_err() && !self.findings.is_full() {
            let near = spelling::nearest(text, names.iter().map(|(name, _)| *name));
            let hint = near.map_or_else(
                || "name a row of `[sources]`, or add one with its `speaker`: it may say the rest in `says`".to_owned(),
                |near| format!("did you mean \"{near}\"?"),
            );
            let message = format!("no source is named `{}`", spelling::shown(text));
            self.add(Diagnostic::warning(codes::SOURCE, &entry.span, message, hint));
        }
    }

    /// A whole number within bounds.
    pub(crate) fn count(&self, name: &str, least: i64, most: i64) -> Option<i64> {
        let Count(count) = self.figure(name)?;
        let hint = format!("write a whole number from {least} to {most}");
        self.check(name, (least..=most).contains(&count), &format!("is {count}"), &hint).then_some(count)
    }
}

fn as_written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        _ => String::new(),
    }
}
