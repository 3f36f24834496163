//! `bench_scenarios COUNT`: lives through so many scenarios of the reference under the policy of its optimum, and says how many a second of
//! processor time that is, drawing them included (the median of some rounds), and how far the policy is from the optimum where all goes as
//! planned.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use highs::Highs;
use lp::Effort;
use planner::{Draw, Instance, Odds, Policy, Run, State, Summary, decide, frozen};

/// What else a machine does slows some of them.
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let count = env::args().nth(1).map_or(Ok(2_000), |text| text.parse())?;
    let home = env::var("HOME").unwrap_or_default();
    let mut solver = Highs::find(&Path::new(&home).join(".cache/baseload/solver").join(highs::VERSION))?;
    let instance = testkit::instance::reference();
    let opening = State::opening(&instance);
    let decided = decide(&instance, &opening, None, &mut solver, Effort::default())?.decided;
    let mut out = io::stdout().lock();

    let begun = cpu_seconds()?;
    let policy = Policy::compile(&instance, &opening, &decided);
    writeln!(out, "compiled in {:.1} ms", (cpu_seconds()? - begun) * 1e3)?;
    let mut run = Run::default();
    policy.simulate(&instance, &opening, instance.months.len(), &mut run);
    let worth = run.state.cash - run.state.debt + run.worth;
    writeln!(out, "as planned {worth:.3}, optimum {:.3}: apart {:.2e}", decided.objective, (worth / decided.objective - 1.0).abs())?;

    let draw = draw(&instance);
    let (mut outcomes, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = cpu_seconds()?;
        outcomes = frozen(&instance, &policy, &draw, 1, 0..count);
        rates.push(count as f64 / (cpu_seconds()? - begun));
    }
    rates.sort_by(f64::total_cmp);
    let (least, median, most) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
    writeln!(out, "{count} scenarios, {ROUNDS} times: {median:.0} a second in the median, {least:.0} to {most:.0}")?;
    let begun = cpu_seconds()?;
    let summary = Summary::of(&outcomes);
    writeln!(out, "summed up in {:.1} ms", (cpu_seconds()? - begun) * 1e3)?;
    let out_of_cash = summary.out_of_cash.last().copied().unwrap_or(0.0);
    writeln!(out, "out of cash {:.1} %, worth {:.0}, worst twentieth {:.0}", out_of_cash * 100.0, summary.worth, summary.worth_tail)?;
    Ok(())
}

/// As tight a world as the reference is: everything moves and may fail.
fn draw(instance: &Instance) -> Draw {
    let odds = |likelihood, months, share| Odds { likelihood, months, share };
    Draw {
        months: instance.months.len(),
        works: instance.works.len(),
        demand: 0.14,
        price_drift: 0.0,
        price: 0.1,
        rent: 0.3,
        common: 0.3,
        defaults: vec![0.005; 14],
        delays: vec![odds(0.25, 9, 1.0); 14],
        shortages: vec![odds(0.1, 18, 1.0); 6],
        shortfalls: vec![odds(0.1, 12, 0.3); 12],
        windows: vec![0.75; instance.treasury.windows.len()],
        events: vec![1.0; instance.treasury.events.len()],
        refusals: Vec::new(),
    }
}

/// Processor time of this thread so far.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: u64 = text.split(' ').next().ok_or("no number in schedstat")?.parse()?;
    Ok(nanos as f64 / 1e9)
}
