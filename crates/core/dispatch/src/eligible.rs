//! Which endpoints may serve a request at all, and who would pay.

use fleet::{ContractId, Fleet, Use};
use market::{EndpointPrice, Payer};

use crate::decide::{Question, Reason};
use crate::seen::{Health, Seen};
use crate::{funds, score};

/// Who pays for this request there, or why it can't go there.
pub(crate) fn eligible(fleet: &Fleet, question: &Question, seen: &Seen) -> Result<Payer, Reason> {
    let (ask, endpoint) = (&question.ask, &fleet.endpoints[seen.endpoint]);
    let model = &fleet.models[endpoint.model];
    let out_of_scope = (!ask.scope.models.is_empty() && !ask.scope.models.contains(&endpoint.model))
        || (!ask.scope.regions.is_empty() && !endpoint.region.is_some_and(|region| ask.scope.regions.contains(&region)));
    if endpoint.model != ask.model || out_of_scope {
        return Err(Reason::OutOfScope);
    }
    if ask.input_least >= model.context {
        return Err(Reason::ContextTooLong { limit: model.context });
    }
    if let Some(capability) = ask.needs.missing(&model.capabilities) {
        return Err(Reason::Lacks(capability));
    }
    if !seen.expressible {
        return Err(Reason::Inexpressible);
    }
    if seen.tried {
        return Err(Reason::Tried);
    }
    match seen.health {
        Health::Up => {}
        Health::Probing if seen.outstanding == 0 => {}
        Health::Probing => return Err(Reason::Probing),
        Health::Down { until } if question.now >= until && seen.outstanding == 0 => {}
        Health::Down { until } => return Err(Reason::Down { until }),
    }
    if seen.outstanding >= endpoint.slots.saturating_add(endpoint.queue) {
        return Err(Reason::Full);
    }
    let payer = payer(question, fleet, seen, seen.price.as_ref().ok_or(Reason::NoContract)?)?;
    match exclusive_to(fleet, question, seen, payer.contract) {
        Some(to) => Err(Reason::Exclusive { to }),
        None => match funds::short(question, seen, &payer) {
            Some(short) => Err(Reason::OverBudget { short }),
            None => Ok(payer),
        },
    }
}

/// The first payer while its units last, then the overflow; each only while its contract is in force.
fn payer(question: &Question, fleet: &Fleet, seen: &Seen, price: &EndpointPrice) -> Result<Payer, Reason> {
    let weight = score::weight(fleet, seen, score::tokens_at(question, seen));
    let exhausted = price.units_per_minute > 0 && seen.units_left < weight;
    let payer = if exhausted { price.overflow.ok_or(Reason::Full)? } else { price.payer };
    if fleet.contracts[payer.contract].in_force(question.now) { Ok(payer) } else { Err(Reason::NoContract) }
}

/// The contract that alone may serve this here, when `payer` is neither it, nor nested under it, nor carved out.
fn exclusive_to(fleet: &Fleet, question: &Question, seen: &Seen, payer: ContractId) -> Option<ContractId> {
    let endpoint = &fleet.endpoints[seen.endpoint];
    let covers = |scope: &fleet::Scope| {
        (scope.models.is_empty() || scope.models.contains(&endpoint.model))
            && (scope.regions.is_empty() || endpoint.region.is_some_and(|region| scope.regions.contains(&region)))
            && (scope.uses.is_empty() || scope.uses.contains(&Use::Serving))
    };
    let bound = fleet.contracts.iter().filter(|(id, _, contract)| {
        let binds = |clause: &fleet::Exclusivity| {
            clause.span.contains(question.now) && covers(&clause.scope) && !fleet.chain(payer).any(|above| clause.except.contains(&above))
        };
        contract.exclusivities.iter().any(binds) && contract.in_force(question.now) && !fleet.chain(payer).any(|above| above == *id)
    });
    bound.map(|(id, ..)| id).next()
}
