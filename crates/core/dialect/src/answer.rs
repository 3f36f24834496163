//! An answer as all dialects mean it.

/// Tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens, those read from a cache among them.
    pub input: u32,
    /// Input tokens read from a cache.
    pub cached: u32,
    /// Output tokens, those of hidden thought among them.
    pub output: u32,
    /// Output tokens of hidden thought.
    pub reasoning: u32,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Tools,
    Filtered,
}

/// A whole answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub id: Option<String>,
    pub model: Option<String>,
    pub choices: Vec<Choice>,
    pub usage: Option<Usage>,
}

#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub text: Option<String>,
    pub calls: Vec<Call>,
    pub finish: Finish,
}

/// A call of a tool in an answer.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub id: String,
    pub name: String,
    /// JSON.
    pub input: String,
    pub signature: Option<String>,
}

/// What an answer is called when its upstream doesn't say, or says it otherwise than its client's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// An id, unlike any other answer's.
    pub id: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model.
    pub model: String,
}

/// Why what an upstream sent is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// It takes no more of what is ours: another may.
    #[error("it takes no more")]
    Busy,
    /// It has too much to do: another may have less.
    #[error("it is overloaded")]
    Overloaded,
    /// It failed, or it is no answer in its dialect.
    #[error("it failed")]
    Failed,
    /// It did its work and its model failed at it: what that used, where it says so.
    #[error("its model failed")]
    Fruitless(Option<Usage>),
    /// It can't be read: what it used is unknown.
    #[error("it can't be read")]
    Unread,
}
