//! What a service does again and again beside serving: each on a thread of its own, so that a slow disk or a slow command holds up
//! nothing else, and so that all memory such work ever needs is there from its first turn on.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::log;

/// Threads that work at once and then once a pause, until they are stopped.
#[derive(Default)]
pub struct Upkeep {
    /// Each ends when its sender is gone.
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl Upkeep {
    /// Does `work` now and after each `pause`, and says what went wrong with it.
    ///
    /// # Errors
    /// When this machine gives no thread.
    pub fn every(&mut self, name: &str, pause: Duration, mut work: impl FnMut() -> Result<()> + Send + 'static) -> Result<()> {
        let (ending, ended) = mpsc::channel();
        // A panic ends the thread and was reported when it happened: prices go stale by rule, keys stay as they are.
        let run = move || {
            loop {
                if let Err(error) = work() {
                    log::say(format_args!("baseload: {error:#}"));
                }
                if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run).with_context(|| format!("start the thread {name}"))?;
        self.threads.push((ending, thread));
        Ok(())
    }

    /// Lets all of them end what they have under way, and waits for them.
    pub fn stop(self) {
        let (endings, threads): (Vec<_>, Vec<_>) = self.threads.into_iter().unzip();
        drop(endings);
        for thread in threads {
            // One that panicked has been reported by its panic.
            _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use anyhow::anyhow;

    use super::*;

    #[test]
    fn goes_on_after_what_went_wrong_and_ends_when_stopped() {
        let (tell, told) = sync_channel(0);
        let mut upkeep = Upkeep::default();
        let work = move || {
            _ = tell.send(());
            Err(anyhow!("again"))
        };
        upkeep.every("test", Duration::from_millis(1), work).expect("a thread");
        for turn in 0..3 {
            told.recv().unwrap_or_else(|_| unreachable!("turn {turn} comes after one that failed"));
        }
        drop(told);
        upkeep.stop();
    }

    #[test]
    fn a_pause_does_not_hold_up_the_stop() {
        let (tell, told) = sync_channel(1);
        let mut upkeep = Upkeep::default();
        let work = move || {
            _ = tell.try_send(());
            Ok(())
        };
        upkeep.every("test", Duration::from_secs(3600), work).expect("a thread");
        told.recv().expect("its first turn is at once");
        upkeep.stop();
        assert!(told.try_recv().is_err(), "and there was no second");
    }
}
