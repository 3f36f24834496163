//! Runs batches in the background: lines start while their price is low or their deadline presses, and after live traffic.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dispatch::KeyId;
use dispatch::batch::{Moment, PRICE_NOTED_EVERY, Prices, start};
use fleet::ModelId;
use tokio::task::{Id, JoinError, JoinSet};
use units::Instant;

use crate::batch::Desk;
use crate::batch::check;
use crate::batch::finish::{Given, finish, give};
use crate::batch::line::{self, Job, Ran};
use crate::batch::noted::Noted;
use crate::batch::order::{Batch, Flaw, Status};
use crate::batch::price::{Cheapest, cheapest};
use crate::batch::queue::Turns;
use crate::batch::sweep::sweep;
use crate::batch::work::Work;
use crate::limits::{BATCH_LINES_AT_ONCE, BATCH_LINES_PRESSED, BATCH_STEPS_AT_ONCE, BATCHES_OPEN_MAX, PRICES_WRITTEN_EVERY, SWEPT_EVERY};
use crate::state::State;

/// How often batches are looked at when nothing else happens, and when what failed is tried again.
const TICK: Duration = Duration::from_secs(1);
/// How long a line that has begun is counted as on its way: longer than it takes to be read, let in and decided.
const ON_ITS_WAY: Duration = Duration::from_millis(250);
/// How long a line takes while nothing is known.
const LINE_TIME: Duration = Duration::from_secs(2);

/// Runs batches until it is told to stop.
pub(crate) struct Runner {
    state: Arc<State>,
    desk: Arc<Desk>,
    works: BTreeMap<String, Work>,
    prices: BTreeMap<ModelId, Prices>,
    note_at: Instant,
    write_at: Instant,
    sweep_at: Instant,
    running: JoinSet<Ran>,
    /// Which line of which batch each task runs.
    tasks: HashMap<Id, (Arc<Batch>, u32)>,
    /// What reads or writes whole files: a batch is checked, opened, finished or failed, or what nobody can reach is cleared away.
    steps: JoinSet<io::Result<Option<Work>>>,
    /// Which batch each of them is for.
    stepping: HashMap<Id, Arc<Batch>>,
    /// When a batch whose step failed is tried again.
    again: BTreeMap<String, Instant>,
    /// How many lines have begun.
    begun: u64,
    /// The lines that began last, by their models.
    fresh: VecDeque<(Instant, ModelId)>,
}

impl Runner {
    pub fn new(state: Arc<State>, desk: Arc<Desk>) -> Self {
        let prices = Noted::read(&desk.folder, &state.snapshot.load().fleet);
        Self {
            state,
            desk,
            works: BTreeMap::new(),
            prices,
            note_at: Instant::MIN,
            write_at: Instant::MIN,
            sweep_at: Instant::MIN,
            running: JoinSet::new(),
            tasks: HashMap::new(),
            steps: JoinSet::new(),
            stepping: HashMap::new(),
            again: BTreeMap::new(),
            begun: 0,
            fresh: VecDeque::new(),
        }
    }

    /// Runs until `stop`; then starts nothing more, and gives what is under way as long as the limits allow.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let desk = Arc::clone(&self.desk);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                Some(stepped) = self.steps.join_next_with_id() => self.stepped(stepped),
                () = desk.wake.notified() => {}
                _ = ticks.tick() => {}
            }
            self.look();
        }
        let patience = self.state.limits.drain_timeout;
        let rest = async {
            while let Some(ended) = self.running.join_next_with_id().await {
                self.ended(ended);
            }
            // Each can be done again after a kill, but not beside another that does it.
            while self.steps.join_next().await.is_some() {}
        };
        // What takes longer is dropped, and so settled; without a result it runs again at the next start.
        _ = tokio::time::timeout(patience, rest).await;
    }

    fn ended(&mut self, ended: Result<(Id, Ran), JoinError>) {
        let (task, ran) = match ended {
            Ok((task, ran)) => (task, ran),
            // A line that panicked was settled when it was dropped; its panic has been reported.
            Err(error) => (error.id(), Ran::Later(LINE_TIME)),
        };
        let Some((batch, line)) = self.tasks.remove(&task) else { return };
        if let Ran::Answered { good } = ran {
            self.desk.batches.count(&batch.id, good);
        }
        if let Some(work) = self.works.get_mut(&batch.id) {
            work.queue.ended(line, ran, self.state.clock.now());
        }
    }

    fn stepped(&mut self, stepped: Result<(Id, io::Result<Option<Work>>), JoinError>) {
        let (task, done) = match stepped {
            Ok((task, done)) => (task, done),
            Err(error) => (error.id(), Err(io::ErrorKind::Other.into())),
        };
        let Some(batch) = self.stepping.remove(&task) else { return };
        match done {
            Ok(None) => {}
            Ok(Some(work)) => _ = self.works.insert(batch.id.clone(), work),
            Err(error) => {
                self.again.insert(batch.id.clone(), self.state.clock.now() + TICK);
                // A disk that takes or gives nothing now may later, and what the batch has so far is paid for. Only what is gone stays so.
                if is_for_good(&error) {
                    self.step(&batch, move |state, desk, batch| fail(desk, batch, &error, seconds(state)));
                }
            }
        }
    }

    /// Does what waits for a disk beside everything else.
    fn step(&mut self, batch: &Arc<Batch>, step: impl FnOnce(&Arc<State>, &Desk, &Batch) -> io::Result<Option<Work>> + Send + 'static) {
        let (state, desk, own) = (Arc::clone(&self.state), Arc::clone(&self.desk), Arc::clone(batch));
        let task = self.steps.spawn_blocking(move || step(&state, &desk, &own));
        self.stepping.insert(task.id(), Arc::clone(batch));
    }

    /// Whether a batch may go a step on: each goes one at a time, as does each key, so that no key's batches hold up another's.
    fn may_step(&self, batch: &Batch) -> bool {
        self.steps.len() < BATCH_STEPS_AT_ONCE && !self.stepping.values().any(|other| other.key == batch.key)
    }

    /// Whether a batch may be opened beside so many of its key: the oldest are due first, and the others wait for their turn. One that only
    /// ends is open for a moment, and no key is kept from having one.
    fn may_open(&self, batch: &Batch, of_key: usize, now: Instant) -> bool {
        let ends = matches!(batch.status, Status::Cancelling | Status::Finalizing) || now >= deadline(batch);
        ends || has_place(self.works.len() + self.stepping.len(), of_key)
    }

    fn look(&mut self) {
        self.note_prices();
        self.sweep();
        let now = self.state.clock.now();
        self.again.retain(|_, at| *at > now);
        let (mut ready, under_way) = (Vec::new(), self.desk.batches.under_way());
        let mut open: BTreeMap<KeyId, usize> = BTreeMap::new();
        for batch in under_way.iter().filter(|batch| self.works.contains_key(&batch.id)) {
            *open.entry(batch.key).or_default() += 1;
        }
        for batch in under_way {
            if self.again.contains_key(&batch.id) {
                continue;
            }
            let ending = self.works.get(&batch.id).map(|work| (ending(&batch, work, now), work.queue.running()));
            match ending {
                Some((None, _)) => ready.push(batch),
                Some((Some(_), 1..)) => {}
                _ if !self.may_step(&batch) => {}
                Some((Some(ending), 0)) => {
                    self.works.remove(&batch.id);
                    self.step(&batch, move |state, desk, batch| finish(desk, batch, ending, seconds(state)).map(|()| None));
                }
                None if batch.status == Status::Validating => {
                    self.step(&batch, |state, desk, batch| check::validate(state, desk, batch).map(|()| None));
                }
                None if !self.may_open(&batch, open.get(&batch.key).copied().unwrap_or(0), now) => {}
                None => self.step(&batch, |state, desk, batch| Work::open(state, desk, batch).map(Some)),
            }
        }
        self.launch(ready, now);
    }

    /// Clears away, now and then, what nobody can reach any more.
    fn sweep(&mut self) {
        let now = self.state.clock.now();
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEPT_EVERY;
        let (state, desk) = (Arc::clone(&self.state), Arc::clone(&self.desk));
        self.steps.spawn_blocking(move || {
            let snapshot = state.snapshot.load();
            sweep(&desk, |key| snapshot.keys.ended(key), now);
            Ok(None)
        });
    }

    fn note_prices(&mut self) {
        let now = self.state.clock.now();
        if now < self.note_at {
            return;
        }
        self.note_at = now + PRICE_NOTED_EVERY;
        let snapshot = self.state.snapshot.load();
        for (model, ..) in snapshot.fleet.models.iter() {
            if let Some(cheapest) = cheapest(&self.state, &snapshot, model) {
                self.prices.entry(model).or_default().note(now, cheapest.price);
            }
        }
        if now >= self.write_at {
            self.write_at = now + PRICES_WRITTEN_EVERY;
            let (noted, desk) = (Noted::of(&snapshot.fleet, &self.prices), Arc::clone(&self.desk));
            // What can't be written now is written with the next.
            self.steps.spawn_blocking(move || noted.write(&desk.folder).map(|()| None));
        }
    }

    /// Starts as many lines as may start now, one of each key and batch in turn.
    fn launch(&mut self, mut ready: Vec<Arc<Batch>>, now: Instant) {
        if self.running.len() >= BATCH_LINES_AT_ONCE {
            return;
        }
        while self.fresh.front().is_some_and(|(began, _)| *began + ON_ITS_WAY < now || *began > now) {
            self.fresh.pop_front();
        }
        let keys: BTreeMap<&str, _> = ready.iter().map(|batch| (batch.id.as_str(), batch.key)).collect();
        let queues = self.works.iter().filter_map(|(id, work)| Some((*keys.get(id.as_str())?, &work.queue)));
        let mut turns = Turns::of(queues, self.begun);
        let mut models = self.seen(&ready);
        ready.retain(|batch| self.works.get_mut(&batch.id).is_some_and(|work| work.queue.has_next(now)));
        while self.running.len() < BATCH_LINES_AT_ONCE {
            let place = |batch: &Arc<Batch>| self.works.get(&batch.id).map(|work| turns.place(batch.key, &work.queue));
            let Some(next) = (0..ready.len()).min_by_key(|index| place(&ready[*index])) else { break };
            let batch = Arc::clone(&ready[next]);
            if self.start(&batch, now, &mut models).is_none() {
                ready.remove(next);
            } else if let Some(work) = self.works.get_mut(&batch.id) {
                turns.began(batch.key, &mut work.queue);
            }
        }
        self.begun = turns.count();
    }

    /// What is seen of the models of these batches before any of their lines starts.
    fn seen(&self, ready: &[Arc<Batch>]) -> BTreeMap<ModelId, Looked> {
        let mut models: BTreeMap<ModelId, Looked> = BTreeMap::new();
        let snapshot = self.state.snapshot.load();
        for batch in ready {
            let Some(work) = self.works.get(&batch.id) else { continue };
            let Some(model) = work.model else { continue };
            let looked = models.entry(model).or_insert_with(|| Looked {
                cheapest: cheapest(&self.state, &snapshot, model),
                fresh: u32::try_from(self.fresh.iter().filter(|(_, of)| *of == model).count()).unwrap_or(u32::MAX),
                running: self.works.values().filter(|work| work.model == Some(model)).map(|work| work.queue.running()).sum(),
                left: Vec::new(),
            });
            looked.left.push((deadline(batch), work.queue.left()));
        }
        models
    }

    /// Starts a line of a batch, if one may start.
    fn start(&mut self, batch: &Arc<Batch>, now: Instant, models: &mut BTreeMap<ModelId, Looked>) -> Option<()> {
        let (call, work) = (batch.call()?, self.works.get_mut(&batch.id)?);
        // A model that the fleet has no more costs nothing: each line is only told so.
        if let Some(model) = work.model {
            let looked = models.get_mut(&model)?;
            let deadline = deadline(batch);
            let known = looked.cheapest.filter(|found| found.service_us > 0);
            let room = looked.cheapest.is_some_and(|found| found.has_room(looked.fresh));
            let moment = Moment {
                now,
                deadline,
                // Those that are due before are in its way.
                lines_left: looked.left.iter().filter(|(due, _)| *due <= deadline).map(|(_, left)| *left).fold(0, u32::saturating_add),
                line: known.map_or(LINE_TIME, |found| Duration::from_micros(found.service_us.into())),
                at_once: looked.at_once(),
                price: looked.cheapest.map(|found| found.price),
                room,
            };
            let start = start(self.prices.entry(model).or_default(), &moment);
            // More would stand in line before whatever is live, and be served no sooner.
            if !start.is_now() || !room && looked.running >= BATCH_LINES_PRESSED {
                return None;
            }
            looked.fresh += 1;
            looked.running += 1;
            self.fresh.push_back((now, model));
        }
        let line = work.queue.begin()?;
        let place = work.lines.get(line as usize).cloned().unwrap_or_default();
        let id = format!("batch_req_{}_{line}", batch.id.trim_start_matches("batch_"));
        let (input, results) = (Arc::clone(&work.input), Arc::clone(&work.results));
        let job = Job { key: batch.key, call, input, place, line, paid: work.queue.paid(line), id, results };
        let task = self.running.spawn(line::run(Arc::clone(&self.state), job));
        self.tasks.insert(task.id(), (Arc::clone(batch), line));
        Some(())
    }
}

/// Whether one more batch may be open beside so many in all, and so many of its key.
const fn has_place(open: usize, of_key: usize) -> bool {
    open < BATCHES_OPEN_MAX || of_key == 0
}

/// What is seen of a model when lines may start.
struct Looked {
    /// Where they would go.
    cheapest: Option<Cheapest>,
    /// Lines that have begun and may not be there yet.
    fresh: u32,
    /// Lines that run.
    running: u32,
    /// Of each batch, when it is due and how many lines are left.
    left: Vec<(Instant, u32)>,
}

impl Looked {
    /// How many lines may run at once: as many as leave a slot where they go, and a few whatever is there.
    fn at_once(&self) -> u32 {
        let room = self.cheapest.map_or(0, |found| found.slots.saturating_sub(1));
        room.clamp(BATCH_LINES_PRESSED, u32::try_from(BATCH_LINES_AT_ONCE).unwrap_or(u32::MAX))
    }
}

/// How a batch ends that is to end now.
fn ending(batch: &Batch, work: &Work, now: Instant) -> Option<Status> {
    match batch.status {
        Status::Cancelling => Some(Status::Cancelled),
        _ if work.queue.left() == 0 => Some(Status::Completed),
        _ if now >= deadline(batch) => Some(Status::Expired),
        _ => None,
    }
}

fn deadline(batch: &Batch) -> Instant {
    Instant::from_micros(batch.expires_at.saturating_mul(1_000_000))
}

fn fail(desk: &Desk, batch: &Batch, error: &io::Error, now: i64) -> io::Result<Option<Work>> {
    let message = format!("The batch could not be read or written: {}.", error.kind());
    // What was answered is paid for: wherever it can be read, it is given.
    let given = match give(desk, batch, Status::Failed, now) {
        Err(error) if is_for_good(&error) => Given::default(),
        given => given?,
    };
    // Where even that can't be written, the batch stays as it is, and is tried again at a later look.
    _ = desk.batches.change(&batch.id, |batch| {
        // It may have been cancelled meanwhile.
        if !batch.status.is_over() {
            given.note(batch);
            batch.flaws.push(Flaw { code: "storage_failed".to_owned(), message, param: None, line: None });
            batch.become_at(Status::Failed, now);
        }
    });
    Ok(None)
}

/// Whether trying again can't help: the batch's own files are gone or damaged, or a reader of them has panicked.
fn is_for_good(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | NotFound | Other | UnexpectedEof)
}

/// The present second since 1970.
pub(crate) fn seconds(state: &State) -> i64 {
    state.clock.now().micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wait_for_keeps_no_key_from_having_a_batch_open() {
        assert!(has_place(BATCHES_OPEN_MAX - 1, 100) && has_place(10 * BATCHES_OPEN_MAX, 0) && !has_place(BATCHES_OPEN_MAX, 1));
    }
}
