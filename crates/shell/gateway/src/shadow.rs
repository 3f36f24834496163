//! Shadow mode: each request goes where its caller says, and the decision only stands beside it.

use fleet::{EndpointId, ModelId};
use hyper::HeaderMap;

use crate::envelope::Refused;
use crate::snapshot::Snapshot;

/// Where a caller says that it would have gone without us.
const WOULD: &str = "x-baseload-would";

/// The endpoint that the caller of a request chose: by its head, else the one that the fleet file marks.
pub(crate) fn wish(snapshot: &Snapshot, head: &HeaderMap, model: ModelId) -> Result<EndpointId, Refused> {
    let fleet = &snapshot.fleet;
    let Some(said) = head.get(WOULD) else {
        return fleet.shadow(model).ok_or_else(|| {
            Refused::shadow(format!(
                "In shadow mode a request says in {WOULD} which endpoint it would go to: the fleet marks none of the model '{}'.",
                fleet.models.name(model)
            ))
        });
    };
    let named = said.to_str().ok().and_then(|name| fleet.endpoints.id(name));
    named.filter(|endpoint| fleet.endpoints[*endpoint].model == model).ok_or_else(|| {
        let of_model = snapshot.endpoints(model).iter().map(|endpoint| fleet.endpoints.name(*endpoint));
        let names = of_model.collect::<Vec<_>>().join(", ");
        Refused::shadow(format!("{WOULD} names no endpoint of the model '{}'; it has: {names}.", fleet.models.name(model)))
    })
}
