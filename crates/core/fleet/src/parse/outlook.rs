//! What the plan covers, how the world may move, how much may rest on whom, and who said so.

use units::{Instant, Share, Span};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::{Key, Kind, Shape, may, must, or, words};
use crate::outlook::{Block, Cap, Horizon, Of, Risk, Source};
use crate::parse::mishap::MONTHS_MAX;
use crate::reader::Reader;

/// Blocks of a month at most: each multiplies the plan's size.
const BLOCKS_MAX: usize = 6;
/// How far the weighted demand of all blocks may be from the mean, in parts per million.
const DEMAND_SLACK_PPM: i64 = 1_000;

pub(crate) const SOURCE: &[Key] = &[
    must("speaker", Shape::Text("Wall Street Journal"), "who said it"),
    may("says", Shape::Text("300 G$ over five years"), "what was said, in short"),
    may("when", Shape::Text("2025-09"), "when: a date, a month or a year, as text"),
];

const BLOCK: &[Key] = &[
    must("name", Shape::Text("peak"), "what it is called"),
    must("hours", Shape::Figure("\"30 %\""), "its share of the hours; all blocks together are 100 %"),
    must("demand", Shape::Figure("\"140 %\""), "demand in it over the month's mean; with the hours as weights the mean is 100 %"),
];

pub(crate) const PLAN: &[Key] = &[
    or("from", "that of `finance.cash.at`, else of the first contract", Shape::Date, "a date in its first month"),
    or("months", "up to the last contract's end, at most 120", Shape::Figure("72"), "how many months"),
    or("gap", "\"0.01 %\"", Shape::Figure("\"0.01 %\""), "how far from the best its choices may be"),
    or("blocks", "one", Shape::Tables(BLOCK), "parts of each month with their own demand, at most 6"),
];

const OFS: [(&str, Of); 2] = [("spend", Of::Spend), ("work", Of::Work)];
const OF_WORDS: &[&str] = &words(&OFS);

pub(crate) const CAP: &[Key] = &[
    must("party", Shape::Name(Kind::Party), "on whom, as a supplier or as a maker of chips"),
    must("share", Shape::Figure("\"70 %\""), "which share at most, in each month"),
    must("of", Shape::Word(OF_WORDS), "of money spent on compute, or of accelerator-hours used, weighed by peak arithmetic"),
    or("from", "always", Shape::Date, "from when it holds"),
    or("to", "always", Shape::Date, "until when"),
];

pub(crate) const RISK: &[Key] = &[
    or("demand", "\"0 %\"", Shape::Figure("\"20 %\""), "volatility of demand, a year"),
    or("price_drift", "\"0 %\"", Shape::Figure("\"-30 %\""), "drift of the price that customers pay per token, a year"),
    or("price", "\"0 %\"", Shape::Figure("\"15 %\""), "volatility of that price, a year"),
    or("rent", "\"0 %\"", Shape::Figure("\"40 %\""), "volatility of on-demand and spot rents, a year"),
    or(
        "common",
        "\"0 %\"",
        Shape::Figure("\"50 %\""),
        "which share of the variance of all these, of defaults and of delays is one market's",
    ),
];

pub(super) fn source(row: &Reader<'_>) -> Option<Source> {
    let (says, when) = (row.text("says").map(str::to_owned), row.text("when").map(str::to_owned));
    Some(Source { speaker: row.text("speaker")?.to_owned(), says, when })
}

pub(super) fn horizon(row: &Reader<'_>) -> Horizon {
    let from = row.date("from");
    let months = row.count("months", 1, MONTHS_MAX).and_then(|months| u32::try_from(months).ok());
    let gap = row.share("gap");
    Horizon { from, months, blocks: blocks(row), gap }
}

fn blocks(row: &Reader<'_>) -> Vec<Block> {
    let tables = row.tables("blocks", BLOCK);
    let read: Vec<_> = tables.iter().map(block).collect();
    if tables.len() > BLOCKS_MAX {
        let message = format!("`blocks` has {} entries", tables.len());
        let hint = format!("a month has at most {BLOCKS_MAX} blocks: put together those with like demand");
        row.add(Diagnostic::error(codes::RANGE, &row.span("blocks"), message, hint));
    }
    for (index, table) in tables.iter().enumerate() {
        let name = table.text("name");
        let same = tables[..index].iter().find(|earlier| name.is_some() && earlier.text("name") == name);
        if let Some(earlier) = same {
            let problem = Diagnostic::error(codes::TWICE, &table.span("name"), "two blocks have this name", "give each its own");
            row.add(problem.related(&earlier.span("name"), "first here"));
        }
    }
    let Some(blocks) = read.into_iter().collect::<Option<Vec<_>>>() else { return Vec::new() };
    check_sums(row, &blocks);
    blocks
}

fn block(table: &Reader<'_>) -> Option<Block> {
    let name = table.text("name");
    let (hours, demand) = (table.share("hours"), table.percent("demand", 0, 10_000));
    Some(Block { name: name?.to_owned(), hours: hours?, demand: demand? })
}

/// Whether the blocks are a whole month, with its mean demand.
fn check_sums(row: &Reader<'_>, blocks: &[Block]) {
    if blocks.is_empty() {
        return;
    }
    let hours: i64 = blocks.iter().map(|block| block.hours.ppm()).sum();
    let weighted: i128 = blocks.iter().map(|block| i128::from(block.hours.ppm()) * i128::from(block.demand.ppm())).sum();
    let demand = i64::try_from(units::round_half_even(weighted, 1_000_000)).unwrap_or(i64::MAX);
    let whole = Share::ALL.ppm();
    let (what, sum) = if hours != whole {
        ("the hours of all blocks come to", hours)
    } else if (demand - whole).abs() > DEMAND_SLACK_PPM {
        ("the demand of all blocks, weighted with their hours, comes to", demand)
    } else {
        return;
    };
    let message = format!("{what} {}", Share::from_ppm(sum));
    let hint = "the hours add up to 100 %, and so does demand x hours: the blocks say when in the month demand comes, not how much it is";
    row.add(Diagnostic::error(codes::SUM, &row.span("blocks"), message, hint));
}

pub(super) fn cap(row: &Reader<'_>) -> Option<Cap> {
    let (party, share, of) = (row.named("party", Kind::Party), row.share("share"), row.word("of", &OFS));
    let span = span(row);
    Some(Cap { party: party?, share: share?, of: of?, span: span? })
}

/// From `from` to `to`, either of which may be left out.
fn span(row: &Reader<'_>) -> Option<Span> {
    let (from, to) = (row.date("from"), row.date("to"));
    let from = if row.has("from") { from? } else { Instant::MIN };
    let to = if row.has("to") { to? } else { Instant::MAX };
    row.check_span(Span { from, to }, "from", "to")
}

pub(super) fn risk(row: &Reader<'_>) -> Risk {
    let yearly = |name: &str, least: i64| row.percent(name, least, 1_000).unwrap_or(Share::NONE);
    Risk {
        demand: yearly("demand", 0),
        price_drift: yearly("price_drift", -99),
        price: yearly("price", 0),
        rent: yearly("rent", 0),
        common: row.share("common").unwrap_or(Share::NONE),
    }
}
