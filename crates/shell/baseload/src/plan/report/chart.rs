//! The report's charts, as SVG text. What they show is given as plain numbers by month.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

/// Colours that people with colour blindness can tell apart (Okabe and Ito, 2008), then lighter ones.
const COLOURS: [RGBColor; 10] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(240, 228, 66),
    RGBColor(120, 120, 120),
    RGBColor(150, 200, 170),
    RGBColor(190, 170, 220),
];
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(225, 225, 225);
const SIZE: (u32, u32) = (920, 340);
/// Names that a legend has room for.
const LEGEND: usize = 16;

/// A named row of numbers, one a month.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// By month.
    pub values: Vec<f64>,
}

/// A row of bars, each from one amount to another.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// From what to what.
    pub spans: Vec<(f64, f64)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn svg(height: u32, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (SIZE.0, height)).into_drawing_area();
        draw(&area)?;
        area.present().map_err(broke)?;
    }
    Ok(text)
}

fn broke(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("draw a chart: {error}")
}

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// Layers on top of each other, with lines over them.
pub fn stacked(months: &[String], unit: &str, layers: &[Row], lines: &[Row]) -> Result<String> {
    let count = months.len();
    let mut base = vec![0.0; count];
    let mut tops = Vec::with_capacity(layers.len());
    for layer in layers {
        let top: Vec<f64> = base.iter().zip(&layer.values).map(|(base, value)| base + value).collect();
        tops.push((base.clone(), top.clone()));
        base = top;
    }
    let all = base.iter().chain(lines.iter().flat_map(|row| &row.values)).copied();
    over_months(months, unit, bounds(all), |chart| {
        for (index, (below, top)) in tops.iter().enumerate() {
            let outline = (0..count).map(|at| (at, top[at])).chain((0..count).rev().map(|at| (at, below[at])));
            let shape: Vec<(f64, f64)> = outline.map(|(at, value)| (position(at), value)).collect();
            let series = std::iter::once(Polygon::new(shape, colour(index).mix(0.75).filled()));
            chart.draw_series(series).map_err(broke)?;
        }
        let over = |index: usize| if index == 0 { INK } else { colour(index + 6) };
        draw_lines(chart, lines, over)?;
        let layers = layers.iter().enumerate().map(|(index, layer)| (layer.name.clone(), colour(index).mix(0.75)));
        Ok(layers.chain(lines.iter().enumerate().map(|(index, row)| (row.name.clone(), over(index).mix(1.0)))).collect())
    })
}

/// Lines by month.
pub fn lines(months: &[String], unit: &str, rows: &[Row]) -> Result<String> {
    let all = rows.iter().flat_map(|row| &row.values).copied();
    over_months(months, unit, bounds(all), |chart| {
        draw_lines(chart, rows, colour)?;
        Ok(rows.iter().enumerate().map(|(index, row)| (row.name.clone(), colour(index).mix(1.0))).collect())
    })
}

/// Lines by month in pairs: what is used, and in the same colour but thin its limit.
pub fn pairs(months: &[String], unit: &str, rows: &[(Row, Row)]) -> Result<String> {
    let all = rows.iter().flat_map(|(used, limit)| used.values.iter().chain(&limit.values)).copied();
    over_months(months, unit, bounds(all), |chart| {
        for (index, (used, limit)) in rows.iter().enumerate() {
            for (row, width) in [(used, 3), (limit, 1)] {
                let style = colour(index).stroke_width(width);
                let points = row.values.iter().enumerate().map(|(at, value)| (position(at), *value));
                chart.draw_series(LineSeries::new(points, style)).map_err(broke)?;
            }
        }
        Ok(rows.iter().enumerate().map(|(index, (used, _))| (used.name.clone(), colour(index).mix(1.0))).collect())
    })
}

/// A fan: the outermost quantiles first, the middle one last, and lines over it.
pub fn fan(months: &[String], unit: &str, quantiles: &[Row; 5], rows: &[Row]) -> Result<String> {
    let all = quantiles.iter().chain(rows).flat_map(|row| &row.values).copied();
    over_months(months, unit, bounds(all), |chart| {
        let mut names = Vec::new();
        for (low, high, depth, name) in [(0, 4, 0.18, "5 to 95 %"), (1, 3, 0.35, "25 to 75 %")] {
            let (low, high) = (&quantiles[low].values, &quantiles[high].values);
            let outline = high.iter().enumerate().chain(low.iter().enumerate().rev());
            let shape: Vec<(f64, f64)> = outline.map(|(at, value)| (position(at), *value)).collect();
            let shade = COLOURS[0].mix(depth);
            chart.draw_series(std::iter::once(Polygon::new(shape, shade.filled()))).map_err(broke)?;
            names.push((name.to_owned(), shade));
        }
        draw_lines(chart, std::slice::from_ref(&quantiles[2]), |_| COLOURS[0])?;
        draw_lines(chart, rows, |index| colour(index + 5))?;
        names.push((quantiles[2].name.clone(), COLOURS[0].mix(1.0)));
        names.extend(rows.iter().enumerate().map(|(index, row)| (row.name.clone(), colour(index + 5).mix(1.0))));
        Ok(names)
    })
}

/// Horizontal bars around zero or from one amount to another: tornado and waterfall.
pub fn bars(unit: &str, rows: &[Bar]) -> Result<String> {
    let count = rows.len().max(1);
    let height = u32::try_from(60 + 26 * count)?;
    let (low, high) = bounds(rows.iter().flat_map(|bar| &bar.spans).flat_map(|(from, to)| [*from, *to]));
    svg(height, |area| {
        area.fill(&WHITE).map_err(broke)?;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(24)
            .x_label_area_size(34)
            .y_label_area_size(400)
            .build_cartesian_2d(low..high, 0.0..position(count))
            .map_err(broke)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(1)
            .x_labels(7)
            .bold_line_style(GRID)
            .y_label_formatter(&|_| String::new())
            .x_desc(unit)
            .x_label_formatter(&|value| amount(*value))
            .axis_style(GRID)
            .light_line_style(WHITE)
            .draw()
            .map_err(broke)?;
        let plotting = chart.plotting_area();
        for (index, bar) in rows.iter().enumerate() {
            let at = position(count - 1 - index);
            for (from, to) in &bar.spans {
                let better = if to >= from { COLOURS[2] } else { COLOURS[5] };
                let mut shape = Rectangle::new([(*from, at), (*to, at + 1.0)], better.mix(0.8).filled());
                shape.set_margin(4, 4, 0, 0);
                plotting.draw(&shape).map_err(broke)?;
            }
            let (_, y) = plotting.map_coordinate(&(low, at));
            let (_, above) = plotting.map_coordinate(&(low, at + 1.0));
            let style = ("sans-serif", 13).into_font().color(&INK);
            area.draw(&Text::new(shortened(&bar.name, 62), (12, y.midpoint(above) - 6), style)).map_err(broke)?;
        }
        Ok(())
    })
}

/// Blocks side by side by rising height: a merit order. Each is (name, width, height).
pub fn merit(x_unit: &str, y_unit: &str, blocks: &[(String, f64, f64)]) -> Result<String> {
    let width: f64 = blocks.iter().map(|(_, width, _)| width).sum();
    let (low, high) = bounds(blocks.iter().map(|(.., height)| *height));
    svg(SIZE.1, |area| {
        area.fill(&WHITE).map_err(broke)?;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(230)
            .x_label_area_size(36)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..width.max(1e-9), low..high)
            .map_err(broke)?;
        chart
            .configure_mesh()
            .x_desc(x_unit)
            .y_desc(y_unit)
            .x_label_formatter(&|value| amount(*value))
            .y_label_formatter(&|value| amount(*value))
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .draw()
            .map_err(broke)?;
        let mut from = 0.0;
        for (index, (_, width, height)) in blocks.iter().enumerate() {
            let shape = Rectangle::new([(from, 0.0), (from + width, *height)], colour(index).mix(0.8).filled());
            chart.plotting_area().draw(&shape).map_err(broke)?;
            from += width;
        }
        let names: Vec<_> = blocks.iter().enumerate().map(|(index, (name, ..))| (name.clone(), colour(index).mix(0.8))).collect();
        legend(area, &names)
    })
}

type MonthChart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>>;

/// A chart over the months; `draw` says what it drew, by name and colour.
fn over_months(
    months: &[String],
    unit: &str,
    (low, high): (f64, f64),
    draw: impl FnOnce(&mut MonthChart<'_, '_>) -> Result<Vec<(String, RGBAColor)>>,
) -> Result<String> {
    svg(SIZE.1, |area| {
        area.fill(&WHITE).map_err(broke)?;
        let last = position(months.len().saturating_sub(1)).max(1.0);
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(230)
            .x_label_area_size(30)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..last, low..high)
            .map_err(broke)?;
        chart
            .configure_mesh()
            .y_desc(unit)
            .x_labels(8)
            .x_label_formatter(&|at| month_at(months, *at))
            .y_label_formatter(&|value| amount(*value))
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .draw()
            .map_err(broke)?;
        let names = draw(&mut chart)?;
        legend(area, &names)
    })
}

/// Names beside their colours, to the right of a chart, as far as there is room.
fn legend(area: &Area<'_>, names: &[(String, RGBAColor)]) -> Result<()> {
    for (row, (name, shade)) in (0_i32..).zip(names.iter().take(LEGEND)) {
        let at = (i32::try_from(SIZE.0)? - 222, 14 + 19 * row);
        area.draw(&Rectangle::new([at, (at.0 + 12, at.1 + 11)], shade.filled())).map_err(broke)?;
        let style = ("sans-serif", 12).into_font().color(&INK);
        area.draw(&Text::new(shortened(name, 32), (at.0 + 18, at.1), style)).map_err(broke)?;
    }
    Ok(())
}

fn draw_lines(chart: &mut MonthChart<'_, '_>, rows: &[Row], of: impl Fn(usize) -> RGBColor) -> Result<()> {
    for (index, row) in rows.iter().enumerate() {
        let style = of(index).stroke_width(2);
        let points = row.values.iter().enumerate().map(|(at, value)| (position(at), *value));
        chart.draw_series(LineSeries::new(points, style)).map_err(broke)?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a plan has at most 120 months")]
fn position(at: usize) -> f64 {
    at as f64
}

/// The name at a place on the axis; between two there is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a label's place lies between the first month and the last")]
fn month_at(months: &[String], at: f64) -> String {
    if (at - at.round()).abs() > 1e-6 {
        return String::new();
    }
    months.get(at.round().max(0.0) as usize).cloned().unwrap_or_default()
}

/// From the least to the most with zero between them, and a little room.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.filter(|value| value.is_finite()).fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let room = (high - low).max(1e-9) * 0.05;
    (if low < 0.0 { low - room } else { 0.0 }, high + room)
}

/// A number with three digits that count.
fn amount(value: f64) -> String {
    let size = value.abs();
    for (unit, sign) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if size >= unit {
            return format!("{} {sign}", digits(value / unit));
        }
    }
    digits(value)
}

fn digits(value: f64) -> String {
    let size = value.abs();
    let text = if !(1e-9..100.0).contains(&size) {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}
