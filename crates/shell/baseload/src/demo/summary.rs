//! What a run cost, and what it would have cost under each policy: the journaled questions decided again, the real
//! settled tokens priced at whichever contract would have paid. Queueing is not simulated again.

use std::collections::BTreeMap;

use anyhow::Result;
use dispatch::{Policy, Question, Settlement, decide, postings};
use fleet::{ContractId, EndpointId, Fleet, MeterKind};
use market::{Balances, Usage, statement};
use units::{Instant, Money, Span};

use crate::explain::shown;

/// A request that was decided and settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What its first decision saw.
    pub question: Question,
    /// How it ended in the end.
    pub settled: Settlement,
}

/// What a policy would have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which policy.
    pub policy: Policy,
    /// The amounts due of all contracts, in the fleet's currency.
    pub due: Money,
    /// What SLO misses were expected to cost, as each decision saw it.
    pub misses: Money,
    /// Requests by endpoint.
    pub placed: BTreeMap<EndpointId, usize>,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The billing periods that it touched, whole.
    pub span: Span,
    /// As the ledger has it.
    pub booked: Money,
    /// Under every policy, ours first.
    pub outcomes: Vec<Outcome>,
    /// Requests replayed.
    pub requests: usize,
    /// Their tokens, in and out.
    pub tokens: (u64, u64),
}

/// From the first instant of the earliest billing period that `run` touches to the end of the latest.
pub fn touched(fleet: &Fleet, run: Span) -> Span {
    let periods = fleet.contracts.iter().filter(|(.., terms)| terms.in_force(run.from) || terms.in_force(run.to));
    let spans = periods.flat_map(|(.., terms)| [run.from, run.to].map(|at| terms.period(terms.calendar.index(at))));
    spans.fold(run, |all, span| Span { from: all.from.min(span.from), to: all.to.max(span.to) })
}

/// The amounts due of every contract's periods within `span`, in the fleet's currency; what has no exchange rate is left out.
pub fn due(fleet: &Fleet, balances: &Balances, span: Span) -> Money {
    let of = |id: ContractId| -> Money {
        let terms = &fleet.contracts[id];
        let span = span.overlap(terms.term);
        if span.is_empty() {
            return Money::ZERO;
        }
        let last = Instant::from_micros(span.to.micros() - 1);
        let periods = terms.calendar.index(span.from)..=terms.calendar.index(last);
        let due: Money = periods.map(|period| statement(fleet, balances, id, period).due).sum();
        fleet.in_fleet_currency(due, terms.currency, span.from).unwrap_or(Money::ZERO)
    };
    fleet.contracts.iter().map(|(id, ..)| of(id)).sum()
}

/// Replays the cases under every policy. `books` are the real ones: they give the held time, which no policy here changes.
pub fn summary(fleet: &Fleet, books: &Balances, cases: &[Case], span: Span) -> Summary {
    let outcomes = Policy::ALL.into_iter().map(|policy| outcome(fleet, books, cases, policy, span)).collect();
    let add = |sum: (u64, u64), case: &Case| (sum.0 + u64::from(case.settled.tokens.input), sum.1 + u64::from(case.settled.tokens.output));
    let tokens = cases.iter().fold((0, 0), add);
    Summary { span, booked: due(fleet, books, span), outcomes, requests: cases.len(), tokens }
}

fn outcome(fleet: &Fleet, books: &Balances, cases: &[Case], policy: Policy, span: Span) -> Outcome {
    let (mut balances, mut misses, mut placed) = (held(fleet, books, span), Money::ZERO, BTreeMap::new());
    for case in cases {
        let question = Question { policy, ..case.question.clone() };
        // A question that had an answer has one under every policy: eligibility does not depend on it.
        let Ok(decision) = decide(fleet, &question) else { continue };
        misses += decision.cost.slo_miss;
        *placed.entry(decision.endpoint).or_default() += 1;
        let settled = Settlement { endpoint: decision.endpoint, contract: decision.contract, ..case.settled };
        postings(fleet, &settled).iter().for_each(|usage| balances.post(fleet, usage));
    }
    Outcome { policy, due: due(fleet, &balances, span), misses, placed }
}

/// What was posted within the span that is not tokens: held accelerators and units, energy.
fn held(fleet: &Fleet, books: &Balances, span: Span) -> Balances {
    let mut balances = Balances::default();
    for (contract, period, meter, total) in books.iter() {
        let tokens = matches!(meter.kind(), MeterKind::InputTokens | MeterKind::CachedTokens | MeterKind::OutputTokens);
        let at = fleet.contracts[contract].period(period).from;
        if !tokens && span.contains(at) {
            balances.post(fleet, &Usage { contract, meter, at, held: total.held, used: total.used });
        }
    }
    balances
}

/// Prints the summary as a table.
pub fn write(summary: &Summary, fleet: &Fleet, out: &mut dyn std::io::Write) -> Result<()> {
    let Summary { span, booked, requests, tokens, .. } = summary;
    writeln!(out, "{requests} requests settled, {} tokens in, {} tokens out", tokens.0, tokens.1)?;
    writeln!(out, "billing periods touched: {} to {}, each counted whole, as if nothing more came", span.from, span.to)?;
    writeln!(out, "booked: {} {}", shown(*booked, 4), fleet.currency)?;
    writeln!(out, "\nreplayed from the journal under each policy, floors and committed charges included:")?;
    writeln!(
        out,
        "  {:<20} {:>8} {:>16} {:>9} {:>11}   where requests went",
        "policy", "cost", "expected misses", "together", "above ours"
    )?;
    let ours = summary.outcomes.first().map_or(Money::ZERO, |outcome| outcome.due + outcome.misses);
    for outcome in &summary.outcomes {
        let placed: Vec<_> =
            outcome.placed.iter().map(|(endpoint, count)| format!("{} {count}", fleet.endpoints.name(*endpoint))).collect();
        let together = outcome.due + outcome.misses;
        let [due, misses, above] = [outcome.due, outcome.misses, together - ours].map(|money| shown(money, 4));
        let (name, together) = (outcome.policy.name(), shown(together, 4));
        writeln!(out, "  {name:<20} {due:>8} {misses:>16} {together:>9} {above:>11}   {}", placed.join(", "))?;
    }
    writeln!(
        out,
        "Each decision is taken again on what it saw live, at the prices of then, and pays for the tokens that the request really"
    )?;
    writeln!(out, "took. Expected misses are what late answers lose by the workload's own figures; no bill has them. Queueing is not")?;
    writeln!(
        out,
        "simulated again: a policy that would have crowded a pool pays here neither for the waiting nor for the misses that follow."
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dispatch::{Ask, AttemptId, Health, KeyScope, Known, Needs, RequestId, Seen, SeenAll};
    use fleet::Meter;
    use market::{Flow, Forecast, Tokens, price_sheet};
    use units::{Quantity, Share};

    use super::*;

    /// 2026-11-22T07:06:00Z, a minute into a billing period of the laptop fleet.
    const NOW: i64 = 1_795_331_160_000_000;

    fn fleet() -> Arc<Fleet> {
        Arc::new(fleet::parse(super::super::FLEET).fleet.expect("the laptop fleet is valid"))
    }

    /// So much is expected on spill that the umbrella's floor is sure to be met: its tokens cost what they list at.
    fn busy(fleet: &Fleet) -> Forecast {
        let (contract, model) = (fleet.contracts.id("spill-on-demand"), fleet.model("default"));
        let meter = Meter::OutputTokens(model.expect("it is there"));
        let flow = Flow { per_hour: Quantity::new(100_000_000), error: Share::from_ppm(100_000) };
        Forecast { flows: [((contract.expect("it is there"), meter), flow)].into(), ..Forecast::default() }
    }

    /// A request of 1,000 tokens in and 1,000 out that saw all endpoints idle, and really went to `to`.
    fn case(fleet: &Fleet, number: u64, to: &str) -> Case {
        let now = Instant::from_micros(NOW + i64::try_from(number).expect("small") * 1_000_000);
        let (model, tokens) = (fleet.model("default").expect("it is there"), Tokens { input: 1000, cached: 0, output: 1000 });
        let sheet = price_sheet(fleet, &Balances::default(), &busy(fleet), now);
        let seen = fleet.endpoints.iter().map(|(endpoint, ..)| Seen {
            endpoint,
            health: Health::Up,
            outstanding: 0,
            service_us: 500_000,
            ttft_us: 100_000,
            tpot_us: 20_000,
            arrivals_per_ks: 500,
            cached_tokens: 0,
            units_left: [100_000, 0, 0, 0],
            tried: false,
            expressible: true,
            price: sheet.price(endpoint).copied(),
        });
        let id = RequestId(number.into());
        let ask = Ask {
            id,
            sequence: number,
            model,
            tier: fleet::ServiceTier::Default,
            needs: Needs::default(),
            tokens,
            output_max: 1000,
            input_least: 1000,
            scope: KeyScope::default(),
        };
        let (valid_until, usable_until) = (sheet.valid_until, sheet.usable_until);
        let question = Question {
            now,
            fleet: fleet.version,
            policy: Policy::MarginalCost,
            valid_until,
            usable_until,
            ask,
            wish: None,
            funds: None,
            seen: seen.collect::<SeenAll>(),
        };
        let endpoint = fleet.endpoints.id(to).expect("it is there");
        let settled = Settlement {
            attempt: AttemptId { request: id, attempt: 1 },
            endpoint,
            in_units: false,
            contract: fleet.covering(endpoint)[0],
            fleet: fleet.version,
            outcome: dispatch::Outcome::Answered,
            tokens,
            known: Known::Reported,
            list: Money::ZERO,
            started: now,
            first_content: Some(now),
            ended: now,
        };
        Case { question, settled }
    }

    /// What is due whatever happens: 22 cents for the umbrella's floor and 10 cents for the units, in one period. 2 cents of the
    /// floor are open beside the reservation; a request of 1,000 + 1,000 tokens costs 0.6 cents on spill. So ten of them there
    /// (round robin) come to 4 cents beyond the floor, and thirty (the lowest list price) to 16.
    #[test]
    fn each_policy_pays_for_where_it_would_have_sent_the_tokens() {
        let fleet = fleet();
        let cases: Vec<Case> = (0..30).map(|number| case(&fleet, number, "north")).collect();
        let run = Span { from: Instant::from_micros(NOW), to: Instant::from_micros(NOW + 30_000_000) };
        let span = touched(&fleet, run);
        assert_eq!((span.from.to_string(), span.to.to_string()), ("2026-11-22T07:05:00Z".to_owned(), "2026-11-22T07:10:00Z".to_owned()));
        let mut said = Vec::new();
        write(&summary(&fleet, &Balances::default(), &cases, span), &fleet, &mut said).expect("it can be written");
        insta::assert_snapshot!(String::from_utf8(said).expect("text"));
    }
}
