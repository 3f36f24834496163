//! Runs what the guides show: each `console` or `sh` block whose lines begin with `$ `, against the built binary.
//!
//! The blocks of a page run in order in one new folder. Lines below a command are the output that it must give; `...` stands
//! for any text within a line, and alone for any lines. `[exit 2]` as the last line states an exit status other than 0.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{env, fs};

use crate::finding::{Finding, TaskError};

const SECONDS_MAX: &str = "60";

/// One command of a page and what it must print.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    output: Vec<String>,
    exit: i32,
}

/// Runs the named pages, or README.md and all of docs/, and reports each command that does otherwise than shown.
pub fn check(root: &Path, files: &[String]) -> Result<Vec<Finding>, TaskError> {
    let pages = if files.is_empty() { pages(root)? } else { files.to_vec() };
    let binaries = binaries(root);
    let mut findings = Vec::new();
    for page in pages {
        let text = fs::read_to_string(root.join(&page)).map_err(|source| TaskError::File { path: page.clone(), source })?;
        let folder = tempfile::tempdir()?;
        for step in steps(&text) {
            findings.extend(run(&page, &step, folder.path(), root, &binaries)?);
        }
    }
    Ok(findings)
}

fn pages(root: &Path) -> Result<Vec<String>, TaskError> {
    let mut pages = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root.join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    pages.sort();
    Ok(pages)
}

fn binaries(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("debug")
}

/// The commands of all runnable blocks.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    let mut first = 0;
    for (index, line) in text.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            in_block = !in_block && matches!(language.trim(), "console" | "sh");
            first = steps.len();
        } else if in_block {
            match (line.strip_prefix("$ "), steps.get_mut(first..).and_then(<[Step]>::last_mut)) {
                (Some(command), _) => {
                    steps.push(Step { line: index + 1, command: command.to_owned(), output: Vec::new(), exit: 0 });
                }
                (None, Some(step)) => match exit(line) {
                    Some(status) => step.exit = status,
                    None => step.output.push(line.to_owned()),
                },
                (None, None) => {}
            }
        }
    }
    steps
}

fn exit(line: &str) -> Option<i32> {
    line.strip_prefix("[exit ")?.strip_suffix(']')?.parse().ok()
}

fn run(page: &str, step: &Step, folder: &Path, root: &Path, binaries: &Path) -> Result<Option<Finding>, TaskError> {
    let path = env::var("PATH").unwrap_or_default();
    // A file rather than a pipe: what a command leaves running must not hold us up.
    let mut written: File = tempfile::tempfile()?;
    let status: ExitStatus = Command::new("timeout")
        .args([SECONDS_MAX, "sh", "-c", &step.command])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", binaries.display()))
        .env("NO_COLOR", "1")
        .env("REPOSITORY", root)
        .stdin(std::process::Stdio::null())
        .stdout(written.try_clone()?)
        .stderr(written.try_clone()?)
        .status()?;
    written.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    written.read_to_end(&mut bytes)?;
    let output = String::from_utf8_lossy(&bytes).into_owned();
    Ok(judge(step, &output, status.code()).map(|fault| Finding::at(page, step.line, fault)))
}

/// What is wrong with a command's output, if anything; a command shown without output may print what it likes.
fn judge(step: &Step, output: &str, exit: Option<i32>) -> Option<String> {
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    let expected: Vec<&str> = step.output.iter().map(|line| line.trim_end()).collect();
    let command = &step.command;
    if exit != Some(step.exit) {
        let ended = exit.map_or_else(|| "by a signal".to_owned(), |status| format!("with {status}"));
        return Some(format!("`{command}` ended {ended}, not {}, and printed:\n{output}", step.exit));
    }
    let agrees = expected.is_empty() || matches(&expected, &lines, "...", line_matches);
    (!agrees).then(|| format!("`{command}` does not print what is shown, but:\n{output}"))
}

fn line_matches(pattern: &str, line: &str) -> bool {
    let Some((start, middle_and_end)) = pattern.split_once("...") else { return pattern == line };
    let (middle, end) = middle_and_end.rsplit_once("...").unwrap_or(("", middle_and_end));
    let Some(mut rest) = line.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)) else { return false };
    for part in middle.split("...") {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

/// Whether `items` are the `pattern`, in which `any` stands for any number of them.
fn matches(pattern: &[&str], items: &[&str], any: &str, same: impl Fn(&str, &str) -> bool + Copy) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while item < items.len() {
        if pattern.get(at) == Some(&any) {
            back = Some((at, item));
            at += 1;
        } else if pattern.get(at).is_some_and(|pattern| same(pattern, items[item])) {
            (at, item) = (at + 1, item + 1);
        } else if let Some((wild, from)) = back {
            (at, item) = (wild + 1, from + 1);
            back = Some((wild, from + 1));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|pattern| *pattern == any)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{check, judge, line_matches, steps};

    fn page(text: &str) -> Vec<String> {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        fs::create_dir(root.path().join("docs")).expect("the folder is new");
        fs::write(root.path().join("README.md"), "").expect("the folder can be written");
        fs::write(root.path().join("docs/a.md"), text).expect("the folder can be written");
        check(root.path(), &[]).expect("pages can be run").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn commands_run_in_order_in_one_folder_and_print_what_is_shown() {
        assert_eq!(page("```console\n$ echo one > a\n```\n```sh\n$ cat a; echo two; exit 3\no...e\n...\n[exit 3]\n```\n"), [""; 0]);
    }

    #[test]
    fn other_output_and_another_status_are_found_with_their_line() {
        assert_eq!(page("```console\n$ echo one\ntwo\n```\n"), ["docs/a.md:2: `echo one` does not print what is shown, but:\none\n"]);
        assert_eq!(page("```sh\n\n$ exit 4\n```\n"), ["docs/a.md:3: `exit 4` ended with 4, not 0, and printed:\n"]);
    }

    #[test]
    fn text_and_files_are_not_run() {
        assert!(steps("```text\n$ exit 1\n```\n```toml\na = 1\n```\n$ exit 1\n").is_empty());
    }

    #[test]
    fn dots_stand_for_any_text() {
        for (pattern, line, same) in [
            ("a...", "abc", true),
            ("...c", "abc", true),
            ("a...c", "abc", true),
            ("a...b...c", "a1b2c", true),
            ("a...b...c", "a1c", false),
            ("abc", "abcd", false),
            ("a...b", "a", false),
        ] {
            assert_eq!(line_matches(pattern, line), same, "{pattern} {line}");
        }
    }

    #[test]
    fn dots_alone_stand_for_any_lines() {
        let step = |output: &str| steps(&format!("```sh\n$ x\n{output}```\n")).pop().expect("the block has a command");
        let agrees = |shown: &str, printed: &str| judge(&step(shown), printed, Some(0)).is_none();
        assert!(agrees("a\n...\nd\n", "a\nb\nc\nd\n"));
        assert!(agrees("a\n...\n", "a\n"));
        assert!(agrees("...\nb\n...\nb\n", "b\na\nb\n"));
        assert!(!agrees("a\n...\nd\n", "a\nd\ne\n"));
        assert!(!agrees("a\n", "a\nb\n"));
        assert!(!agrees("...\nb\n", "a\n"));
    }
}
