//! A fleet with its plan, and scenarios of it.

use std::path::Path;

use fleet::{Fleet, Severity};
use lp::{Effort, Kept, Solver as _, Verdict};
use planner::{
    Decided, Draw, EventKind, Instance, Odds, Plan, Policy, Promises, Run, Scenario, State, Told, World, extract, foreseen, live_anew,
    lived, rows, survey,
};

use crate::solved::{highs, tried};

/// What falls due may differ by so much of the money that moves, where billing periods cut months: `docs/plan.md` section 9.
pub const ROUGHLY: f64 = 0.12;
/// Nine of ten scenarios differ by no more.
pub const NEARLY: f64 = 0.005;

fn read(text: &str) -> Fleet {
    let parsed = fleet::parse(text);
    let errors: Vec<_> = parsed.diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    parsed.fleet.expect("a fleet without errors")
}

/// A file of the repository.
pub fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(path).expect("the file is there")
}

/// A fleet, its plan, and the policy that follows it.
pub struct Scene {
    pub fleet: Fleet,
    pub instance: Instance,
    pub signed: Instance,
    pub first: Decided,
    pub policy: Policy,
    pub draw: Draw,
}

impl Scene {
    /// Nothing where there is no plan.
    pub fn new(text: &str) -> Option<Self> {
        let fleet = read(text);
        let instance = survey(&fleet).expect("it can be planned");
        let answer = tried(&instance).ok()?;
        let signed = instance.signed(&answer.decided.taken);
        let policy = Policy::compile(&signed, &State::opening(&signed), &answer.decided);
        let draw = Draw::new(&fleet, &instance);
        Some(Self { fleet, instance, signed, first: answer.decided, policy, draw })
    }

    /// What the policy did in a scenario, and what the scenario was.
    pub fn live(&self, scenario: &Scenario) -> (Plan, Told) {
        let mut world = World::new(&self.signed);
        let world = world.enter(scenario);
        let mut run = Run::recording();
        self.policy.simulate(world, &State::opening(&self.signed), world.months.len(), &mut run);
        self.told(scenario, world, &run)
    }

    /// The same with a new plan each quarter; nothing where a quarter has none.
    pub fn live_anew(&self, scenario: &Scenario) -> Option<(Plan, Told)> {
        let mut world = World::new(&self.signed);
        let world = world.enter(scenario);
        let mut run = Run::recording();
        live_anew(&self.signed, &self.first, world, scenario, &mut best, &mut run).ok()?;
        Some(self.told(scenario, world, &run))
    }

    /// The best plan of who knows the scenario; nothing where there is none.
    pub fn foresee(&self, scenario: &Scenario) -> Option<(Plan, Told)> {
        let world = self.instance.under(scenario);
        let answer = best(&world, &State::opening(&world)).ok()?;
        Some((foreseen(&self.fleet, &world, &answer), scenario.told(&self.fleet, &self.instance)))
    }

    fn told(&self, scenario: &Scenario, world: &Instance, run: &Run) -> (Plan, Told) {
        let plan = lived(&self.fleet, &self.instance, &self.first, world, run).expect("the run keeps what it does");
        (plan, scenario.told(&self.fleet, &self.instance))
    }

    /// Everything that can go wrong, and often: random fleets say nothing of risk.
    pub fn roughen(&mut self) {
        let odds = |likelihood, months, share| Odds { likelihood, months, share };
        let comes = |kind: EventKind| matches!(kind, EventKind::Revenue | EventKind::Raise);
        let fleet = &self.fleet;
        self.draw = Draw {
            demand: 0.3,
            price_drift: -0.1,
            price: 0.2,
            rent: 0.4,
            common: 0.3,
            defaults: vec![0.15; fleet.parties.len()],
            delays: vec![odds(0.3, 6, 1.0); fleet.parties.len()],
            shortages: vec![odds(0.3, 6, 1.0); fleet.accelerators.len()],
            shortfalls: vec![odds(0.3, 4, 0.5); fleet.sites.len()],
            windows: vec![0.7; self.draw.windows.len()],
            refusals: vec![0.5; self.draw.refusals.len()],
            events: self.instance.treasury.events.iter().map(|event| if comes(event.kind) { 0.9 } else { 1.0 }).collect(),
            ..self.draw.clone()
        };
    }
}

/// The best plan; without limits on dependence where nothing keeps them.
fn best(instance: &Instance, opening: &State) -> Result<Decided, Verdict> {
    let (problem, layout) = rows(instance, opening, Promises::Priced, None);
    let mut solver = highs();
    solver.load(problem).expect("a problem");
    let solution = solver.solve(Effort::default(), Kept::Nothing).expect("it is solved");
    match solution.verdict {
        Verdict::Optimal => Ok(extract(instance, &layout, &solution)),
        Verdict::Infeasible if !instance.caps.is_empty() => best(&Instance { caps: Vec::new(), ..instance.clone() }, opening),
        verdict => Err(verdict),
    }
}
