//! A plan on the terminal, or as one JSON document.

use std::io::Write;

use anyhow::Result;
use planner::{Difference, Outline, Plan};
use serde::Serialize;
use units::Money;

use super::difference;
use super::figures::money;
use super::findings::Findings;
use super::risk::Risk;
use super::screen::{screen, short};
use super::tornado::{Swing, by_likelihood};

/// Clauses and assumptions that are shown.
const SHOWN: usize = 8;

/// The first screens.
pub fn outline(outline: &Outline, as_json: bool, out: &mut dyn Write) -> Result<()> {
    if !as_json {
        return screen(outline, out);
    }
    writeln!(out, "{}", serde_json::to_string_pretty(outline)?)?;
    Ok(())
}

/// The plan: sentences, clauses, assumptions.
pub fn plan(findings: &Findings, as_json: bool, out: &mut dyn Write) -> Result<()> {
    if as_json {
        return document(findings, out);
    }
    let (study, months) = (&findings.study, findings.months());
    let (plan, currency) = (&study.plan, &study.plan.currency);
    let (first, last) = (months.first().map_or("", String::as_str), months.last().map_or("", String::as_str));
    writeln!(out, "{}   plan {first} to {last}   fleet {}", plan.name, study.fleet.version)?;
    if !plan.what_if.is_empty() {
        writeln!(out, "what if {}", plan.what_if.join(" and "))?;
    }
    short(&findings.outline, out)?;
    writeln!(out, "\nWhat the plan says\n==================")?;
    for line in findings.headline() {
        writeln!(out, "- {line}")?;
    }
    if let Some(before) = &findings.before {
        writeln!(out, "\nAgainst the plan of the file as it is:")?;
        difference::say(&planner::diff(before, plan), currency, &months, out)?;
    }
    let dear = study.clauses.iter().filter(|(_, price)| *price > Money::ZERO);
    let mut dear = dear.take(SHOWN).peekable();
    if dear.peek().is_some() {
        writeln!(out, "\nWhat each clause costs (the plan would be worth that more without it):")?;
        for (clause, price) in dear {
            writeln!(out, "  {:<56} {:>14}", clause.name, money(*price, currency))?;
        }
    }
    if !findings.swings.is_empty() {
        writeln!(out, "\nWhich assumption moves it most (worth at the low and the high end; `!` where promises would be broken):")?;
        for swing in findings.swings.iter().take(SHOWN) {
            let end =
                |end: usize| format!("{}{}", difference::signed(swing.worth[end], currency), if swing.breaks[end] { " !" } else { "" });
            let (low, high) = (end(0), end(1));
            writeln!(out, "  {:<56} {:>14} {:>14}", format!("{} ({} to {})", swing.path, swing.ends[0], swing.ends[1]), low, high)?;
        }
    }
    let moving = by_likelihood(&findings.swings);
    if !moving.is_empty() {
        writeln!(
            out,
            "\nWhich moves most how likely it is to run out of cash by the end (percentage points at the low and the high end):"
        )?;
        for swing in moving.into_iter().take(SHOWN) {
            let [low, high] = swing.out_of_cash.unwrap_or_default();
            writeln!(out, "  {:<56} {low:>+14.1} {high:>+14.1}", format!("{} ({} to {})", swing.path, swing.ends[0], swing.ends[1]))?;
        }
    }
    if let Some(risk) = &findings.risk {
        checked(risk, out)?;
    }
    let answer = &study.answer.decided;
    writeln!(
        out,
        "\nHiGHS {}: {} columns, {} rows, {} iterations, gap {:.4} %; its cash differs from this plan's by at most {}.",
        findings.solver,
        study.answer.problem.column_count(),
        study.answer.problem.row_count(),
        answer.iterations,
        100.0 * answer.gap_left,
        money(plan.residual, currency)
    )?;
    Ok(())
}

/// What scenarios do that no rule allows, which would be our fault.
fn checked(risk: &Risk, out: &mut dyn Write) -> Result<()> {
    let ways = format!("The first {} scenarios, as planned, planned anew and foreseen, were checked as plans are", risk.checked);
    if risk.wrong.is_empty() {
        return Ok(writeln!(out, "\n{ways}: nothing is wrong.")?);
    }
    writeln!(out, "\n{ways}, and {} things are wrong, which is our fault:", risk.wrong.len())?;
    for wrong in risk.wrong.iter().take(SHOWN) {
        writeln!(out, "  {wrong}")?;
    }
    Ok(())
}

/// All of it; money is in nano-units, which are wider than JSON's usual numbers.
#[derive(Serialize)]
struct Document<'a> {
    headline: Vec<String>,
    outline: &'a Outline,
    plan: &'a Plan,
    clauses: Vec<Costs<'a>>,
    risk: Option<&'a Risk>,
    assumptions: &'a [Swing],
    difference: Option<Difference>,
    solver: &'a str,
}

/// What a clause costs.
#[derive(Serialize)]
struct Costs<'a> {
    clause: &'a str,
    costs: Money,
}

fn document(findings: &Findings, out: &mut dyn Write) -> Result<()> {
    let clauses = findings.study.clauses.iter().map(|(clause, costs)| Costs { clause: &clause.name, costs: *costs }).collect();
    let document = Document {
        headline: findings.headline(),
        outline: &findings.outline,
        plan: &findings.study.plan,
        clauses,
        risk: findings.risk.as_ref(),
        assumptions: &findings.swings,
        difference: findings.before.as_ref().map(|before| planner::diff(before, &findings.study.plan)),
        solver: &findings.solver,
    };
    writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    Ok(())
}
