//! The most that columns without a bound of their own can come to: what integers need to switch them off.

use crate::{Instance, Limit, State, WorkKind};

/// The most that could be used of a supply in a step: what its works ask for, within its limits.
pub(super) fn most_used(instance: &Instance, opening: &State, supply: usize, step: usize) -> f64 {
    let open = |fit: &&crate::Fit| fit.supply == supply && fit.open.iter().any(|(from, to)| (*from..*to).contains(&step));
    let asked = |fit: &crate::Fit| match &instance.works[fit.work].kind {
        WorkKind::Serving { tranches, .. } => tranches.iter().map(|tranche| tranche.demand[step]).sum::<f64>(),
        WorkKind::Training { arrivals, .. } => super::build::at(&opening.backlog, fit.work) + arrivals[opening.month..].iter().sum::<f64>(),
    };
    let wanted: f64 = instance.fits.iter().filter(open).map(|fit| asked(fit) / fit.speed).sum();
    let within = |limit: &Limit| {
        let factor: f64 = limit.terms.iter().filter(|(of, _)| *of == supply).map(|(_, factor)| factor).sum();
        (factor > 0.0).then(|| most_of(instance, limit, step) / factor)
    };
    instance.limits.iter().filter_map(within).fold(wanted, f64::min).max(0.0)
}

/// The most that a limit could be, whatever is signed and ordered.
fn most_of(instance: &Instance, limit: &Limit, step: usize) -> f64 {
    let chosen: f64 = limit.most.by_choice.iter().map(|(_, amounts)| amounts[step].max(0.0)).sum();
    let ordered: f64 = limit.expansions.iter().map(|(index, amounts)| amounts[step].max(0.0) * instance.expansions[*index].most).sum();
    limit.most.fixed[step] + chosen + ordered
}

/// Whether some limit leaves nothing of a supply in a step unless its choice is taken.
pub(super) fn tied(instance: &Instance, supply: usize, choice: usize, step: usize) -> bool {
    instance.limits.iter().any(|limit| {
        let bounds = limit.terms.iter().any(|(of, factor)| *of == supply && *factor > 0.0);
        let others = limit.most.by_choice.iter().any(|(other, amounts)| *other != choice && amounts[step] > 0.0);
        let ordered =
            limit.expansions.iter().any(|(index, amounts)| amounts[step] > 0.0 && instance.expansions[*index].choice != Some(choice));
        bounds && limit.most.fixed[step] <= 0.0 && !others && !ordered && limit.terms.iter().all(|(_, factor)| *factor >= 0.0)
    })
}
