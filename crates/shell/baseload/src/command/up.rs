//! `baseload up`.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::args::{LogForm, Up};
use crate::exit::Exit;
use crate::listen::{Listen, Tls};
use crate::plan::saved;
use crate::service::{Service, Setup, describe};
use crate::signals::Ending;
use crate::{fleetfile, log, place};

/// Runs the service until it is told to end.
pub fn run(args: Up, out: &mut dyn Write) -> Result<Exit> {
    let read = fleetfile::read(&args.fleet)?;
    let plan = args.plan.map(|path| saved::guiding(&path, &read.fleet).map(Arc::new)).transpose()?;
    let tls = args.tls_cert.zip(args.tls_key).map(|(chain, key)| Tls { chain, key });
    let setup = Setup {
        read,
        name: args.fleet.display().to_string(),
        beside: args.fleet.parent().unwrap_or(Path::new("")).to_owned(),
        state: place::state(args.state.dir, "up")?,
        listen: Listen { at: args.listen, admin: args.admin, tls },
        policy: args.policy.0,
        plan,
        shadow: args.shadow,
        limits: args.patience.limits(),
        share: args.share.address()?,
        keep_journal: Duration::from_secs(u64::from(args.keep_journal) * 86_400),
    };
    runtime()?.block_on(serve(setup, (args.log, args.otlp), out))
}

/// Two threads serve: the work per request is microseconds, and the engines need the cores.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("start the runtime")
}

async fn serve(setup: Setup, (form, otlp): (Option<LogForm>, Option<String>), out: &mut dyn Write) -> Result<Exit> {
    let mut ending = Ending::new()?;
    let (state, shadow) = (setup.state.clone(), setup.shadow);
    let scheme = if setup.listen.tls.is_some() { "https" } else { "http" };
    let (service, recovery) = Service::start(setup).await?;
    if form == Some(LogForm::Json) {
        service.gateway.set_log(log::lines().context("start the log")?);
    }
    // As OpenTelemetry has it, a variable that is set to nothing is one that is not set.
    if let Some(collector) = otlp.filter(|collector| !collector.is_empty()) {
        service.gateway.export_traces(&collector).context("use --otlp")?;
    }
    if let Some(found) = describe(&recovery) {
        writeln!(out, "{found}")?;
    }
    let keys = service.store.keys()?.len();
    writeln!(out, "listening on {scheme}://{}/v1   fleet {} {}", service.at, service.fleet.name, service.fleet.version)?;
    writeln!(out, "state    {}", state.display())?;
    if shadow {
        writeln!(
            out,
            "shadow   each request goes where its caller says; baseload ledger shadow --state {} says what would be better",
            state.display()
        )?;
    }
    if keys == 0 {
        writeln!(out, "no keys yet: baseload key create NAME --state {}", state.display())?;
    }
    // `status` speaks plain HTTP, as on this machine.
    if let Some(at) = service.admin.or((scheme == "http").then_some(service.at)) {
        writeln!(out, "status   baseload status --at {at}")?;
    }
    out.flush()?;
    let ended = ending.wait().await;
    writeln!(out, "stopping")?;
    out.flush()?;
    service.stop().await?;
    Ok(ended)
}
