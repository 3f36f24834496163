//! What requests read: one immutable value, swapped whole when prices, keys or upstreams change.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dispatch::Policy;
use fleet::{ContractId, EndpointId, Fleet, Id, ModelId, WorkloadKind};
use hyper::header::HeaderValue;
use market::PriceSheet;

use crate::keys::Keys;
use crate::upstream::Upstream;

/// Everything that a request is decided by, but for the counters.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub fleet: Arc<Fleet>,
    pub policy: Policy,
    pub sheet: Option<Arc<PriceSheet>>,
    pub keys: Arc<Keys>,
    /// By endpoint; `None` while nobody listens there.
    pub upstreams: Vec<Option<Arc<Upstream>>>,
    models: Arc<Models>,
}

/// The fleet's models as requests look for them.
#[derive(Debug)]
struct Models {
    by_name: HashMap<String, ModelId>,
    /// By model, the endpoints that serve it.
    endpoints: Vec<Vec<EndpointId>>,
    /// By endpoint and by contract, their names as an answer's head has them.
    endpoint_names: Vec<HeaderValue>,
    contract_names: Vec<HeaderValue>,
    /// By model, how late the first content of a `priority` request is when a second endpoint is asked.
    hedges: Vec<Option<Duration>>,
    /// By endpoint, whether time may be held there, so that the meter needs to know of each attempt.
    may_hold: Vec<bool>,
}

/// A name as a header carries it; one that no header may have is left out.
fn header(name: &str) -> HeaderValue {
    HeaderValue::from_str(name).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl Snapshot {
    pub fn new(fleet: Arc<Fleet>, policy: Policy) -> Self {
        let mut by_name = HashMap::new();
        for (id, name, model) in fleet.models.iter() {
            for alias in &model.aliases {
                by_name.entry(alias.clone()).or_insert(id);
            }
            by_name.insert(name.to_owned(), id);
        }
        let mut endpoints = vec![Vec::new(); fleet.models.len()];
        for (id, _, endpoint) in fleet.endpoints.iter() {
            endpoints[endpoint.model.index()].push(id);
        }
        let upstreams = vec![None; fleet.endpoints.len()];
        let endpoint_names = fleet.endpoints.iter().map(|(_, name, _)| header(name)).collect();
        let contract_names = fleet.contracts.iter().map(|(_, name, _)| header(name)).collect();
        let in_units = |id| fleet.covering(id).into_iter().any(|contract| !fleet.contracts[contract].capacity.is_empty());
        let may_hold = fleet.endpoints.iter().map(|(id, _, endpoint)| endpoint.pool.is_some() || in_units(id)).collect();
        let mut hedges = vec![None; fleet.models.len()];
        for (.., workload) in fleet.workloads.iter() {
            if let WorkloadKind::Serving { model, classes, .. } = &workload.kind {
                hedges[model.index()] = hedges[model.index()].or(classes.iter().find_map(|class| class.hedge));
            }
        }
        let models = Arc::new(Models { hedges, by_name, endpoints, endpoint_names, contract_names, may_hold });
        Self { policy, sheet: None, keys: Arc::default(), upstreams, models, fleet }
    }

    /// The model that clients mean by `name`.
    pub fn model(&self, name: &str) -> Option<ModelId> {
        self.models.by_name.get(name).copied()
    }

    /// How late the first content of a `priority` request is when a second endpoint is asked.
    pub fn hedge(&self, model: ModelId) -> Option<Duration> {
        self.models.hedges[model.index()]
    }

    /// The endpoints of a model, in order.
    pub fn endpoints(&self, model: ModelId) -> &[EndpointId] {
        &self.models.endpoints[model.index()]
    }

    /// An endpoint's name for an answer's head.
    pub fn endpoint_name(&self, endpoint: EndpointId) -> HeaderValue {
        self.models.endpoint_names[endpoint.index()].clone()
    }

    /// A contract's name for an answer's head.
    pub fn contract_name(&self, contract: ContractId) -> HeaderValue {
        self.models.contract_names[contract.index()].clone()
    }

    /// Whether time may be held at an endpoint, at any time of the fleet's contracts.
    pub fn may_hold(&self, endpoint: EndpointId) -> bool {
        self.models.may_hold[endpoint.index()]
    }

    /// Where an endpoint's requests go.
    pub fn upstream(&self, endpoint: EndpointId) -> Option<&Arc<Upstream>> {
        self.upstreams[endpoint.index()].as_ref()
    }
}
