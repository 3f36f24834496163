//! Ways in which the months to come may differ from what the fleet file expects. `docs/plan.md` section 8.

mod draw;
mod outage;
mod random;
mod recommit;
mod series;
mod shape;
mod told;
mod under;

use serde::{Deserialize, Serialize};

pub use draw::{Draw, Odds};
pub(crate) use outage::first_steps;
pub use told::Told;
pub use under::World;

use crate::instance::Instance;

/// Something that is not there for some months.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// The first month, by position.
    pub from: usize,
    /// For how many.
    pub months: usize,
    /// Which share of it: 1 is all.
    pub share: f64,
}

impl Outage {
    /// The first month after it.
    #[must_use]
    pub fn until(self) -> usize {
        self.from + self.months
    }
}

/// What a party delivers after the plan's beginning comes later.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// By so many months.
    pub months: usize,
    /// Which share of it: 1 is all.
    pub share: f64,
}

/// One way in which things go. Parties, accelerators and sites are the fleet's, by index; those past a list's end are well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Its number under its seed.
    pub index: u64,
    /// The market's step in each month, in standard deviations: what all factors share.
    pub market: Vec<f64>,
    /// Demand over what was expected: by work and month.
    pub demand: Vec<Vec<f64>>,
    /// The price per token over what was expected, by month.
    pub price: Vec<f64>,
    /// On-demand and spot rents over what was expected, by month.
    pub rent: Vec<f64>,
    /// The month in which a party fails, by party.
    pub defaults: Vec<Option<usize>>,
    /// How late a party is, by party.
    pub delays: Vec<Option<Delay>>,
    /// When a kind of chip can't be had, by accelerator.
    pub shortages: Vec<Option<Outage>>,
    /// When a site lacks power, by site.
    pub shortfalls: Vec<Option<Outage>>,
    /// Whether a raise that is taken as needed can be had, by window of the treasury.
    pub windows: Vec<bool>,
    /// Whether an event of the treasury comes, by event.
    pub events: Vec<bool>,
    /// Whether the holder of a first refusal takes the offer, by refusal; those past the list's end do not.
    #[serde(default)]
    pub refusals: Vec<bool>,
}

impl Scenario {
    /// The one in which everything goes as expected.
    #[must_use]
    pub fn expected(instance: &Instance) -> Self {
        let months = instance.months.len();
        Self {
            demand: vec![vec![1.0; months]; instance.works.len()],
            price: vec![1.0; months],
            rent: vec![1.0; months],
            windows: vec![true; instance.treasury.windows.len()],
            events: vec![true; instance.treasury.events.len()],
            ..Self::default()
        }
    }

    /// What is known of it when month `now` begins: what moves stays as it is then, and what has not happened yet won't.
    /// A delay is known once it has kept something of `base` away.
    pub fn known_at(&self, now: usize, base: &Instance, known: &mut Self) {
        known.clone_from(self);
        let hold = |factors: &mut Vec<f64>| {
            let last = factors.get(now).copied().unwrap_or(1.0);
            factors.iter_mut().skip(now + 1).for_each(|factor| *factor = last);
        };
        known.demand.iter_mut().for_each(hold);
        [&mut known.price, &mut known.rent].into_iter().for_each(hold);
        known.defaults.iter_mut().for_each(|default| *default = default.filter(|month| *month <= now));
        let begun = |outage: &mut Option<Outage>| *outage = outage.filter(|outage| outage.from <= now);
        known.shortages.iter_mut().for_each(begun);
        known.shortfalls.iter_mut().for_each(begun);
        for (party, delay) in known.delays.iter_mut().enumerate() {
            *delay = delay.filter(|_| outage::first_arrival(base, party).is_some_and(|month| month <= now));
        }
        for (taken, refusal) in known.refusals.iter_mut().zip(&base.refusals) {
            *taken &= refusal.answer <= now;
        }
        for (open, window) in known.windows.iter_mut().zip(&base.treasury.windows) {
            *open |= window.open.0 > now;
        }
        for (comes, event) in known.events.iter_mut().zip(&base.treasury.events) {
            let first = (0..base.months.len()).find(|month| {
                event.amounts.fixed[*month] != 0.0 || event.amounts.by_choice.iter().any(|(_, amounts)| amounts[*month] != 0.0)
            });
            *comes |= first.is_some_and(|month| month > now);
        }
    }
}
