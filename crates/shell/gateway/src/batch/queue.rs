//! The lines of a batch that have no answer yet, and which batch's is next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dispatch::KeyId;
use units::Instant;

use crate::batch::line::Ran;

/// So many lines in a row that their key can't pay for hold their batch: fewer may each want more than the others.
const REFUSED_MAX: usize = 3;

/// The lines of one batch without an answer.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<u32>,
    /// Lines that are tried again, and when.
    later: BTreeSet<(Instant, u32)>,
    /// How often lines were paid for that have no answer.
    paid: BTreeMap<u32, u32>,
    /// Lines that their key could not pay for, as long as it could pay for none in between: at most [`REFUSED_MAX`].
    refused: BTreeSet<u32>,
    /// Before then none may begin: its key has nothing to spend.
    held: Option<Instant>,
    running: u32,
    /// When one began last, by the count of [`Turns`].
    turn: u64,
}

impl Queue {
    pub fn new(waiting: impl IntoIterator<Item = u32>) -> Self {
        Self { waiting: waiting.into_iter().collect(), ..Self::default() }
    }

    /// Lines without an answer.
    pub fn left(&self) -> u32 {
        u32::try_from(self.waiting.len() + self.later.len()).unwrap_or(u32::MAX).saturating_add(self.running)
    }

    /// Lines under way.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// Whether a line may begin now.
    pub fn has_next(&mut self, now: Instant) -> bool {
        if self.held.is_some_and(|until| now < until) {
            return false;
        }
        self.held = None;
        while let Some((at, line)) = self.later.first().copied().filter(|(at, _)| *at <= now) {
            self.later.remove(&(at, line));
            self.waiting.push_back(line);
        }
        !self.waiting.is_empty()
    }

    /// The next line, which begins.
    pub fn begin(&mut self) -> Option<u32> {
        let line = self.waiting.pop_front()?;
        self.running += 1;
        Some(line)
    }

    /// How often a line was paid for without an answer.
    pub fn paid(&self, line: u32) -> u32 {
        self.paid.get(&line).copied().unwrap_or(0)
    }

    /// A line has ended.
    pub fn ended(&mut self, line: u32, ran: Ran, now: Instant) {
        self.running = self.running.saturating_sub(1);
        match ran {
            Ran::Answered { .. } => _ = self.paid.remove(&line),
            Ran::Later(wait) => _ = self.later.insert((now + wait, line)),
            Ran::Paid(wait) => {
                *self.paid.entry(line).or_default() += 1;
                self.later.insert((now + wait, line));
            }
            Ran::Held(wait) => {
                self.later.insert((now + wait, line));
                return self.refuse(line, now + wait);
            }
        }
        self.refused.clear();
    }

    /// Its key could not pay for a line. What refuses several of a key in a row would refuse them all, each at the cost of a look.
    fn refuse(&mut self, line: u32, until: Instant) {
        if self.refused.len() < REFUSED_MAX {
            self.refused.insert(line);
        }
        if self.refused.len() >= REFUSED_MAX {
            self.held = self.held.max(Some(until));
        }
    }
}

/// Whose line is next: the places of batches go round among keys, and among a key's batches.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Lines of each key under way, and when one of them began last.
    keys: BTreeMap<KeyId, (u32, u64)>,
    count: u64,
}

impl Turns {
    /// Where the batches under way stand, by their keys; `count` is how many lines have begun.
    pub fn of<'a>(queues: impl Iterator<Item = (KeyId, &'a Queue)>, count: u64) -> Self {
        let mut keys = BTreeMap::<KeyId, (u32, u64)>::new();
        for (key, queue) in queues {
            let (running, turn) = keys.entry(key).or_default();
            (*running, *turn) = (*running + queue.running, queue.turn.max(*turn));
        }
        Self { keys, count }
    }

    /// The least of these is next: who has the fewest lines under way, then who waited longest.
    pub fn place(&self, key: KeyId, queue: &Queue) -> (u32, u64, u64) {
        let (running, turn) = self.keys.get(&key).copied().unwrap_or_default();
        (running, turn, queue.turn)
    }

    /// A line of a batch has begun.
    pub fn began(&mut self, key: KeyId, queue: &mut Queue) {
        self.count += 1;
        queue.turn = self.count;
        let (running, turn) = self.keys.entry(key).or_default();
        (*running, *turn) = (*running + 1, self.count);
    }

    /// How many lines have begun.
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Instant {
        Instant::from_micros(second * 1_000_000)
    }

    /// Begins what may begin at each second, after lines ended; says which lines began.
    fn check(queue: &mut Queue, second: i64, ended: &[(u32, Ran)], began: &[u32], left: u32) {
        for (line, ran) in ended {
            queue.ended(*line, *ran, at(second));
        }
        let mut got = Vec::new();
        while queue.has_next(at(second)) {
            got.extend(queue.begin());
        }
        assert_eq!((got.as_slice(), queue.left()), (began, left), "at {second}");
    }

    const GOOD: Ran = Ran::Answered { good: true };
    const LATER: Ran = Ran::Later(Duration::from_secs(5));
    const HELD: Ran = Ran::Held(Duration::from_secs(60));

    #[test]
    fn a_line_that_is_refused_waits_alone_and_a_key_that_is_spent_holds_all() {
        let mut queue = Queue::new(0..6);
        check(&mut queue, 0, &[], &[0, 1, 2, 3, 4, 5], 6);
        check(&mut queue, 1, &[(0, GOOD), (1, LATER), (2, LATER)], &[], 5);
        check(&mut queue, 6, &[], &[1, 2], 5);
        check(&mut queue, 10, &[(1, LATER), (3, HELD), (4, HELD), (5, HELD)], &[], 5);
        check(&mut queue, 69, &[(2, GOOD)], &[], 4);
        check(&mut queue, 70, &[], &[1, 3, 4, 5], 4);
    }

    #[test]
    fn a_line_that_its_key_can_never_pay_for_keeps_no_other_from_its_turn() {
        let mut queue = Queue::new(0..3);
        assert!(queue.has_next(at(0)));
        assert_eq!(queue.begin(), Some(0));
        check(&mut queue, 0, &[(0, HELD)], &[1, 2], 3);
        check(&mut queue, 1, &[(1, HELD), (2, GOOD)], &[], 2);
        // Refused again and again, it still is one line.
        for round in 1..9 {
            check(&mut queue, round * 130, &[], &[0, 1], 2);
            check(&mut queue, round * 130, &[(0, HELD), (1, LATER)], &[], 2);
            check(&mut queue, round * 130 + 5, &[], &[1], 2);
            check(&mut queue, round * 130 + 5, &[(1, HELD)], &[], 2);
        }
    }

    #[test]
    fn how_often_a_line_was_paid_for_is_known_until_it_is_answered() {
        let mut queue = Queue::new(0..1);
        for times in 0..3 {
            check(&mut queue, times * 9, &[], &[0], 1);
            assert_eq!(i64::from(queue.paid(0)), times);
            check(&mut queue, times * 9, &[(0, Ran::Paid(Duration::from_secs(5)))], &[], 1);
        }
        check(&mut queue, 99, &[], &[0], 1);
        check(&mut queue, 99, &[(0, GOOD)], &[], 0);
        assert_eq!(queue.paid(0), 0);
    }

    /// The keys whose lines begin, in their order, of these keys' batches; `places` lines run at once and the one that began first ends first.
    fn check_turns(batches: &[u32], places: usize, steps: usize) -> Vec<usize> {
        let mut queues: Vec<(KeyId, Queue)> = batches.iter().map(|key| (KeyId(*key), Queue::new(0..1_000))).collect();
        let (mut running, mut order, mut count) = (VecDeque::new(), Vec::new(), 0);
        for _ in 0..steps {
            if running.len() == places {
                let (batch, line): (usize, u32) = running.pop_front().expect("it is full");
                queues[batch].1.ended(line, Ran::Answered { good: true }, at(0));
            }
            let mut turns = Turns::of(queues.iter().map(|(key, queue)| (*key, queue)), count);
            let next = (0..queues.len()).min_by_key(|index| turns.place(queues[*index].0, &queues[*index].1)).expect("there are some");
            let (key, queue) = &mut queues[next];
            let line = queue.begin().expect("it has many");
            turns.began(*key, queue);
            count = turns.count();
            running.push_back((next, line));
            order.push(next);
        }
        order
    }

    #[test]
    fn keys_take_turns_and_so_do_their_batches() {
        assert_eq!(check_turns(&[1, 2], 2, 6), [0, 1, 0, 1, 0, 1]);
        // More keys than places: all have their turn.
        assert_eq!(check_turns(&[1, 2, 3], 2, 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(check_turns(&[1, 1, 2], 2, 8), [0, 2, 1, 2, 0, 2, 1, 2]);
        assert_eq!(check_turns(&[1, 1], 1, 4), [0, 1, 0, 1]);
    }
}
