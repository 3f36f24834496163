//! Upstreams behind a picker, which chooses among servers of its own: what it is told of a request, and what a refusal from there means.
//!
//! llm-d's is asked by Envoy, or another proxy, where each request shall go; both refuse in words of their own.

use dispatch::{Fault, KeyId};
use fleet::{Picker, ServiceTier};
use http_body_util::{BodyExt, Limited};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::limits::ERROR_BODY_MAX;
use crate::wire::Coming;

/// Whose request it is and of which tier, as its picker is told.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    picker: Picker,
    tier: ServiceTier,
    whose: HeaderValue,
}

/// What llm-d's picker reads a request's objective from, and what it did so before its release 0.9: of both it takes the first.
static OBJECTIVE: [HeaderName; 2] =
    [HeaderName::from_static("x-llm-d-inference-objective"), HeaderName::from_static("x-gateway-inference-objective")];
/// The same for whom it shares its servers among.
static FAIRNESS: [HeaderName; 2] =
    [HeaderName::from_static("x-llm-d-inference-fairness-id"), HeaderName::from_static("x-gateway-inference-fairness-id")];

impl Share {
    /// The share of a team, or of a key that has none: its number, as no supplier needs to know what a person calls it.
    pub fn of(picker: Picker, tier: ServiceTier, key: KeyId, team: Option<&str>) -> Self {
        let whose = team.and_then(|team| HeaderValue::from_str(team).ok());
        // No team has a `#` in its name.
        let whose = whose.or_else(|| HeaderValue::try_from(format!("key#{}", key.0)).ok());
        Self { picker, tier, whose: whose.unwrap_or_else(|| HeaderValue::from_static("")) }
    }

    /// Tells the picker.
    pub fn tell(&self, head: &mut HeaderMap) {
        match self.picker {
            Picker::LlmD => {
                for (objective, fairness) in OBJECTIVE.iter().zip(&FAIRNESS) {
                    head.insert(objective, HeaderValue::from_static(self.tier.word()));
                    head.insert(fairness, self.whose.clone());
                }
            }
        }
    }
}

/// A picker's 429. It sheds one tier and not another: so it does not say that units of ours are used up, and when it says to come back, that
/// is nothing to the others.
pub(crate) const SHED: Fault = Fault::Overloaded { retry_after_ms: 0 };

/// Why llm-d's picker dropped a request.
const DROPPED: &str = "x-llm-d-request-dropped-reason";

/// What back-pressure from behind a picker really tells of: whether a server had begun with the request, or there was none at all.
pub(crate) async fn fault(told: Fault, head: &HeaderMap, body: Coming) -> Fault {
    if !matches!(told, Fault::Overloaded { .. }) {
        return told;
    }
    match head.get(DROPPED).map(HeaderValue::as_bytes) {
        Some(b"rejected-no-endpoints") => Fault::Unreachable,
        Some(reason) if reason.starts_with(b"evicted") => Fault::Evicted,
        Some(_) => told,
        None => match Limited::new(body, ERROR_BODY_MAX).collect().await {
            Ok(body) => of_envoy(&body.to_bytes()).unwrap_or(told),
            Err(_) => told,
        },
    }
}

/// What Envoy says of the server that was picked, in a text; `None` when it is something else.
fn of_envoy(body: &[u8]) -> Option<Fault> {
    if body.starts_with(b"no healthy upstream") {
        return Some(Fault::Unreachable);
    }
    let reset = body.strip_prefix(b"upstream connect error or disconnect/reset before headers")?;
    let says = |text: &str| memchr::memmem::find(reset, text.as_bytes()).is_some();
    if says("overflow") {
        return None;
    }
    // One server that takes no connection is not all of them, so it is not the same as nobody listening here.
    Some(if says("connection failure") || says("connection timeout") { Fault::Broken } else { Fault::Lost })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoy_says_whether_a_server_had_the_request() {
        let reset = |reason: &str| format!("upstream connect error or disconnect/reset before headers. {reason}");
        for (text, want) in [
            ("no healthy upstream".to_owned(), Some(Fault::Unreachable)),
            (reset("reset reason: connection termination"), Some(Fault::Lost)),
            (reset("retried and the latest reset reason: remote connection failure, transport failure reason: ..."), Some(Fault::Broken)),
            (reset("reset reason: connection timeout"), Some(Fault::Broken)),
            (reset("reset reason: overflow"), None),
            (r#"{"error":{"message":"no healthy upstream","type":"server_error","code":503}}"#.to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(of_envoy(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn a_share_is_a_teams_or_a_keys() {
        let told = |team| {
            let mut head = HeaderMap::new();
            Share::of(Picker::LlmD, ServiceTier::Flex, KeyId(7), team).tell(&mut head);
            let value = |name: &HeaderName| head.get(name).and_then(|value| value.to_str().ok().map(str::to_owned));
            [OBJECTIVE.each_ref().map(value), FAIRNESS.each_ref().map(value)].map(|[new, old]| new.filter(|new| Some(new) == old.as_ref()))
        };
        assert_eq!(told(Some("research")), [Some("flex".to_owned()), Some("research".to_owned())]);
        assert_eq!(told(None), [Some("flex".to_owned()), Some("key#7".to_owned())]);
    }
}
