//! `bench_ingest REQUESTS`: appends the records of so many requests, in groups as a busy service does, and says what the thread that
//! books them took for each, as the kernel counts it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch::{AttemptId, Decision, KeyId, Known, Outcome, Question, Record, RequestId, Rule, Settlement};
use fleet::{ContractId, EndpointId, Fleet};
use ledger::Store;
use market::{TokenPrices, Tokens};
use testkit::crowd;

/// As many requests as a service of 20,000 a second takes in one commit window.
const GROUP: u64 = 200;
const WINDOW: Duration = Duration::from_millis(10);
/// Requests under way at once: an attempt is settled when so many others have been decided after it.
const UNDER_WAY: u64 = 32;
/// Of the request's number within its id: the rest is its time.
const REQUEST_BITS: u32 = 70;
const LIST: TokenPrices = TokenPrices { input: 1_010, cached: 1_010, output: 4_000 };

struct Run {
    fleet: Arc<Fleet>,
    question: Question,
    paid: (EndpointId, ContractId),
}

impl Run {
    fn attempt(&self, number: u64) -> AttemptId {
        // As the gateway makes them: the time, then what is random.
        let time = u128::try_from(self.question.now.micros()).unwrap_or(0) + u128::from(number) * 50;
        AttemptId { request: RequestId(time << REQUEST_BITS | u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))), attempt: 1 }
    }

    fn decided(&self, number: u64) -> Record {
        let (endpoint, contract) = self.paid;
        let question = Question { now: self.question.now + Duration::from_micros(number * 50), ..self.question.clone() };
        let rule = Rule::Policy;
        let decision = Decision {
            endpoint,
            in_units: false,
            contract,
            cost: Default::default(),
            list: LIST,
            rule,
            passed_over: Vec::new(),
            advice: None,
        };
        Record::Decided { attempt: self.attempt(number), key: KeyId(1), question: Box::new(question), decision: Box::new(decision) }
    }

    fn settled(&self, number: u64) -> Record {
        let (endpoint, contract) = self.paid;
        let tokens = Tokens { input: 100 + u32::try_from(number % 50).unwrap_or(0), cached: 0, output: 50 };
        let started = self.question.now + Duration::from_micros(number * 50);
        Record::Settled(Settlement {
            attempt: self.attempt(number),
            endpoint,
            in_units: false,
            contract,
            fleet: self.fleet.version,
            outcome: Outcome::Answered,
            tokens,
            known: Known::Reported,
            list: LIST.cost(tokens),
            started,
            first_content: None,
            ended: started + Duration::from_micros(1_600),
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let requests: u64 = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse())?;
    let fleet = Arc::new(crowd::fleet(4));
    let endpoint = fleet.endpoints.id("p1").ok_or("the crowd has no second endpoint")?;
    let contract = fleet.contracts.id("c1").ok_or("the crowd has no second contract")?;
    let run = Run { question: crowd::question(&fleet), paid: (endpoint, contract), fleet: Arc::clone(&fleet) };
    let folder = tempfile::tempdir()?;
    let (store, _) = Store::open(folder.path(), "", fleet, run.question.now)?;
    store.append(&run.decided(requests + UNDER_WAY))?;
    store.flush()?;
    let before = booking_nanos()?;
    for number in 0..requests + UNDER_WAY {
        if number < requests {
            store.append(&run.decided(number))?;
        }
        if let Some(ended) = number.checked_sub(UNDER_WAY) {
            store.append(&run.settled(ended))?;
        }
        if number % GROUP == GROUP - 1 {
            std::thread::sleep(WINDOW);
        }
    }
    store.flush()?;
    let each = (booking_nanos()? - before) as f64 / 1e3 / requests as f64;
    writeln!(std::io::stdout(), "{each:.2} us of the booking thread a request")?;
    Ok(())
}

/// What the thread that books has had of a processor.
fn booking_nanos() -> Result<u64, Box<dyn std::error::Error>> {
    for task in Path::new("/proc/self/task").read_dir()? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim() == "ledger" {
            let spent = std::fs::read_to_string(task.join("schedstat"))?;
            return Ok(spent.split(' ').next().unwrap_or_default().parse()?);
        }
    }
    Err("no thread is called ledger".into())
}
