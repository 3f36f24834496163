//! Random fleets from their text to the audit: what each part says is what the others read.

use std::collections::BTreeMap;

use fleet::{Basis, Fleet, Overflow, Period, Severity};
use planner::{Beside, DecideError, Instance, Plan, WorkKind, audit, settle, survey};
use testkit::fleets::text;

use crate::solved::tried;

/// Fleets that are planned; `BASELOAD_FLEETS` says another number.
const FLEETS: u64 = 50;
/// Rounding, as a share of the money that moves: nine of ten fleets without anything rough differ by no more.
const ROUNDING: f64 = 1e-5;
/// How far the others of them may be off: what ramps within a billing period.
const NEARLY: f64 = 5e-3;
/// What the solver counts more roughly than statements do, as such a share.
const ROUGHLY: f64 = 0.05;

fn read(seed: u64) -> Fleet {
    let parsed = fleet::parse(&text(seed));
    let errors: Vec<String> =
        parsed.diagnostics.iter().filter(|it| it.severity == Severity::Error).map(|it| format!("{}: {}", it.code, it.message)).collect();
    assert!(errors.is_empty(), "seed {seed}: {errors:?}");
    parsed.fleet.expect("a fleet without errors")
}

/// Section 5 of `docs/plan.md` once more, from the plan's whole quantities and exact money; what missing promises cost is the solver's.
fn worth(instance: &Instance, plan: &Plan) -> f64 {
    let scale = instance.scale;
    let units = |money: units::Money| money.nanos() as f64 / 1e9 / scale.money;
    let end = plan.money.last().expect("a plan has a month");
    let mut sum = units(end.cash) - units(end.debt);
    for work in &instance.works {
        let served = plan.served.iter().filter(|row| row.workload == work.name);
        let trained = plan.trained.iter().filter(|row| row.workload == work.name);
        sum += match &work.kind {
            WorkKind::Serving { tranches, .. } => {
                let value = |row: &planner::Served| {
                    let tranche = tranches.iter().find(|tranche| tranche.tier == row.tier);
                    tranche.map_or(0.0, |tranche| tranche.value[row.step]) * row.served as f64 / scale.tokens
                };
                served.map(value).sum::<f64>()
            }
            WorkKind::Training { value, promised, .. } => {
                let lost = if *promised { instance.gap_cost } else { 0.0 };
                trained.map(|row| value * (row.done as f64 - lost * row.late as f64) / 3.6e6 / scale.hours).sum()
            }
        };
    }
    let cost: BTreeMap<&str, f64> = instance.treasury.windows.iter().map(|window| (window.name.as_str(), window.cost)).collect();
    sum -= plan.raised.iter().map(|row| (1.0 + cost[row.name.as_str()]) * units(row.amount)).sum::<f64>();
    sum - plan.money.iter().map(|month| instance.gap_cost * units(month.gap)).sum::<f64>()
}

/// Whether a fleet has what the solver counts more roughly than statements do: the end of section 6 lists it.
fn is_rough(fleet: &Fleet) -> bool {
    let bought = fleet.contracts.iter().any(|(.., other)| other.floors.iter().any(|floor| floor.basis == Basis::Purchase));
    fleet.contracts.iter().any(|(.., terms)| {
        let prepaid = !terms.prepayments.is_empty() && (bought || !terms.expansions.is_empty());
        let short = matches!(terms.calendar.period(), Period::Days(_) | Period::Minutes(_));
        prepaid || short || terms.under.is_some() || matches!(terms.overflow, Some(Overflow::AtRate(_)))
    })
}

/// How much money moves in a plan at most.
fn turnover(plan: &Plan) -> f64 {
    let moved = plan.money.iter().flat_map(|month| [month.cash, month.revenue, month.contracts, month.raised, month.debt]);
    moved.map(|money| (money.nanos() as f64 / 1e9).abs()).fold(1.0, f64::max)
}

/// A plan of a fleet against the solver's answer that it was made from, as shares of the money that moves.
struct Compared {
    wrong: Vec<String>,
    /// By how much the objective and cash before the end differ.
    worth: f64,
    cash: f64,
    /// How far the objective may be off.
    most: f64,
}

/// Plans a fleet; none where nothing satisfies it.
fn compared(seed: u64) -> Option<Compared> {
    let fleet = read(seed);
    let instance = survey(&fleet).expect("it can be planned");
    let answer = match tried(&instance) {
        Ok(answer) => answer,
        Err(DecideError::Impossible(_)) => return None,
        Err(error) => {
            let wrong = vec![format!("seed {seed}: {error}")];
            return Some(Compared { wrong, worth: 0.0, cash: 0.0, most: 0.0 });
        }
    };
    let plan = settle(&fleet, &instance, &answer.decided, &Beside::default());
    let wrong = audit(&fleet, &plan).iter().take(6).map(|found| format!("seed {seed}: {found}")).collect();
    let money = turnover(&plan);
    let missed: f64 = answer.decided.missed.iter().zip(&instance.miss_cost).map(|(missed, cost)| cost * missed.iter().sum::<f64>()).sum();
    let worth = (worth(&instance, &plan) - missed - answer.decided.objective).abs() * instance.scale.money / money;
    // A gap may be taken early for its interest, and counts tenfold.
    let most = if plan.gaps.is_empty() { if is_rough(&fleet) { ROUGHLY } else { NEARLY } } else { 2.0 * ROUGHLY };
    Some(Compared { wrong, worth, cash: plan.residual.nanos() as f64 / 1e9 / money, most })
}

#[test]
fn random_fleets_are_planned_as_their_auditor_reads_them() {
    let count = std::env::var("BASELOAD_FLEETS").ok().and_then(|count| count.parse().ok()).unwrap_or(FLEETS);
    let (mut planned, mut plain, mut exact, mut wrong) = (0, 0, 0, Vec::new());
    for seed in 0..count {
        let Some(compared) = compared(seed) else { continue };
        planned += 1;
        plain += u64::from(compared.most == NEARLY);
        exact += u64::from(compared.most == NEARLY && compared.worth.max(compared.cash) < ROUNDING);
        wrong.extend(compared.wrong);
        if compared.worth > compared.most {
            wrong.push(format!("seed {seed}: the objective differs by {} of the money that moves", compared.worth));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(planned * 10 >= count * 8, "only {planned} of {count} have a plan");
    assert!(plain * 5 >= count && exact * 10 >= plain * 9, "{plain} of {count} should be counted exactly, and {exact} are");
}

#[test]
fn a_limit_on_spend_that_does_not_hold_is_found() {
    let mut tried_on = 0;
    for seed in 0..FLEETS {
        let mut fleet = read(seed);
        if !fleet.caps.iter().any(|cap| cap.of == fleet::Of::Spend) {
            continue;
        }
        let instance = survey(&fleet).expect("it can be planned");
        let Ok(answer) = tried(&instance) else { continue };
        let plan = settle(&fleet, &instance, &answer.decided, &Beside::default());
        // Most of what is paid rests on whoever is paid most: a hundredth of it is too little.
        fleet.caps.retain(|cap| cap.of == fleet::Of::Spend);
        fleet.caps.iter_mut().for_each(|cap| cap.share = units::Share::from_ppm(10));
        let paid =
            |party| plan.due.iter().any(|due| fleet.contracts.id(&due.contract).is_some_and(|id| fleet.contracts[id].party == party));
        if fleet.caps.iter().any(|cap| paid(cap.party)) {
            tried_on += 1;
            let found = audit(&fleet, &plan);
            assert!(found.iter().any(|violation| violation.rule == planner::Rule::Dependence), "seed {seed}: {found:?}");
        }
    }
    assert!(tried_on >= 3, "{tried_on}");
}
