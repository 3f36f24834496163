//! Each checker finds what was planted for it, and nothing in what is sound.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch::{
    Ask, AttemptId, Cost, Decision, Funds, HeldTime, KeyId, KeyScope, Known, Needs, Outcome, Policy, Question, Record, RequestId, Rule,
    Settlement,
};
use fleet::{EndpointId, Fleet, FleetVersion, Id, Meter, ServiceTier};
use market::{TokenPrices, Tokens, Usage};
use testkit::checkers::{
    Booked, Breach, Call, Gang, Lost, Reading, Spender, Spent, Told, check_budget, check_caps, check_durable, check_gangs, check_held,
    check_live, check_once, check_replay, check_secrets, check_spent, check_time, check_tokens, check_unbroken,
};
use units::{Instant, Money, Quantity, Span};

const LAPTOP: &str = include_str!("../../../fleets/laptop.toml");
const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Instant {
    Instant::from_micros(1_795_348_800_000_000) + SECOND * u32::try_from(seconds).expect("few")
}

fn place(index: usize) -> EndpointId {
    EndpointId::from_index(index)
}

/// What a run left behind: one request that failed at endpoint 0, and was answered with five tokens by endpoint 1.
#[derive(Clone)]
struct Run {
    booked: Vec<Booked>,
    calls: Vec<Call>,
    told: Vec<Told>,
    intents: BTreeMap<(RequestId, EndpointId), (AttemptId, Duration)>,
    lost: Lost,
}

fn booked(attempt: u8, outcome: Outcome, known: Known, output: u32) -> Booked {
    let (attempt, endpoint) = (AttemptId { request: RequestId(1), attempt }, place(usize::from(attempt) - 1));
    let settled = Settlement {
        attempt,
        endpoint,
        in_units: false,
        contract: Id::from_index(0),
        fleet: FleetVersion([0; 32]),
        outcome,
        tokens: Tokens { input: 9, cached: 0, output },
        known,
        list: Money::from_nanos(5),
        started: at(1),
        first_content: None,
        ended: at(2),
    };
    Booked { attempt, key: KeyId(1), endpoint, settled: Some(settled) }
}

fn sound() -> Run {
    let call = |index: usize, generated, reported| Call {
        request: RequestId(1),
        endpoint: place(index),
        at: SECOND * 2,
        streamed: true,
        read: 9,
        generated,
        reported,
    };
    let told = Told {
        request: Some(RequestId(1)),
        endpoint: Some(place(1)),
        asked: SECOND,
        over: Some(SECOND * 3),
        status: Some(200),
        delivered: 5,
        usage: Some(Tokens { input: 9, cached: 0, output: 5 }),
        whole: true,
    };
    let rows = vec![booked(1, Outcome::Failed, Known::Bounded, 20), booked(2, Outcome::Answered, Known::Reported, 5)];
    Run {
        intents: rows.iter().map(|row| ((row.attempt.request, row.endpoint), (row.attempt, SECOND))).collect(),
        booked: rows,
        calls: vec![call(0, 2, None), call(1, 5, Some(Tokens { input: 9, cached: 0, output: 5 }))],
        told: vec![told],
        lost: Lost::default(),
    }
}

/// What all checkers of a run find in it.
fn findings(run: &Run) -> Vec<String> {
    let mut found: Vec<Breach> = check_once(&run.booked, &run.calls, &run.lost);
    found.extend(check_tokens(&run.booked, &run.calls, &run.told));
    found.extend(check_durable(&run.intents, &run.booked, &run.calls, &run.told, &run.lost));
    found.extend(check_live(&run.told, &run.booked, Duration::ZERO, SECOND * 5));
    found.extend(check_time(&run.booked, &[]));
    found.iter().map(ToString::to_string).collect()
}

/// After `plant` was done to a sound run, something is found whose text has `expected` in it.
fn check(expected: &str, plant: impl FnOnce(&mut Run)) {
    let mut run = sound();
    plant(&mut run);
    let found = findings(&run);
    assert!(found.iter().any(|found| found.contains(expected)), "{expected}: {found:?}");
}

fn settled(run: &mut Run, index: usize) -> &mut Settlement {
    run.booked[index].settled.as_mut().expect("it is settled")
}

#[test]
fn in_a_sound_run_nothing_is_found() {
    assert_eq!(findings(&sound()), [""; 0]);
}

#[test]
fn i2_an_attempt_that_is_not_metered_once_is_found() {
    check("I2: attempt req_00000000000000000000000000000001#2 is booked twice", |run| run.booked.push(run.booked[1].clone()));
    check("went to the same endpoint", |run| run.booked[0].endpoint = place(1));
    check("is settled as another", |run| settled(run, 0).endpoint = place(2));
    check("was asked of EndpointId(1) twice", |run| run.calls.push(run.calls[1].clone()));
    check("and no attempt is booked", |run| _ = run.booked.pop());
    check("has tokens that no upstream reported", |run| _ = run.calls.pop());
    check("is answered, and no upstream was asked", |run| _ = run.calls.pop());
    check("is answered twice", |run| settled(run, 0).outcome = Outcome::Answered);
}

#[test]
fn i3_tokens_that_are_not_those_generated_are_found() {
    check("I3: attempt req_00000000000000000000000000000001#2 has other tokens than its upstream reported", |run| {
        settled(run, 1).tokens.output = 6
    });
    check("has other tokens than were generated", |run| run.calls[1].generated = 6);
    check("is bounded below what was generated", |run| run.calls[0].generated = 21);
    check("is bounded below what was read", |run| run.calls[0].read = 10);
    check("has other tokens than its client was told", |run| run.told[0].usage = Some(Tokens { input: 8, cached: 0, output: 5 }));
    check("was answered with usage, and is counted", |run| settled(run, 1).known = Known::Counted);
    check("was answered, and counts otherwise", |run| {
        (settled(run, 1).known, settled(run, 1).tokens.output) = (Known::Counted, 4);
        run.calls[1].reported = None;
    });
    let cut =
        |output| move |run: &mut Run| *settled(run, 1) = booked(2, Outcome::Cut, Known::Counted, output).settled.expect("it is settled");
    check("counts less than was delivered", cut(4));
    check("counts more than was generated", cut(6));
    check("counts what no upstream took", |run| {
        *settled(run, 0) = booked(1, Outcome::Failed, Known::Counted, 1).settled.expect("it is settled");
        run.calls.remove(0);
    });
}

#[test]
fn i14_an_effect_before_its_intent_and_a_lost_answer_are_found() {
    check("I14: req_00000000000000000000000000000001 was asked of EndpointId(0) without an intent", |run| {
        run.intents.remove(&(RequestId(1), place(0)));
    });
    check("was called before its intent was written", |run| run.calls[0].at = Duration::ZERO);
    check("was journaled and is gone", |run| _ = run.booked.remove(0));
    check("was answered to the end, and is booked as [Interrupted]", |run| settled(run, 1).outcome = Outcome::Interrupted);
    // What a power cut took may be gone.
    let mut run = sound();
    (run.booked, run.lost) = (Vec::new(), run.booked.iter().map(|row| row.attempt).collect());
    assert_eq!(findings(&run), [""; 0]);
}

#[test]
fn i13_what_never_ends_is_found() {
    check("I13: a request made at 1s ended at None", |run| run.told[0].over = None);
    check("I13: a request made at 1s ended at Some(7s)", |run| run.told[0].over = Some(SECOND * 7));
    check("was never settled", |run| run.booked[0].settled = None);
}

#[test]
fn i9_time_that_runs_back_or_twice_is_found() {
    check("I9: attempt req_00000000000000000000000000000001#1 ends before it begins", |run| settled(run, 0).ended = at(0));
    check("ends before it begins", |run| settled(run, 0).first_content = Some(at(3)));
    let fleet = laptop();
    let (first, second) = (held(&fleet, "north", 0, 5, 1), held(&fleet, "north", 5, 9, 1));
    assert_eq!(check_time(&[], &[second.clone(), first.clone()]), []);
    let overlapping = HeldTime { span: Span { from: at(4), to: at(9) }, ..second.clone() };
    assert!(check_time(&[], &[first.clone(), overlapping])[0].what.contains("held twice"));
    let backwards = HeldTime { span: Span { from: at(9), to: at(5) }, ..second };
    assert!(check_time(&[], &[first, backwards])[0].what.contains("held over nothing or less"));
}

#[test]
fn i9_time_that_nobody_holds_is_found() {
    let fleet = laptop();
    let spans = [held(&fleet, "north", 0, 5, 1), held(&fleet, "west", 6, 7, 1), held(&fleet, "north", 8, 9, 1)];
    assert_eq!(check_unbroken(&spans, SECOND * 3), []);
    let found = check_unbroken(&spans, SECOND * 2);
    assert_eq!(found.len(), 1, "from the fifth second to the eighth: {found:?}");
    assert!(found[0].what.contains("is held by nobody for 3s"), "{found:?}");
}

#[test]
fn i7_what_is_spent_beyond_a_budget_in_the_end_is_found() {
    let spender = Spender { keys: vec![KeyId(1)], budget: "10 USD/day".parse().expect("a budget") };
    let calendar = spender.budget.calendar(&laptop().time_zone);
    let of = |key, seconds, units| Spent { key: KeyId(key), decided: at(seconds), list: Money::from_units(units) };
    let day = 24 * 3_600;
    let spent = [of(1, 0, 6), of(1, 1, 6), of(2, 1, 100), of(1, day, 9)];
    assert_eq!(check_spent(&calendar, &spender, Money::from_units(2), &spent), [], "twelve, and nine on the next day");
    let found = check_spent(&calendar, &spender, Money::from_units(1), &spent);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].to_string().starts_with("I7: keys [KeyId(1)] spent 12.00 of 10.00 USD/day in period "), "{found:?}");
}

fn laptop() -> Fleet {
    fleet::parse(LAPTOP).fleet.expect("the laptop fleet is checked in CI")
}

/// So many accelerators of an endpoint's pool, held from one second to another.
fn held(fleet: &Fleet, endpoint: &str, from: u64, to: u64, count: i64) -> HeldTime {
    let (endpoint, contract) = (fleet.endpoints.id(endpoint).expect("it is there"), Id::from_index(0));
    let length = i64::try_from(to - from).expect("short") * 1_000;
    let usage = Usage {
        contract,
        meter: Meter::AcceleratorTime(Id::from_index(0)),
        at: at(from),
        held: Quantity::new(count * length),
        used: Quantity::ZERO,
    };
    HeldTime { endpoint, fleet: fleet.version, span: Span { from: at(from), to: at(to) }, usage: vec![usage], shares: Vec::new() }
}

#[test]
fn i4_what_is_held_beyond_a_pool_or_a_site_is_found() {
    let fleet = laptop();
    let all = ["north", "west", "spill"].map(|name| held(&fleet, name, 0, 5, 1));
    assert_eq!(check_held(&fleet, &all), []);
    let twice = [held(&fleet, "north", 0, 5, 1), held(&fleet, "north", 4, 9, 1)];
    assert!(check_held(&fleet, &twice)[0].what.starts_with("pool north holds 2 of 1"));
    // Three at 8 W with a PUE of 1.1 take 26.4 W: with 26 W only two have their power, and one after the other all three.
    let fleet = fleet::parse(&LAPTOP.replace("power = \"65 W\"", "power = \"26 W\"")).fleet.expect("a good fleet");
    assert!(check_held(&fleet, &all)[0].what.starts_with("site desk takes 26400000 of 26000000 microwatts"));
    let one_by_one = [held(&fleet, "north", 0, 5, 1), held(&fleet, "west", 5, 9, 1), held(&fleet, "spill", 9, 12, 1)];
    assert_eq!(check_held(&fleet, &one_by_one), []);
}

#[test]
fn i6_a_part_of_a_gang_and_a_job_placed_twice_are_found() {
    let gang = |generation, has, from, to| Gang { job: 1, generation, needs: 8, has, live: Span { from: at(from), to: at(to) } };
    let found = |gangs: &[Gang]| check_gangs(gangs).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(found(&[gang(2, 8, 5, 9), gang(1, 8, 0, 5), gang(3, 0, 6, 9)]), "");
    assert_eq!(found(&[gang(1, 7, 0, 5)]), "I6: job 1 has 7 of 8 accelerators");
    assert!(found(&[gang(1, 8, 0, 5), gang(2, 8, 4, 9)]).starts_with("I6: job 1 is placed twice at "));
    assert!(found(&[gang(1, 8, 0, 5), gang(1, 8, 6, 9)]).starts_with("I6: job 1 is placed twice at "));
}

#[test]
fn i11_and_i12_a_secret_and_a_passed_cap_are_found() {
    let found = check_secrets([("a log", b"no key".as_slice()), ("an error", b"key canary!".as_slice())], &["", "canary"]);
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["I11: secret 1 is in an error"]);
    let reading = |most| Reading { what: "sockets", most, cap: 8 };
    assert_eq!(check_caps(&[reading(8)]), []);
    assert_eq!(check_caps(&[reading(9)])[0].to_string(), "I12: sockets: 9 of at most 8");
}

/// A decision of a key with a budget: nine tokens in and `output` out at a micro-dollar each are set aside.
fn decided(fleet: &Fleet, request: u128, output: u32) -> Record {
    let attempt = AttemptId { request: RequestId(request), attempt: 1 };
    let question = Question {
        now: at(1),
        fleet: fleet.version,
        policy: Policy::MarginalCost,
        valid_until: at(9),
        usable_until: at(9),
        ask: Ask {
            id: attempt.request,
            sequence: 0,
            model: Id::from_index(0),
            tier: ServiceTier::Default,
            needs: Needs::default(),
            tokens: Tokens { input: 9, cached: 0, output },
            input_least: 1,
            output_max: output,
            scope: KeyScope::default(),
        },
        wish: None,
        funds: Some(Funds { left: Money::from_units(1), output }),
        seen: Vec::new(),
    };
    let list = TokenPrices { input: 1_000_000_000, cached: 0, output: 1_000_000_000 };
    let decision = Decision {
        endpoint: place(0),
        in_units: false,
        contract: Id::from_index(0),
        cost: Cost::default(),
        list,
        rule: Rule::Policy,
        passed_over: Vec::new(),
        advice: None,
    };
    Record::Decided { attempt, key: KeyId(1), question: Box::new(question), decision: Box::new(decision) }
}

/// The end of the only attempt of a request, and what it came to.
fn ended(request: u128, list: Money) -> Record {
    let row = booked(1, Outcome::Answered, Known::Reported, 5);
    let attempt = AttemptId { request: RequestId(request), attempt: 1 };
    Record::Settled(Settlement { attempt, list, ..row.settled.expect("it is settled") })
}

#[test]
fn i7_what_begins_beyond_what_a_budget_has_left_is_found() {
    let (fleet, budget) = (laptop(), "0.00002 USD/day".parse().expect("a budget"));
    let spender = Spender { keys: vec![KeyId(1)], budget };
    let (one, other, third) = (decided(&fleet, 1, 1), decided(&fleet, 2, 1), decided(&fleet, 3, 1));
    let check = |records: &[&Record]| check_budget(&fleet, &spender, &records.iter().copied().cloned().collect::<Vec<_>>());
    assert_eq!(check(&[&one, &other]), [], "ten micro-dollars each");
    let found = check(&[&one, &other, &third]);
    assert_eq!(found.len(), 1, "thirty of twenty micro-dollars: {found:?}");
    assert!(found[0].to_string().contains("have taken 0.00003 of 0.00002 in period"), "{found:?}");
    assert_eq!(check(&[&one, &ended(1, Money::ZERO), &other, &third]), [], "what was not taken is there again");
    // It took a dollar, of which ten micro-dollars were set aside: what was under way by then may go on, and nothing may begin.
    let dear = ended(1, Money::from_units(1));
    assert_eq!(check(&[&one, &other, &dear, &ended(2, Money::from_nanos(1))]), []);
    assert_eq!(check(&[&one, &dear, &other]).len(), 1);
}

/// A gateway that knows of no budget sets nothing aside.
#[test]
fn i7_what_was_spent_without_a_budget_in_mind_is_found() {
    let fleet = laptop();
    let spender = Spender { keys: vec![KeyId(1)], budget: "0.00002 USD/day".parse().expect("a budget") };
    let heedless = |request| {
        let mut record = decided(&fleet, request, 1);
        if let Record::Decided { question, .. } = &mut record {
            question.funds = None;
        }
        record
    };
    let ends = |nanos| ended(2, Money::from_nanos(nanos));
    let records = |nanos| [heedless(1), heedless(2), ended(1, Money::from_nanos(15_000)), ends(nanos)];
    assert_eq!(check_budget(&fleet, &spender, &records(5_000)), []);
    assert_eq!(check_budget(&fleet, &spender, &records(5_001)).len(), 1);
}

#[test]
fn i8_a_decision_that_is_another_when_taken_again_is_found() {
    let fleet = laptop();
    // It chose an endpoint, and had seen none.
    let found = check_replay(&fleet, &[decided(&fleet, 1, 1)]);
    assert!(found[0].to_string().starts_with("I8: the decision of attempt "), "{found:?}");
}
