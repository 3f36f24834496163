//! Secrets put into every place where one can be, and looked for in everything that comes out: answers, errors, logs, metrics, state.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use testkit::checkers::check_secrets;

const ENV: &str = "canary-in-a-variable-5b1c";
const FILE: &str = "canary-in-a-file-77d0";
const COMMAND: &str = "canary-of-a-command-e3f9";
const PROMPT: &str = "canary-in-a-prompt-91aa";
const URL: &str = "canary-in-a-url-0c44";

/// An answer that repeats a prompt in every word of its error but no key, so that what it says is told to its client.
const ECHO: &str = "413 Payload Too Large\r\ncontent-type: application/json";

/// One way to answer: a status line and a kind; the body repeats what was heard, secrets and all. The first is sure to be reached.
const REPLIES: [&str; 10] = [
    ECHO,
    "400 Bad Request\r\ncontent-type: application/json",
    "401 Unauthorized\r\ncontent-type: application/json",
    "403 Forbidden\r\ncontent-type: text/html",
    "404 Not Found\r\ncontent-type: application/json",
    "422 Unprocessable\r\ncontent-type: text/plain",
    "429 Too Many Requests\r\ncontent-type: application/json",
    "500 Internal Server Error\r\ncontent-type: application/json",
    "302 Found\r\nlocation: /elsewhere",
    "nonsense",
];

/// Reads one request: its head, and a body of the length that it states.
fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(stated) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = stated.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}

/// An upstream that fails in every way in turn and repeats what it heard; gives its address and all that it hears.
fn upstream() -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (at, heard) = (listener.local_addr().expect("it is bound"), Arc::new(Mutex::new(String::new())));
    let told = Arc::clone(&heard);
    std::thread::spawn(move || {
        for (stream, reply) in listener.incoming().flatten().zip(REPLIES.iter().cycle()) {
            let mut stream = BufReader::new(stream);
            let Some((head, body)) = read_request(&mut stream) else { continue };
            told.lock().expect("nobody panicked").push_str(&head);
            let key = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
            let key = key.trim_start_matches("Bearer ");
            let (said, word) = (body.replace(['"', '\\'], " "), if body.contains(PROMPT) { PROMPT } else { "none" });
            let message = if *reply == ECHO { "no".to_owned() } else { format!("no: {key} {said}") };
            let error = format!("{{\"error\":{{\"message\":\"{message}\",\"code\":\"{word}\",\"type\":\"{word}\",\"param\":\"{word}\"}}}}");
            let answer =
                format!("HTTP/1.1 {reply}\r\nset-cookie: {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{error}", error.len());
            // The gateway may have hung up.
            _ = stream.get_mut().write_all(answer.as_bytes());
        }
    });
    (at, heard)
}

fn fleet(at: SocketAddr, key_file: &Path) -> String {
    let endpoints = [
        ("a", "{ env = \"CANARY_KEY\" }".to_owned()),
        ("b", format!("{{ file = \"{}\" }}", key_file.display())),
        ("c", "{ command = [\"printenv\", \"CANARY_COMMAND\"] }".to_owned()),
    ];
    let mut text = "format = 1\nname = \"lab\"\ncurrency = \"USD\"\n[parties.p]\nroles = [\"supplier\"]\n".to_owned();
    for (name, key) in endpoints {
        text += &format!(
            "[models.m{name}]\nparameters = \"1 B\"\ncontext = 1000\n[contracts.c{name}]\nparty = \"p\"\npreset = \"on-demand\"\n\
             endpoints = [\"{name}\"]\ninput = \"1 USD/1M tokens\"\noutput = \"1 USD/1M tokens\"\nstart = 2026-01-01\nend = 2030-01-01\n\
             [endpoints.{name}]\nmodel = \"m{name}\"\nurl = \"http://{at}/v1\"\nkey = {key}\n"
        );
    }
    text
}

fn baseload(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baseload"));
    command.args(args).current_dir(folder).env_clear().env("HOME", folder).env("CANARY_KEY", ENV).env("CANARY_COMMAND", COMMAND);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Sends a request, and gives all that comes back.
fn ask(at: &str, method: &str, path: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("it listens");
    let length = body.len();
    let text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{head}content-length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // What was refused may be reset behind its answer.
    _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Every file below `folder` as it is on disk.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push((entry.path().display().to_string(), fs::read(entry.path()).unwrap_or_default()));
        }
    }
}

/// Starts the service, and gives where it listens with all that it has said.
fn up(folder: &Path) -> (Child, String, BufReader<std::process::ChildStdout>) {
    let mut command = baseload(folder, &["up", "fleet.toml", "--listen", "127.0.0.1:0", "--state", "state", "--log", "json"]);
    let stderr = fs::File::create(folder.join("stderr")).expect("a file");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().expect("it runs");
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut said = String::new();
    while !said.contains("listening on ") {
        assert!(out.read_line(&mut said).expect("text") > 0, "{}", fs::read_to_string(folder.join("stderr")).unwrap_or_default());
    }
    (child, said, out)
}

/// A key of ours, with every scope.
fn admin_key(folder: &Path) -> String {
    let made = baseload(folder, &["key", "create", "me", "--scope", "admin", "--state", "state"]).output().expect("it runs");
    let made = String::from_utf8_lossy(&made.stdout).into_owned();
    made.split_whitespace().find(|word| word.starts_with("bl-")).expect("a key is shown once").to_owned()
}

/// What was said and logged on stderr; what an upstream refused is in it.
fn logged(folder: &Path) -> Vec<u8> {
    let log = fs::read_to_string(folder.join("stderr")).expect("text");
    assert!(log.contains(r#""code":"upstream_refused""#), "{log}");
    log.into_bytes()
}

/// The answers but those of [`ECHO`], which are looked through here: a client may be told what it said itself in the words of its upstream,
/// and nobody else may.
fn unechoed(answers: Vec<String>, secrets: &[&str]) -> Vec<String> {
    let (echoed, others): (Vec<String>, Vec<String>) = answers.into_iter().partition(|answer| answer.starts_with("HTTP/1.1 413 "));
    assert!(echoed.iter().any(|answer| answer.contains(&format!(r#""code":"{PROMPT}""#))), "{echoed:?}");
    assert_eq!(check_secrets(echoed.iter().map(|answer| ("echo", answer.as_bytes())), secrets), []);
    others
}

#[test]
fn no_secret_and_no_prompt_is_in_anything_that_comes_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let (upstream, heard) = upstream();
    let key_file = folder.join("key");
    fs::write(&key_file, FILE).expect("a file");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    fs::write(folder.join("fleet.toml"), fleet(upstream, &key_file)).expect("a file");
    let key = admin_key(folder);
    let ours = key.rsplit_once('-').expect("three parts").1.to_owned();

    let (mut child, mut said, mut out) = up(folder);
    let at = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let mut answers = Vec::new();
    let auth = format!("authorization: Bearer {key}\r\n");
    for round in 0..REPLIES.len() {
        for model in ["ma", "mb", "mc"] {
            let stream = round % 2 == 0;
            let body = format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#);
            answers.push(ask(&at, "POST", "/v1/chat/completions", &auth, &body));
        }
    }
    let heads = [
        format!("authorization: Bearer {key}x\r\n"),
        format!("api-key: {ours}\r\n"),
        format!("{auth}{auth}"),
        format!("{auth}x_api_key: 1\r\n"),
        String::new(),
    ];
    for head in &heads {
        for path in ["/v1/chat/completions", "/v1/models", "/metrics", "/api/status", "/v1/files", "/nowhere"] {
            answers.push(ask(&at, "POST", path, head, &format!("{{\"model\":\"ma\",{PROMPT}")));
            answers.push(ask(&at, "GET", path, head, ""));
        }
    }
    for path in ["/metrics", "/api/status", "/v1/models", "/healthz", "/readyz", "/v1/organization/costs?start_time=0"] {
        answers.push(ask(&at, "GET", &format!("{path}#{URL}"), &auth, ""));
        answers.push(ask(&at, "GET", path, &auth, ""));
    }
    let status = baseload(folder, &["status", "--at", &at]).output().expect("it runs");
    let shown = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is our child");
    child.wait().expect("it ends");
    out.read_to_string(&mut said).expect("text");

    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    files(&folder.join("state"), &mut found);
    assert!(found.iter().any(|(_, text)| !text.is_empty()), "there is a ledger");
    for args in [["ledger", "show", "--state", "state"], ["key", "list", "--state", "state"]] {
        let output = baseload(folder, &args).output().expect("it runs");
        found.push((args.join(" "), [output.stdout, output.stderr].concat()));
    }
    found.push(("stderr".to_owned(), logged(folder)));
    found.push(("stdout".to_owned(), said.into_bytes()));
    found.push(("status".to_owned(), [status.stdout, status.stderr].concat()));
    found.push(("arguments".to_owned(), shown));
    let secrets = [ENV, FILE, COMMAND, ours.as_str(), PROMPT];
    found.extend(unechoed(answers, &secrets[..4]).into_iter().map(|answer| ("answer".to_owned(), answer.into_bytes())));
    let outputs = || found.iter().map(|(place, output)| (place.as_str(), output.as_slice()));
    assert_eq!(check_secrets(outputs(), &secrets), []);
    // Each place is really looked at: what was found there is found where a secret stands behind it.
    let leaked: Vec<(&str, Vec<u8>)> = outputs().map(|(place, output)| (place, [output, COMMAND.as_bytes()].concat())).collect();
    assert_eq!(check_secrets(leaked.iter().map(|(place, output)| (*place, output.as_slice())), &secrets).len(), found.len());
    let heard = heard.lock().expect("nobody panicked");
    for secret in [ENV, FILE, COMMAND] {
        assert!(heard.contains(secret), "{secret} was used");
    }
    assert!(!heard.contains(&ours), "a client's key goes no further");
}

/// Secrets that others may read are refused before anything listens.
#[test]
fn a_secret_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let key_file = folder.join("key");
    fs::write(&key_file, FILE).expect("a file");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    fs::write(folder.join("fleet.toml"), fleet(nobody, &key_file)).expect("a file");
    let output = baseload(folder, &["up", "fleet.toml", "--listen", "127.0.0.1:0", "--state", "state"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("chmod 600") && !said.contains(FILE), "{said}");
}

/// Beyond this machine TLS is needed, and then a key.
#[test]
fn a_listener_beyond_this_machine_wants_tls_and_a_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let key_file = folder.join("key");
    fs::write(&key_file, FILE).expect("a file");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    fs::write(folder.join("fleet.toml"), fleet(SocketAddr::from(([127, 0, 0, 1], 9)), &key_file)).expect("a file");
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(folder.join("cert.pem"), cert.pem()).expect("a file");
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).expect("a file");
    let up = |more: &[&str]| {
        let args = [["up", "fleet.toml", "--state", "state"].as_slice(), more].concat();
        let output = baseload(folder, &args).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let (code, said) = up(&["--listen", "0.0.0.0:0"]);
    assert!(code == Some(2) && said.contains("in the clear"), "{said}");
    let (code, said) = up(&["--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"]);
    assert!(code == Some(2) && said.contains("in the clear"), "{said}");
    let beyond = [["--listen", "0.0.0.0:0"].as_slice(), &tls].concat();
    let (_, said) = up(&beyond);
    assert!(said.contains("chmod 600"), "{said}");
    fs::set_permissions(folder.join("key.pem"), fs::Permissions::from_mode(0o600)).expect("it is ours");
    let (code, said) = up(&beyond);
    assert!(code == Some(2) && said.contains("there is no key yet"), "{said}");
}
