//! The lab's money: cash, debt, what comes in and what goes out.

use core::time::Duration;

use units::{Amount, Money, Share, Span};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::id::{Id, WorkloadId};
use crate::keys::{Key, Kind, Shape, may, must, or};
use crate::model::{CashEvent, Finance, Workload, WorkloadKind};
use crate::outlook::{Debt, Terms};
use crate::parse::{Fixed, money};
use crate::reader::Reader;
use crate::rows::Named;

const NAME: Key = must("name", Shape::Text("series F"), "what it is");
const FROM: Key = must("from", Shape::Date, "when, or from when");
const TO: Key = may("to", Shape::Date, "until when, when it is spread");
const AMOUNT: Key = must("amount", Shape::Figure("\"10 GUSD\""), "how much over the whole span");
const PARTY: Key = may("party", Shape::Name(Kind::Party), "from or to whom");
const LIKELIHOOD: Key = or("likelihood", "\"100 %\"", Shape::Figure("\"60 %\""), "how likely it can be had at all");

const COST: &[Key] = &[NAME, FROM, TO, AMOUNT, PARTY];
const RAISE: &[Key] = &[
    NAME,
    FROM,
    TO,
    AMOUNT,
    PARTY,
    LIKELIHOOD,
    may(
        "cost",
        Shape::Figure("\"12 %\""),
        "what it costs beside, such as a dilution: then it is taken as far as it is needed; left out, whole",
    ),
];
const REVENUE: &[Key] = &[
    NAME,
    FROM,
    TO,
    AMOUNT,
    PARTY,
    LIKELIHOOD,
    may("workload", Shape::Name(Kind::Workload), "the serving workload that earns it: what is not served is not earned"),
];

const CASH: &[Key] = &[must("at", Shape::Date, "when it was counted"), must("amount", Shape::Figure("\"10 GUSD\""), "how much")];

const DEBT: &[Key] = &[
    or("owed", "nothing", Shape::Figure("\"2 GUSD\""), "what is owed at the beginning, in the fleet's currency"),
    must("limit", Shape::Ramp("\"10 GUSD\""), "what may be owed at most, in the fleet's currency"),
    must("rate", Shape::Figure("\"8 %\""), "interest a year"),
    may("covenant", Shape::Figure("\"300 %\""), "it may be so much of the last twelve months' revenue at most"),
    may("lender", Shape::Name(Kind::Party), "to whom"),
];

pub(crate) const FINANCE: &[Key] = &[
    may("cash", Shape::Table(CASH), "cash in hand"),
    may("floor", Shape::Figure("\"1 GUSD\""), "below which it must not fall"),
    or("interest", "\"0 %\"", Shape::Figure("\"3 %\""), "what cash earns a year"),
    may("debt", Shape::Table(DEBT), "what the lab owes and may owe"),
    may("revenue", Shape::Tables(REVENUE), "money that customers pay"),
    may("raises", Shape::Tables(RAISE), "raises, loans and other money in"),
    may("costs", Shape::Tables(COST), "costs beside compute"),
];

pub(super) fn finance(row: &Reader<'_>, fixed: &Fixed, workloads: &Named<Workload>) -> Finance {
    let cash = row.table("cash", CASH).and_then(|cash| {
        let (at, amount) = (cash.date("at"), cash.amount("amount"));
        at.zip(amount)
    });
    let floor = row.amount("floor");
    let interest = row.percent("interest", 0, 100).unwrap_or(Share::NONE);
    let debt = row.table("debt", DEBT).and_then(|table| debt(&table, fixed));
    let events = |name: &str, keys: &'static [Key]| {
        let tables = row.tables(name, keys);
        tables.iter().filter_map(|table| event(table, terms(table, name, workloads))).collect()
    };
    Finance {
        cash,
        floor,
        revenue: events("revenue", REVENUE),
        raises: events("raises", RAISE),
        costs: events("costs", COST),
        debt,
        interest,
    }
}

fn debt(table: &Reader<'_>, fixed: &Fixed) -> Option<Debt> {
    let owed = if table.has("owed") { money::not_below_zero(table, "owed", fixed) } else { Some(Money::ZERO) };
    let limit = money::ramp(table, "limit", fixed);
    let rate = table.percent("rate", 0, 1_000);
    let covenant = table.percent("covenant", 0, 100_000);
    let lender = table.named("lender", Kind::Party);
    if let Some((owed, limit)) = owed.zip(limit.as_ref()) {
        let fits = limit.steps().iter().any(|(_, most)| *most >= owed);
        table.check("owed", fits, "is more than `limit` ever allows", "lower it, or raise the limit: no plan could hold it");
    }
    Some(Debt { owed: owed?, limit: limit?, rate: rate?, covenant, lender })
}

/// How sure an event of the list `name` is, and what it costs or depends on.
fn terms(row: &Reader<'_>, name: &str, workloads: &Named<Workload>) -> Terms {
    let sure = |row: &Reader<'_>| if row.has("likelihood") { row.share("likelihood") } else { None }.unwrap_or(Share::ALL);
    match name {
        "revenue" => Terms { likelihood: sure(row), cost: None, earned_by: earned_by(row, workloads) },
        "raises" => Terms { likelihood: sure(row), cost: row.share("cost"), earned_by: None },
        _ => Terms::default(),
    }
}

/// The workload that earns it, which must be asked for to earn anything.
fn earned_by(row: &Reader<'_>, workloads: &Named<Workload>) -> Option<WorkloadId> {
    let id: WorkloadId = row.named("workload", Kind::Workload)?;
    // A workload that could not be read has told its own problem.
    let (name, workload) = workloads.get(id.index())?;
    let problem = match workload.as_ref().map(|workload| &workload.kind) {
        Some(WorkloadKind::Training { .. }) => "is a training job, which serves no customer",
        Some(WorkloadKind::Serving { classes, .. }) if classes.iter().all(|class| class.demand.is_none()) => "has no demand",
        _ => return Some(id),
    };
    let hint =
        "name a serving workload and give one of its classes a `demand`, or leave `workload` out: then it comes in whatever is served";
    row.add(Diagnostic::error(codes::EARNED, &row.span("workload"), format!("`{name}` {problem}, so it can't earn this"), hint));
    None
}

fn event(row: &Reader<'_>, terms: Terms) -> Option<CashEvent> {
    let name = row.text("name");
    let (from, to) = (row.date("from"), row.date("to"));
    let amount: Option<Amount> = row.amount("amount");
    let party = row.named("party", Kind::Party);
    let from = from?;
    let span = row.check_span(Span { from, to: to.unwrap_or(from + Duration::from_micros(1)) }, "from", "to");
    Some(CashEvent { name: name?.to_owned(), span: span?, amount: amount?, party, terms })
}
