//! What goes wrong around the gateway, and when.

use std::time::Duration;

use testkit::Dice;
use turmoil::Sim;

use super::disk::{Death, Room};
use super::run::Run;
use super::scene::UPSTREAMS;

/// One kind of trouble; its name is the case that is counted.
type Kind = &'static str;

const PARTITION: Kind = "fault partition";
const HALF_OPEN: Kind = "fault half-open";
const DROP: Kind = "fault drop";
const DELAY: Kind = "fault delay";
const HOLD: Kind = "fault hold";
const UPSTREAM_CRASH: Kind = "fault upstream crash";
const CLOCK_FORWARD: Kind = "fault clock an hour on";
const CLOCK_BACK: Kind = "fault clock an hour back";
const KILL: Kind = "fault kill";
const KILL_AT: Kind = "fault kill at an append";
const POWER_CUT: Kind = "fault power cut";
const DISK_FULL: Kind = "fault disk full";
const DISK_BROKEN: Kind = "fault disk refuses all";
const CLOSE: Kind = "periods closed";

/// All of them.
pub(super) const KINDS: [Kind; 14] = [
    PARTITION,
    HALF_OPEN,
    DROP,
    DELAY,
    HOLD,
    UPSTREAM_CRASH,
    CLOCK_FORWARD,
    CLOCK_BACK,
    KILL,
    KILL_AT,
    POWER_CUT,
    DISK_FULL,
    DISK_BROKEN,
    CLOSE,
];

const HOUR_US: i64 = 3_600_000_000;

/// One trouble of a run.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub at: Duration,
    kind: Kind,
    lasts: Duration,
    /// Which host it is about: an upstream, or a client of this number.
    host: String,
    dice: Dice,
}

/// The troubles of a run, in their order.
pub(super) fn draw(run: &Run, clients: usize, until: Duration) -> Vec<Trouble> {
    let mut dice = run.dice(7);
    let count = dice.count(6, 12);
    let mut troubles: Vec<Trouble> = (0..count).map(|index| one(run, &mut dice, index as u64, clients, until)).collect();
    troubles.sort_by_key(|trouble| trouble.at);
    troubles
}

fn one(run: &Run, dice: &mut Dice, index: u64, clients: usize, until: Duration) -> Trouble {
    let upstream = UPSTREAMS[dice.count(0, UPSTREAMS.len() - 1)].to_owned();
    let host = if dice.chance(0.7) { upstream.clone() } else { format!("client-{}", dice.count(0, clients - 1)) };
    let kind = KINDS[dice.count(0, KINDS.len() - 1)];
    let host = if kind == UPSTREAM_CRASH { upstream } else { host };
    let until = usize::try_from(until.as_millis()).unwrap_or(1);
    Trouble {
        at: Duration::from_millis(dice.count(200, until - 3_000) as u64),
        lasts: Duration::from_millis(dice.count(100, 2_500) as u64),
        kind,
        host,
        dice: run.dice(100 + index),
    }
}

/// What has to be taken back, and when.
#[derive(Debug)]
pub(super) struct Undo {
    pub at: Duration,
    kind: Kind,
    host: String,
}

impl Undo {
    /// A process of the gateway that has died is started again.
    pub fn restart(at: Duration) -> Self {
        Self { at, kind: KILL, host: "gateway".to_owned() }
    }

    pub fn apply(&self, run: &Run, sim: &mut Sim<'_>) {
        match self.kind {
            PARTITION => sim.repair("gateway", self.host.as_str()),
            HALF_OPEN => {
                sim.repair_oneway("gateway", self.host.as_str());
                sim.repair_oneway(self.host.as_str(), "gateway");
            }
            DROP => sim.set_link_fail_rate("gateway", self.host.as_str(), 0.0),
            DELAY => sim.set_link_max_message_latency("gateway", self.host.as_str(), Duration::from_millis(20)),
            HOLD => sim.release("gateway", self.host.as_str()),
            UPSTREAM_CRASH | KILL => sim.bounce(self.host.as_str()),
            DISK_FULL | DISK_BROKEN => run.disk.leave(Room::All),
            _ => {}
        }
        if self.kind == DROP {
            sim.repair("gateway", self.host.as_str());
        }
    }
}

impl Trouble {
    /// Makes trouble; how the process dies of it, if it does, and what is to be taken back later.
    pub fn apply(&mut self, run: &Run, sim: &mut Sim<'_>) -> (Option<Death>, Option<Undo>) {
        run.cover(|coverage| {
            coverage.count(self.kind);
            coverage.count("faults");
        });
        run.note(&format!("{} {}", self.kind, self.host));
        let undo = Some(Undo { at: self.at + self.lasts, kind: self.kind, host: self.host.clone() });
        let host = self.host.as_str();
        match self.kind {
            PARTITION => sim.partition("gateway", host),
            HALF_OPEN if self.dice.chance(0.5) => sim.partition_oneway("gateway", host),
            HALF_OPEN => sim.partition_oneway(host, "gateway"),
            DROP => sim.set_link_fail_rate("gateway", host, 0.2),
            DELAY => sim.set_link_max_message_latency("gateway", host, Duration::from_millis(self.dice.count(200, 10_000) as u64)),
            HOLD => sim.hold("gateway", host),
            UPSTREAM_CRASH => sim.crash(host),
            CLOCK_FORWARD => run.move_clock(HOUR_US),
            CLOCK_BACK => run.move_clock(-HOUR_US),
            KILL => return (Some(Death::Kill), None),
            KILL_AT => run.disk.kill_in(u32::try_from(self.dice.count(1, 12)).unwrap_or(1)),
            POWER_CUT => return (Some(Death::PowerCut), None),
            DISK_FULL => run.disk.leave(Room::Ends),
            DISK_BROKEN => run.disk.leave(Room::Nothing),
            CLOSE => close(run),
            _ => {}
        }
        (None, undo)
    }
}

/// What `baseload up` does once a minute: closes the periods that have ended, and looks the books over.
fn close(run: &Run) {
    let Some(store) = run.disk.store() else { return };
    store.close_periods(run.wall()).expect("the disk of the simulation takes what the database writes");
    run.disk.copy_database();
    run.audit();
}
