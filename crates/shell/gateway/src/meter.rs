//! Held time: what is paid for whether used or not, posted at whole multiples of [`METER_INTERVAL`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use dispatch::{AttemptId, HeldTime, Record};
use fleet::{CapacityOf, ContractId, EndpointId, Fleet, Meter};
use market::{Demand, Drawn, Usage, draw};
use tokio::sync::mpsc;
use units::{Instant, Quantity, Span};

use crate::limits::METER_INTERVAL;
use crate::state::State;

/// The work of one attempt in weighted tokens, as it grows.
#[derive(Debug)]
pub(crate) struct Tally {
    attempt: AttemptId,
    endpoint: EndpointId,
    contract: ContractId,
    work: AtomicI64,
    ended: AtomicBool,
}

impl Tally {
    pub fn new(attempt: AttemptId, endpoint: EndpointId, contract: ContractId) -> Self {
        Self { attempt, endpoint, contract, work: AtomicI64::new(0), ended: AtomicBool::new(false) }
    }

    /// So much work has been done in all.
    pub fn add_up_to(&self, work: i64) {
        self.work.fetch_max(work, Ordering::Relaxed);
    }

    /// It is over, and was so much work.
    pub fn end(&self, work: i64) {
        self.add_up_to(work);
        self.ended.store(true, Ordering::Release);
    }
}

/// What is held of an endpoint, and who pays for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Who pays, on which meter, for how many accelerators or provisioned units; in the supplier's drawdown order, never empty.
    pub payers: Vec<(ContractId, Meter, i64)>,
    /// Weighted tokens that one unit handles a minute; zero for accelerators.
    pub tokens_per_unit_minute: i64,
}

/// What an endpoint holds at `at`: the units of the first contract in force that has some for its model, else its replicas'
/// accelerators, drawn from what other endpoints of the pool left. `None` when nobody pays for the time.
#[must_use]
pub fn holding(fleet: &Fleet, endpoint: EndpointId, at: Instant, drawn: &mut Drawn) -> Option<Holding> {
    let row = &fleet.endpoints[endpoint];
    let units = fleet.covering(endpoint).into_iter().filter(|id| fleet.contracts[*id].in_force(at)).find_map(|id| {
        let clause = fleet.contracts[id].capacity.iter().find(|clause| clause.of == CapacityOf::Units(row.model))?;
        let count = fleet.contracts[id].capacity_at(clause.of, at).unwrap_or(0);
        Some(Holding { payers: vec![(id, Meter::UnitTime(row.model), count)], tokens_per_unit_minute: clause.tokens_per_unit_minute })
    });
    units.or_else(|| {
        let each = row.profile.map_or(1, |profile| fleet.profiles[profile].accelerators);
        let count = i64::from(row.replicas) * i64::from(each);
        // Over one millisecond a quantity of accelerator-milliseconds is a number of accelerators.
        let held = draw(fleet, endpoint, at, Demand::Accelerators { count, time: Duration::from_millis(1) }, drawn);
        let payers: Vec<_> = held.parts.iter().map(|part| (part.contract, part.meter, part.quantity.count())).collect();
        (!payers.is_empty()).then_some(Holding { payers, tokens_per_unit_minute: 0 })
    })
}

/// What happened on one endpoint over a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The span, in whole milliseconds.
    pub span: Span,
    /// The time in which at least one request was outstanding, not yet booked.
    pub busy: Duration,
    /// The work of each attempt that the holding's contract pays, in weighted tokens.
    pub work: Vec<(AttemptId, i64)>,
}

/// The held time of an interval, and the busy time that it books. Held = used + idle: used never exceeds held. Busy time that no
/// attempt is there to explain yet stays for the next reading.
#[must_use]
pub fn held_time(fleet: &Fleet, endpoint: EndpointId, holding: &Holding, interval: &Interval) -> (HeldTime, Duration) {
    let span_ms = millis(interval.span.length());
    let busy_ms = if interval.work.is_empty() { 0 } else { millis(interval.busy).min(span_ms) };
    let worked: i128 = interval.work.iter().map(|(_, work)| i128::from(*work)).sum();
    let usage = holding.payers.iter().map(|(contract, meter, count)| {
        let held = count.saturating_mul(span_ms);
        let used = match holding.tokens_per_unit_minute {
            0 => count.saturating_mul(busy_ms),
            per_minute => i64::try_from(worked * 60_000 / i128::from(per_minute)).unwrap_or(i64::MAX).clamp(0, held),
        };
        Usage { contract: *contract, meter: *meter, at: interval.span.from, held: Quantity::new(held), used: Quantity::new(used) }
    });
    let usage: Vec<Usage> = usage.collect();
    let shares = split(usage.iter().map(|usage| usage.used).sum(), &interval.work);
    let record = HeldTime { endpoint, fleet: fleet.version, span: interval.span, usage, shares };
    (record, Duration::from_millis(u64::try_from(busy_ms).unwrap_or(0)))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Splits what was used among the attempts by their work, to the last unit.
fn split(used: Quantity, work: &[(AttemptId, i64)]) -> Vec<(AttemptId, Quantity)> {
    let weights: Vec<i64> = work.iter().map(|(_, work)| *work).collect();
    let parts = market::split_busy(used, &weights);
    work.iter().zip(parts).filter(|(_, part)| *part > Quantity::ZERO).map(|((attempt, _), part)| (*attempt, part)).collect()
}

/// Cuts a span at whole minutes, so that after a long sleep no piece lies in two billing periods.
fn pieces(span: Span) -> impl Iterator<Item = Span> {
    const MINUTE: i64 = 60_000_000;
    let mut from = span.from;
    std::iter::from_fn(move || {
        let next = Instant::from_micros((from.micros().div_euclid(MINUTE) + 1) * MINUTE).min(span.to);
        let piece = Span { from, to: next };
        from = next;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Which held time is this gateway's to post: all, unless several share a fleet.
#[derive(Debug)]
pub(crate) struct Keep {
    from: AtomicI64,
    until: AtomicI64,
    /// Up to when it is posted.
    posted: AtomicI64,
}

impl Keep {
    /// All; or of a gateway among several nothing, until it is told.
    pub fn new(shared: bool) -> Self {
        let until = if shared { i64::MIN } else { i64::MAX };
        Self { from: i64::MIN.into(), until: until.into(), posted: i64::MIN.into() }
    }

    /// Nothing before `from`.
    pub fn begin(&self, from: Instant) {
        self.from.fetch_max(from.micros(), Ordering::AcqRel);
    }

    pub fn set(&self, from: Instant, until: Instant) {
        self.begin(from);
        self.until.store(until.micros(), Ordering::Release);
    }

    pub fn posted(&self) -> Instant {
        Instant::from_micros(self.posted.load(Ordering::Acquire))
    }

    /// What of a span is to be posted, and whether more of it is another's.
    fn of(&self, span: Span) -> (Span, bool) {
        // Whoever sees a later end sees the beginning that came with it.
        let until = Instant::from_micros(self.until.load(Ordering::Acquire));
        let from = Instant::from_micros(self.from.load(Ordering::Acquire));
        (Span { from: span.from.max(from), to: span.to.min(until) }, span.to > until)
    }
}

/// Where the meter stands.
pub(crate) struct Reader {
    state: Arc<State>,
    began: mpsc::Receiver<Arc<Tally>>,
    /// Up to when held time is posted.
    posted: Instant,
    /// Whether the last that is posted is held here.
    kept: bool,
    endpoints: BTreeMap<EndpointId, Open>,
}

/// What is known of one endpoint since the last reading.
#[derive(Default)]
struct Open {
    /// Busy microseconds booked so far.
    booked: u64,
    /// Calls begun up to the last look, for the rate of arrivals.
    begun: u64,
    rate_per_ks: i64,
    /// Attempts under way, with the work that was booked of each.
    tallies: Vec<Booked>,
}

/// An attempt under way.
struct Booked {
    tally: Arc<Tally>,
    /// Its work up to the last posting.
    work: i64,
    /// It had ended before the present posting, which so has all of its work.
    ended: bool,
}

/// How often rates of arrival are looked at.
const LOOK: Duration = Duration::from_secs(1);

impl Reader {
    pub fn new(state: Arc<State>, began: mpsc::Receiver<Arc<Tally>>) -> Self {
        let posted = whole(state.started, Duration::from_millis(1));
        let endpoints = state.snapshot.load().fleet.endpoints.iter().map(|(id, ..)| (id, Open::default())).collect();
        Self { state, began, posted, kept: false, endpoints }
    }

    /// Reads until `stop`, and once more then.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let now = self.state.clock.now();
            let next = whole(now, LOOK) + LOOK;
            tokio::select! {
                biased;
                () = tokio::time::sleep(next.since(now)) => self.look(),
                () = &mut stop => break,
            }
            // Where no request comes by, this is who asks the journal again.
            _ = self.state.recorder.pay();
            // Of threads that serve nobody, such as this one, nobody else looks after the connections.
            self.state.wires.tidy();
            self.post(whole(self.state.clock.now(), METER_INTERVAL));
        }
        self.post(whole(self.state.clock.now(), Duration::from_millis(1)));
        _ = self.state.recorder.pay();
    }

    /// Learns how fast calls arrive at each endpoint: a mean over about eight looks.
    fn look(&mut self) {
        for (id, open) in &mut self.endpoints {
            let counters = self.state.counters(*id);
            let begun = counters.begun.load(Ordering::Relaxed);
            let came = i64::try_from(begun - open.begun).unwrap_or(i64::MAX);
            open.begun = begun;
            open.rate_per_ks += (came.saturating_mul(1_000) - open.rate_per_ks) / 8;
            counters.arrivals_per_ks.store(u32::try_from(open.rate_per_ks).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    /// Posts what was held from the last posting up to `to`, as far as that is this gateway's to post.
    pub fn post(&mut self, to: Instant) {
        if to <= self.posted {
            return;
        }
        while let Ok(tally) = self.began.try_recv() {
            self.endpoints.entry(tally.endpoint).or_default().tallies.push(Booked { tally, work: 0, ended: false });
        }
        for booked in self.endpoints.values_mut().flat_map(|open| &mut open.tallies) {
            booked.ended = booked.tally.ended.load(Ordering::Acquire);
        }
        let fleet = Arc::clone(&self.state.snapshot.load().fleet);
        let (span, others) = self.state.keep.of(Span { from: self.posted, to });
        if !span.is_empty() {
            (self.posted, self.kept) = (span.to, true);
            self.state.keep.posted.store(span.to.micros(), Ordering::Release);
            pieces(span).for_each(|piece| self.post_piece(&fleet, piece));
        }
        if others {
            self.give_over(&fleet, to);
        }
        for open in self.endpoints.values_mut() {
            open.tallies.retain(|booked| !booked.ended);
        }
    }

    fn post_piece(&mut self, fleet: &Fleet, piece: Span) {
        let (mut drawn, mut records) = (Drawn::default(), Vec::new());
        for (endpoint, open) in &mut self.endpoints {
            let Some(holding) = holding(fleet, *endpoint, piece.from, &mut drawn) else { continue };
            let busy = self.state.counters(*endpoint).busy.micros(self.state.uptime_us(self.state.clock.now()));
            let busy = Duration::from_micros(busy.saturating_sub(open.booked));
            let interval = Interval { span: piece, busy, work: open.work(&holding) };
            let (record, booked) = held_time(fleet, *endpoint, &holding, &interval);
            open.booked += u64::try_from(booked.as_micros()).unwrap_or(0);
            records.push(Record::Held(record));
        }
        // In the order of endpoints: by that the books know which of them a kill left out.
        self.state.recorder.tell_together(records);
    }

    /// What work takes of time that another gateway posts is not booked later. Once it is noted that nothing is held here any more: the books
    /// must not go on posting for this process when it is killed.
    fn give_over(&mut self, fleet: &Fleet, to: Instant) {
        let mut drawn = Drawn::default();
        for (endpoint, open) in &mut self.endpoints {
            let Some(holding) = holding(fleet, *endpoint, to, &mut drawn) else { continue };
            open.booked = self.state.counters(*endpoint).busy.micros(self.state.uptime_us(self.state.clock.now()));
            _ = open.work(&holding);
            if std::mem::take(&mut self.kept) {
                let span = Span { from: self.posted, to: self.posted + Duration::from_millis(1) };
                let nothing = HeldTime { endpoint: *endpoint, fleet: fleet.version, span, usage: Vec::new(), shares: Vec::new() };
                self.state.recorder.tell(Record::Held(nothing));
            }
        }
    }
}

impl Open {
    /// Work since it was last asked for. Units are taken only by what their own contract pays; a replica by all.
    fn work(&mut self, holding: &Holding) -> Vec<(AttemptId, i64)> {
        let pays =
            |tally: &Tally| holding.tokens_per_unit_minute == 0 || holding.payers.iter().any(|(contract, ..)| *contract == tally.contract);
        let paid = self.tallies.iter_mut().filter(|booked| pays(&booked.tally));
        paid.map(|booked| {
            let work = booked.tally.work.load(Ordering::Relaxed);
            (booked.tally.attempt, work - std::mem::replace(&mut booked.work, work))
        })
        .collect()
    }
}

/// The last whole multiple of `step` before `at` or at it.
fn whole(at: Instant, step: Duration) -> Instant {
    let step = i64::try_from(step.as_micros()).unwrap_or(i64::MAX).max(1);
    Instant::from_micros(at.micros().div_euclid(step) * step)
}
