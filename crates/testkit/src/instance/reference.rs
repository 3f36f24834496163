//! The instance that is measured: ten years of forty contracts, with power and cash that bind.

use fleet::{AcceleratorId, ContractId, Id, ModelId, PartyId, PoolId, ServiceTier, SiteId, WorkloadId};
use planner::{
    Debt, Event, EventKind, Expansion, Fit, Floor, Instance, Limit, LimitKind, On, Series, Supply, Tranche, Treasury, Window, Work,
    WorkKind,
};
use units::Span;

use super::random::empty;
use super::{months, number_of, steps};
use crate::dice::Dice;

const MONTHS: usize = 120;
const CONTRACTS: usize = 40;
const SITES: usize = 12;
const SERVING: usize = 6;
const TRAINING: usize = 6;
const PARTIES: usize = 8;
/// What serves only, and is not there before.
const INHOUSE: (usize, usize) = (5, 36);
/// Contracts with a second pool, and from when it is there.
const SECOND_POOLS: [(usize, usize); 3] = [(0, 0), (1, 0), (2, 50)];
/// By accelerator: arithmetic against the first, facility kilowatts, money an hour, tokens (10^12 in 10^6 hours).
const ACCELERATORS: [(f64, f64, f64, f64); 6] = [
    (1.0, 1.45, 2.3, 8.0),
    (1.0, 1.45, 2.6, 10.0),
    (2.27, 2.07, 4.2, 24.0),
    (2.53, 2.09, 5.0, 30.0),
    (1.32, 1.55, 2.4, 9.0),
    (0.81, 1.1, 1.2, 11.0),
];
/// By serving workload: how many tokens against the above, and what a unit of them sells for.
const MODELS: [(f64, f64); SERVING] = [(2.0, 0.16), (1.0, 0.33), (0.8, 0.42), (0.5, 0.66), (0.25, 1.35), (0.12, 2.8)];
/// By service tier: share of demand, price against the list, share that is promised.
const TIERS: [(ServiceTier, f64, f64, f64); 3] =
    [(ServiceTier::Priority, 0.2, 1.5, 0.5), (ServiceTier::Default, 0.5, 1.0, 0.2), (ServiceTier::Flex, 0.3, 0.6, 0.0)];
/// Share of its power that an accelerator takes idle.
const IDLE: f64 = 0.3;
/// Money for a megawatt-hour, in units of 10^6.
const ENERGY: f64 = 60e-6;

/// 120 months x 40 contracts (half with expansions) x 12 workloads x 6 accelerators x 12 sites; a floor for each contract and year.
#[must_use]
pub fn reference() -> Instance {
    let months = months(MONTHS);
    let steps = steps(&months, &[1.0]);
    let mut instance = empty(months, steps);
    let mut dice = Dice::new(3);
    add_supplies(&mut instance, &mut dice);
    add_expansions(&mut instance, &mut dice);
    add_sites(&mut instance);
    add_pools(&mut instance);
    add_floors(&mut instance, &mut dice);
    add_serving(&mut instance, &mut dice);
    add_training(&mut instance, &mut dice);
    add_fits(&mut instance);
    instance.treasury = treasury();
    instance
}

/// Thousands of accelerators that a contract delivers: more each year, some of it late.
fn capacity(contract: usize, month: usize) -> f64 {
    let start = if contract % 5 == 4 { 12 * (contract % 4) } else { 0 };
    let year = month.saturating_sub(start) / 12;
    if month < start { 0.0 } else { number_of(10 + contract * 7 % 13 * 5) * (1.0 + 0.18 * number_of(year)) }
}

fn accelerator(contract: usize) -> usize {
    if contract % 10 == 9 { INHOUSE.0 } else { (contract * 7 + contract / SITES) % 5 }
}

fn add_supplies(instance: &mut Instance, dice: &mut Dice) {
    for contract in 0..CONTRACTS {
        let second = SECOND_POOLS.iter().find(|(of, _)| *of == contract);
        let places = [Some((contract % SITES, accelerator(contract))), second.map(|_| ((contract + 5) % SITES, (contract + 1) % 5))];
        let first = instance.supplies.len();
        let discount = dice.between(0.8, 1.1);
        for (site, accelerator) in places.into_iter().flatten() {
            let (arithmetic, kilowatts, list, _) = ACCELERATORS[accelerator];
            instance.supplies.push(Supply {
                name: format!("contract-{contract:02} on pool-{site:02}-{accelerator}"),
                contract: ContractId::from_index(contract),
                on: On::Pool(PoolId::from_index(site * ACCELERATORS.len() + accelerator)),
                site: Some(SiteId::from_index(site)),
                accelerator: Some(AcceleratorId::from_index(accelerator)),
                party: PartyId::from_index(contract % PARTIES),
                vendor: Some(PartyId::from_index(PARTIES + accelerator)),
                choice: None,
                floating: contract % 10 == 3,
                rate: (0..MONTHS).map(|month| list * discount * 0.99_f64.powi(i32::try_from(month / 12).expect("years are few"))).collect(),
                due: (0..MONTHS).collect(),
                energy: vec![kilowatts * 1e3 * (1.0 - IDLE) * ENERGY; MONTHS],
                arithmetic,
                base_units: 3.6e12,
            });
        }
        let hours = |month: usize| instance.months[month].hours / 1e3;
        instance.limits.push(Limit {
            name: format!("capacity of contract-{contract:02}"),
            kind: LimitKind::Contract(ContractId::from_index(contract)),
            terms: (first..instance.supplies.len()).map(|supply| (supply, 1.0)).collect(),
            most: Series { fixed: (0..MONTHS).map(|month| capacity(contract, month) * hours(month)).collect(), by_choice: vec![] },
            expansions: vec![],
        });
    }
}

fn add_expansions(instance: &mut Instance, dice: &mut Dice) {
    let chips: Vec<Vec<f64>> = (0..ACCELERATORS.len()).map(|_| dice.series(MONTHS, 2.0, 14.0)).collect();
    for contract in (0..CONTRACTS).step_by(2) {
        let accelerator = accelerator(contract);
        let (_, kilowatts, list, _) = ACCELERATORS[accelerator];
        let hours: Vec<f64> = instance.months.iter().map(|month| month.hours / 1e3).collect();
        let running = hours.iter().map(|hours| hours * (0.05 * list + kilowatts * 1e3 * IDLE * ENERGY)).collect();
        let opens = if accelerator == INHOUSE.0 { INHOUSE.1 } else { 0 };
        instance.limits[contract].expansions.push((instance.expansions.len(), hours));
        instance.expansions.push(Expansion {
            name: format!("expansion of contract-{contract:02}"),
            contract: ContractId::from_index(contract),
            clause: 0,
            accelerator: AcceleratorId::from_index(accelerator),
            choice: None,
            most: number_of(20 + contract),
            per_month: (0..MONTHS).map(|month| if (opens..MONTHS - 12).contains(&month) { 4.0 } else { 0.0 }).collect(),
            lead: 3 + contract % 4,
            held: None,
            capex: vec![0.6 * list; MONTHS],
            running,
            due: (0..MONTHS).collect(),
            supply: Some(chips[accelerator].clone()),
        });
    }
}

/// Facility power in MWh, of which idle accelerators take their part first; there is less of it than contracts could use.
fn add_sites(instance: &mut Instance) {
    for site in 0..SITES {
        let here = |supply: &Supply| supply.site == Some(SiteId::from_index(site));
        let kilowatts = |supply: &Supply| supply.accelerator.map_or(0.0, |of| ACCELERATORS[of.index()].1);
        let numbered = || instance.supplies.iter().enumerate().filter(|(_, supply)| here(supply));
        let held = |month: usize| -> f64 {
            let first = numbered().filter(|(_, supply)| accelerator(supply.contract.index()) == supply.accelerator.map_or(0, Id::index));
            first.map(|(_, supply)| capacity(supply.contract.index(), month) * kilowatts(supply)).sum()
        };
        let most = |month: usize| {
            let grows = 0.9 + 0.04 * number_of(month / 12 % 5);
            (held(month) * (grows - IDLE) * instance.months[month].hours).max(0.0)
        };
        let idle = |contract: usize| {
            (0..MONTHS).map(|month| -ACCELERATORS[accelerator(contract)].1 * IDLE * instance.months[month].hours).collect()
        };
        let expands = (0..instance.expansions.len()).filter(|at| instance.expansions[*at].contract.index() % SITES == site);
        let limit = Limit {
            name: format!("power of site-{site:02}"),
            kind: LimitKind::Site(SiteId::from_index(site)),
            terms: numbered().map(|(index, supply)| (index, kilowatts(supply) * 1e3 * (1.0 - IDLE))).collect(),
            most: Series { fixed: (0..MONTHS).map(most).collect(), by_choice: vec![] },
            expansions: expands.map(|at| (at, idle(instance.expansions[at].contract.index()))).collect(),
        };
        instance.limits.push(limit);
    }
}

/// Pools on which several contracts run.
fn add_pools(instance: &mut Instance) {
    for pool in (0..SITES * ACCELERATORS.len()).map(PoolId::from_index) {
        let on_it = |(index, supply): (usize, &Supply)| (supply.on == On::Pool(pool)).then_some((index, supply.contract.index()));
        let supplies: Vec<(usize, usize)> = instance.supplies.iter().enumerate().filter_map(on_it).collect();
        let most = |month: usize| supplies.iter().map(|(_, contract)| capacity(*contract, month)).sum::<f64>() + 60.0;
        if supplies.len() > 1 {
            let fixed = (0..MONTHS).map(|month| most(month) * instance.months[month].hours / 1e3).collect();
            instance.limits.push(Limit {
                name: format!("pool-{:02}-{}", pool.index() / ACCELERATORS.len(), pool.index() % ACCELERATORS.len()),
                kind: LimitKind::Pool(pool),
                terms: supplies.iter().map(|(supply, _)| (*supply, 1.0)).collect(),
                most: Series { fixed, by_choice: vec![] },
                expansions: vec![],
            });
        }
    }
}

/// Take or pay: in each year a share of what the contract's capacity would cost.
fn add_floors(instance: &mut Instance, dice: &mut Dice) {
    for contract in 0..CONTRACTS {
        let share = dice.between(0.5, 0.9);
        for from in (0..MONTHS).step_by(12) {
            let ours = |(index, supply): (usize, &Supply)| (supply.contract.index() == contract).then_some(index);
            let supplies: Vec<usize> = instance.supplies.iter().enumerate().filter_map(ours).collect();
            let rate = |supply: usize, month: usize| instance.supplies[supply].rate[month];
            let full: f64 = (from..from + 12).map(|month| rate(supplies[0], month) * instance.limits[contract].most.fixed[month]).sum();
            let terms = supplies.iter().flat_map(|supply| (from..from + 12).map(move |month| (*supply, month)));
            let one = |amount: f64| Series { fixed: vec![amount], by_choice: vec![] };
            instance.floors.push(Floor {
                name: format!("floor of contract-{contract:02}, {}", instance.months[from].year),
                contract: ContractId::from_index(contract),
                clause: 2,
                window: Span { from: instance.months[from].span.from, to: instance.months[from + 11].span.to },
                last: from + 11,
                due: from + 11,
                least: one(share * full),
                counted: one(0.0),
                counted_of: Vec::new(),
                terms: terms.map(|(supply, month)| (supply, month, rate(supply, month))).collect(),
                tiered: vec![],
                nested: vec![],
                expansions: vec![],
                price: 1.0,
                carry: None,
                abated: false,
                abated_by: None,
            });
        }
    }
}

fn add_serving(instance: &mut Instance, dice: &mut Dice) {
    for (number, (size, list)) in MODELS.into_iter().enumerate() {
        let grows: f64 = dice.between(1.008, 1.02);
        let of = |month: usize| 1_500.0 * size * grows.powi(i32::try_from(month).expect("months are few"));
        let price = |month: usize| list * 0.995_f64.powi(i32::try_from(month).expect("months are few"));
        let tranche = |(tier, share, premium, least): (ServiceTier, f64, f64, f64)| Tranche {
            tier,
            demand: (0..MONTHS).map(|month| share * of(month)).collect(),
            price: (0..MONTHS).map(|month| premium * price(month)).collect(),
            listed: Vec::new(),
            value: vec![0.0; MONTHS],
            least,
        };
        let kind = WorkKind::Serving { model: ModelId::from_index(number), tranches: TIERS.into_iter().map(tranche).collect() };
        instance.works.push(Work { name: format!("serving-{number}"), workload: WorkloadId::from_index(number), kind });
        instance.miss_cost.push(10.0 * 1.5 * list);
    }
}

fn add_training(instance: &mut Instance, dice: &mut Dice) {
    for number in 0..TRAINING {
        let arrivals: Vec<f64> = (0..MONTHS).map(|month| dice.between(20.0, 90.0) * (1.0 + 0.01 * number_of(month))).collect();
        let late = 3 + number;
        let kind = WorkKind::Training {
            due: (0..MONTHS).map(|month| month.checked_sub(late).map_or(0.0, |arrived| arrivals[arrived])).collect(),
            arrivals,
            value: dice.between(2.0, 6.0),
            promised: number == 0,
            gang: 1_024,
        };
        let workload = WorkloadId::from_index(SERVING + number);
        instance.works.push(Work { name: format!("training-{number}"), workload, kind });
        instance.miss_cost.push(0.0);
    }
}

fn add_fits(instance: &mut Instance) {
    for (index, supply) in instance.supplies.iter().enumerate() {
        let accelerator = supply.accelerator.map_or(0, Id::index);
        let second = index.checked_sub(1).is_some_and(|before| instance.supplies[before].contract == supply.contract);
        let opens = SECOND_POOLS.iter().find(|(of, _)| second && *of == supply.contract.index()).map_or(0, |(_, from)| *from);
        let (arithmetic, _, _, tokens) = ACCELERATORS[accelerator];
        for work in 0..SERVING + TRAINING {
            let speed = MODELS.get(work).map_or(arithmetic, |(size, _)| tokens * size);
            let open = if accelerator == INHOUSE.0 { INHOUSE.1 } else { opens };
            if work < SERVING || accelerator != INHOUSE.0 {
                instance.fits.push(Fit { supply: index, work, speed, open: vec![(open, MONTHS)] });
            }
        }
    }
}

/// Cash that is at its floor for years, debt at its covenant, raises that cost something.
fn treasury() -> Treasury {
    let event = |name: &str, kind: EventKind, amount: &dyn Fn(usize) -> f64| Event {
        name: name.to_owned(),
        kind,
        party: None,
        contract: None,
        likelihood: 1.0,
        amounts: Series { fixed: (0..MONTHS).map(amount).collect(), by_choice: vec![] },
    };
    let window = |number: usize, from: usize| Window {
        name: format!("raise-{number}"),
        party: Some(PartyId::from_index(number)),
        open: (from, from + 6),
        most: 4_000.0 + 3_000.0 * number_of(number),
        cost: 0.12,
        likelihood: 0.75,
    };
    Treasury {
        cash: 4_000.0,
        floor: vec![1_000.0; MONTHS],
        interest: 0.000_5,
        bound: true,
        debt: Some(Debt { lender: None, owed: 0.0, limit: vec![30_000.0; MONTHS], rate: 0.007, covenant: Some(0.5) }),
        windows: [6, 24, 42, 66].into_iter().enumerate().map(|(number, from)| window(number, from)).collect(),
        events: vec![
            event("research and staff", EventKind::Cost, &|month| -(950.0 + 6.0 * number_of(month))),
            event("licences", EventKind::Revenue, &|month| 60.0 + number_of(month)),
        ],
    }
}
