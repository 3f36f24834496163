//! What clauses cost that bar orders, limit dependence, bind debt and bound power: by hand.

use fleet::{Id, PartyId, SiteId};
use lp::Effort;
use planner::{Bar, BarKind, Cap, Debt, EventKind, Instance, Lifts, LimitKind, State, Window, clause_price, clauses, plainly};
use testkit::instance::Small;

use crate::solved::{agree, check, highs};

/// The price of the clause whose name begins so, of a plan whose objective is `worth`.
#[track_caller]
fn costs(instance: &Instance, worth: f64, name: &str, expected: f64) {
    let answer = check(instance, worth);
    let clause = clauses(instance).into_iter().find(|clause| clause.name.starts_with(name)).expect("the instance has the clause");
    let opening = State::opening(instance);
    let kept = plainly(instance, &answer.layout, &answer.problem, &answer.solution).0;
    let price = clause_price(instance, &clause, &opening, None, kept, &mut highs(), Effort::default());
    let price = price.expect("it is solved");
    assert!(agree(price, expected), "{name} costs {price}, not {expected}");
}

/// Ten are wanted at 3: google's cost 1, azure's 2.
fn two() -> Small {
    let mut small = Small::new(1, 0.0);
    small.instance.treasury.bound = false;
    for (name, rate) in [("azure", 2.0), ("google", 1.0)] {
        let supply = small.supply(name, rate);
        small.instance.supplies[supply].party = PartyId::from_index(supply);
        small.instance.supplies[supply].arithmetic = 1.0;
    }
    small.serving("chat", &[10.0], 3.0);
    small
}

fn cap(share: f64, spend: bool) -> Cap {
    Cap { name: "at most so much on google".to_owned(), party: PartyId::from_index(1), share, spend, months: (0, 1) }
}

#[test]
fn a_limit_on_dependence() {
    let mut small = two();
    // Five each: 5 x 2 + 5 x 1.
    small.instance.caps = vec![cap(0.5, false)];
    costs(&small.instance, 15.0, "at most", 20.0 - 15.0);
    // As much paid to each: twice as many of google's.
    small.instance.caps = vec![cap(0.5, true)];
    let worth = (2.0 * 20.0 + 10.0) / 3.0;
    costs(&small.instance, worth, "at most", 20.0 - worth);
    small.instance.caps = vec![cap(1.0, true)];
    costs(&small.instance, 20.0, "at most", 0.0);
}

#[test]
fn power_of_a_site() {
    let mut small = two();
    let power = small.limit("power of oslo", &[0, 1], 4.0);
    small.instance.limits[power].kind = LimitKind::Site(SiteId::from_index(0));
    costs(&small.instance, 8.0, "power of oslo", 20.0 - 8.0);
}

#[test]
fn the_covenant() {
    // 70 are to be borrowed, and half of twelve times 10 may be: 10 are missing, at ten times as much. That is a promise broken, and no money: 30 are
    // left at the end with the covenant, once what is missing is found, and without.
    let mut small = Small::new(2, 0.0);
    small.instance.treasury.debt = Some(Debt { lender: None, owed: 0.0, limit: vec![1_000.0; 2], rate: 0.0, covenant: Some(0.5) });
    small.event(EventKind::Revenue, &[10.0, 100.0]);
    small.event(EventKind::Cost, &[-80.0, 0.0]);
    costs(&small.instance, 30.0 + 10.0 - 100.0, "covenant", 0.0);
    // From a raise that costs a fifth the 10 can be had.
    let window = Window { name: "round".to_owned(), party: None, most: 10.0, cost: 0.2, open: (0, 1), likelihood: 1.0 };
    small.instance.treasury.windows.push(window);
    costs(&small.instance, 30.0 + 10.0 - 12.0, "covenant", 2.0);
}

#[test]
fn a_first_refusal_over_orders() {
    let mut small = Small::new(3, 0.0);
    small.instance.treasury.bound = false;
    let supply = small.supply("oracle", 0.0);
    let limit = small.limit("capacity of oracle", &[supply], 0.0);
    small.serving("chat", &[100.0; 3], 3.0);
    small.expansion(limit, 4.0, 0);
    // Without it 4, 8 and 8 are there, each for 2.5; with it none, 4 and 8.
    let (name, kind) = ("first refusal of azure".to_owned(), BarKind::FirstRefusal);
    small.instance.bars.push(Bar { name, kind, contract: None, lifts: Lifts::Expansion(0, 0, 1) });
    costs(&small.instance, 12.0 * 2.5, "first refusal", 8.0 * 2.5);
}

#[test]
fn a_clause_that_spares_a_loss_by_breaking_a_promise_costs_less_than_nothing() {
    // All of 4 is promised, each costs 5 and earns 1; there is power for 2.
    let mut small = Small::new(1, 100.0);
    let supply = small.supply("oracle", 5.0);
    let chat = small.serving("chat", &[4.0], 1.0);
    small.promise(chat, 1.0);
    let power = small.limit("power of oslo", &[supply], 2.0);
    small.instance.limits[power].kind = LimitKind::Site(SiteId::from_index(0));
    let missed = small.instance.miss_cost[chat];
    costs(&small.instance, 100.0 - 2.0 * 4.0 - 2.0 * missed, "power of oslo", -2.0 * 4.0);
}

#[test]
fn a_floor_that_leaves_money_missing_costs_what_is_due() {
    // 10 are at hand, and 50 due whatever is used: 40 are missing, at ten times as much; as money they count once.
    let mut small = Small::new(1, 10.0);
    let supply = small.supply("azure", 2.0);
    small.floor(supply, (0, 1), 50.0);
    costs(&small.instance, -400.0, "floor of azure", 50.0);
}
