//! The engine as a process, and a client that knows just enough HTTP to talk to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where `make model` puts the default model, below the home folder.
const CACHED: &str = ".cache/baseload/models/SmolLM2-135M-Instruct.Q4_1.gguf";
/// No single answer in these tests takes nearly as long; it only keeps a hung test from hanging the run.
const PATIENCE: Duration = Duration::from_secs(120);

/// The model that the tests serve.
pub fn model() -> PathBuf {
    let named = std::env::var_os("BASELOAD_TEST_MODEL").map(PathBuf::from);
    let path = named.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("a user has a home")).join(CACHED));
    assert!(path.is_file(), "there is no model at {}: `make model` gets it, or BASELOAD_TEST_MODEL names another", path.display());
    path
}

/// A running engine; it's killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    fn read(mut stream: TcpStream) -> Self {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the engine answers");
        let answer = String::from_utf8(answer).expect("answers are text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a head has a status");
        let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() };
        Self { status, head: head.to_owned(), body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| unreachable!("{error} in {:?}", self.body))
    }

    /// The `data:` lines of a stream.
    pub fn data(&self) -> Vec<&str> {
        self.body
            .split("\n\n")
            .filter(|event| !event.is_empty())
            .map(|event| event.strip_prefix("data: ").expect("only data lines"))
            .collect()
    }
}

impl Server {
    pub fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port_file = folder.path().join("port");
        let mut command = Command::new(env!("CARGO_BIN_EXE_baseload-engine"));
        command.arg("--model").arg(model()).args(["--name", "smol", "--die-with-parent"]).arg("--port-file").arg(&port_file);
        let mut child = command.args(flags).stderr(Stdio::piped()).spawn().expect("the engine starts");
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("stderr is piped")).read_line(&mut line).expect("stderr is text");
        let address = line.trim().strip_prefix("serving smol on http://").unwrap_or_else(|| unreachable!("the engine said {line:?}"));
        let written = std::fs::read_to_string(&port_file).expect("the address is written before the engine says that it serves");
        assert_eq!(written, address);
        Self { child, address: address.parse().expect("an address"), _folder: folder }
    }

    /// Sends a request and leaves the answer to be read.
    pub fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        self.send_with(method, path, &format!("host: {}\r\ncontent-type: application/json\r\n", self.address), body)
    }

    /// The same with a head of one's own, but for what frames it.
    fn send_with(&self, method: &str, path: &str, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("the engine listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\n{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .expect("the engine reads");
        stream
    }

    pub fn exchange(&self, method: &str, path: &str, body: &str) -> Reply {
        Reply::read(self.send(method, path, body))
    }

    pub fn exchange_with(&self, method: &str, path: &str, head: &str, body: &str) -> Reply {
        Reply::read(self.send_with(method, path, head, body))
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.exchange("POST", path, &body.to_string())
    }

    /// The JSON of an answer that must be good.
    pub fn ask(&self, path: &str, body: &Value) -> Value {
        let reply = self.post(path, body);
        assert_eq!(reply.status, 200, "{body} was answered {}", reply.body);
        reply.json()
    }

    /// The value of one line of `/metrics`.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.exchange("GET", "/metrics", "").body;
        let line = page.lines().find_map(|line| line.strip_prefix("baseload_engine_")?.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| unreachable!("no {name} in {page}"))
    }

    /// Asks for a metric, again and again, until it has a value.
    pub fn await_metric(&self, name: &str, value: f64) {
        let begun = Instant::now();
        while self.metric(name).to_bits() != value.to_bits() {
            assert!(begun.elapsed() < PATIENCE, "{name} is {}, not {value}", self.metric(name));
        }
    }

    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("there is a kill");
        assert!(sent.success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the engine is our child")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, as a test wants it to.
        self.child.kill().unwrap_or_default();
        self.child.wait().expect("the engine is our child");
    }
}

fn unchunked(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a chunk has its length");
        whole += &after[..length];
        rest = after[length..].strip_prefix("\r\n").unwrap_or_default();
    }
    whole
}
