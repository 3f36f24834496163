//! Runs batches in the background: lines start while their price is low or their deadline presses, and after live traffic.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatch::batch::{Moment, PRICE_NOTED_EVERY, Prices, start};
use fleet::ModelId;
use tokio::task::{Id, JoinError, JoinSet};
use units::Instant;

use crate::batch::Desk;
use crate::batch::check::{self, Asked, Line, lines};
use crate::batch::finish;
use crate::batch::line::{self, Job, Ran, blocking};
use crate::batch::order::{Batch, Flaw, Status};
use crate::batch::price::cheapest;
use crate::batch::results::Results;
use crate::limits::BATCH_LINES_AT_ONCE;
use crate::state::State;

/// How often batches are looked at when nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// How long a line takes while nothing is known.
const LINE_TIME: Duration = Duration::from_secs(2);

/// A batch whose lines are running.
struct Work {
    model: ModelId,
    input: Arc<File>,
    /// Where each line stands in the input.
    lines: Vec<Range<u64>>,
    waiting: VecDeque<u32>,
    later: Vec<(Instant, u32)>,
    running: u32,
    results: Arc<Mutex<Results>>,
}

impl Work {
    /// Lines without an answer.
    fn left(&self) -> u32 {
        u32::try_from(self.waiting.len() + self.later.len()).unwrap_or(u32::MAX).saturating_add(self.running)
    }
}

/// Runs batches until it is told to stop.
pub(crate) struct Runner {
    state: Arc<State>,
    desk: Arc<Desk>,
    works: BTreeMap<String, Work>,
    prices: BTreeMap<ModelId, Prices>,
    note_at: Instant,
    running: JoinSet<Ran>,
    /// Which line of which batch each task runs.
    tasks: HashMap<Id, (String, u32)>,
}

impl Runner {
    pub fn new(state: Arc<State>, desk: Arc<Desk>) -> Self {
        let note_at = Instant::MIN;
        let (works, prices) = (BTreeMap::new(), BTreeMap::new());
        Self { state, desk, works, prices, note_at, running: JoinSet::new(), tasks: HashMap::new() }
    }

    /// Runs until `stop`; then starts no more lines, and gives those under way as long as the limits allow.
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
                () = desk.wake.notified() => {}
                _ = ticks.tick() => {}
            }
            self.step().await;
        }
        let patience = self.state.limits.drain_timeout;
        let rest = async {
            while let Some(ended) = self.running.join_next_with_id().await {
                self.ended(ended);
            }
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
        let Some(work) = self.works.get_mut(&batch) else { return };
        work.running -= 1;
        match ran {
            Ran::Answered { good } => self.desk.batches.count(&batch, good),
            Ran::Later(wait) => work.later.push((self.state.clock.now() + wait, line)),
        }
    }

    async fn step(&mut self) {
        self.note_prices();
        for batch in self.desk.batches.under_way() {
            let done = match batch.status {
                Status::Validating => self.validate(&batch).await,
                _ => self.work(&batch).await,
            };
            // A disk that takes or gives nothing now may later, and what the batch has so far is paid for. Only what is gone stays so.
            if let Err(error) = done
                && is_for_good(&error)
            {
                self.fail(&batch, "storage_failed", format!("The batch could not be read or written: {}.", error.kind())).await;
            }
        }
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
    }

    async fn validate(&mut self, batch: &Batch) -> io::Result<()> {
        let (state, desk, batch) = (Arc::clone(&self.state), Arc::clone(&self.desk), batch.clone());
        let now = seconds(&self.state);
        let checked = blocking(move || {
            let snapshot = state.snapshot.load_full();
            let refused =
                |code: &str, message: &str| Err(vec![Flaw { code: code.to_owned(), message: message.to_owned(), param: None, line: None }]);
            let checked = match (snapshot.keys.by_id(batch.key, state.clock.now()), batch.call()) {
                (Some(key), Some(call)) => {
                    let asked = Asked { state: &state, snapshot: &snapshot, key, call, endpoint: &batch.endpoint };
                    check::check(&asked, desk.files.content(&batch.input_file_id)?)?
                }
                _ => refused("invalid_api_key", "The key that made the batch is no longer good."),
            };
            desk.batches.change(&batch.id, |batch| match checked {
                // It was cancelled meanwhile.
                _ if batch.status != Status::Validating => {}
                Ok(good) => {
                    batch.total = good.lines;
                    batch.become_at(Status::InProgress, now);
                }
                Err(flaws) => {
                    batch.flaws = flaws;
                    batch.become_at(Status::Failed, now);
                }
            })
        });
        checked.await.unwrap_or_else(|| Err(io::ErrorKind::Other.into())).map(|_| self.desk.wake.notify_one())
    }

    async fn work(&mut self, batch: &Batch) -> io::Result<()> {
        if !self.works.contains_key(&batch.id) {
            let work = self.open(batch).await?;
            self.works.insert(batch.id.clone(), work);
        }
        let now = self.state.clock.now();
        let expires = Instant::from_micros(batch.expires_at.saturating_mul(1_000_000));
        let Some(work) = self.works.get_mut(&batch.id) else { return Ok(()) };
        let due = |(at, _): &mut (Instant, u32)| *at <= now;
        work.waiting.extend(work.later.extract_if(.., due).map(|(_, line)| line));
        let ending = match batch.status {
            Status::Cancelling => Status::Cancelled,
            _ if work.left() == 0 => Status::Completed,
            _ if now >= expires => Status::Expired,
            _ => {
                self.launch(batch, now, expires);
                return Ok(());
            }
        };
        if work.running > 0 {
            return Ok(());
        }
        self.works.remove(&batch.id);
        let (desk, batch, now) = (Arc::clone(&self.desk), batch.clone(), seconds(&self.state));
        blocking(move || finish::finish(&desk, &batch, ending, now)).await.unwrap_or_else(|| Err(io::ErrorKind::Other.into()))
    }

    /// Starts as many lines as may start now.
    fn launch(&mut self, batch: &Batch, now: Instant, deadline: Instant) {
        let (Some(call), Some(work)) = (batch.call(), self.works.get_mut(&batch.id)) else { return };
        let cheapest = cheapest(&self.state, &self.state.snapshot.load(), work.model);
        let line = cheapest.filter(|found| found.service_us > 0).map_or(LINE_TIME, |found| Duration::from_micros(found.service_us.into()));
        let prices = self.prices.entry(work.model).or_default();
        let mut fresh = 0;
        while self.running.len() < BATCH_LINES_AT_ONCE && !work.waiting.is_empty() {
            let moment = Moment {
                now,
                deadline,
                lines_left: work.left(),
                line,
                at_once: u32::try_from(BATCH_LINES_AT_ONCE).unwrap_or(1),
                price: cheapest.map(|found| found.price),
                room: cheapest.is_some_and(|found| found.has_room(fresh)),
            };
            if !start(prices, &moment).is_now() {
                return;
            }
            let Some(line) = work.waiting.pop_front() else { return };
            let place = work.lines.get(line as usize).cloned().unwrap_or_default();
            let id = format!("batch_req_{}_{line}", batch.id.trim_start_matches("batch_"));
            let (input, results) = (Arc::clone(&work.input), Arc::clone(&work.results));
            let job = Job { key: batch.key, call, input, place, line, id, results };
            let task = self.running.spawn(line::run(Arc::clone(&self.state), job));
            self.tasks.insert(task.id(), (batch.id.clone(), line));
            work.running += 1;
            fresh += 1;
        }
    }

    /// Reads where each line stands, and which of them have an answer already.
    async fn open(&self, batch: &Batch) -> io::Result<Work> {
        let (state, desk, batch) = (Arc::clone(&self.state), Arc::clone(&self.desk), batch.clone());
        let opened = blocking(move || {
            let (mut places, mut model) = (Vec::new(), None);
            let snapshot = state.snapshot.load();
            let read = lines(desk.files.content(&batch.input_file_id)?, state.limits.body_bytes_max, &mut |place, text| {
                if model.is_none() {
                    let name = Line::read(text).and_then(|line| dialect::responses::model(line.body?.get().as_bytes()));
                    model = name.and_then(|name| snapshot.model(&name));
                }
                places.push(place);
            })?;
            let model = model.filter(|_| read.is_ok()).ok_or(io::ErrorKind::InvalidData)?;
            let (mut answered, mut good) = (vec![false; places.len()], 0);
            let results = Results::open(&desk.batches.results_path(&batch.id), &mut |result| {
                if let Some(answered) = answered.get_mut(result.line as usize) {
                    *answered = true;
                    good += u32::from(result.good);
                }
            })?;
            let total = u32::try_from(answered.iter().filter(|answered| **answered).count()).unwrap_or(u32::MAX);
            desk.batches.change(&batch.id, |batch| (batch.completed, batch.failed) = (good, total - good))?;
            let waiting = (0..).zip(&answered).filter(|(_, answered)| !**answered).map(|(line, _)| line).collect();
            let (input, results) = (desk.files.content(&batch.input_file_id)?, Arc::new(Mutex::new(results)));
            Ok(Work { model, input: Arc::new(input), lines: places, waiting, later: Vec::new(), running: 0, results })
        });
        opened.await.unwrap_or_else(|| Err(io::ErrorKind::Other.into()))
    }

    async fn fail(&mut self, batch: &Batch, code: &str, message: String) {
        if self.works.get(&batch.id).is_some_and(|work| work.running > 0) {
            return;
        }
        self.works.remove(&batch.id);
        let (desk, id, code, now) = (Arc::clone(&self.desk), batch.id.clone(), code.to_owned(), seconds(&self.state));
        let changed = blocking(move || {
            desk.batches.change(&id, |batch| {
                batch.flaws.push(Flaw { code, message, param: None, line: None });
                batch.become_at(Status::Failed, now);
            })
        });
        // Where even that can't be written, the batch stays as it is, and is tried again at the next look.
        drop(changed.await);
    }
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
