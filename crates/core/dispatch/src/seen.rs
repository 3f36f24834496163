//! What was observed of each candidate when a decision was taken.

pub use fleet::ENDPOINTS_MAX;

use fleet::EndpointId;
use market::{EndpointPrice, PAYERS_MAX, Payer};
use serde::{Deserialize, Serialize};
use units::Instant;

/// Whether an endpoint answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// It does, as far as is known.
    #[default]
    Up,
    /// It failed of late; one request at a time may try it again.
    Probing,
    /// It failed; nothing is sent before that instant.
    Down {
        /// When a probe may go.
        until: Instant,
    },
}

/// One candidate as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Whether it answers.
    pub health: Health,
    /// Requests sent and not yet ended.
    pub outstanding: u32,
    /// The mean time that a request stays, in microseconds; zero when none has ended yet.
    pub service_us: u32,
    /// The mean time to the first content of late, in microseconds; zero when unknown.
    pub ttft_us: u32,
    /// The mean time per output token after it, in microseconds; zero when unknown.
    pub tpot_us: u32,
    /// Requests that it is sent in a thousand seconds.
    pub arrivals_per_ks: u32,
    /// Input tokens of this request that its cache is expected to hold.
    pub cached_tokens: u32,
    /// Weighted tokens that the provisioned units of each of its payers can take now; of no meaning without units.
    pub units_left: [i64; PAYERS_MAX],
    /// Whether this request tried it already.
    pub tried: bool,
    /// Whether the request can be said in its dialect.
    pub expressible: bool,
    /// Its price; `None` when nobody can pay for it now.
    pub price: Option<EndpointPrice>,
}

impl Seen {
    /// Each of its payers, with the weighted tokens that its units can take now.
    pub fn payers(&self) -> impl Iterator<Item = (&Payer, i64)> {
        let payers = self.price.as_ref().map_or(&[][..], |price| &price.payers[..]);
        payers.iter().zip(self.units_left).filter_map(|(payer, left)| Some((payer.as_ref()?, left)))
    }
}

/// All candidates of one decision, by endpoint; what is past [`ENDPOINTS_MAX`] is not looked at.
pub type SeenAll = Vec<Seen>;
