//! What a reference request would cost now, and whether there is room for a line beside live traffic.

use dispatch::{Ask, KeyScope, Needs, Question, RequestId, SeenAll, decide};
use fleet::{EndpointId, ModelId, ServiceTier};
use market::Tokens;
use units::Money;

use crate::seen;
use crate::snapshot::Snapshot;
use crate::state::State;

/// The tokens of the request by which prices are compared over time, where the model's context takes them.
const REFERENCE: Tokens = Tokens { input: 1_000, cached: 0, output: 250 };

/// The cheapest endpoint of a model for the reference request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cheapest {
    pub price: Money,
    pub endpoint: EndpointId,
    /// Requests sent there and not yet ended, and how many it runs at once.
    pub outstanding: u32,
    pub slots: u32,
    /// The mean time that a request stays there, in microseconds; zero when unknown.
    pub service_us: u32,
}

impl Cheapest {
    /// Whether a line fits there beside `more` that are about to begin, with a slot left for a live request.
    pub fn has_room(&self, more: u32) -> bool {
        let taken = self.outstanding.saturating_add(more);
        if self.slots < 2 { taken == 0 } else { taken.saturating_add(1) < self.slots }
    }
}

/// Where the reference request would go now, as `dispatch` decides it; `None` when no endpoint is eligible.
pub(crate) fn cheapest(state: &State, snapshot: &Snapshot, model: ModelId) -> Option<Cheapest> {
    let (now, sheet) = (state.clock.now(), snapshot.sheet.as_deref()?);
    let context = snapshot.fleet.models[model].context;
    let tokens = Tokens { input: REFERENCE.input.min(context / 2), output: REFERENCE.output.min(context / 4), ..REFERENCE };
    let ask = Ask {
        id: RequestId(0),
        sequence: 0,
        model,
        tier: ServiceTier::Batch,
        needs: Needs::default(),
        tokens,
        input_least: 0,
        output_max: tokens.output,
        scope: KeyScope::default(),
    };
    let (valid_until, usable_until) = (sheet.valid_until, sheet.usable_until);
    let fleet = snapshot.fleet.version;
    let mut question =
        Question { now, fleet, policy: snapshot.policy, valid_until, usable_until, ask, wish: None, funds: None, seen: SeenAll::new() };
    for endpoint in snapshot.endpoints(model) {
        question.seen.push(seen::observed(state, snapshot, *endpoint, now));
    }
    let decision = decide(&snapshot.fleet, &question).ok()?;
    let seen = question.seen.iter().find(|seen| seen.endpoint == decision.endpoint)?;
    Some(Cheapest {
        price: decision.cost.total(),
        endpoint: decision.endpoint,
        outstanding: seen.outstanding,
        slots: snapshot.fleet.endpoints[decision.endpoint].slots,
        service_us: seen.service_us,
    })
}
