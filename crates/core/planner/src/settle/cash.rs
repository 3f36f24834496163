//! Cash by month, again and exactly, from what the plan's quantities come to.

use std::collections::BTreeMap;

use fleet::{CashEvent, Fleet, PoolId};
use units::{Money, Quantity};

use super::Settling;
use super::account::{MILLION, joules};
use super::bills::earned;
use super::venture::portion;
use crate::plan::{MonthMoney, Plan, Raised};

/// Months in a year.
const YEAR: usize = 12;

/// Fills `raised` and `money`, and says by how much the solver's cash differs at most: but for credits, which a statement takes as early as it can
/// and the solver, where money earns nothing, whenever it likes.
pub(super) fn count(settling: &Settling<'_>, credited: &[Money], plan: &mut Plan) -> Money {
    let fleet = settling.fleet;
    let finance = &fleet.finance;
    let in_fleet = |amount: units::Amount, at| fleet.in_fleet_currency(amount.money, amount.currency, at).unwrap_or(amount.money);
    let begins = plan.months.first().map_or(units::Instant::MIN, |month| month.span.from);
    let mut cash = finance.cash.map_or(Money::ZERO, |(_, amount)| in_fleet(amount, begins));
    let mut debt = finance.debt.as_ref().map_or(Money::ZERO, |debt| debt.owed);
    let mut taken = vec![Money::ZERO; settling.instance.treasury.windows.len()];
    let (mut residual, mut earlier) = (Money::ZERO, Money::ZERO);
    for (month, credits) in credited.iter().enumerate() {
        let mut money = given(settling, plan, month, (cash, debt));
        let floor = finance.floor.map_or(Money::ZERO, |floor| in_fleet(floor, last(plan, month)));
        let floor = finance.cash.map(|_| floor);
        let mut needs = Needs { settling, begins, month, room: room(settling, plan, &money, month), money: &mut money, taken: &mut taken };
        let raised = needs.follow_solver((cash, debt), floor);
        plan.raised.extend(raised);
        (cash, debt) = (money.cash, money.debt);
        let theirs: f64 = settling.answer.credited.iter().filter_map(|months| months.get(month)).sum();
        earlier += *credits - settling.money(theirs);
        let solver = settling.answer.cash.get(month).map_or(cash, |cash| settling.money(*cash) + earlier);
        residual = residual.max(cash - solver).max(solver - cash);
        plan.money.push(money);
    }
    residual
}

/// All money of a month that does not depend on how it is financed.
fn given(settling: &Settling<'_>, plan: &Plan, month: usize, (cash, debt): (Money, Money)) -> MonthMoney {
    let fleet = settling.fleet;
    let finance = &fleet.finance;
    let span = plan.months[month].span;
    let sum = |events: &[CashEvent], counts: &dyn Fn(&CashEvent) -> bool| -> Money {
        events.iter().filter(|event| counts(event)).map(|event| portion(fleet, event.amount, event.span, span)).sum()
    };
    let ventures = fleet.ventures.iter().map(|(_, venture)| venture).filter(|venture| founded(settling, venture.party));
    let stakes = ventures.flat_map(|venture| &venture.stakes).filter(|stake| stake.party.is_none());
    let paid_in: Money = stakes.map(|stake| portion(fleet, stake.amount, stake.span, span)).sum();
    let rate = finance.debt.as_ref().map_or(0, |debt| debt.rate.ppm());
    let monthly = |money: Money, ppm: i64| money.times_ratio(i128::from(ppm), 12 * MILLION);
    MonthMoney {
        interest: monthly(cash, finance.interest.ppm()),
        revenue: sum(&finance.revenue, &|event| event.terms.earned_by.is_none()) + earned(settling, plan, month),
        raised: sum(&finance.raises, &|event| event.terms.cost.is_none()),
        other: -sum(&finance.costs, &|_| true) - paid_in,
        debt_interest: monthly(debt, rate),
        contracts: plan.due.iter().filter(|due| due.month == month).map(|due| due.paid).sum(),
        energy: energy(&settling.decided, plan, month),
        capex: capex(settling, plan, month),
        ..MonthMoney::default()
    }
}

/// Whether the lab pays into a venture with this party: not where its one contract with it is an offer that it does not sign.
fn founded(settling: &Settling<'_>, party: fleet::PartyId) -> bool {
    let with: Vec<_> = settling.fleet.contracts.iter().filter(|(.., terms)| terms.party == party).collect();
    let [(contract, _, terms)] = with.as_slice() else { return true };
    let offered = terms.status == fleet::Status::Discussed && terms.offer.is_some();
    !offered || settling.decided.contracts[*contract].status == fleet::Status::Signed
}

/// What the energy of all sites costs in a month.
fn energy(fleet: &Fleet, plan: &Plan, month: usize) -> Money {
    let used = used(fleet, plan, month);
    let cost =
        |(site, _, row): (_, &str, &fleet::Site)| row.energy.cost(Quantity::new(joules(fleet, site, plan.months[month].span, &used)));
    fleet.sites.iter().map(cost).sum()
}

/// Accelerator-milliseconds that work uses in a month, by pool.
pub(super) fn used(fleet: &Fleet, plan: &Plan, month: usize) -> BTreeMap<PoolId, i64> {
    let mut used = BTreeMap::new();
    for flow in plan.flows.iter().filter(|flow| plan.steps[flow.step].0 == month) {
        if let Some(pool) = flow.pool.as_ref().and_then(|name| fleet.pools.id(name)) {
            *used.entry(pool).or_default() += flow.quantity;
        }
    }
    used
}

/// What is paid for what is ordered in a month.
fn capex(settling: &Settling<'_>, plan: &Plan, month: usize) -> Money {
    let fleet = settling.fleet;
    let cost = |added: &crate::plan::Added| {
        let terms = &fleet.contracts[fleet.contracts.id(&added.contract)?];
        let each = terms.expansions.get(added.clause)?.capex?;
        let money = Money::from_nanos(each.nanos().saturating_mul(i128::from(added.count)));
        Some(fleet.in_fleet_currency(money, terms.currency, last(plan, month)).unwrap_or(money))
    };
    plan.added.iter().filter(|added| added.month == month).filter_map(cost).sum()
}

/// The most that may be owed at the end of a month.
fn room(settling: &Settling<'_>, plan: &Plan, money: &MonthMoney, month: usize) -> Money {
    let Some(debt) = &settling.fleet.finance.debt else { return Money::ZERO };
    let limit = debt.limit.at(last(plan, month)).unwrap_or(Money::ZERO);
    let Some(covenant) = debt.covenant else { return limit };
    let revenue = |month: usize| plan.money.get(month).map_or(money.revenue, |earlier| earlier.revenue);
    let before = i64::try_from((YEAR - 1).saturating_sub(month)).unwrap_or(0);
    let year: Money = (month.saturating_sub(YEAR - 1)..=month).map(revenue).sum();
    let year = year + Money::from_nanos(revenue(0).nanos() * i128::from(before));
    limit.min(Money::from_nanos(covenant.of(year).nanos()).at_least_zero())
}

/// A month's last instant, at which amounts of the month are converted.
fn last(plan: &Plan, month: usize) -> units::Instant {
    units::Instant::from_micros(plan.months[month].span.to.micros() - 1)
}

/// How a month is financed.
struct Needs<'a> {
    settling: &'a Settling<'a>,
    begins: units::Instant,
    month: usize,
    room: Money,
    money: &'a mut MonthMoney,
    taken: &'a mut [Money],
}

impl Needs<'_> {
    /// Draws, repays and raises as the solver did; what rounding then lacks to the floor is drawn or raised beside, and else missing.
    fn follow_solver(&mut self, (cash, debt): (Money, Money), floor: Option<Money>) -> Vec<Raised> {
        let settling = self.settling;
        let solver = |amounts: &[f64]| amounts.get(self.month).map_or(Money::ZERO, |amount| settling.cents(*amount).at_least_zero());
        let mut repaid = solver(&settling.answer.repaid).min(debt);
        let mut drawn = solver(&settling.answer.drawn);
        let over = (debt + drawn - repaid - self.room).at_least_zero();
        let less = over.min(drawn);
        drawn -= less;
        repaid = (repaid + over - less).min(debt);
        let mut raised: Vec<Money> = (0..self.taken.len()).map(|window| self.planned(window)).collect();
        let windows: Money = raised.iter().copied().sum();
        let before = self.balance(cash) + windows + drawn - repaid;
        let mut missing = floor.map_or(Money::ZERO, |floor| (floor - before).at_least_zero());
        let more = missing.min((self.room - debt - drawn + repaid).at_least_zero());
        let kept = more.min(repaid);
        (repaid, drawn, missing) = (repaid - kept, drawn + more - kept, missing - more);
        for (window, raised) in raised.iter_mut().enumerate() {
            let more = missing.min(self.left(window) - *raised);
            (*raised, missing) = (*raised + more, missing - more);
        }
        (self.money.drawn, self.money.repaid, self.money.gap) = (drawn, repaid, missing);
        let rows = raised.into_iter().enumerate().filter_map(|(window, amount)| {
            self.taken[window] += amount;
            let name = settling.instance.treasury.windows[window].name.clone();
            (amount > Money::ZERO).then_some(Raised { month: self.month, name, amount })
        });
        let rows: Vec<Raised> = rows.collect();
        self.money.raised += rows.iter().map(|raised| raised.amount).sum::<Money>();
        self.money.cash = self.balance(cash) + drawn - repaid + missing;
        self.money.debt = debt + drawn - repaid;
        rows
    }

    /// Cash before debt and gap.
    fn balance(&self, cash: Money) -> Money {
        let money = &self.money;
        cash + money.interest + money.revenue + money.raised + money.other
            - money.debt_interest
            - money.contracts
            - money.energy
            - money.capex
    }

    /// What a window still has in this month.
    fn left(&self, window: usize) -> Money {
        let terms = &self.settling.instance.treasury.windows[window];
        let open = (terms.open.0..terms.open.1).contains(&self.month);
        if open { (self.settling.most_raised(&terms.name, self.begins) - self.taken[window]).at_least_zero() } else { Money::ZERO }
    }

    fn planned(&self, window: usize) -> Money {
        let amount = self.settling.answer.raised.get(window).and_then(|months| months.get(self.month)).copied().unwrap_or(0.0);
        self.settling.cents(amount).at_least_zero().min(self.left(window))
    }
}
