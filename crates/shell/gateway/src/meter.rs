//! Held time: what is paid for whether used or not, posted at whole multiples of [`METER_INTERVAL`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use dispatch::{AttemptId, HeldTime, Record};
use fleet::{CapacityOf, ContractId, EndpointId, Fleet, Meter, ModelId};
use market::{Demand, Drawn, Part, Usage, delivered, draw};
use tokio::sync::mpsc;
use units::{Instant, Quantity, Span};

use crate::keep::{Together, Used, spread};
use crate::limits::{METER_INTERVAL, USED_MAX};
use crate::state::State;

/// The work of one attempt in weighted tokens, as it grows.
#[derive(Debug)]
pub(crate) struct Tally {
    attempt: AttemptId,
    /// Where it counts as work: of provisioned units that several endpoints share, the one at which they are held.
    endpoint: EndpointId,
    contract: ContractId,
    /// Whether provisioned units of that take it.
    in_units: bool,
    work: AtomicI64,
    ended: AtomicBool,
}

impl Tally {
    pub fn new(attempt: AttemptId, endpoint: EndpointId, contract: ContractId, in_units: bool) -> Self {
        Self { attempt, endpoint, contract, in_units, work: AtomicI64::new(0), ended: AtomicBool::new(false) }
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

/// Who pays for what is held, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who pays.
    pub contract: ContractId,
    /// On which meter.
    pub meter: Meter,
    /// For how many accelerators or provisioned units.
    pub count: i64,
    /// Weighted tokens that one unit handles a minute; zero for accelerators.
    pub tokens_per_unit_minute: i64,
}

/// Where a contract's provisioned units of a model are held: they are paid for once, so at the first endpoint of the model that it covers.
pub(crate) fn held_at(fleet: &Fleet, contract: ContractId, model: ModelId) -> Option<EndpointId> {
    let mut of_model = fleet.endpoints.iter().filter(|(.., endpoint)| endpoint.model == model).map(|(id, ..)| id);
    of_model.find(|endpoint| fleet.covering(*endpoint).contains(&contract))
}

/// What is held at an endpoint at `at`, in the supplier's drawdown order: the delivered units for its model of each contract in force whose
/// units are held there; where no contract has any, its replicas' accelerators, drawn from what other endpoints of the pool left. Empty
/// when nobody pays for the time.
#[must_use]
pub fn holding(fleet: &Fleet, endpoint: EndpointId, at: Instant, drawn: &mut Drawn) -> Vec<Holder> {
    let row = &fleet.endpoints[endpoint];
    let units = fleet.covering(endpoint).into_iter().filter(|id| fleet.contracts[*id].in_force(at)).filter_map(|contract| {
        let clause = fleet.contracts[contract].capacity.iter().find(|clause| clause.of == CapacityOf::Units(row.model))?;
        let (count, tokens_per_unit_minute) = (delivered(fleet, contract, clause.of, at), clause.tokens_per_unit_minute);
        (count > 0).then_some(Holder { contract, meter: Meter::UnitTime(row.model), count, tokens_per_unit_minute })
    });
    let units: Vec<Holder> = units.collect();
    if !units.is_empty() {
        return units.into_iter().filter(|holder| held_at(fleet, holder.contract, row.model) == Some(endpoint)).collect();
    }
    let each = row.profile.map_or(1, |profile| fleet.profiles[profile].accelerators);
    let count = i64::from(row.replicas) * i64::from(each);
    // Over one millisecond a quantity of accelerator-milliseconds is a number of accelerators.
    let held = draw(fleet, endpoint, at, Demand::Accelerators { count, time: Duration::from_millis(1) }, drawn);
    let holder =
        |part: &Part| Holder { contract: part.contract, meter: part.meter, count: part.quantity.count(), tokens_per_unit_minute: 0 };
    held.parts.iter().map(holder).collect()
}

/// Work that one attempt did on an endpoint, or on units that are held there, in weighted tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worked {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Who pays for it.
    pub contract: ContractId,
    /// How much.
    pub work: i64,
}

/// What happened on one endpoint over a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The span, in whole milliseconds.
    pub span: Span,
    /// The time in which at least one request was outstanding, not yet booked.
    pub busy: Duration,
    /// The work of each attempt, not yet booked.
    pub work: Vec<Worked>,
}

/// What an interval comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metered {
    /// What is held, and used.
    pub held: HeldTime,
    /// The busy time that it books.
    pub booked: Duration,
    /// The work that units had taken in at once and handle only after the interval: at most a minute of them, as they take in no more.
    pub rest: Vec<Worked>,
}

/// The held time of an interval. Held = used + idle: used never exceeds held. Busy time that no attempt is there to explain yet stays for
/// the next reading, and so does work beyond what units handle in the interval.
#[must_use]
pub fn held_time(fleet: &Fleet, endpoint: EndpointId, holding: &[Holder], interval: &Interval) -> Metered {
    let span_ms = millis(interval.span.length());
    let busy_ms = if interval.work.is_empty() { 0 } else { millis(interval.busy).min(span_ms) };
    let (mut usage, mut shares, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for holder in holding {
        let held = holder.count.saturating_mul(span_ms);
        let (used, work) = match holder.tokens_per_unit_minute {
            0 => (holder.count.saturating_mul(busy_ms), interval.work.clone()),
            per_minute => {
                let of_units = interval.work.iter().filter(|worked| worked.contract == holder.contract).copied().collect();
                let minute = holder.count.saturating_mul(per_minute);
                let (now, later) = up_to(scaled(held, per_minute, 60_000), of_units);
                rest.extend(up_to(minute, later).0);
                let worked = now.iter().fold(0_i64, |sum, worked| sum.saturating_add(worked.work));
                (scaled(worked, 60_000, per_minute).min(held), now)
            }
        };
        let used = Quantity::new(used);
        usage.push(Usage { contract: holder.contract, meter: holder.meter, at: interval.span.from, held: Quantity::new(held), used });
        if holder.tokens_per_unit_minute > 0 {
            shares.extend(split(used, &work));
        }
    }
    if holding.iter().all(|holder| holder.tokens_per_unit_minute == 0) {
        shares = split(usage.iter().map(|usage| usage.used).sum(), &interval.work);
    }
    let held = HeldTime { endpoint, fleet: fleet.version, span: interval.span, usage, shares };
    Metered { held, booked: Duration::from_millis(u64::try_from(busy_ms).unwrap_or(0)), rest }
}

/// The first of the work, up to so much of it, and what is left.
fn up_to(most: i64, work: Vec<Worked>) -> (Vec<Worked>, Vec<Worked>) {
    let (mut room, mut first, mut left) = (most.max(0), Vec::new(), Vec::new());
    for worked in work {
        let taken = worked.work.clamp(0, room);
        room -= taken;
        first.push(Worked { work: taken, ..worked });
        if worked.work > taken {
            left.push(Worked { work: worked.work - taken, ..worked });
        }
    }
    (first, left)
}

/// `number * by / per`, downwards.
fn scaled(number: i64, by: i64, per: i64) -> i64 {
    i64::try_from(i128::from(number) * i128::from(by) / i128::from(per.max(1))).unwrap_or(i64::MAX)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Splits what was used among the attempts by their work, to the last unit.
fn split(used: Quantity, work: &[Worked]) -> Vec<(AttemptId, Quantity)> {
    let weights: Vec<i64> = work.iter().map(|worked| worked.work).collect();
    let parts = market::split_busy(used, &weights);
    work.iter().zip(parts).filter(|(_, part)| *part > Quantity::ZERO).map(|(worked, part)| (worked.attempt, part)).collect()
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
    /// Busy microseconds of this gateway up to the last look.
    seen: u64,
    /// Where several gateways share: those of them that are in no sum yet, by the second.
    own: BTreeMap<i64, i64>,
    /// Where several share: the seconds in which any was busy.
    together: Together,
    /// Busy microseconds that are not booked yet.
    busy: u64,
    /// Calls begun up to the last look, for the rate of arrivals.
    begun: u64,
    rate_per_ks: i64,
    /// Attempts under way, with the work that was booked of each.
    tallies: Vec<Booked>,
    /// Work that units had taken in before the last posting and handle after it, and what other gateways said since.
    rest: Vec<Worked>,
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
        self.see();
        for (id, open) in &mut self.endpoints {
            let counters = self.state.counters(*id);
            let begun = counters.begun.load(Ordering::Relaxed);
            let came = i64::try_from(begun - open.begun).unwrap_or(i64::MAX);
            open.begun = begun;
            open.rate_per_ks += (came.saturating_mul(1_000) - open.rate_per_ks) / 8;
            counters.arrivals_per_ks.store(u32::try_from(open.rate_per_ks).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    /// Reads how long each endpoint was busy. Among several gateways by the second, as one alone doesn't know when any was.
    fn see(&mut self) {
        let now = self.state.clock.now();
        for (id, open) in &mut self.endpoints {
            let busy = self.state.counters(*id).busy.micros(self.state.uptime_us(now));
            let more = busy.saturating_sub(open.seen);
            open.seen = open.seen.max(busy);
            if self.state.limits.shared {
                spread(more, now, &mut open.own);
            } else {
                open.busy += more;
            }
        }
    }

    /// Takes up what this gateway and the others used of what is posted here.
    fn take_up(&mut self) {
        let now = self.state.clock.now();
        for open in self.endpoints.values_mut() {
            let own = Used { busy: std::mem::take(&mut open.own), work: Vec::new() };
            open.take_up(own);
            open.together.forget_before(now);
        }
        for (endpoint, used) in self.state.keep.take_elsewhere() {
            let lost = self.endpoints.get_mut(&endpoint).map_or(used.work.len(), |open| open.take_up(used));
            self.state.lost_tallies.fetch_add(u64::try_from(lost).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Posts what was held from the last posting up to `to`, as far as that is this gateway's to post.
    pub fn post(&mut self, to: Instant) {
        if to <= self.posted {
            return;
        }
        self.see();
        while let Ok(tally) = self.began.try_recv() {
            self.endpoints.entry(tally.endpoint).or_default().tallies.push(Booked { tally, work: 0, ended: false });
        }
        for booked in self.endpoints.values_mut().flat_map(|open| &mut open.tallies) {
            booked.ended = booked.tally.ended.load(Ordering::Acquire);
        }
        let fleet = Arc::clone(&self.state.snapshot.load().fleet);
        let (span, others) = self.state.keep.of(Span { from: self.posted, to });
        if !span.is_empty() {
            self.take_up();
            (self.posted, self.kept) = (span.to, true);
            self.state.keep.note_posted(span.to);
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
            let holding = holding(fleet, *endpoint, piece.from, &mut drawn);
            if holding.is_empty() {
                continue;
            }
            let interval = Interval { span: piece, busy: Duration::from_micros(open.busy), work: open.work(&holding) };
            let metered = held_time(fleet, *endpoint, &holding, &interval);
            open.busy -= u64::try_from(metered.booked.as_micros()).unwrap_or(0).min(open.busy);
            open.rest = metered.rest;
            records.push(Record::Held(metered.held));
        }
        // In the order of endpoints: by that the books know which of them a kill left out.
        self.state.recorder.tell_together(records);
    }

    /// What work takes of time that another gateway posts is told to that one, and not booked later. Once it is noted that nothing is held
    /// here any more: the books must not go on posting for this process when it is killed.
    fn give_over(&mut self, fleet: &Fleet, to: Instant) {
        let mut drawn = Drawn::default();
        // Who posted it when they told it does so no more.
        drop(self.state.keep.take_elsewhere());
        for (endpoint, open) in &mut self.endpoints {
            let busy = std::mem::take(&mut open.own);
            open.busy = 0;
            let holding = holding(fleet, *endpoint, to, &mut drawn);
            if holding.is_empty() {
                continue;
            }
            let mut used = Used { busy, work: open.work(&holding) };
            if used.work.iter().any(|worked| worked.work > 0) {
                used.work.retain(|worked| worked.work > 0);
            }
            if used != Used::default() {
                self.state.keep.note_used(to, *endpoint, used);
            }
            if std::mem::take(&mut self.kept) {
                let span = Span { from: self.posted, to: self.posted + Duration::from_millis(1) };
                let nothing = HeldTime { endpoint: *endpoint, fleet: fleet.version, span, usage: Vec::new(), shares: Vec::new() };
                self.state.recorder.tell(Record::Held(nothing));
            }
        }
    }
}

impl Open {
    /// Takes up what a gateway used, and gives how many attempts there is no more room for.
    fn take_up(&mut self, used: Used) -> usize {
        self.busy += used.busy.into_iter().map(|(second, busy)| self.together.add(second, busy)).sum::<u64>();
        let room = USED_MAX.saturating_sub(self.rest.len());
        let lost = used.work.len().saturating_sub(room);
        self.rest.extend(used.work.into_iter().take(room));
        lost
    }

    /// Work that was left the last time, and what was done since. Units are taken only by what their own contract pays with them; a replica by
    /// all.
    fn work(&mut self, holding: &[Holder]) -> Vec<Worked> {
        let is_of =
            |tally: &Tally, holder: &Holder| holder.tokens_per_unit_minute == 0 || (tally.in_units && holder.contract == tally.contract);
        let mut work = std::mem::take(&mut self.rest);
        let paid = self.tallies.iter_mut().filter(|booked| holding.iter().any(|holder| is_of(&booked.tally, holder)));
        work.extend(paid.map(|booked| {
            let so_far = booked.tally.work.load(Ordering::Relaxed);
            let work = so_far - std::mem::replace(&mut booked.work, so_far);
            Worked { attempt: booked.tally.attempt, contract: booked.tally.contract, work }
        }));
        work
    }
}

/// The last whole multiple of `step` before `at` or at it.
fn whole(at: Instant, step: Duration) -> Instant {
    let step = i64::try_from(step.as_micros()).unwrap_or(i64::MAX).max(1);
    Instant::from_micros(at.micros().div_euclid(step) * step)
}

#[cfg(test)]
mod tests {
    use dispatch::Policy;
    use ledger::LedgerError;

    use super::*;
    use crate::clock::Clock;
    use crate::gateway::{Config, Gateway};
    use crate::journal::Journal;
    use crate::limits::Limits;

    /// A journal of a gateway that posts nothing.
    struct Nothing;

    impl Journal for Nothing {
        fn append(&self, record: &Record) -> Result<(), LedgerError> {
            unreachable!("nothing is posted here: {record:?}")
        }
    }

    #[test]
    fn whose_time_another_posts_tells_what_was_used_of_it_and_keeps_nothing_of_endpoints_that_hold_none() {
        let seconds = Arc::new(AtomicI64::new(1_800_000_000));
        let clock = Clock::from_fn({
            let seconds = Arc::clone(&seconds);
            move || Instant::from_micros(seconds.load(Ordering::SeqCst) * 1_000_000)
        });
        let config = Config {
            fleet: Arc::new(crate::fixture::fleet()),
            journal: Arc::new(Nothing),
            policy: Policy::default(),
            keys: Arc::new([]),
            upstreams: BTreeMap::new(),
            clock,
            limits: Limits { shared: true, ..Limits::default() },
            shadow: false,
            directory: None,
        };
        let (state, began) = Gateway::new(config).expect("it needs nothing").parts();
        let mut reader = Reader::new(Arc::clone(&state), began.expect("nobody took it"));
        for endpoint in reader.endpoints.keys() {
            state.counters(*endpoint).busy.enter(state.uptime_us(state.clock.now()));
        }
        for _ in 0..3 {
            seconds.fetch_add(5, Ordering::SeqCst);
            reader.post(state.clock.now());
            assert!(reader.endpoints.values().all(|open| (open.own.len(), open.busy) == (0, 0)), "all of it is told or forgotten");
        }
        let told = state.keep.take_used(state.clock.now());
        let fleet = crate::fixture::fleet();
        let shown: Vec<_> =
            told.iter().map(|(endpoint, used)| (fleet.endpoints.name(*endpoint), used.busy.values().sum::<i64>())).collect();
        assert_eq!(shown, [("north", 5_000_000), ("west", 5_000_000)].repeat(3), "spill is paid by the token");
    }
}
