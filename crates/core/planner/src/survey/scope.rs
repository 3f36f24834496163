//! Exclusivity and first refusal: what a contract keeps from others.

use core::time::Duration;

use fleet::{Contract, ContractId, FirstRefusal, Fleet, ModelId, RegionId, Scope, Status, Use};
use units::{Instant, Span};

use crate::instance::On;

/// Who has a first refusal on what a contract covers and need not have answered by `start`, by contract.
pub(crate) fn unanswered(fleet: &Fleet, contract: ContractId, start: Instant, begins: Instant) -> Vec<ContractId> {
    let terms = &fleet.contracts[contract];
    let others = fleet.contracts.iter().filter(|(.., other)| other.status == Status::Signed && other.party != terms.party);
    let open = others.filter(|(.., other)| {
        other.first_refusals.iter().any(|refusal| {
            let days = Duration::from_secs(u64::from(refusal.answer.days) * 86_400);
            start < begins + days && refusal.span.contains(start) && touches(fleet, terms, &refusal.scope)
        })
    });
    open.map(|(id, ..)| id).collect()
}

/// Who may take over what a contract brings when it starts at one of these dates, and how likely: contracts with a first refusal on it.
pub(crate) fn takers<'a>(fleet: &'a Fleet, contract: ContractId, starts: &[Instant]) -> Vec<(ContractId, &'a FirstRefusal)> {
    let terms = &fleet.contracts[contract];
    let others = fleet.contracts.iter().filter(|(.., other)| other.status == Status::Signed && other.party != terms.party);
    let refusals = others.flat_map(|(id, _, other)| other.first_refusals.iter().map(move |refusal| (id, refusal)));
    let open = |refusal: &FirstRefusal| starts.iter().any(|start| refusal.span.contains(*start)) && touches(fleet, terms, &refusal.scope);
    refusals.filter(|(_, refusal)| refusal.answer.takes > units::Share::NONE && open(refusal)).collect()
}

/// Whether any of what a contract covers lies in a scope.
fn touches(fleet: &Fleet, terms: &Contract, scope: &Scope) -> bool {
    let pools = || terms.pools.iter().map(|pool| &fleet.pools[*pool]);
    let endpoints = || terms.endpoints.iter().map(|endpoint| &fleet.endpoints[*endpoint]);
    let powered = terms.capacity.iter().filter_map(|clause| match clause.of {
        fleet::CapacityOf::Power(site) => Some(fleet.sites[site].region),
        _ => None,
    });
    let regions: Vec<RegionId> = pools()
        .map(|pool| fleet.sites[pool.site].region)
        .chain(endpoints().filter_map(|endpoint| endpoint.region))
        .chain(powered)
        .collect();
    let runs = pools().flat_map(|pool| fleet.accelerators[pool.accelerator].runs.iter().copied());
    let serves = endpoints().map(|_| Use::Serving);
    let uses: Vec<Use> = runs.chain(serves).collect();
    // A pool may serve any model.
    let models = scope.models.is_empty() || pools().next().is_some() || endpoints().any(|endpoint| scope.models.contains(&endpoint.model));
    let regions = scope.regions.is_empty() || regions.iter().any(|region| scope.regions.contains(region));
    let uses = scope.uses.is_empty() || uses.is_empty() || uses.iter().any(|it| scope.uses.contains(it));
    models && regions && uses
}

/// An exclusivity that is in force whatever is signed.
pub(crate) struct Kept<'a> {
    pub holder: ContractId,
    except: &'a [ContractId],
    scope: &'a Scope,
    pub span: Span,
}

/// The exclusivities of signed contracts.
pub(crate) fn kept(fleet: &Fleet) -> Vec<Kept<'_>> {
    let signed = fleet.contracts.iter().filter(|(.., contract)| contract.status == Status::Signed);
    signed.flat_map(|(id, ..)| kept_by(fleet, id)).filter(|kept| !kept.span.is_empty()).collect()
}

/// The exclusivities of one contract, in the order of the file.
pub(crate) fn kept_by(fleet: &Fleet, holder: ContractId) -> Vec<Kept<'_>> {
    let contract = &fleet.contracts[holder];
    let clauses = contract.exclusivities.iter();
    clauses.map(|it| Kept { holder, except: &it.except, scope: &it.scope, span: it.span.overlap(contract.term) }).collect()
}

impl Kept<'_> {
    /// Whether it keeps `contract` from this work on that supply.
    pub fn bars(&self, fleet: &Fleet, contract: ContractId, on: On, work: Use, model: Option<ModelId>) -> bool {
        let region = match on {
            On::Pool(pool) => Some(fleet.sites[fleet.pools[pool].site].region),
            On::Tokens(endpoint) | On::Units(endpoint) => fleet.endpoints[endpoint].region,
        };
        let scope = self.scope;
        contract != self.holder
            && !self.except.contains(&contract)
            && (scope.models.is_empty() || model.is_some_and(|model| scope.models.contains(&model)))
            && (scope.regions.is_empty() || region.is_some_and(|region| scope.regions.contains(&region)))
            && (scope.uses.is_empty() || scope.uses.contains(&work))
    }
}
