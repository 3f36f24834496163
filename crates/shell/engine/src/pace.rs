//! Holds the engine to a share of one core, without cgroups.
//!
//! This is pacing, not isolation: after each step the batch thread rests until CPU time over elapsed time is down to the share. One step
//! runs at full speed, nothing is credited for time spent idle, and the kernel still decides who runs when cores are short.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A share of one core, and when the step being paced began.
#[derive(Debug)]
pub struct Pace {
    percent: Option<u32>,
    since: Mark,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    wall: Instant,
    cpu: Duration,
}

impl Mark {
    fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu_used() }
    }
}

impl Pace {
    /// Paces to `percent` of one core; `None` never rests.
    pub fn new(percent: Option<u32>) -> Self {
        Self { percent, since: Mark::now() }
    }

    /// Begins to count a step from here.
    pub fn begin(&mut self) {
        self.since = Mark::now();
    }

    /// How long to rest after the step that ends here.
    pub fn rest(&self) -> Duration {
        let Some(percent) = self.percent else { return Duration::ZERO };
        let now = Mark::now();
        rest_after(now.cpu.saturating_sub(self.since.cpu), now.wall - self.since.wall, percent)
    }
}

/// CPU time of the whole process, so that more threads and the HTTP side count too.
pub fn cpu_used() -> Duration {
    // The clock can't run backwards past zero.
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn rest_after(cpu: Duration, wall: Duration, percent: u32) -> Duration {
    (cpu.saturating_mul(100) / percent.max(1)).saturating_sub(wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cpu_ms: u64, wall_ms: u64, percent: u32, rest_ms: u64) {
        let rest = rest_after(Duration::from_millis(cpu_ms), Duration::from_millis(wall_ms), percent);
        assert_eq!(rest, Duration::from_millis(rest_ms), "{cpu_ms} ms of CPU in {wall_ms} ms at {percent} %");
    }

    #[test]
    fn rest_brings_cpu_time_down_to_the_share() {
        check(60, 60, 60, 40);
        check(60, 100, 60, 0);
        check(60, 250, 60, 0);
        check(10, 10, 1, 990);
        // Two threads at 150 % of one core.
        check(30, 15, 150, 5);
        check(0, 0, 50, 0);
    }
}
