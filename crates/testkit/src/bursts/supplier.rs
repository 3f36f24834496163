//! A supplier as it is, which the gateway only learns of by its answers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fleet::Fleet;
use market::EndpointPrice;
use units::Instant;

/// One endpoint's supplier. It works on as many requests at once as it has slots, lets as many wait as its queue holds, and counts units by
/// a level of its own.
#[derive(Debug)]
pub(super) struct Supplier {
    slots: usize,
    queue: usize,
    ttft_us: u32,
    tpot_us: u32,
    outstanding: usize,
    /// When each slot that is taken becomes free.
    busy: BinaryHeap<Reverse<i64>>,
    /// Begun in this second, and how many a second on average, in thousandths.
    begun: i64,
    rate: i64,
    service_us: u32,
    pub on_units: bool,
    pub has_overflow: bool,
    /// Weighted tokens a minute that its contract's units handle; the first endpoint of the contract counts for all of them.
    per_minute: i64,
    level: f64,
    at: Instant,
}

impl Supplier {
    /// The supplier of an endpoint: what is paid by use is twice as slow to begin.
    pub fn of(fleet: &Fleet, price: Option<&EndpointPrice>) -> Self {
        let price = price.expect("a scene's contracts are in force");
        let (place, payer) = (&fleet.endpoints[price.endpoint], price.payers().next().expect("somebody pays"));
        let slots = usize::try_from(place.slots).unwrap_or(usize::MAX);
        Self {
            slots,
            queue: usize::try_from(place.queue).unwrap_or(usize::MAX),
            ttft_us: if payer.prepaid { 200_000 } else { 400_000 },
            tpot_us: 10_000,
            outstanding: 0,
            busy: BinaryHeap::new(),
            begun: 0,
            rate: 0,
            service_us: 0,
            on_units: payer.units_per_minute > 0,
            has_overflow: price.payers().any(|payer| payer.units_per_minute == 0),
            per_minute: payer.units_per_minute,
            level: 0.0,
            at: Instant::default(),
        }
    }

    pub fn has_units(&self) -> bool {
        self.per_minute > 0
    }

    pub fn has_room(&self) -> bool {
        self.outstanding < self.slots + self.queue
    }

    /// Whether a request would be worked on at once.
    pub fn has_free_slot(&self) -> bool {
        self.outstanding < self.slots
    }

    /// Whether its units have room for as much.
    pub fn would_take(&self, now: Instant, weight: i64) -> bool {
        self.filled(now) * self.per_minute as f64 + weight as f64 <= self.per_minute as f64
    }

    /// How much of its units is taken, of one.
    pub fn filled(&self, now: Instant) -> f64 {
        let drained = self.level - now.since(self.at).as_secs_f64() * self.per_minute as f64 / 60.0;
        drained.max(0.0) / self.per_minute as f64
    }

    /// When its units will have room for as much.
    pub fn again(&self, now: Instant, weight: i64) -> Duration {
        let ready = (self.level + weight as f64 - self.per_minute as f64) * 60.0 / self.per_minute as f64;
        Duration::try_from_secs_f64(ready).unwrap_or_default().saturating_sub(now.since(self.at))
    }

    /// Takes it if there is room for it.
    pub fn takes(&mut self, now: Instant, weight: i64) -> bool {
        let fits = self.would_take(now, weight);
        if fits {
            self.level = self.filled(now) * self.per_minute as f64 + weight as f64;
            self.at = now;
        }
        fits
    }

    /// Begins a request, and says when its first content comes and when it ends.
    pub fn begins(&mut self, now: i64, input: u32, output: u32) -> (i64, i64) {
        while self.busy.peek().is_some_and(|Reverse(free)| *free <= now) {
            self.busy.pop();
        }
        let waits_until = if self.busy.len() < self.slots { now } else { self.busy.pop().map_or(now, |Reverse(free)| free) };
        let prefill = i64::from(self.ttft_us) * i64::from(input) / 1_000;
        let (first, ended) = (waits_until + prefill, waits_until + prefill + i64::from(self.tpot_us) * i64::from(output));
        self.busy.push(Reverse(ended));
        self.outstanding += 1;
        self.begun += 1;
        let stay = u32::try_from(ended - now).unwrap_or(u32::MAX);
        self.service_us = if self.service_us == 0 { stay } else { self.service_us - self.service_us / 8 + stay / 8 };
        (first, ended)
    }

    pub fn ends(&mut self) {
        self.outstanding -= 1;
    }

    /// As the gateway's meter learns rates: a mean over about eight seconds.
    pub fn second_passes(&mut self) {
        self.rate += (std::mem::take(&mut self.begun) * 1_000 - self.rate) / 8;
    }

    pub fn outstanding(&self) -> u32 {
        u32::try_from(self.outstanding).unwrap_or(u32::MAX)
    }

    pub fn arrivals_per_ks(&self) -> u32 {
        u32::try_from(self.rate).unwrap_or(0)
    }

    pub fn service_us(&self) -> u32 {
        self.service_us
    }

    pub fn ttft_us(&self) -> u32 {
        self.ttft_us
    }

    pub fn tpot_us(&self) -> u32 {
        self.tpot_us
    }
}
