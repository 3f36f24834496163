//! The page around the sections.

use anyhow::{Context as _, Result};
use minijinja::value::Serde;
use minijinja::{Environment, context};
use planner::Plan;

use super::sections::Section;

const TEMPLATE: &str = include_str!("report.html");

/// The whole page: head, verdict, sections. Every text is escaped; only the charts, which are ours, are not.
pub fn page(plan: &Plan, months: &[String], headline: &[String], sections: &[Section]) -> Result<String> {
    let mut templates = Environment::new();
    templates.add_template("report.html", TEMPLATE).context("read the report's template")?;
    let page = templates.get_template("report.html").context("find the report's template")?;
    page.render(context! {
        name => plan.name.as_str(),
        version => plan.fleet.get(..12),
        currency => plan.currency.as_str(),
        what_if => Serde(&plan.what_if),
        first => months.first(),
        last => months.last(),
        holds => plan.gaps.is_empty(),
        headline => Serde(headline),
        sections => Serde(sections),
    })
    .context("write the report")
}
