//! Sections of the report as text for a terminal.

use std::io::Write;

use anyhow::Result;
use planner::Outline;

use super::report::outline::plain;
use super::report::{Cell, Line, Section, Table};

/// Columns that a screen has; a table of nearly ten years, or more, goes past them.
const WIDTH: usize = 110;
/// A column of text that is cut down keeps its longest word, as long as that has no more than this.
const TEXT_MIN: usize = 18;
/// Between two columns.
const GAP: usize = 2;
/// How to read it.
const ABOUT: &str = "This is what follows if the fleet file were true; it is no forecast. Each line of a table rests on facts, and who said \
                     them stands below, and on so many figures that whoever wrote the file assumed. \
                     The first and the last year may be covered in part.";

/// What promises come to, as the first screens of a plan.
pub fn screen(outline: &Outline, out: &mut dyn Write) -> Result<()> {
    let years = outline.years.first().zip(outline.years.last());
    let years = years.map(|(first, last)| format!(", {first} to {last}")).unwrap_or_default();
    writeln!(out, "{}: what its promises come to{years}, before anything is decided", outline.name)?;
    paragraph(out, "", ABOUT)?;
    plain(outline).iter().try_for_each(|section| print(section, out))
}

/// The first section alone: what is promised, in short.
pub fn short(outline: &Outline, out: &mut dyn Write) -> Result<()> {
    plain(outline).first().map_or(Ok(()), |section| print(section, out))
}

/// A section: its title, what it is about, sentences, tables.
fn print(section: &Section, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "\n{}\n{}", section.title, "=".repeat(width(&section.title)))?;
    if !section.about.is_empty() {
        paragraph(out, "", &section.about)?;
    }
    for item in &section.items {
        paragraph(out, "- ", item)?;
    }
    section.tables.iter().try_for_each(|table| self::table(table, out))
}

/// Lines of whole words; `mark` stands before the first, and as much space before the others.
fn paragraph(out: &mut dyn Write, mark: &str, text: &str) -> Result<()> {
    for (at, line) in wrapped(text, WIDTH - mark.len()).iter().enumerate() {
        let before = if at == 0 { mark.to_owned() } else { " ".repeat(mark.len()) };
        writeln!(out, "{before}{line}")?;
    }
    Ok(())
}

fn table(table: &Table, out: &mut dyn Write) -> Result<()> {
    writeln!(out)?;
    if !table.caption.is_empty() {
        writeln!(out, "{}:", table.caption)?;
    }
    let columns = columns(table);
    let is_text = |index: usize| table.rows.iter().any(|row| row.cells.get(index).is_some_and(|cell| cell.text));
    let head = table.head.iter().enumerate().map(|(index, name)| Cell { shown: name.clone(), text: is_text(index) });
    line(&columns, &Line::of(head), out)?;
    let rule = columns.iter().map(|column| "-".repeat(*column)).collect::<Vec<_>>().join(&" ".repeat(GAP));
    writeln!(out, "{rule}")?;
    let mut above = true;
    for row in &table.rows {
        if row.sum && !above {
            writeln!(out, "{rule}")?;
        }
        above = row.sum;
        line(&columns, row, out)?;
    }
    Ok(())
}

/// How wide each column is: as its longest cell, until texts have to give way for the whole to fit.
fn columns(table: &Table) -> Vec<usize> {
    let cells = |index: usize| table.rows.iter().filter_map(move |row| row.cells.get(index));
    let longest_word = |text: &String| text.split(' ').map(width).max().unwrap_or(0);
    let least = |index: usize| cells(index).map(|cell| longest_word(&cell.shown)).max().unwrap_or(0).min(TEXT_MIN);
    let widest = |(index, name): (usize, &String)| {
        let least = if cells(index).any(|cell| cell.text) { width(name) } else { longest_word(name) };
        cells(index).map(|cell| width(&cell.shown)).max().unwrap_or(0).max(least)
    };
    let mut columns: Vec<usize> = table.head.iter().enumerate().map(widest).collect();
    let gaps = GAP * columns.len().saturating_sub(1);
    while columns.iter().sum::<usize>() + gaps > WIDTH {
        let texts = (0..columns.len()).filter(|index| cells(*index).any(|cell| cell.text) && columns[*index] > least(*index));
        let Some(widest) = texts.max_by_key(|index| columns[*index]) else { break };
        columns[widest] -= 1;
    }
    columns
}

/// A row on as many lines as its longest text takes; numbers stand on the first.
fn line(columns: &[usize], row: &Line, out: &mut dyn Write) -> Result<()> {
    let cells: Vec<Vec<String>> = row.cells.iter().zip(columns).map(|(cell, column)| wrapped(&cell.shown, *column)).collect();
    for at in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
        let mut text = String::new();
        for ((cell, lines), column) in row.cells.iter().zip(&cells).zip(columns) {
            let part = lines.get(at).map_or("", String::as_str);
            let space = " ".repeat(column.saturating_sub(width(part)));
            let (before, after) = if cell.text { ("", space.as_str()) } else { (space.as_str(), "") };
            text.extend([before, part, after, &" ".repeat(GAP)]);
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// Lines of at most so many characters, broken between words; a word that is longer is broken where it must be.
/// What is indented stays so.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let indent = text.len() - text.trim_start().len();
    if indent > 0 {
        let lines = wrapped(text.trim_start(), most.saturating_sub(indent));
        return lines.into_iter().map(|line| format!("{}{line}", " ".repeat(indent))).collect();
    }
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        let line = lines.last_mut().expect("there is one from the start");
        if !line.is_empty() && width(line) + 1 + width(&word) <= most {
            line.push(' ');
            line.push_str(&word);
            continue;
        }
        while width(&word) > most.max(1) {
            let rest: String = word.chars().skip(most.max(1)).collect();
            let cut = word.chars().take(most.max(1)).collect();
            lines.push(cut);
            word = rest;
        }
        lines.push(word);
    }
    if lines.len() > 1 && lines[0].is_empty() {
        lines.remove(0);
    }
    lines
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_if_they_can() {
        let check = |text: &str, most: usize, expected: &[&str]| assert_eq!(wrapped(text, most), expected, "{text} in {most}");
        check("", 5, &[""]);
        check("a bb ccc", 4, &["a bb", "ccc"]);
        check("in-house-at-oracle pays", 9, &["in-house-", "at-oracle", "pays"]);
        check("  cumulative sum", 12, &["  cumulative", "  sum"]);
        check("Cafétech says", 8, &["Cafétech", "says"]);
    }

    #[test]
    fn texts_give_way_and_numbers_do_not() {
        let long = "a sentence that goes on and on, ".repeat(9);
        let rows = vec![Line::of([Cell::text("oracle"), Cell::number("300.0"), Cell::text(long)])];
        let table = Table { head: ["contract", "2027", "rests on"].map(str::to_owned).into(), rows, ..Table::default() };
        let columns = columns(&table);
        assert_eq!((columns[0], columns[1], columns.iter().sum::<usize>() + 2 * GAP), (8, 5, WIDTH));
        let mut out = Vec::new();
        self::table(&table, &mut out).expect("memory takes it");
        let text = String::from_utf8(out).expect("text");
        assert!(text.lines().all(|line| width(line) <= WIDTH) && text.contains("oracle    300.0  a sentence"), "{text}");
    }
}
