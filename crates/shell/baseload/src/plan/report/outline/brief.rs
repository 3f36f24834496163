//! What promises come to in a few sentences, the largest first.

use planner::{Depends, Outline, Row};
use units::Money;

use super::{Amounts, Section, Table, dependence, facts, has_balance, running};

/// Sentences, and the lines that a CFO looks for first.
pub(super) fn section(outline: &Outline, amounts: &Amounts<'_>) -> Section {
    let items = sentences(outline, amounts);
    let says_something = amounts.largest.is_some() || has_balance(outline) || !outline.raises.is_empty();
    let tables = if says_something { vec![table(outline, amounts)] } else { Vec::new() };
    Section { title: format!("What is promised in short, in {}", amounts.unit.name), items, tables, ..Section::default() }
}

fn sentences(outline: &Outline, amounts: &Amounts<'_>) -> Vec<String> {
    let Some(last) = outline.years.last() else { return vec!["Nothing is promised.".to_owned()] };
    let mut lines = vec![due(outline, amounts, *last)];
    lines.extend(facts::beside(outline, amounts));
    lines.extend(has_balance(outline).then(|| left(outline, amounts)));
    lines.extend(cash(outline, amounts));
    lines.extend(raises(outline, amounts));
    lines.extend(dependence::sentence(outline));
    lines.push("Left out, because a plan decides it: use beyond minimums, energy, interest, and what may be ordered.".to_owned());
    lines
}

fn table(outline: &Outline, amounts: &Amounts<'_>) -> Table {
    let balance = &outline.balance;
    let total = |by_year: &[Money]| Some(by_year.iter().copied().sum());
    let mut rows = Vec::new();
    let mut with_running = |label: &str, by_year: &[Money]| {
        rows.push(amounts.line(label, by_year, total(by_year)));
        rows.push(amounts.line("  cumulative", &running(by_year), None));
    };
    let all: Money = balance.obligations.iter().copied().sum();
    if let Some(largest) = amounts.largest.filter(|largest| largest.total() != all) {
        with_running(&format!("due under {}", largest.label), &largest.amounts);
    }
    with_running("due under all signed contracts", &balance.obligations);
    if has_balance(outline) {
        rows.push(amounts.line("revenue if all is served", &balance.revenue, total(&balance.revenue)));
        rows.push(amounts.line("other costs", &balance.costs, total(&balance.costs)));
        rows.push(amounts.sum("left of revenue", &balance.left, total(&balance.left)));
        rows.push(amounts.sum("cash at the end without raises", &balance.cash_without, None));
    }
    if !outline.raises.is_empty() {
        rows.push(amounts.sum("cash at the end with all raises", &balance.cash_with_all, None));
    }
    Table { head: amounts.head("", &["all"]), rows, ..Table::default() }
}

fn due(outline: &Outline, amounts: &Amounts<'_>, last: i16) -> String {
    let all: Money = outline.balance.obligations.iter().copied().sum();
    let left_out = match outline.not_outlined.len() {
        0 => String::new(),
        count => format!(", beside {count} that are billed too often to be counted here"),
    };
    let Some(largest) = amounts.largest else {
        return format!("Nothing is due by the end of {last} under signed contracts unless it is used{left_out}.");
    };
    let largest = match largest.total() {
        total if total == all => format!("all of it under {}", largest.label),
        total => format!("{} is {} of it", largest.label, amounts.unit.whole(total)),
    };
    format!("{} is due under signed contracts by the end of {last}, used or not{left_out}; {largest}.", amounts.unit.whole(all))
}

fn left(outline: &Outline, amounts: &Amounts<'_>) -> String {
    let balance = &outline.balance;
    let [revenue, left] = [&balance.revenue, &balance.left].map(|by_year| by_year.iter().copied().sum::<Money>());
    let short: Vec<i16> = outline.years.iter().zip(&balance.left).filter(|(_, left)| **left < Money::ZERO).map(|(year, _)| *year).collect();
    let short = match short.as_slice() {
        [] => "no year is short".to_owned(),
        all if all.len() == outline.years.len() => "every year is short".to_owned(),
        some => format!("it is short in {}", some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let revenue = if outline.revenue.is_empty() {
        "The file states no revenue".to_owned()
    } else {
        format!("Revenue is {} if all demand is served", amounts.unit.whole(revenue))
    };
    if left >= Money::ZERO {
        return format!("{revenue}; what is due and other costs leave {} of it: {short}.", amounts.unit.whole(left));
    }
    format!("{revenue}: {} too little for what is due and other costs; {short}.", amounts.unit.whole(-left))
}

fn cash(outline: &Outline, amounts: &Amounts<'_>) -> Option<String> {
    let balance = &outline.balance;
    let cash = balance.cash?;
    let floor = balance.floor.unwrap_or_default();
    let begin = format!("Cash begins at {}", amounts.unit.whole(cash));
    let Some(first) = balance.needed.iter().position(|needed| *needed > Money::ZERO) else {
        let least = balance.cash_without.iter().min().copied().unwrap_or_default();
        return Some(format!("{begin}. It lasts without a raise: at the year's ends it is never below {}.", amounts.unit.whole(least)));
    };
    let needed = balance.needed.iter().max().copied().unwrap_or_default();
    let most = balance.needed.iter().position(|it| *it == needed).unwrap_or(first);
    let floor = if floor == Money::ZERO { "nothing".to_owned() } else { format!("the {} it must keep", amounts.unit.whole(floor)) };
    Some(format!(
        "{begin}. Without a raise it is below {floor} by the end of {}; by the end of {}, {} must have come from elsewhere.",
        outline.years[first],
        outline.years[most],
        amounts.unit.whole(needed)
    ))
}

fn raises(outline: &Outline, amounts: &Amounts<'_>) -> Option<String> {
    let total = |rows: &mut dyn Iterator<Item = &Row>| rows.map(Row::total).sum::<Money>();
    let all = total(&mut outline.raises.iter());
    if all == Money::ZERO {
        return None;
    }
    let certain = total(&mut outline.raises.iter().filter(|raise| raise.depends == Depends::Nothing));
    let certain = match certain {
        Money::ZERO => "none of it certain".to_owned(),
        certain if certain == all => "all of it certain".to_owned(),
        certain => format!("{} of it certain", amounts.unit.whole(certain)),
    };
    let expected = outline.raises.iter().map(|raise| match raise.depends {
        Depends::UpTo { likelihood, .. } => likelihood.of(raise.total()),
        _ => raise.total(),
    });
    let with = &outline.balance.cash_with_all;
    let least = with.iter().min().copied().unwrap_or_default();
    let at = with.iter().position(|cash| *cash == least).unwrap_or(0);
    Some(format!(
        "Up to {} may be raised, {certain}; weighed by how likely each raise is, {}. With all of it cash is least at the end of {}, at {}.",
        amounts.unit.whole(all),
        amounts.unit.whole(expected.sum()),
        outline.years[at],
        amounts.unit.whole(least)
    ))
}
