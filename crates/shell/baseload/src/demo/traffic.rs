//! Background traffic: the trace's requests, sent to our own gateway as any client would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::prompt::{Dice, prompt, tier};
use super::trace::{Arrival, Trace};
use crate::http::Client;

/// Requests under way at once; those that would come on top are left out and counted.
const UNDER_WAY_MAX: usize = 48;

/// What the traffic came to.
#[derive(Debug, Default)]
pub struct Counts {
    /// Answered to the end.
    pub answered: AtomicU64,
    /// Ended otherwise.
    pub failed: AtomicU64,
    /// Not sent, because too many were under way.
    pub left_out: AtomicU64,
}

/// Who asks, whom, under which key.
#[derive(Clone)]
pub struct Asker {
    /// The client.
    pub client: Client,
    /// The gateway.
    pub at: SocketAddr,
    /// The key.
    pub key: Arc<str>,
}

impl Asker {
    /// Sends a streamed chat request; returns the time to the first content.
    pub async fn chat(&self, text: &str, tier: &str, output: u32) -> Result<Duration> {
        let begun = Instant::now();
        let body = json!({ "model": "default", "messages": [{ "role": "user", "content": text }], "max_tokens": output,
            "service_tier": tier, "stream": true, "stream_options": { "include_usage": true } });
        let mut answer = self.client.post(self.at, "/v1/chat/completions", &self.key, body.to_string()).await?;
        ensure!(answer.status().is_success(), "the gateway answers {}", answer.status());
        let mut first = None;
        // The last event is at the end of the last chunk, and may be split over two.
        let mut tail = Vec::new();
        while let Some(frame) = answer.body_mut().frame().await {
            if let Ok(bytes) = frame?.into_data() {
                first.get_or_insert_with(|| begun.elapsed());
                tail.extend_from_slice(&bytes);
                tail.drain(..tail.len().saturating_sub(64));
            }
        }
        ensure!(tail.windows(6).any(|window| window == b"[DONE]"), "the stream ended early");
        Ok(first.unwrap_or_else(|| begun.elapsed()))
    }
}

/// Plays the trace until it is dropped.
pub async fn play(trace: Trace, asker: Asker, seed: u64, counts: Arc<Counts>) {
    let (begun, places) = (tokio::time::Instant::now(), Arc::new(Semaphore::new(UNDER_WAY_MAX)));
    let mut under_way = JoinSet::new();
    for index in 0.. {
        let arrival = trace.request(index);
        sleep_until(begun + arrival.at).await;
        while under_way.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            counts.left_out.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (asker, counts) = (asker.clone(), Arc::clone(&counts));
        under_way.spawn(async move {
            let _place = place;
            let count = if ask(&asker, arrival, Dice::new(seed, index as u64)).await.is_ok() { &counts.answered } else { &counts.failed };
            count.fetch_add(1, Ordering::Relaxed);
        });
    }
}

async fn ask(asker: &Asker, arrival: Arrival, mut dice: Dice) -> Result<Duration> {
    let tier = tier(&mut dice);
    asker.chat(&prompt(&mut dice, arrival.input), tier, arrival.output).await
}
