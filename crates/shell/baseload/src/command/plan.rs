//! `baseload plan`: what to sign, where the work goes, whether the cash lasts; and how two plans differ.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use highs::Highs;

use crate::args::{Plan, PlanCommand};
use crate::exit::{Exit, wrong};
use crate::fleetfile::{self, Read};
use crate::place;
use crate::plan::findings::Findings;
use crate::plan::progress::Progress;
use crate::plan::risk::risk;
use crate::plan::study::{Depth, study};
use crate::plan::tornado::tornado;
use crate::plan::{difference, saved, say, what_if};

/// Plans a fleet, or compares two plans.
pub fn run(args: Plan, out: &mut dyn Write) -> Result<Exit> {
    if let Some(PlanCommand::Diff { before, after, json }) = args.command {
        return compare(&before, &after, json, out);
    }
    let path = args.fleet.as_deref().ok_or_else(|| wrong("name the fleet file"))?;
    let base = fleetfile::read(path)?;
    let read = changed(&base, &args.what_if, path)?;
    if args.outline {
        let outline = planner::outline(&read.fleet);
        return say::outline(&outline, args.json, out).map(|()| Exit::Done);
    }
    let mut solver = Highs::find(&place::solver()?).context("find the solver")?;
    let progress = Progress::new();
    let findings = findings(&args, &base, &read, &mut solver, &progress);
    progress.end();
    let findings = findings?;
    if let Some(folder) = &args.out {
        write(folder, &findings)?;
    }
    say::plan(&findings, args.json, out)?;
    if let Some(folder) = args.out.filter(|_| !args.json) {
        writeln!(out, "\nwritten: {}", folder.join(saved::FILE).display())?;
        writeln!(out, "         {}", folder.join(saved::REPORT).display())?;
    }
    Ok(if findings.study.plan.gaps.is_empty() { Exit::Done } else { Exit::No })
}

/// The fleet with each change made to its file, in order.
fn changed(base: &Read, changes: &[String], path: &Path) -> Result<Read> {
    let mut text = base.text.clone();
    for change in changes {
        text = what_if::apply(&text, change)?;
    }
    if changes.is_empty() { Ok(base.clone()) } else { fleetfile::parse(&text, &format!("{} as changed", path.display())) }
}

fn findings(args: &Plan, base: &Read, read: &Read, solver: &mut Highs, progress: &Progress) -> Result<Findings> {
    let before = if args.what_if.is_empty() { None } else { Some(study(&base.fleet, &[], Depth::Plan, solver, progress)?.plan) };
    let study = study(&read.fleet, &args.what_if, Depth::Worth, solver, progress)?;
    let folder = place::solver()?;
    let risk = if args.scenarios == 0 { None } else { Some(risk(&study, u64::from(args.scenarios), args.seed, &folder, progress)?) };
    let (swings, unvaried) = tornado(&study, &read.text, (args.scenarios > 0).then_some(args.seed), &folder, progress)?;
    let outline = planner::outline(&study.fleet);
    Ok(Findings { outline, study, before, risk, swings, unvaried, solver: solver.version() })
}

fn write(folder: &Path, findings: &Findings) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let plan = folder.join(saved::FILE);
    let text = serde_json::to_string_pretty(&findings.study.plan).context("write the plan as JSON")?;
    fs::write(&plan, text + "\n").with_context(|| format!("write {}", plan.display()))?;
    let report = folder.join(saved::REPORT);
    fs::write(&report, findings.report()?).with_context(|| format!("write {}", report.display()))
}

fn compare(before: &Path, after: &Path, json: bool, out: &mut dyn Write) -> Result<Exit> {
    let (before, after) = (saved::read(before)?, saved::read(after)?);
    if before.currency != after.currency {
        return Err(wrong(format!("one plan is in {}, the other in {}: their money can't be compared", before.currency, after.currency)));
    }
    let found = planner::diff(&before, &after);
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?;
    } else {
        difference::say(&found, &after.currency, &crate::plan::figures::months(&after, &jiff::tz::TimeZone::UTC), out)?;
    }
    Ok(if found.is_none() { Exit::Done } else { Exit::No })
}
