//! What may be signed.

use fleet::{Answer, Exclusivity, FirstRefusal, Offer, Scope, Status, Substitution, Use};
use planner::{Instance, Lifts, decided, moved, survey};
use units::Share;

use crate::view::{NORTH, at, check, contract, fleet, span, surveyed};

/// Two hundred accelerators that may be had from March.
const OFFER: &str = r#"
[contracts.offer]
party = "south"
status = "discussed"
preset = "reserved"
pools = ["oslo"]
count = [{ from = 2026-03-01, is = 100 }, { from = 2026-04-01, is = 200 }]
rate = "1 USD/accelerator-hour"
start = 2026-03-01
end = 2026-07-01
calendar = { anchor = 2026-03-01, period = "month" }

[[contracts.offer.floor]]
least = "1 MUSD"
per = "term"

[[contracts.offer.prepayment]]
amount = "60 kUSD"
due = 2026-03-01
credit_periods = 2
"#;

fn offered(starts: &[&str], months: u32) -> fleet::Fleet {
    let mut fleet = fleet(&format!("{NORTH}{OFFER}"), months);
    let starts: Vec<_> = starts.iter().map(|date| at(date)).collect();
    contract(&mut fleet, "offer", |terms| terms.offer = Some(Offer { by: Some(at("2026-04-15")), starts: starts.clone() }));
    fleet
}

fn choices(it: &Instance) -> Vec<(&str, i32, usize, usize)> {
    it.choices.iter().map(|choice| (choice.name.as_str(), choice.moved, choice.group, choice.by)).collect()
}

#[test]
fn each_start_of_an_offer_is_a_choice_with_all_its_dates_moved() {
    let fleet = offered(&["2026-05-01"], 6);
    let wants: &[(&str, &[f64])] = &[
        ("limit capacity of offer in h100, from 2026-03 ? 0", &[0.0, 0.0, 74_400.0, 144_000.0, 148_800.0, 144_000.0]),
        ("limit capacity of offer in h100, from 2026-05 ? 1", &[0.0, 0.0, 0.0, 0.0, 74_400.0, 144_000.0]),
        ("limit capacity of offer in h100, from 2026-05", &[0.0; 6]),
        ("event committed under offer, from 2026-05 ? 1", &[0.0, 0.0, 0.0, 0.0, -74_400.0, -144_000.0]),
        ("event prepaid to offer, from 2026-05 ? 1", &[0.0, 0.0, 0.0, 0.0, -60_000.0, 0.0]),
        ("least floor of offer, from 2026-03, 2026-03 to 2026-06 ? 0", &[1e6]),
        // The plan has 61 of the 123 days from May to August.
        ("least floor of offer, from 2026-05, 2026-05 to 2026-06 ? 1", &[1e6 * 61.0 / 123.0]),
    ];
    let it = check(&fleet, wants);
    assert_eq!(choices(&it), [("offer, from 2026-03", 0, 0, 2), ("offer, from 2026-05", 2, 0, 3)]);
    let own: Vec<_> = it.supplies.iter().map(|supply| (supply.name.as_str(), supply.choice)).collect();
    let want = [("north on oslo", None), ("offer on oslo, from 2026-03", Some(0)), ("offer on oslo, from 2026-05", Some(1))];
    assert_eq!(own, want);
    assert_eq!(it.credits.iter().map(|credit| credit.choice).collect::<Vec<_>>(), [Some(0), Some(1)]);
    let opens: Vec<_> = it.fits.iter().map(|fit| fit.open.clone()).collect();
    assert_eq!(opens, [vec![(0, 6)], vec![(2, 6)], vec![(4, 6)]]);
}

#[test]
fn what_is_over_or_never_on_offer_is_no_choice() {
    let mut fleet = offered(&["2025-12-01", "2026-08-01"], 6);
    assert_eq!(choices(&surveyed(&fleet)), [("offer, from 2026-03", 0, 0, 2)]);
    contract(&mut fleet, "offer", |terms| terms.offer = Some(Offer { by: Some(at("2025-12-31")), starts: Vec::new() }));
    assert_eq!(choices(&surveyed(&fleet)), []);
    contract(&mut fleet, "offer", |terms| terms.offer = None);
    assert_eq!(choices(&surveyed(&fleet)), []);
    contract(&mut fleet, "offer", |terms| {
        terms.offer = Some(Offer::default());
        terms.status = Status::Stalled;
    });
    assert_eq!(choices(&surveyed(&fleet)), []);
}

#[test]
fn an_offer_takes_the_place_of_what_is_signed() {
    let mut fleet = offered(&[], 4);
    let north = fleet.contracts.id("north").expect("a contract");
    contract(&mut fleet, "offer", |terms| terms.substitutions = vec![Substitution { of: north, share: Share::from_ppm(250_000) }]);
    let wants: &[(&str, &[f64])] = &[
        ("limit capacity of north in h100", &[74_400.0, 67_200.0, 74_400.0, 72_000.0]),
        ("limit capacity of north in h100 ? 0", &[0.0, 0.0, -18_600.0, -18_000.0]),
        ("event committed under north ? 0", &[0.0, 0.0, 37_200.0, 36_000.0]),
    ];
    check(&fleet, wants);
}

#[test]
fn a_first_refusal_is_answered_before_others_begin() {
    let mut fleet = offered(&["2026-05-01"], 6);
    let refusal = |days| FirstRefusal {
        scope: Scope { uses: vec![Use::Serving], ..Scope::default() },
        span: span("2026-01-01", "2027-01-01"),
        answer: Answer { days, takes: Share::NONE },
    };
    let bars = |fleet: &fleet::Fleet| surveyed(fleet).bars.into_iter().map(|bar| (bar.name, bar.lifts)).collect::<Vec<_>>();
    // March begins on day 59 of the plan, May on day 120.
    contract(&mut fleet, "north", |terms| terms.first_refusals = vec![refusal(60)]);
    assert_eq!(bars(&fleet), [("first refusal of north".to_owned(), Lifts::Choice(0))]);
    contract(&mut fleet, "north", |terms| terms.first_refusals = vec![refusal(59)]);
    assert_eq!(bars(&fleet), []);
}

#[test]
fn an_offers_exclusivity_closes_others_when_it_is_signed() {
    let mut fleet = offered(&[], 4);
    let kept = |scope| Exclusivity { scope, span: span("2026-04-01", "2026-07-01"), except: Vec::new() };
    contract(&mut fleet, "offer", |terms| terms.exclusivities = vec![kept(Scope::default())]);
    let against = "limit exclusivity of offer, from 2026-03 against north on oslo";
    let pool = [400.0 * 744.0, 400.0 * 672.0, 400.0 * 744.0, 400.0 * 720.0];
    let wants: &[(&str, &[f64])] = &[(against, &pool), (&format!("{against} ? 0"), &[0.0, 0.0, 0.0, -400.0 * 720.0])];
    check(&fleet, wants);
}

#[test]
fn what_can_not_be_planned_is_refused_with_its_place() {
    let mut fleet = offered(&["2026-05-02"], 4);
    let offer = fleet.contracts.id("offer").expect("a contract");
    let words =
        |fleet: &fleet::Fleet| -> Vec<String> { survey(fleet).expect_err("it can't be planned").iter().map(ToString::to_string).collect() };
    let want = "contracts.offer.offer.starts.0: `2026-05-02T00:00:00Z` is not a whole number of months from the contract's `start`";
    assert_eq!(words(&fleet), [want]);
    contract(&mut fleet, "offer", |terms| terms.offer = Some(Offer::default()));
    contract(&mut fleet, "north", |terms| {
        (terms.status, terms.offer) = (Status::Discussed, Some(Offer::default()));
        terms.substitutions = vec![Substitution { of: offer, share: Share::ALL }];
    });
    let want = "contracts.north.substitution.0.of: it would take the place of `offer`, which is itself an offer: sign one of the two, or leave one out";
    assert_eq!(words(&fleet), [want]);
}

#[test]
fn a_contract_moves_in_its_own_zone_and_is_signed_when_it_is_decided() {
    let fleet = fleet(&OFFER.replace("calendar = { anchor", "calendar = { time_zone = \"Europe/Oslo\", anchor"), 1);
    let id = fleet.contracts.id("offer").expect("a contract");
    let later = moved(&fleet.contracts[id], 1);
    // March begins in winter time, April in summer time.
    assert_eq!(fleet.contracts[id].term.from.to_string(), "2026-02-28T23:00:00Z");
    assert_eq!(later.term.from.to_string(), "2026-03-31T22:00:00Z");
    assert_eq!(later.capacity[0].ramp.steps()[1].0.to_string(), "2026-04-30T22:00:00Z");
    assert_eq!(later.prepayments[0].due, later.term.from);
    assert_eq!(later.period(0).from, later.term.from);
    assert_eq!(moved(&later, -1), fleet.contracts[id]);
    let signed = decided(&fleet, at("2026-01-01"), &[(id, 1)]);
    assert_eq!((signed.contracts[id].status, signed.contracts[id].term), (Status::Signed, later.term));
}
