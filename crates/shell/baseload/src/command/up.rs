//! `baseload up`.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::args::Up;
use crate::exit::Exit;
use crate::plan::saved;
use crate::service::{Service, Setup, describe};
use crate::signals::Ending;
use crate::{fleetfile, place};

/// Runs the service until it is told to end.
pub fn run(args: Up, out: &mut dyn Write) -> Result<Exit> {
    let read = fleetfile::read(&args.fleet)?;
    let plan = args.plan.map(|path| saved::guiding(&path, &read.fleet).map(Arc::new)).transpose()?;
    let setup = Setup {
        read,
        name: args.fleet.display().to_string(),
        beside: args.fleet.parent().unwrap_or(Path::new("")).to_owned(),
        state: place::state(args.state.dir, "up")?,
        listen: args.listen,
        policy: args.policy.0,
        plan,
        keep_journal: Duration::from_secs(u64::from(args.keep_journal) * 86_400),
    };
    runtime()?.block_on(serve(setup, out))
}

/// Two threads serve: the work per request is microseconds, and the engines need the cores.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("start the runtime")
}

async fn serve(setup: Setup, out: &mut dyn Write) -> Result<Exit> {
    let mut ending = Ending::new()?;
    let state = setup.state.clone();
    let (service, recovery) = Service::start(setup).await?;
    if let Some(found) = describe(&recovery) {
        writeln!(out, "{found}")?;
    }
    let keys = service.store.keys()?.len();
    writeln!(out, "listening on http://{}/v1   fleet {} {}", service.at, service.fleet.name, service.fleet.version)?;
    writeln!(out, "state    {}", state.display())?;
    if keys == 0 {
        writeln!(out, "no keys yet: baseload key create NAME --state {}", state.display())?;
    }
    writeln!(out, "status   baseload status --at {}", service.at)?;
    out.flush()?;
    let ended = ending.wait().await;
    writeln!(out, "stopping")?;
    out.flush()?;
    service.stop().await?;
    Ok(ended)
}
