//! The table of targets.

use crate::{auth, bodies, chat, contract, fleet, focus, head, journal, litellm, paths, sse, streams, units};

/// A target's name, which is its corpus' too, and the target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 13] = [
    ("auth", auth),
    ("bodies", bodies),
    ("chat", chat),
    ("contract", contract),
    ("fleet", fleet),
    ("focus", focus),
    ("head", head),
    ("journal", journal),
    ("litellm", litellm),
    ("paths", paths),
    ("sse", sse),
    ("streams", streams),
    ("units", units),
];
