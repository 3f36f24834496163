//! What the engine has done, as counters that `/metrics` shows.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::pace::cpu_used;

/// How a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The model finished, or a stop string came.
    Stop,
    /// The token limit came.
    Length,
    /// The client hung up.
    Cancelled,
    /// The engine failed or was stopped.
    Failed,
    /// There was no room in the queue.
    Refused,
}

impl Outcome {
    const ALL: [(Self, &str); 5] = [
        (Self::Stop, "stop"),
        (Self::Length, "length"),
        (Self::Cancelled, "cancelled"),
        (Self::Failed, "failed"),
        (Self::Refused, "refused"),
    ];
}

/// Counters and gauges; written by the batch thread, read by anyone.
#[derive(Debug, Default)]
pub struct Stats {
    slots: u16,
    load: Duration,
    ended: [AtomicU64; Outcome::ALL.len()],
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    steps: AtomicU64,
    decode_micros: AtomicU64,
    rest_micros: AtomicU64,
}

impl Stats {
    /// Counters at zero for an engine of `slots` whose model took `load` to load.
    pub fn new(slots: u16, load: Duration) -> Self {
        Self { slots, load, ..Self::default() }
    }

    /// A sequence ended.
    pub fn ended(&self, outcome: Outcome) {
        self.ended[outcome as usize].fetch_add(1, Relaxed);
    }

    /// A sequence got a slot, with `cached` of its `prompt` tokens there already.
    pub fn admitted(&self, prompt: usize, cached: usize) {
        self.prompt_tokens.fetch_add(prompt as u64, Relaxed);
        self.cached_tokens.fetch_add(cached as u64, Relaxed);
    }

    /// A token was sampled.
    pub fn sampled(&self) {
        self.completion_tokens.fetch_add(1, Relaxed);
    }

    /// A step of the batch took `time`.
    pub fn stepped(&self, time: Duration) {
        self.steps.fetch_add(1, Relaxed);
        self.decode_micros.fetch_add(micros(time), Relaxed);
    }

    /// The batch thread rested for `time` to keep to its share.
    pub fn rested(&self, time: Duration) {
        self.rest_micros.fetch_add(micros(time), Relaxed);
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self, running: usize, waiting: usize) -> String {
        let mut page = String::new();
        let mut put = |name: &str, kind: &str, help: &str, value: f64| {
            write!(page, "# HELP baseload_engine_{name} {help}\n# TYPE baseload_engine_{name} {kind}\nbaseload_engine_{name} {value}\n")
                .expect("a string takes any text");
        };
        put("prompt_tokens_total", "counter", "Prompt tokens of admitted sequences.", count(&self.prompt_tokens));
        put("cached_tokens_total", "counter", "Prompt tokens found in the cache.", count(&self.cached_tokens));
        put("completion_tokens_total", "counter", "Tokens generated.", count(&self.completion_tokens));
        put("decode_steps_total", "counter", "Steps of the batch.", count(&self.steps));
        put("decode_seconds_total", "counter", "Time spent in steps of the batch.", count(&self.decode_micros) / 1e6);
        put("rest_seconds_total", "counter", "Time rested to keep to the CPU share.", count(&self.rest_micros) / 1e6);
        put("cpu_seconds_total", "counter", "CPU time of the process.", cpu_used().as_secs_f64());
        put("load_seconds", "gauge", "Time that loading the model took.", self.load.as_secs_f64());
        put("slots", "gauge", "Sequences that can run at once.", f64::from(self.slots));
        put("running", "gauge", "Sequences running.", running as f64);
        put("waiting", "gauge", "Sequences waiting for a slot.", waiting as f64);
        page.push_str("# HELP baseload_engine_requests_total Sequences ended.\n# TYPE baseload_engine_requests_total counter\n");
        for (outcome, name) in Outcome::ALL {
            let ended = self.ended[outcome as usize].load(Relaxed);
            writeln!(page, "baseload_engine_requests_total{{outcome=\"{name}\"}} {ended}").expect("a string takes any text");
        }
        page
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn count(counter: &AtomicU64) -> f64 {
    counter.load(Relaxed) as f64
}
