//! What was taken and spent, by the day.

use std::time::Duration;

use dispatch::{Known, Outcome, Record, Settlement};
use ledger::Taken;
use market::Tokens;
use units::{Instant, Span};

use crate::fixture::{attempt, decided, fleet, open, settlement, start};

const DAY: Duration = Duration::from_secs(86_400);

/// The beginning of the day on which the tests start, and of those after it.
fn day(count: u32) -> Instant {
    let day = i64::try_from(DAY.as_micros()).expect("a day is short");
    Instant::from_micros(start().micros() / day * day) + DAY * count
}

#[test]
fn a_span_of_settlements_is_found_without_reading_them_all() {
    let directory = tempfile::tempdir().expect("a folder");
    drop(open(directory.path()));
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    let plan = "EXPLAIN QUERY PLAN SELECT sum(input) FROM settlement WHERE settlement.ended >= 1 AND settlement.ended < 2";
    let step: String = database.query_row(plan, [], |row| row.get(3)).expect("planned");
    assert!(step.contains("USING INDEX settlement_ended"), "{step}");
}

#[test]
fn tokens_are_counted_on_the_day_that_they_end_and_cost_what_the_contract_says() {
    let directory = tempfile::tempdir().expect("a folder");
    let ((store, _), fleet) = (open(directory.path()), fleet());
    let hour = Duration::from_secs(3_600);
    let tokens = Tokens { input: 10, cached: 4, output: 3 };
    // Two answers on the first day; on the third a failure, an answer cut short, and one whose tokens are only bounded.
    let ends = [
        (day(0) + hour, Outcome::Answered, Known::Reported),
        (day(1) + Duration::ZERO, Outcome::Answered, Known::Reported),
        (day(2) + hour, Outcome::Failed, Known::Counted),
        (day(2) + hour * 2, Outcome::Cut, Known::Counted),
        (day(3) + Duration::ZERO, Outcome::Interrupted, Known::Bounded),
    ];
    for (request, (ended, outcome, known)) in (0..).zip(ends) {
        let id = attempt(request, 1);
        store.append(&decided(&fleet, id, true, ended)).expect("appended");
        let tokens = if outcome == Outcome::Failed { Tokens::default() } else { tokens };
        let settled = Settlement { outcome, known, ..settlement(&fleet, id, true, tokens, ended) };
        store.append(&Record::Settled(settled)).expect("appended");
    }
    store.flush().expect("committed");
    let model = fleet.models.iter().next().expect("a model").1.to_owned();
    let row = |count, requests, tokens: Tokens| Taken {
        from: day(count),
        model: model.clone(),
        key: dispatch::KeyId(1),
        tier: fleet::ServiceTier::Default,
        requests,
        input: tokens.input.into(),
        cached: tokens.cached.into(),
        output: tokens.output.into(),
    };
    let taken = |from, to| store.taken(Span { from: day(from), to: day(to) }, DAY).expect("read");
    assert_eq!(taken(0, 3), [row(0, 1, tokens), row(1, 1, tokens), row(2, 1, tokens)]);
    assert_eq!(taken(3, 4), [row(3, 0, Tokens::default())]);
    assert_eq!(taken(4, 5), []);
    let days: Vec<Instant> = (0..=4).map(day).collect();
    let spent = store.spent(&fleet, &days).expect("read");
    let contract = fleet.contracts.id("tokens").expect("it is there");
    let told: Vec<(Instant, i128)> = spent.iter().filter(|row| row.contract == contract).map(|row| (row.from, row.money.nanos())).collect();
    // A nano-dollar a token: ten in, as cached ones have no price of their own, and three out.
    assert_eq!(told, [(day(0), 13), (day(1), 13), (day(2), 13), (day(3), 0)]);
}
