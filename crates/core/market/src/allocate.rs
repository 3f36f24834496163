//! Which contracts pay for work now: the supplier's drawdown order among those that cover an endpoint.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fleet::{AcceleratorId, CapacityOf, Charge, Contract, ContractId, EndpointId, Fleet, Meter, ModelId, Overflow, SiteId};
use serde::{Deserialize, Serialize};
use units::{Instant, Quantity, round_half_even};

use crate::bucket::UnitBucket;
use crate::capacity::delivered;

/// What someone has to pay for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Accelerators of the endpoint's pool, held from now on for some time.
    Accelerators {
        /// How many.
        count: i64,
        /// For how long.
        time: Duration,
    },
    /// The tokens of a request to the endpoint's model.
    Tokens {
        /// Input that no cache held.
        input: Quantity,
        /// Input from the supplier's cache.
        cached: Quantity,
        /// Output.
        output: Quantity,
    },
}

/// Whether a part lies within capacity that is held, and paid, anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reach {
    /// Within it: work uses what is held.
    Within,
    /// Beyond it, or without any: what work uses is held by that alone.
    Beyond,
}

/// What one contract pays on one meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which contract.
    pub contract: ContractId,
    /// On which meter.
    pub meter: Meter,
    /// How much of it.
    pub quantity: Quantity,
    /// Within its capacity or beyond.
    pub reach: Reach,
}

/// Who pays for a demand, in the order in which they are drawn on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// The parts, in order.
    pub parts: Vec<Part>,
    /// What no contract prices: tokens on a pool are there, since its accelerator time is what is paid.
    pub rest: Vec<(Meter, Quantity)>,
}

/// What has been drawn so far: the state that one draw leaves to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// Accelerators or watts taken at an instant; another instant begins anew.
    taken: BTreeMap<(ContractId, CapacityOf), (Instant, i64)>,
    units: BTreeMap<(ContractId, ModelId), UnitBucket>,
}

impl Drawn {
    fn taken(&self, contract: ContractId, of: CapacityOf, at: Instant) -> i64 {
        self.taken.get(&(contract, of)).filter(|(when, _)| *when == at).map_or(0, |(_, taken)| *taken)
    }

    fn take(&mut self, contract: ContractId, of: CapacityOf, at: Instant, amount: i64) {
        let taken = self.taken(contract, of, at).saturating_add(amount);
        self.taken.insert((contract, of), (at, taken));
    }
}

/// Who pays for `demand` on `endpoint` at `at`, contracts in force in the supplier's order, each as far as its capacity goes. What exceeds
/// it goes where the contract's overflow says, and without one to the next. Draws of accelerators at the same instant share capacity.
pub fn draw(fleet: &Fleet, endpoint: EndpointId, at: Instant, demand: Demand, drawn: &mut Drawn) -> Allocation {
    let mut draw = Draw { fleet, at, drawn, parts: Vec::new() };
    let payers = fleet.covering(endpoint);
    let place = &fleet.endpoints[endpoint];
    let rest = match demand {
        Demand::Accelerators { count, time } => place.pool.map_or_else(Vec::new, |pool| {
            let pool = &fleet.pools[pool];
            draw.accelerators(payers, (pool.accelerator, pool.site), count, time)
        }),
        Demand::Tokens { input, cached, output } => draw.tokens(payers, place.model, [input, cached, output]),
    };
    Allocation { parts: draw.parts, rest: rest.into_iter().filter(|(_, quantity)| *quantity > Quantity::ZERO).collect() }
}

struct Draw<'a> {
    fleet: &'a Fleet,
    at: Instant,
    drawn: &'a mut Drawn,
    parts: Vec<Part>,
}

impl<'a> Draw<'a> {
    /// Visits payers in order until one leaves nothing, each once; a payer may name who comes right after it.
    fn visit(&mut self, payers: Vec<ContractId>, mut pay: impl FnMut(&mut Self, ContractId, &'a Contract) -> Next) {
        let (mut queue, mut asked) = (VecDeque::from(payers), BTreeSet::new());
        while let Some(contract) = queue.pop_front() {
            let terms = &self.fleet.contracts[contract];
            if !terms.in_force(self.at) || !asked.insert(contract) {
                continue;
            }
            match pay(self, contract, terms) {
                Next::Done => return,
                Next::Payer(Some(next)) => queue.push_front(next),
                Next::Payer(None) => {}
            }
        }
    }

    fn accelerators(
        &mut self,
        payers: Vec<ContractId>,
        (kind, site): (AcceleratorId, SiteId),
        count: i64,
        time: Duration,
    ) -> Vec<(Meter, Quantity)> {
        let meter = Meter::AcceleratorTime(kind);
        let quantity = |count: i64| time_quantity(count, time);
        let mut left = count.max(0);
        self.visit(payers, |draw, contract, terms| {
            let capacity = terms.capacity.iter().map(|clause| clause.of);
            let of = capacity.into_iter().find(|of| *of == CapacityOf::Accelerators(kind) || *of == CapacityOf::Power(site));
            let Some(of) = of else {
                if terms.rates.iter().any(|clause| clause.meter == meter && clause.charge == Charge::Metered) {
                    draw.part(contract, meter, quantity(left), Reach::Beyond);
                    left = 0;
                }
                return Next::after(left == 0, None);
            };
            let each = if matches!(of, CapacityOf::Power(_)) { watts_each(draw.fleet, kind, site) } else { 1 };
            let free = delivered(draw.fleet, contract, of, draw.at) - draw.drawn.taken(contract, of, draw.at);
            let taken = left.min(free.max(0) / each);
            draw.drawn.take(contract, of, draw.at, taken.saturating_mul(each));
            draw.part(contract, meter, quantity(taken), Reach::Within);
            left -= taken;
            if matches!(terms.overflow, Some(Overflow::AtRate(_))) {
                draw.part(contract, meter, quantity(left), Reach::Beyond);
                left = 0;
            }
            Next::after(left == 0, terms.overflow.as_ref())
        });
        vec![(meter, quantity(left))]
    }

    fn tokens(&mut self, payers: Vec<ContractId>, model: ModelId, tokens: [Quantity; 3]) -> Vec<(Meter, Quantity)> {
        let meters = [Meter::InputTokens(model), Meter::CachedTokens(model), Meter::OutputTokens(model)];
        let mut left = tokens.map(|tokens| tokens.max(Quantity::ZERO));
        self.visit(payers, |draw, contract, terms| {
            let of_units = terms.capacity.iter().find(|clause| clause.of == CapacityOf::Units(model));
            let units = of_units.filter(|clause| clause.tokens_per_unit_minute > 0);
            if let Some(units) = units {
                let taken = draw.units(contract, model, units.tokens_per_unit_minute, &mut left);
                draw.unit_time(contract, model, units.tokens_per_unit_minute, taken, Reach::Within);
                if matches!(terms.overflow, Some(Overflow::AtRate(_))) {
                    let beyond = weight(draw.fleet, model, left);
                    draw.unit_time(contract, model, units.tokens_per_unit_minute, beyond, Reach::Beyond);
                    left = [Quantity::ZERO; 3];
                }
            }
            // A contract that prices any token of the model has the whole request; what it sets no price on is booked and free.
            if terms.overflow.is_none() && terms.rates.iter().any(|clause| meters.contains(&clause.meter)) {
                for (meter, left) in meters.into_iter().zip(&mut left) {
                    draw.part(contract, meter, *left, Reach::Beyond);
                    *left = Quantity::ZERO;
                }
            }
            Next::after(left == [Quantity::ZERO; 3], units.and(terms.overflow.as_ref()))
        });
        meters.into_iter().zip(left).collect()
    }

    /// Takes from `left` the whole tokens that the units have room for, and says what they weigh.
    fn units(&mut self, contract: ContractId, model: ModelId, per_unit: i64, left: &mut [Quantity; 3]) -> i64 {
        let count = delivered(self.fleet, contract, CapacityOf::Units(model), self.at);
        let per_minute = count.max(0).saturating_mul(per_unit).saturating_mul(MILLION);
        let bucket = self.drawn.units.entry((contract, model)).or_default();
        let mut taken = 0;
        for (left, each) in left.iter_mut().zip(weights(self.fleet, model)) {
            let fits = if each > 0 { bucket.room(self.at, per_minute).max(0) / each } else { i64::MAX };
            let tokens = left.count().min(fits);
            taken += bucket.offer(self.at, tokens.saturating_mul(each), per_minute);
            *left -= Quantity::new(tokens);
        }
        taken
    }

    /// Weighed tokens as unit-time: so many milliseconds of a unit that handles `per_unit` a minute.
    fn unit_time(&mut self, contract: ContractId, model: ModelId, per_unit: i64, weight: i64, reach: Reach) {
        let time = round_half_even(i128::from(weight) * 60_000, i128::from(per_unit) * i128::from(MILLION));
        let time = Quantity::new(i64::try_from(time).unwrap_or(i64::MAX));
        self.part(contract, Meter::UnitTime(model), time, reach);
    }

    fn part(&mut self, contract: ContractId, meter: Meter, quantity: Quantity, reach: Reach) {
        if quantity > Quantity::ZERO {
            self.parts.push(Part { contract, meter, quantity, reach });
        }
    }
}

const MILLION: i64 = 1_000_000;

/// Who is asked next.
enum Next {
    Done,
    Payer(Option<ContractId>),
}

impl Next {
    fn after(done: bool, overflow: Option<&Overflow>) -> Self {
        match overflow {
            _ if done => Self::Done,
            Some(Overflow::To(contract)) => Self::Payer(Some(*contract)),
            _ => Self::Payer(None),
        }
    }
}

fn weights(fleet: &Fleet, model: ModelId) -> [i64; 3] {
    let weights = fleet.models[model].weights;
    [weights.input_ppm, weights.cached_ppm, weights.output_ppm]
}

fn weight(fleet: &Fleet, model: ModelId, tokens: [Quantity; 3]) -> i64 {
    let weights = weights(fleet, model);
    tokens.into_iter().zip(weights).fold(0, |sum, (tokens, each)| sum.saturating_add(tokens.count().saturating_mul(each)))
}

/// What an accelerator takes of a site's power, rounded up to a watt.
fn watts_each(fleet: &Fleet, kind: AcceleratorId, site: SiteId) -> i64 {
    let watts = i128::from(fleet.accelerators[kind].power.count()) * i128::from(fleet.sites[site].pue_ppm);
    i64::try_from((watts + i128::from(MILLION) - 1) / i128::from(MILLION)).unwrap_or(i64::MAX).max(1)
}

fn time_quantity(count: i64, time: Duration) -> Quantity {
    let millis = i128::from(count) * i128::try_from(time.as_micros()).unwrap_or(i128::MAX >> 64);
    Quantity::new(i64::try_from(round_half_even(millis, 1_000)).unwrap_or(i64::MAX))
}
