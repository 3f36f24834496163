//! Money in and out beside contracts, and what is left.

use fleet::{CashEvent, Fleet, WorkloadKind};
use serde::Serialize;
use units::{Money, Quantity, Share, Span};

use super::years::{Years, exchanged, micros};
use super::{Depends, Obligation, Range, Row, add, cumulative, evidence, sum};

/// What is left of revenue, by year, and the cash that follows. A raise that may fail is in `cash_with_all` only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Due under signed contracts.
    pub obligations: Vec<Money>,
    /// Revenue if all is served.
    pub revenue: Vec<Money>,
    /// Costs beside compute, and payments into ventures.
    pub costs: Vec<Money>,
    /// Revenue less obligations and costs.
    pub left: Vec<Money>,
    /// The cash that was counted; `None` when the file doesn't say.
    pub cash: Option<Money>,
    /// Below which it must not fall.
    pub floor: Option<Money>,
    /// Cash at each year's end without any raise.
    pub cash_without: Vec<Money>,
    /// With those raises that are certain.
    pub cash_with_certain: Vec<Money>,
    /// With every raise in full.
    pub cash_with_all: Vec<Money>,
    /// What must have been raised or earned beside by each year's end, so that cash stays at its floor.
    pub needed: Vec<Money>,
}

/// What the file says that customers pay, and what is sold by the token; both if all demand is served.
pub(super) fn revenue(fleet: &Fleet, years: &Years) -> Vec<Row> {
    let stated = fleet.finance.revenue.iter().enumerate().map(|(index, event)| {
        let depends = match event.terms.earned_by {
            Some(workload) => Depends::Served { workload: fleet.workloads.name(workload).to_owned() },
            None => sure(event),
        };
        row(fleet, years, ("revenue", index), event, depends)
    });
    joined(stated).into_iter().chain(sold(fleet, years)).collect()
}

/// A class of a workload that is sold by the token: its price on all of its demand.
fn sold<'a>(fleet: &'a Fleet, years: &'a Years) -> impl Iterator<Item = Row> + 'a {
    let classes = fleet.workloads.iter().filter_map(|(_, name, workload)| match &workload.kind {
        WorkloadKind::Serving { classes, .. } => Some((name, classes)),
        WorkloadKind::Training { .. } => None,
    });
    classes.flat_map(|(name, classes)| classes.iter().enumerate().map(move |(index, class)| (name, index, class))).filter_map(
        move |(name, index, class)| {
            let (price, demand) = (class.price?, class.demand.as_ref()?);
            let earned = |span: Span| {
                let pieces = demand.pieces(span);
                pieces.map(|(piece, speed)| price.cost(tokens(speed, piece))).sum()
            };
            Some(Row {
                label: format!("{name}, {}", class.tier.word()),
                party: None,
                depends: Depends::Served { workload: name.to_owned() },
                amounts: years.parts(Span::ALWAYS).map(earned).collect(),
                range: None,
                evidence: evidence::of(fleet, |path| {
                    let class = format!("workloads.{name}.classes.{index}.");
                    path.strip_prefix(&class).is_some_and(|figure| figure.starts_with("price") || figure.starts_with("demand"))
                }),
            })
        },
    )
}

fn tokens(per_second: i64, span: Span) -> Quantity {
    let tokens = units::round_half_even(i128::from(per_second) * micros(span), 1_000_000);
    Quantity::new(i64::try_from(tokens).unwrap_or(i64::MAX))
}

/// What is raised: certain, or up to its amount.
pub(super) fn raises(fleet: &Fleet, years: &Years) -> Vec<Row> {
    let events = fleet.finance.raises.iter().enumerate();
    joined(events.map(|(index, event)| row(fleet, years, ("raises", index), event, sure(event))))
}

/// Costs beside compute, and what the lab itself pays into ventures.
pub(super) fn costs(fleet: &Fleet, years: &Years) -> Vec<Row> {
    let events = fleet.finance.costs.iter().enumerate();
    let stated = events.map(|(index, event)| row(fleet, years, ("costs", index), event, Depends::Nothing));
    let stakes = super::ventures::stakes(fleet, years).filter(|(_, stake)| stake.party.is_none());
    joined(stated.chain(stakes.map(|(_, stake)| stake)))
}

/// One row for all that has the same name, party and conditions: the years of one thing.
fn joined(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut joined: Vec<Row> = Vec::new();
    for row in rows {
        let like = |earlier: &&mut Row| (&earlier.label, &earlier.party, &earlier.depends) == (&row.label, &row.party, &row.depends);
        match joined.iter_mut().find(like) {
            Some(earlier) => join(earlier, row),
            None => joined.push(row),
        }
    }
    joined
}

fn join(earlier: &mut Row, row: Row) {
    if earlier.range.is_some() || row.range.is_some() {
        let point = |amounts: &[Money]| Range { low: amounts.to_vec(), high: amounts.to_vec() };
        let mut range = earlier.range.take().unwrap_or_else(|| point(&earlier.amounts));
        let more = row.range.unwrap_or_else(|| point(&row.amounts));
        add(&mut range.low, &more.low);
        add(&mut range.high, &more.high);
        earlier.range = Some(range);
    }
    add(&mut earlier.amounts, &row.amounts);
    earlier.evidence = evidence::join(core::mem::take(&mut earlier.evidence), row.evidence);
}

fn sure(event: &CashEvent) -> Depends {
    let terms = event.terms;
    if terms.likelihood == Share::ALL && terms.cost.is_none() {
        return Depends::Nothing;
    }
    Depends::UpTo { likelihood: terms.likelihood, cost: terms.cost }
}

fn row(fleet: &Fleet, years: &Years, (list, index): (&str, usize), event: &CashEvent, depends: Depends) -> Row {
    let path = format!("finance.{list}.{index}.");
    Row {
        label: event.name.clone(),
        party: event.party.map(|party| fleet.parties.name(party).to_owned()),
        depends,
        amounts: years.spread(fleet, event.amount, event.span),
        range: evidence::range(fleet, &format!("{path}amount")).map(|range| years.range(fleet, range, event.span)),
        evidence: evidence::under(fleet, &path),
    }
}

/// What is left each year, and the cash at its end under three beliefs about raises.
pub(super) fn balance(fleet: &Fleet, years: &Years, obligations: &[Obligation], [revenue, raises, costs]: [&[Row]; 3]) -> Balance {
    let obligations = sum(years, obligations.iter().map(|obligation| &obligation.row));
    let (revenue, costs) = (sum(years, revenue.iter()), sum(years, costs.iter()));
    let left: Vec<Money> = (0..revenue.len()).map(|year| revenue[year] - obligations[year] - costs[year]).collect();
    let cash = fleet.finance.cash.map(|(at, cash)| exchanged(fleet, cash.money, cash.currency, at));
    let floor = fleet.finance.floor.map(|floor| exchanged(fleet, floor.money, floor.currency, years.horizon().from));
    let all = sum(years, raises.iter());
    let certain = sum(years, raises.iter().filter(|raise| raise.depends == Depends::Nothing));
    let with = |raised: &[Money]| {
        let flows: Vec<Money> = left.iter().zip(raised).map(|(left, raised)| *left + *raised).collect();
        cumulative(&flows).into_iter().map(|sum| cash.unwrap_or_default() + sum).collect()
    };
    let [cash_without, cash_with_certain, cash_with_all]: [Vec<Money>; 3] = [&years.nothing(), &certain, &all].map(|raised| with(raised));
    let needed = cash_without.iter().map(|cash| (floor.unwrap_or_default() - *cash).at_least_zero()).collect();
    Balance { obligations, revenue, costs, left, cash, floor, cash_without, cash_with_certain, cash_with_all, needed }
}
