//! Where a chat's fields stand in the response that it tells: its client is told of what it wrote.

use crate::responses::ask::Asked;

/// What of the request a message of the chat was made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    Instructions,
    /// The input, where that is one text.
    Text,
    /// An item of the input, with the items of the calls that belong to it.
    Item {
        at: usize,
        calls: Vec<usize>,
    },
    /// An item with what a tool answered.
    Output {
        at: usize,
    },
}

/// Fields that are called otherwise.
const RENAMED: [(&str, &str); 4] = [
    ("reasoning_effort", "reasoning.effort"),
    ("response_format", "text.format"),
    ("verbosity", "text.verbosity"),
    ("max_completion_tokens", "max_output_tokens"),
];

impl Asked {
    /// Where a field of the chat stands in the response that was asked for.
    #[must_use]
    pub fn place(&self, of_chat: &str) -> String {
        if let Some(rest) = within(of_chat, "messages") {
            return self.place_in_input(rest);
        }
        let renamed = RENAMED.iter().find_map(|(chat, response)| Some(format!("{response}{}", flat(within(of_chat, chat)?))));
        renamed.unwrap_or_else(|| flat(of_chat))
    }

    fn place_in_input(&self, rest: &str) -> String {
        let Some((origin, rest)) = indexed(&self.origins, rest) else { return "input".to_owned() };
        match origin {
            Origin::Instructions => "instructions".to_owned(),
            Origin::Text => "input".to_owned(),
            Origin::Item { at, calls } => match rest.strip_prefix(".tool_calls").and_then(|rest| indexed(calls, rest)) {
                Some((at, ".id")) => format!("input[{at}].call_id"),
                Some((at, rest)) => format!("input[{at}]{}", flat(rest)),
                None => format!("input[{at}]{}", flat(rest)),
            },
            Origin::Output { at } => match rest.strip_prefix(".content") {
                Some(rest) => format!("input[{at}].output{}", flat(rest)),
                None => format!("input[{at}]{}", rest.replace(".tool_call_id", ".call_id")),
            },
        }
    }
}

/// What follows the name of a field in a place that is the field's or within it.
fn within<'a>(place: &'a str, name: &str) -> Option<&'a str> {
    place.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The thing whose number stands in front, in brackets, and what follows.
fn indexed<'a, 'b, T>(things: &'a [T], place: &'b str) -> Option<(&'a T, &'b str)> {
    let (number, rest) = place.strip_prefix('[')?.split_once(']')?;
    Some((things.get(number.parse::<usize>().ok()?)?, rest))
}

/// A place without the levels that only a chat has.
fn flat(place: &str) -> String {
    [(".function", ""), (".json_schema", ""), (".image_url.url", ".image_url"), (".image_url.detail", ".detail")]
        .into_iter()
        .fold(place.to_owned(), |place, (chat, response)| place.replace(chat, response))
}
