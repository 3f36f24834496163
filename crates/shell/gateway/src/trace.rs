//! Traces: one span for each attempt, as OTLP writes it in JSON, with the attributes of OpenTelemetry's conventions for generative AI.

use dispatch::{AttemptId, KeyId, Known, Outcome, Settlement};
use fleet::{Dialect, Fleet, ModelId};
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use units::Instant;

use crate::logged::tokens_are;
use crate::observed::OUTCOMES;
use crate::peek::Call;

/// What of a request its spans need beside their settlements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The trace and the span that the client said it is part of.
    parent: Option<(u128, u64)>,
    /// Whether the client's trace is one that is kept; a request without any is.
    sampled: bool,
    operation: &'static str,
}

impl Default for Trace {
    fn default() -> Self {
        Self { parent: None, sampled: true, operation: "chat" }
    }
}

impl Trace {
    /// Goes on with the client's trace, where its head names one.
    pub fn of(head: &HeaderMap, call: Call) -> Self {
        let operation = match call {
            Call::Chat | Call::Responses | Call::Messages => "chat",
            Call::Completions => "text_completion",
            Call::Embeddings => "embeddings",
        };
        let parent = head.get("traceparent").and_then(|value| value.to_str().ok()).and_then(parent);
        let sampled = parent.is_none_or(|(.., flags)| flags & 1 == 1);
        Self { parent: parent.map(|(trace, span, _)| (trace, span)), sampled, operation }
    }

    /// Whether its spans are kept.
    pub fn is_sampled(self) -> bool {
        self.sampled
    }

    /// The trace that an attempt's span is of: without a client's, the request's id is the trace's.
    fn id(self, attempt: AttemptId) -> u128 {
        self.parent.map_or(attempt.request.0, |(trace, _)| trace)
    }

    /// What an upstream is told, so that its spans are within the attempt's.
    pub fn header(self, attempt: AttemptId) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("00-{:032x}-{:016x}-01", self.id(attempt), span_id(attempt.request.0, attempt.attempt))).ok()
    }

    /// The span of an attempt.
    pub fn span(self, fleet: &Fleet, key: KeyId, model: ModelId, settlement: &Settlement) -> Value {
        let request = settlement.attempt.request;
        let trace = self.id(settlement.attempt);
        let model = fleet.models.name(model);
        let failed = !matches!(settlement.outcome, Outcome::Answered | Outcome::ClientGone | Outcome::Outrun);
        let outcome = OUTCOMES.iter().find(|(known, _)| *known == settlement.outcome).map_or("interrupted", |(_, word)| *word);
        let text = |key: &str, value: String| json!({ "key": key, "value": { "stringValue": value } });
        let number = |key: &str, value: u64| json!({ "key": key, "value": { "intValue": value.to_string() } });
        let mut attributes = vec![
            text("gen_ai.operation.name", self.operation.to_owned()),
            text("gen_ai.provider.name", provider(fleet.endpoints[settlement.endpoint].dialect).to_owned()),
            text("gen_ai.request.model", model.to_owned()),
            text("baseload.request", request.to_string()),
            number("baseload.attempt", settlement.attempt.attempt.into()),
            number("baseload.key", key.0.into()),
            text("baseload.endpoint", fleet.endpoints.name(settlement.endpoint).to_owned()),
            text("baseload.contract", fleet.contracts.name(settlement.contract).to_owned()),
            text("baseload.outcome", outcome.to_owned()),
            text("baseload.tokens_are", tokens_are(settlement.known).to_owned()),
            text("baseload.list_cost", format!("{} {}", settlement.list, fleet.currency)),
        ];
        // A bound is no use that anybody saw.
        if settlement.known != Known::Bounded {
            attributes.extend([
                number("gen_ai.usage.input_tokens", settlement.tokens.input.into()),
                number("gen_ai.usage.output_tokens", settlement.tokens.output.into()),
                number("gen_ai.usage.cache_read.input_tokens", settlement.tokens.cached.into()),
            ]);
        }
        if failed {
            attributes.push(text("error.type", outcome.to_owned()));
        }
        let first = settlement.first_content.map(|at| json!({ "timeUnixNano": nanos(at), "name": "first content" }));
        json!({
            "traceId": format!("{trace:032x}"),
            "spanId": format!("{:016x}", span_id(request.0, settlement.attempt.attempt)),
            "parentSpanId": self.parent.map_or_else(String::new, |(_, span)| format!("{span:016x}")),
            "name": format!("{} {model}", self.operation),
            // A client's span: it is the upstream that serves.
            "kind": 3,
            "startTimeUnixNano": nanos(settlement.started),
            "endTimeUnixNano": nanos(settlement.ended),
            "attributes": attributes,
            "events": first.into_iter().collect::<Vec<_>>(),
            // An instrumentation leaves it unset where nothing failed.
            "status": { "code": if failed { 2 } else { 0 } },
        })
    }
}

/// Whose API an endpoint speaks, by the words of the conventions.
const fn provider(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "openai",
        Dialect::Azure => "azure.ai.openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gcp.gemini",
    }
}

/// Spans as a collector takes them.
pub(crate) fn document(spans: &[Value]) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "baseload" } }] },
        "scopeSpans": [{ "scope": { "name": "baseload.gateway", "version": env!("CARGO_PKG_VERSION") }, "spans": spans }],
    }] })
}

/// The trace, the span and the flags of a `traceparent` of version 00, or of a later one that begins alike.
fn parent(text: &str) -> Option<(u128, u64, u8)> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower = |part: &str, len: usize| part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let good = lower(version, 2) && version != "ff" && lower(trace, 32) && lower(span, 16) && lower(flags, 2);
    if !good || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let (trace, span) = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
    (trace != 0 && span != 0).then_some((trace, span, u8::from_str_radix(flags, 16).ok()?))
}

/// The id of an attempt's span: the lower bits of the request's id are random, so folding the others and the attempt's number into them
/// leaves it so. Zero means none, and is avoided.
fn span_id(request: u128, attempt: u8) -> u64 {
    let folded = (request ^ (request >> 64)) & u128::from(u64::MAX);
    let folded = u64::try_from(folded).unwrap_or_default() ^ u64::from(attempt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    folded.max(1)
}

fn nanos(at: Instant) -> String {
    (i128::from(at.micros()) * 1_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_only_when_it_is_one() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let ids = (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331);
        assert_eq!(parent(good), Some((ids.0, ids.1, 1)));
        assert_eq!(parent(&good.replace("-01", "-00")), Some((ids.0, ids.1, 0)));
        assert_eq!(parent(&good.replace("00-0", "01-0").replace("-01", "-01-more")), Some((ids.0, ids.1, 1)));
        for bad in [
            "",
            "00",
            &good.replace("00-0", "ff-0"),
            &good.to_uppercase(),
            &format!("{good}-more"),
            &good.replace("b7ad6b7169203331", "0000000000000000"),
            &good.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
            &good.replace("b7ad", "b7a"),
        ] {
            assert_eq!(parent(bad), None, "{bad}");
        }
    }
}
