//! Who pays for what, and whether what is asked for is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{get, sound};
use crate::codes;
use crate::contract::{Contract, Overflow};
use crate::diagnostic::Diagnostic;
use crate::id::{EndpointId, Id, PoolId};
use crate::model::{Endpoint, Meter, WorkloadKind};
use crate::reader::Reader;
use crate::rows::Rows;
use crate::spelling;

/// The most endpoints that one model may have: each request looks at all of them.
pub const ENDPOINTS_MAX: usize = 64;

/// Whether each alias means one model.
pub(super) fn aliases(rows: &Rows, root: &Reader<'_>) {
    let mut taken: BTreeMap<&str, std::ops::Range<usize>> = BTreeMap::new();
    for (name, _) in &rows.models {
        taken.insert(name, root.place_of(&["models", name]));
    }
    for (_, name, model) in sound(&rows.models) {
        for (index, alias) in model.aliases.iter().enumerate() {
            let place = root.place_of(&["models", name, "aliases", &index.to_string()]);
            if let Some(first) = taken.get(alias.as_str()) {
                let message = format!("`{}` already means a model", spelling::shown(alias));
                let hint = "clients could not tell which model is meant: take the alias out of one of them";
                root.add(Diagnostic::error(codes::ALIAS, &place, message, hint).related(first, "it is taken here"));
            } else {
                taken.insert(alias, place);
            }
        }
    }
}

/// Whether each model's requests have one place to go in shadow mode.
pub(super) fn shadows(rows: &Rows, root: &Reader<'_>) {
    let mut marked = BTreeMap::new();
    for (_, name, endpoint) in sound(&rows.endpoints).filter(|(.., endpoint)| endpoint.shadow) {
        let place = root.place_of(&["endpoints", name, "shadow"]);
        if let Some(first) = marked.get(&endpoint.model) {
            let message = "another endpoint of the model is marked with `shadow` already";
            let hint = "keep the mark where its requests go today, and take the other out";
            root.add(Diagnostic::error(codes::SHADOW_TWICE, &place, message, hint).related(first, "it is marked here"));
        } else {
            marked.insert(endpoint.model, place);
        }
    }
}

/// Whether no model has more endpoints than a decision looks at.
pub(super) fn endpoints(rows: &Rows, root: &Reader<'_>) {
    let mut counts = BTreeMap::<_, usize>::new();
    for (_, name, endpoint) in sound(&rows.endpoints) {
        let count = counts.entry(endpoint.model).or_default();
        *count += 1;
        if *count == ENDPOINTS_MAX + 1
            && let Some((model, _)) = get(&rows.models, endpoint.model)
        {
            let message = format!("more than {ENDPOINTS_MAX} endpoints serve `{}`", spelling::shown(model));
            let hint = "let servers that are alike stand behind one endpoint: replicas of its pool, or one URL";
            root.add(Diagnostic::error(codes::ENDPOINTS, &root.place_of(&["endpoints", name]), message, hint));
        }
    }
}

/// Whether some contract pays for each pool and each hosted endpoint, and has a price for it.
pub(super) fn payers(rows: &Rows, root: &Reader<'_>) {
    for (_, name, contract) in sound(&rows.contracts).filter(|(_, name, _)| !root.findings.is_flawed(&format!("contracts.{name}"))) {
        prices(rows, root, name, contract);
        overflow(rows, root, name, contract);
    }
    // A contract or endpoint with an error inside may be the one that is looked for.
    if root.findings.any_flawed("contracts") || root.findings.any_flawed("endpoints") {
        return;
    }
    let endpoints: BTreeSet<_> = sound(&rows.contracts).flat_map(|(_, _, contract)| &contract.endpoints).collect();
    let mut pools: BTreeSet<_> = sound(&rows.contracts).flat_map(|(_, _, contract)| contract.pools.iter().copied()).collect();
    pools.extend(endpoints.iter().filter_map(|id| get(&rows.endpoints, **id)).filter_map(|(_, endpoint)| endpoint.pool));
    for (_, name, _) in sound(&rows.pools).filter(|(index, _, _)| !pools.contains(&PoolId::from_index(*index))) {
        let hint = format!("add `pools = [\"{name}\"]` to the contract that pays for its accelerators");
        let place = root.place_of(&["pools", name]);
        root.add(Diagnostic::warning(codes::UNCOVERED, &place, format!("no contract pays for pool `{name}`"), hint));
    }
    for (index, name, endpoint) in sound(&rows.endpoints) {
        let id = EndpointId::from_index(index);
        if endpoint.pool.is_none() && !endpoints.contains(&id) {
            let hint = format!("add `endpoints = [\"{name}\"]` to the contract that pays for its tokens");
            let place = root.place_of(&["endpoints", name]);
            root.add(Diagnostic::warning(codes::UNCOVERED, &place, format!("no contract pays for endpoint `{name}`"), hint));
        }
    }
}

/// Whether the contract that takes the overflow covers what overflows.
fn overflow(rows: &Rows, root: &Reader<'_>, name: &str, contract: &Contract) {
    let Some(Overflow::To(to)) = contract.overflow else { return };
    let Some((to_name, to)) = get(&rows.contracts, to) else { return };
    let covers = |pool: Option<PoolId>| pool.is_some_and(|pool| to.pools.contains(&pool));
    let pool =
        contract.pools.iter().find(|pool| !covers(Some(**pool))).and_then(|id| get(&rows.pools, *id)).map(|(name, _)| ("pools", name));
    let bare = |id: &&EndpointId| !to.endpoints.contains(id) && !get(&rows.endpoints, **id).is_some_and(|(_, it)| covers(it.pool));
    let endpoint = contract.endpoints.iter().find(bare).and_then(|id| get(&rows.endpoints, *id)).map(|(name, _)| ("endpoints", name));
    if let Some((kind, missing)) = pool.or(endpoint) {
        let message = format!("what exceeds `{name}` goes to `{to_name}`, which does not cover `{missing}`");
        let hint = format!("add \"{missing}\" to the `{kind}` of `{to_name}`, so that it has a price for it");
        let place = root.place_of(&["contracts", name, "overflow"]);
        let problem = Diagnostic::warning(codes::UNCOVERED, &place, message, hint);
        root.add(problem.related(&root.place_of(&["contracts", to_name, kind]), "it covers these"));
    }
}

/// Whether a contract has a price for everything that it covers.
fn prices(rows: &Rows, root: &Reader<'_>, name: &str, contract: &Contract) {
    let priced = |meter: Meter| contract.rates.iter().any(|rate| rate.meter == meter);
    let timed = |pool: PoolId| get(&rows.pools, pool).is_none_or(|(_, pool)| priced(Meter::AcceleratorTime(pool.accelerator)));
    let owned = contract.preset == Some(crate::contract::Preset::Owned);
    for (index, id) in contract.pools.iter().enumerate().filter(|(_, id)| !owned && !timed(**id)) {
        let pool = get(&rows.pools, *id).map_or("", |(name, _)| name);
        let message = format!("contract `{name}` covers pool `{pool}`, but has no price for time of its accelerators");
        let hint = "add a price per accelerator-hour of their kind, or take the pool out";
        let place = root.place_of(&["contracts", name, "pools", &index.to_string()]);
        root.add(Diagnostic::warning(codes::NO_PRICE, &place, message, hint));
    }
    let time = |it: &Endpoint| it.pool.is_some_and(|pool| contract.pools.contains(&pool) && timed(pool));
    for (index, id) in contract.endpoints.iter().enumerate() {
        let Some((endpoint_name, endpoint)) = get(&rows.endpoints, *id) else { continue };
        let model = endpoint.model;
        let tokens = [("input", Meter::InputTokens(model)), ("output", Meter::OutputTokens(model))];
        let lacks = tokens.into_iter().filter(|(_, meter)| !priced(*meter) && !priced(Meter::UnitTime(model)));
        let lacks: Vec<_> = lacks.map(|(word, _)| word).collect();
        if !lacks.is_empty() && !time(endpoint) {
            let message =
                format!("contract `{name}` covers endpoint `{endpoint_name}`, but has no price for {} tokens", lacks.join(" and "));
            let hint = "add the price of each, or of provisioned units; until then they would be metered at nothing";
            let place = root.place_of(&["contracts", name, "endpoints", &index.to_string()]);
            root.add(Diagnostic::warning(codes::NO_PRICE, &place, message, hint));
        }
    }
}

/// Whether every model that is asked for is served somewhere.
pub(super) fn workloads(rows: &Rows, root: &Reader<'_>) {
    if root.findings.any_flawed("endpoints") {
        return;
    }
    let served: BTreeSet<_> = sound(&rows.endpoints).map(|(_, _, endpoint)| endpoint.model).collect();
    for (_, name, workload) in sound(&rows.workloads) {
        let WorkloadKind::Serving { model, .. } = &workload.kind else { continue };
        if !served.contains(model) {
            let shown = get(&rows.models, *model).map_or("", |(name, _)| name);
            let hint = "add an endpoint with this `model`, on a pool or at a URL";
            let place = root.place_of(&["workloads", name, "model"]);
            root.add(Diagnostic::warning(codes::NOT_SERVED, &place, format!("no endpoint serves `{shown}`"), hint));
        }
    }
}
