//! `bench_bursts [REQUESTS] [SEED]`: what the decisions do with capacity that is paid for, over so many requests of each scene in simulated time.
//! The exit status is 1 when a request was refused that an endpoint had room for, or one tier's went elsewhere before what is paid for was used up.

use std::io::{self, Write};
use std::process::ExitCode;

use dispatch::Policy;
use testkit::bursts::{Scene, run};

fn main() -> io::Result<ExitCode> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("two numbers: requests and a seed"));
    let (requests, seed) = (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(1));
    let (mut out, mut short) = (io::stdout().lock(), Vec::new());
    for scene in &Scene::all() {
        let [ours, without] = [Policy::MarginalCost, Policy::ReservedFirst].map(|policy| run(scene, policy, requests, seed));
        for (policy, figures) in [(Policy::MarginalCost, &ours), (Policy::ReservedFirst, &without)] {
            writeln!(out, "{}, policy {}\n{figures}", scene.name, policy.name())?;
        }
        if !scene.has_one_tier() {
            writeln!(out, "{}\n{}", ours.kept, ours.saved(&without))?;
        }
        short.extend(ours.falls_short(scene.has_one_tier()).map(|why| format!("FALLS SHORT: {}: {why}", scene.name)));
    }
    short.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(if short.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
