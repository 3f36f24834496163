//! Room for one simulation after another.

use super::compile::small;
use crate::decided::Decided;
use crate::instance::{Floor, Instance, WorkKind};
use crate::state::{Month, State};

/// A simulation: where it stands, what each month came to, and room that the next one uses again.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Where it stands.
    pub state: State,
    /// What each month came to, from the first that was simulated.
    pub months: Vec<Month>,
    /// What was served and trained was worth beside cash, less what gaps, broken promises and dilution cost.
    pub worth: f64,
    /// What was done in each month and step, where [`Run::recording`] asks for it.
    pub did: Option<Decided>,
    /// The month that is simulated.
    pub(super) now: Month,
    /// By step and limit: what there is without orders.
    pub(super) most: Vec<f64>,
    /// What is left of each limit in the step.
    pub(super) left: Vec<f64>,
    /// What a unit of each supply costs in the step, in money of the end.
    pub(super) cost: Vec<f64>,
    /// What a unit of each supply costs of which more can be had in the step; of the others it is infinite.
    pub(super) offered: Vec<f64>,
    /// The supplies of which more could be had when work began to be placed beyond the plan.
    pub(super) stock: Vec<u32>,
    /// Those of them that pay for a work.
    pub(super) paying: Vec<u32>,
    /// What a unit of a work costs on each supply that may do more of it.
    pub(super) open: Vec<(f64, u32)>,
    /// Each work in the step.
    pub(super) tallies: Vec<Tally>,
    /// Each tranche of each work in the step, as [`super::Rank`] counts them.
    pub(super) asked: Vec<Asked>,
    /// What is used of each supply in the step.
    pub(super) used: Vec<f64>,
    /// Of each planned quantity in the step: what is placed.
    pub(super) placed: Vec<f64>,
    /// Steps in which each fit may be used.
    pub(super) open_in: Vec<Open>,
    /// How each floor stands.
    pub(super) floors: Vec<Standing>,
    /// Ordered in all, by expansion.
    pub(super) ordered: Vec<f64>,
    /// Ordered in the month of each kind of chip, by the first expansion of that kind.
    pub(super) chips: Vec<f64>,
    /// What the plan ordered in all, by expansion, on top of what was ordered when it began.
    pub(super) wished: Vec<f64>,
    /// Given up in this simulation, by work.
    pub(super) late: Vec<f64>,
    /// Due by the month, by work.
    pub(super) due: Vec<f64>,
    /// By cap: on the party, and in all, in the month.
    pub(super) shares: Vec<(f64, f64)>,
    /// What is taken of each window in the month.
    pub(super) raises: Vec<f64>,
}

/// A work in a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// What is wanted.
    pub(super) wanted: f64,
    /// What of that is promised.
    pub(super) promised: f64,
    /// What of it is to be done as planned.
    pub(super) goal: f64,
    /// What is done.
    pub(super) done: f64,
    /// What is wanted of the tranches that were looked at so far.
    pub(super) reach: f64,
    /// What a unit of the dearest tranche is worth, in money of the end.
    pub(super) best: f64,
    /// Whether no supply that pays is left.
    pub(super) exhausted: bool,
}

/// A tranche in a step; of training there is no more to it than what it is worth.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// What is wanted.
    pub(super) demand: f64,
    /// Cash for a unit.
    pub(super) price: f64,
    /// What a unit is worth beside its cash.
    pub(super) value: f64,
    /// What a unit is worth in all, in money of the end.
    pub(super) worth: f64,
}

/// Steps in which a fit may be used.
#[derive(Clone, Debug)]
pub(super) enum Open {
    /// One span of them, as mostly.
    Once(u32, u32),
    /// Some spans of them.
    Often(Vec<(usize, usize)>),
}

impl Open {
    fn new(open: &[(usize, usize)]) -> Self {
        match open {
            [] => Self::Once(0, 0),
            [(from, to)] => Self::Once(small(*from), small(*to)),
            _ => Self::Often(open.to_vec()),
        }
    }

    /// Whether a step is one of them.
    #[inline]
    pub(super) fn has(&self, step: usize) -> bool {
        match self {
            Self::Once(from, to) => (*from as usize..*to as usize).contains(&step),
            Self::Often(spans) => spans.iter().any(|(from, to)| (*from..*to).contains(&step)),
        }
    }
}

/// A floor, as far as it has come in this simulation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// What must count towards it beside what counts whatever is done.
    pub(super) needed: f64,
    /// What counted towards it.
    pub(super) counted: f64,
    /// What the plan counted towards it in the same months.
    pub(super) expected: f64,
    /// What a unit that counts takes off what is to be paid, in money of the end.
    pub(super) credit: f64,
}

impl Run {
    /// A run that keeps what it does: [`Run::did`].
    #[must_use]
    pub fn recording() -> Self {
        Self { did: Some(Decided::default()), ..Self::default() }
    }

    /// Notes something that was done, where that is kept.
    #[inline]
    pub(super) fn note(&mut self, note: impl FnOnce(&mut Decided)) {
        if let Some(did) = &mut self.did {
            note(did);
        }
    }

    /// Stands at `from`, with everything else as it is before a first month.
    pub(super) fn begin(&mut self, world: &Instance, from: &State) {
        let refill = |list: &mut Vec<f64>, length: usize| {
            list.clear();
            list.resize(length, 0.0);
        };
        self.state.copy_from(from);
        self.state.payable.resize(world.months.len(), 0.0);
        self.state.chargeable.resize_with(world.credits.len(), Vec::new);
        self.state.chargeable.iter_mut().for_each(|of| of.resize(world.months.len(), 0.0));
        self.state.arriving.resize_with(world.expansions.len(), Vec::new);
        self.state.arriving.iter_mut().for_each(|of| of.resize(world.months.len(), 0.0));
        let state = &mut self.state;
        for (list, length) in [
            (&mut state.installed, world.expansions.len()),
            (&mut state.counted, world.floors.len()),
            (&mut state.carried, world.floors.len()),
            (&mut state.tiered, world.tiered.len()),
            (&mut state.credit, world.credits.len()),
            (&mut state.backlog, world.works.len()),
            (&mut state.done, world.works.len()),
            (&mut state.raised, world.treasury.windows.len()),
        ] {
            list.resize(length, 0.0);
        }
        self.months.clear();
        self.worth = 0.0;
        refill(&mut self.left, world.limits.len());
        refill(&mut self.cost, world.supplies.len());
        refill(&mut self.used, world.supplies.len());
        for list in [&mut self.late, &mut self.due] {
            refill(list, world.works.len());
        }
        self.tallies.clear();
        self.tallies.resize(world.works.len(), Tally::default());
        for list in [&mut self.ordered, &mut self.chips, &mut self.wished] {
            refill(list, world.expansions.len());
        }
        refill(&mut self.raises, world.treasury.windows.len());
        self.shares.clear();
        self.shares.resize(world.caps.len(), (0.0, 0.0));
        for (index, arriving) in self.state.arriving.iter().enumerate() {
            self.ordered[index] = self.state.installed[index] + arriving.iter().skip(from.month).sum::<f64>();
        }
        self.wished.copy_from_slice(&self.ordered);
        if from.month == 0 {
            self.note(|did| *did = nothing(world));
        }
    }

    /// Lays out what of `world` is the same in all its months and would else be looked up in each.
    pub(super) fn learn(&mut self, world: &Instance, taken: &[f64]) {
        self.open_in.clear();
        self.open_in.extend(world.fits.iter().map(|fit| Open::new(&fit.open)));
        let limits = world.limits.len();
        self.most.resize(world.steps.len() * limits, 0.0);
        for (index, limit) in world.limits.iter().enumerate() {
            for (step, most) in self.most.iter_mut().skip(index).step_by(limits).enumerate() {
                *most = limit.most.at(step, taken);
            }
        }
        self.floors.clear();
        let needed = |floor: &Floor| floor.least.at(0, taken) - floor.counted.at(0, taken);
        self.floors.extend(world.floors.iter().map(|floor| Standing { needed: needed(floor), ..Standing::default() }));
    }
}

/// Nothing done yet: room for every month and step.
fn nothing(world: &Instance) -> Decided {
    let (months, steps) = (world.months.len(), world.steps.len());
    let served = |work: &crate::instance::Work| match &work.kind {
        WorkKind::Serving { tranches, .. } => vec![vec![0.0; steps]; tranches.len()],
        WorkKind::Training { .. } => Vec::new(),
    };
    Decided {
        used: vec![0.0; world.fits.len() * steps],
        served: world.works.iter().map(served).collect(),
        late: vec![vec![0.0; months]; world.works.len()],
        ordered: vec![vec![0.0; months]; world.expansions.len()],
        raised: vec![vec![0.0; months]; world.treasury.windows.len()],
        drawn: vec![0.0; months],
        repaid: vec![0.0; months],
        gap: vec![0.0; months],
        cash: vec![0.0; months],
        debt: vec![0.0; months],
        ..Decided::default()
    }
}
