//! The command line as scripts see it: help, errors, exit codes. No network, no service.

use std::path::Path;
use std::process::{Command, Output};

/// Runs `baseload` with these arguments in `folder`, where it also keeps its state and models.
fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baseload"));
    command.args(args).current_dir(folder).env_clear().env("HOME", folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.output().expect("baseload runs")
}

/// Everything a person sees, with the exit code; the folder's name and the port are not part of it.
fn seen(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder.display().to_string(), "FOLDER").replace("8080", "PORT");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let mark = |err: &str| if err.is_empty() { String::new() } else { format!("--- stderr\n{err}") };
    format!("{out}{}--- exit {}", mark(&err), output.status.code().unwrap_or(-1))
}

fn check(name: &str, args: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("broken.toml"), "format = 1\nname = \"lab\"\ncurency = \"USD\"\n").expect("a file");
    std::fs::write(folder.path().join("laptop.toml"), include_str!("../../../../fleets/laptop.toml")).expect("a file");
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, format!("$ baseload {}\n{}", args.join(" "), seen(folder.path(), args)));
    });
}

#[test]
fn help_names_every_command_that_works() {
    check("help", &["--help"]);
    for command in ["demo", "up", "key", "ledger", "decision", "model", "solver"] {
        check(&format!("help_{command}"), &[command, "--help"]);
    }
}

#[test]
fn wrong_usage_is_code_2_with_a_way_out() {
    check("unknown_command", &["chekc"]);
    check("unknown_flag", &["up", "fleet.toml", "--polcy", "round-robin"]);
    check("unknown_policy", &["up", "fleet.toml", "--policy", "cheapest"]);
    check("no_command", &[]);
    check("zero_seconds", &["demo", "--for", "0"]);
    check("bad_expiry", &["key", "create", "me", "--expires", "soon"]);
    check("past_expiry", &["key", "create", "me", "--expires", "2020-01-01"]);
    check("replay_what", &["decision", "replay"]);
    for command in ["export", "shadow"] {
        check(&format!("{command}_backwards"), &["ledger", command, "--from", "2026-12-01", "--to", "2026-11-01"]);
    }
    check("unknown_code", &["explain", "BL9999"]);
    check("unknown_model", &["model", "pull", "gpt-5"]);
    check("not_loopback", &["demo", "--listen", "0.0.0.0:8080"]);
    check("not_loopback_up", &["up", "laptop.toml", "--listen", "[::]:8080"]);
}

#[test]
fn wrong_files_are_code_2() {
    check("check_missing", &["check", "nowhere.toml"]);
    check("check_broken", &["check", "broken.toml"]);
    check("check_broken_json", &["check", "--json", "broken.toml"]);
    check("up_missing", &["up", "nowhere.toml"]);
    check("up_broken", &["up", "broken.toml"]);
    for (format, file) in [("litellm", "nowhere.yaml"), ("focus", ".")] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let said = seen(folder.path(), &["import", format, file]);
        assert!(said.starts_with(&format!("--- stderr\nbaseload: can't read {file}: ")) && said.ends_with("--- exit 2"), "{said}");
    }
}

#[test]
fn what_is_not_there_is_code_1() {
    check("no_ledger", &["ledger", "show"]);
    check("no_keys", &["key", "list", "--state", "tyop"]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = seen(folder.path(), &["status", "--at", &nobody.to_string()]);
    assert!(said.starts_with(&format!("--- stderr\nbaseload: failed to reach {nobody}: ")) && said.ends_with("--- exit 1"), "{said}");
}

#[test]
fn what_only_reads_makes_no_state_directory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for args in [["key", "list"].as_slice(), &["key", "log"], &["key", "revoke", "me"], &["key", "rotate", "me", "--overlap", "1h"]] {
        let said = seen(folder.path(), &[args, &["--state", "tyop"]].concat());
        assert!(said.contains("failed to open the keys in tyop (`--state` names another): find a ledger in tyop"), "{said}");
        assert!(said.ends_with("--- exit 1") && !folder.path().join("tyop").exists(), "{said}");
    }
}

#[test]
fn init_writes_a_fleet_that_checks_and_never_twice() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = |args: &[&str]| seen(folder.path(), args);
    assert!(said(&["init"]).ends_with("--- exit 0"));
    std::fs::write(folder.path().join("kept.toml"), "mine").expect("a file");
    assert!(said(&["init", "kept.toml"]).ends_with("kept.toml is there already, and init changes nothing: name another file\n--- exit 2"));
    assert_eq!(std::fs::read_to_string(folder.path().join("kept.toml")).expect("it is still there"), "mine");
    let checked = said(&["check", "fleet.toml"]);
    assert!(checked.contains("fleet.toml: ok") && checked.ends_with("--- exit 0"), "{checked}");
}

#[test]
fn a_key_is_made_once_listed_without_its_secret_and_revoked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = |args: &[&str]| seen(folder.path(), args);
    let made = said(&["key", "create", "me", "--model", "smollm2-135m", "--expires", "2999-01-01"]);
    let key = made.lines().next().expect("a line");
    let (public, secret) = key.strip_prefix("bl-").and_then(|key| key.split_once('-')).expect("a key");
    let nobody = "baseload: failed to find a key in use that is called nobody: `key list` has their names and public parts\n--- exit 1";
    assert_eq!(said(&["key", "revoke", "nobody"]), format!("--- stderr\n{nobody}"));
    let listed = said(&["key", "list"]);
    assert!(listed.contains(public) && listed.contains("good") && !listed.contains(secret), "{listed}");
    assert!(!said(&["key", "list", "--json"]).contains(secret));
    assert_eq!(said(&["key", "revoke", "me"]), format!("revoked me (bl-{public}-...)\n--- exit 0"));
    assert!(said(&["key", "list"]).contains("revoked"));
}

#[test]
fn a_key_that_nobody_was_handed_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let full = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baseload"));
        command.args(args).current_dir(folder.path()).env_clear().env("HOME", folder.path());
        let full = std::fs::File::options().write(true).open("/dev/full").expect("it is always there");
        let output = command.stdout(full).output().expect("baseload runs");
        (String::from_utf8(output.stderr).expect("text"), output.status.code())
    };
    let (said, code) = full(&["key", "create", "me"]);
    let listed: serde_json::Value = serde_json::from_slice(&run(folder.path(), &["key", "list", "--json"]).stdout).expect("JSON");
    let public = listed["keys"][0]["public"].as_str().expect("it was made").to_owned();
    assert_eq!(
        said,
        format!(
            "baseload: failed to hand over the secret of bl-{public}: write to standard output: No space left on device (os error 28)\n\
             hint: it is lost: revoke the key, and make another (`baseload key revoke bl-{public}`)\n"
        )
    );
    assert_eq!(code, Some(1));
    let (said, code) = full(&["key", "rotate", "me", "--overlap", "1h"]);
    assert!(said.contains(&format!("failed to hand over the secret of bl-{public}: ")) && code == Some(1), "{said}");
    assert!(run(folder.path(), &["key", "revoke", &format!("bl-{public}")]).status.success());
    let said = full(&["key", "list"]);
    assert_eq!(said, ("baseload: failed to write to standard output: No space left on device (os error 28)\n".to_owned(), Some(1)));
}

#[test]
fn what_would_forge_a_line_of_a_list_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let forged = "me\n2026-11-22T12:00:00Z  revoked  you";
    for args in [
        ["key", "create", forged, "--who", "me"],
        ["key", "create", "me", "--team", forged],
        ["key", "create", "me", "--who", forged],
        ["key", "create", "me", "--why", forged],
        ["key", "create", "", "--who", "me"],
    ] {
        let said = seen(folder.path(), &args);
        let why = if args[2].is_empty() { "it is empty" } else { "it has a control character" };
        assert!(said.contains(why) && said.ends_with("--- exit 2"), "{said}");
    }
}

#[test]
fn the_schema_is_json() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let schema: serde_json::Value = serde_json::from_slice(&run(folder.path(), &["schema"]).stdout).expect("JSON");
    assert!(schema["properties"]["contracts"].is_object());
}

#[test]
fn completions_are_scripts_of_the_shell_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (shell, mark) in [("bash", "complete -F"), ("zsh", "#compdef baseload"), ("fish", "complete -c baseload")] {
        assert!(seen(folder.path(), &["completions", shell]).contains(mark), "{shell}");
    }
}

#[test]
fn every_code_explains_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let all = seen(folder.path(), &["explain"]);
    let codes: Vec<&str> = all.lines().filter_map(|line| line.split_once("  ").map(|(code, _)| code)).collect();
    assert!(codes.len() > 20, "{all}");
    check("explain", &["explain", codes[5]]);
}

#[test]
fn a_secret_that_is_missing_is_named_with_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let starter = include_str!("../../../../fleets/laptop.toml");
    let hosted = starter.replace(
        "[endpoints.spill]\nmodel = \"smollm2-135m\"\npool = \"spill\"\n",
        "[endpoints.spill]\nmodel = \"smollm2-135m\"\nurl = \"https://api.example/v1\"\nkey = { env = \"NO_SUCH_KEY\" }\n",
    );
    assert_ne!(hosted, starter);
    let hosted = hosted.replace("profile = \"smollm2-on-a-share\"\n\n# An umbrella", "\n# An umbrella");
    std::fs::write(folder.path().join("hosted.toml"), hosted).expect("a file");
    insta::assert_snapshot!(seen(folder.path(), &["up", "hosted.toml", "--listen", "127.0.0.1:0"]));
}
