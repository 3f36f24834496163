//! `baseload plan --outline` as a person and a script see it: no solver is asked for, and none is there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Columns that a screen has.
const WIDTH: usize = 110;

fn fleet(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fleets").join(name)
}

/// Runs `baseload plan FLEET --outline` where no solver was ever put.
fn run(name: &str, args: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_baseload"));
    command.arg("plan").arg(fleet(name)).arg("--outline").args(args).current_dir(home.path()).env_clear().env("HOME", home.path());
    command.output().expect("baseload runs")
}

/// What it prints, once it is done, fits a terminal and does not depend on anything else.
fn screen(name: &str) -> String {
    let output = run(name, &[]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH && line.trim_end() == line, "{name}: {line:?}");
    }
    text
}

/// The screen has these lines; spaces between columns count as one.
fn check(name: &str, expected: &[&str]) {
    let screen = screen(name);
    let lines: Vec<String> = screen.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in expected {
        assert!(lines.iter().any(|shown| shown == line), "{name} has no line {line:?}:\n{screen}");
    }
}

#[test]
fn openai_on_one_screen() {
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!("outline_openai", screen("openai-2025.toml")) });
}

/// 30 + 45 + 60 + 75 + 90 = 300, and 30 + 45 + 60 = 135.
#[test]
fn what_a_lab_promised_stands_first() {
    check("openai-2025.toml", &["due under oracle - 30.0 45.0 60.0 75.0 90.0 300.0", "cumulative - 30.0 75.0 135.0 210.0 300.0"]);
    let screen = screen("openai-2025.toml").split_whitespace().collect::<Vec<_>>().join(" ");
    let burn = "Beside \"115 G$ of cash burnt from 2025 to 2029\" [S067 The Information, after an investor document]: from 2026 to 2029 the first \
                3 years of oracle alone come to 135.0 GUSD,";
    assert!(screen.contains(burn), "{screen}");
}

/// 64 + 302 + 609 + 978 + 1145 is 3097 after rounding each year; 400 in cash less 113 and 967 is -680.
#[test]
fn money_is_in_the_fleets_currency_and_one_unit() {
    check(
        "mistral-2025.toml",
        &[
            "revenue if all is served 64 302 609 978 1145 3097",
            "cash without raises 287 -680 -753 -389 144",
            "cash with certain raises 1987 1020 947 1311 1844",
            "cash with all raises 1987 1020 2086 3011 3544",
            "needed by then, to keep 50 MEUR - 730 803 439 -",
        ],
    );
    check(
        "midsize.toml",
        &[
            "reservation (committed, prepaid) 172 101 - 273 no source given",
            "- Nothing is due until it is used: hourly, openhost, standard.",
        ],
    );
}

#[test]
fn scripts_get_the_same_as_json() {
    let output = run("openai-2025.toml", &["--json"]);
    let outline: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(outline["years"], serde_json::json!([2026, 2027, 2028, 2029, 2030, 2031]));
    let oracle = outline["obligations"].as_array().expect("a list").iter().find(|it| it["row"]["label"] == "oracle").expect("it is signed");
    assert_eq!(oracle["row"]["evidence"]["facts"][0]["id"], "S001");
}
