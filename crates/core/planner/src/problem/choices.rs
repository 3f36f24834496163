//! What may be signed.

use super::build::Build;
use crate::Lifts;

pub(super) fn columns(build: &mut Build<'_>) {
    let instance = build.instance;
    for (index, _) in instance.choices.iter().enumerate() {
        let barred = instance.bars.iter().any(|bar| matches!(bar.lifts, Lifts::Choice(barred) if barred == index));
        let column = match build.taken {
            Some(taken) => build.problem.column(0.0, taken[index], taken[index]),
            None if barred => build.problem.column(0.0, 0.0, 0.0),
            None => build.problem.choice(0.0),
        };
        build.layout.columns.taken.push(column);
    }
    if !instance.choices.is_empty() {
        build.problem.name_columns("choices", 0);
    }
}

/// A contract is signed at one of its starts at most.
pub(super) fn rows(build: &mut Build<'_>) {
    let choices = &build.instance.choices;
    let mut groups: Vec<usize> = choices.iter().map(|choice| choice.group).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        let of: Vec<usize> = (0..choices.len()).filter(|index| choices[*index].group == group).collect();
        if of.len() > 1 {
            let first = build.problem.row_count();
            for choice in &of {
                build.entry(build.layout.columns.taken[*choice], 1.0);
            }
            build.at_most(1.0);
            build.name_rows(format!("one of the starts of {}", choices[of[0]].name), first);
        }
    }
}
