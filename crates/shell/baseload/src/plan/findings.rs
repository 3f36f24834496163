//! All that was found about a fleet's months ahead, and the report of it.

use anyhow::Result;
use planner::{Clause, Outline, Plan, diff};
use units::Money;

use super::figures::{money, months, units_of};
use super::headline::headline;
use super::report::chart::{self, Bar, Row};
use super::report::{Cell, Drawn, Line, Section, Table, outline, page};
use super::risk::Risk;
use super::study::Study;
use super::tornado::{Swing, by_likelihood};

/// Swings that are shown.
const SWINGS: usize = 20;

/// All that was found.
pub struct Findings {
    /// What promises come to before anything is decided.
    pub outline: Outline,
    /// The plan and what it is worth.
    pub study: Study,
    /// The plan of the file as it is, when changes were asked about.
    pub before: Option<Plan>,
    /// What scenarios say.
    pub risk: Option<Risk>,
    /// What each range does, widest first.
    pub swings: Vec<Swing>,
    /// Ranges that could not be varied.
    pub unvaried: usize,
    /// The solver's version.
    pub solver: String,
}

impl Findings {
    /// The months, as shown.
    pub fn months(&self) -> Vec<String> {
        months(&self.study.plan, &self.study.fleet.time_zone)
    }

    /// The most important sentences.
    pub fn headline(&self) -> Vec<String> {
        let mut lines = headline(&self.study.fleet, &self.study.plan, &self.months());
        lines.extend(self.risk_line());
        if let Some(swing) = self.swings.first() {
            let currency = &self.study.plan.currency;
            let [low, high] = swing.worth.map(|worth| super::difference::signed(worth, currency));
            lines.push(format!(
                "The assumption that moves the plan's worth most is {}: {} at {}, {} at {}.",
                swing.path, low, swing.ends[0], high, swing.ends[1]
            ));
        }
        if let Some(swing) = by_likelihood(&self.swings).first() {
            let [low, high] = swing.out_of_cash.unwrap_or_default();
            lines.push(format!(
                "The one that moves most how likely it is to run out of cash is {}: {low:+.0} percentage points at {}, {high:+.0} at {}.",
                swing.path, swing.ends[0], swing.ends[1]
            ));
        }
        lines
    }

    fn risk_line(&self) -> Option<String> {
        let risk = self.risk.as_ref()?;
        let last = |summary: &planner::Summary| 100.0 * summary.out_of_cash.last().copied().unwrap_or(0.0);
        let sample = match risk.foresight.count {
            0 => String::new(),
            count => format!(
                " In the first {count} of them it is {:.0} %, where even a plan that knew everything beforehand runs out in {:.0} %.",
                last(&risk.frozen_sample),
                last(&risk.foresight)
            ),
        };
        Some(format!(
            "With contracts as planned, cash runs out by the end in {:.0} % of {} scenarios.{sample}",
            last(&risk.frozen),
            risk.frozen.count
        ))
    }

    /// The report as one HTML text.
    pub fn report(&self) -> Result<String> {
        let (months, plan) = (self.months(), &self.study.plan);
        let drawn = Drawn { fleet: &self.study.fleet, plan, months: &months };
        let fan = self.fan();
        let mut sections = Vec::new();
        sections.extend(self.waterfall()?);
        sections.extend(outline::sections(&self.outline)?);
        sections.push(drawn.cash(fan.as_ref())?);
        sections.extend(self.risks(&months)?);
        sections.push(drawn.capacity()?);
        sections.push(drawn.serving()?);
        sections.push(drawn.meters());
        sections.push(drawn.prices()?);
        sections.push(drawn.power()?);
        sections.push(drawn.merit(months.len() / 2)?);
        sections.extend(self.clauses());
        sections.extend(self.tornado()?);
        sections.push(drawn.provenance());
        sections.retain(|section| !section.title.is_empty());
        page(plan, &months, &self.headline(), &sections)
    }

    /// Cash by month at each part of the fan.
    fn fan(&self) -> Option<[Row; 5]> {
        let risk = self.risk.as_ref()?;
        let names = ["5 %", "25 %", "half", "75 %", "95 %"];
        Some([0, 1, 2, 3, 4].map(|line| Row {
            name: if line == 2 { "median of scenarios".to_owned() } else { names[line].to_owned() },
            values: risk.frozen.cash.iter().map(|parts| parts[line] * risk.money).collect(),
        }))
    }

    fn risks(&self, months: &[String]) -> Result<Option<Section>> {
        let Some(risk) = &self.risk else { return Ok(None) };
        let currency = &self.study.plan.currency;
        let ways = [
            ("contracts as planned", &risk.frozen, None),
            ("contracts as planned, the scenarios of foresight", &risk.frozen_sample, risk.regret_frozen),
            ("contracts as planned, the scenarios planned anew", &risk.frozen_few, None),
            ("planned anew each quarter", &risk.replanned, risk.regret_replanned),
            ("foresight (a bound)", &risk.foresight, None),
        ];
        let share = |parts: &[f64]| parts.iter().map(|part| 100.0 * part).collect::<Vec<_>>();
        let rows: Vec<Row> =
            [0, 3, 4].map(|way| Row { name: ways[way].0.to_owned(), values: share(&ways[way].1.out_of_cash) }).into_iter().collect();
        let sum = |value: f64| format!("{}{currency}", super::figures::scaled(value * risk.money));
        let line = |(name, summary, regret): (&str, &planner::Summary, Option<f64>)| {
            let numbers = [
                summary.count.to_string(),
                format!("{:.1} %", 100.0 * summary.out_of_cash.last().copied().unwrap_or(0.0)),
                sum(summary.gap),
                sum(summary.gap_tail),
                sum(summary.worth),
                sum(summary.worth_tail),
                regret.map_or_else(|| "-".to_owned(), sum),
            ];
            Line::of(std::iter::once(Cell::text(name)).chain(numbers.map(Cell::number)))
        };
        let head = ["way", "scenarios", "out of cash", "missing, mean", "missing, worst 5 %", "worth, mean", "worth, worst 5 %", "regret"];
        let table = Table { head: head.map(str::to_owned).into(), rows: ways.map(line).into(), ..Table::default() };
        Ok(Some(Section {
            title: "What may go wrong".into(),
            about: format!(
                "Seed {}. A scenario moves demand, prices and rents, and draws defaults, delays, shortages and closed raises. Contracts as planned know only the past \
                 and never change what is signed; foresight knows everything; planning anew each quarter lies between.",
                risk.seed
            ),
            charts: vec![chart::lines(months, "% of scenarios out of cash", &rows)?],
            tables: vec![table],
            ..Section::default()
        }))
    }

    fn clauses(&self) -> Option<Section> {
        let currency = &self.study.plan.currency;
        let line = |(clause, price): &(Clause, Money)| Line::of([Cell::text(&clause.name), Cell::number(money(*price, currency))]);
        let rows: Vec<Line> = self.study.clauses.iter().filter(|(_, price)| *price > Money::ZERO).map(line).collect();
        (!rows.is_empty()).then(|| Section {
            title: "What each clause costs".into(),
            about: "How much more the plan would be worth without the clause, all else as it is. Clauses that cost nothing are left out."
                .into(),
            tables: vec![Table { head: vec!["clause".into(), "costs".into()], rows, ..Table::default() }],
            ..Section::default()
        })
    }

    fn tornado(&self) -> Result<Option<Section>> {
        if self.swings.is_empty() {
            return Ok(None);
        }
        let bar = |swing: &Swing, ends: [f64; 2]| Bar {
            name: format!("{}: {} to {}", swing.path, swing.ends[0], swing.ends[1]),
            spans: ends.map(|end| (0.0, end)).into(),
        };
        let worth: Vec<Bar> = self.swings.iter().take(SWINGS).map(|swing| bar(swing, swing.worth.map(units_of))).collect();
        let moving = by_likelihood(&self.swings);
        // Drawn to the left is worse in both charts.
        let likelier = moving.iter().take(SWINGS).filter_map(|swing| Some(bar(swing, swing.out_of_cash?.map(|points| -points))));
        let likelier: Vec<Bar> = likelier.collect();
        let mut charts = vec![chart::bars(&self.study.plan.currency, &worth)?];
        let mut beside = "";
        if !likelier.is_empty() {
            charts.push(chart::bars("percentage points less likely to run out of cash by the end", &likelier)?);
            beside = " The second chart says the same of how likely it is to run out of cash by the end, in the same few scenarios.";
        }
        let skipped =
            if self.unvaried == 0 { String::new() } else { format!(" {} ranges could not be planned at both ends.", self.unvaried) };
        Ok(Some(Section {
            title: "Which assumption moves it most".into(),
            about: format!(
                "What the plan would be worth more, or less, with one figure at either end of its range and all else as it is; what is signed stays.{beside}{skipped}"
            ),
            charts,
            ..Section::default()
        }))
    }

    fn waterfall(&self) -> Result<Option<Section>> {
        let Some(before) = &self.before else { return Ok(None) };
        let (found, plan) = (diff(before, &self.study.plan), &self.study.plan);
        let mut at = 0.0;
        let mut bars = Vec::new();
        for (name, part) in found.parts.iter().filter(|(_, part)| *part != Money::ZERO) {
            let to = at + units_of(*part);
            bars.push(Bar { name: name.clone(), spans: vec![(at, to)] });
            at = to;
        }
        bars.push(Bar { name: "cash at the end".into(), spans: vec![(0.0, at)] });
        let months = self.months();
        let mut words = Vec::new();
        super::difference::say(&found, &plan.currency, &months, &mut words)?;
        Ok(Some(Section {
            title: format!("What changes if {}", plan.what_if.join(" and ")),
            about: "Each kind of money over the whole plan, against the plan of the file as it is.".into(),
            charts: vec![chart::bars(&plan.currency, &bars)?],
            items: String::from_utf8_lossy(&words).lines().map(str::to_owned).collect(),
            ..Section::default()
        }))
    }
}
