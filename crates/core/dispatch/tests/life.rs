//! The life of a request under any order of events: every attempt that was called is settled exactly once, the client is
//! told once, and nothing happens after the end.

use dispatch::{ATTEMPTS_MAX, Action, AttemptId, Event, Failure, Fault, Known, Life, Outcome, RequestId};
use fleet::{ContractId, EndpointId, FleetVersion, Id};
use market::{TokenPrices, Tokens};
use proptest::prelude::*;
use units::{Instant, Money};

const BOUND: Tokens = Tokens { input: 40, cached: 0, output: 100 };

/// A nano for an input token, two for an output token.
const LIST: TokenPrices = TokenPrices { input: 1_000_000, cached: 0, output: 2_000_000 };

fn life() -> Life {
    Life::new(RequestId(7), FleetVersion([1; 32]), BOUND)
}

fn decided(endpoint: usize) -> Event {
    Event::Decided { endpoint: EndpointId::from_index(endpoint), in_units: false, contract: ContractId::from_index(endpoint), list: LIST }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Unreachable),
        Just(Fault::Lost),
        Just(Fault::TimedOut),
        Just(Fault::Busy { retry_after_ms: 5 }),
        Just(Fault::Overloaded { retry_after_ms: 5 }),
        Just(Fault::Evicted),
        any::<(bool, bool)>().prop_map(|(said, is_late)| {
            let used = said.then_some(Tokens { input: 9, cached: 1, output: 3 });
            Fault::Fruitless { used, is_late }
        }),
        Just(Fault::Broken),
        Just(Fault::Client),
    ]
}

/// Sent as it was asked for.
const SENT: Event = Event::Sent { output_max: BOUND.output };

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_usize..64).prop_map(decided),
        1 => Just(Event::Refused),
        2 => (0_u32..200).prop_map(|output_max| Event::Sent { output_max }),
        1 => (0_u32..80, 0_u32..80).prop_map(|(input, cached)| Event::Read { input, cached }),
        1 => Just(Event::Opened),
        2 => Just(Event::Content),
        2 => (0_u32..500, any::<bool>()).prop_map(|(counted, said)| Event::Progress {
            counted,
            reported: said.then_some(Tokens { input: 9, cached: 1, output: counted }),
        }),
        1 => Just(Event::Ended),
        3 => fault().prop_map(Event::Failed),
        1 => Just(Event::ClientGone),
        1 => Just(Event::Outrun),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_attempt_is_settled_once_and_the_end_is_the_end(events in prop::collection::vec(event(), 0..40)) {
        let mut life = life();
        let (mut called, mut settled, mut failures, mut over) = (Vec::new(), Vec::new(), 0, false);
        for (step, event) in events.into_iter().enumerate() {
            let now = Instant::from_micros(i64::try_from(step).expect("few steps"));
            let actions = life.step(now, event);
            prop_assert!(!over || actions.is_empty(), "an action after the end");
            for action in actions {
                match action {
                    Action::Call { attempt, .. } => called.push(attempt),
                    Action::Settle(settlement) => {
                        prop_assert!(settlement.started <= settlement.ended);
                        prop_assert!(settlement.first_content.is_none_or(|at| settlement.started <= at && at <= settlement.ended));
                        prop_assert_eq!(settlement.list, LIST.cost(settlement.tokens));
                        settled.push(settlement.attempt.attempt);
                    }
                    Action::Fail(_) => failures += 1,
                    Action::Done => over = true,
                    Action::Decide | Action::Cancel => {}
                }
            }
        }
        let open = called.len() - settled.len();
        prop_assert!(open == 0 || (open == 1 && !over), "called {called:?}, settled {settled:?}");
        prop_assert_eq!(&called[..settled.len()], &settled[..]);
        prop_assert!(failures <= 1 && called.len() <= usize::from(ATTEMPTS_MAX));
    }
}

#[test]
fn before_content_a_failed_attempt_moves_on_and_after_it_never() {
    let mut life = life();
    let at = Instant::from_micros;
    life.step(at(1), decided(3));
    let actions = life.step(at(2), Event::Failed(Fault::Busy { retry_after_ms: 0 }));
    assert!(
        matches!(actions.as_slice(), [Action::Settle(busy), Action::Decide] if busy.outcome == Outcome::Failed && busy.tokens == Tokens::default())
    );
    assert!(life.tried(EndpointId::from_index(3)));
    assert_eq!(life.next_attempt(), AttemptId { request: RequestId(7), attempt: 2 });
    life.step(at(3), decided(4));
    life.step(at(4), Event::Content);
    life.step(at(5), Event::Progress { counted: 6, reported: None });
    let actions = life.step(at(6), Event::Failed(Fault::Lost));
    assert!(matches!(
        actions.as_slice(),
        [Action::Settle(cut), Action::Fail(Failure::Cut), Action::Done] if cut.outcome == Outcome::Cut && cut.known == Known::Counted && cut.tokens.output == 6
    ));
}

#[test]
fn who_heard_that_an_answer_is_to_come_gets_it_from_there_or_not_at_all() {
    let at = Instant::from_micros;
    let opened = || {
        let mut life = life();
        life.step(at(1), decided(3));
        life.step(at(2), SENT);
        life.step(at(3), Event::Opened);
        life
    };
    let mut cut = opened();
    assert_eq!(cut.hedge(), None, "its client heard of it");
    let actions = cut.step(at(4), Event::Failed(Fault::Lost));
    let [Action::Settle(settled), Action::Fail(Failure::Cut), Action::Done] = actions.as_slice() else { unreachable!("{actions:?}") };
    assert_eq!((settled.outcome, settled.known, settled.first_content), (Outcome::Cut, Known::Bounded, None));
    let mut answered = opened();
    answered.step(at(5), Event::Content);
    answered.step(at(6), Event::Content);
    let actions = answered.step(at(7), Event::Ended);
    assert!(matches!(actions.first(), Some(Action::Settle(settled)) if settled.first_content == Some(at(5))), "{actions:?}");
}

#[test]
fn an_upstream_that_was_reached_and_said_nothing_is_bounded() {
    for fault in [Fault::Lost, Fault::TimedOut, Fault::Evicted, Fault::Fruitless { used: None, is_late: true }] {
        let mut life = life();
        life.step(Instant::from_micros(1), decided(0));
        life.step(Instant::from_micros(1), SENT);
        let actions = life.step(Instant::from_micros(2), Event::Failed(fault));
        assert!(matches!(actions.first(), Some(Action::Settle(lost)) if lost.known == Known::Bounded && lost.tokens == BOUND), "{fault:?}");
        // 40 input tokens at a nano, 100 output tokens at two.
        assert!(matches!(actions.first(), Some(Action::Settle(lost)) if lost.list == Money::from_nanos(240)), "{fault:?}");
    }
}

#[test]
fn a_bound_is_what_was_sent_and_what_was_said_of_it() {
    let check = |before: &[Event], last: Event, tokens: Tokens, known: Known| {
        let mut life = life();
        life.step(Instant::from_micros(1), decided(0));
        before.iter().for_each(|event| drop(life.step(Instant::from_micros(2), *event)));
        let actions = life.step(Instant::from_micros(3), last);
        let Some(Action::Settle(settled)) = actions.first() else { unreachable!("{actions:?}") };
        assert_eq!((settled.tokens, settled.known), (tokens, known), "{before:?} {last:?}");
    };
    let (nothing, read) = (Tokens::default(), Event::Read { input: 50, cached: 30 });
    for last in [Event::ClientGone, Event::Outrun, Event::Failed(Fault::TimedOut)] {
        check(&[], last, nothing, Known::Counted);
        check(&[SENT], last, BOUND, Known::Bounded);
        check(&[Event::Sent { output_max: 30 }], last, Tokens { output: 30, ..BOUND }, Known::Bounded);
        check(&[SENT, read], last, Tokens { input: 50, cached: 30, output: 100 }, Known::Bounded);
    }
    let progress = Event::Progress { counted: 6, reported: None };
    check(&[SENT, read, Event::Content, progress], Event::ClientGone, Tokens { input: 50, cached: 30, output: 6 }, Known::Counted);
    // It began, and nothing of it was seen.
    check(&[SENT, Event::Content], Event::ClientGone, BOUND, Known::Bounded);
    check(&[SENT, Event::Content], Event::Ended, Tokens { output: 0, ..BOUND }, Known::Counted);
    check(&[SENT, Event::Content, progress], Event::ClientGone, Tokens { output: 6, ..BOUND }, Known::Counted);
}

#[test]
fn what_a_fruitless_attempt_says_it_used_is_booked_before_content_and_after() {
    let used = Tokens { input: 18, cached: 0, output: 300 };
    for content in [false, true] {
        let mut life = life();
        life.step(Instant::from_micros(1), decided(0));
        if content {
            life.step(Instant::from_micros(2), Event::Content);
        }
        let actions = life.step(Instant::from_micros(3), Event::Failed(Fault::Fruitless { used: Some(used), is_late: false }));
        let [Action::Settle(settled), next, ..] = actions.as_slice() else { unreachable!("{actions:?}") };
        assert_eq!((settled.known, settled.tokens), (Known::Reported, used));
        assert_eq!(*next == Action::Decide, !content, "{next:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_makes_no_duration_negative() {
    let mut life = life();
    let at = Instant::from_micros;
    life.step(at(1_000_000), decided(0));
    life.step(at(400_000), Event::Content);
    let actions = life.step(at(200_000), Event::Ended);
    let Some(Action::Settle(settled)) = actions.first() else { unreachable!("an attempt that ends is settled") };
    assert_eq!((settled.started, settled.first_content, settled.ended), (at(1_000_000), Some(at(1_000_000)), at(1_000_000)));
}

#[test]
fn a_second_attempt_beside_the_first_has_a_number_of_its_own_and_one_try() {
    let mut first = life();
    let at = Instant::from_micros;
    assert_eq!(first.hedge(), None, "nothing is under way");
    first.step(at(1), decided(3));
    first.step(at(1), SENT);
    let mut second = first.hedge().expect("one is under way");
    assert!(second.tried(EndpointId::from_index(3)));
    let numbers = [&second, &first].map(|life| life.next_attempt().attempt);
    assert_eq!(numbers, [2, 3], "no number is given twice");
    assert!(matches!(second.step(at(2), decided(4)).as_slice(), [Action::Call { attempt: 2, .. }]));
    // The second fails: it is settled, and does not go on.
    let mut failed = second.clone();
    let actions = failed.step(at(3), Event::Failed(Fault::Broken));
    assert!(matches!(actions.as_slice(), [Action::Settle(_), Action::Fail(Failure::NoCapacity), Action::Done]));
    first.mark_tried(EndpointId::from_index(4));
    assert!(first.tried(EndpointId::from_index(4)));
    // The second is first: the other one ends with what it may have cost.
    let mut late = first.clone();
    let actions = late.step(at(4), Event::Outrun);
    let [Action::Settle(outrun), Action::Cancel, Action::Done] = actions.as_slice() else { unreachable!("{actions:?}") };
    assert_eq!((outrun.attempt.attempt, outrun.outcome, outrun.known, outrun.tokens), (1, Outcome::Outrun, Known::Bounded, BOUND));
    // The first fails while the second goes on: its own next attempt takes the number after it.
    first.step(at(5), Event::Failed(Fault::Busy { retry_after_ms: 0 }));
    assert!(matches!(first.step(at(6), decided(5)).as_slice(), [Action::Call { attempt: 3, .. }]));
    first.step(at(7), Event::Content);
    assert_eq!(first.hedge(), None, "content has come");
}
