//! Instances small enough to solve by hand, written line by line.

use fleet::{AcceleratorId, ContractId, Id, ModelId, PartyId, PoolId, ServiceTier, WorkloadId};
use planner::{
    Choice, Event, EventKind, Expansion, Fit, Floor, Instance, Limit, LimitKind, On, Series, Supply, Tiered, Tranche, Work, WorkKind,
};
use units::Span;

use super::random::empty;
use super::{months, steps};

/// An instance that grows. Each month is one step; a supply is a contract of its own with its own party.
#[derive(Clone, Debug)]
pub struct Small {
    /// What there is so far, for what has no function here.
    pub instance: Instance,
}

impl Small {
    /// So many months in which nothing happens, with so much cash and a floor of nothing.
    #[must_use]
    pub fn new(count: usize, cash: f64) -> Self {
        let months = months(count);
        let steps = steps(&months, &[1.0]);
        let mut instance = empty(months, steps);
        instance.treasury.cash = cash;
        Self { instance }
    }

    fn count(&self) -> usize {
        self.instance.months.len()
    }

    /// A supply at a metered rate, paid in the month, without any limit.
    pub fn supply(&mut self, name: &str, rate: f64) -> usize {
        let index = self.instance.supplies.len();
        self.instance.supplies.push(Supply {
            name: name.to_owned(),
            contract: ContractId::from_index(index),
            on: On::Pool(PoolId::from_index(index)),
            site: None,
            accelerator: Some(AcceleratorId::from_index(0)),
            party: PartyId::from_index(index),
            vendor: None,
            choice: None,
            floating: false,
            rate: vec![rate; self.count()],
            due: (0..self.count()).collect(),
            energy: vec![0.0; self.count()],
            arithmetic: 1.0,
            base_units: 3.6e12,
        });
        index
    }

    /// Up to 8 that may be ordered beside a limit, so many a month, each of which adds one to it `lead` months later and costs 0.5 a month from then
    /// on; there is no end of chips and no capex.
    pub fn expansion(&mut self, limit: usize, per_month: f64, lead: usize) -> usize {
        let (index, count) = (self.instance.expansions.len(), self.count());
        self.instance.limits[limit].expansions.push((index, vec![1.0; count]));
        self.instance.expansions.push(Expansion {
            name: "expansion of oracle".to_owned(),
            contract: ContractId::from_index(0),
            clause: 0,
            accelerator: AcceleratorId::from_index(0),
            choice: None,
            most: 8.0,
            per_month: vec![per_month; count],
            lead,
            held: None,
            capex: vec![0.0; count],
            running: vec![0.5; count],
            due: (0..count).collect(),
            supply: None,
        });
        index
    }

    /// What supplies together can give in each month.
    pub fn limit(&mut self, name: &str, supplies: &[usize], most: f64) -> usize {
        let index = self.instance.limits.len();
        self.instance.limits.push(Limit {
            name: name.to_owned(),
            kind: LimitKind::Contract(ContractId::from_index(supplies.first().copied().unwrap_or_default())),
            terms: supplies.iter().map(|supply| (*supply, 1.0)).collect(),
            most: Series { fixed: vec![most; self.count()], by_choice: vec![] },
            expansions: vec![],
        });
        index
    }

    /// Tokens that are wanted in each month, at a price, on every supply there is so far. A broken promise costs ten times the price.
    pub fn serving(&mut self, name: &str, demand: &[f64], price: f64) -> usize {
        let tranche = Tranche {
            tier: ServiceTier::Default,
            demand: demand.to_vec(),
            price: vec![price; demand.len()],
            listed: Vec::new(),
            value: vec![0.0; demand.len()],
            least: 0.0,
        };
        self.instance.miss_cost.push(10.0 * price);
        self.work(name, WorkKind::Serving { model: ModelId::from_index(0), tranches: vec![tranche] })
    }

    /// Training that arrives and falls due by month, on every supply there is so far.
    pub fn training(&mut self, name: &str, arrivals: &[f64], due: &[f64], value: f64, promised: bool) -> usize {
        self.instance.miss_cost.push(0.0);
        self.work(name, WorkKind::Training { arrivals: arrivals.to_vec(), due: due.to_vec(), value, promised, gang: 1 })
    }

    fn work(&mut self, name: &str, kind: WorkKind) -> usize {
        let (work, steps) = (self.instance.works.len(), self.instance.steps.len());
        self.instance.works.push(Work { name: name.to_owned(), workload: WorkloadId::from_index(work), kind });
        let fit = |supply| Fit { supply, work, speed: 1.0, open: vec![(0, steps)] };
        self.instance.fits.extend((0..self.instance.supplies.len()).map(fit));
        self.instance.fits.sort_by_key(|fit| (fit.supply, fit.work));
        work
    }

    /// A share of a serving work's demand that is promised.
    pub fn promise(&mut self, work: usize, share: f64) {
        if let WorkKind::Serving { tranches, .. } = &mut self.instance.works[work].kind {
            tranches[0].least = share;
        }
    }

    /// Money in or out in each month.
    pub fn event(&mut self, kind: EventKind, amounts: &[f64]) {
        let amounts = Series { fixed: amounts.to_vec(), by_choice: vec![] };
        self.instance.treasury.events.push(Event {
            name: format!("{kind:?}"),
            kind,
            party: None,
            contract: Some(ContractId::from_index(0)),
            likelihood: 1.0,
            amounts,
        });
    }

    /// A floor in money over months `from..to`, which the supply's metered charges count towards; a shortfall is due in the last.
    pub fn floor(&mut self, supply: usize, (from, to): (usize, usize), least: f64) -> usize {
        let index = self.instance.floors.len();
        let one = |amount: f64| Series { fixed: vec![amount], by_choice: vec![] };
        self.instance.floors.push(Floor {
            name: format!("floor of {}, {from} to {to}", self.instance.supplies[supply].name),
            contract: ContractId::from_index(supply),
            clause: 0,
            window: Span { from: self.instance.months[from].span.from, to: self.instance.months[to - 1].span.to },
            last: to - 1,
            due: to - 1,
            least: one(least),
            counted: one(0.0),
            counted_of: Vec::new(),
            terms: (from..to).map(|month| (supply, month, self.instance.supplies[supply].rate[month])).collect(),
            tiered: vec![],
            nested: vec![],
            expansions: vec![],
            price: 1.0,
            carry: None,
            abated: false,
            abated_by: None,
        });
        index
    }

    /// Charges a supply by tiers in each of its months, in place of its rate; `over_term` counts them all together.
    pub fn tiers(&mut self, supply: usize, tiers: &[(f64, f64)], volume: bool, over_term: bool) {
        self.instance.supplies[supply].rate.fill(0.0);
        for month in 0..self.count() {
            let after = (over_term && month > 0).then(|| self.instance.tiered.len() - 1);
            self.instance.tiered.push(Tiered {
                name: format!("tiers of {}, {month}", self.instance.supplies[supply].name),
                contract: ContractId::from_index(supply),
                clause: 0,
                terms: vec![(supply, month, 1.0)],
                volume,
                tiers: tiers.to_vec(),
                due: month,
                after,
            });
        }
    }

    /// Makes a supply exist only when its contract is signed, which then costs so much in each month.
    pub fn offer(&mut self, supply: usize, group: usize, committed: f64) -> usize {
        let choice = self.instance.choices.len();
        let name = format!("{} as offered", self.instance.supplies[supply].name);
        let contract = ContractId::from_index(supply);
        self.instance.choices.push(Choice { name, contract, moved: 0, group, by: 0 });
        self.instance.supplies[supply].choice = Some(choice);
        let count = self.count();
        self.event(EventKind::Committed, &vec![0.0; count]);
        if let Some(event) = self.instance.treasury.events.last_mut() {
            event.amounts.by_choice.push((choice, vec![-committed; count]));
        }
        choice
    }
}
