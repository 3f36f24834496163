//! The embedded model server, a program of its own: a GGUF file behind OpenAI's API.
//!
//! `http` turns a request into jobs, `inbox` queues them, and `batch` is one thread that owns llama.cpp's context and advances every
//! running sequence by one step at a time. Text goes back over one bounded channel per request; dropping its receiver cancels the work.

mod args;
mod batch;
mod door;
mod error;
mod http;
mod inbox;
mod model;
mod pace;
mod reply;
mod request;
mod sample;
mod slot;
mod stats;
mod stream;
mod template;
mod text;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::args::Args;
use crate::batch::Batch;
use crate::inbox::Inbox;
use crate::model::Model;
use crate::stats::Stats;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("baseload-engine: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to stderr, if anyone reads it.
fn tell(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap_or_default();
}

fn run(args: &Args) -> anyhow::Result<()> {
    if args.die_with_parent {
        tie_to_parent().context("failed to tie this process to its parent")?;
    }
    let begun = Instant::now();
    let model = Arc::new(Model::load(&args.model, args.verbose)?);
    let stats = Arc::new(Stats::new(args.slots, begun.elapsed()));
    let inbox = Arc::new(Inbox::new(args.slots, args.queue));
    let (alive, ended) = oneshot::channel::<()>();

    let batch = {
        let (model, stats, inbox, args) = (Arc::clone(&model), Arc::clone(&stats), Arc::clone(&inbox), args.clone());
        let (ready, loaded) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("batch".to_owned()).spawn(move || {
            // Dropped when the thread ends for whatever reason, which is how the server learns of it.
            let _alive = alive;
            match Batch::new(&model, &stats, &args) {
                Ok(mut batch) => {
                    if ready.send(Ok(())).is_ok() {
                        batch.run(&inbox);
                    }
                }
                // The receiver waits for exactly this message, so it can't be gone.
                Err(error) => ready.send(Err(error)).unwrap_or_default(),
            }
        })?;
        loaded.recv().context("the batch thread ended before it was ready")??;
        thread
    };

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind(args.listen).await.with_context(|| format!("failed to listen on {}", args.listen))?;
        let address = listener.local_addr()?;
        if let Some(path) = &args.port_file {
            write_whole(path, &address.to_string()).with_context(|| format!("failed to write {}", path.display()))?;
        }
        tell(&format!("serving {} on http://{address}", args.name));
        http::serve(listener, http::App::new(args, model, Arc::clone(&inbox), stats), args.grace, ended).await
    });
    inbox.stop();
    let joined = batch.join();
    served?;
    joined.map_err(|_| anyhow::anyhow!("the batch thread panicked"))
}

/// Asks the kernel to kill this process with its parent, and ends here if the parent is gone already.
///
/// Linux ties the signal to the parent's *thread* that spawned us: it has to be one that lives as long as the parent does.
fn tie_to_parent() -> anyhow::Result<()> {
    let parent = rustix::process::getppid();
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    anyhow::ensure!(rustix::process::getppid() == parent, "the parent has ended");
    Ok(())
}

/// Writes a file so that a reader sees all of it or none.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(partial, path)
}
