//! Random fleet files with every word that planning knows, small enough to be planned in a moment.

mod compute;
mod deals;
mod hosted;
mod money;
mod work;
mod world;

use crate::dice::Dice;

/// The text of a fleet file that the seed determines. It has no errors.
#[must_use]
pub fn text(seed: u64) -> String {
    let mut dice = Dice::new(seed ^ 0xF1EE_7000);
    let parts = [world::draw, compute::draw, hosted::draw, deals::draw, work::draw, money::draw];
    let parts: Vec<String> = parts.iter().map(|draw| draw(&mut dice)).collect();
    let text = format!("format = 1\nname = \"fleet {seed}\"\ncurrency = \"USD\"\n{}", parts.join("\n"));
    if seed.is_multiple_of(2) { plainly(&text) } else { text }
}

/// The same fleet without what the solver counts more roughly than statements do (the end of section 6 of `docs/plan.md`).
fn plainly(text: &str) -> String {
    let text = text.replace("period = \"week\"", "period = \"month\"").replace("basis = \"purchase\"", "basis = \"amortisation\"");
    let lines = text.lines().filter(|line| !line.starts_with("overflow = "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// One of several texts.
fn any<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[dice.count(0, of.len() - 1)]
}

/// A text, or nothing, with a probability.
fn maybe(dice: &mut Dice, probability: f64, text: impl FnOnce(&mut Dice) -> String) -> String {
    if dice.chance(probability) { text(dice) } else { String::new() }
}

/// When a contract starts, ends and is billed: from the month's first or from amid it, before the plan or in it.
fn term(dice: &mut Dice) -> String {
    let start = any(dice, &["2026-03-15", "2026-11-15", "2026-12-31", "2027-01-01", "2027-01-01", "2027-01-01", "2027-02-10"]);
    let end = any(dice, &["2027-05-11", "2027-07-01", "2028-01-01", "2029-01-01"]);
    let period = any(dice, &["month", "month", "month", "quarter", "week", "term"]);
    format!("start = {start}\nend = {end}\ncalendar = {{ anchor = {start}, period = \"{period}\" }}\n")
}
