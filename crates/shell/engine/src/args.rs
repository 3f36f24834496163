//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// Serves one GGUF model over OpenAI's HTTP API.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "baseload-engine", version)]
pub struct Args {
    /// The GGUF file to serve.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// The model's name in the API.
    #[arg(long)]
    pub name: String,
    /// Where to listen; port 0 lets the system choose.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many sequences run at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub slots: u16,
    /// Tokens per slot, prompt and answer together.
    #[arg(long, value_name = "TOKENS", default_value = "1024")]
    pub context: NonZeroU32,
    /// Threads that compute.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub threads: u16,
    /// How many sequences may wait for a slot before requests are refused.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub queue: u16,
    /// Percent of one core that this process may use; without it there's no limit.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..))]
    pub cpu_share: Option<u32>,
    /// Where to write the bound address, once the engine is ready.
    #[arg(long, value_name = "PATH")]
    pub port_file: Option<PathBuf>,
    /// Seconds that running answers have left after SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub grace: Duration,
    /// Be killed when the parent process ends (Linux).
    #[arg(long)]
    pub die_with_parent: bool,
    /// Let llama.cpp write its log to stderr.
    #[arg(long)]
    pub verbose: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}
