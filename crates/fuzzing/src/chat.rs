//! Requests, answers and streams in one dialect told in another.

use dialect::anthropic::{Overhearing, Telling};
use dialect::openai::Most;
use dialect::responses::to_chat;
use dialect::{About, Foreign, Hearing, anthropic, gemini, openai, told_as_anthropic};
use serde_json::Value;

fn about() -> About {
    About { id: "answer-1".to_owned(), created: 7, model: "model-1".to_owned() }
}

/// A request that is read and written says the same when it is read again, by way of another dialect too; what is written is JSON.
pub fn bodies(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(chat) = openai::read(&text) {
        there_and_back(&chat);
        if let Ok(told) = gemini::write(&chat) {
            json(&told.body());
        }
    }
    if let Ok(chat) = anthropic::read(&text) {
        there_and_back(&chat);
    }
    if let Ok((chat, _)) = to_chat(text.as_bytes()) {
        let text = String::from_utf8_lossy(&chat);
        json(&chat);
        // A response that can be asked for can be asked as a chat, and each dialect says what it can't.
        drop(openai::read(&text).map(|chat| json_of(&chat)));
    }
    answers(bytes);
}

fn json_of(chat: &dialect::Chat<'_>) {
    for told in [anthropic::write(chat).map(|told| told.body("m", 7)), gemini::write(chat).map(|told| told.body())] {
        drop(told.map(|told| json(&told)));
    }
}

fn there_and_back(chat: &dialect::Chat<'_>) {
    let Ok(written) = openai::write(chat).map(|told| told.body("m", Most::Tokens)) else { return };
    let written = text(written);
    let again = openai::read(&written).and_then(|chat| Ok(text(openai::write(&chat)?.body("m", Most::Tokens))));
    assert_eq!(again.as_ref().ok(), Some(&written), "what is written is read back: {:?}", again.as_ref().err());
    let Ok(there) = anthropic::write(chat).map(|told| text(told.body("m", 7))) else { return };
    let back = anthropic::read(&there);
    assert!(back.is_ok(), "what is written in Anthropic's words is read: {:?} of {there}", back.err());
}

/// Answers that are read are told as JSON.
fn answers(bytes: &[u8]) {
    for from in [Foreign::Anthropic, Foreign::Gemini] {
        if let Ok(told) = from.answer(bytes, &about()) {
            let chat = json(&told);
            assert!(chat.is_null() || chat["object"] == "chat.completion", "{chat}");
            if let Ok(back) = told_as_anthropic(&told, &about()) {
                let back = json(&back);
                assert!(back.is_null() || back["type"] == "message", "{back}");
            }
        }
    }
    if let Ok(told) = told_as_anthropic(bytes, &about()) {
        json(&told);
    }
}

fn json(bytes: &[u8]) -> Value {
    let read: Result<Value, _> = serde_json::from_slice(bytes);
    match read {
        Ok(value) => value,
        // What a client wrote past what a float holds is passed on as it was.
        Err(error) => {
            assert!(
                error.to_string().contains("number out of range") || error.to_string().contains("surrogate"),
                "{error} in {}",
                text(bytes.to_vec())
            );
            Value::Null
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("what is told is text")
}

/// A stream says the same wherever it is cut; nothing comes after its end; and what Anthropic's clients are told of it too.
///
/// The first byte says whose stream it is, the second how long the pieces are.
pub fn streams(bytes: &[u8]) {
    let [whose, piece, stream @ ..] = bytes else { return };
    let piece = usize::from(*piece).max(1);
    let from = if whose % 2 == 0 { Foreign::Anthropic } else { Foreign::Gemini };
    let whole = hear(from, [stream].into_iter());
    assert_eq!(whole, hear(from, stream.chunks(piece)), "cuts make a difference");
    if let Some(heard) = &whole {
        ends_once(heard);
        tell(heard, piece);
    }
    tell(stream, piece);
    let mut ear = Overhearing::default();
    for data in stream.split(|byte| *byte == b'\n') {
        _ = ear.event(data);
    }
}

/// What OpenAI's clients are told; nothing where it is no stream.
fn hear<'a>(from: Foreign, pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let (mut hearing, mut out) = (Hearing::new(from, about()), Vec::new());
    for piece in pieces {
        hearing.feed(piece, &mut out).ok()?;
    }
    hearing.end(&mut out);
    Some(out)
}

fn ends_once(stream: &[u8]) {
    let text = String::from_utf8_lossy(stream);
    let events: Vec<&str> = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    let end = events.iter().position(|data| *data == "[DONE]");
    assert!(end.is_none_or(|end| end + 1 == events.len()), "something comes after the end: {text}");
    events.iter().filter(|data| **data != "[DONE]").for_each(|data| drop(json(data.as_bytes())));
}

fn tell(stream: &[u8], piece: usize) {
    let told = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut telling, mut out) = (Telling::new(about()), Vec::new());
        pieces.for_each(|piece| telling.feed(piece, &mut out));
        (out, telling.is_over())
    };
    let whole = told(&mut [stream].into_iter());
    assert_eq!(whole, told(&mut stream.chunks(piece)), "cuts make a difference to what Anthropic's clients are told");
}
