//! Decisions on the laptop fleet and on random observations: never an ineligible endpoint, every other one with its reason,
//! same question same answer, and each policy by its own order.

use dispatch::{
    Advice, Ask, Cost, Decision, Funds, Ground, Health, KeyScope, Needs, Policy, Question, Reason, Refusal, RequestId, Rule, Saved, Seen,
    SeenAll, decide,
};
use expect_test::{Expect, expect};
use fleet::{Capability, Fleet, Meter, ServiceTier};
use market::{Balances, Forecast, TokenPrices, Tokens, Usage, price_sheet};
use proptest::prelude::*;
use units::{Instant, Money, Quantity};

fn laptop() -> Fleet {
    fleet::parse(include_str!("../../../../fleets/laptop.toml")).fleet.expect("the laptop fleet is valid")
}

/// A minute into one of the laptop's billing periods.
fn now() -> Instant {
    Instant::from_micros(1_800_000_060_000_000)
}

fn question(fleet: &Fleet, policy: Policy, edit: impl Fn(&str, &mut Seen)) -> Question {
    question_after(fleet, &Balances::default(), policy, edit)
}

fn question_after(fleet: &Fleet, balances: &Balances, policy: Policy, edit: impl Fn(&str, &mut Seen)) -> Question {
    let sheet = price_sheet(fleet, balances, &Forecast::default(), now());
    let seen = fleet.endpoints.iter().map(|(endpoint, name, _)| {
        let mut seen = Seen {
            endpoint,
            health: Health::Up,
            outstanding: 0,
            service_us: 1_500_000,
            ttft_us: 400_000,
            tpot_us: 30_000,
            arrivals_per_ks: 200,
            cached_tokens: 0,
            units_left: [1_000, 0, 0, 0],
            tried: false,
            expressible: true,
            price: sheet.price(endpoint).copied(),
        };
        edit(name, &mut seen);
        seen
    });
    Question {
        now: now(),
        fleet: fleet.version,
        policy,
        valid_until: sheet.valid_until,
        usable_until: sheet.usable_until,
        wish: None,
        funds: None,
        seen: seen.collect::<SeenAll>(),
        ask: Ask {
            id: RequestId(1),
            sequence: 0,
            model: fleet.model("default").expect("the alias is there"),
            tier: ServiceTier::Default,
            needs: Needs::default().with(Capability::Chat),
            tokens: Tokens { input: 100, cached: 0, output: 30 },
            input_least: 50,
            output_max: 64,
            scope: KeyScope::default(),
        },
    }
}

fn shown(fleet: &Fleet, answer: &Result<Decision, Refusal>) -> String {
    let over = |passed: &[dispatch::PassedOver]| {
        passed.iter().map(|other| format!("  {}: {:?}\n", fleet.endpoints.name(other.endpoint), other.reason)).collect::<String>()
    };
    match answer {
        Ok(chosen) => {
            let (endpoint, contract) = (fleet.endpoints.name(chosen.endpoint), fleet.contracts.name(chosen.contract));
            format!("{endpoint} paid by {contract}, {:?}\n{}", chosen.rule, over(&chosen.passed_over))
        }
        Err(refusal) => format!("nowhere\n{}", over(&refusal.passed_over)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a test reads better with the expectation last and by value")]
fn check(policy: Policy, edit: impl Fn(&str, &mut Seen), want: Expect) {
    let fleet = laptop();
    want.assert_eq(&shown(&fleet, &decide(&fleet, &question(&fleet, policy, edit))));
}

#[test]
fn once_the_floor_is_met_the_idle_reservation_goes_first() {
    let fleet = laptop();
    let contract = fleet.contracts.id("spill-on-demand").expect("it is there");
    let (meter, many) = (Meter::OutputTokens(fleet.model("default").expect("the alias is there")), Quantity::new(20_000));
    let mut balances = Balances::default();
    balances.post(&fleet, &Usage { contract, meter, at: now(), held: many, used: many });
    let answer = decide(&fleet, &question_after(&fleet, &balances, Policy::MarginalCost, |_, _| {}));
    expect![[r#"
        north paid by north-reserved, Policy
          spill: Dearer { by: Money(3276750) }
          west: Dearer { by: Money(2765158) }
    "#]]
    .assert_eq(&shown(&fleet, &answer));
}

#[test]
fn tokens_that_only_fill_an_open_floor_cost_nothing() {
    check(
        Policy::MarginalCost,
        |_, _| {},
        expect![[r#"
            spill paid by spill-on-demand, Policy
              north: Dearer { by: Money(23250) }
              west: Dearer { by: Money(2788408) }
        "#]],
    );
}

#[test]
fn what_a_dialect_cannot_say_goes_elsewhere() {
    check(
        Policy::MarginalCost,
        |name, seen| seen.expressible = name == "west",
        expect![[r#"
            west paid by west-provisioned, Policy
              north: Inexpressible
              spill: Inexpressible
        "#]],
    );
}

#[test]
fn exhausted_units_make_the_overflow_contract_pay() {
    check(
        Policy::MarginalCost,
        |name, seen| match name {
            "west" => seen.units_left[0] = 0,
            _ => seen.health = Health::Down { until: now() + core::time::Duration::from_secs(9) },
        },
        expect![[r#"
            west paid by west-standard, Policy
              north: Down { until: Instant(1800000069000000) }
              spill: Down { until: Instant(1800000069000000) }
        "#]],
    );
}

#[test]
fn when_nothing_is_left_every_reason_is_named() {
    check(
        Policy::MarginalCost,
        |name, seen| match name {
            "north" => seen.tried = true,
            "spill" => seen.outstanding = 20,
            _ => seen.price = None,
        },
        expect![[r#"
            nowhere
              north: Tried
              spill: Full
              west: NoContract
        "#]],
    );
}

/// The dear endpoint is the cheapest at the margin, because its floor is paid anyway: a budget counts its list price all the same.
#[test]
fn an_endpoint_that_the_accounts_cannot_pay_is_passed_over() {
    let fleet = laptop();
    let answer = |left: Money, output| {
        let mut question = question(&fleet, Policy::MarginalCost, |_, _| {});
        question.funds = Some(Funds { left, output });
        shown(&fleet, &decide(&fleet, &question))
    };
    expect![[r#"
        spill paid by spill-on-demand, Policy
          north: Dearer { by: Money(23250) }
          west: Dearer { by: Money(2788408) }
    "#]]
    .assert_eq(&answer(Money::from_nanos(10_000_000), 64));
    expect![[r#"
        north paid by north-reserved, Policy
          spill: OverBudget { short: Money(2340000) }
          west: OverBudget { short: Money(2933333) }
    "#]]
    .assert_eq(&answer(Money::from_nanos(3_000_000), 64));
    expect![[r#"
        nowhere
          north: OverBudget { short: Money(1303483) }
          spill: OverBudget { short: Money(5340000) }
          west: OverBudget { short: Money(5933333) }
    "#]]
    .assert_eq(&answer(Money::from_nanos(-5), 64));
}

#[test]
fn a_reservation_that_is_nearly_full_costs_what_its_capacity_is_worth() {
    check(
        Policy::MarginalCost,
        |name, seen| seen.outstanding = if name == "north" { 3 } else { 0 },
        expect![[r#"
            spill paid by spill-on-demand, Policy
              north: Dearer { by: Money(965837) }
              west: Dearer { by: Money(2788408) }
        "#]],
    );
}

#[test]
fn the_baselines_follow_their_own_order() {
    let fleet = laptop();
    let chosen = |policy, sequence| {
        let mut question = question(&fleet, policy, |name, seen| seen.outstanding = u32::from(name == "north") * 4);
        question.ask.sequence = sequence;
        fleet.endpoints.name(decide(&fleet, &question).expect("an endpoint").endpoint).to_owned()
    };
    assert_eq!([0, 1, 2, 3].map(|turn| chosen(Policy::RoundRobin, turn)), ["north", "spill", "west", "north"]);
    assert_eq!(chosen(Policy::LeastOutstanding, 0), "spill", "of the idle ones the first by name");
    assert_eq!(chosen(Policy::LowestListPrice, 0), "north", "an hour of it, spread over the tokens it can do");
    assert_eq!(chosen(Policy::ReservedFirst, 0), "west", "north is paid for too, but has no slot free");
}

#[test]
fn prices_past_their_time_lose_their_weight_step_by_step() {
    let fleet = laptop();
    let rule = |seconds| {
        let mut question = question(&fleet, Policy::MarginalCost, |_, _| {});
        question.now = question.now + core::time::Duration::from_secs(seconds);
        decide(&fleet, &question).expect("an endpoint").rule
    };
    assert_eq!([0, 6, 61].map(rule), [Rule::Policy, Rule::StalePrices, Rule::FallBack]);
}

fn health() -> impl Strategy<Value = Health> {
    let at = |seconds: i64| Instant::from_micros(now().micros() + seconds * 1_000_000);
    prop_oneof![3 => Just(Health::Up), 1 => Just(Health::Probing), 1 => (-9_i64..9).prop_map(move |s| Health::Down { until: at(s) })]
}

type Observation = (Health, u32, u32, u32, i64, bool, bool, bool);

fn observations() -> impl Strategy<Value = Vec<Observation>> {
    let rarely = || prop::bool::weighted(0.2);
    let one = (health(), 0_u32..24, 0_u32..9_000_000, 0_u32..200, -50_i64..2_000, rarely(), rarely(), prop::bool::weighted(0.9));
    prop::collection::vec(one, 3)
}

/// What makes an endpoint ineligible, said again from the observation alone.
fn may_not(fleet: &Fleet, question: &Question, seen: &Seen) -> bool {
    let endpoint = &fleet.endpoints[seen.endpoint];
    let down = match seen.health {
        Health::Up | Health::Probing => false,
        Health::Down { until } => question.now < until,
    };
    down || seen.tried || !seen.expressible || seen.price.is_none() || seen.outstanding >= endpoint.slots + endpoint.queue
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn never_an_ineligible_endpoint_and_always_the_cheapest(
        seen in observations(),
        policy in prop::sample::select(Policy::ALL.to_vec()),
        sequence in 0_u64..99,
        age in 0_u64..90,
        left in prop::option::of(0_i64..12_000_000),
    ) {
        let fleet = laptop();
        let mut question = question(&fleet, policy, |_, _| {});
        question.ask.sequence = sequence;
        question.funds = left.map(|nanos| Funds { left: Money::from_nanos(nanos.into()), output: 64 });
        question.now = question.now + core::time::Duration::from_secs(age);
        for (place, (health, outstanding, service_us, cached_tokens, units_left, tried, unpriced, expressible)) in question.seen.iter_mut().zip(seen) {
            let price = if unpriced { None } else { place.price };
            let units_left = [units_left, 0, 0, 0];
            *place = Seen { health, outstanding, service_us, cached_tokens, units_left, tried, expressible, price, ..*place };
        }
        let answer = decide(&fleet, &question);
        prop_assert_eq!(&answer, &decide(&fleet, &question), "same question, same answer");
        match answer {
            Ok(chosen) => {
                let seen = question.seen.iter().find(|seen| seen.endpoint == chosen.endpoint).expect("chosen from what was seen");
                prop_assert!(!may_not(&fleet, &question, seen));
                prop_assert!(fleet.contracts[chosen.contract].in_force(question.now));
                prop_assert!(question.funds.is_none_or(|funds| funds.cost(chosen.list, question.ask.tokens.input) <= funds.left));
                prop_assert_eq!(chosen.passed_over.len() + 1, question.seen.len());
                for other in &chosen.passed_over {
                    if let Reason::Dearer { by } = other.reason {
                        prop_assert!(by >= Money::ZERO);
                        prop_assert_eq!(by, other.cost.expect("an eligible endpoint has a cost").total() - chosen.cost.total());
                    }
                }
            }
            Err(refusal) => {
                prop_assert_eq!(refusal.passed_over.len(), question.seen.len());
                let exhausted = |seen: &Seen| fleet.endpoints.name(seen.endpoint) == "west" && seen.units_left[0] < 300;
                let short = |seen: &Seen| {
                    let reason = refusal.passed_over.iter().find(|passed| passed.endpoint == seen.endpoint).map(|passed| passed.reason);
                    matches!(reason, Some(Reason::OverBudget { short }) if left.is_some() && short > Money::ZERO)
                };
                prop_assert!(question.seen.iter().all(|seen| may_not(&fleet, &question, seen) || exhausted(seen) || short(seen)));
            }
        }
    }
}

#[test]
fn an_exclusive_contract_keeps_others_out() {
    let text = include_str!("../../../../fleets/laptop.toml").to_owned();
    let text = text.replace(
        "[contracts.west-standard]",
        "[contracts.west-provisioned.exclusivity]\nmodels = [\"smollm2-135m\"]\nexcept = [\"west-standard\"]\n\n[contracts.west-standard]",
    );
    let parsed = fleet::parse(&text);
    let fleet = parsed.fleet.expect("valid");
    let answer = decide(&fleet, &question(&fleet, Policy::MarginalCost, |_, _| {}));
    expect![[r#"
        west paid by west-provisioned, Policy
          north: Exclusive { to: ContractId(3) }
          spill: Exclusive { to: ContractId(3) }
    "#]]
    .assert_eq(&shown(&fleet, &answer));
}

/// The laptop fleet in which west-standard, which is drawn on last, alone may serve the model, with one more change.
fn exclusive(from: &str, to: &str) -> Fleet {
    let alone = "[contracts.west-standard.exclusivity]\nmodels = [\"smollm2-135m\"]\n\n[contracts.west-standard]";
    let text = include_str!("../../../../fleets/laptop.toml").replace("[contracts.west-standard]", alone).replacen(from, to, 1);
    fleet::parse(&text).fleet.expect("valid")
}

#[test]
fn who_may_not_serve_there_is_passed_over_for_the_next_that_may() {
    let fleet = exclusive("", "");
    expect![[r#"
        west paid by west-standard, Policy
          north: Exclusive { to: ContractId(4) }
          spill: Exclusive { to: ContractId(4) }
    "#]]
    .assert_eq(&shown(&fleet, &decide(&fleet, &question(&fleet, Policy::MarginalCost, |_, _| {}))));
    // Also one that would have taken whatever comes.
    let fleet = exclusive("endpoints = [\"spill\"]", "endpoints = [\"spill\", \"west\"]");
    let only_west = |name: &str, seen: &mut Seen| (seen.expressible, seen.units_left) = (name == "west", [0; 4]);
    let answer = decide(&fleet, &question(&fleet, Policy::MarginalCost, only_west));
    assert_eq!(answer.map(|decision| fleet.contracts.name(decision.contract).to_owned()).as_deref(), Ok("west-standard"));
}

/// A sheet is made once a second: it must not leave an endpoint without a payer between a contract's end and the next one.
#[test]
fn a_renewal_pays_from_its_first_instant_on_by_a_sheet_from_before() {
    let text = include_str!("../../../../fleets/laptop.toml").to_owned();
    let ends = "[contracts.spill-on-demand]";
    let (before, after) = text.split_once(ends).expect("the contract is there");
    let (own, rest) = after.split_once("\n\n").unwrap_or((after, ""));
    let term = |own: &str, start: &str, end: &str| {
        let lines = own.lines().map(|line| match line.split_once(" = ").map(|(key, _)| key) {
            Some("start") => format!("start = {start}"),
            Some("end") => format!("end = {end}"),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let (old, new) = (term(own, "2026-01-01", "2027-01-15T08:01:20Z"), term(own, "2027-01-15T08:01:20Z", "2031-01-01"));
    let text = format!("{before}{ends}{old}\n\n[contracts.spill-renewed]{new}\n\n{rest}");
    let parsed = fleet::parse(&text);
    let fleet = parsed.fleet.unwrap_or_else(|| unreachable!("valid: {:?}", parsed.diagnostics));
    let mut question = question(&fleet, Policy::MarginalCost, |name, seen| seen.expressible = name == "spill");
    let mut paid = |later: u64| {
        question.now = now() + core::time::Duration::from_secs(later);
        decide(&fleet, &question).map(|decision| fleet.contracts.name(decision.contract).to_owned())
    };
    assert_eq!(paid(0).as_deref(), Ok("spill-on-demand"));
    assert_eq!(paid(19).as_deref(), Ok("spill-on-demand"));
    assert_eq!(paid(20).as_deref(), Ok("spill-renewed"));
}

/// What is decided where the caller goes to `wish`, and what is advised.
#[expect(clippy::needless_pass_by_value, reason = "a test reads better with the expectation last and by value")]
fn check_wish(wish: &str, edit: impl Fn(&str, &mut Seen), want: Expect) {
    let fleet = laptop();
    let wished = Question { wish: fleet.endpoints.id(wish), ..question(&fleet, Policy::MarginalCost, edit) };
    let answer = decide(&fleet, &wished);
    let advice = answer.as_ref().ok().and_then(|decision| decision.advice.as_ref());
    let advised = advice.map(|advice| format!("advised: {}, {:?}\n", fleet.endpoints.name(advice.endpoint), advice.ground()));
    want.assert_eq(&(shown(&fleet, &answer) + &advised.unwrap_or_default()));
}

#[test]
fn in_shadow_the_caller_is_obeyed_and_the_policy_advises() {
    check_wish(
        "west",
        |_, _| {},
        expect![[r#"
        west paid by west-provisioned, Policy
          north: NotItsTurn
          spill: NotItsTurn
        advised: spill, FloorPaid
    "#]],
    );
    check_wish(
        "spill",
        |_, _| {},
        expect![[r#"
        spill paid by spill-on-demand, Policy
          north: NotItsTurn
          west: NotItsTurn
        advised: spill, FloorPaid
    "#]],
    );
    // Whether it is up, has room or has units left is the caller's risk.
    let busy = |name: &str, seen: &mut Seen| {
        if name == "west" {
            (seen.health, seen.outstanding, seen.units_left) =
                (Health::Down { until: now() + core::time::Duration::from_secs(9) }, 9_999, [0; 4]);
        }
    };
    check_wish(
        "west",
        busy,
        expect![[r#"
        west paid by west-standard, Policy
          north: NotItsTurn
          spill: NotItsTurn
        advised: spill, FloorPaid
    "#]],
    );
    // With nothing else that would do, its own choice is the advice.
    let alone = |name: &str, seen: &mut Seen| seen.expressible = name == "west";
    check_wish(
        "west",
        alone,
        expect![[r#"
        west paid by west-provisioned, Policy
          north: Inexpressible
          spill: Inexpressible
        advised: west, Prepaid
    "#]],
    );
}

#[test]
fn in_shadow_what_cannot_go_where_the_caller_wants_goes_nowhere() {
    check_wish(
        "west",
        |name, seen| seen.tried = name == "west",
        expect![[r#"
        nowhere
          west: Tried
    "#]],
    );
    check_wish(
        "west",
        |name, seen| seen.expressible = name != "west",
        expect![[r#"
        nowhere
          west: Inexpressible
    "#]],
    );
    check_wish(
        "west",
        |_, seen| seen.price = None,
        expect![[r#"
        nowhere
          west: NoContract
    "#]],
    );
}

#[test]
fn what_an_advice_would_have_saved_is_the_difference_of_its_parts() {
    let (laptop, nanos) = (laptop(), Money::from_nanos);
    let prices = |input, cached, output| TokenPrices { input, cached, output };
    // Where the caller went: 2 USD and 10 USD per million; elsewhere a floor is owed, and tokens cost a tenth of their rate.
    let advice = Advice {
        endpoint: laptop.endpoints.id("spill").expect("it is there"),
        contract: laptop.contracts.id("spill-on-demand").expect("it is there"),
        prepaid: false,
        cost: Cost { marginal: nanos(5), energy: nanos(30), scarcity: nanos(7), cache_loss: nanos(11), slo_miss: nanos(100) },
        list: prices(1_000_000_000, 500_000_000, 4_000_000_000),
        marginal: prices(100_000_000, 50_000_000, 400_000_000),
        given: prices(2_000_000_000, 1_000_000_000, 10_000_000_000),
    };
    let given = Cost { marginal: nanos(9), energy: nanos(10), scarcity: nanos(8), cache_loss: nanos(0), slo_miss: nanos(400) };
    // 800 x (2000 - 100) + 200 x (1000 - 50) + 100 x (10000 - 400) nanos.
    let tokens = nanos(1_520_000 + 190_000 + 960_000);
    let saved = advice.saved(given, Tokens { input: 1_000, cached: 200, output: 100 });
    assert_eq!(saved, Saved { tokens, energy: nanos(-20), scarcity: nanos(1), cache_loss: nanos(-11), slo_miss: nanos(300) });
    assert_eq!(saved.total(), nanos(2_670_270));
    assert_eq!(saved.and(saved).total(), nanos(5_340_540));
    assert_eq!(advice.ground(), Ground::FloorPaid);
    assert_eq!(Advice { list: advice.marginal, ..advice }.ground(), Ground::ListPrice);
    assert_eq!(Advice { prepaid: true, ..advice }.ground(), Ground::Prepaid);
}
