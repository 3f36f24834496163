//! The live view: draws four times a second, listens to keys.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::screen::Screen;
use super::view;
use crate::exit::Exit;
use crate::log;

const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// Whether there is a terminal to draw on and to read keys from.
pub fn there_is_one() -> bool {
    io::stdout().is_terminal() && io::stdin().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Up,
    Down,
    Toggle,
    End(Exit),
}

fn asked(key: KeyEvent) -> Asked {
    match key.code {
        _ if key.kind == KeyEventKind::Release => Asked::Nothing,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Asked::End(Exit::Interrupted),
        KeyCode::Char('q') | KeyCode::Esc => Asked::End(Exit::Done),
        KeyCode::Up | KeyCode::Char('k') => Asked::Up,
        KeyCode::Down | KeyCode::Char('j') => Asked::Down,
        KeyCode::Char('s') => Asked::Toggle,
        _ => Asked::Nothing,
    }
}

/// Shows the view until a key ends it or `over` is set; blocks. `toggle` stops or starts the pool of a row.
pub fn show(mut gather: impl FnMut() -> Screen, toggle: impl Fn(usize), over: &Arc<AtomicBool>) -> Result<Option<Exit>> {
    let mut terminal = ratatui::try_init().context("prepare the terminal")?;
    log::keep();
    let ended = (|| {
        let mut selected = 0;
        terminal.clear()?;
        while !over.load(Ordering::Relaxed) {
            let screen = gather();
            terminal.draw(|frame| view::draw(frame, &screen, selected))?;
            let next = Instant::now() + REDRAW_EVERY;
            while event::poll(next.saturating_duration_since(Instant::now()))? {
                let Event::Key(key) = event::read()? else { break };
                match asked(key) {
                    Asked::Nothing => continue,
                    Asked::Up => selected = selected.saturating_sub(1),
                    Asked::Down => selected = (selected + 1).min(screen.pools.len().saturating_sub(1)),
                    Asked::Toggle => toggle(selected),
                    Asked::End(exit) => return Ok(Some(exit)),
                }
                break;
            }
        }
        Ok(None)
    })();
    let restored = ratatui::try_restore().context("give the terminal back");
    log::release();
    let ended = ended.map_err(|error: io::Error| anyhow::Error::from(error).context("draw on the terminal"))?;
    restored.map(|()| ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ask_for_what_the_last_line_says() {
        let plain = |code| asked(KeyEvent::new(code, KeyModifiers::NONE));
        let found = [KeyCode::Up, KeyCode::Down, KeyCode::Char('s'), KeyCode::Char('q'), KeyCode::Char('c')].map(plain);
        assert_eq!(found, [Asked::Up, Asked::Down, Asked::Toggle, Asked::End(Exit::Done), Asked::Nothing]);
        let interrupt = asked(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert_eq!(interrupt, Asked::End(Exit::Interrupted));
    }
}
