//! A PostgreSQL, an upstream, and as many `baseload up` as a test wants.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use testkit::Postgres;

/// What a request costs at list, in thousandths of a dollar.
pub const PRICE: u64 = 5;
/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(240);

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}"#;

/// Reads one request whole.
fn read_request(stream: &mut BufReader<TcpStream>) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(stated) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = stated.trim().parse().ok()?;
        }
        if line == "\r\n" {
            return stream.read_exact(&mut vec![0; length]).ok();
        }
    }
}

/// An upstream that gives every request the same answer.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while read_request(&mut stream).is_some() {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", ANSWER.len());
                    if stream.get_mut().write_all((head + ANSWER).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    at
}

fn fleet(at: SocketAddr) -> String {
    format!(
        "format = 1\nname = \"lab\"\ncurrency = \"USD\"\n[parties.p]\nroles = [\"supplier\"]\n\
         [models.m]\nparameters = \"1 B\"\ncontext = 1000\n[contracts.c]\nparty = \"p\"\npreset = \"on-demand\"\n\
         endpoints = [\"e\"]\ninput = \"0 USD/1M tokens\"\noutput = \"{} USD/1M tokens\"\nstart = 2026-01-01\nend = 2040-01-01\n\
         [endpoints.e]\nmodel = \"m\"\nurl = \"http://{at}/v1\"\n",
        PRICE * 1_000 / 5
    )
}

/// Provisioned units that were held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// From when, in microseconds.
    pub from: i64,
    /// To when.
    pub to: i64,
    /// How many unit-milliseconds.
    pub held: i64,
    /// How many of those were used.
    pub used: i64,
    /// Which replica posted them.
    pub by: String,
}

/// A folder with a PostgreSQL and a fleet file.
pub struct Place {
    pub postgres: Postgres,
    upstream: SocketAddr,
    folder: TempDir,
    _database: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self::with(Postgres::start)
    }

    /// With TLS, by a certificate of its own for this machine, which is in the file `vouched`.
    pub fn with_tls() -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let place = Self::with(|database| Postgres::start_tls(database, &cert.pem(), &signing_key.serialize_pem()));
        fs::write(place.vouched(), cert.pem()).expect("a file");
        place
    }

    /// The file of who vouches for the database.
    pub fn vouched(&self) -> PathBuf {
        self.folder.path().join("vouched.pem")
    }

    fn with(start: impl FnOnce(&Path) -> io::Result<Postgres>) -> Self {
        let (folder, database) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let postgres = start(database.path()).expect("PostgreSQL is here: tools/setup postgresql");
        let upstream = upstream();
        fs::write(folder.path().join("fleet.toml"), fleet(upstream)).expect("a file");
        Self { postgres, upstream, folder, _database: database }
    }

    fn baseload(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baseload"));
        command.args(args).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        if self.vouched().exists() {
            command.env("SSL_CERT_FILE", self.vouched());
        }
        command
    }

    /// What a command says that must succeed.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.baseload(args).output().expect("it runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Writes a file beside the fleet file, where commands run.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("written");
    }

    /// Copies a state directory that nothing runs on.
    pub fn copy(&self, from: &str, to: &str) {
        let status = Command::new("cp").args(["-a", from, to]).current_dir(self.folder.path()).status().expect("cp is everywhere");
        assert!(status.success(), "{status}");
    }

    /// Whether a file is there.
    pub fn has(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    /// How a command ends over a state directory, with or without a shared database named, and what it says.
    pub fn told(&self, args: &[&str], state: &str, share: Option<&str>) -> (Option<i32>, String) {
        let mut command = self.baseload(args);
        command.env("BASELOAD_STATE", state);
        if let Some(share) = share {
            command.env("BASELOAD_SHARE", share);
        }
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// A key made at one state directory.
    pub fn key(&self, state: &str, more: &[&str]) -> String {
        self.run(&[&["key", "create", "me", "--state", state], more].concat())
            .split_whitespace()
            .find(|word| word.starts_with("bl-"))
            .expect("a key is shown once")
            .to_owned()
    }

    /// Starts a replica on a state directory, sharing over an address.
    pub fn up(&self, state: &str, share: &str) -> Replica {
        let mut command = self.baseload(&["up", "fleet.toml", "--listen", "127.0.0.1:0", "--state", state]);
        command.env("BASELOAD_SHARE", share);
        self.begin(command)
    }

    /// Starts one that shares with nobody.
    pub fn alone(&self, state: &str) -> Replica {
        self.begin(self.baseload(&["up", "fleet.toml", "--listen", "127.0.0.1:0", "--state", state]))
    }

    fn begin(&self, mut command: Command) -> Replica {
        let stderr = fs::File::options().create(true).append(true).open(self.folder.path().join("stderr")).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("it runs");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut said = String::new();
        while !said.contains("listening on ") {
            assert!(out.read_line(&mut said).expect("text") > 0, "{}", self.errors());
        }
        let at = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
        Replica { child, at, _out: out }
    }

    /// Starts one that must be refused, and gives its code and what it says.
    pub fn refused(&self, state: &str, share: &str) -> (Option<i32>, String) {
        let mut command = self.baseload(&["up", "fleet.toml", "--listen", "127.0.0.1:0", "--state", state]);
        let output = command.env("BASELOAD_SHARE", share).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Gives the fleet a budget, in thousandths of a dollar a year, for who starts from now on.
    pub fn limit(&self, thousandths: u64) {
        self.add(&format!("[limits]\nbudget = \"{}.{:03} USD/year\"\n", thousandths / 1_000, thousandths % 1_000));
    }

    fn add(&self, more: &str) {
        let path = self.folder.path().join("fleet.toml");
        let fleet = fs::read_to_string(&path).expect("a fleet");
        fs::write(path, fleet + more).expect("a file");
    }

    /// The attempts of one state directory, the oldest first, once so many are settled in its ledger.
    pub fn settled(&self, state: &str, count: u64) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.run(&["ledger", "show", "--json", "--limit", "9999", "--state", state]);
            let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
            let rows = shown["attempts"].as_array().expect("a list").iter().rev().filter(|row| row["settled"].is_object());
            let named = |row: &serde_json::Value| format!("{}#{}", row["request"].as_str().unwrap_or_default(), row["attempt"]);
            let attempts: Vec<String> = rows.map(named).collect();
            if u64::try_from(attempts.len()).ok() == Some(count) {
                return attempts;
            }
            assert!(Instant::now() < until, "{} of {count} settled: {}", attempts.len(), self.errors());
        }
    }

    /// Says that an attempt gave so many tokens: a fifth of [`PRICE`] each.
    pub fn correct(&self, state: &str, attempt: &str, output: u64) {
        let (why, output) = (["--why", "the bill", "--who", "ada"], output.to_string());
        self.run(&[&["ledger", "correct", attempt, "--input", "7", "--output", &output, "--state", state][..], &why].concat());
    }

    /// Adds a thousand provisioned units to the fleet, for who starts from now on.
    pub fn provision(&self) {
        let at = self.upstream;
        self.add(&format!(
            "[models.held]\nparameters = \"1 B\"\ncontext = 1000\n[contracts.units]\nparty = \"p\"\npreset = \"provisioned\"\n\
             endpoints = [\"h\"]\nunits = 1000\ntokens_per_unit_minute = 100\nrate = \"1 USD/unit-hour\"\nstart = 2026-01-01\nend = 2040-01-01\n\
             [endpoints.h]\nmodel = \"held\"\nurl = \"http://{at}/v1\"\n"
        ));
    }

    /// What was posted as held, by all replicas, the earliest first.
    pub fn held(&self) -> Vec<Held> {
        let sql = "SELECT replica, split_part(body, E'\\t', 4), split_part(body, E'\\t', 5), split_part(posting, E'\\t', 5), split_part(posting, E'\\t', 6)
                   FROM (SELECT replica, body, split_part(body, E'\\nposting\\t', 2) AS posting
                         FROM (SELECT replica, convert_from(text, 'UTF8') AS body FROM baseload.entry WHERE kind = 'held') AS entry) AS held";
        let text = self.postgres.sql(sql).expect("it answers");
        let number = |text: &str| text.parse::<i64>().unwrap_or_default();
        let row = |line: &str| {
            let columns: Vec<&str> = line.split('|').collect();
            let [from, to, held, used] = [1, 2, 3, 4].map(|column| number(columns[column]));
            Held { from, to, held, used, by: columns[0].to_owned() }
        };
        let mut rows: Vec<_> = text.lines().map(row).collect();
        rows.sort_unstable();
        rows
    }

    /// Up to how many requests the replica that was heard of longest ago may answer, and how many it said that it had.
    pub fn last_heard(&self) -> (u64, u64) {
        let row = "SELECT lease.granted, lease.taken FROM baseload.lease JOIN baseload.replica ON replica.id = lease.replica
                   WHERE lease.account LIKE 'key %' ORDER BY replica.seen LIMIT 1";
        let row = self.postgres.sql(row).expect("it answers");
        let count = |nanos: &str| nanos.parse::<u64>().expect("a number") / (PRICE * 1_000_000);
        row.split_once('|').map(|(granted, taken)| (count(granted), count(taken))).expect("two columns")
    }

    /// What was said on standard error by all.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// What `ledger verify` says of the copies.
    pub fn verified(&self) -> (Option<i32>, String) {
        let output = self.baseload(&["ledger", "verify"]).env("BASELOAD_SHARE", self.postgres.address()).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Every answered request is settled in the copies once, and so many replicas have a whole chain.
    pub fn verify_copies(&self, replicas: usize, answered: u64) {
        let (code, said) = self.verified();
        assert!(code == Some(0) && said.contains(&format!("{replicas} replicas")), "{said} {}", self.errors());
        let settled = self.postgres.sql("SELECT count(*) FROM baseload.entry WHERE kind = 'settlement'").expect("it answers");
        assert_eq!(settled, answered.to_string(), "{}", self.errors());
        let shown = self.baseload(&["ledger", "show", "--limit", "9999", "--json"]).env("BASELOAD_SHARE", self.postgres.address()).output();
        let shown = shown.expect("it runs");
        assert!(shown.status.success(), "{} {}", String::from_utf8_lossy(&shown.stderr), self.errors());
        let rows: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        let settled = rows["attempts"].as_array().map_or(0, |rows| rows.iter().filter(|row| row["settled"].is_object()).count());
        assert_eq!(u64::try_from(settled).ok(), Some(answered), "the ledger of all: {}", String::from_utf8_lossy(&shown.stderr));
        let folder: &Path = self.folder.path();
        for entry in fs::read_dir(folder).expect("a folder").flatten().filter(|entry| entry.path().join("ledger.db").exists()) {
            self.run(&["ledger", "verify", "--state", &entry.path().display().to_string()]);
        }
    }
}

/// A running replica; it is told to end, and waited for, when it is dropped.
pub struct Replica {
    child: Child,
    at: String,
    _out: BufReader<ChildStdout>,
}

impl Replica {
    /// One small request: five tokens out, no more.
    pub fn chat(&self, key: &str) -> String {
        self.chat_with(key, "m")
    }

    /// The same of a model: twelve tokens in all.
    pub fn chat_with(&self, key: &str, model: &str) -> String {
        let body = format!(r#"{{"model":"{model}","max_tokens":5,"messages":[{{"role":"user","content":"hi"}}]}}"#);
        self.ask(key, "POST /v1/chat/completions", &body)
    }

    /// What it has not taken of the fleet's budget, in thousandths of a dollar; below zero where more was taken.
    pub fn left(&self, key: &str) -> i64 {
        let page = self.ask(key, "GET /metrics", "");
        let row = page.lines().find(|line| line.starts_with("baseload_budget_left{")).expect("the fleet has a budget");
        let dollars: f64 = row.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number");
        format!("{dollars:.3}").replace('.', "").parse().expect("a whole number")
    }

    /// When a part of what is shared last went well, in seconds since 1970.
    pub fn shared_at(&self, key: &str, part: &str) -> u64 {
        let page = self.ask(key, "GET /metrics", "");
        let row = format!("baseload_share_success_timestamp_seconds{{part=\"{part}\"}} ");
        let at = page.lines().find_map(|line| line.strip_prefix(&row)).expect("it takes part");
        at.split('.').next().and_then(|seconds| seconds.parse().ok()).expect("a number")
    }

    /// How many requests OpenAI's usage endpoint tells of, of today and by key.
    pub fn usage(&self, key: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let path = format!("/v1/organization/usage/completions?start_time={}&limit=2&group_by=api_key_id", now - now % 86_400);
        let answer = self.ask(key, &format!("GET {path}"), "");
        let (_, json) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let page: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let results = page["data"].as_array().into_iter().flatten().flat_map(|bucket| bucket["results"].as_array().into_iter().flatten());
        let mut told: Vec<String> = results.map(|result| format!("{} {}", result["api_key_id"], result["num_model_requests"])).collect();
        told.sort_unstable();
        told.join(", ")
    }

    fn ask(&self, key: &str, what: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.at).expect("it listens");
        let text = format!(
            "{what} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        // What was refused may be reset behind its answer.
        _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // One that is gone already is waited for all the same.
            _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        _ = self.child.wait();
    }
}

/// The code of an answer's error, or its status when it has none.
pub fn code(answer: &str) -> String {
    let status = answer.split_whitespace().nth(1).unwrap_or("nothing").to_owned();
    let code = answer.split(r#""code":""#).nth(1).and_then(|rest| rest.split('"').next());
    code.map_or(status, str::to_owned)
}
