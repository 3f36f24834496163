//! Resolves the secrets that a fleet file names. What they say is never printed.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use fleet::Secret;

/// What a secret says, trimmed; the error names the place that it should come from.
pub fn resolve(secret: &Secret) -> Result<String> {
    let text = match secret {
        Secret::Env(name) => std::env::var(name).ok().with_context(|| format!("read the environment variable {name}: it is not set"))?,
        Secret::File(path) => fs::read_to_string(path).with_context(|| format!("read the secret's file {path}"))?,
        Secret::Command(words) => printed(words)?,
    };
    let text = text.trim();
    ensure!(!text.is_empty(), "read a secret: {} is empty", name(secret));
    Ok(text.to_owned())
}

/// The text in a fleet file that names the secret: what a search for its place looks for.
pub fn name(secret: &Secret) -> &str {
    match secret {
        Secret::Env(name) | Secret::File(name) => name,
        Secret::Command(words) => words.first().map_or("the command", String::as_str),
    }
}

fn printed(words: &[String]) -> Result<String> {
    let Some((program, args)) = words.split_first() else { bail!("run the secret's command: it is empty") };
    let run = Command::new(program).args(args).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let run = run.with_context(|| format!("run the secret's command {program}"))?;
    ensure!(run.status.success(), "run the secret's command {program}: it ended with {}", run.status);
    String::from_utf8(run.stdout).ok().with_context(|| format!("read what the secret's command {program} prints: it is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(secret: &Secret, want: &str) {
        let found = resolve(secret).map_or_else(|error| format!("{error:#}"), |text| format!("= {text}"));
        assert!(found.starts_with(want), "{found:?} is not {want:?}");
    }

    #[test]
    fn secrets_come_from_where_the_file_says() {
        let words = |words: &[&str]| Secret::Command(words.iter().map(|word| (*word).to_owned()).collect());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("key").display().to_string();
        check(&Secret::File(path.clone()), "read the secret's file ");
        fs::write(&path, "from-a-file\n").expect("a file");
        check(&Secret::File(path), "= from-a-file");
        check(&words(&["echo", "from-a-command"]), "= from-a-command");
        check(&words(&["true"]), "read a secret: true is empty");
        check(&words(&["false"]), "run the secret's command false: it ended with exit status: 1");
        check(&words(&[]), "run the secret's command: it is empty");
        check(
            &Secret::Env("BASELOAD_NO_SUCH_VARIABLE".to_owned()),
            "read the environment variable BASELOAD_NO_SUCH_VARIABLE: it is not set",
        );
    }
}
