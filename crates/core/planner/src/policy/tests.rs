//! Worlds small enough to be lived through by hand.

use fleet::{AcceleratorId, ContractId, Id, ModelId, PartyId, PoolId, ServiceTier, WorkloadId};
use units::{Instant, Span};

use crate::scenario::{Delay, Outage, Scenario, World};
use crate::{
    Credit, Debt, Decided, Event, EventKind, Expansion, Fit, Floor, Instance, Limit, LimitKind, Month, On, Outcome, Policy, Run, Scale,
    Series, State, Step, Supply, Tranche, Treasury, Window, Work, WorkKind,
};

const MONTHS: usize = 3;
/// What costs and is worth nothing.
const NONE: [f64; MONTHS] = [0.0; MONTHS];

fn series(fixed: &[f64]) -> Series {
    Series { fixed: fixed.to_vec(), by_choice: vec![] }
}

/// One supply of 10 a month at 2, one work of 10 a month that pays 5 and of which half is promised at 50, cash 100 with a floor of 20.
fn small() -> Instance {
    let at = |month: usize| Instant::from_micros(i64::try_from(month).expect("few") * 2_592_000_000_000);
    let months = (0..MONTHS).map(|month| Month { span: Span { from: at(month), to: at(month + 1) }, hours: 720.0, year: 2026, number: 1 });
    Instance {
        scale: Scale { money: 1.0, hours: 1.0, tokens: 1.0 },
        months: months.collect(),
        steps: (0..MONTHS).map(|month| Step { month, hours: 720.0 }).collect(),
        choices: vec![],
        supplies: vec![Supply {
            name: "north on pool".into(),
            contract: ContractId::from_index(0),
            on: On::Pool(PoolId::from_index(0)),
            site: None,
            accelerator: Some(AcceleratorId::from_index(0)),
            party: PartyId::from_index(0),
            vendor: Some(PartyId::from_index(1)),
            choice: None,
            floating: true,
            rate: vec![2.0; MONTHS],
            due: vec![0, 1, 2],
            energy: vec![0.0; MONTHS],
            arithmetic: 1.0,
            base_units: 1.0,
        }],
        works: vec![Work {
            name: "chat".into(),
            workload: WorkloadId::from_index(0),
            kind: WorkKind::Serving {
                model: ModelId::from_index(0),
                tranches: vec![Tranche {
                    tier: ServiceTier::Default,
                    demand: vec![10.0; MONTHS],
                    price: vec![5.0; MONTHS],
                    listed: Vec::new(),
                    value: vec![0.0; MONTHS],
                    least: 0.5,
                }],
            },
        }],
        fits: vec![Fit { supply: 0, work: 0, speed: 1.0, open: vec![(0, MONTHS)] }],
        limits: vec![Limit {
            name: "capacity of north".into(),
            kind: LimitKind::Contract(ContractId::from_index(0)),
            terms: vec![(0, 1.0)],
            most: series(&[10.0; MONTHS]),
            expansions: vec![],
        }],
        expansions: vec![],
        tiered: vec![],
        floors: vec![],
        credits: vec![],
        ventures: vec![],
        caps: vec![],
        bars: vec![],
        refusals: Vec::new(),
        treasury: Treasury {
            cash: 100.0,
            floor: vec![20.0; MONTHS],
            interest: 0.0,
            bound: true,
            debt: None,
            windows: vec![],
            events: vec![],
        },
        gap_cost: 10.0,
        miss_cost: vec![50.0],
    }
}

fn event(kind: EventKind, amounts: [f64; MONTHS]) -> Event {
    let (party, contract) = match kind {
        EventKind::Cost => (None, None),
        EventKind::Raise | EventKind::Revenue => (Some(PartyId::from_index(0)), None),
        _ => (Some(PartyId::from_index(0)), Some(ContractId::from_index(0))),
    };
    Event { name: String::new(), kind, party, contract, likelihood: 1.0, amounts: series(&amounts) }
}

/// The plan that uses so much, borrows and raises nothing, and expects no particular cash.
fn plan(used: [f64; MONTHS]) -> Decided {
    Decided { used: used.to_vec(), cash: vec![1e9; MONTHS], ..Decided::default() }
}

fn live(instance: &Instance, decided: &Decided, scenario: &Scenario) -> (Outcome, Run) {
    let opening = State::opening(instance);
    let mut run = Run::default();
    Policy::compile(instance, &opening, decided).simulate(World::new(instance).enter(scenario), &opening, MONTHS, &mut run);
    (Outcome::of(0, &run), run)
}

/// Cash month by month, and then the objective.
fn check(instance: &Instance, scenario: impl Fn(&mut Scenario), cash: [f64; MONTHS], worth: f64) {
    let mut lived = Scenario::expected(instance);
    scenario(&mut lived);
    let (outcome, run) = live(instance, &plan([10.0; MONTHS]), &lived);
    let found: Vec<f64> = run.months.iter().map(|month| month.cash).collect();
    assert!(found.iter().zip(cash).all(|(found, cash)| (found - cash).abs() < 1e-9), "{found:?}, not {cash:?}");
    assert!((outcome.worth - worth).abs() < 1e-9, "{} {worth}", outcome.worth);
}

#[test]
fn as_planned_a_month_earns_thirty() {
    check(&small(), |_| {}, [130.0, 160.0, 190.0], 190.0);
}

#[test]
fn demand_price_and_rent_move_what_is_earned() {
    // Half the demand in the last month: 5 x (5 - 2).
    check(&small(), |s| s.demand[0][2] = 0.5, [130.0, 160.0, 175.0], 175.0);
    // Twice the demand finds no more capacity; the promise, half of 20, is kept.
    check(&small(), |s| s.demand[0][2] = 2.0, [130.0, 160.0, 190.0], 190.0);
    // Three times the demand promises 15, of which 5 are missed at 50 each.
    check(&small(), |s| s.demand[0][2] = 3.0, [130.0, 160.0, 190.0], 190.0 - 250.0);
    check(&small(), |s| s.price[1] = 1.2, [130.0, 170.0, 200.0], 200.0);
    // At a rent of 6 only what is promised is worth its loss: 5 x (5 - 6).
    check(&small(), |s| s.rent[1] = 3.0, [130.0, 125.0, 155.0], 155.0);
}

#[test]
fn what_pays_beyond_the_plan_is_served() {
    let instance = small();
    let (_, run) = live(&instance, &plan([4.0; MONTHS]), &Scenario::expected(&instance));
    assert_eq!(run.state.cash, 190.0, "the plan left 6 a month that pay 3 each");
    let mut prices = plan([4.0; MONTHS]);
    prices.prices.works = vec![vec![5.0; MONTHS]];
    let (_, run) = live(&instance, &prices, &Scenario::expected(&instance));
    assert_eq!(run.state.cash, 100.0 + 3.0 * 15.0, "by its prices it left them on purpose, all but what was promised");
}

#[test]
fn a_floor_is_paid_when_use_falls_short() {
    let mut instance = small();
    instance.floors.push(Floor {
        name: "floor of north".into(),
        contract: ContractId::from_index(0),
        clause: 0,
        window: Span { from: instance.months[0].span.from, to: instance.months[2].span.to },
        last: 2,
        due: 2,
        least: series(&[60.0]),
        counted: series(&[0.0]),
        counted_of: Vec::new(),
        terms: (0..MONTHS).map(|step| (0, step, 2.0)).collect(),
        tiered: vec![],
        nested: vec![],
        expansions: vec![],
        price: 1.0,
        carry: None,
        abated: true,
        abated_by: Some(0),
    });
    check(&instance, |_| {}, [130.0, 160.0, 190.0], 190.0);
    // 15 of 30 used count 30 of 60.
    check(&instance, |s| s.demand[0] = vec![0.5; MONTHS], [115.0, 130.0, 145.0 - 30.0], 115.0);
    // The supplier fails in the last month: nobody is left to pay the floor to; 5 promised tokens are missed.
    check(&instance, |s| s.defaults = vec![Some(2)], [130.0, 160.0, 160.0], 160.0 - 250.0);
    // Behind the plan a unit that counts costs nothing: at a rent of 6 all is served, though a unit earns 5.
    let mut lived = Scenario::expected(&instance);
    (lived.demand[0][0], lived.rent[2]) = (0.1, 3.0);
    let (_, run) = live(&instance, &plan([10.0; MONTHS]), &lived);
    assert_eq!(run.months[2].unserved, 0.0);
}

#[test]
fn capacity_that_rises_later_comes_later_with_what_is_owed_for_it() {
    let mut instance = small();
    instance.limits[0].most = series(&[4.0, 10.0, 10.0]);
    instance.supplies[0].rate = NONE.to_vec();
    instance.treasury.events.push(event(EventKind::Committed, [-8.0, -20.0, -20.0]));
    let late = |months| vec![Some(Delay { months, share: 1.0 })];
    let missed = 50.0;
    // 4 of 5 promised tokens in the first month.
    check(&instance, |_| {}, [112.0, 142.0, 172.0], 172.0 - missed);
    check(&instance, |s| s.delays = late(1), [112.0, 124.0, 154.0], 154.0 - 2.0 * missed);
    check(&instance, |s| s.delays = late(9), [112.0, 124.0, 136.0], 136.0 - 3.0 * missed);
    let short = |from, months| vec![Some(Outage { from, months, share: 1.0 })];
    check(&instance, |s| s.shortages = short(1, 1), [112.0, 124.0, 154.0], 154.0 - 2.0 * missed);
    check(&instance, |s| s.shortages = short(2, 1), [112.0, 142.0, 172.0], 172.0 - missed);
}

#[test]
fn a_party_fails_in_all_its_roles() {
    let mut instance = small();
    instance.treasury.events.extend([
        event(EventKind::Committed, [-1.0; MONTHS]),
        event(EventKind::Raise, [0.0, 7.0, 7.0]),
        event(EventKind::Cost, [-3.0; MONTHS]),
        event(EventKind::Prepayment, [-9.0, 0.0, 0.0]),
    ]);
    let credit = |refundable| Credit {
        name: "prepayment of north".into(),
        contract: ContractId::from_index(0),
        clause: 0,
        choice: None,
        granted: vec![3.0; MONTHS],
        committed: vec![1.0; MONTHS],
        replaced: vec![],
        refundable,
    };
    instance.credits.push(credit(false));
    // A month: 30 earned, 1 committed, 3 of costs, 3 credited; 9 paid ahead in the first; 7 raised in the others.
    check(&instance, |_| {}, [120.0, 156.0, 192.0], 192.0);
    // From the second month on only the costs are left, and 5 promised tokens a month are missed.
    check(&instance, |s| s.defaults = vec![Some(1)], [120.0, 117.0, 114.0], 114.0 - 500.0);
    instance.credits[0] = credit(true);
    check(&instance, |s| s.defaults = vec![Some(1)], [120.0, 123.0, 120.0], 120.0 - 500.0);
    // Without the raise, whoever it is from.
    check(&instance, |s| s.events[1] = false, [120.0, 149.0, 178.0], 178.0);
}

#[test]
fn what_a_vendor_that_fails_would_have_made_is_not_ordered() {
    let mut instance = small();
    instance.limits[0].expansions.push((0, vec![5.0; MONTHS]));
    instance.expansions.push(Expansion {
        name: "more of north".into(),
        contract: ContractId::from_index(0),
        clause: 0,
        accelerator: AcceleratorId::from_index(0),
        choice: None,
        most: 2.0,
        per_month: vec![1.0; MONTHS],
        lead: 1,
        held: None,
        capex: vec![4.0; MONTHS],
        running: vec![0.0; MONTHS],
        due: vec![0, 1, 2],
        supply: None,
    });
    let ordered = Decided { ordered: vec![vec![1.0, 1.0, 0.0]], ..plan([10.0; MONTHS]) };
    let installed = |scenario: &dyn Fn(&mut Scenario)| {
        let mut lived = Scenario::expected(&instance);
        scenario(&mut lived);
        let (_, run) = live(&instance, &ordered, &lived);
        (run.state.installed[0], run.state.cash)
    };
    assert_eq!(installed(&|_| {}), (2.0, 190.0 - 8.0));
    assert_eq!(installed(&|s| s.defaults = vec![None, Some(1)]), (1.0, 190.0 - 4.0));
    assert_eq!(installed(&|s| s.delays = vec![Some(Delay { months: 1, share: 1.0 })]), (1.0, 190.0 - 8.0));
    assert_eq!(installed(&|s| s.shortages = vec![Some(Outage { from: 1, months: 1, share: 1.0 })]), (2.0, 190.0 - 8.0));
}

#[test]
fn what_is_missing_is_borrowed_then_raised_then_a_gap() {
    let mut instance = small();
    // The first month ends at 100 + 30 - 145 = -15 before anything is borrowed: 35 below the floor.
    instance.treasury.events.push(event(EventKind::Cost, [-145.0, 0.0, 0.0]));
    check(&instance, |_| {}, [20.0, 50.0, 80.0], 80.0 - 350.0);
    instance.treasury.debt = Some(Debt { lender: None, owed: 0.0, limit: vec![20.0; MONTHS], rate: 0.1, covenant: None });
    // 20 borrowed, 15 missing; interest of 2 a month after that.
    check(&instance, |_| {}, [20.0, 48.0, 76.0], 76.0 - 20.0 - 150.0);
    let window = |most, cost| Window { name: String::new(), party: None, open: (0, MONTHS), most, cost, likelihood: 1.0 };
    instance.treasury.windows = vec![window(12.0, 0.5), window(10.0, 0.2)];
    // The cheaper raise first: 10 that cost 0.2 each beside themselves, then 5 that cost 0.5.
    check(&instance, |_| {}, [20.0, 48.0, 76.0], 76.0 - 20.0 - 12.0 - 7.5);
    check(&instance, |s| s.windows[1] = false, [20.0, 48.0, 76.0], 76.0 - 20.0 - 18.0 - 30.0);
    // A covenant of a hundredth of twelve months' revenue of 50 each: 6 borrowed, 22 raised, 7 missing.
    instance.treasury.debt = Some(Debt { lender: None, owed: 0.0, limit: vec![20.0; MONTHS], rate: 0.0, covenant: Some(0.01) });
    check(&instance, |_| {}, [20.0, 50.0, 80.0], 80.0 - 6.0 - 12.0 - 18.0 - 70.0);
}

#[test]
fn a_world_forgets_the_scenario_before() {
    let mut instance = small();
    instance.treasury.events.push(event(EventKind::Raise, [7.0; MONTHS]));
    let mut world = World::new(&instance);
    let calm = world.enter(&Scenario::expected(&instance)).clone();
    let mut struck = Scenario::expected(&instance);
    struck.demand[0] = vec![2.0; MONTHS];
    struck.defaults = vec![Some(1)];
    struck.events = vec![false];
    assert_ne!(*world.enter(&struck), calm);
    assert_eq!(*world.enter(&Scenario::expected(&instance)), calm);
}

#[test]
fn what_the_holder_of_a_first_refusal_takes_fails_with_the_holder() {
    let mut instance = small();
    let (contract, holder) = (ContractId::from_index(0), PartyId::from_index(3));
    instance.refusals = vec![crate::Refusal { contract, holder, likelihood: 0.5, answer: 1 }];
    let fails = |party: usize, taken: bool| {
        move |scenario: &mut Scenario| {
            scenario.defaults = vec![None; 4];
            scenario.defaults[party] = Some(2);
            scenario.refusals = vec![taken];
        }
    };
    // The contract's own party, and then nothing is served in the last month: 5 promised are missed at 50 each.
    check(&instance, fails(0, false), [130.0, 160.0, 160.0], 160.0 - 250.0);
    check(&instance, fails(3, true), [130.0, 160.0, 160.0], 160.0 - 250.0);
    // Whoever has not got it takes nothing away.
    check(&instance, fails(0, true), [130.0, 160.0, 190.0], 190.0);
    check(&instance, fails(3, false), [130.0, 160.0, 190.0], 190.0);
}

#[test]
fn a_contract_goes_back_to_its_party_in_the_next_scenario() {
    let mut instance = small();
    let (contract, holder) = (ContractId::from_index(0), PartyId::from_index(3));
    instance.refusals = vec![crate::Refusal { contract, holder, likelihood: 0.5, answer: 1 }];
    let mut taken = Scenario::expected(&instance);
    taken.refusals = vec![true];
    let mut world = World::new(&instance);
    assert_eq!(world.enter(&taken).supplies[0].party, holder);
    assert_eq!(world.enter(&Scenario::expected(&instance)).supplies[0].party, PartyId::from_index(0));
}
