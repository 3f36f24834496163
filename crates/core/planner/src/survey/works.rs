//! What is asked for: tokens to serve, and backlogs to train.

use fleet::{AcceleratorId, Fleet, Mix, ModelId, Recurs, ServingClass, WorkloadId, WorkloadKind};
use units::{Instant, Money, Quantity, Rate};

use crate::instance::{Tranche, Work, WorkKind};
use crate::survey::ground::{Ground, money, part};
use crate::survey::periods::before;
use crate::survey::supplies::HOUR_MS;

/// A work with what the rest of the survey asks of it.
pub(crate) struct Asked<'a> {
    pub work: Work,
    pub needs: Needs<'a>,
    /// Nobody states what it is worth: by tranche, or once for training.
    pub unvalued: Vec<bool>,
}

/// What a work runs on.
pub(crate) enum Needs<'a> {
    Serving { model: ModelId, mix: Mix },
    Training { accelerators: &'a [AcceleratorId], gang: u32 },
}

/// Every workload that asks for something in the plan.
pub(crate) fn asked<'a>(ground: &Ground<'a>) -> Vec<Asked<'a>> {
    let fleet: &'a Fleet = ground.fleet;
    let asked = fleet.workloads.iter().map(|(id, name, workload)| match &workload.kind {
        WorkloadKind::Serving { model, classes, mix } => serving(ground, id, name, (*model, *mix), classes),
        WorkloadKind::Training { accelerators, gang, .. } => training(ground, id, name, &workload.kind, (accelerators, *gang)),
    });
    asked.flatten().collect()
}

fn serving<'a>(
    ground: &Ground<'a>,
    workload: WorkloadId,
    name: &str,
    (model, mix): (ModelId, Mix),
    classes: &[ServingClass],
) -> Option<Asked<'a>> {
    let horizon = ground.horizon;
    let mut tranches = Vec::new();
    let mut unvalued = Vec::new();
    let earned = earned(ground, workload);
    for class in classes {
        let Some(demand) = &class.demand else { continue };
        let a_second = horizon.means(demand, |tokens| tokens as f64);
        let mut demand = horizon.by_step(|month, step| a_second[month] * step.hours * 3600.0);
        demand.iter_mut().enumerate().for_each(|(step, tokens)| *tokens *= horizon.peak(step));
        let constant = |rate: Option<Rate>| vec![rate.map_or(0.0, per_unit); horizon.steps.len()];
        unvalued.push(class.price.is_none() && class.value.is_none() && earned.is_none());
        let least = class.least.map_or(0.0, part);
        tranches.push(Tranche {
            tier: class.tier,
            demand,
            price: constant(class.price),
            listed: Vec::new(),
            value: constant(class.value),
            least,
        });
    }
    if let Some(earned) = earned {
        tranches.iter_mut().for_each(|tranche| tranche.listed.clone_from(&tranche.price));
        for (month, revenue) in earned.into_iter().enumerate() {
            let steps = horizon.steps_of(month);
            let wanted: f64 = tranches.iter().map(|tranche| tranche.demand[steps.clone()].iter().sum::<f64>()).sum();
            let each = if wanted > 0.0 { revenue / wanted } else { 0.0 };
            tranches.iter_mut().for_each(|tranche| tranche.price[steps.clone()].iter_mut().for_each(|price| *price += each));
        }
    }
    let wanted = tranches.iter().any(|tranche| tranche.demand.iter().any(|tokens| *tokens > 0.0));
    let work = Work { name: name.to_owned(), workload, kind: WorkKind::Serving { model, tranches } };
    wanted.then_some(Asked { work, needs: Needs::Serving { model, mix }, unvalued })
}

fn per_unit(rate: Rate) -> f64 {
    money(rate.money) / rate.per as f64
}

/// Revenue that names the workload, by month.
fn earned(ground: &Ground<'_>, workload: WorkloadId) -> Option<Vec<f64>> {
    let events = ground.fleet.finance.revenue.iter().filter(|event| event.terms.earned_by == Some(workload));
    let months = events.map(|event| super::treasury::amounts(ground, event.span, event.amount));
    months.reduce(|mut sum, more| {
        super::supplies::add(&mut sum, &more);
        sum
    })
}

fn training<'a>(
    ground: &Ground<'a>,
    workload: WorkloadId,
    name: &str,
    kind: &WorkloadKind,
    (accelerators, gang): (&'a [AcceleratorId], u32),
) -> Option<Asked<'a>> {
    let WorkloadKind::Training { work, deadline, value, from, recurs, promised, .. } = kind else { return None };
    let (mut arrivals, mut due) = (vec![0.0; ground.horizon.months.len()], vec![0.0; ground.horizon.months.len()]);
    let plan = ground.horizon.span();
    let hours = work.count() as f64 / HOUR_MS;
    for (arrives, until, size) in comings(ground, *from, *deadline, recurs.as_ref()) {
        arrivals[ground.horizon.month(arrives)] += hours * size;
        if let Some(until) = until.map(before).filter(|until| *until < plan.to) {
            due[ground.horizon.month(until)] += hours * size;
        }
    }
    let unvalued = vec![value.is_none()];
    let value = value.map_or(0.0, |value| each(value, *work));
    let wanted = arrivals.iter().any(|hours| *hours > 0.0);
    let kind = WorkKind::Training { arrivals, due, value, promised: *promised, gang };
    let work = Work { name: name.to_owned(), workload, kind };
    wanted.then_some(Asked { work, needs: Needs::Training { accelerators, gang }, unvalued })
}

fn each(value: Money, work: Quantity) -> f64 {
    if work > Quantity::ZERO { money(value) / (work.count() as f64 / HOUR_MS) } else { 0.0 }
}

/// When a job comes within the plan, by when it is due, and how large it is against the first. What came before the plan is still
/// to be done while its deadline is not over; of jobs without one, that come again, only those that come in the plan are.
fn comings(
    ground: &Ground<'_>,
    from: Option<Instant>,
    deadline: Option<Instant>,
    recurs: Option<&Recurs>,
) -> Vec<(Instant, Option<Instant>, f64)> {
    let plan = ground.horizon.span();
    let first = from.unwrap_or(plan.from);
    let zone = super::months::zone(ground.fleet);
    let later = |at: Instant, months: i64| {
        let zoned = jiff::Timestamp::from(at).to_zoned(zone.clone());
        let moved = jiff::Span::new().try_months(months).and_then(|months| zoned.checked_add(months));
        moved.map_or(Instant::MAX, |zoned| Instant::from(zoned.timestamp()))
    };
    let mut comings = Vec::new();
    let mut size = 1.0;
    for index in 0_i64.. {
        let months = recurs.map_or(0, |recurs| index * i64::from(recurs.every_months.max(1)));
        let (arrives, until) = (later(first, months), deadline.map(|deadline| later(deadline, months)));
        let ended = index > 0 && recurs.is_none_or(|recurs| arrives >= recurs.until);
        if arrives >= plan.to || ended {
            break;
        }
        let open = match until {
            Some(until) => until > plan.from,
            None => arrives >= plan.from || recurs.is_none(),
        };
        if open {
            comings.push((arrives.max(plan.from), until, size));
        }
        size *= 1.0 + recurs.map_or(0.0, |recurs| part(recurs.growth));
    }
    comings
}

/// How many times the largest demand a supply by the token is taken to have: more than any scenario asks for.
const AMPLE: f64 = 10.0;

/// More tokens than are asked for in any step, of all works together.
pub(crate) fn wanted(asked: &[Asked<'_>]) -> f64 {
    let mut steps: Vec<f64> = Vec::new();
    for asked in asked {
        let WorkKind::Serving { tranches, .. } = &asked.work.kind else { continue };
        for tranche in tranches {
            steps.resize(tranche.demand.len(), 0.0);
            super::supplies::add(&mut steps, &tranche.demand);
        }
    }
    AMPLE * steps.into_iter().fold(0.0, f64::max)
}
