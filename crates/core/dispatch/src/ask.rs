//! What dispatch knows of a request.

use arrayvec::ArrayVec;
use fleet::{Capability, ModelId, RegionId, ServiceTier};
use market::Tokens;
use serde::{Deserialize, Serialize};

/// A request's id, drawn by the gateway of the time and randomness: what `x-request-id` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u128);

impl core::fmt::Display for RequestId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "req_{:032x}", self.0)
    }
}

impl core::str::FromStr for RequestId {
    type Err = core::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text.strip_prefix("req_").unwrap_or(text), 16).map(Self)
    }
}

/// The capabilities that a request needs, as a set of bits in the order of [`Capability`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs(u16);

impl Needs {
    /// These and `capability`.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u16)
    }

    /// The first need that `offered` lacks.
    #[must_use]
    pub fn missing(self, offered: &[Capability]) -> Option<Capability> {
        use Capability as C;
        let all =
            [C::Chat, C::Completions, C::Embeddings, C::Tools, C::JsonSchema, C::Vision, C::Logprobs, C::MultipleChoices, C::Responses];
        all.into_iter().find(|capability| self.0 & 1 << (*capability as u16) != 0 && !offered.contains(capability))
    }
}

/// What a key may use; an empty list allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyScope {
    /// Which models.
    pub models: ArrayVec<ModelId, 16>,
    /// Which regions requests may go to.
    pub regions: ArrayVec<RegionId, 8>,
}

/// A request, as far as choosing an endpoint needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Its id.
    pub id: RequestId,
    /// How many requests this process took before it: what round robin turns on.
    pub sequence: u64,
    /// Which model.
    pub model: ModelId,
    /// Which class of service.
    pub tier: ServiceTier,
    /// What it needs of the endpoint.
    pub needs: Needs,
    /// Tokens expected: input estimated from the body, output learnt or as bounded; `cached` is the best any candidate holds.
    pub tokens: Tokens,
    /// The fewest tokens that its input can be: what decides whether it fits a context.
    pub input_least: u32,
    /// The most output tokens it may take.
    pub output_max: u32,
    /// What its key may use.
    pub scope: KeyScope,
}
