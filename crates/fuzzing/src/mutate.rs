//! Mutations of a corpus that are the same on every machine: for tests, and where there is no fuzzer that is guided.

/// Draws from a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `count`, which is at least one.
    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count.max(1) as u64).unwrap_or(0)
    }
}

/// Ever new inputs made of old ones.
pub struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    dice: Dice,
}

/// What readers trip over.
const PIECES: [&[u8]; 18] = [
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\"",
    b"\\u0000",
    b"\xf0\x9f\x98\x80",
    b"\xff",
    b"-",
    b"9223372036854775808",
    b"1e400",
    b"{",
    b"]",
    b",",
    b"0",
    b"null",
    b"=",
    b"model",
    b"\0",
];
/// An input grows no longer.
const LENGTH_MAX: usize = 4_096;

impl<'a> Mutations<'a> {
    /// Mutations of a corpus that is not empty.
    #[must_use]
    pub fn new(corpus: &'a [Vec<u8>], seed: u64) -> Self {
        Self { corpus, dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1) }
    }

    /// The next input.
    pub fn draw(&mut self) -> Vec<u8> {
        let mut input = self.pick().to_vec();
        for _ in 0..=self.dice.below(4) {
            self.change(&mut input);
        }
        input.truncate(LENGTH_MAX);
        input
    }

    fn pick(&mut self) -> &'a [u8] {
        &self.corpus[self.dice.below(self.corpus.len())]
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.dice.below(input.len() + 1);
        let to = (at + self.dice.below(16)).min(input.len());
        match self.dice.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.dice.below(8),
            1 if at < input.len() => input[at] = self.dice.next().to_le_bytes()[0],
            2 => drop(input.drain(at..to)),
            3 => {
                let piece = PIECES[self.dice.below(PIECES.len())];
                input.splice(at..at, piece.iter().copied());
            }
            4 => {
                let copy = input[at..to].to_vec();
                input.splice(to..to, copy);
            }
            5 => {
                let other = self.pick();
                let from = self.dice.below(other.len() + 1);
                let until = (from + self.dice.below(64)).min(other.len());
                input.splice(at..to, other[from..until].iter().copied());
            }
            _ => input.truncate(at.max(1)),
        }
    }
}
