//! What requests read: one immutable value, swapped whole when prices, keys or upstreams change.

use std::collections::HashMap;
use std::sync::Arc;

use dispatch::Policy;
use fleet::{EndpointId, Fleet, Id, ModelId};
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
        Self { policy, sheet: None, keys: Arc::default(), upstreams, models: Arc::new(Models { by_name, endpoints }), fleet }
    }

    /// The model that clients mean by `name`.
    pub fn model(&self, name: &str) -> Option<ModelId> {
        self.models.by_name.get(name).copied()
    }

    /// The endpoints of a model, in order.
    pub fn endpoints(&self, model: ModelId) -> &[EndpointId] {
        &self.models.endpoints[model.index()]
    }

    /// Where an endpoint's requests go.
    pub fn upstream(&self, endpoint: EndpointId) -> Option<&Arc<Upstream>> {
        self.upstreams[endpoint.index()].as_ref()
    }
}
