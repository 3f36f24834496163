//! A request for a chat as all dialects mean it.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// A chat request, read from one dialect to be written in another. What it borrows is the client's own text.
#[derive(Clone, Debug)]
pub struct Chat<'a> {
    pub(crate) names: &'static Names,
    pub(crate) messages: Vec<Message<'a>>,
    pub(crate) tools: Vec<Tool<'a>>,
    pub(crate) choice: ToolChoice<'a>,
    /// Whether several tools may be called at once, when it was said.
    pub(crate) parallel: Option<bool>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) choices: u32,
    pub(crate) stop: Vec<Cow<'a, str>>,
    pub(crate) temperature: Option<&'a RawValue>,
    pub(crate) top_p: Option<&'a RawValue>,
    pub(crate) top_k: Option<&'a RawValue>,
    pub(crate) presence_penalty: Option<&'a RawValue>,
    pub(crate) frequency_penalty: Option<&'a RawValue>,
    pub(crate) seed: Option<&'a RawValue>,
    pub(crate) format: Format<'a>,
    pub(crate) effort: Option<Cow<'a, str>>,
    pub(crate) user: Option<Cow<'a, str>>,
    pub(crate) stream: bool,
}

/// What a dialect calls its fields: a client is told of what it wrote.
#[derive(Debug)]
pub(crate) struct Names {
    pub format: &'static str,
    pub effort: &'static str,
    pub user: &'static str,
    pub parallel: &'static str,
    /// Whether the model goes on with its own words where a request ends with them, rather than answer them.
    pub continues: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    /// Where it stands in the request.
    pub at: String,
    pub said: Said<'a>,
}

#[derive(Clone, Debug)]
pub(crate) enum Said<'a> {
    System(Vec<Cow<'a, str>>),
    User(Vec<Part<'a>>),
    Assistant { text: Vec<Cow<'a, str>>, calls: Vec<Call<'a>> },
    Tool { id: Cow<'a, str>, text: Vec<Cow<'a, str>>, failed: bool },
}

#[derive(Clone, Debug)]
pub(crate) enum Part<'a> {
    Text(Cow<'a, str>),
    Image { at: String, image: Image<'a> },
    Audio { at: String, format: Cow<'a, str>, data: Cow<'a, str> },
}

#[derive(Clone, Debug)]
pub(crate) enum Image<'a> {
    /// Base64.
    Inline {
        media: Cow<'a, str>,
        data: Cow<'a, str>,
    },
    Url(Cow<'a, str>),
}

/// A call of a tool that the model made.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub id: Cow<'a, str>,
    pub name: Cow<'a, str>,
    /// An object, as it was written.
    pub input: Box<RawValue>,
    /// What Gemini wants back with its calls.
    pub signature: Option<Cow<'a, str>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Tool<'a> {
    pub at: String,
    pub name: Cow<'a, str>,
    pub description: Option<Cow<'a, str>>,
    /// A JSON schema.
    pub input: Option<&'a RawValue>,
    pub strict: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum ToolChoice<'a> {
    #[default]
    Unsaid,
    Auto,
    Never,
    Any,
    Named(Cow<'a, str>),
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Format<'a> {
    #[default]
    Text,
    Json,
    Schema {
        name: Option<Cow<'a, str>>,
        schema: &'a RawValue,
    },
}

impl<'a> Chat<'a> {
    pub(crate) fn new(names: &'static Names, stream: bool) -> Self {
        Self {
            names,
            messages: Vec::new(),
            tools: Vec::new(),
            choice: ToolChoice::Unsaid,
            parallel: None,
            max_tokens: None,
            choices: 1,
            stop: Vec::new(),
            temperature: None,
            top_p: None,
            top_k: None,
            presence_penalty: None,
            frequency_penalty: None,
            seed: None,
            format: Format::Text,
            effort: None,
            user: None,
            stream,
        }
    }

    /// Whether it ends with the model's own words, to be continued by some dialects and answered by others.
    pub(crate) fn is_prefilled(&self) -> bool {
        matches!(self.messages.last(), Some(Message { said: Said::Assistant { .. }, .. }))
    }
}

impl<'a> Image<'a> {
    /// The image that a URL is or points at.
    pub(crate) fn at(url: Cow<'a, str>) -> Self {
        let inline = |url: &str| {
            let (media, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
            Some((media.to_owned(), data.to_owned()))
        };
        // A borrowed URL stays borrowed: it may be megabytes of image.
        match url {
            Cow::Borrowed(text) => match text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
                Some((media, data)) => Self::Inline { media: media.into(), data: data.into() },
                None => Self::Url(text.into()),
            },
            Cow::Owned(text) => match inline(&text) {
                Some((media, data)) => Self::Inline { media: media.into(), data: data.into() },
                None => Self::Url(text.into()),
            },
        }
    }
}
