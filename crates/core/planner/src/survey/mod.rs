//! From the fleet to an [`Instance`]: contracts, pools, work and money as plain numbers by month, as `docs/plan.md` says.

mod bars;
mod charges;
mod exclusive;
mod expansions;
mod fits;
mod floors;
mod ground;
mod limits;
mod months;
mod offers;
mod periods;
mod refused;
mod scale;
mod scope;
mod supplies;
mod treasury;
mod ventures;
mod works;

pub use offers::decided;
pub use refused::{Refused, Why};

use fleet::Fleet;

use crate::instance::{Instance, Scale, Tranche, WorkKind};
use crate::survey::ground::{Ground, Outline};

/// Money that is missing counts so many times.
const GAP_COST: f64 = 10.0;
/// A promised token that is not served costs so many times the dearest.
const MISS_COST: f64 = 10.0;

/// The fleet as planning computes with it.
///
/// # Errors
/// With all that can't be planned, each with its place in the file.
pub fn survey(file: &Fleet) -> Result<Instance, Vec<Refused>> {
    let outline = Outline::new(file)?;
    let ground = Ground::new(&outline);
    let sources = supplies::sources(&ground);
    let mut asked = works::asked(&ground);
    let fits = fits::fits(&ground, &sources, &asked);
    let replacement = fits::value(&ground, &sources, &mut asked, &fits);
    let wanted = works::wanted(&asked);
    let exclusive = exclusive::exclusive(&ground, &sources, &asked, &fits, wanted)?;
    let mut bounds = limits::bounds(&ground, &sources, wanted);
    bounds.extend(exclusive);
    let expansions = expansions::expansions(&ground, &sources, &mut bounds);
    let bars = bars::bars(&ground, &sources, &asked, &fits, &expansions);
    let works: Vec<_> = asked.into_iter().map(|asked| asked.work).collect();
    let ventures = ventures::ventures(&ground, &mut bounds);
    let steps = charges::tiers(&ground, &sources);
    let clauses: Vec<_> = expansions.iter().map(|(deal, expansion)| (*deal, expansion.clause)).collect();
    let scene = floors::Scene { ground: &ground, sources: &sources, bounds: &bounds, steps: &steps, expansions: &clauses };
    let windows = floors::floors(&scene);
    let credits = charges::credits(&ground);
    let mut events = charges::events(&ground);
    events.extend(ventures::stakes(&ground));
    let treasury = treasury::treasury(&ground, &limits::held(&ground), events);
    let caps = ventures::caps(&ground);
    let units = scale::Units {
        limits: bounds.iter().map(|bound| bound.unit).collect(),
        floors: windows.iter().map(|window| window.counts).collect(),
    };
    let miss_cost = works.iter().zip(replacement).map(|(work, replacement)| miss_cost(&work.kind, replacement)).collect();
    let mut instance = Instance {
        scale: Scale { money: 1.0, hours: 1.0, tokens: 1.0 },
        months: outline.horizon.months.clone(),
        steps: outline.horizon.steps.clone(),
        choices: outline.choices.clone(),
        supplies: sources.into_iter().map(|source| source.supply).collect(),
        works,
        fits,
        limits: bounds.into_iter().map(|bound| bound.limit).collect(),
        expansions: expansions.into_iter().map(|(_, expansion)| expansion).collect(),
        tiered: steps.into_iter().map(|step| step.tiered).collect(),
        floors: windows.into_iter().map(|window| window.floor).collect(),
        credits,
        ventures,
        caps,
        bars,
        refusals: bars::refusals(&ground),
        treasury,
        gap_cost: GAP_COST,
        miss_cost,
    };
    scale::scale(&mut instance, &units);
    Ok(instance)
}

/// What a promised token that is not served costs, from the dearest price, value or replacement of the workload's.
fn miss_cost(kind: &WorkKind, replacement: f64) -> f64 {
    let WorkKind::Serving { tranches, .. } = kind else { return 0.0 };
    let worth = |tranche: &Tranche| tranche.price.iter().chain(&tranche.value).fold(0.0, |most: f64, worth| most.max(*worth));
    MISS_COST * tranches.iter().map(worth).fold(replacement, f64::max)
}
