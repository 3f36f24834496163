//! Where work may go, and what it does there: fit, exclusivity, terms.

use fleet::{CapacityOf, ContractId, Exclusivity, Fleet, Profile, Scope, Status, Use, WorkloadKind};

use super::{Auditor, Found, Rule, Where};

pub(super) fn check(auditor: &mut Auditor<'_>) {
    for found in auditor.flows.clone() {
        let place = auditor.place(&found);
        if let Err(why) = in_force(auditor, &found) {
            auditor.report(Rule::InForce, place.as_str(), why);
        } else if let Err(why) = fits(auditor, &found) {
            auditor.report(Rule::Fit, place.as_str(), why);
        } else if !does(auditor, &found) {
            auditor.report(Rule::Done, place.as_str(), format!("{} done by {}", found.row.done, found.row.quantity));
        }
        if let Some(holder) = barred(auditor, &found) {
            let by = format!("kept for {}", auditor.fleet.contracts.name(holder));
            auditor.report(Rule::Exclusivity, place, by);
        }
    }
}

fn in_force(auditor: &Auditor<'_>, found: &Found<'_>) -> Result<(), &'static str> {
    let terms = &auditor.world.contracts[found.contract];
    if terms.status != Status::Signed {
        return Err("is not signed");
    }
    if terms.term.overlap(auditor.span(found.month)).is_empty() {
        return Err("is not in its term");
    }
    if let Some(turn) = auditor.turn {
        if turn.turned.ends.get(&found.contract).is_some_and(|ends| *ends <= found.month) {
            return Err("is over, its party having failed");
        }
        if turn.turned.opens.get(&found.contract).is_some_and(|opens| found.month < *opens) {
            return Err("is not there yet, its party being late");
        }
    }
    let covers = match found.on {
        Where::Pool(pool) => {
            let of_endpoints = || terms.endpoints.iter().any(|endpoint| auditor.world.endpoints[*endpoint].pool == Some(pool));
            terms.pools.contains(&pool) || of_endpoints()
        }
        Where::Tokens(endpoint) | Where::Units(endpoint) => terms.endpoints.contains(&endpoint),
    };
    if covers { Ok(()) } else { Err("is not covered by the contract") }
}

fn fits(auditor: &Auditor<'_>, found: &Found<'_>) -> Result<(), &'static str> {
    let fleet = auditor.fleet;
    let kind = &fleet.workloads[found.workload].kind;
    let work = if matches!(kind, WorkloadKind::Serving { .. }) { Use::Serving } else { Use::Training };
    if let Where::Pool(pool) = found.on {
        let chip = &fleet.accelerators[fleet.pools[pool].accelerator];
        if !chip.runs.contains(&work) {
            return Err("the accelerator does not run it");
        }
        if chip.available.is_some_and(|from| from > auditor.span(found.month).from) {
            return Err("the accelerator is not there yet");
        }
    }
    match (found.on, kind) {
        (Where::Pool(pool), WorkloadKind::Serving { model, .. }) => {
            let accelerator = fleet.pools[pool].accelerator;
            let has = fleet.profiles.iter().any(|(.., profile)| profile.model == *model && profile.accelerator == accelerator);
            if has { Ok(()) } else { Err("no profile says how fast") }
        }
        (Where::Pool(pool), WorkloadKind::Training { accelerators, gang, .. }) => {
            if !accelerators.contains(&fleet.pools[pool].accelerator) {
                return Err("the workload's list has not the accelerator");
            }
            let last = auditor.span(auditor.plan.months.len() - 1).to;
            let mut counts = fleet.pools[pool].count.pieces(units::Span { from: auditor.begins(), to: last });
            let reaches = counts.any(|(_, count)| count >= i64::from(*gang));
            if reaches { Ok(()) } else { Err("the pool never has the gang") }
        }
        (Where::Tokens(endpoint) | Where::Units(endpoint), WorkloadKind::Serving { model, .. }) => {
            if fleet.endpoints[endpoint].model == *model { Ok(()) } else { Err("another model") }
        }
        (Where::Tokens(_) | Where::Units(_), WorkloadKind::Training { .. }) => Err("no training on an endpoint"),
    }
}

/// Whether the quantity does so much and no more: `done x per <= quantity x speed < (done + 1) x per`.
fn does(auditor: &Auditor<'_>, found: &Found<'_>) -> bool {
    let fleet = auditor.fleet;
    let ratios: Vec<(i128, i128)> = match (found.on, &fleet.workloads[found.workload].kind) {
        (Where::Pool(pool), WorkloadKind::Training { accelerators, .. }) => {
            let peak = |kind| i128::from(fleet.accelerators[kind].peak.count());
            accelerators.first().map(|first| (peak(fleet.pools[pool].accelerator), peak(*first))).into_iter().collect()
        }
        (Where::Pool(pool), WorkloadKind::Serving { model, mix, .. }) => {
            let accelerator = fleet.pools[pool].accelerator;
            let profiles = fleet.profiles.iter().map(|(.., profile)| profile);
            profiles
                .filter(|profile| profile.model == *model && profile.accelerator == accelerator)
                .map(|profile| replica(profile, mix))
                .collect()
        }
        (Where::Tokens(_), WorkloadKind::Serving { .. }) => vec![(1, 1)],
        (Where::Units(_), WorkloadKind::Serving { model, mix, .. }) => match units_of(fleet, found.contract, *model) {
            None => Vec::new(),
            Some(a_minute) => {
                let weights = fleet.models[*model].weights;
                let kinds = [(mix.input, weights.input_ppm), (mix.cached, weights.cached_ppm), (mix.output, weights.output_ppm)];
                let weight: i128 = kinds.iter().map(|(share, weight)| i128::from(share.ppm()) * i128::from(*weight)).sum();
                // A minute has 60,000 ms; shares and weights are parts per million each.
                vec![(i128::from(a_minute) * 1_000_000_000_000, 60_000 * weight)]
            }
        },
        (Where::Tokens(_) | Where::Units(_), WorkloadKind::Training { .. }) => Vec::new(),
    };
    // With several profiles, the fastest.
    let fastest = ratios.into_iter().filter(|(_, per)| *per > 0).map(lowest).reduce(|best, next| {
        let faster = next.0.saturating_mul(best.1) > best.0.saturating_mul(next.1);
        if faster { next } else { best }
    });
    let Some((speed, per)) = fastest else { return false };
    let (quantity, done) = (i128::from(found.row.quantity), i128::from(found.row.done));
    if auditor.turn.is_some() {
        // A base unit more or less of the quantity, and of what it does.
        let exact = quantity.saturating_mul(speed) / per;
        return (done - exact).abs() <= auditor.slack(exact, 2 + speed / per);
    }
    let product = quantity.checked_mul(speed);
    let (least, most) = (done.checked_mul(per), (done + 1).checked_mul(per));
    product.is_some_and(|product| least.is_some_and(|least| least <= product) && most.is_none_or(|most| product < most))
}

/// Tokens per accelerator-millisecond: a token takes `input/prefill + cached/(10 prefill) + output/decode` seconds of a replica.
fn replica(profile: &Profile, mix: &fleet::Mix) -> (i128, i128) {
    let (prefill, decode) = (i128::from(profile.prefill_per_second), i128::from(profile.decode_batch_per_second));
    let share = |share: units::Share| i128::from(share.ppm());
    // Over the common denominator `10 x prefill x decode` and a million parts.
    let seconds = (10 * share(mix.input) + share(mix.cached)) * decode + 10 * share(mix.output) * prefill;
    (10 * prefill * decode * 1_000_000, 1_000 * i128::from(profile.accelerators) * seconds)
}

fn lowest((speed, per): (i128, i128)) -> (i128, i128) {
    let (mut a, mut b) = (speed, per);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (speed / a.max(1), per / a.max(1))
}

/// Tokens that a provisioned unit of the contract handles in a minute; none when it has no units.
fn units_of(fleet: &Fleet, contract: ContractId, model: fleet::ModelId) -> Option<i64> {
    let clauses = &fleet.contracts[contract].capacity;
    clauses.iter().find(|clause| clause.of == CapacityOf::Units(model)).map(|clause| clause.tokens_per_unit_minute)
}

/// The contract that has the work for itself, while the flow's month lasts.
fn barred(auditor: &Auditor<'_>, found: &Found<'_>) -> Option<ContractId> {
    let month = auditor.span(found.month);
    let holders = auditor.world.contracts.iter().filter(|(id, _, terms)| *id != found.contract && terms.status == Status::Signed);
    let mut clauses = holders.flat_map(|(id, _, terms)| terms.exclusivities.iter().map(move |clause| (id, terms.term, clause)));
    let bars = |(_, term, clause): &(ContractId, units::Span, &Exclusivity)| {
        let lasts = !clause.span.overlap(*term).overlap(month).is_empty();
        lasts && !clause.except.contains(&found.contract) && covers(auditor.fleet, &clause.scope, found)
    };
    clauses.find(bars).map(|(holder, ..)| holder)
}

fn covers(fleet: &Fleet, scope: &Scope, found: &Found<'_>) -> bool {
    let (work, model) = match &fleet.workloads[found.workload].kind {
        WorkloadKind::Serving { model, .. } => (Use::Serving, Some(*model)),
        WorkloadKind::Training { .. } => (Use::Training, None),
    };
    let region = match found.on {
        Where::Pool(pool) => Some(fleet.sites[fleet.pools[pool].site].region),
        Where::Tokens(endpoint) | Where::Units(endpoint) => fleet.endpoints[endpoint].region,
    };
    let model = scope.models.is_empty() || model.is_some_and(|model| scope.models.contains(&model));
    let region = scope.regions.is_empty() || region.is_some_and(|region| scope.regions.contains(&region));
    model && region && (scope.uses.is_empty() || scope.uses.contains(&work))
}
