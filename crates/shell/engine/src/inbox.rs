//! The door between HTTP handlers and the batch thread: a bounded queue of jobs.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use llama_cpp_2::token::LlamaToken;
use tokio::sync::mpsc;

use crate::sample::{Sampling, TokenChance};

/// One sequence to generate.
#[derive(Debug)]
pub struct Job {
    /// Which of the request's choices this is.
    pub index: u16,
    /// The prompt; at least one token, and fewer than a slot holds.
    pub prompt: Vec<LlamaToken>,
    /// The most tokens to generate.
    pub tokens_max: usize,
    /// How to choose among tokens.
    pub sampling: Sampling,
    /// Strings that end the answer.
    pub stops: Vec<String>,
    /// Report each token's log-probability, and those of so many likely others.
    pub chances: Option<usize>,
    /// Where the answer goes; when its receiver is dropped, the job is cancelled.
    pub events: mpsc::Sender<(u16, Event)>,
}

impl Job {
    /// Tells the client that there will be no more.
    pub fn fail(&self, failure: Failure) {
        // A client that is gone needn't know.
        self.events.try_send((self.index, Event::Failed(failure))).unwrap_or_default();
    }
}

/// What comes back for a job: any number of pieces, then one of the others.
#[derive(Debug)]
pub enum Event {
    /// More of the answer.
    Piece(Piece),
    /// The answer is whole.
    Finished {
        /// Why it ended.
        finish: Finish,
        /// What it took.
        usage: Usage,
    },
    /// There will be no more.
    Failed(Failure),
}

/// Some text, with the tokens that it came from if they were asked for.
#[derive(Debug, Default)]
pub struct Piece {
    /// The text; whole characters.
    pub text: String,
    /// The tokens, where the request asked for log-probabilities.
    pub tokens: Vec<TokenChance>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model or a stop string ended it.
    Stop,
    /// The token limit ended it.
    Length,
}

/// Tokens of one sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Those of them whose keys and values were there already.
    pub cached: usize,
    /// Tokens generated, the model's end token included.
    pub completion: usize,
}

/// Why an accepted sequence has no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The engine was told to stop.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// llama.cpp could not compute the step.
    #[error("the model failed to compute a step")]
    Step,
}

/// Why jobs are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// All slots run and the queue is full.
    #[error("the engine is at capacity")]
    Full,
    /// The engine takes no more work.
    #[error("the engine is shutting down")]
    ShuttingDown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Draining,
    Stopped,
}

#[derive(Debug)]
struct Queue {
    jobs: VecDeque<Job>,
    running: usize,
    phase: Phase,
}

/// The queue itself, and the count of what runs.
#[derive(Debug)]
pub struct Inbox {
    queue: Mutex<Queue>,
    changed: Condvar,
    jobs_max: usize,
}

/// What the batch thread is to do next.
#[derive(Debug, Default)]
pub struct Intake {
    /// Jobs to give a slot to.
    pub jobs: Vec<Job>,
    /// Jobs that were given up while they waited.
    pub cancelled: usize,
    /// End everything.
    pub stop: bool,
}

impl Inbox {
    /// A queue in front of `slots`, in which `waiting_max` may wait.
    pub fn new(slots: u16, waiting_max: u16) -> Self {
        let queue = Queue { jobs: VecDeque::new(), running: 0, phase: Phase::Open };
        Self { queue: Mutex::new(queue), changed: Condvar::new(), jobs_max: usize::from(slots) + usize::from(waiting_max) }
    }

    /// Takes all of `jobs` or none.
    pub fn submit(&self, jobs: Vec<Job>) -> Result<(), Refusal> {
        let mut queue = self.lock();
        if queue.phase != Phase::Open {
            return Err(Refusal::ShuttingDown);
        }
        if queue.jobs.len() + queue.running + jobs.len() > self.jobs_max {
            return Err(Refusal::Full);
        }
        queue.jobs.extend(jobs);
        self.changed.notify_all();
        Ok(())
    }

    /// Sequences running and waiting.
    pub fn load(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.running, queue.jobs.len())
    }

    /// Whether new jobs are taken.
    pub fn open(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    /// Takes no more jobs; those it has are finished.
    pub fn drain(&self) {
        let mut queue = self.lock();
        if queue.phase == Phase::Open {
            queue.phase = Phase::Draining;
        }
    }

    /// Ends all jobs at once.
    pub fn stop(&self) {
        self.lock().phase = Phase::Stopped;
        self.changed.notify_all();
    }

    /// Jobs for `free` slots while `running` others run; waits for work when nothing runs.
    pub fn take(&self, running: usize, free: usize) -> Intake {
        let mut queue = self.lock();
        queue.running = running;
        let mut cancelled = 0;
        loop {
            let before = queue.jobs.len();
            queue.jobs.retain(|job| !job.events.is_closed());
            cancelled += before - queue.jobs.len();
            let stop = queue.phase == Phase::Stopped;
            if stop || running > 0 || cancelled > 0 || !queue.jobs.is_empty() {
                let count = if stop { queue.jobs.len() } else { free.min(queue.jobs.len()) };
                let jobs: Vec<Job> = queue.jobs.drain(..count).collect();
                queue.running += jobs.len();
                return Intake { jobs, cancelled, stop };
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets `time` pass, or less if the engine is stopped.
    pub fn rest(&self, time: Duration) {
        let queue = self.lock();
        // Jobs that arrive meanwhile wait: the share is owed whoever comes next.
        drop(self.changed.wait_timeout_while(queue, time, |queue| queue.phase != Phase::Stopped));
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Every change to the queue is complete before anything can panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(count: u16) -> (Vec<Job>, mpsc::Receiver<(u16, Event)>) {
        let (events, answers) = mpsc::channel(8);
        let sampling = Sampling {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        };
        let job = |index| Job {
            index,
            prompt: vec![LlamaToken(1)],
            tokens_max: 1,
            sampling: sampling.clone(),
            stops: Vec::new(),
            chances: None,
            events: events.clone(),
        };
        ((0..count).map(job).collect(), answers)
    }

    #[test]
    fn all_jobs_of_a_request_are_taken_or_none() {
        let inbox = Inbox::new(2, 2);
        let (three, _answers) = jobs(3);
        assert_eq!(inbox.submit(three), Ok(()));
        let (two, _others) = jobs(2);
        assert_eq!(inbox.submit(two), Err(Refusal::Full));
        assert_eq!(inbox.load(), (0, 3));
        assert_eq!(inbox.take(0, 2).jobs.len(), 2);
        // Two run and one waits: there's room for one more.
        assert_eq!(inbox.load(), (2, 1));
        let (one, _more) = jobs(1);
        assert_eq!(inbox.submit(one), Ok(()));
        let (last, _none) = jobs(1);
        assert_eq!(inbox.submit(last), Err(Refusal::Full));
    }

    #[test]
    fn a_job_given_up_while_it_waits_is_never_run() {
        let inbox = Inbox::new(1, 4);
        let (given_up, answers) = jobs(2);
        let (kept, _answers) = jobs(1);
        inbox.submit(given_up).expect("there is room");
        inbox.submit(kept).expect("there is room");
        drop(answers);
        let intake = inbox.take(0, 4);
        assert_eq!((intake.cancelled, intake.jobs.len(), intake.stop), (2, 1, false));
    }

    #[test]
    fn draining_refuses_and_stopping_hands_out_what_waits() {
        let inbox = Inbox::new(1, 4);
        let (waiting, _answers) = jobs(3);
        inbox.submit(waiting).expect("there is room");
        inbox.drain();
        let (late, _none) = jobs(1);
        assert_eq!(inbox.submit(late), Err(Refusal::ShuttingDown));
        assert!(!inbox.open());
        inbox.stop();
        // No slot is free, but all have to be told.
        let intake = inbox.take(1, 0);
        assert_eq!((intake.jobs.len(), intake.stop), (3, true));
        // A stopped engine rests no more.
        inbox.rest(Duration::MAX);
    }
}
