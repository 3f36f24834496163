//! Decisions are found again, in whatever segment, by whoever reads.

use dispatch::{Record, RequestId};
use ledger::{LedgerError, Store, View};

use crate::fixture::{TEXT, attempt, decided, fleet, seconds, start};

#[test]
fn decisions_come_back_as_they_were_taken() {
    let directory = tempfile::tempdir().expect("a folder");
    assert!(matches!(View::open(directory.path()), Err(LedgerError::Missing { .. })));
    let (store, _) = Store::open_with(directory.path(), TEXT, fleet(), start(), 500).expect("opened");
    let taken = |request: u64| decided(&fleet(), attempt(u128::from(request / 2), u8::from(request % 2 == 1) + 1), true, seconds(request));
    for request in 0..40 {
        store.append(&taken(request)).expect("appended");
    }
    store.flush().expect("committed");
    let segments = directory.path().join("journal").read_dir().expect("there").count();
    assert!(segments > 5, "the test means nothing within {segments} segments");
    // Another process reads while this one runs.
    let view = View::open(directory.path()).expect("opened");
    for since in [0, 1, 17, 39, 40] {
        let found = view.decisions(seconds(since)).expect("read");
        let again = found.into_iter().map(|it| Record::Decided {
            attempt: it.attempt,
            key: it.key,
            question: Box::new(it.question),
            decision: Box::new(it.decision),
        });
        assert!(again.eq((since..40).map(taken)), "since {since}");
    }
    assert_eq!(view.decision(attempt(7, 2)).expect("read").question.now, seconds(15));
    let both = view.decisions_of(RequestId(7)).expect("read");
    assert_eq!(both.iter().map(|it| it.attempt).collect::<Vec<_>>(), [attempt(7, 1), attempt(7, 2)]);
    assert!(matches!(view.decision(attempt(7, 3)), Err(LedgerError::Missing { .. })));
    assert_eq!(view.attempts_of(RequestId(7)).expect("read").len(), 2);
    assert_eq!(view.fleet_text(fleet().version).expect("kept"), TEXT);
}
