//! How a stream ends whose upstream failed after content was sent: in the upstream's own words, where it had any that a client may hear.

use dialect::fault;

use crate::answer;
use crate::envelope::Refused;
use crate::relay::Relay;
use crate::upstream::Upstream;

/// Kinds and codes of errors that speak of our key or account: what they say is not for clients.
const OURS: [&str; 11] = [
    "authentication_error",
    "permission_error",
    "billing_error",
    "rate_limit_error",
    "invalid_api_key",
    "insufficient_quota",
    "rate_limit_exceeded",
    "401",
    "402",
    "403",
    "429",
];

/// What the client of a stream is told that ended with a failure.
pub(crate) fn refused(relay: &Relay, upstream: Option<&Upstream>) -> Refused {
    let ours = Refused::cut();
    // An upstream that repeats its key is not repeated.
    let said = upstream.filter(|upstream| !upstream.is_told_in(relay.error())).and_then(|_| told(relay));
    let refused = match said {
        Some(said) => {
            Refused { kind: said.kind, code: said.code.or(ours.code), param: said.param, message: said.message, theirs: true, ..ours }
        }
        None => ours,
    };
    if relay.is_anthropic() { refused.in_anthropic() } else { refused }
}

/// The upstream's error, unless it speaks of us.
fn told(relay: &Relay) -> Option<Refused> {
    let (status, said) = (Refused::cut().status, relay.error());
    let told = if relay.is_anthropic() {
        fault::of_anthropic(said).filter(|refusal| !refusal.is_ours).map(|refusal| answer::told(status, refusal))
    } else {
        answer::error(status, said)
    };
    told.filter(|told| !OURS.iter().any(|word| *word == &*told.kind || told.code.as_deref() == Some(*word)))
}
