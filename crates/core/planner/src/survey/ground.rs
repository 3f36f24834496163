//! What every part of a survey stands on: the horizon, what may be signed, and the contracts as the plan may have them.

use core::ops::RangeInclusive;

use fleet::{Contract, ContractId, Fleet, Offer, Status};
use market::Charged;
use units::{Currency, Instant, Money, Span};

use crate::instance::{Choice, Series};
use crate::moved::moved;
use crate::survey::months::{Horizon, calendar, micros, share};
use crate::survey::offers::{decided, ended, months_to, takes_part};
use crate::survey::periods::{Group, before, groups};
use crate::survey::refused::{Refused, Why};

/// The fleet under each choice, alone: what the survey borrows from.
pub(crate) struct Outline {
    pub horizon: Horizon,
    /// Without any choice.
    pub fleet: Fleet,
    pub choices: Vec<Choice>,
    /// With this choice only, by choice.
    pub fleets: Vec<Fleet>,
}

impl Outline {
    pub fn new(file: &Fleet) -> Result<Self, Vec<Refused>> {
        let Some(calendar) = calendar(file) else {
            let fleet = file.clone();
            return Ok(Self { horizon: Horizon::empty(), fleet, choices: Vec::new(), fleets: Vec::new() });
        };
        let mut refused = Vec::new();
        let starts = starts(file, &mut refused);
        let signed = file.contracts.iter().filter(|(.., contract)| contract.status == Status::Signed);
        let ends = signed.map(|(.., contract)| contract.term.to);
        let ends = ends.chain(starts.iter().map(|(contract, months)| moved(&file.contracts[*contract], *months).term.to));
        let horizon = Horizon::new(file, &calendar, ends.max());
        if horizon.months.is_empty() {
            refused.push(Refused::new("plan", Why::NoMonths));
            return Err(refused);
        }
        let (begins, ends) = (horizon.span().from, horizon.span().to);
        let fleet = ended(&decided(file, begins, &[]), ends);
        let choices = choices(&fleet, &horizon, &starts);
        refused.extend(replaced(&fleet, &choices));
        refused.extend(missing_rates(&fleet, begins));
        if !refused.is_empty() {
            return Err(refused);
        }
        let fleets = choices.iter().map(|choice| ended(&decided(file, begins, &[(choice.contract, choice.moved)]), ends)).collect();
        Ok(Self { horizon, fleet, choices, fleets })
    }
}

/// Every start that an offer allows, by contract and months from its own.
fn starts(file: &Fleet, refused: &mut Vec<Refused>) -> Vec<(ContractId, i32)> {
    let mut starts = Vec::new();
    for (id, name, contract) in file.contracts.iter().filter(|(.., contract)| contract.status == Status::Discussed) {
        let Some(Offer { starts: others, .. }) = &contract.offer else { continue };
        let mut months = vec![0];
        for (index, start) in others.iter().enumerate() {
            match months_to(contract, *start) {
                Some(later) => months.push(later),
                None => {
                    let why = Why::NotWholeMonths { start: start.to_string() };
                    refused.push(Refused::new(format!("contracts.{name}.offer.starts.{index}"), why));
                }
            }
        }
        months.sort_unstable();
        months.dedup();
        starts.extend(months.into_iter().map(|months| (id, months)));
    }
    starts
}

/// The starts that can still be chosen: within the plan, the offer still standing.
fn choices(fleet: &Fleet, horizon: &Horizon, starts: &[(ContractId, i32)]) -> Vec<Choice> {
    let (plan, mut choices, mut group, mut last) = (horizon.span(), Vec::new(), 0, None);
    for (contract, months) in starts {
        let terms = &fleet.contracts[*contract];
        let start = moved(terms, *months).term.from;
        let by = terms.offer.as_ref().and_then(|offer| offer.by);
        let open = plan.contains(start) && by.is_none_or(|by| by >= plan.from);
        if !open {
            continue;
        }
        group += usize::from(last.is_some_and(|last| last != *contract));
        last = Some(*contract);
        let first = horizon.months[horizon.month(start)];
        choices.push(Choice {
            name: format!("{}, from {:04}-{:02}", fleet.contracts.name(*contract), first.year, first.number),
            contract: *contract,
            moved: *months,
            group,
            by: horizon.month(by.map_or(start, |by| by.min(start))),
        });
    }
    choices
}

/// Substitutions that no row can state: of what is itself a choice, and of what may be expanded.
fn replaced(fleet: &Fleet, choices: &[Choice]) -> Vec<Refused> {
    let offered = |contract: ContractId| choices.iter().any(|choice| choice.contract == contract);
    let mut refused = Vec::new();
    for choice in choices {
        let name = fleet.contracts.name(choice.contract);
        for (index, substitution) in fleet.contracts[choice.contract].substitutions.iter().enumerate() {
            if offered(substitution.of) {
                let why = Why::ReplacesOffer { of: fleet.contracts.name(substitution.of).to_owned() };
                refused.push(Refused::new(format!("contracts.{name}.substitution.{index}.of"), why));
            }
        }
    }
    for (_, name, contract) in fleet.contracts.iter().filter(|(.., contract)| takes_part(contract)) {
        for (index, substitution) in contract.substitutions.iter().enumerate() {
            let other = &fleet.contracts[substitution.of];
            if takes_part(other) && !other.expansions.is_empty() {
                let why = Why::ReplacesExpanding { of: fleet.contracts.name(substitution.of).to_owned() };
                refused.push(Refused::new(format!("contracts.{name}.substitution.{index}.of"), why));
            }
        }
    }
    refused.dedup();
    refused
}

fn missing_rates(fleet: &Fleet, begins: Instant) -> Vec<Refused> {
    let contracts = fleet.contracts.iter().map(|(.., contract)| contract).filter(|contract| takes_part(contract));
    let finance = &fleet.finance;
    let events = finance.revenue.iter().chain(&finance.raises).chain(&finance.costs).map(|event| event.amount.currency);
    let stakes = fleet.ventures.iter().flat_map(|(_, venture)| venture.stakes.iter().map(|stake| stake.amount.currency));
    let own = finance.cash.iter().map(|(_, amount)| amount.currency).chain(finance.floor.iter().map(|amount| amount.currency));
    let mut used: Vec<Currency> = contracts.map(|contract| contract.currency).chain(events).chain(stakes).chain(own).collect();
    used.sort_unstable();
    used.dedup();
    let missing = used.into_iter().filter(|currency| fleet.in_fleet_currency(Money::ZERO, *currency, begins).is_none());
    missing.map(|currency| Refused::new(format!("currencies.{currency}"), Why::NoRate { currency })).collect()
}

/// Billing periods of a contract that fall due in one month: one, or all that end in it.
#[derive(Clone, Debug)]
pub(crate) struct Bill {
    pub periods: RangeInclusive<i64>,
    /// From the first one's beginning to the last one's end, within the term.
    pub span: Span,
    /// The month in which they fall due.
    pub due: usize,
    /// The last instant, by which amounts in another currency are converted.
    pub at: Instant,
}

impl Bill {
    /// How many billing periods it stands for.
    pub fn count(&self) -> f64 {
        (self.periods.end() - self.periods.start() + 1) as f64
    }
}

/// The share of a month's use that belongs to a bill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lap {
    pub month: usize,
    pub bill: usize,
    pub share: f64,
}

/// A contract as the plan may have it: signed, or signed by a choice.
pub(crate) struct Deal<'a> {
    pub contract: ContractId,
    pub choice: Option<usize>,
    /// As a person reads it: with its start, when that is a choice.
    pub name: String,
    /// In which it is signed.
    pub fleet: &'a Fleet,
    pub terms: &'a Contract,
    pub bills: Vec<Bill>,
    pub laps: Vec<Lap>,
    /// The month in which a month's use falls due.
    pub due: Vec<usize>,
    /// Whether the use of some month falls due in more than one.
    pub split: bool,
    /// What is committed, by bill.
    pub committed: Vec<Vec<Charged>>,
}

impl Deal<'_> {
    /// The contract's name in the file.
    pub fn written(&self) -> &str {
        self.fleet.contracts.name(self.contract)
    }

    /// What tells a choice's names from another's: `, from 2027-01`.
    pub fn suffix(&self) -> &str {
        self.name.strip_prefix(self.written()).unwrap_or_default()
    }

    /// The bill that holds an instant.
    pub fn bill_at(&self, at: Instant) -> Option<usize> {
        let bill = self.bills.partition_point(|bill| bill.span.to <= at);
        self.bills.get(bill).is_some_and(|it| it.span.contains(at)).then_some(bill)
    }

    /// The bill that holds a billing period.
    pub fn bill_of(&self, period: i64) -> Option<usize> {
        let bill = self.bills.partition_point(|bill| *bill.periods.end() < period);
        self.bills.get(bill).is_some_and(|it| it.periods.contains(&period)).then_some(bill)
    }
}

/// What every part of a survey stands on.
pub(crate) struct Ground<'a> {
    pub horizon: &'a Horizon,
    pub fleet: &'a Fleet,
    pub choices: &'a [Choice],
    pub fleets: &'a [Fleet],
    pub deals: Vec<Deal<'a>>,
}

impl<'a> Ground<'a> {
    pub fn new(outline: &'a Outline) -> Self {
        let Outline { horizon, fleet, choices, fleets } = outline;
        let signed = fleet.contracts.iter().filter(|(.., contract)| contract.status == Status::Signed);
        let signed = signed.map(|(id, name, _)| deal(horizon, fleet, id, None, name.to_owned()));
        let offered = choices.iter().zip(fleets).enumerate();
        let offered = offered.map(|(index, (choice, fleet))| deal(horizon, fleet, choice.contract, Some(index), choice.name.clone()));
        let deals = signed.chain(offered).filter(|deal| !deal.bills.is_empty()).collect();
        Self { horizon, fleet, choices, fleets, deals }
    }

    /// What one unit of a currency is worth in the fleet's at `at`.
    pub fn worth(&self, currency: Currency, at: Instant) -> f64 {
        // A rate is there from the plan's beginning on, or the fleet was refused.
        let one = self.fleet.in_fleet_currency(Money::from_units(1), currency, at);
        one.map_or(0.0, money)
    }

    /// What a month's bills are converted at.
    pub fn bill_worth(&self, deal: &Deal<'_>, bill: &Bill) -> f64 {
        self.worth(deal.terms.currency, bill.at)
    }

    /// Amounts of a deal: fixed when it is signed, else the choice's.
    pub fn series(&self, deal: &Deal<'_>, amounts: Vec<f64>) -> Series {
        match deal.choice {
            None => Series { fixed: amounts, by_choice: Vec::new() },
            Some(choice) => Series { fixed: vec![0.0; amounts.len()], by_choice: vec![(choice, amounts)] },
        }
    }

    /// The choices that would take the place of part of a deal, each with the fleet in which it does.
    pub fn substitutes(&self, deal: &Deal<'_>) -> impl Iterator<Item = (usize, &'a Fleet)> {
        let (contract, signed) = (deal.contract, deal.choice.is_none());
        let fleets = self.choices.iter().zip(self.fleets).enumerate();
        fleets.filter_map(move |(index, (choice, fleet))| {
            let replaces = fleet.contracts[choice.contract].substitutions.iter().any(|substitution| substitution.of == contract);
            (signed && replaces).then_some((index, fleet))
        })
    }

    /// The same amounts with each choice that substitutes taken, as its difference.
    pub fn with_substitutes(&self, deal: &Deal<'_>, amounts: impl Fn(&Fleet) -> Vec<f64>) -> Series {
        let mut series = self.series(deal, amounts(deal.fleet));
        for (choice, fleet) in self.substitutes(deal) {
            let with = amounts(fleet).into_iter().zip(&series.fixed).map(|(with, without)| with - without).collect();
            series.by_choice.push((choice, with));
        }
        series
    }
}

fn deal<'a>(horizon: &Horizon, fleet: &'a Fleet, contract: ContractId, choice: Option<usize>, name: String) -> Deal<'a> {
    let terms = &fleet.contracts[contract];
    let bills = bills(horizon, terms);
    let (mut laps, mut due, mut split) = (Vec::new(), Vec::with_capacity(horizon.months.len()), false);
    let mut first = 0;
    for (index, month) in horizon.months.iter().enumerate() {
        let in_force = month.span.overlap(terms.term);
        first += bills[first..].iter().take_while(|bill| bill.span.to <= in_force.from).count();
        let held = bills.iter().enumerate().skip(first).take_while(|(_, bill)| bill.span.from < in_force.to);
        let from = laps.len();
        laps.extend(held.filter_map(|(bill, it)| {
            let part = micros(it.span.overlap(in_force));
            (part > 0).then(|| Lap { month: index, bill, share: share(part, micros(in_force)) })
        }));
        let months: Vec<usize> = laps[from..].iter().map(|lap| bills[lap.bill].due).collect();
        split |= months.windows(2).any(|pair| pair[0] != pair[1]);
        due.push(months.last().copied().unwrap_or(index));
    }
    let committed = bills.iter().map(|bill| market::committed(fleet, contract, bill.periods.clone())).collect();
    Deal { contract, choice, name, fleet, terms, bills, laps, due, split, committed }
}

/// The bills that fall due in the plan, and the one that its end cuts.
fn bills(horizon: &Horizon, terms: &Contract) -> Vec<Bill> {
    let plan = horizon.span();
    let bill = |Group { numbers, span, month }: Group| {
        let paid = Span { from: span.from, to: span.to.min(plan.to) };
        Bill { periods: numbers, span, due: month, at: before(paid.to) }
    };
    groups(horizon, &terms.calendar, terms.term).into_iter().map(bill).collect()
}

/// Money as a number.
pub(crate) fn money(money: Money) -> f64 {
    money.nanos() as f64 / 1e9
}

/// A share as a number.
pub(crate) fn part(share: units::Share) -> f64 {
    share.ppm() as f64 / 1e6
}
