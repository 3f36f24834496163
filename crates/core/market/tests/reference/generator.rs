//! Random fleets: one to four contracts, nested up to three deep, and what is posted to them.

use core::fmt;
use std::collections::BTreeMap;

use fleet::{
    AcceleratorId, Calendar, Contract, ContractId, Finance, Fleet, FleetVersion, Id, Least, Meter, ModelId, Period, Ramp, SiteId, Status,
    Table,
};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use market::Usage;
use proptest::array::{uniform6, uniform10, uniform20, uniform32};
use proptest::collection::vec;
use proptest::strategy::{BoxedStrategy, Strategy};
use units::{Currency, Instant, Money, Quantity, Span};

use crate::clauses::add_clause;
use crate::genes::Genes;
use crate::model::Reference;
use crate::periods::stretches;
use crate::sketch::sketch;

/// The numbers of one contract: its terms, then its clauses.
type ContractNumbers = ([u32; 20], Vec<[u32; 32]>);

/// A fleet with what was posted to it; prints as a sketch.
#[derive(Clone)]
pub struct Case {
    /// The fleet.
    pub fleet: Fleet,
    /// What was posted.
    pub usages: Vec<Usage>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sketch(&self.fleet, &self.usages))
    }
}

/// All cases.
pub fn cases() -> BoxedStrategy<Case> {
    let number = proptest::num::u32::ANY;
    let contracts = vec((uniform20(number), vec(uniform32(number), 1..11)), 1..5);
    (uniform6(number), contracts, vec(uniform10(number), 0..24), uniform32(number))
        .prop_map(|(shared, contracts, usages, near)| {
            let fleet = fleet(&mut Genes::new(&shared), &contracts);
            let usages: Vec<Usage> = usages.iter().map(|numbers| usage(&fleet, &mut Genes::new(numbers))).collect();
            let fleet = with_floors_near(&fleet, &usages, &mut Genes::new(&near));
            Case { fleet, usages }
        })
        .boxed()
}

/// A fleet of nothing but these contracts, in this order.
pub fn fleet_of(contracts: Vec<Contract>) -> Fleet {
    let named = contracts.into_iter().enumerate().map(|(index, contract)| (format!("c{index}"), contract)).collect();
    Fleet {
        version: FleetVersion([0; 32]),
        name: "random".to_owned(),
        currency: Currency::USD,
        time_zone: jiff::tz::TimeZone::UTC,
        exchange: BTreeMap::new(),
        regions: Table::default(),
        links: Table::default(),
        parties: Table::default(),
        sites: Table::default(),
        accelerators: Table::default(),
        pools: Table::default(),
        models: Table::default(),
        profiles: Table::default(),
        endpoints: Table::default(),
        contracts: Table::new(named),
        workloads: Table::default(),
        teams: Table::default(),
        limits: fleet::Allowance::default(),
        finance: Finance::default(),
        ventures: Vec::new(),
        caps: Vec::new(),
        horizon: fleet::Horizon::default(),
        risk: fleet::Risk::default(),
        sources: std::collections::BTreeMap::new(),
        figures: BTreeMap::new(),
    }
}

/// A contract without clauses.
pub fn bare(calendar: Calendar, term: Span) -> Contract {
    Contract {
        party: Id::from_index(0),
        status: Status::Signed,
        preset: None,
        term,
        calendar,
        currency: Currency::USD,
        rounding: Money::from_nanos(1),
        under: None,
        order: 0,
        pools: Vec::new(),
        endpoints: Vec::new(),
        capacity: Vec::new(),
        rates: Vec::new(),
        floors: Vec::new(),
        overflow: None,
        prepayments: Vec::new(),
        delivery: None,
        exclusivities: Vec::new(),
        first_refusals: Vec::new(),
        substitutions: Vec::new(),
        termination: None,
        spot: None,
        capex: None,
        offer: None,
        expansions: Vec::new(),
    }
}

/// The meters that contracts have rates for.
pub fn meters() -> [Meter; 5] {
    [
        Meter::AcceleratorTime(AcceleratorId::from_index(0)),
        Meter::AcceleratorTime(AcceleratorId::from_index(1)),
        Meter::UnitTime(ModelId::from_index(0)),
        Meter::OutputTokens(ModelId::from_index(0)),
        Meter::Energy(SiteId::from_index(0)),
    ]
}

fn fleet(shared: &mut Genes<'_>, numbers: &[ContractNumbers]) -> Fleet {
    let bases = [date(2026, 1, 1), date(2024, 2, 29), date(2023, 10, 20), date(2026, 3, 1), date(2027, 12, 31), date(2024, 1, 31)];
    let base = shared.one_of(&bases);
    let first = shared.below(40);
    // Umbrellas come before or after what is nested in them, so that no answer rests on the order of ids.
    let reversed = shared.chance(50);
    let count = numbers.len();
    let id = |index: usize| ContractId::from_index(if reversed { count - 1 - index } else { index });
    let mut contracts: Vec<Contract> = Vec::new();
    let mut above: Vec<Option<usize>> = Vec::new();
    for (index, (terms, _)) in numbers.iter().enumerate() {
        let genes = &mut Genes::new(terms);
        let nested = index > 0 && genes.chance(75);
        let under = nested.then(|| genes.below(3) as usize % index).filter(|under| depth(&above, *under) < 2);
        above.push(under);
        let mut contract = terms_of(genes, base, first);
        contract.under = under.map(id);
        contracts.push(contract);
    }
    for (index, (_, clauses)) in numbers.iter().enumerate() {
        let nested: Vec<ContractId> = (0..count).filter(|other| chain(&above, *other).contains(&index)).map(id).collect();
        let others: Vec<ContractId> = (0..count).filter(|other| *other != index).map(id).collect();
        clauses.iter().for_each(|clause| add_clause(&mut contracts[index], &mut Genes::new(clause), &nested, &others));
    }
    if reversed {
        contracts.reverse();
    }
    fleet_of(contracts)
}

/// The fleet with half of its floors at about what counted towards them: just met, just missed, carried over.
fn with_floors_near(fleet: &Fleet, usages: &[Usage], genes: &mut Genes<'_>) -> Fleet {
    let accounts = Reference { fleet, usages }.accounts();
    let mut contracts: Vec<Contract> = fleet.contracts.iter().map(|(.., contract)| contract.clone()).collect();
    for (contract, account) in contracts.iter_mut().zip(accounts.values()) {
        for (index, floor) in contract.floors.iter_mut().enumerate() {
            let settled: Vec<_> = account.settlements.iter().filter(|settled| settled.floor == index).collect();
            let counted: Vec<i128> = settled.iter().map(|settled| settled.counted).filter(|counted| *counted > 0).collect();
            if counted.is_empty() || !genes.chance(55) {
                continue;
            }
            // Either one amount throughout, or another in each of the first windows, from a half to five quarters of it.
            let near = counted[genes.below(1000) as usize % counted.len()] * genes.one_of(&[2, 2, 1, 3, 4]) / 2;
            let steps = if genes.chance(60) { settled.len().min(12) } else { 1 };
            let quarters = genes.below(1 << 24);
            let step = |at: usize| (Instant::from_micros(settled[at].window.from), near * i128::from(2 + (quarters >> (2 * at) & 3)) / 4);
            let steps: Vec<_> = (0..steps).map(step).collect();
            floor.least = match &floor.least {
                Least::Quantity(_, rate) => {
                    let count = |near: i128| Quantity::new(i64::try_from(near).unwrap_or(i64::MAX >> 8));
                    Least::Quantity(ramp(steps.into_iter().map(|(from, near)| (from, count(near))).collect()), *rate)
                }
                Least::Spend(_) => Least::Spend(ramp(steps.into_iter().map(|(from, near)| (from, Money::from_nanos(near))).collect())),
            };
        }
    }
    fleet_of(contracts)
}

fn ramp<T: Copy>(steps: Vec<(Instant, T)>) -> Ramp<T> {
    Ramp::new(steps).expect("windows follow one another")
}

/// A contract of the list and the umbrellas over it.
fn chain(above: &[Option<usize>], index: usize) -> Vec<usize> {
    core::iter::successors(Some(index), |at| above[*at]).collect()
}

fn depth(above: &[Option<usize>], index: usize) -> usize {
    chain(above, index).len() - 1
}

fn terms_of(genes: &mut Genes<'_>, base: Date, first: u32) -> Contract {
    let zone = TimeZone::get(genes.one_of(&["UTC", "America/New_York", "Europe/Paris"])).expect("bundled");
    let starts = base.checked_add(i64::from(first + genes.below(4) * genes.below(30)).days()).expect("in range");
    let time = genes.one_of(&[(0, 0), (0, 0), (2, 30), (17, 45)]);
    let midnight = |date: Date| date.at(0, 0, 0, 0).to_zoned(zone.clone()).expect("in range").timestamp().as_microsecond();
    let months = [Period::Months(1), Period::Months(1), Period::Months(1), Period::Months(3), Period::Months(12), Period::Term];
    let short = [Period::Days(7), Period::Days(1), Period::Days(10), Period::Minutes(360), Period::Minutes(45)];
    let period = if genes.chance(40) { genes.one_of(&short) } else { genes.one_of(&months) };
    let days = match period {
        Period::Minutes(minutes) => minutes / 45,
        Period::Days(days) => days * 16,
        _ => genes.one_of(&[370, 100, 731, 1095]),
    };
    let days = 1 + genes.below(days);
    let from = midnight(starts);
    let mut to = midnight(starts.checked_add(i64::from(days).days()).expect("in range"));
    let mut from = Instant::from_micros(from);
    if genes.chance(30) {
        from = Instant::from_micros(from.micros() + i64::from(genes.below(4_000_000)) * 1_001);
        to += i64::from(genes.below(4_000_000)) * 999;
    }
    let term = Span { from, to: Instant::from_micros(to) };
    let anchors = [starts, date(2024, 1, 31), date(2024, 2, 29), date(2026, 12, 31), date(2025, 6, 15)];
    let anchor = if matches!(period, Period::Minutes(_)) { starts } else { genes.one_of(&anchors) };
    let mut contract = bare(Calendar::new(zone, anchor.at(time.0, time.1, 0, 0), period), term);
    contract.rounding = Money::from_nanos(genes.one_of(&[1, 2, 10_000_000, 1_000_000_000, 3, 0]));
    if genes.chance(10) {
        contract.currency = "EUR".parse().expect("a currency");
    }
    if genes.chance(8) {
        contract.status = genes.one_of(&[Status::Discussed, Status::Stalled, Status::Ended]);
    }
    contract
}

fn usage(fleet: &Fleet, genes: &mut Genes<'_>) -> Usage {
    let contract = ContractId::from_index(genes.below(4) as usize % fleet.contracts.len());
    let terms = &fleet.contracts[contract];
    let rated: Vec<Meter> = terms.rates.iter().map(|clause| clause.meter).chain([meters()[3]]).collect();
    let meter = genes.one_of(&rated);
    let mut at = if genes.chance(10) { genes.instant(terms.term) } else { genes.instant_within(terms.term) };
    if genes.chance(25) {
        // The first and the last microsecond of a period.
        let periods = stretches(&terms.calendar, terms.calendar.period(), terms.term);
        let period = periods[genes.below(1000) as usize % periods.len()];
        at = if genes.chance(50) { period.last() } else { Instant::from_micros(period.from) };
    }
    let size = genes.below(1_100_000_000);
    let mut held = i64::from(size % 1000) * 10_i64.pow(size / 1000 % 11) + 1;
    if genes.chance(20) {
        // Exactly as much as a threshold, where one is within reach.
        let thresholds: Vec<i64> = terms.rates.iter().flat_map(|clause| &clause.tiers).map(|tier| tier.from.count().max(1)).collect();
        held = thresholds.get(genes.below(8) as usize).copied().unwrap_or(held);
    }
    let used = held / 100 * i64::from(size % 101) + i64::from(size % 101 == 100) * (held % 100);
    let sign = if genes.chance(20) { -1 } else { 1 };
    Usage { contract, meter, at, held: Quantity::new(sign * held), used: Quantity::new(sign * used) }
}
