//! `bench_bursts [REQUESTS] [SEED]`: what the decisions do with capacity that is paid for, over so many requests in simulated time.

use std::io::{self, Write};

use dispatch::Policy;
use testkit::bursts::{Scene, run};

fn main() -> io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("two numbers: requests and a seed"));
    let (requests, seed) = (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(1));
    let (mut out, scenes) = (io::stdout().lock(), Scene::all());
    for scene in &scenes {
        for policy in [Policy::MarginalCost, Policy::ReservedFirst] {
            let figures = run(scene, policy, requests / scenes.len() as u64, seed);
            writeln!(out, "{}, policy {}\n{figures}", scene.name, policy.name())?;
        }
    }
    Ok(())
}
