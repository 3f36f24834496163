//! `bench_load HOST:PORT CONNECTIONS SECONDS|COUNTx BODY [HEADER:VALUE]...`: asks over so many connections, each as soon as its last answer has
//! ended, for so long or (`500000x`) so often; prints one JSON line of counts, and of the times to the first byte and to the last.

use std::cell::RefCell;
use std::error::Error;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What marks an event with a chunk of the answer.
const CHUNK: &[u8] = b"chat.completion.chunk";

/// Until when to go on.
#[derive(Clone, Copy)]
enum Until {
    Time(Instant),
    Count(u64),
}

#[derive(Default)]
struct Tally {
    asked: u64,
    answered: u64,
    chunks: u64,
    /// Answers that were no success, by status; zero is a connection that broke.
    errors: std::collections::BTreeMap<u16, u64>,
    first_us: Vec<u32>,
    whole_us: Vec<u32>,
}

struct Load {
    address: String,
    body: Bytes,
    head: Vec<(String, String)>,
    until: Until,
    tally: RefCell<Tally>,
}

impl Load {
    fn more(&self) -> bool {
        let mut tally = self.tally.borrow_mut();
        let more = match self.until {
            Until::Time(end) => Instant::now() < end,
            Until::Count(count) => tally.asked < count,
        };
        tally.asked += u64::from(more);
        more
    }

    fn is_over(&self) -> bool {
        matches!(self.until, Until::Time(end) if Instant::now() >= end)
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::post("/v1/chat/completions").header("host", &self.address).header("content-type", "application/json");
        for (name, value) in &self.head {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone()))
    }

    /// Asks over one connection until it breaks or there is no more to ask.
    async fn connection(&self) -> Result<(), Box<dyn Error>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(async move {
            // What becomes of it shows in the requests on it.
            _ = connection.await;
        });
        while self.more() {
            match self.ask(&mut send).await {
                Ok(StatusCode::OK) => {}
                Ok(status) => *self.tally.borrow_mut().errors.entry(status.as_u16()).or_default() += 1,
                Err(error) => {
                    *self.tally.borrow_mut().errors.entry(0).or_default() += 1;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, send: &mut SendRequest<Full<Bytes>>) -> Result<StatusCode, Box<dyn Error>> {
        let (begun, mut first, mut chunks) = (Instant::now(), None, 0);
        send.ready().await?;
        let response = send.send_request(self.request()?).await?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame?.data_ref() {
                first.get_or_insert_with(|| begun.elapsed());
                chunks += data.windows(CHUNK.len()).filter(|window| *window == CHUNK).count() as u64;
            }
        }
        if status == StatusCode::OK {
            let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
            let mut tally = self.tally.borrow_mut();
            tally.answered += 1;
            tally.chunks += chunks;
            tally.first_us.push(micros(first.unwrap_or_default()));
            tally.whole_us.push(micros(begun.elapsed()));
        }
        Ok(status)
    }
}

fn quantile(sorted: &[u32], per_mille: usize) -> u32 {
    sorted.get(sorted.len().saturating_sub(1) * per_mille / 1_000).copied().unwrap_or(0)
}

fn report(tally: &mut Tally, seconds: f64) -> String {
    tally.first_us.sort_unstable();
    tally.whole_us.sort_unstable();
    let errors: u64 = tally.errors.values().sum();
    let statuses: Vec<String> = tally.errors.iter().map(|(status, count)| format!("\"{status}\":{count}")).collect();
    format!(
        "{{\"seconds\":{seconds:.3},\"requests\":{},\"chunks\":{},\"errors\":{errors},\"by_status\":{{{}}},\
         \"first_p50_us\":{},\"first_p99_us\":{},\"whole_p50_us\":{},\"whole_p99_us\":{}}}",
        tally.answered,
        tally.chunks,
        statuses.join(","),
        quantile(&tally.first_us, 500),
        quantile(&tally.first_us, 990),
        quantile(&tally.whole_us, 500),
        quantile(&tally.whole_us, 990),
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: bench_load HOST:PORT CONNECTIONS SECONDS|COUNTx BODY [HEADER:VALUE]...";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, until, body, head @ ..] = arguments.as_slice() else { return Err(usage.into()) };
    let head = head.iter().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    let begun = Instant::now();
    let until = match until.strip_suffix('x') {
        Some(count) => Until::Count(count.parse()?),
        None => Until::Time(begun + Duration::from_secs_f64(until.parse()?)),
    };
    let load =
        Rc::new(Load { address: address.clone(), body: body.clone().into(), head: head.collect(), until, tally: RefCell::default() });
    let (local, runtime) = (LocalSet::new(), tokio::runtime::Builder::new_current_thread().enable_all().build()?);
    for _ in 0..connections.parse::<usize>()? {
        let load = Rc::clone(&load);
        local.spawn_local(async move {
            while load.connection().await.is_err() && !load.is_over() {
                // A server that refuses is not asked in a tight loop.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    runtime.block_on(local);
    let line = report(&mut load.tally.borrow_mut(), begun.elapsed().as_secs_f64());
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
