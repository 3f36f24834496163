//! Random clauses.

use fleet::{
    Basis, Capacity, CapacityOf, CarryOver, Charge, Contract, ContractId, Delivery, Escalation, Floor, Id, Least, Overflow, Period,
    Prepayment, Ramp, RateClause, SiteId, Substitution, Tier, TierKind, Tranche,
};
use units::{Instant, Quantity, Share};

use crate::capacity::capacity_of;
use crate::generator::meters;
use crate::genes::Genes;

/// Adds one clause, and what it can't do without. `nested` are the contracts that its floors may name.
pub fn add_clause(contract: &mut Contract, genes: &mut Genes<'_>, nested: &[ContractId], others: &[ContractId]) {
    match genes.below(16) {
        0..=2 => add_rates(contract, genes, Charge::Metered),
        3..=5 => add_rates(contract, genes, Charge::Committed),
        6..=9 => add_floor(contract, genes, nested, others),
        10 | 11 => contract.prepayments.push(prepayment(contract, genes)),
        12 | 13 => add_delivery(contract, genes),
        14 => contract.overflow = Some(overflow(genes, others)),
        _ => add_substitution(contract, genes, others),
    }
}

fn ramp<T: Copy>(contract: &Contract, genes: &mut Genes<'_>, mut amount: impl FnMut(&mut Genes<'_>) -> T) -> Ramp<T> {
    let constant = Ramp::constant(amount(genes));
    if genes.chance(50) {
        return constant;
    }
    let mut steps: Vec<_> = (0..=genes.below(3)).map(|_| (genes.instant(contract.term), amount(genes))).collect();
    steps.sort_by_key(|(from, _)| *from);
    steps.dedup_by_key(|(from, _)| *from);
    Ramp::new(steps).unwrap_or(constant)
}

fn ensure_capacity(contract: &mut Contract, of: CapacityOf, genes: &mut Genes<'_>) {
    if contract.capacity.iter().all(|clause| clause.of != of) || genes.chance(5) {
        let amounts: &[i64] = if matches!(of, CapacityOf::Power(_)) { &[3_000, 4_500_000_001] } else { &[8, 1, 3, 100, 4_096] };
        let ramp = ramp(contract, genes, |genes| genes.one_of(amounts));
        contract.capacity.push(Capacity { of, ramp, tokens_per_unit_minute: 0 });
    }
}

fn add_rates(contract: &mut Contract, genes: &mut Genes<'_>, charge: Charge) {
    let choices = meters();
    let timed = charge == Charge::Committed && !genes.chance(5);
    let meter = genes.one_of(if timed { &choices[..3] } else { &choices });
    let mut tiers = vec![Tier { from: Quantity::ZERO, rate: genes.rate() }];
    for _ in 0..genes.below(4) {
        tiers.push(Tier { from: Quantity::new(genes.size(12)), rate: genes.rate() });
    }
    tiers.sort_by_key(|tier| tier.from);
    tiers.dedup_by_key(|tier| tier.from);
    let kind = genes.one_of(&[TierKind::Graduated, TierKind::Volume]);
    let over_term = genes.chance(40);
    let every = [Period::Months(12), Period::Months(1), Period::Days(30), Period::Term, Period::Minutes(360)];
    let escalation = genes
        .chance(40)
        .then(|| Escalation { by: Share::from_ppm(genes.one_of(&[30_000, 333_333, -20_001, 1, 1_000_000])), every: genes.one_of(&every) });
    contract.rates.push(RateClause { meter, charge, tiers, kind, over_term, escalation });
    if let Some(of) = capacity_of(meter).filter(|_| charge == Charge::Committed) {
        ensure_capacity(contract, of, genes);
    }
}

fn add_floor(contract: &mut Contract, genes: &mut Genes<'_>, nested: &[ContractId], others: &[ContractId]) {
    let short = contract.term.length().as_secs() < 20 * 86_400;
    let long_windows = [Period::Months(1), Period::Term, Period::Months(3), Period::Months(12), Period::Days(30)];
    let short_windows = [Period::Days(1), Period::Term, Period::Months(1), Period::Days(7), Period::Minutes(360)];
    let per = genes.one_of(if short { &short_windows } else { &long_windows });
    let basis = genes.one_of(&[Basis::Purchase, Basis::Amortisation, Basis::Use]);
    let in_money = !genes.chance(35);
    let mut kinds = Vec::new();
    if genes.chance(if in_money { 25 } else { 80 }) {
        let (first, second) = (genes.one_of(&meters()), genes.one_of(&meters()));
        kinds = vec![first.kind(), second.kind()];
        kinds.dedup();
    }
    let named = genes.below(24);
    let mut contracts: Vec<ContractId> =
        nested.iter().enumerate().filter(|(index, _)| named >= 16 && named >> index & 1 == 1).map(|(_, id)| *id).collect();
    if genes.chance(30) && !others.is_empty() {
        contracts.push(genes.one_of(others));
    }
    let carries = genes.chance(60);
    let carry =
        CarryOver { share: Share::from_ppm(genes.one_of(&[1_000_000, 500_000, 333_333])), windows: genes.one_of(&[2, 1, 3, 0, 2, 3]) };
    let abated_while_late = genes.chance(50);
    let least = if in_money {
        Least::Spend(ramp(contract, genes, |genes| genes.money(18)))
    } else {
        let rate = genes.rate();
        Least::Quantity(ramp(contract, genes, |genes| Quantity::new(genes.size(13))), rate)
    };
    let carry_over = carries.then_some(carry);
    contract.floors.push(Floor { least, per, basis, contracts, meters: kinds, carry_over, abated_while_late });
}

fn prepayment(contract: &Contract, genes: &mut Genes<'_>) -> Prepayment {
    Prepayment {
        amount: genes.money(17),
        due: genes.instant(contract.term),
        credited_from: if genes.chance(20) { genes.instant(contract.term) } else { genes.instant_within(contract.term) },
        credit_periods: 1 + genes.below(14),
        refundable: false,
    }
}

fn add_delivery(contract: &mut Contract, genes: &mut Genes<'_>) {
    let held: Vec<CapacityOf> = contract.capacity.iter().map(|clause| clause.of).collect();
    let site = CapacityOf::Power(SiteId::from_index(0));
    let of = if held.is_empty() || genes.chance(20) {
        genes.one_of(&[site, capacity_of(meters()[0]).unwrap_or(site)])
    } else {
        genes.one_of(&held)
    };
    ensure_capacity(contract, of, genes);
    let amounts: &[i64] = if matches!(of, CapacityOf::Power(_)) { &[1_500, 2_250_000_000] } else { &[4, 1, 50, 2_048] };
    let mut tranches: Vec<Tranche> = (0..=genes.below(3))
        .map(|_| {
            let due = genes.instant(contract.term);
            let late = i64::from(genes.below(100)) * 86_400_000_000 + 7;
            let delivered = match genes.below(4) {
                0 => None,
                1 => Some(due),
                _ => Some(Instant::from_micros(due.micros() + late)),
            };
            Tranche { amount: genes.one_of(amounts), due, delivered }
        })
        .collect();
    tranches.sort_by_key(|tranche| tranche.due);
    let penalty = genes.chance(75).then(|| genes.rate());
    let cap = genes.chance(70).then(|| genes.money(17));
    contract.delivery = Some(Delivery { of, tranches, penalty, cap, exit_after_days: None });
}

fn overflow(genes: &mut Genes<'_>, others: &[ContractId]) -> Overflow {
    match others.first() {
        Some(other) if genes.chance(15) => Overflow::To(*other),
        _ => Overflow::AtRate(genes.rate()),
    }
}

fn add_substitution(contract: &mut Contract, genes: &mut Genes<'_>, others: &[ContractId]) {
    if !others.is_empty() {
        let share = Share::from_ppm(genes.one_of(&[250_000, 333_333, 700_000, 1_000_000]));
        contract.substitutions.push(Substitution { of: genes.one_of(others), share });
    }
}
