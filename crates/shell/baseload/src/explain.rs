//! A decision in words: the one place that renders reasons and costs, for the terminal and for commands.

use std::io::Write;

use anyhow::Result;
use dispatch::{Cost, Health, Reason, Rule, Seen};
use fleet::Fleet;
use ledger::Journaled;
use units::{Currency, Instant, Money, round_half_even};

/// Money to so many decimals, rounded half to even.
pub fn shown(money: Money, decimals: u32) -> String {
    let scale = 10_i128.pow(9_u32.saturating_sub(decimals));
    let rounded = round_half_even(money.nanos(), scale);
    let (whole, part) = (rounded.abs() / 10_i128.pow(decimals), rounded.abs() % 10_i128.pow(decimals));
    let sign = if rounded < 0 { "-" } else { "" };
    if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part:0width$}", width = decimals as usize) }
}

/// A request's money, which is small: in millionths of the currency.
pub fn micro(money: Money, currency: Currency) -> String {
    format!("{} µ{currency}", shown(Money::from_nanos(money.nanos() * 1_000_000), 3))
}

/// Why an endpoint was passed over, in a few words.
pub fn reason(fleet: &Fleet, reason: Reason) -> String {
    match reason {
        Reason::ContextTooLong { limit } => format!("takes {limit} tokens at most"),
        Reason::Lacks(capability) => format!("lacks {capability:?}"),
        Reason::OutOfScope => "out of the key's scope".to_owned(),
        Reason::Down { .. } => "down".to_owned(),
        Reason::Probing => "being probed".to_owned(),
        Reason::NoContract => "no contract in force".to_owned(),
        Reason::Exclusive { to } => format!("only {} may", fleet.contracts.name(to)),
        Reason::Full => "full".to_owned(),
        Reason::OverBudget { short } => format!("over budget by {}", micro(short, fleet.currency)),
        Reason::Tried => "tried already".to_owned(),
        Reason::Dearer { by: Money::ZERO } => "costs the same".to_owned(),
        Reason::Dearer { by } => format!("dearer by {}", micro(by, fleet.currency)),
        Reason::NotItsTurn => "not its turn".to_owned(),
        Reason::Inexpressible => "can't be said in its dialect".to_owned(),
    }
}

/// Which rule chose, where that is worth a word.
pub const fn rule(rule: Rule) -> Option<&'static str> {
    match rule {
        Rule::Policy => None,
        Rule::StalePrices => Some("prices were stale"),
        Rule::FallBack => Some("no usable prices: reserved first, then cheapest"),
    }
}

/// Prints a journaled decision with all that it saw.
pub fn write(journaled: &Journaled, fleet: &Fleet, out: &mut dyn Write) -> Result<()> {
    let Journaled { attempt, question, decision, .. } = journaled;
    let ask = &question.ask;
    writeln!(out, "{attempt} at {}", question.now)?;
    let about = (ask.tokens.input, ask.tokens.output, ask.output_max);
    let model = fleet.models.name(ask.model);
    writeln!(out, "  asked     {model}, tier {}, about {} tokens in, {} out (at most {})", ask.tier.word(), about.0, about.1, about.2)?;
    writeln!(out, "  went to   {}, paid by {}", fleet.endpoints.name(decision.endpoint), fleet.contracts.name(decision.contract))?;
    let rule = rule(decision.rule).map_or_else(String::new, |rule| format!(" ({rule})"));
    writeln!(out, "  policy    {}{rule}, fleet version {}", question.policy.name(), question.fleet)?;
    let score = |cost: Cost| format!("{}: {}", micro(cost.total(), fleet.currency), parts(cost, fleet.currency));
    writeln!(out, "  score     {}", score(decision.cost))?;
    if let Some(advice) = &decision.advice {
        writeln!(out, "  advised   {}, paid by {}", fleet.endpoints.name(advice.endpoint), fleet.contracts.name(advice.contract))?;
        writeln!(out, "            {}", score(advice.cost))?;
    }
    for passed in &decision.passed_over {
        writeln!(out, "  not {:<10} {}", fleet.endpoints.name(passed.endpoint), reason(fleet, passed.reason))?;
        if let Some(cost) = passed.cost {
            writeln!(out, "            {}", score(cost))?;
        }
    }
    writeln!(out, "  saw")?;
    question.seen.iter().try_for_each(|seen| write_seen(seen, fleet, question.now, out))
}

/// The parts of a score that are not nothing.
fn parts(cost: Cost, currency: Currency) -> String {
    let all = [
        ("marginal", cost.marginal),
        ("energy", cost.energy),
        ("scarcity", cost.scarcity),
        ("cache loss", cost.cache_loss),
        ("SLO miss", cost.slo_miss),
    ];
    let some: Vec<_> =
        all.iter().filter(|(_, money)| *money != Money::ZERO).map(|(name, money)| format!("{name} {}", micro(*money, currency))).collect();
    if some.is_empty() { "nothing".to_owned() } else { some.join(" + ") }
}

fn write_seen(seen: &Seen, fleet: &Fleet, now: Instant, out: &mut dyn Write) -> Result<()> {
    let health = match seen.health {
        Health::Up => "up",
        Health::Probing => "being probed",
        Health::Down { .. } => "down",
    };
    let stay = f64::from(seen.service_us) / 1e6;
    let arrivals = f64::from(seen.arrivals_per_ks) / 1e3;
    let name = fleet.endpoints.name(seen.endpoint);
    write!(out, "    {name:<10} {health}, {} outstanding, mean stay {stay:.2} s, {arrivals:.2} arrivals/s", seen.outstanding)?;
    match seen.price.as_ref().and_then(|price| price.first(fleet, now)) {
        None => writeln!(out, ", nobody can pay for it now")?,
        Some(payer) => {
            let per_million = |nanos: i64| shown(Money::from_nanos(nanos.into()), 4);
            let (marginal, list) = (payer.marginal, payer.list);
            let contract = fleet.contracts.name(payer.contract);
            writeln!(out, ", paid by {contract}")?;
            writeln!(
                out,
                "               per 1M tokens in/out: marginal {}/{}, list {}/{}",
                per_million(marginal.input),
                per_million(marginal.output),
                per_million(list.input),
                per_million(list.output)
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_prints_short() {
        let cases = [
            (1_234_567_890, 2, "1.23"),
            (-4_000_000, 2, "0.00"),
            (-15_000_000, 2, "-0.02"),
            (4_800_000_000, 0, "5"),
            (1, 9, "0.000000001"),
        ];
        for (nanos, decimals, want) in cases {
            assert_eq!(shown(Money::from_nanos(nanos), decimals), want);
        }
    }
}
