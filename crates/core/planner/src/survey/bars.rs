//! What clauses of others bar, so that each clause's price can be told.

use core::time::Duration;

use fleet::ContractId;

use crate::instance::{Bar, BarKind, Expansion, Fit, Lifts, Refusal};
use crate::survey::fits::{barred, ranges, there};
use crate::survey::ground::{Ground, part};
use crate::survey::scope::{kept, takers, unanswered};
use crate::survey::supplies::Source;
use crate::survey::works::Asked;

/// Every bar: of fits, of choices, of orders.
pub(crate) fn bars(
    ground: &Ground<'_>,
    sources: &[Source],
    asked: &[Asked<'_>],
    fits: &[Fit],
    expansions: &[(usize, Expansion)],
) -> Vec<Bar> {
    let mut bars = exclusivities(ground, sources, asked, fits);
    let begins = ground.horizon.span().from;
    for (index, (choice, fleet)) in ground.choices.iter().zip(ground.fleets).enumerate() {
        let start = fleet.contracts[choice.contract].term.from;
        let holders = unanswered(ground.fleet, choice.contract, start, begins);
        bars.extend(holders.into_iter().map(|holder| refusal(ground, holder, Lifts::Choice(index))));
    }
    for (index, (_, expansion)) in expansions.iter().enumerate() {
        bars.extend(orders(ground, index, expansion));
    }
    bars
}

/// Offers that the holder of a first refusal may take over, by offer and holder.
pub(crate) fn refusals(ground: &Ground<'_>) -> Vec<Refusal> {
    let begins = ground.horizon.span().from;
    let mut offers: Vec<ContractId> = ground.choices.iter().map(|choice| choice.contract).collect();
    offers.sort_unstable();
    offers.dedup();
    let of = |contract: ContractId| {
        let choices = ground.choices.iter().zip(ground.fleets).filter(|(choice, _)| choice.contract == contract);
        let starts: Vec<_> = choices.map(|(_, fleet)| fleet.contracts[contract].term.from).collect();
        let takers = takers(ground.fleet, contract, &starts).into_iter();
        takers
            .map(|(holder, refusal)| {
                let by = begins + Duration::from_secs(u64::from(refusal.answer.days) * 86_400);
                Refusal {
                    contract,
                    holder: ground.fleet.contracts[holder].party,
                    likelihood: part(refusal.answer.takes),
                    answer: ground.horizon.months.partition_point(|month| month.span.to <= by),
                }
            })
            .collect::<Vec<_>>()
    };
    offers.into_iter().flat_map(of).collect()
}

fn exclusivities(ground: &Ground<'_>, sources: &[Source], asked: &[Asked<'_>], fits: &[Fit]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for kept in kept(ground.fleet) {
        let name = format!("exclusivity of {}", ground.fleet.contracts.name(kept.holder));
        let months = ground.horizon.months_in(kept.span);
        for (index, fit) in fits.iter().enumerate() {
            let source = &sources[fit.supply];
            if !barred(ground.fleet, &kept, source, &asked[fit.work].needs) {
                continue;
            }
            let mut closed = there(ground, source);
            closed.iter_mut().enumerate().for_each(|(month, there)| *there &= months.contains(&month));
            bars.extend(ranges(ground, &closed).into_iter().map(|(from, to)| Bar {
                name: name.clone(),
                kind: BarKind::Exclusivity,
                contract: Some(kept.holder),
                lifts: Lifts::Fit(index, from, to),
            }));
        }
    }
    bars
}

fn refusal(ground: &Ground<'_>, holder: ContractId, lifts: Lifts) -> Bar {
    let name = format!("first refusal of {}", ground.fleet.contracts.name(holder));
    Bar { name, kind: BarKind::FirstRefusal, contract: Some(holder), lifts }
}

/// The months in which orders wait for an answer, by who has to give it.
fn orders(ground: &Ground<'_>, index: usize, expansion: &Expansion) -> Vec<Bar> {
    let begins = ground.horizon.span().from;
    let mut waits: Vec<(ContractId, usize, usize)> = Vec::new();
    for (month, it) in ground.horizon.months.iter().enumerate().filter(|(month, _)| expansion.per_month[*month] > 0.0) {
        for holder in unanswered(ground.fleet, expansion.contract, it.span.from, begins) {
            match waits.iter_mut().find(|(of, _, to)| *of == holder && *to == month) {
                Some(wait) => wait.2 = month + 1,
                None => waits.push((holder, month, month + 1)),
            }
        }
    }
    waits.into_iter().map(|(holder, from, to)| refusal(ground, holder, Lifts::Expansion(index, from, to))).collect()
}
