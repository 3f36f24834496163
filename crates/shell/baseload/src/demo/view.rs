//! Draws a [`Screen`] on a terminal. Nothing here asks the world anything.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table, Wrap};

use super::screen::{ContractRow, PoolRow, Screen, clock};
use crate::explain::shown;

/// How wide a bar is.
const BAR: u16 = 12;

/// Draws the whole screen, with the selected pool marked.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen, selected: usize) {
    let rows = |count: usize| Constraint::Length(u16::try_from(count).unwrap_or(u16::MAX).saturating_add(3));
    let head = [screen.connect.as_str(), screen.curl.as_str(), screen.totals.as_str()];
    let width = frame.area().width.max(1);
    let height = head.iter().map(|line| u16::try_from(line.chars().count()).unwrap_or(u16::MAX).div_ceil(width)).sum();
    let parts =
        [Constraint::Length(height), rows(screen.pools.len()), rows(screen.contracts.len()), Constraint::Min(4), Constraint::Length(1)];
    let [top, pools, contracts, decisions, keys] = Layout::vertical(parts).areas(frame.area());
    let head = vec![Line::from(head[0]).bold(), Line::from(head[1]).dim(), Line::from(head[2])];
    frame.render_widget(Paragraph::new(head).wrap(Wrap { trim: false }), top);
    frame.render_widget(pool_table(&screen.pools, selected), pools);
    frame.render_widget(contract_table(&screen.contracts), contracts);
    draw_decisions(frame, screen, decisions);
    let help = "up/down select a pool   s stops or starts it (stop north and watch traffic move)   q quits";
    frame.render_widget(Paragraph::new(help).dim(), keys);
}

fn header<'a>(names: &[&'a str]) -> Row<'a> {
    Row::new(names.iter().map(|name| Cell::from(*name))).style(Style::new().add_modifier(Modifier::DIM))
}

/// A bar of `BAR` cells; past the whole it is full and says so.
fn bar(percent: u16) -> String {
    let full = usize::from(percent.min(100).saturating_mul(BAR) / 100);
    format!("{}{}", "█".repeat(full), "░".repeat(usize::from(BAR) - full))
}

fn pool_table<'a>(pools: &'a [PoolRow], selected: usize) -> Table<'a> {
    let rows = pools.iter().enumerate().map(|(index, pool)| {
        let load = u16::try_from(u64::from(pool.running) * 100 / u64::from(pool.slots.max(1))).unwrap_or(u16::MAX);
        let mark = if index == selected { "> " } else { "  " };
        let state = if pool.state == "up" { Span::from(pool.state).green() } else { Span::from(pool.state).red() };
        let row = Row::new([
            Cell::from(format!("{mark}{}", pool.name)),
            Cell::from(state),
            Cell::from(bar(load)),
            Cell::from(format!("{}/{}", pool.running, pool.slots)),
            Cell::from(pool.tokens_per_second.to_string()),
            Cell::from(pool.price.as_str()),
            Cell::from(pool.list.as_str()),
            Cell::from(pool.payer.as_str()),
        ]);
        if index == selected { row.bold() } else { row }
    });
    let widths = [14, 9, BAR, 7, 7, 10, 10, 24].map(Constraint::Length);
    let names = ["  pool", "engine", "load", "running", "out t/s", "marginal", "list", "who pays (price per 1M output tokens)"];
    let widths = [widths[0], widths[1], widths[2], widths[3], widths[4], widths[5], widths[6], Constraint::Min(24)];
    Table::new(rows, widths).header(header(&names)).block(Block::bordered().title(" pools "))
}

fn contract_table(contracts: &[ContractRow]) -> Table<'_> {
    let rows = contracts.iter().map(|row| {
        let floor = row.floor.map_or_else(|| "no floor".to_owned(), |floor| shown(floor, 4));
        let (bar, percent) = row.percent().map_or_else(Default::default, |percent| (bar(percent), format!("{percent} %")));
        let cells = [row.name.clone(), bar, percent, shown(row.used, 4), floor, shown(row.due, 4), clock(row.left)];
        Row::new(cells.map(Cell::from))
    });
    let widths = [24, BAR, 7, 12, 10, 12, 12].map(Constraint::Length);
    let names = ["contract", "floor used", "", "charges", "floor", "due so far", "ends in"];
    Table::new(rows, widths).header(header(&names)).block(Block::bordered().title(" contracts, this period "))
}

fn draw_decisions(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let rows = screen.decisions.iter().map(|row| {
        let cells = [&row.at, &row.request, row.tier, &row.endpoint, &row.contract, &row.cost, &row.why];
        Row::new(cells.map(|text| Cell::from(text.to_owned())))
    });
    let widths = [8, 10, 8, 8, 18, 14].map(Constraint::Length).into_iter().chain([Constraint::Min(20)]);
    let names = ["time", "request", "tier", "went to", "who pays", "score", "why not the others"];
    let table = Table::new(rows, widths).header(header(&names)).block(Block::bordered().title(" last decisions "));
    frame.render_widget(table, area);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use units::Money;

    use super::*;
    use crate::demo::screen::DecisionRow;

    fn screen() -> Screen {
        let money = |micros: i128| Money::from_nanos(micros * 1000);
        let pool = |name: &str, state, running, price: &str| PoolRow {
            name: name.to_owned(),
            state,
            running,
            slots: 4,
            tokens_per_second: running * 17,
            payer: format!("{name}-reserved"),
            price: price.to_owned(),
            list: "4.80".to_owned(),
        };
        let contract = |name: &str, used, floor, due| ContractRow {
            name: name.to_owned(),
            used: money(used),
            floor,
            due: money(due),
            left: Duration::from_secs(192),
        };
        let decision = |request: &str, endpoint: &str, why: &str| DecisionRow {
            at: "12:00:01".to_owned(),
            request: request.to_owned(),
            tier: "priority",
            endpoint: endpoint.to_owned(),
            contract: format!("{endpoint}-reserved"),
            cost: "12.500 µUSD".to_owned(),
            why: why.to_owned(),
        };
        Screen {
            connect: "OPENAI_BASE_URL=http://this-machine/v1 OPENAI_API_KEY=bl-public-secret".to_owned(),
            curl: r#"curl $OPENAI_BASE_URL/chat/completions -H "authorization: Bearer $OPENAI_API_KEY" -d '{"model":"default"}'"#
                .to_owned(),
            totals: "running for 1:42   88 requests   2,480 tokens out".to_owned(),
            pools: vec![pool("north", "up", 2, "0.00"), pool("spill", "died", 0, "1.20"), pool("west", "up", 5, "0.00")],
            contracts: vec![
                contract("northgrid-umbrella", 210_000, Some(money(260_000)), 260_000),
                contract("west-standard", 1_400, None, 1_400),
            ],
            decisions: vec![
                decision("00ab12cd", "north", "spill: dearer by 0.000021 USD; west: full"),
                decision("00ab12ce", "west", "north: down; spill: down"),
            ],
        }
    }

    fn drawn(width: u16, height: u16, screen: &Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
        terminal.draw(|frame| draw(frame, screen, 1)).expect("it draws");
        terminal.backend().to_string()
    }

    #[test]
    fn a_wide_screen_shows_pools_contracts_and_reasons() {
        insta::assert_snapshot!(drawn(120, 22, &screen()));
    }

    #[test]
    fn no_size_of_terminal_breaks_it() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 3)] {
            assert!(!drawn(width, height, &screen()).is_empty());
            assert!(!drawn(width, height, &Screen::default()).is_empty());
        }
    }
}
