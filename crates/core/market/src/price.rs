//! What one more unit really costs: section 7 of `docs/contracts.md`.
//!
//! With `c(q)` the charges of the lot's billing period and `s_f(q)` what floor `f` is short of at its window's end, both at forecast
//! point `i` of [`POINTS`] with and without a lot `l`:
//!
//! `price = 1/64 sum_i [ c_i(q + l) - c_i(q) - sum_f (s_fi(q) - s_fi(q + l)) ]`
//!
//! over every floor `f` that the contract counts towards: its own, its umbrellas', and those that list it. Charges and floors are
//! computed by the code that computes statements, from postings to which the forecast is added: what comes until the billing period's
//! end and in the periods after it (in at most sixteen steps). A credit does not lower the price, because what it does not pay now it
//! pays later; nor does a window after the present one.

use std::collections::BTreeMap;

use fleet::{Charge, ContractId, Fleet, Meter};
use serde::{Deserialize, Serialize};
use units::{Instant, MeterUnit, Money, Quantity, Rate, Share, round_half_even};

use crate::balance::Balances;
use crate::books::{Books, Projection, Seen, Step};
use crate::charge::{Charging, Reading, rate_at};
use crate::counted::contracts;
use crate::floor::Windows;
use crate::forecast::{Forecast, at_quantile};

/// Equally likely points at which a forecast is looked at.
const POINTS: i64 = 64;

/// The standard normal's quantiles at `(i + 0.5) / 64` for `i` from 32 to 63; the lower half mirrors them.
const QUANTILES: [f64; 32] = [
    0.019584285230127,
    0.058782936068943,
    0.098072152488661,
    0.137513402144336,
    0.177169820991740,
    0.217106947210130,
    0.257393526100938,
    0.298102412930487,
    0.339311606538817,
    0.381105454763556,
    0.423576084201200,
    0.466825122852590,
    0.510965806738247,
    0.556125593618691,
    0.602449453164424,
    0.650104070647995,
    0.699283302383220,
    0.750215375467940,
    0.803172565597918,
    0.858484474141832,
    0.916556667533112,
    0.977897543940542,
    1.043158263318454,
    1.113194277160928,
    1.189164350199337,
    1.272698641190536,
    1.366203816372098,
    1.473467577947101,
    1.601008664886076,
    1.761670410363066,
    1.987427885929896,
    2.417559016236505,
];

/// The expected amount due with one more unit less the amount due without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarginalPrice {
    /// Per lot of the meter, in the contract's currency; below zero when a unit saves more than it costs.
    pub rate: Rate,
    /// The list price of the same unit: what the rates clause says, whatever the floors.
    pub list: Rate,
    /// How likely every floor over it is met without this unit.
    pub floors_met: Share,
}

/// The marginal price of a meter under a contract at `now`; of a contract not in force, the list price.
#[must_use]
pub fn marginal_price(
    fleet: &Fleet,
    balances: &Balances,
    forecast: &Forecast,
    contract: ContractId,
    meter: Meter,
    now: Instant,
) -> MarginalPrice {
    Pricing::of(&Books::new(fleet, balances, &Seen::default()), &Ahead::of(forecast), contract, now).price(meter)
}

/// The marginal prices of several meters at `now`, in their order; what they share of the past is worked out once.
#[must_use]
pub fn marginal_prices(
    fleet: &Fleet,
    balances: &Balances,
    forecast: &Forecast,
    meters: &[(ContractId, Meter)],
    now: Instant,
) -> Vec<MarginalPrice> {
    let seen = Seen::default();
    let (books, ahead) = (Books::new(fleet, balances, &seen), Ahead::of(forecast));
    meters.iter().map(|(contract, meter)| Pricing::of(&books, &ahead, *contract, now).price(*meter)).collect()
}

/// Base units an hour of every flow at each of a forecast's points: the same for whatever is priced by it.
#[derive(Debug)]
pub(crate) struct Ahead(Vec<BTreeMap<(ContractId, Meter), Quantity>>);

impl Ahead {
    pub fn of(forecast: &Forecast) -> Self {
        let at = |z| forecast.flows.iter().map(|(key, flow)| (*key, at_quantile(*flow, z))).collect();
        Self(points().map(at).collect())
    }
}

/// What the marginal prices of one contract share, from books without a projection.
pub(crate) struct Pricing<'a> {
    books: Books<'a>,
    ahead: &'a Ahead,
    contract: ContractId,
    now: Instant,
    floors: Vec<(ContractId, usize, i64)>,
    /// What comes without one more unit, at each point; nothing for a contract that is not in force.
    without: Vec<Outcome>,
}

impl<'a> Pricing<'a> {
    pub fn of(books: &Books<'a>, ahead: &'a Ahead, contract: ContractId, now: Instant) -> Self {
        let mut pricing = Self { books: *books, ahead, contract, now, floors: Vec::new(), without: Vec::new() };
        if books.terms(contract).in_force(now) {
            pricing.floors = floors_over(books, contract, now);
            pricing.without = pricing.outcomes(None).collect();
        }
        pricing
    }

    /// The marginal price of a meter.
    pub fn price(&self, meter: Meter) -> MarginalPrice {
        let (list, lot) = (list_price(&self.books, self.contract, meter, self.now), lot(meter));
        if self.without.is_empty() {
            return MarginalPrice { rate: list, list, floors_met: Share::ALL };
        }
        let present = self.books.terms(self.contract).calendar.index(self.now);
        let with = self.outcomes(Some((self.contract, present, meter, lot)));
        let more = with.zip(&self.without).map(|(with, without)| (with.charged + with.short - without.charged - without.short).nanos());
        let rate = Rate { money: Money::from_nanos(round_half_even(more.sum(), i128::from(POINTS))), per: lot.count() };
        let met: i64 = self.without.iter().map(|without| i64::from(without.short == Money::ZERO)).sum();
        MarginalPrice { rate, list, floors_met: Share::from_ppm(met * Share::ALL.ppm() / POINTS) }
    }

    /// What comes at each point, with a lot or without.
    fn outcomes(&self, lot: Option<(ContractId, i64, Meter, Quantity)>) -> impl Iterator<Item = Outcome> {
        self.ahead.0.iter().map(move |per_hour| {
            let projection = Some(Projection { now: self.now, per_hour, lot });
            outcome(&Books { projection, ..self.books }, self.contract, self.now, &self.floors)
        })
    }
}

/// What the lot changes.
struct Outcome {
    charged: Money,
    short: Money,
}

fn outcome(books: &Books<'_>, contract: ContractId, now: Instant, floors: &[(ContractId, usize, i64)]) -> Outcome {
    let present = Step { first: books.terms(contract).calendar.index(now), count: 1 };
    let lines = Charging::new(books, contract, Reading::Held, present.first).lines(present);
    let short = floors.iter().map(|(of, index, window)| Windows::new(books, *of, *index).line(*window).money);
    Outcome { charged: lines.iter().map(|line| line.money).sum(), short: short.sum() }
}

/// The windows in which the present period of `contract` counts, by contract and floor.
fn floors_over(books: &Books<'_>, contract: ContractId, now: Instant) -> Vec<(ContractId, usize, i64)> {
    let terms = books.terms(contract);
    let period = terms.period(terms.calendar.index(now));
    let signed = books.fleet.contracts.iter().filter(|(.., above)| above.status == fleet::Status::Signed);
    let floors = signed.flat_map(|(id, _, above)| above.floors.iter().enumerate().map(move |(index, floor)| (id, index, floor)));
    let over = floors.filter(|(id, _, floor)| contracts(books, *id, floor).contains(&contract));
    over.filter_map(|(id, index, _)| Windows::new(books, id, index).holding(period).map(|window| (id, index, window))).collect()
}

/// The rate of the tier that is reached with what is posted: of the first metered clause, or else the first committed one.
fn list_price(books: &Books<'_>, contract: ContractId, meter: Meter, now: Instant) -> Rate {
    let clauses = || books.terms(contract).rates.iter().enumerate().filter(|(_, clause)| clause.meter == meter);
    let metered = clauses().find(|(_, clause)| clause.charge == Charge::Metered);
    metered.or_else(|| clauses().next()).map_or(Rate::FREE, |(index, _)| rate_at(books, contract, index, now))
}

/// How much one more is: enough that its price is exact to a thousandth, little enough to be one request's.
fn lot(meter: Meter) -> Quantity {
    match meter.unit() {
        MeterUnit::Token | MeterUnit::AcceleratorMs | MeterUnit::UnitMs | MeterUnit::Joule => Quantity::new(1_000),
        MeterUnit::Byte => Quantity::new(1_000_000),
    }
}

fn points() -> impl Iterator<Item = f64> {
    QUANTILES.into_iter().rev().map(|z| -z).chain(QUANTILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_are_the_normal_s_quantiles() {
        let mut want = 1.0 / 128.0;
        for z in points() {
            let share = libm::erfc(-z / libm::sqrt(2.0)) / 2.0;
            assert!((share - want).abs() < 1e-12, "{z}: {share} is not {want}");
            want += 1.0 / 64.0;
        }
    }
}
