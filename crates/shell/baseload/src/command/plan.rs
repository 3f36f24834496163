//! `baseload plan`.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use highs::Highs;

use crate::args::{Plan, PlanCommand};
use crate::exit::{Exit, wrong};
use crate::plan::figures;
use crate::plan::headline::headline;
use crate::plan::progress::Progress;
use crate::plan::study::{Depth, study};
use crate::{fleetfile, place};

/// Plans a fleet, or compares two plans.
pub fn run(args: Plan, out: &mut dyn Write) -> Result<Exit> {
    if let Some(PlanCommand::Diff { .. }) = args.command {
        return Err(wrong("not yet"));
    }
    let path = args.fleet.ok_or_else(|| wrong("name the fleet file"))?;
    let read = fleetfile::read(&path)?;
    let mut solver = Highs::find(&place::solver()?).map_err(|error| anyhow!("find the solver: {error}"))?;
    let progress = Progress::new();
    let study = study(&Arc::clone(&read.fleet), &[], Depth::Worth, &mut solver, &progress)?;
    progress.end();
    let months = figures::months(&study.plan, &study.fleet.time_zone);
    for line in headline(&study.fleet, &study.plan, &months) {
        writeln!(out, "{line}")?;
    }
    for (clause, price) in &study.clauses {
        writeln!(out, "  {:50} {}", clause.name, figures::money(*price, &study.plan.currency))?;
    }
    writeln!(out, "residual {} iterations {}", study.plan.residual, study.answer.decided.iterations)?;
    Ok(if study.plan.gaps.is_empty() { Exit::Done } else { Exit::No })
}
