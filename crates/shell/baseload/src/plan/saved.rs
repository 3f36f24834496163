//! Plans as files: `plan.json` in the folder that `plan --out` names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fleet::Fleet;
use planner::Plan;

use crate::exit::{Wrong, wrong};

/// What the file is called.
pub const FILE: &str = "plan.json";
/// The report beside it.
pub const REPORT: &str = "report.html";
/// The format that this version reads and writes.
const FORMAT: u32 = 1;

/// Reads a plan from its file, or from the folder that has it.
pub fn read(path: &Path) -> Result<Plan> {
    let file: PathBuf = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
    let text = fs::read(&file).with_context(|| Wrong(format!("can't read the plan {}", file.display())))?;
    let plan: Plan = serde_json::from_slice(&text).map_err(|error| wrong(format!("{} is no plan: {error}", file.display())))?;
    if plan.format != FORMAT {
        return Err(wrong(format!("{} has format {}, and this version reads format {FORMAT}: plan again", file.display(), plan.format)));
    }
    Ok(plan)
}

/// Reads a plan to run by: it has to be of this very fleet, and nothing else than what is.
pub fn guiding(path: &Path, fleet: &Fleet) -> Result<Plan> {
    let plan = read(path)?;
    if !plan.what_if.is_empty() {
        return Err(wrong(format!("the plan is of what would be if {}: run by one of what is", plan.what_if.join(" and "))));
    }
    let version: String = fleet.version.0.iter().map(|byte| format!("{byte:02x}")).collect();
    if plan.fleet != version {
        let short = plan.fleet.get(..12).unwrap_or(&plan.fleet);
        return Err(wrong(format!("the plan is of fleet {short}, and this one is {}: plan again, or leave --plan out", fleet.version)));
    }
    Ok(plan)
}
