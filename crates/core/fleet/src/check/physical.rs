//! Power, memory and counts: what can't be whatever the contracts say.

use std::collections::BTreeMap;

use units::{Bytes, Instant, Watts};

use crate::check::{day, get, sound};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::id::Id;
use crate::model::{Pool, Site};
use crate::reader::Reader;
use crate::rows::Rows;

/// Whether every site has the power for its pools at every date that anything changes.
pub(super) fn power(rows: &Rows, root: &Reader<'_>) {
    let mut at_site: BTreeMap<usize, Vec<(&str, &Pool)>> = BTreeMap::new();
    for (_, name, pool) in sound(&rows.pools) {
        at_site.entry(pool.site.index()).or_default().push((name, pool));
    }
    for (index, name, site) in sound(&rows.sites) {
        let Some(pools) = at_site.get(&index) else { continue };
        if let Some(beyond) = first_beyond(rows, site, pools) {
            report_power(root, name, site, pools, beyond);
        }
    }
}

/// The first date at which the pools draw more than the site has, with both in watts; `None` when an accelerator could not be read.
fn first_beyond(rows: &Rows, site: &Site, pools: &[(&str, &Pool)]) -> Option<(Instant, i128, i64)> {
    let mut changes: BTreeMap<Instant, i128> = site.power.steps().iter().map(|(from, _)| (*from, 0)).collect();
    for (_, pool) in pools {
        let each = i128::from(get(&rows.accelerators, pool.accelerator)?.1.power.count());
        let mut before = 0;
        for (from, count) in pool.count.steps() {
            *changes.entry(*from).or_default() += i128::from(count - before) * each;
            before = *count;
        }
    }
    let mut watts = 0;
    changes.into_iter().find_map(|(at, change)| {
        watts += change;
        let drawn = watts.saturating_mul(i128::from(site.pue_ppm)) / 1_000_000;
        let limit = site.power.at(at).unwrap_or(0);
        (drawn > i128::from(limit)).then_some((at, drawn, limit))
    })
}

fn report_power(root: &Reader<'_>, name: &str, site: &Site, pools: &[(&str, &Pool)], (at, drawn, limit): (Instant, i128, i64)) {
    // The pool that grew at that date is the one to look at, or else the last that has any.
    let grew = |pool: &Pool| pool.count.steps().iter().position(|(from, _)| *from == at);
    let Some((pool_name, pool)) =
        pools.iter().find(|(_, pool)| grew(pool).is_some()).or_else(|| pools.iter().rfind(|(_, pool)| pool.count.at(at) > Some(0)))
    else {
        return;
    };
    let step = pool.count.steps().partition_point(|(from, _)| *from <= at).saturating_sub(1).to_string();
    let place = root.place_of(&["pools", pool_name, "count", &step, "is"]);
    let watts = |watts: i128| Watts::new(i64::try_from(watts).unwrap_or(i64::MAX)).to_string();
    let when = if at == Instant::MIN { String::new() } else { format!(" from {}", day(at, root)) };
    let together = if pools.len() > 1 { format!("the {} pools at", pools.len()) } else { "the pool at".to_owned() };
    let message = format!("{together} site `{name}` would take {}{when}, but it has {}", watts(drawn), watts(i128::from(limit)));
    let hint = "lower a count, or raise the site's power by that date; it is the count x the accelerator's power x the site's PUE";
    let limit_step = site.power.steps().partition_point(|(from, _)| *from <= at).saturating_sub(1).to_string();
    let limit_place = root.place_of(&["sites", name, "power", &limit_step, "is"]);
    root.add(Diagnostic::error(codes::POWER, &place, message, hint).related(&limit_place, "the site's power at that date"));
}

/// Whether each model fits the accelerators of one replica.
pub(super) fn memory(rows: &Rows, root: &Reader<'_>) {
    for (_, name, profile) in sound(&rows.profiles) {
        let Some(((model_name, model), (accelerator_name, accelerator))) =
            get(&rows.models, profile.model).zip(get(&rows.accelerators, profile.accelerator))
        else {
            continue;
        };
        let has = accelerator.memory.count().saturating_mul(i64::from(profile.accelerators));
        if model.memory.count() > has {
            let need =
                u64::try_from(model.memory.count()).unwrap_or(0).div_ceil(u64::try_from(accelerator.memory.count()).unwrap_or(0).max(1));
            let message = format!(
                "`{model_name}` needs {}, but {} x `{accelerator_name}` have {}",
                model.memory,
                profile.accelerators,
                Bytes::new(has)
            );
            let hint = format!("set `accelerators = {need}` or more, or state the model's `memory` if it needs less");
            let problem = Diagnostic::error(codes::MEMORY, &root.place_of(&["profiles", name, "accelerators"]), message, hint);
            root.add(problem.related(&root.place_of(&["accelerators", accelerator_name, "memory"]), "the memory of one"));
        }
    }
}

/// Whether each endpoint's replicas fit its pool, and its profile is for what it has.
pub(super) fn replicas(rows: &Rows, root: &Reader<'_>) {
    for (_, name, endpoint) in sound(&rows.endpoints) {
        let profile = endpoint.profile.and_then(|id| get(&rows.profiles, id));
        let pool = endpoint.pool.and_then(|id| get(&rows.pools, id));
        if let Some((profile_name, profile)) = profile {
            let other_accelerator = pool.is_some_and(|(_, pool)| pool.accelerator != profile.accelerator);
            if profile.model != endpoint.model || other_accelerator {
                let what = if other_accelerator { "accelerator" } else { "model" };
                let message = format!("profile `{profile_name}` is for another {what} than endpoint `{name}` has");
                let place = root.place_of(&["endpoints", name, "profile"]);
                let hint = format!("name a profile for this {what}, or add one");
                let problem = Diagnostic::error(codes::PROFILE, &place, message, hint);
                root.add(problem.related(&root.place_of(&["profiles", profile_name, what]), format!("the profile's {what}")));
                continue;
            }
        }
        let Some((pool_name, pool)) = pool else { continue };
        let each = profile.map_or(1, |(_, profile)| profile.accelerators);
        let most = pool.count.steps().iter().map(|(_, count)| *count).max().unwrap_or(0);
        if i64::from(endpoint.replicas) * i64::from(each) > most {
            let message = format!("{} replicas of {each} accelerators are more than the {most} of pool `{pool_name}`", endpoint.replicas);
            let place = root.place_of(&["endpoints", name, if endpoint.replicas > 1 { "replicas" } else { "pool" }]);
            let hint = format!("set `replicas` to at most {}, or raise the pool's count", most / i64::from(each.max(1)));
            root.add(
                Diagnostic::error(codes::REPLICAS, &place, message, hint)
                    .related(&root.place_of(&["pools", pool_name, "count"]), "the pool's count"),
            );
        }
    }
}
