//! What the demo shows, as plain values: gathered in one place, drawn in another.

use std::time::Duration;

use fleet::{ContractId, Fleet, Least, Period};
use gateway::RecentDecision;
use market::{Balances, Clause, statement};
use units::{Instant, Money};

use crate::explain;

/// Everything that one picture shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// The line that makes any OpenAI client use this gateway.
    pub connect: String,
    /// A question for it, with that line's variables.
    pub curl: String,
    /// How long it has run, and what it has served.
    pub totals: String,
    /// One per engine.
    pub pools: Vec<PoolRow>,
    /// One per contract.
    pub contracts: Vec<ContractRow>,
    /// The last decisions, newest first.
    pub decisions: Vec<DecisionRow>,
}

/// A pool with its engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolRow {
    /// Its endpoint's name.
    pub name: String,
    /// `up`, `starting`, `died`, `stopped`.
    pub state: &'static str,
    /// Requests sent and not ended.
    pub running: u32,
    /// Requests that it runs at once.
    pub slots: u32,
    /// Output tokens in a second, of late.
    pub tokens_per_second: u32,
    /// Who would pay for the next request.
    pub payer: String,
    /// Its price per million output tokens.
    pub price: String,
    /// What the contract's rates say.
    pub list: String,
}

/// A contract in its present period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContractRow {
    /// Its name.
    pub name: String,
    /// What counted towards the floor, or was charged where there's none.
    pub used: Money,
    /// What must be paid at least.
    pub floor: Option<Money>,
    /// What this period comes to, if nothing more came.
    pub due: Money,
    /// Until the period ends.
    pub left: Duration,
}

impl ContractRow {
    /// The part of the floor that is used, in percent; `None` without one.
    pub fn percent(&self) -> Option<u16> {
        let floor = self.floor.filter(|floor| *floor > Money::ZERO)?;
        let percent = (self.used.nanos().max(0) * 100) / floor.nanos();
        Some(u16::try_from(percent).unwrap_or(u16::MAX))
    }
}

/// A decision as one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionRow {
    /// The time of day in UTC.
    pub at: String,
    /// Its request, shortened.
    pub request: String,
    /// Its class of service.
    pub tier: &'static str,
    /// Where it went.
    pub endpoint: String,
    /// Who pays.
    pub contract: String,
    /// What it was expected to cost in all.
    pub cost: String,
    /// Why the others lost.
    pub why: String,
}

/// A time that is left, as minutes and seconds.
pub fn clock(left: Duration) -> String {
    match left.as_secs() {
        days if days >= 172_800 => format!("{} d", days / 86_400),
        hours if hours >= 7200 => format!("{} h", hours / 3600),
        seconds => format!("{}:{:02}", seconds / 60, seconds % 60),
    }
}

/// A contract's present period; `None` when it isn't in force.
pub fn contract(fleet: &Fleet, balances: &Balances, id: ContractId, now: Instant) -> Option<ContractRow> {
    let terms = &fleet.contracts[id];
    if !terms.in_force(now) {
        return None;
    }
    let index = terms.calendar.index(now);
    let present = statement(fleet, balances, id, index);
    let floor = terms.floors.iter().find_map(|floor| match &floor.least {
        Least::Spend(ramp) => Some((floor, ramp)),
        Least::Quantity(..) => None,
    });
    let (used, least) = match floor {
        None => (charges(fleet, balances, id, now, terms.calendar.period()), None),
        Some((floor, ramp)) => {
            let nest = fleet.nest(id);
            let counted = if floor.contracts.is_empty() { &nest } else { &floor.contracts };
            let window = terms.calendar.with_period(floor.per).span(terms.calendar.with_period(floor.per).index(now));
            let least = ramp.at(window.overlap(terms.term).from);
            (counted.iter().map(|counted| charges(fleet, balances, *counted, now, floor.per)).sum(), least)
        }
    };
    let name = fleet.contracts.name(id).to_owned();
    Some(ContractRow { name, used, floor: least, due: present.due, left: present.span.to.since(now) })
}

/// What a contract charged in the window of length `per` that holds `now`: rates and overflow, no floors or credits.
fn charges(fleet: &Fleet, balances: &Balances, id: ContractId, now: Instant, per: Period) -> Money {
    let calendar = &fleet.contracts[id].calendar;
    let whole = calendar.with_period(per);
    let first = whole.span(whole.index(now)).overlap(fleet.contracts[id].term).from;
    let lines = (calendar.index(first)..=calendar.index(now)).flat_map(|period| statement(fleet, balances, id, period).lines);
    lines.filter(|line| matches!(line.clause, Clause::Rates { .. } | Clause::Overflow)).map(|line| line.money).sum()
}

/// One decision as a line.
pub fn decision(fleet: &Fleet, recent: &RecentDecision) -> DecisionRow {
    let passed = recent.passed_over.iter();
    let mut why: Vec<String> =
        passed.map(|passed| format!("{}: {}", fleet.endpoints.name(passed.endpoint), explain::reason(fleet, passed.reason))).collect();
    why.extend(explain::rule(recent.rule).map(|rule| format!("({rule})")));
    let request = format!("{:08x}", recent.attempt.request.0 >> 96);
    DecisionRow {
        at: jiff::Timestamp::from(recent.at).strftime("%H:%M:%S").to_string(),
        request: if recent.attempt.attempt > 1 { format!("{request}#{}", recent.attempt.attempt) } else { request },
        tier: recent.tier.word(),
        endpoint: fleet.endpoints.name(recent.endpoint).to_owned(),
        contract: fleet.contracts.name(recent.contract).to_owned(),
        cost: explain::micro(recent.cost.total(), fleet.currency),
        why: why.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use fleet::Meter;
    use market::Usage;
    use units::Quantity;

    use super::*;

    #[test]
    fn times_print_short() {
        for (seconds, want) in [(0, "0:00"), (299, "4:59"), (7199, "119:59"), (7200, "2 h"), (172_800, "2 d")] {
            assert_eq!(clock(Duration::from_secs(seconds)), want);
        }
    }

    #[test]
    fn a_floor_is_used_in_percent() {
        let row =
            |used, floor| ContractRow { used: Money::from_nanos(used), floor: Some(Money::from_nanos(floor)), ..ContractRow::default() };
        assert_eq!(
            [row(1, 3).percent(), row(9, 3).percent(), row(-1, 3).percent(), row(1, 0).percent()],
            [Some(33), Some(300), Some(0), None]
        );
    }

    /// 500 output tokens on spill at 60 USD a million are 3 cents: with the reservation's 20 they leave 3 of the floor of 26.
    #[test]
    fn nested_charges_count_towards_the_umbrella() {
        let fleet = fleet::parse(crate::demo::FLEET).fleet.expect("the laptop fleet is valid");
        let id = |name| fleet.contracts.id(name).expect("it is there");
        // 2026-11-22T07:06:00Z, a minute into a period.
        let now = Instant::from_micros(1_795_331_160_000_000);
        let (mut balances, quantity) = (Balances::default(), Quantity::new(500));
        let meter = Meter::OutputTokens(fleet.model("default").expect("it is there"));
        let shown = |balances: &Balances, name| {
            let row = contract(&fleet, balances, id(name), now).expect("it is in force");
            (row.percent(), row.used.to_string(), row.due.to_string(), clock(row.left))
        };
        let text = |used: &str, due: &str| (used.to_owned(), due.to_owned(), "4:00".to_owned());
        let with = |percent, (used, due, left): (String, String, String)| (percent, used, due, left);
        assert_eq!(shown(&balances, "northgrid-umbrella"), with(Some(76), text("0.20", "0.06")));
        balances.post(&fleet, &Usage { contract: id("spill-on-demand"), meter, at: now, held: quantity, used: quantity });
        assert_eq!(shown(&balances, "spill-on-demand"), with(None, text("0.03", "0.03")));
        assert_eq!(shown(&balances, "northgrid-umbrella"), with(Some(88), text("0.23", "0.03")));
        assert!(contract(&fleet, &balances, id("spill-on-demand"), Instant::MAX).is_none());
    }
}
