//! Room for one simulation after another.

use crate::decided::Decided;
use crate::instance::{Instance, WorkKind};
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
    /// What is left of each limit in the step.
    pub(super) left: Vec<f64>,
    /// What a unit of each supply costs in the step, in money of the end.
    pub(super) cost: Vec<f64>,
    /// Supplies of which more can be had in the step, and what a unit of them costs.
    pub(super) offered: Vec<(u32, f64)>,
    /// Whether no supply that pays is left for each work in the step.
    pub(super) exhausted: Vec<bool>,
    /// What a unit of a work costs on each fit that may do more of it.
    pub(super) open: Vec<(f64, u32)>,
    /// What the dearest tranche of each work is worth in the step, in money of the end.
    pub(super) best: Vec<f64>,
    /// What is used of each supply in the step.
    pub(super) used: Vec<f64>,
    /// What is done of each work in the step.
    pub(super) done: Vec<f64>,
    /// What is wanted of each work in the step.
    pub(super) wanted: Vec<f64>,
    /// What is wanted of the tranches of each work that were looked at so far.
    pub(super) reach: Vec<f64>,
    /// What is promised of each work in the step.
    pub(super) promised: Vec<f64>,
    /// Of each planned quantity in the step: what is placed.
    pub(super) placed: Vec<f64>,
    /// What a unit that counts towards each floor takes off what is to be paid, in money of the end.
    pub(super) credit: Vec<f64>,
    /// What counted towards each floor in this simulation.
    pub(super) counted: Vec<f64>,
    /// What the plan counted towards each floor in the same months.
    pub(super) expected: Vec<f64>,
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
        for list in [&mut self.done, &mut self.wanted, &mut self.reach, &mut self.best, &mut self.promised, &mut self.late, &mut self.due] {
            refill(list, world.works.len());
        }
        for list in [&mut self.credit, &mut self.counted, &mut self.expected] {
            refill(list, world.floors.len());
        }
        for list in [&mut self.ordered, &mut self.chips, &mut self.wished] {
            refill(list, world.expansions.len());
        }
        refill(&mut self.raises, world.treasury.windows.len());
        self.exhausted.resize(world.works.len(), false);
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
