//! What joint ventures have, and what power it builds.

use fleet::{Fleet, Venture};
use serde::Serialize;
use units::{Money, Rate};

use super::years::Years;
use super::{Depends, Evidence, Row, evidence};

/// A joint venture: what its partners put in, and what power that pays for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VentureMeans {
    /// Its name.
    pub name: String,
    /// The partners' money, the lab's own without a party.
    pub stakes: Vec<Row>,
    /// All of it within the years covered.
    pub paid: Money,
    /// What it can borrow on that.
    pub borrowed: Money,
    /// Watts that both together build.
    pub watts: i64,
    /// Watts that are left when a partner does not pay, by partner.
    pub watts_without: Vec<(String, i64)>,
    /// The figures behind cost, leverage and time.
    pub evidence: Evidence,
}

/// The stakes of every venture, each with the venture's position; the lab's own without a party.
pub(super) fn stakes<'a>(fleet: &'a Fleet, years: &'a Years) -> impl Iterator<Item = (usize, Row)> + 'a {
    fleet.ventures.iter().enumerate().flat_map(move |(position, (name, venture))| {
        venture.stakes.iter().enumerate().map(move |(index, stake)| {
            let path = format!("ventures.{name}.stakes.{index}.");
            let row = Row {
                label: format!("stake in {name}"),
                party: stake.party.map(|party| fleet.parties.name(party).to_owned()),
                depends: Depends::Nothing,
                amounts: years.spread(fleet, stake.amount, stake.span),
                range: evidence::range(fleet, &format!("{path}amount")).map(|range| years.range(fleet, range, stake.span)),
                evidence: evidence::under(fleet, &path),
            };
            (position, row)
        })
    })
}

/// Every venture.
pub(super) fn all(fleet: &Fleet, years: &Years) -> Vec<VentureMeans> {
    let means = |(position, (name, venture)): (usize, &(String, Venture))| {
        let stakes: Vec<Row> = stakes(fleet, years).filter(|(of, _)| *of == position).map(|(_, stake)| stake).collect();
        let paid: Money = stakes.iter().map(Row::total).sum();
        let mut partners: Vec<&String> = stakes.iter().filter_map(|stake| stake.party.as_ref()).collect();
        partners.sort_unstable();
        partners.dedup();
        let without = |partner: &String| {
            let gone: Money = stakes.iter().filter(|stake| stake.party.as_ref() == Some(partner)).map(Row::total).sum();
            (partner.clone(), watts(venture, paid - gone))
        };
        let own = |figure: &str| !figure.starts_with("stakes");
        VentureMeans {
            name: name.clone(),
            paid,
            borrowed: venture.leverage.of(paid),
            watts: watts(venture, paid),
            watts_without: partners.into_iter().map(without).collect(),
            evidence: evidence::of(fleet, |path| path.strip_prefix(&format!("ventures.{name}.")).is_some_and(own)),
            stakes,
        }
    };
    fleet.ventures.iter().enumerate().map(means).collect()
}

/// Watts that the partners' money and what is borrowed on it build, rounded down.
fn watts(venture: &Venture, paid: Money) -> i64 {
    let Rate { money, per } = venture.cost_per_watt;
    let there = paid + venture.leverage.of(paid);
    let watts = there.nanos().saturating_mul(i128::from(per)) / money.nanos().max(1);
    i64::try_from(watts).unwrap_or(i64::MAX)
}
