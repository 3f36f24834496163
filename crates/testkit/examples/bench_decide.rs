//! `bench_decide ENDPOINTS DECISIONS [P99_US_MAX]`: decides so often among so many endpoints, for `cargo xtask bench` to count instructions, and
//! says how long a decision took. The exit status is 1 when the slowest hundredth took longer than that.

use std::hint::black_box;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use dispatch::{ENDPOINTS_MAX, decide_in};
use testkit::crowd;

fn main() -> std::io::Result<ExitCode> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().expect("numbers: endpoints, decisions, microseconds"));
    let (endpoints, decisions) = (numbers.next().unwrap_or(4), numbers.next().unwrap_or(1));
    let p99_us_max = numbers.next();
    let fleet = crowd::fleet(endpoints);
    let mut question = crowd::question(&fleet);
    assert_eq!(question.seen.len(), endpoints, "every endpoint is a candidate");
    let (mut room, mut nanos) = (Vec::with_capacity(ENDPOINTS_MAX), Vec::with_capacity(decisions));
    for sequence in 0..decisions {
        question.ask.sequence = sequence as u64;
        // Load comes and goes, so that no two neighbours decide alike.
        let turn = sequence % endpoints;
        question.seen[turn].outstanding = (question.seen[turn].outstanding + 3) % 8;
        let begun = Instant::now();
        let decision = black_box(decide_in(&fleet, black_box(&question), room)).expect("an endpoint is eligible");
        nanos.push(begun.elapsed().as_nanos());
        room = decision.passed_over;
        assert_eq!(room.len(), endpoints - 1, "one is chosen, the others have reasons");
    }
    nanos.sort_unstable();
    let at = |per_mille: usize| nanos.get(nanos.len() * per_mille / 1_000).map_or(0.0, |nanos| *nanos as f64 / 1e3);
    writeln!(std::io::stdout(), "{endpoints} endpoints: p50 {:.2} us, p99 {:.2} us, p99.9 {:.2} us", at(500), at(990), at(999))?;
    let is_short = p99_us_max.is_some_and(|most| at(990) >= most as f64);
    Ok(if is_short { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
