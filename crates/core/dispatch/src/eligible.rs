//! Which endpoints may serve a request at all, and who would pay.

use fleet::{ContractId, Endpoint, Exclusivity, Fleet, ModelId, RegionId, ServingClass, Use, WorkloadKind};
use market::Payer;

use crate::decide::{Question, Reason};
use crate::seen::{Health, Seen};
use crate::{funds, score};

/// What holds for every endpoint of one question: looked up once.
pub(crate) struct Shared<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) question: &'a Question,
    /// What was promised to the request's class.
    pub(crate) class: Option<&'a ServingClass>,
    /// Why no endpoint of the model can take the request, if none can.
    unfit: Option<Reason>,
    /// Whether any contract in force claims the model alone.
    exclusive: bool,
}

impl<'a> Shared<'a> {
    pub(crate) fn of(fleet: &'a Fleet, question: &'a Question) -> Self {
        let (ask, model) = (&question.ask, &fleet.models[question.ask.model]);
        let too_long = (ask.input_least >= model.context).then_some(Reason::ContextTooLong { limit: model.context });
        let unfit = too_long.or_else(|| ask.needs.missing(&model.capabilities).map(Reason::Lacks));
        let claims = |clause: &Exclusivity| clause.span.contains(question.now);
        let exclusive = fleet.contracts.iter().any(|(.., contract)| contract.exclusivities.iter().any(claims));
        Self { fleet, question, class: class(fleet, question), unfit, exclusive }
    }

    /// Who pays for the request there, or why it can't go there.
    pub(crate) fn eligible(&self, seen: &Seen) -> Result<Payer, Reason> {
        self.fits(seen)?;
        self.is_free(seen)?;
        self.affords(self.payer(seen, true)?)
    }

    /// The same where the caller chose it: whether it is up or has room is the caller's own risk, as it was without us.
    pub(crate) fn wished(&self, seen: &Seen) -> Result<Payer, Reason> {
        self.fits(seen)?;
        let payer = match self.payer(seen, true) {
            Err(Reason::Full) => self.payer(seen, false)?,
            found => found?,
        };
        self.affords(payer)
    }

    /// Whether the request can go there at all.
    fn fits(&self, seen: &Seen) -> Result<(), Reason> {
        let (ask, endpoint) = (&self.question.ask, &self.fleet.endpoints[seen.endpoint]);
        let out_of_scope = (!ask.scope.models.is_empty() && !ask.scope.models.contains(&endpoint.model))
            || (!ask.scope.regions.is_empty() && !endpoint.region.is_some_and(|region| ask.scope.regions.contains(&region)));
        if endpoint.model != ask.model || out_of_scope {
            return Err(Reason::OutOfScope);
        }
        if let Some(reason) = self.unfit {
            return Err(reason);
        }
        if !seen.expressible {
            return Err(Reason::Inexpressible);
        }
        if seen.tried { Err(Reason::Tried) } else { Ok(()) }
    }

    /// Whether it answers, and has room.
    fn is_free(&self, seen: &Seen) -> Result<(), Reason> {
        match seen.health {
            // Which one of several takes the probe is for those to settle who ask.
            Health::Up | Health::Probing => {}
            Health::Down { until } if self.question.now >= until => {}
            Health::Down { until } => return Err(Reason::Down { until }),
        }
        let endpoint = &self.fleet.endpoints[seen.endpoint];
        if seen.outstanding >= endpoint.slots.saturating_add(endpoint.queue) { Err(Reason::Full) } else { Ok(()) }
    }

    /// Whether the request's accounts can pay what `payer` asks.
    fn affords(&self, payer: Payer) -> Result<Payer, Reason> {
        funds::short(self.question, &payer).map_or(Ok(payer), |short| Err(Reason::OverBudget { short }))
    }

    /// The first payer whose contract is in force, may serve this here, and whose units last, if that matters; else why the last one that was
    /// asked does not pay.
    fn payer(&self, seen: &Seen, units_matter: bool) -> Result<Payer, Reason> {
        let endpoint = &self.fleet.endpoints[seen.endpoint];
        let mut reason = Reason::NoContract;
        for (payer, left) in seen.payers() {
            if !self.fleet.contracts[payer.contract].in_force(self.question.now) {
                continue;
            }
            if let Some(to) = self.exclusive_to(endpoint, payer.contract) {
                reason = Reason::Exclusive { to };
            } else if units_matter && self.exceeds(seen, payer, left) {
                reason = Reason::Full;
            } else {
                return Ok(*payer);
            }
        }
        Err(reason)
    }

    /// Whether the request takes more of a payer's units than is left of them. What takes more than a minute of them fits while nothing waits
    /// there: else it never would.
    fn exceeds(&self, seen: &Seen, payer: &Payer, left: i64) -> bool {
        let weight = || score::weight(self.fleet, seen, score::tokens_at(self.question, seen));
        payer.units_per_minute > 0 && left < weight().min(payer.units_per_minute)
    }

    /// The contract that alone may serve this here, when `payer` is neither it, nor nested under it, nor carved out.
    fn exclusive_to(&self, endpoint: &Endpoint, payer: ContractId) -> Option<ContractId> {
        if !self.exclusive {
            return None;
        }
        let (fleet, now) = (self.fleet, self.question.now);
        let bound = fleet.contracts.iter().filter(|(id, _, contract)| {
            let binds = |clause: &Exclusivity| {
                clause.span.contains(now)
                    && covers(&clause.scope, endpoint.model, endpoint.region)
                    && !fleet.chain(payer).any(|above| clause.except.contains(&above))
            };
            contract.exclusivities.iter().any(binds) && contract.in_force(now) && !fleet.chain(payer).any(|above| above == *id)
        });
        bound.map(|(id, ..)| id).next()
    }
}

fn covers(scope: &fleet::Scope, model: ModelId, region: Option<RegionId>) -> bool {
    (scope.models.is_empty() || scope.models.contains(&model))
        && (scope.regions.is_empty() || region.is_some_and(|region| scope.regions.contains(&region)))
        && (scope.uses.is_empty() || scope.uses.contains(&Use::Serving))
}

fn class<'f>(fleet: &'f Fleet, question: &Question) -> Option<&'f ServingClass> {
    fleet.workloads.iter().find_map(|(_, _, workload)| match &workload.kind {
        WorkloadKind::Serving { model, classes, .. } if *model == question.ask.model => {
            classes.iter().find(|class| class.tier == question.ask.tier.class())
        }
        _ => None,
    })
}
