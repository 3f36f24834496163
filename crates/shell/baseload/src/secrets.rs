//! Resolves the secrets that a fleet file names. What they say is never printed.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use fleet::Secret;
use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroizing;

/// What a secret says: not printed, not serialised, and wiped from memory when it is let go of.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The text itself, to be handed to what sends it.
    pub fn expose(&self) -> &str {
        self.0.trim()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The most bytes that a secret may have.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// How long a secret's command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait before it is looked again whether a command has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// What a secret says; the error names the place that it should come from.
pub fn resolve(secret: &Secret) -> Result<SecretText> {
    let text = match secret {
        Secret::Env(name) => {
            Zeroizing::new(std::env::var(name).ok().with_context(|| format!("read the environment variable {name}: it is not set"))?)
        }
        Secret::File(path) => {
            text(read_private(Path::new(path))?).with_context(|| format!("read the secret's file {path}: it is no text"))?
        }
        Secret::Command(words) => printed(words, COMMAND_TIMEOUT)?,
    };
    let text = SecretText(text);
    ensure!(!text.expose().is_empty(), "read a secret: {} is empty", name(secret));
    Ok(text)
}

/// The text in a fleet file that names the secret: what a search for its place looks for.
pub fn name(secret: &Secret) -> &str {
    match secret {
        Secret::Env(name) | Secret::File(name) => name,
        Secret::Command(words) => words.first().map_or("the command", String::as_str),
    }
}

/// What a file says that only its owner may read. What is no file, such as a pipe, has nobody else to read it.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("read the secret's file {shown}"))?;
    let metadata = file.metadata().with_context(|| format!("read the secret's file {shown}"))?;
    let others = metadata.mode() & 0o077;
    ensure!(!metadata.is_file() || others == 0, "read the secret's file {shown}: others may read or change it; chmod 600 {shown}");
    let mut bytes = Zeroizing::new(Vec::with_capacity(4_096));
    file.take(SECRET_BYTES_MAX).read_to_end(&mut bytes).with_context(|| format!("read the secret's file {shown}"))?;
    Ok(bytes)
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> Option<Zeroizing<String>> {
    String::from_utf8(std::mem::take(&mut *bytes)).ok().map(Zeroizing::new)
}

fn printed(words: &[String], within: Duration) -> Result<Zeroizing<String>> {
    let Some((program, args)) = words.split_first() else { bail!("run the secret's command: it is empty") };
    let mut command = Command::new(program);
    // In a group of its own, to end what it started with it.
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).process_group(0);
    let mut child = command.spawn().with_context(|| format!("run the secret's command {program}"))?;
    let run = run(&mut child, Instant::now() + within);
    if run.is_err() {
        end(&mut child);
    }
    let (status, bytes) = run.with_context(|| format!("run the secret's command {program}"))?;
    ensure!(status.success(), "run the secret's command {program}: it ended with {status}");
    text(bytes).with_context(|| format!("read what the secret's command {program} prints: it is no text"))
}

/// What a command prints and how it ends, where it does by `deadline`.
fn run(child: &mut Child, deadline: Instant) -> Result<(ExitStatus, Zeroizing<Vec<u8>>)> {
    let mut out = child.stdout.take().context("read what it prints")?.take(SECRET_BYTES_MAX);
    let (tell, told) = mpsc::sync_channel(1);
    let read = move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4_096));
        let read = out.read_to_end(&mut bytes).map(|_| bytes);
        // Nobody may wait for it any more.
        _ = tell.send(read);
    };
    std::thread::Builder::new().name("secret".to_owned()).spawn(read).context("start a thread")?;
    let bytes =
        told.recv_timeout(deadline.saturating_duration_since(Instant::now())).context("it does not end")?.context("read what it prints")?;
    // What has said everything mostly ends at once.
    loop {
        if let Some(status) = child.try_wait().context("wait for it")? {
            return Ok((status, bytes));
        }
        ensure!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(PAUSE);
    }
}

/// Ends a command that takes too long, and whatever it started.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // One that is gone already needs no end.
        _ = kill_process_group(group, Signal::KILL);
    }
    _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn check(secret: &Secret, want: &str) {
        let found = resolve(secret).map_or_else(|error| format!("{error:#}"), |text| format!("= {}", text.expose()));
        assert!(found.starts_with(want), "{found:?} is not {want:?}");
    }

    #[test]
    fn secrets_come_from_where_the_file_says() {
        let words = |words: &[&str]| Secret::Command(words.iter().map(|word| (*word).to_owned()).collect());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("key").display().to_string();
        check(&Secret::File(path.clone()), "read the secret's file ");
        fs::write(&path, "from-a-file\n").expect("a file");
        for (mode, want) in [(0o600, "= from-a-file"), (0o400, "= from-a-file"), (0o640, "read the secret"), (0o604, "read the secret")] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            check(&Secret::File(path.clone()), want);
        }
        check(&words(&["echo", "from-a-command"]), "= from-a-command");
        check(&words(&["true"]), "read a secret: true is empty");
        check(&words(&["false"]), "run the secret's command false: it ended with exit status: 1");
        check(&words(&[]), "run the secret's command: it is empty");
        check(
            &Secret::Env("BASELOAD_NO_SUCH_VARIABLE".to_owned()),
            "read the environment variable BASELOAD_NO_SUCH_VARIABLE: it is not set",
        );
    }

    #[test]
    fn a_command_that_does_not_end_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pipe = folder.path().join("pipe");
        // Nobody ever writes to the pipe: who reads it waits until it is killed.
        for script in ["mkfifo $0; (read line < $0) & wait", "mkfifo $0; exec >&-; read line < $0"] {
            _ = fs::remove_file(&pipe);
            let words = ["sh", "-c", script, &pipe.display().to_string()].map(str::to_owned);
            let error = printed(&words, Duration::from_millis(50)).map(|_| ()).expect_err("it does not end");
            assert!(format!("{error:#}").starts_with("run the secret's command sh: it does not end"), "{error:#}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let text = resolve(&Secret::Command(vec!["echo".to_owned(), "canary".to_owned()])).expect("it prints");
        assert_eq!(format!("{text:?}"), "[redacted]");
    }
}
