//! Drawing scenarios from what the fleet file says of risk, and from nothing else.

use fleet::{Fleet, Mishap};
use serde::{Deserialize, Serialize};
use units::Share;

use super::random::{Kind, Stream, likelihood_below};
use super::{Delay, Outage, Scenario};
use crate::instance::Instance;

/// How likely something happens within the horizon, for how many months, and what share is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Odds {
    /// How likely.
    pub likelihood: f64,
    /// For how many months (a delay: up to so many).
    pub months: u32,
    /// Which share is lost.
    pub share: f64,
}

impl Odds {
    fn of(mishap: Option<Mishap>) -> Self {
        mishap.map_or_else(Self::default, |mishap| Self {
            likelihood: part(mishap.likelihood),
            months: mishap.months,
            share: part(mishap.share),
        })
    }
}

/// Draws scenarios: each is a function of the seed and its number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// How many months.
    pub months: usize,
    /// How many works.
    pub works: usize,
    /// Volatility of demand, a year.
    pub demand: f64,
    /// Drift of the price per token, a year.
    pub price_drift: f64,
    /// Volatility of that price, a year.
    pub price: f64,
    /// Volatility of rents, a year.
    pub rent: f64,
    /// The share of variance that is the market's.
    pub common: f64,
    /// How likely a party fails within a year, by party.
    pub defaults: Vec<f64>,
    /// How a party may be late, by party.
    pub delays: Vec<Odds>,
    /// How chips may run short, by accelerator.
    pub shortages: Vec<Odds>,
    /// How power may fall short, by site.
    pub shortfalls: Vec<Odds>,
    /// How likely a raise can be had, by window of the treasury.
    pub windows: Vec<f64>,
    /// How likely an event comes, by event of the treasury.
    pub events: Vec<f64>,
    /// How likely a first refusal is taken, by refusal.
    #[serde(default)]
    pub refusals: Vec<f64>,
}

impl Draw {
    /// What the fleet file says of risk, for the things of `instance`.
    #[must_use]
    pub fn new(fleet: &Fleet, instance: &Instance) -> Self {
        Self {
            months: instance.months.len(),
            works: instance.works.len(),
            demand: part(fleet.risk.demand),
            price_drift: part(fleet.risk.price_drift),
            price: part(fleet.risk.price),
            rent: part(fleet.risk.rent),
            common: part(fleet.risk.common).clamp(0.0, 1.0),
            defaults: fleet.parties.iter().map(|(_, _, party)| part(party.default)).collect(),
            delays: fleet.parties.iter().map(|(_, _, party)| Odds::of(party.delay)).collect(),
            shortages: fleet.accelerators.iter().map(|(_, _, kind)| Odds::of(kind.shortage)).collect(),
            shortfalls: fleet.sites.iter().map(|(_, _, site)| Odds::of(site.shortfall)).collect(),
            windows: instance.treasury.windows.iter().map(|window| window.likelihood).collect(),
            events: instance.treasury.events.iter().map(|event| event.likelihood).collect(),
            refusals: instance.refusals.iter().map(|refusal| refusal.likelihood).collect(),
        }
    }

    /// Scenario number `index` of `seed`.
    #[must_use]
    pub fn scenario(&self, seed: u64, index: u64) -> Scenario {
        let mut scenario = Scenario::default();
        self.scenario_into(seed, index, &mut scenario);
        scenario
    }

    /// As [`Self::scenario`], into the room of an earlier one.
    pub fn scenario_into(&self, seed: u64, index: u64, scenario: &mut Scenario) {
        let from = |kind, position| Stream::new(seed, index, kind, position);
        let mut market = Market { steps: core::mem::take(&mut scenario.market), common: self.common, whole: 0.0 };
        market.draw(self.months, from(Kind::Market, 0));
        scenario.index = index;
        scenario.demand.resize_with(self.works, Vec::new);
        for (work, factors) in scenario.demand.iter_mut().enumerate() {
            market.walk(from(Kind::Demand, work), self.demand, 0.0, factors);
        }
        market.walk(from(Kind::Price, 0), self.price, self.price_drift, &mut scenario.price);
        market.walk(from(Kind::Rent, 0), self.rent, 0.0, &mut scenario.rent);
        self.draw_mishaps(&market, from, scenario);
        scenario.market = market.steps;
    }

    fn draw_mishaps(&self, market: &Market, from: impl Fn(Kind, usize) -> Stream, scenario: &mut Scenario) {
        fill(&mut scenario.defaults, self.defaults.len(), |party| {
            let yearly = self.defaults[party];
            if yearly <= 0.0 {
                return None;
            }
            let rank = market.rank(&mut from(Kind::Default, party), Leaning::Weak);
            let monthly = libm::pow(1.0 - yearly, 1.0 / 12.0);
            let mut sound = 1.0;
            (0..self.months).find(|_| {
                sound *= monthly;
                rank < 1.0 - sound
            })
        });
        fill(&mut scenario.delays, self.delays.len(), |party| {
            let (odds, mut stream) = (self.delays[party], from(Kind::Delay, party));
            let happens = odds.likelihood > 0.0 && market.rank(&mut stream, Leaning::Weak) < odds.likelihood;
            happens.then(|| Delay { months: 1 + stream.below(odds.months), share: odds.share })
        });
        let outage = |odds: Odds, mut stream: Stream, leaning| {
            let happens = odds.likelihood > 0.0 && market.rank(&mut stream, leaning) < odds.likelihood;
            let months = u32::try_from(self.months).unwrap_or(u32::MAX);
            happens.then(|| Outage { from: stream.below(months), months: odds.months as usize, share: odds.share })
        };
        fill(&mut scenario.shortages, self.shortages.len(), |kind| {
            outage(self.shortages[kind], from(Kind::Shortage, kind), Leaning::Strong)
        });
        fill(&mut scenario.shortfalls, self.shortfalls.len(), |site| {
            outage(self.shortfalls[site], from(Kind::Shortfall, site), Leaning::None)
        });
        let comes = |likelihood: f64, mut stream| likelihood >= 1.0 || market.rank(&mut stream, Leaning::Weak) >= 1.0 - likelihood;
        fill(&mut scenario.windows, self.windows.len(), |window| comes(self.windows[window], from(Kind::Window, window)));
        fill(&mut scenario.events, self.events.len(), |event| comes(self.events[event], from(Kind::Event, event)));
        fill(&mut scenario.refusals, self.refusals.len(), |refusal| {
            let likelihood = self.refusals[refusal];
            likelihood > 0.0 && market.rank(&mut from(Kind::Refusal, refusal), Leaning::Strong) < likelihood
        });
    }
}

/// In which market something is likelier: what supply can't meet goes with a strong one, failures with a weak one.
#[derive(Clone, Copy)]
enum Leaning {
    Weak,
    Strong,
    None,
}

/// The one factor that moves everything: a step each month, and what they come to.
struct Market {
    steps: Vec<f64>,
    common: f64,
    whole: f64,
}

impl Market {
    fn draw(&mut self, months: usize, mut stream: Stream) {
        self.steps.clear();
        self.steps.extend((0..months).map(|_| stream.normal()));
        self.whole = self.steps.iter().skip(1).sum::<f64>() / libm::sqrt((months.max(2) - 1) as f64);
        if months < 2 {
            self.whole = stream.normal();
        }
    }

    /// A log-walk from 1 in the first month, whose mean is `(1 + drift)^years`.
    fn walk(&self, mut stream: Stream, volatility: f64, drift: f64, factors: &mut Vec<f64>) {
        factors.clear();
        let (volatility, drift) = (volatility / libm::sqrt(12.0), libm::log(1.0 + drift) / 12.0);
        if volatility == 0.0 && drift == 0.0 {
            factors.resize(self.steps.len(), 1.0);
            return;
        }
        let (common, own) = (libm::sqrt(self.common), libm::sqrt(1.0 - self.common));
        let mut log = 0.0;
        factors.extend(self.steps.iter().enumerate().map(|(month, step)| {
            if month > 0 {
                log += drift + volatility * (common * step + own * stream.normal()) - 0.5 * volatility * volatility;
            }
            libm::exp(log)
        }));
    }

    /// Where something falls among all its possible outcomes, from the worst at 0: a Gaussian copula with one factor.
    fn rank(&self, stream: &mut Stream, leaning: Leaning) -> f64 {
        let market = match leaning {
            Leaning::Weak => self.whole,
            Leaning::Strong => -self.whole,
            Leaning::None => return stream.uniform(),
        };
        likelihood_below(libm::sqrt(self.common) * market + libm::sqrt(1.0 - self.common) * stream.normal())
    }
}

fn fill<T>(list: &mut Vec<T>, length: usize, one: impl FnMut(usize) -> T) {
    list.clear();
    list.extend((0..length).map(one));
}

fn part(share: Share) -> f64 {
    share.ppm() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw() -> Draw {
        Draw {
            months: 60,
            works: 2,
            demand: 0.3,
            price_drift: -0.2,
            price: 0.2,
            rent: 0.4,
            common: 0.3,
            defaults: vec![0.05, 0.0],
            delays: vec![Odds { likelihood: 0.25, months: 9, share: 1.0 }; 2],
            shortages: vec![Odds { likelihood: 0.3, months: 18, share: 1.0 }],
            shortfalls: vec![Odds { likelihood: 0.1, months: 6, share: 0.5 }],
            windows: vec![0.75, 1.0],
            events: vec![1.0, 0.5],
            refusals: vec![0.4],
        }
    }

    #[test]
    fn a_scenario_is_a_function_of_seed_and_number() {
        let draw = draw();
        let mut room = Scenario::default();
        for index in [5, 3, 4] {
            draw.scenario_into(9, index, &mut room);
            assert_eq!(room, draw.scenario(9, index));
        }
        assert_ne!(draw.scenario(9, 3), draw.scenario(10, 3));
        assert_ne!(draw.scenario(9, 3).demand, draw.scenario(9, 4).demand);
    }

    #[test]
    fn means_and_likelihoods_are_those_that_the_file_gives() {
        let (draw, count) = (draw(), 20_000_u32);
        let all: Vec<Scenario> = (0..u64::from(count)).map(|index| draw.scenario(1, index)).collect();
        let share = |of: &dyn Fn(&Scenario) -> bool| all.iter().filter(|scenario| of(scenario)).count() as f64 / f64::from(count);
        let mean = |of: &dyn Fn(&Scenario) -> f64| all.iter().map(of).sum::<f64>() / f64::from(count);
        let near =
            |what: &str, found: f64, expected: f64, within: f64| assert!((found - expected).abs() < within, "{what}: {found} {expected}");
        near("failed in five years", share(&|s| s.defaults[0].is_some()), 1.0 - 0.95_f64.powi(5), 0.01);
        near("failed in one", share(&|s| s.defaults[0].is_some_and(|month| month < 12)), 0.05, 0.006);
        near("sound", share(&|s| s.defaults[1].is_some()), 0.0, 1e-12);
        near("late", share(&|s| s.delays[1].is_some()), 0.25, 0.012);
        near("how late", mean(&|s| s.delays[1].map_or(0.0, |delay| delay.months as f64)), 0.25 * 5.0, 0.07);
        near("short of chips", share(&|s| s.shortages[0].is_some()), 0.3, 0.012);
        near("short of power", share(&|s| s.shortfalls[0].is_some()), 0.1, 0.01);
        near("open", share(&|s| s.windows[0]), 0.75, 0.012);
        near("comes", share(&|s| s.events[1]), 0.5, 0.012);
        near("taken over", share(&|s| s.refusals[0]), 0.4, 0.012);
        near("sure", share(&|s| s.windows[1] && s.events[0]), 1.0, 1e-12);
        near("demand", mean(&|s| s.demand[1][59]), 1.0, 0.03);
        near("price", mean(&|s| s.price[48]), 0.8_f64.powi(4), 0.01);
        near("rent", mean(&|s| s.rent[36]), 1.0, 0.03);
        let spread = mean(&|s| libm::log(s.demand[0][48]) * libm::log(s.demand[0][48]));
        near("variance after four years", spread, 0.09 * 4.0 + (0.5_f64 * 0.09 * 4.0).powi(2), 0.02);
        let both = mean(&|s| (libm::log(s.demand[0][48]) + 0.18) * (libm::log(s.demand[1][48]) + 0.18));
        near("of which common", both / (0.09 * 4.0), 0.3, 0.03);
    }
}
