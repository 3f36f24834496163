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
    /// Where to listen, on this machine only; port 0 lets the system choose.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = loopback)]
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

/// The engine has no keys and no TLS, so nobody elsewhere may reach it.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "not an address such as 127.0.0.1:8080".to_owned())?;
    if !address.ip().to_canonical().is_loopback() {
        return Err("the engine has no keys and no TLS. Listen on 127.0.0.1, and let others ask `baseload up` in front of it".to_owned());
    }
    Ok(address)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::loopback;

    #[test]
    fn only_this_machine_is_listened_on() {
        for here in ["127.0.0.1:0", "127.0.0.2:8080", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
            assert_eq!(loopback(here).map(|address| address.to_string()), Ok(here.to_owned()));
        }
        for beyond in ["0.0.0.0:8000", "[::]:8000", "10.0.0.1:8000", "[::ffff:10.0.0.1]:8000"] {
            assert!(loopback(beyond).is_err_and(|error| error.contains("no keys") && error.contains("Listen on 127.0.0.1")), "{beyond}");
        }
        assert!(loopback("localhost").is_err_and(|error| error.contains("not an address")));
    }
}
