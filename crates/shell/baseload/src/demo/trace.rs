//! The recorded requests that the demo plays, and how they are scaled to this machine.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// A slice of the Azure 2023 conversation trace.
const AZURE: &str = include_str!("../../../../../data/azure2023_conv_slice.csv");

/// A request of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// From the trace's beginning.
    pub at: Duration,
    /// Input tokens.
    pub input: u32,
    /// Output tokens.
    pub output: u32,
}

/// By what the recorded figures are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Times between arrivals are so many times as long.
    pub slower: u32,
    /// Inputs are divided by this.
    pub input: u32,
    /// Outputs are divided by this.
    pub output: u32,
}

/// What two cores carry with room for the user's own requests.
pub const LAPTOP: Scale = Scale { slower: 10, input: 12, output: 8 };

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arrivals {} times slower, inputs / {}, outputs / {}", self.slower, self.input, self.output)
    }
}

/// A trace that begins again when it is over.
#[derive(Clone, Debug)]
pub struct Trace {
    arrivals: Vec<Arrival>,
    /// From the first arrival to the first of the next round.
    round: Duration,
}

impl Trace {
    /// The Azure slice at that scale.
    pub fn azure(scale: Scale) -> Result<Self> {
        Self::read(AZURE, scale).context("read the trace that is built in")
    }

    fn read(text: &str, scale: Scale) -> Result<Self> {
        let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
        let arrivals = rows.map(|line| arrival(line, scale)).collect::<Result<Vec<_>>>()?;
        ensure!(arrivals.is_sorted_by_key(|arrival| arrival.at), "arrivals are out of order");
        let last = arrivals.last().context("there are no arrivals")?.at;
        let count = u32::try_from(arrivals.len()).context("there are too many arrivals")?;
        let round = (last + last / count).max(Duration::from_millis(1));
        Ok(Self { arrivals, round })
    }

    /// Request number `index`, from zero; it never ends.
    pub fn request(&self, index: usize) -> Arrival {
        let (rounds, place) = (index / self.arrivals.len(), index % self.arrivals.len());
        let arrival = self.arrivals[place];
        Arrival { at: arrival.at + self.round.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX)), ..arrival }
    }

    /// Requests in a thousand seconds.
    pub fn per_ks(&self) -> u64 {
        1_000_000 * self.arrivals.len() as u64 / u64::try_from(self.round.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Mean input and output tokens.
    pub fn means(&self) -> (u64, u64) {
        let mean = |of: fn(&Arrival) -> u32| self.arrivals.iter().map(|row| u64::from(of(row))).sum::<u64>() / self.arrivals.len() as u64;
        (mean(|row| row.input), mean(|row| row.output))
    }
}

fn arrival(line: &str, scale: Scale) -> Result<Arrival> {
    let mut fields = line.split(',');
    let mut field = || fields.next().context("a field is missing");
    let at: f64 = field()?.parse().context("read a time")?;
    let at = Duration::try_from_secs_f64(at).context("read a time")?.saturating_mul(scale.slower);
    let mut tokens = |by: u32| -> Result<u32> { Ok(field()?.parse::<u32>().context("read a number of tokens")?.div_ceil(by).max(1)) };
    Ok(Arrival { at, input: tokens(scale.input)?, output: tokens(scale.output)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_and_lengths_are_scaled_and_begin_again() {
        let text = "# source\narrived_s,input_tokens,output_tokens\n0.0,120,8\n1.5,1,17\n";
        let trace = Trace::read(text, Scale { slower: 2, input: 12, output: 8 }).expect("a trace");
        let seen: Vec<_> = (0..4).map(|n| trace.request(n)).map(|row| (row.at.as_millis(), row.input, row.output)).collect();
        assert_eq!(seen, [(0, 10, 1), (3000, 1, 3), (4500, 10, 1), (7500, 1, 3)]);
    }

    #[test]
    fn a_damaged_trace_is_refused() {
        for text in ["", "h\n", "h\n1,2", "h\nx,1,1", "h\n-1,1,1", "h\n2,1,1\n1,1,1"] {
            assert!(Trace::read(text, LAPTOP).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_built_in_slice_is_what_its_readme_says() {
        let whole = Trace::azure(Scale { slower: 1, input: 1, output: 1 }).expect("the slice");
        assert_eq!((whole.arrivals.len(), whole.means(), whole.per_ks()), (1000, (1049, 251), 5220));
        let laptop = Trace::azure(LAPTOP).expect("the slice");
        assert_eq!((laptop.means(), laptop.per_ks()), ((87, 31), 522));
    }
}
