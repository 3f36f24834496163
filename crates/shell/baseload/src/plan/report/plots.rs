//! Sections that a plan and its fleet fill by themselves.

use std::collections::BTreeMap;

use anyhow::Result;
use fleet::Fleet;
use planner::{MonthPrice, Plan};
use units::{MeterUnit, Money};

use super::chart::{self, Row};
use super::sections::{Cell, Line, Section, Table};
use crate::plan::figures::{hours, money, rough, scaled, units_of};

/// What the plots are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// The fleet as planned.
    pub fleet: &'a Fleet,
    /// The plan.
    pub plan: &'a Plan,
    /// Its months, as shown.
    pub months: &'a [String],
}

impl Drawn<'_> {
    fn month_of(self, step: usize) -> usize {
        self.plan.steps.get(step).map_or(0, |(month, _)| *month)
    }

    fn blank(self) -> Vec<f64> {
        vec![0.0; self.months.len()]
    }

    /// Rows by name, each with what `add` puts into its months.
    fn rows<T>(self, items: impl IntoIterator<Item = T>, of: impl Fn(&T) -> Option<(String, usize, f64)>) -> Vec<Row> {
        let mut rows: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (name, month, value) in items.into_iter().filter_map(|item| of(&item)) {
            rows.entry(name).or_insert_with(|| self.blank())[month] += value;
        }
        rows.into_iter().map(|(name, values)| Row { name, values }).collect()
    }

    fn total(self, name: &str, rows: &[Row]) -> Row {
        let mut values = self.blank();
        for row in rows {
            values.iter_mut().zip(&row.values).for_each(|(sum, value)| *sum += value);
        }
        Row { name: name.to_owned(), values }
    }

    /// Mean accelerators and their facility megawatts in a month, from accelerator-milliseconds on a pool.
    fn accelerators(self, pool: &str, milliseconds: i64, month: usize) -> Option<(f64, f64)> {
        let pool = &self.fleet.pools[self.fleet.pools.id(pool)?];
        let count = rough(milliseconds) / 3.6e6 / hours(&self.plan.months[month]);
        let watts = rough(self.fleet.accelerators[pool.accelerator].power.count()) * rough(self.fleet.sites[pool.site].pue_ppm) / 1e6;
        Some((count, count * watts / 1e6))
    }

    /// Where accelerators work, by contract, beside what there is.
    pub fn capacity(self) -> Result<Section> {
        let used = |megawatts: bool| {
            self.rows(&self.plan.flows, |flow| {
                let month = self.month_of(flow.step);
                let (count, power) = self.accelerators(flow.pool.as_ref()?, flow.quantity, month)?;
                Some((flow.contract.clone(), month, if megawatts { power } else { count }))
            })
        };
        let there = self.rows(&self.plan.prices, |price| {
            let (count, _) = self.accelerators(price.pool.as_ref()?, price.there?, price.month)?;
            Some(("there is".to_owned(), price.month, count))
        });
        if used(false).is_empty() {
            return Ok(Section::default());
        }
        Ok(Section {
            title: "Capacity and what uses it".into(),
            about: "Accelerators at work by contract, as the month's mean, beside what contracts and pools have; then the facility power they take.".into(),
            charts: vec![
                chart::stacked(self.months, "accelerators", &used(false), &there)?,
                chart::stacked(self.months, "MW at work", &used(true), &[])?,
            ],
            ..Section::default()
        })
    }

    /// What is asked for and what is served.
    pub fn serving(self) -> Result<Section> {
        let per_month = |served: bool| {
            self.rows(&self.plan.served, |row| {
                let tokens = rough(if served { row.served } else { row.wanted }) / 1e12;
                Some((format!("{} {}", row.workload, row.tier.word()), self.month_of(row.step), tokens))
            })
        };
        let wanted = self.total("wanted", &per_month(false));
        if per_month(true).is_empty() {
            return Ok(Section::default());
        }
        Ok(Section {
            title: "What is served".into(),
            about: "Tokens served a month by workload and tier, beside what is wanted.".into(),
            charts: vec![chart::stacked(self.months, "T tokens a month", &per_month(true), &[wanted])?],
            ..Section::default()
        })
    }

    /// Cash, debt and what is missing; with risk, as a fan.
    pub fn cash(self, fan: Option<&[Row; 5]>) -> Result<Section> {
        let row = |name: &str, of: &dyn Fn(&planner::MonthMoney) -> Money| Row {
            name: name.to_owned(),
            values: self.plan.money.iter().map(|month| units_of(of(month))).collect(),
        };
        let rows = [row("cash as planned", &|month| month.cash), row("debt", &|month| month.debt)];
        let unit = &self.plan.currency;
        let mut charts = Vec::new();
        if let Some(fan) = fan {
            charts.push(chart::fan(self.months, unit, fan, &rows)?);
        } else {
            charts.push(chart::lines(self.months, unit, &rows)?);
        }
        let flows = [
            row("revenue", &|month| month.revenue),
            row("raised", &|month| month.raised),
            row("contracts", &|month| -month.contracts),
            row("energy and capex", &|month| -(month.energy + month.capex)),
            row("other", &|month| month.other),
            row("missing", &|month| month.gap),
        ];
        charts.push(chart::lines(self.months, &format!("{unit} a month"), &flows)?);
        let about = if fan.is_some() {
            "Cash at each month's end as planned, and how it spreads over the scenarios when contracts stay as the plan signs them."
        } else {
            "Cash at each month's end, and what moves it."
        };
        Ok(Section { title: "Cash".into(), about: about.into(), charts, ..Section::default() })
    }

    /// Paid by contract and year, and what of it buys nothing.
    pub fn meters(self) -> Section {
        let mut years: Vec<String> = self.months.iter().map(|month| month[..4].to_owned()).collect();
        years.dedup();
        let year = |month: usize| years.iter().position(|year| *year == self.months[month.min(self.months.len() - 1)][..4]).unwrap_or(0);
        let mut due: BTreeMap<&str, Vec<(Money, Money)>> = BTreeMap::new();
        for row in &self.plan.due {
            let cells = due.entry(&row.contract).or_insert_with(|| vec![(Money::ZERO, Money::ZERO); years.len()]);
            let shorts = self.plan.shorts.iter().filter(|short| short.contract == row.contract && short.period == row.period);
            let cell = &mut cells[year(row.month)];
            cell.0 += row.due;
            cell.1 += shorts.map(|short| short.money).sum();
        }
        let shown = |(contract, cells): (&&str, &Vec<(Money, Money)>)| {
            let currency = self.fleet.contracts.id(contract).map_or("", |id| self.fleet.contracts[id].currency.code()).to_owned();
            let cells = cells.iter().map(|(due, short)| {
                let unused = if *short > Money::ZERO { format!(" ({} for nothing)", money(*short, &currency)) } else { String::new() };
                Cell::number(format!("{}{unused}", money(*due, &currency)))
            });
            Line::of(std::iter::once(Cell::text(*contract)).chain(cells))
        };
        let head = std::iter::once("contract".to_owned()).chain(years.iter().cloned()).collect();
        let table = Table { head, rows: due.iter().map(shown).collect(), ..Table::default() };
        Section {
            title: "What contracts come to".into(),
            about: "Due by contract and calendar year; in brackets what a minimum asks for beyond what is used.".into(),
            tables: vec![table],
            ..Section::default()
        }
    }

    /// What one more unit costs, by supply and month.
    pub fn prices(self) -> Result<Section> {
        let on = |price: &MonthPrice| price.pool.clone().or_else(|| price.endpoint.clone()).unwrap_or_default();
        let name = |price: &MonthPrice| format!("{} on {}", price.contract, on(price));
        let tape = |pools: bool| {
            self.rows(self.plan.prices.iter().filter(|price| price.pool.is_some() == pools), |price| {
                Some((name(price), price.month, units_of(price.total)))
            })
        };
        let mut charts = Vec::new();
        let units = [
            (true, format!("{} an accelerator-hour", self.plan.currency)),
            (false, format!("{} per M tokens, or a unit-hour", self.plan.currency)),
        ];
        for (pools, unit) in units {
            let rows = tape(pools);
            if !rows.is_empty() {
                charts.push(chart::lines(self.months, &unit, &rows)?);
            }
        }
        let head = ["supply", "month", "list", "energy", "floor credit", "power", "capacity", "total", "one less", "one more"];
        let side = |side: Option<Money>| side.map_or_else(|| "-".to_owned(), price);
        let line = |row: &MonthPrice| {
            let parts = [row.list, row.energy, row.floor_credit, row.power, row.capacity, row.total].map(|part| Cell::number(price(part)));
            let sides = [row.capacity_less, row.capacity_more].map(|it| Cell::number(side(it)));
            Line::of([Cell::text(name(row)), Cell::text(&self.months[row.month])].into_iter().chain(parts).chain(sides))
        };
        let rows = self.plan.prices.iter().filter(|price| price.planned > 0 || price.total != price.list).map(line).collect();
        let table = Table {
            caption: "Every price with its parts, and what capacity is worth with one unit less and one more".into(),
            head: head.map(str::to_owned).into(),
            rows,
            folded: true,
        };
        Ok(Section {
            title: "What one more unit costs".into(),
            about: "List price, energy, what a minimum gives back, and what scarce power and capacity are worth to others.".into(),
            charts,
            tables: vec![table],
            ..Section::default()
        })
    }

    /// Site power, used and limit.
    pub fn power(self) -> Result<Section> {
        let row = |limit: bool| {
            self.rows(&self.plan.sites, |price| {
                let name = format!("{}{}", price.site, if limit { ": limit" } else { "" });
                Some((name, price.month, rough(if limit { price.limit } else { price.used }) / 1e6))
            })
        };
        let worth = self.rows(&self.plan.sites, |price| {
            let worth = units_of(price.less.or(price.more)?);
            Some((price.site.clone(), price.month, worth))
        });
        if self.plan.sites.is_empty() {
            return Ok(Section::default());
        }
        let used = row(false).into_iter().zip(row(true)).filter(|(used, _)| used.values.iter().any(|value| *value > 0.0));
        let mut charts = vec![chart::pairs(self.months, "MW of the facility", &used.collect::<Vec<_>>())?];
        if worth.iter().any(|row| row.values.iter().any(|value| *value > 0.0)) {
            charts.push(chart::lines(self.months, &format!("{} for one MWh less", self.plan.currency), &worth)?);
        }
        Ok(Section {
            title: "Power at the sites".into(),
            about: "What accelerators take (thick) beside each site's limit (thin); where the limit binds, what a megawatt-hour is worth."
                .into(),
            charts,
            ..Section::default()
        })
    }

    /// Ways to serve a million tokens in one month, cheapest first.
    pub fn merit(self, month: usize) -> Result<Section> {
        let mut served: BTreeMap<(String, String), (f64, f64)> = BTreeMap::new();
        for flow in self.plan.flows.iter().filter(|flow| self.month_of(flow.step) == month) {
            let is_serving = self.plan.served.iter().any(|row| row.workload == flow.workload);
            let found = self.plan.prices.iter().find(|price| {
                let sold = (&price.contract, &price.pool, &price.endpoint, price.unit);
                price.month == month && sold == (&flow.contract, &flow.pool, &flow.endpoint, flow.unit)
            });
            if let Some(found) = found.filter(|_| is_serving && flow.done > 0) {
                // Accelerator-hours and unit-hours have 3.6 million base units, tokens a million in what the price is per.
                let per = if flow.unit == MeterUnit::Token { 1e6 } else { 3.6e6 };
                let cost = units_of(found.list + found.energy) * rough(flow.quantity) / per;
                let place = flow.pool.clone().or_else(|| flow.endpoint.clone()).unwrap_or_default();
                let entry = served.entry((flow.workload.clone(), format!("{} on {place}", flow.contract))).or_default();
                *entry = (entry.0 + rough(flow.done), entry.1 + cost);
            }
        }
        let mut blocks: Vec<(String, f64, f64)> = served
            .into_iter()
            .map(|((work, supply), (tokens, cost))| (format!("{supply}: {work}"), tokens / 1e12, cost / tokens * 1e6))
            .collect();
        blocks.sort_by(|a, b| a.2.total_cmp(&b.2).then_with(|| a.0.cmp(&b.0)));
        if blocks.is_empty() {
            return Ok(Section::default());
        }
        let unit = format!("{} per M tokens", self.plan.currency);
        Ok(Section {
            title: format!("Merit order, {}", self.months[month]),
            about: "What the plan serves in that month, cheapest first: list price and energy of the next token. What is committed is paid anyway, so it costs its energy.".into(),
            charts: vec![chart::merit("T tokens", &unit, &blocks)?],
            ..Section::default()
        })
    }

    /// Where each figure comes from.
    pub fn provenance(self) -> Section {
        let rows = self.fleet.figures.iter().map(|(path, note)| {
            let source = note.source.as_ref().and_then(|id| self.fleet.sources.get(id));
            let who = match (&note.source, source) {
                (Some(id), Some(source)) => format!("{id}: {}", source.speaker),
                (Some(text), None) => text.clone(),
                (None, _) => String::new(),
            };
            let says = source.map(|source| [source.says.clone(), source.when.clone()].into_iter().flatten().collect::<Vec<_>>().join(", "));
            let range = note.range.as_ref().map(|(low, high)| format!("{low} to {high}")).unwrap_or_default();
            let kind = if note.assumption { "assumption" } else { "fact" };
            Line::of([path.clone(), kind.to_owned(), range, who, says.unwrap_or_default()].map(Cell::text))
        });
        let table = Table {
            caption: "Every figure that says where it comes from".into(),
            head: ["figure", "kind", "range", "who says so", "what, and when"].map(str::to_owned).into(),
            rows: rows.collect(),
            folded: true,
        };
        Section {
            title: "Facts and assumptions".into(),
            about: "Contradicting figures are scenarios, not averages; an assumption is the fleet's author's own.".into(),
            tables: vec![table],
            ..Section::default()
        }
    }
}

/// A price with three digits and no unit.
fn price(money: Money) -> String {
    scaled(units_of(money)).trim_end().to_owned()
}
