//! Exclusivity, first refusal, substitution, termination, and amendments.

use core::time::Duration;

use units::{Amount, Instant, Share, Span, Watts};

use crate::codes;
use crate::contract::{CapacityOf, Contract, Exclusivity, FirstRefusal, Least, Substitution, Termination};
use crate::diagnostic::Diagnostic;
use crate::figure::{AmountPer, Count};
use crate::keys::{Key, Kind, Shape, may, must, or, words};
use crate::model::Scope;
use crate::outlook::Answer;
use crate::parse::contract::{Head, check_within};
use crate::parse::site::{USE_WORDS, USES};
use crate::ramp::Ramp;
use crate::reader::Reader;

pub(super) const EXCLUSIVITY: &[Key] = &[
    may("models", Shape::Names(Kind::Model), "which models"),
    may("regions", Shape::Names(Kind::Region), "which regions"),
    may("uses", Shape::Words(USE_WORDS), "which work"),
    or("from", "the start", Shape::Date, "from when"),
    or("to", "the end", Shape::Date, "until when"),
    or("except", "none", Shape::Names(Kind::Contract), "contracts that are carved out"),
];
pub(super) const FIRST_REFUSAL: &[Key] = &[
    may("models", Shape::Names(Kind::Model), "which models"),
    may("regions", Shape::Names(Kind::Region), "which regions"),
    may("uses", Shape::Words(USE_WORDS), "which work"),
    or("from", "the start", Shape::Date, "from when"),
    or("to", "the end", Shape::Date, "until when"),
    or("answer", "at once, by declining", Shape::Table(ANSWER), "how its holder answers"),
];
const ANSWER: &[Key] = &[
    must("days", Shape::Figure("60"), "within which the holder answers; offers in its scope can't start before"),
    or("takes", "\"0 %\"", Shape::Figure("\"30 %\""), "how likely it takes the offer, which then rests on the holder"),
];
pub(super) const SUBSTITUTION: &[Key] = &[
    must("of", Shape::Name(Kind::Contract), "the contract that this one takes the place of"),
    or("share", "\"100 %\"", Shape::Figure("\"40 %\""), "which share of its floors and capacity falls away while this one is in force"),
];
pub(super) const TERMINATION: &[Key] =
    &[must("notice", Shape::Figure("\"180 days\""), "how long before"), may("fee", Shape::Figure("\"50 MUSD\""), "what it costs")];

#[derive(Clone, Copy, PartialEq)]
enum Changes {
    Floor,
    Capacity,
    Other,
}
const CHANGES: [(&str, Changes); 3] = [("floor", Changes::Floor), ("capacity", Changes::Capacity), ("other", Changes::Other)];
const CHANGE_WORDS: &[&str] = &words(&CHANGES);

pub(super) const AMENDMENT: &[Key] = &[
    must("from", Shape::Date, "from when it holds"),
    must("changes", Shape::Word(CHANGE_WORDS), "which clause it changes"),
    or("number", "1", Shape::Figure("2"), "which clause of that kind, counted from 1"),
    may("least", Shape::Figure("\"40 GUSD/year\""), "of a floor: the new least, in money"),
    may("count", Shape::Figure("8192"), "of a capacity: the new number of accelerators or units"),
    may("power", Shape::Figure("\"5 GW\""), "of a capacity: the new power"),
    may("note", Shape::Text("what was agreed"), "in words"),
];

/// Reads them all into `contract`.
pub(super) fn read(row: &Reader<'_>, head: &Head<'_>, contract: &mut Contract) {
    for table in row.tables("exclusivity", EXCLUSIVITY) {
        let except = table.named_list("except", Kind::Contract);
        if let Some((scope, span)) = scope(&table, head) {
            contract.exclusivities.push(Exclusivity { scope, span, except });
        }
    }
    for table in row.tables("first_refusal", FIRST_REFUSAL) {
        let answer = if table.has("answer") { answer(&table) } else { Some(Answer { days: 0, takes: Share::NONE }) };
        let refusal = scope(&table, head).zip(answer).map(|((scope, span), answer)| FirstRefusal { scope, span, answer });
        contract.first_refusals.extend(refusal);
    }
    for table in row.tables("substitution", SUBSTITUTION) {
        let of = table.named("of", Kind::Contract);
        let share = if table.has("share") { table.share("share") } else { Some(Share::ALL) };
        contract.substitutions.extend(of.zip(share).map(|(of, share)| Substitution { of, share }));
    }
    contract.termination = row.table("termination", TERMINATION).and_then(|table| {
        not_computed(&table, "a termination clause");
        let (notice, fee): (Option<Duration>, Option<Amount>) = (table.figure("notice"), table.figure("fee"));
        let fee = fee.filter(|fee| table.entry("fee").is_some_and(|entry| table.check_currency(&entry, fee.currency, head.currency)));
        Some(Termination { notice_days: u32::try_from(notice?.as_secs() / 86_400).ok()?, fee })
    });
    for table in row.tables("amendment", AMENDMENT) {
        amend(&table, head, contract);
    }
}

fn answer(row: &Reader<'_>) -> Option<Answer> {
    let table = row.table("answer", ANSWER)?;
    let days = table.count("days", 0, 3_650);
    let takes = if table.has("takes") { table.share("takes") } else { Some(Share::NONE) };
    Some(Answer { days: u32::try_from(days?).ok()?, takes: takes? })
}

/// Says that nothing computes with this clause yet.
pub(super) fn not_computed(table: &Reader<'_>, what: &str) {
    let message = format!("{what} is read, but nothing computes with it yet");
    table.add(Diagnostic::not_computed(codes::NOT_COMPUTED, &table.place, message, "nothing to do: it is kept for when it is"));
}

fn scope(table: &Reader<'_>, head: &Head<'_>) -> Option<(Scope, Span)> {
    let scope = Scope {
        models: table.named_list("models", Kind::Model),
        regions: table.named_list("regions", Kind::Region),
        uses: table.words("uses", &USES),
    };
    if !["models", "regions", "uses"].iter().any(|name| table.has(name)) {
        let hint = "say what it covers with `models`, `regions` or `uses`; an empty list `[]` covers all of its kind";
        table.add(Diagnostic::error(codes::NAMES_NOBODY, &table.place, "the clause covers nothing", hint));
        return None;
    }
    let span = match (table.has("from"), table.has("to")) {
        (true, true) => table.span_between("from", "to")?,
        (true, false) => Span { from: table.date("from")?, to: head.term.to },
        (false, true) => Span { from: head.term.from, to: table.date("to")? },
        (false, false) => head.term,
    };
    Some((scope, span))
}

/// Folds an amendment into the ramp of its clause: what was signed stays as it is in the file.
fn amend(table: &Reader<'_>, head: &Head<'_>, contract: &mut Contract) {
    let from = table.date("from");
    let changes = table.word("changes", &CHANGES);
    let number = if table.has("number") { table.count("number", 1, 1_000) } else { Some(1) };
    let least: Option<AmountPer> = table.figure("least");
    let count: Option<Count> = table.figure("count");
    let power: Option<Watts> = table.figure("power");
    table.text("note");
    let (Some(from), Some(changes), Some(number)) = (from, changes, number) else { return };
    check_within(table, table.entry("from").as_ref(), from, head, "the amendment's date");
    let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let nothing = |what: &str| {
        let hint = "point `number` at a clause that the contract has, and say what it becomes";
        table.add(Diagnostic::error(codes::NAMES_NOBODY, &table.span("changes"), format!("the amendment changes no {what}"), hint));
    };
    match changes {
        Changes::Other => not_computed(table, "an amendment of another clause"),
        Changes::Floor => match (contract.floors.get_mut(index).map(|floor| &mut floor.least), least) {
            (Some(Least::Spend(ramp)), Some(least)) => {
                let entry = table.entry("least").expect("it was just read");
                if table.check_currency(&entry, least.amount.currency, head.currency) {
                    *ramp = from_then(ramp, from, least.amount.money);
                }
            }
            _ if table.has("least") && least.is_none() => {}
            _ => nothing("floor"),
        },
        Changes::Capacity => match contract.capacity.get_mut(index) {
            Some(clause) => {
                let amount =
                    if matches!(clause.of, CapacityOf::Power(_)) { power.map(Watts::count) } else { count.map(|Count(count)| count) };
                match amount {
                    Some(amount) => clause.ramp = from_then(&clause.ramp, from, amount),
                    None => nothing("amount of the capacity"),
                }
            }
            None => nothing("capacity"),
        },
    }
}

/// The ramp until `from`, and `amount` from then on.
fn from_then<T: Copy>(ramp: &Ramp<T>, from: Instant, amount: T) -> Ramp<T> {
    let mut steps: Vec<_> = ramp.steps().iter().copied().filter(|(at, _)| *at < from).collect();
    steps.push((from, amount));
    Ramp::new(steps).unwrap_or_else(|_| ramp.clone())
}
