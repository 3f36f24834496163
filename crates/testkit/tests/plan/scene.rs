//! A fleet with its plan, and scenarios of it.

use std::path::Path;

use fleet::{Fleet, Severity};
use lp::{Effort, Kept, Solver as _, Verdict};
use planner::{
    Decided, Draw, EventKind, Flow, Instance, Odds, Plan, Policy, Promises, Run, Scenario, State, Told, Violation, World, audit_lived,
    extract, foreseen, live_anew, lived, planned_flows, rows, survey,
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

    /// What the policy did in a scenario.
    pub fn live(&self, scenario: &Scenario) -> Lived {
        let mut world = World::new(&self.signed);
        let world = world.enter(scenario);
        let mut run = Run::recording();
        self.policy.simulate(world, &State::opening(&self.signed), world.months.len(), &mut run);
        self.told(scenario, world, &run, &self.first.used)
    }

    /// The same with a new plan each quarter; nothing where a quarter has none.
    pub fn live_anew(&self, scenario: &Scenario) -> Option<Lived> {
        let mut world = World::new(&self.signed);
        let world = world.enter(scenario);
        let mut run = Run::recording();
        let mut again = |instance: &Instance, opening: &State| best(instance, opening).or_else(|_| best(&free(instance), opening));
        let followed = live_anew(&self.signed, &self.first, world, scenario, &mut again, &mut run).ok()?;
        Some(self.told(scenario, world, &run, &followed))
    }

    /// The best plan of who knows the scenario; nothing where there is none.
    pub fn foresee(&self, scenario: &Scenario) -> Option<Lived> {
        let (world, mut fleet) = (self.instance.under(scenario), self.fleet.clone());
        let opening = State::opening(&world);
        let answer = best(&world, &opening).or_else(|_| {
            fleet.caps.clear();
            best(&free(&world), &opening)
        });
        let plan = foreseen(&self.fleet, &world, &answer.ok()?);
        Some(Lived { fleet, plan, told: scenario.told(&self.fleet, &self.instance), followed: None })
    }

    fn told(&self, scenario: &Scenario, world: &Instance, run: &Run, followed: &[f64]) -> Lived {
        let plan = lived(&self.fleet, &self.instance, &self.first, world, run).expect("the run keeps what it does");
        let followed = Some(planned_flows(&self.fleet, world, followed));
        Lived { fleet: self.fleet.clone(), plan, told: scenario.told(&self.fleet, &self.instance), followed }
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

/// A scenario as it was lived through: what the auditor reads.
#[derive(Clone)]
pub struct Lived {
    /// Without limits on dependence where nothing keeps them.
    pub fleet: Fleet,
    /// What was done.
    pub plan: Plan,
    /// What the scenario was.
    pub told: Told,
    /// What the plans that were followed have.
    pub followed: Option<Vec<Flow>>,
}

impl Lived {
    pub fn audit(&self, rough: f64) -> Vec<Violation> {
        audit_lived(&self.fleet, &self.plan, &self.told, self.followed.as_deref(), rough)
    }
}

fn free(instance: &Instance) -> Instance {
    Instance { caps: Vec::new(), ..instance.clone() }
}

/// The best plan, where there is one.
fn best(instance: &Instance, opening: &State) -> Result<Decided, Verdict> {
    let (problem, layout) = rows(instance, opening, Promises::Priced, None);
    let mut solver = highs();
    solver.load(problem).expect("a problem");
    let solution = solver.solve(Effort::default(), Kept::Nothing).expect("it is solved");
    if solution.verdict == Verdict::Optimal { Ok(extract(instance, &layout, &solution)) } else { Err(solution.verdict) }
}
