//! Models, profiles and endpoints.

use core::time::Duration;

use units::Bytes;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::figure::{Parameters, Ratio, Speed};
use crate::keys::{Key, Kind, Shape, may, must, or, words};
use crate::model::{Capability, Dialect, Endpoint, KeyAs, Model, Picker, Profile, ProfileBasis, Secret, StreamUsage, TokenWeights};
use crate::parse::secret;
use crate::reader::Reader;

const CAPABILITIES: [(&str, Capability); 9] = [
    ("chat", Capability::Chat),
    ("completions", Capability::Completions),
    ("embeddings", Capability::Embeddings),
    ("tools", Capability::Tools),
    ("json-schema", Capability::JsonSchema),
    ("vision", Capability::Vision),
    ("logprobs", Capability::Logprobs),
    ("multiple-choices", Capability::MultipleChoices),
    ("responses", Capability::Responses),
];
const CAPABILITY_WORDS: &[&str] = &words(&CAPABILITIES);

const WEIGHTS: &[Key] = &[
    or("input", "1", Shape::Figure("1"), "an input token"),
    or("cached", "1", Shape::Figure("0.5"), "a cached input token"),
    or("output", "1", Shape::Figure("4"), "an output token"),
];

pub(crate) const MODEL: &[Key] = &[
    or("aliases", "none", Shape::Texts, "other names that clients may use"),
    must("parameters", Shape::Figure("\"70 B\""), "how many it has"),
    must("context", Shape::Figure("8192"), "tokens of the longest prompt and answer together"),
    or("memory", "two bytes a parameter", Shape::Figure("\"140 GB\""), "what one replica needs"),
    or("capabilities", "[\"chat\", \"completions\"]", Shape::Words(CAPABILITY_WORDS), "what it can do"),
    or("weights", "1 each", Shape::Table(WEIGHTS), "how its tokens weigh on provisioned units and in the split of a replica's time"),
    may("file", Shape::Text("llama-70b.gguf"), "the file or the name that the executor loads"),
];

const BASES: [(&str, ProfileBasis); 2] = [("measured", ProfileBasis::Measured), ("roofline", ProfileBasis::Roofline)];
const BASIS_WORDS: &[&str] = &words(&BASES);

pub(crate) const PROFILE: &[Key] = &[
    must("model", Shape::Name(Kind::Model), "which model"),
    must("accelerator", Shape::Name(Kind::Accelerator), "on which accelerator"),
    or("accelerators", "1", Shape::Figure("8"), "accelerators in one replica"),
    must("prefill", Shape::Figure("\"12000 tokens/s\""), "prompt tokens a second, one request alone"),
    must("decode", Shape::Figure("\"60 tokens/s\""), "answer tokens a second, one request alone"),
    must("decode_batch", Shape::Figure("\"2400 tokens/s\""), "answer tokens a second of a full batch, all together"),
    must("slots", Shape::Figure("64"), "requests that run at once"),
    must("start", Shape::Figure("\"90 s\""), "how long a replica takes to start"),
    must("basis", Shape::Word(BASIS_WORDS), "measured, or estimated from peak arithmetic and bandwidth"),
];

const DIALECTS: [(&str, Dialect); 4] =
    [("openai", Dialect::OpenAi), ("azure", Dialect::Azure), ("anthropic", Dialect::Anthropic), ("gemini", Dialect::Gemini)];
const DIALECT_WORDS: &[&str] = &words(&DIALECTS);

const KEYS_AS: [(&str, KeyAs); 1] = [("bearer", KeyAs::Bearer)];
const KEY_AS_WORDS: &[&str] = &words(&KEYS_AS);

const PICKERS: [(&str, Picker); 1] = [("llm-d", Picker::LlmD)];
const PICKER_WORDS: &[&str] = &words(&PICKERS);

const STREAM_USAGES: [(&str, StreamUsage); 2] = [("asked", StreamUsage::Asked), ("always", StreamUsage::Always)];
const STREAM_USAGE_WORDS: &[&str] = &words(&STREAM_USAGES);

pub(crate) const ENDPOINT: &[Key] = &[
    must("model", Shape::Name(Kind::Model), "which model it serves"),
    may("pool", Shape::Name(Kind::Pool), "on which pool; a hosted API has none"),
    or("replicas", "1", Shape::Figure("2"), "replicas on the pool"),
    or("region", "its pool's site's", Shape::Name(Kind::Region), "where it answers"),
    or("dialect", "openai", Shape::Word(DIALECT_WORDS), "the wire format"),
    may("url", Shape::Text("https://api.example.com/v1"), "the base URL; a pool's executor says it when it is left out"),
    or("upstream_model", "our name for it", Shape::Text("llama-70b-instruct"), "what the upstream calls the model"),
    may("api_version", Shape::Text("2024-10-21"), "the version of Azure's API, for deployments of its older surface"),
    or(
        "output_max",
        "8192 in anthropic",
        Shape::Figure("64000"),
        "the most answer tokens it takes: asked for where a dialect needs a most and a request has none",
    ),
    may("key", Shape::Secret, "where the upstream's key is to be found"),
    or("key_as", "as its dialect has it", Shape::Word(KEY_AS_WORDS), "in `Authorization: Bearer`, whatever the dialect"),
    may("organization", Shape::Text("org-4711"), "the organisation that its supplier counts requests to, as `OpenAI-Organization`"),
    may("project", Shape::Text("proj_4711"), "the project that its supplier counts requests to, as `OpenAI-Project`"),
    may("picker", Shape::Word(PICKER_WORDS), "what picks a server behind the URL: it is told each request's tier and whose it is"),
    or(
        "stream_usage",
        "asked",
        Shape::Word(STREAM_USAGE_WORDS),
        "when it says what a stream used: asked by `stream_options`, or always, as one that refuses that field",
    ),
    or("slots", "16", Shape::Figure("64"), "requests that it runs at once, over all replicas"),
    or("queue", "64", Shape::Figure("256"), "requests that may wait there"),
    may("profile", Shape::Name(Kind::Profile), "how fast one replica is"),
    or("shadow", "false", Shape::Flag, "whether its model's requests go here under `up --shadow` when they don't say where"),
];

/// Requests at once, replicas and queue places that an endpoint may have at most.
const SLOTS_MAX: i64 = 1_000_000;

pub(super) fn model(row: &Reader<'_>) -> Option<Model> {
    let aliases = row.texts("aliases").iter().map(|(_, alias)| (*alias).to_owned()).collect();
    let parameters: Option<Parameters> = row.figure("parameters");
    let context = row.count("context", 1, 100_000_000);
    let memory: Option<Bytes> = row.figure("memory");
    let capabilities =
        if row.has("capabilities") { row.words("capabilities", &CAPABILITIES) } else { vec![Capability::Chat, Capability::Completions] };
    let weights = weights(row);
    let file = row.text("file").map(str::to_owned);
    let Parameters(parameters) = parameters?;
    let context = u32::try_from(context?).ok()?;
    let memory = memory.unwrap_or_else(|| Bytes::new(parameters.saturating_mul(2)));
    Some(Model { aliases, parameters, context, memory, capabilities, weights, file })
}

fn weights(row: &Reader<'_>) -> TokenWeights {
    let table = row.table("weights", WEIGHTS);
    let weight = |name: &str| {
        let table = table.as_ref()?;
        let Ratio(weight) = table.figure(name)?;
        table
            .check(name, (0..=1_000_000_000).contains(&weight), "is not from 0 to 1000", "write how many input tokens it counts as")
            .then_some(weight)
    };
    let or_one = |name: &str| weight(name).unwrap_or(1_000_000);
    TokenWeights { input_ppm: or_one("input"), cached_ppm: or_one("cached"), output_ppm: or_one("output") }
}

pub(super) fn profile(row: &Reader<'_>) -> Option<Profile> {
    let (model, accelerator) = (row.named("model", Kind::Model), row.named("accelerator", Kind::Accelerator));
    let accelerators = if row.has("accelerators") { row.count("accelerators", 1, 65_536) } else { Some(1) };
    let speed = |name: &str| {
        let Speed(speed) = row.figure(name)?;
        let fits = row.check(name, (1..=i64::from(u32::MAX)).contains(&speed), "is zero or out of range", "write at least 1 tokens/s");
        fits.then(|| u32::try_from(speed).unwrap_or(u32::MAX))
    };
    let (prefill, decode, decode_batch) = (speed("prefill"), speed("decode"), speed("decode_batch"));
    let slots = row.count("slots", 1, SLOTS_MAX);
    let start: Option<Duration> = row.figure("start");
    let basis = row.word("basis", &BASES);
    Some(Profile {
        model: model?,
        accelerator: accelerator?,
        accelerators: u32::try_from(accelerators?).ok()?,
        prefill_per_second: prefill?,
        decode_per_second: decode?,
        decode_batch_per_second: decode_batch?,
        slots: u32::try_from(slots?).ok()?,
        start: start?,
        basis: basis?,
    })
}

pub(super) fn endpoint(row: &Reader<'_>) -> Option<Endpoint> {
    let (model, pool) = (row.named("model", Kind::Model), row.named("pool", Kind::Pool));
    let count = |name: &str, default: u32, least: i64| {
        if row.has(name) { row.count(name, least, SLOTS_MAX).and_then(|count| u32::try_from(count).ok()) } else { Some(default) }
    };
    let (replicas, slots, queue) = (count("replicas", 1, 1), count("slots", 16, 1), count("queue", 64, 0));
    let region = row.named("region", Kind::Region);
    let dialect = if row.has("dialect") { row.word("dialect", &DIALECTS) } else { Some(Dialect::OpenAi) };
    let url = row.text("url");
    if let Some(url) = url {
        secret::check_url(row, url);
    } else if !row.has("pool") && !row.has("url") {
        let hint = "add `pool = \"...\"` for replicas of your own, or `url = \"https://...\"` for a hosted API";
        let message = format!("endpoint `{}` has neither a pool nor a URL", row.path.rsplit('.').next().unwrap_or_default());
        row.add(Diagnostic::error(codes::NOWHERE, &row.place, message, hint));
    }
    let upstream_model = row.text("upstream_model").map(str::to_owned);
    let api_version = row.text("api_version").filter(|version| check_version(row, version, dialect)).map(str::to_owned);
    let output_max = row.has("output_max").then(|| row.count("output_max", 1, 100_000_000)).flatten();
    let output_max = output_max.and_then(|count| u32::try_from(count).ok());
    let key: Option<Secret> = row.entry("key").and_then(|entry| secret::read(row, &entry));
    let stated = row.has("key_as") && row.check("key_as", row.has("key"), "is said of no key", "add `key = { env = \"NAME\" }`");
    let key_as = if stated { row.word("key_as", &KEYS_AS) } else { Some(KeyAs::Dialect) };
    let (organization, project) = (counted_to(row, "organization", dialect), counted_to(row, "project", dialect));
    let picker = picker(row, dialect);
    let asked = dialect.is_none_or(|dialect| matches!(dialect, Dialect::OpenAi | Dialect::Azure));
    let stated = row.has("stream_usage")
        && row.check("stream_usage", asked, "is for the dialects `openai` and `azure` only", "leave one of the two out");
    let stream_usage = if stated { row.word("stream_usage", &STREAM_USAGES) } else { Some(StreamUsage::Asked) };
    let profile = row.named("profile", Kind::Profile);
    let shadow = row.flag("shadow").unwrap_or(false);
    Some(Endpoint {
        model: model?,
        pool,
        replicas: replicas?,
        region,
        dialect: dialect?,
        url: url.unwrap_or_default().to_owned(),
        upstream_model,
        api_version,
        output_max,
        key,
        key_as: key_as?,
        organization,
        project,
        picker,
        stream_usage: stream_usage?,
        slots: slots?,
        queue: queue?,
        profile,
        shadow,
    })
}

/// Whom a supplier of OpenAI's dialect counts requests to; it goes into a head as it is.
fn counted_to(row: &Reader<'_>, name: &str, dialect: Option<Dialect>) -> Option<String> {
    let text = row.text(name)?;
    let is_visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let known = dialect.is_none_or(|dialect| dialect == Dialect::OpenAi);
    let fits =
        row.check(name, is_visible, "has characters that no header may have, or none", "write it as the supplier's console shows it")
            && row.check(name, known, "is for the dialect `openai` only", "leave one of the two out");
    fits.then(|| text.to_owned())
}

/// A picker stands behind a URL and reads the requests that come there; it knows two of the dialects.
fn picker(row: &Reader<'_>, dialect: Option<Dialect>) -> Option<Picker> {
    if !row.has("picker") || !row.check("picker", row.has("url"), "is said of no URL", "add `url`: where its gateway listens") {
        return None;
    }
    let known = dialect.is_none_or(|dialect| matches!(dialect, Dialect::OpenAi | Dialect::Anthropic));
    let fits = row.check("picker", known, "is for the dialects `openai` and `anthropic` only", "leave one of the two out");
    if fits { row.word("picker", &PICKERS) } else { None }
}

/// Azure dates its versions, and marks some as previews; no other dialect has any.
fn check_version(row: &Reader<'_>, version: &str, dialect: Option<Dialect>) -> bool {
    let hint = "write `dialect = \"azure\"` beside it, or leave it out";
    if !row.check("api_version", dialect == Some(Dialect::Azure), "is for the dialect `azure` only", hint) {
        return false;
    }
    let date = version.strip_suffix("-preview").unwrap_or(version).as_bytes();
    let dated = date.len() == 10
        && date.iter().enumerate().all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
    row.check("api_version", dated, "is no version of Azure's API", "write its date, as in \"2024-10-21\" or \"2025-04-01-preview\"")
}
