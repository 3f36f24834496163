//! `baseload demo`: the laptop fleet, an engine per pool, a recorded trace as traffic, and a live view of who pays.

mod gather;
mod keys;
mod prompt;
mod screen;
mod summary;
mod terminal;
mod trace;
mod traffic;
mod view;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use dispatch::{Policy, RequestId, Settlement};
use gateway::Limits;
use ledger::Store;
use tokio::time::{interval, sleep};
use units::Span;

use crate::args::Demo;
use crate::command::up::runtime;
use crate::exit::Exit;
use crate::http::Client;
use crate::listen::Listen;
use crate::service::{Service, Setup, describe};
use crate::signals::Ending;
use crate::{fleetfile, models, place};
use gather::Gather;
use summary::Case;
use trace::{LAPTOP, Trace};
use traffic::{Asker, Counts};

/// The fleet of the demo.
const FLEET: &str = include_str!("../../../../fleets/laptop.toml");
/// What it is called in messages.
const FLEET_NAME: &str = "fleets/laptop.toml";
/// How often a line is printed without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Runs the demo.
pub fn run(args: Demo, out: &mut dyn Write) -> Result<Exit> {
    let begun = Instant::now();
    Listen::plain(args.listen).check()?;
    for model in models::KNOWN {
        model.member.pull(&place::models()?, &mut io::stderr())?;
    }
    let state = place::state(args.state.dir.clone(), "demo")?;
    let setup = Setup {
        plan: None,
        share: None,
        keep_journal: Duration::from_secs(30 * 86_400),
        read: fleetfile::parse(FLEET, FLEET_NAME)?,
        name: FLEET_NAME.to_owned(),
        beside: PathBuf::new(),
        state: state.clone(),
        listen: Listen::plain(args.listen),
        policy: Policy::MarginalCost,
        shadow: false,
        limits: Limits::default(),
    };
    runtime()?.block_on(async {
        let mut ending = Ending::new()?;
        let (service, recovery) = Service::start(setup).await?;
        if let Some(found) = describe(&recovery) {
            writeln!(out, "{found}")?;
        }
        let mut demo = Running::new(&service, &state, &args)?;
        let ended = demo.live(&service, &mut ending, begun, out).await;
        let (store, fleet, now) = (service.store.clone(), Arc::clone(&service.fleet), service.clock.clone());
        service.stop().await?;
        let ended = ended?;
        let span = summary::touched(&fleet, Span { from: demo.since, to: now.now() });
        let cases = cases(&store, span)?;
        writeln!(out)?;
        summary::write(&summary::summary(&fleet, &store.books().balances, &cases, span), &fleet, out)?;
        writeln!(out, "\nnothing is left running. Started again, the key is the same and the ledger goes on:\n  {}\n", demo.connect)?;
        demo.next_steps(&state, out)?;
        Ok(ended)
    })
}

/// The demo while it runs.
struct Running {
    since: units::Instant,
    connect: String,
    /// The same for a shell, with a question.
    curl: String,
    asker: Asker,
    counts: Arc<Counts>,
    seed: u64,
    span: Option<Duration>,
    plain: bool,
}

impl Running {
    fn new(service: &Service, state: &Path, args: &Demo) -> Result<Self> {
        let (key, traffic_key) = (keys::kept(state, "demo")?, keys::kept(state, "traffic")?);
        service.gateway.set_keys(&service.store.keys()?);
        let base = format!("http://{}/v1", service.at);
        let body = r#"{"model":"default","messages":[{"role":"user","content":"Why is the sky blue?"}],"temperature":0.2,"max_tokens":80}"#;
        let curl =
            format!("curl -i {base}/chat/completions -H 'authorization: Bearer {key}' -H 'content-type: application/json' -d '{body}'");
        Ok(Self {
            since: service.clock.now(),
            connect: format!("OPENAI_BASE_URL={base} OPENAI_API_KEY={key}"),
            curl,
            asker: Asker { client: Client::new(), at: service.at, key: traffic_key.into() },
            counts: Arc::default(),
            seed: args.seed,
            span: args.span,
            plain: args.plain,
        })
    }

    /// From the first line to the last: what ended it, or why it failed.
    async fn live(&mut self, service: &Service, ending: &mut Ending, begun: Instant, out: &mut dyn Write) -> Result<Exit> {
        let trace = Trace::azure(LAPTOP)?;
        self.introduce(service, &trace, out)?;
        tokio::select! {
            answered = self.first_answer(service) => {
                answered?;
                writeln!(out, "first answer {:.1} s after the start\n", begun.elapsed().as_secs_f64())?;
            }
            ended = ending.wait() => return Ok(ended),
        }
        self.next_steps_live(out)?;
        out.flush()?;
        let traffic = tokio::spawn(traffic::play(trace, self.asker.clone(), self.seed, Arc::clone(&self.counts)));
        let gather = Gather::new(service, Arc::clone(&self.counts), self.connect.clone());
        let ended = if !self.plain && terminal::there_is_one() {
            self.view(service, gather, ending).await
        } else {
            self.lines(gather, ending, out).await
        };
        // Its requests under way go with it: to the gateway they are clients that hung up.
        traffic.abort();
        ended
    }

    fn introduce(&self, service: &Service, trace: &Trace, out: &mut dyn Write) -> Result<()> {
        let (attempts, per_ks, (input, output)) = (service.store.attempts(usize::MAX)?.len(), trace.per_ks(), trace.means());
        writeln!(out, "fleet    {FLEET_NAME}: {} pools, {} contracts", service.fleet.pools.len(), service.fleet.contracts.len())?;
        match attempts {
            0 => writeln!(out, "ledger   new")?,
            _ => writeln!(out, "ledger   continues: {attempts} attempts are in it")?,
        }
        let rate = format!("{}.{:02}", per_ks / 1000, per_ks % 1000 / 10);
        writeln!(
            out,
            "traffic  Azure 2023 conversation trace, {LAPTOP}: {rate} requests/s, on average {input} tokens in and {output} out"
        )?;
        writeln!(out, "\n{}\n\n{}\n", self.connect, self.curl)?;
        Ok(out.flush()?)
    }

    async fn first_answer(&self, service: &Service) -> Result<()> {
        if !service.engines.any_up().await {
            bail!("start an engine");
        }
        // The engine may be lost again before it answers: its log says why, and another comes up.
        for _ in 0..20 {
            match self.asker.chat("Say hello.", "priority", 8).await {
                Ok(_) => return Ok(()),
                Err(_) => sleep(Duration::from_millis(250)).await,
            }
        }
        self.asker.chat("Say hello.", "priority", 8).await.map(|_| ()).context("get a first answer")
    }

    async fn view(&self, service: &Service, mut gather: Gather, ending: &mut Ending) -> Result<Exit> {
        let over = Arc::new(AtomicBool::new(false));
        let (fleet, engines) = (Arc::clone(&service.fleet), Arc::clone(&service.engines));
        let mut shown = tokio::task::spawn_blocking({
            let over = Arc::clone(&over);
            move || terminal::show(|| gather.screen(), |index| gather::toggle(&fleet, &engines, index), &over)
        });
        let ended = tokio::select! {
            shown = &mut shown => return Ok(shown.context("show the view")??.unwrap_or(Exit::Done)),
            ended = ending.wait() => ended,
            () = elapsed(self.span) => Exit::Done,
        };
        over.store(true, Ordering::Relaxed);
        shown.await.context("show the view")??;
        Ok(ended)
    }

    async fn lines(&self, mut gather: Gather, ending: &mut Ending, out: &mut dyn Write) -> Result<Exit> {
        let mut ticks = interval(LINE_EVERY);
        let over = elapsed(self.span);
        tokio::pin!(over);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    writeln!(out, "{}", gather::line(&gather.screen()))?;
                    out.flush()?;
                }
                ended = ending.wait() => return Ok(ended),
                () = &mut over => return Ok(Exit::Done),
            }
        }
    }

    fn next_steps_live(&self, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "what to try next")?;
        writeln!(out, "  in another terminal, paste the curl above: the x-baseload-* headers say where it went and who paid")?;
        writeln!(out, "  in the view, select pool north and press s to stop it: traffic moves, prices change; s again brings it back")?;
        writeln!(out, "  baseload status --at {}\n", self.asker.at)?;
        Ok(())
    }

    fn next_steps(&self, state: &Path, out: &mut dyn Write) -> Result<()> {
        let state = state.display();
        writeln!(out, "what to try next")?;
        writeln!(out, "  baseload ledger show --state {state}            what was metered, and who paid")?;
        writeln!(out, "  baseload decision show REQUEST --state {state}  why it went there, with all it saw")?;
        writeln!(out, "  baseload decision replay --all --state {state}  decide all of it again, bit for bit")?;
        writeln!(out, "  baseload init                                   a commented fleet file of your own")?;
        Ok(())
    }
}

/// When the span is over; never without one.
async fn elapsed(span: Option<Duration>) {
    match span {
        Some(span) => sleep(span).await,
        None => std::future::pending().await,
    }
}

/// Every first decision of the span with how its request ended in the end.
fn cases(store: &Store, span: Span) -> Result<Vec<Case>> {
    let decisions = store.decisions(span.from)?;
    let mut ended: BTreeMap<RequestId, Settlement> = BTreeMap::new();
    for settled in store.attempts(decisions.len())?.into_iter().filter_map(|row| row.settled) {
        let last = ended.entry(settled.attempt.request).or_insert(settled);
        if last.attempt.attempt < settled.attempt.attempt {
            *last = settled;
        }
    }
    let first = decisions.into_iter().filter(|journaled| journaled.attempt.attempt == 1);
    let case = |journaled: ledger::Journaled| {
        let settled = *ended.get(&journaled.attempt.request)?;
        Some(Case { question: journaled.question, settled })
    };
    Ok(first.filter_map(case).collect())
}
