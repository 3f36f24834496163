//! Whether what was done in scenarios keeps every rule: the first of them, in each way, told as plans and audited like them.

use fleet::Fleet;
use highs::Highs;
use lp::Effort;
use planner::{
    Decided, Draw, Flow, Instance, Outcome, Plan, Policy, Run, Scenario, State, World, audit_lived, foreseen, foresight, live_anew, lived,
    planned_flows, replanned,
};

use super::risk::{Best, best};
use super::study::Study;
use anyhow::Result;

/// Scenarios that are audited, in each way: each takes about as long as the audit of a plan.
pub const CHECKED: u64 = 4;
/// What falls due may lie so far from the statements, as a share of the money that moves: `docs/plan.md` section 9.
const ROUGHLY: f64 = 0.125;

/// A scenario's outcome, and what is wrong with what was done in it.
pub type Checked = (Outcome, Vec<String>);

/// Scenarios of a study.
pub struct Scenarios<'a> {
    pub study: &'a Study,
    /// The instance with what the plan signs.
    pub signed: &'a Instance,
    pub draw: &'a Draw,
    pub seed: u64,
    pub effort: Effort,
}

impl Scenarios<'_> {
    /// What is wrong in a scenario that was lived through with the plan's policy.
    pub fn frozen(&self, policy: &Policy, number: u64) -> Vec<String> {
        let scenario = self.draw.scenario(self.seed, number);
        let (mut world, mut run) = (World::new(self.signed), Run::recording());
        let world = world.enter(&scenario);
        policy.simulate(world, &State::opening(self.signed), world.months.len(), &mut run);
        self.wrong("as planned", &scenario, self.lived(world, &run, &self.study.answer.decided.used))
    }

    /// A scenario that is planned anew each quarter.
    pub fn anew(&self, number: u64, solver: &mut Highs) -> Result<Checked> {
        let (scenario, first) = (self.draw.scenario(self.seed, number), &self.study.answer.decided);
        let mut again = |instance: &Instance, opening: &State| best(instance, opening, solver, self.effort).map(|best: Best| best.decided);
        if number >= CHECKED {
            return Ok((replanned(self.signed, first, &scenario, &mut again)?, Vec::new()));
        }
        let (mut world, mut run) = (World::new(self.signed), Run::recording());
        let world = world.enter(&scenario);
        let followed = live_anew(self.signed, first, world, &scenario, &mut again, &mut run)?;
        let wrong = self.wrong("planned anew", &scenario, self.lived(world, &run, &followed));
        Ok((Outcome::of(number, &run), wrong))
    }

    /// A scenario that is known beforehand.
    pub fn foreseen(&self, number: u64, solver: &mut Highs) -> Result<Checked> {
        let scenario = self.draw.scenario(self.seed, number);
        let mut wrong = Vec::new();
        let mut knowing = |world: &Instance, opening: &State| -> Result<Decided> {
            let best = best(world, opening, solver, self.effort)?;
            if number < CHECKED {
                let mut fleet = Fleet::clone(&self.study.fleet);
                if !best.keeps_caps {
                    fleet.caps.clear();
                }
                let plan = foreseen(&fleet, world, &best.decided);
                wrong = self.wrong("foreseen", &scenario, Some(Did { fleet, plan, followed: None }));
            }
            Ok(best.decided)
        };
        let outcome = foresight(&self.study.instance, &scenario, &mut knowing)?;
        Ok((outcome, wrong))
    }

    fn lived(&self, world: &Instance, run: &Run, followed: &[f64]) -> Option<Did> {
        let Study { fleet, instance, answer, .. } = self.study;
        let plan = lived(fleet, instance, &answer.decided, world, run)?;
        Some(Did { fleet: Fleet::clone(fleet), plan, followed: Some(planned_flows(fleet, world, followed)) })
    }

    fn wrong(&self, way: &str, scenario: &Scenario, did: Option<Did>) -> Vec<String> {
        let Some(Did { fleet, plan, followed }) = did else { return Vec::new() };
        let told = scenario.told(&self.study.fleet, &self.study.instance);
        let found = audit_lived(&fleet, &plan, &told, followed.as_deref(), ROUGHLY);
        found.into_iter().map(|violation| format!("scenario {}, {way}: {violation}", scenario.index)).collect()
    }
}

/// What was done in a scenario.
struct Did {
    /// Without limits on dependence, where nothing keeps them.
    fleet: Fleet,
    plan: Plan,
    /// What the plans have that were followed.
    followed: Option<Vec<Flow>>,
}
