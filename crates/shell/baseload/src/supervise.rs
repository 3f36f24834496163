//! Keeps engine processes running: one child per replica, started again when it dies, gone when we are.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use fleet::EndpointId;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::Client;

/// How long a child may take to be ready.
const START_MAX: Duration = Duration::from_secs(120);
/// How often we look whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How long a child that dies is left alone at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// A child that lived so long has its earlier deaths forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(30);
/// How long a child has to stop by itself: more than its own grace.
const STOP_MAX: Duration = Duration::from_secs(7);

/// The variables that a child inherits.
const INHERITED: [&str; 14] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "RUST_BACKTRACE",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "GGML_NO_BACKTRACE",
];

/// What to run, and what for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which endpoint's requests it takes.
    pub endpoint: EndpointId,
    /// What a person calls it.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments, without the port file.
    pub args: Vec<OsString>,
    /// Where it writes its address and its log: `<name>.port`, `<name>.log`.
    pub folder: PathBuf,
}

/// How a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On its way.
    Starting,
    /// It answers.
    Up {
        /// Where.
        at: SocketAddr,
        /// Its process id.
        pid: u32,
    },
    /// It died, and is started again after a pause.
    Died,
    /// It was told to stop.
    Stopped,
}

/// What is asked of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Running,
    /// Not now, perhaps later.
    Stopped,
    /// The program ends.
    Never,
}

/// Called when an endpoint's address comes or goes.
pub type Announce = Arc<dyn Fn(EndpointId, Option<SocketAddr>) + Send + Sync>;

/// A child as others see it.
#[derive(Debug)]
pub struct Engine {
    /// Which endpoint's requests it takes.
    pub endpoint: EndpointId,
    state: watch::Receiver<State>,
    wanted: watch::Sender<Wanted>,
}

impl Engine {
    /// How it stands now.
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Stops it, or starts it again.
    pub fn toggle(&self) {
        self.wanted.send_modify(|wanted| {
            *wanted = match wanted {
                Wanted::Running => Wanted::Stopped,
                Wanted::Stopped => Wanted::Running,
                Wanted::Never => Wanted::Never,
            }
        });
    }
}

/// All children of this process.
pub struct Supervisor {
    /// One per replica.
    pub engines: Vec<Engine>,
    tasks: Mutex<JoinSet<()>>,
}

impl Supervisor {
    /// Starts every plan at once.
    pub fn start(plans: Vec<Plan>, announce: &Announce) -> Self {
        let (mut engines, mut tasks) = (Vec::new(), JoinSet::new());
        let client = Client::new();
        for plan in plans {
            let (state, seen) = watch::channel(State::Starting);
            let (wanted, asked) = watch::channel(Wanted::Running);
            engines.push(Engine { endpoint: plan.endpoint, state: seen, wanted });
            let keeper = Keeper { plan, client: client.clone(), announce: Arc::clone(announce), state, wanted: asked };
            tasks.spawn(keeper.keep());
        }
        Self { engines, tasks: Mutex::new(tasks) }
    }

    /// Waits until some child answers; false when there is none to wait for.
    pub async fn any_up(&self) -> bool {
        let mut waiting = JoinSet::new();
        for engine in &self.engines {
            let mut state = engine.state.clone();
            waiting.spawn(async move { state.wait_for(|state| matches!(state, State::Up { .. })).await.is_ok() });
        }
        matches!(waiting.join_next().await, Some(Ok(true)))
    }

    /// Stops every child and waits until none is left.
    pub async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        self.engines.iter().for_each(|engine| _ = engine.wanted.send_replace(Wanted::Never));
        while tasks.join_next().await.is_some() {}
    }
}

/// Looks after one child, for as long as it may be wanted.
struct Keeper {
    plan: Plan,
    client: Client,
    announce: Announce,
    state: watch::Sender<State>,
    wanted: watch::Receiver<Wanted>,
}

/// Waits until a child should not run.
async fn unwanted(wanted: &mut watch::Receiver<Wanted>) {
    // Nobody left to ask for it says the same.
    _ = wanted.wait_for(|wanted| *wanted != Wanted::Running).await;
}

/// Why a child is no longer looked after.
enum Left {
    Died(String),
    Unwanted,
}

impl Keeper {
    async fn keep(mut self) {
        let mut pause = BACKOFF.0;
        while matches!(self.wanted.wait_for(|wanted| *wanted != Wanted::Stopped).await.as_deref(), Ok(Wanted::Running)) {
            let begun = Instant::now();
            let left = self.live().await.unwrap_or_else(|error| Left::Died(format!("{error:#}")));
            (self.announce)(self.plan.endpoint, None);
            if begun.elapsed() > FORGIVEN_AFTER {
                pause = BACKOFF.0;
            }
            match left {
                Left::Unwanted => {
                    self.state.send_replace(State::Stopped);
                    pause = BACKOFF.0;
                }
                Left::Died(why) => {
                    self.state.send_replace(State::Died);
                    crate::log::say(format_args!("engine {} ended ({why}); starting it again in {} ms", self.plan.name, pause.as_millis()));
                    // A change of mind ends the pause early.
                    _ = timeout(pause, self.wanted.changed()).await;
                    pause = (pause * 2).min(BACKOFF.1);
                }
            }
        }
    }

    /// One life of the child.
    async fn live(&mut self) -> Result<Left> {
        self.state.send_replace(State::Starting);
        let port_file = self.plan.folder.join(format!("{}.port", self.plan.name));
        if port_file.exists() {
            fs::remove_file(&port_file).with_context(|| format!("remove {}", port_file.display()))?;
        }
        let mut child = self.spawn(&port_file)?;
        let pid = child.id().context("the child ended at once")?;
        let mut wanted = self.wanted.clone();
        let at = tokio::select! {
            status = child.wait() => bail!("{} before it was ready; see {}", status?, self.log().display()),
            () = unwanted(&mut wanted) => return self.end(child).await,
            at = timeout(START_MAX, self.ready(&port_file)) => at,
        };
        let Ok(at) = at else {
            self.end(child).await?;
            bail!("it was not ready after {} seconds", START_MAX.as_secs());
        };
        (self.announce)(self.plan.endpoint, Some(at));
        self.state.send_replace(State::Up { at, pid });
        tokio::select! {
            status = child.wait() => Ok(Left::Died(status?.to_string())),
            () = unwanted(&mut wanted) => {
                (self.announce)(self.plan.endpoint, None);
                self.end(child).await
            }
        }
    }

    fn log(&self) -> PathBuf {
        self.plan.folder.join(format!("{}.log", self.plan.name))
    }

    fn spawn(&self, port_file: &PathBuf) -> Result<Child> {
        let log = File::create(self.log()).with_context(|| format!("make {}", self.log().display()))?;
        let mut command = Command::new(&self.plan.program);
        // A group of its own: Ctrl-C is ours to handle, and reaches the child as an orderly stop.
        command.args(&self.plan.args).arg("--port-file").arg(port_file).process_group(0).kill_on_drop(true);
        // No secret of ours is in what it inherits: only what running and finding its libraries takes.
        command.env_clear().envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().with_context(|| format!("run {}", self.plan.program.display()))
    }

    async fn ready(&self, port_file: &PathBuf) -> SocketAddr {
        loop {
            let at = fs::read_to_string(port_file).ok().and_then(|text| text.trim().parse::<SocketAddr>().ok());
            if let Some(at) = at
                && self.client.healthy(at).await.is_ok()
            {
                return at;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Asks the child to stop, and makes it.
    async fn end(&self, mut child: Child) -> Result<Left> {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself just now: waiting for it tells.
            _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if timeout(STOP_MAX, child.wait()).await.is_err() {
            child.kill().await.context("kill the engine")?;
        }
        Ok(Left::Unwanted)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use fleet::Id as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A program that writes `at` where an engine writes its address, and then waits to be told to end.
    fn plan(folder: &std::path::Path, at: SocketAddr) -> Plan {
        let program = folder.join("engine.sh");
        fs::write(&program, format!("#!/bin/sh\nenv > \"$0.env\"\nprintf '%s' {at} > \"$2\"\nexec cat \"$0.pipe\"\n")).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("it may run");
        // Opening a pipe that nobody writes to waits for ever.
        let made = std::process::Command::new("mkfifo").arg(folder.join("engine.sh.pipe")).status().expect("mkfifo");
        assert!(made.success());
        Plan { endpoint: EndpointId::from_index(0), name: "north".to_owned(), program, args: Vec::new(), folder: folder.to_owned() }
    }

    /// Says that it is well to whoever asks.
    async fn answer_health(listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            if stream.read(&mut asked).await.is_ok() {
                _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            }
        }
    }

    async fn up(engine: &Engine, not: Option<u32>) -> u32 {
        let mut state = engine.state.clone();
        let reached = state.wait_for(|state| matches!(state, State::Up { pid, .. } if Some(*pid) != not)).await.map(|state| *state);
        match reached {
            Ok(State::Up { pid, .. }) => pid,
            other => unreachable!("it was waited for: {other:?}"),
        }
    }

    fn lives(pid: u32) -> bool {
        std::path::Path::new(&format!("/proc/{pid}")).exists()
    }

    fn kill(pid: u32) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("pids are small")).expect("pids are not zero");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is our child");
    }

    /// The tests' own environment stands for one with secrets in it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_child_inherits_no_secret() {
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && std::env::var_os("PATH").is_some(), "cargo runs the tests");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("an address");
        let health = tokio::spawn(answer_health(listener));
        let supervisor = Supervisor::start(vec![plan(folder.path(), at)], &(Arc::new(|_, _| {}) as Announce));
        assert!(supervisor.any_up().await);
        let inherited = fs::read_to_string(folder.path().join("engine.sh.env")).expect("it was written before the address");
        let names = inherited.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        // The shell sets these itself.
        let strange: Vec<&str> =
            names.filter(|name| !INHERITED.contains(name) && !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
        assert!(strange.is_empty() && inherited.contains("PATH="), "{strange:?}");
        supervisor.stop().await;
        health.abort();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_child_that_dies_comes_back_and_none_is_left_in_the_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("an address");
        let health = tokio::spawn(answer_health(listener));
        let said = Arc::new(Mutex::new(Vec::new()));
        let announce: Announce = {
            let said = Arc::clone(&said);
            Arc::new(move |_, address| said.lock().expect("nobody panicked").push(address))
        };
        let supervisor = Supervisor::start(vec![plan(folder.path(), at)], &announce);
        assert!(supervisor.any_up().await);
        let engine = &supervisor.engines[0];
        let first = up(engine, None).await;
        kill(first);
        let second = up(engine, Some(first)).await;
        assert!(lives(second) && !lives(first));
        engine.toggle();
        assert!(engine.state.clone().wait_for(|state| *state == State::Stopped).await.is_ok());
        assert!(!lives(second));
        engine.toggle();
        let third = up(engine, Some(second)).await;
        supervisor.stop().await;
        assert!(!lives(third));
        let said = said.lock().expect("nobody panicked").clone();
        let changes: Vec<_> =
            said.iter().enumerate().filter(|(n, address)| *n == 0 || said[n - 1] != **address).map(|(_, address)| *address).collect();
        assert_eq!(changes, [Some(at), None, Some(at), None, Some(at), None]);
        health.abort();
    }
}
