//! The keys of the file, declared once: the reader, the schema and the reference are all made from this.

/// Whether a key must be there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// It must.
    Required,
    /// It may be left out.
    Optional,
    /// Left out, it is this.
    Default(&'static str),
}

/// A table of named rows that other places refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Party,
    Region,
    Site,
    Accelerator,
    Pool,
    Model,
    Profile,
    Endpoint,
    Contract,
    Workload,
    Source,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Party,
        Self::Region,
        Self::Site,
        Self::Accelerator,
        Self::Pool,
        Self::Model,
        Self::Profile,
        Self::Endpoint,
        Self::Contract,
        Self::Workload,
        Self::Source,
    ];

    /// The table that holds such rows.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Party => "parties",
            Self::Region => "regions",
            Self::Site => "sites",
            Self::Accelerator => "accelerators",
            Self::Pool => "pools",
            Self::Model => "models",
            Self::Profile => "profiles",
            Self::Endpoint => "endpoints",
            Self::Contract => "contracts",
            Self::Workload => "workloads",
            Self::Source => "sources",
        }
    }

    /// What one such row is called, with its article.
    pub(crate) const fn one(self) -> &'static str {
        match self {
            Self::Party => "a party",
            Self::Region => "a region",
            Self::Site => "a site",
            Self::Accelerator => "an accelerator",
            Self::Pool => "a pool",
            Self::Model => "a model",
            Self::Profile => "a profile",
            Self::Endpoint => "an endpoint",
            Self::Contract => "a contract",
            Self::Workload => "a workload",
            Self::Source => "a source",
        }
    }

    /// What one such row is called.
    pub(crate) fn singular(self) -> &'static str {
        self.one().split_once(' ').map_or("", |(_, name)| name)
    }
}

/// What stands behind a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Any text; with an example.
    Text(&'static str),
    /// `true` or `false`.
    Flag,
    /// A TOML date or date-time.
    Date,
    /// A list of dates.
    Dates,
    /// A figure with its unit as text, or a bare number; with an example as it is written.
    Figure(&'static str),
    /// A figure as it is written, of whatever kind fits.
    Plain,
    /// A figure, or a list of `{ from, is }` steps of it.
    Ramp(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words.
    Words(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// The name of a row.
    Name(Kind),
    /// Names of rows.
    Names(Kind),
    /// A table.
    Table(&'static [Key]),
    /// A table, or a list of them.
    Tables(&'static [Key]),
    /// A table whose keys are names that the file chooses.
    Named(&'static [Key]),
    /// Either of two.
    Either(&'static Shape, &'static Shape),
    /// Where a secret is to be found.
    Secret,
}

/// A key of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) need: Need,
    pub(crate) about: &'static str,
}

/// A key that must be there.
pub(crate) const fn must(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, need: Need::Required, about }
}

/// A key that may be left out.
pub(crate) const fn may(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, need: Need::Optional, about }
}

/// A key with a default.
pub(crate) const fn or(name: &'static str, default: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, need: Need::Default(default), about }
}

/// The words of a list of (word, meaning), so that both stand in one place.
pub(crate) const fn words<T: Copy, const N: usize>(pairs: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut index = 0;
    while index < N {
        words[index] = pairs[index].0;
        index += 1;
    }
    words
}

/// What a figure may say about itself, in place of the plain figure.
pub(crate) const NOTE: &[Key] = &[
    may("value", Shape::Plain, "the figure to plan and decide with"),
    may("low", Shape::Plain, "the low end of the range"),
    may("high", Shape::Plain, "the high end of the range"),
    may("source", Shape::Text("S005"), "who says so: a name of `[sources]`, when there is that table"),
    or("assumption", "false", Shape::Flag, "whether it is the lab's own assumption"),
];

/// A step of a ramp.
pub(crate) const STEP: &[Key] = &[must("from", Shape::Date, "from when"), must("is", Shape::Plain, "how much from then on")];

/// An example of a shape, as it is written.
pub(crate) fn example(shape: Shape) -> String {
    match shape {
        Shape::Figure(example) | Shape::Ramp(example) => example.to_owned(),
        Shape::Text(example) => format!("\"{example}\""),
        Shape::Plain => "\"4.5 GW\"".to_owned(),
        Shape::Flag => "true".to_owned(),
        Shape::Date => "2026-01-01".to_owned(),
        Shape::Dates => "[2026-01-01]".to_owned(),
        Shape::Word(words) => words.first().map_or_else(String::new, |word| format!("\"{word}\"")),
        Shape::Words(words) => words.first().map_or_else(String::new, |word| format!("[\"{word}\"]")),
        Shape::Texts => "[\"...\"]".to_owned(),
        Shape::Name(_) => "\"...\"".to_owned(),
        Shape::Names(_) => "[\"...\"]".to_owned(),
        Shape::Secret => "{ env = \"NAME\" }".to_owned(),
        Shape::Either(first, _) => example(*first),
        Shape::Table(_) | Shape::Tables(_) | Shape::Named(_) => String::new(),
    }
}
