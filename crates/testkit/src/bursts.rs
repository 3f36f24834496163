//! Load in bursts over supplies that are paid for and supplies that are paid by use, in simulated time: what the decisions do with
//! capacity. The decisions and the buckets are the product's own; the suppliers, and who says that one had room, are told here anew.

mod figures;
mod scene;
mod supplier;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use dispatch::{Ask, Decision, Health, KeyScope, Needs, Policy, Question, Reason, RequestId, Seen, SeenAll, decide};
use fleet::{Capability, Fleet, Id, ModelId, ServiceTier};
use market::{Balances, Forecast, Payer, PriceSheet, Tokens, UnitBucket, price_sheet};
use units::{Instant, Money};

use figures::Answered;
pub use figures::{Figures, Headroom, OfTier, Saved};
pub use scene::Scene;
use supplier::Supplier;

use crate::dice::Dice;

const SECOND: i64 = 1_000_000;
/// 2026-11-22, so that contracts are in force.
const START: i64 = 1_795_305_600 * SECOND;
/// The mean answer of the load, in tokens: what the gateway expects of a request that it knows nothing else of.
const OUTPUT_MEAN: u32 = 200;

/// A request of the load.
#[derive(Clone, Copy, Debug)]
struct Request {
    id: u64,
    tier: ServiceTier,
    input: u32,
    /// What its answer will be; no one knows it before.
    output: u32,
}

/// A request that a supplier is working on: when it ends, where, and what of the bucket has to be put right then.
type Ending = Reverse<(i64, usize, i64)>;

struct Run<'a> {
    scene: &'a Scene,
    fleet: &'a Fleet,
    model: ModelId,
    sheet: PriceSheet,
    policy: Policy,
    suppliers: Vec<Supplier>,
    /// What the gateway has counted of the units.
    bucket: UnitBucket,
    endings: BinaryHeap<Ending>,
    figures: Figures,
}

/// Sends `requests` through a scene, in bursts that a seed determines, and says what became of them.
///
/// # Panics
/// When the scene's fleet is not valid.
#[must_use]
pub fn run(scene: &Scene, policy: Policy, requests: u64, seed: u64) -> Figures {
    let fleet = fleet::parse(&scene.fleet).fleet.expect("a scene's fleet is valid");
    let model = fleet.model("m").expect("a scene's fleet has the model");
    let sheet = price_sheet(&fleet, &Balances::default(), &Forecast::default(), Instant::from_micros(START));
    let suppliers = fleet.endpoints.iter().map(|(id, ..)| Supplier::of(&fleet, sheet.price(id))).collect();
    let (bucket, endings, figures) = (UnitBucket::default(), BinaryHeap::new(), Figures::default());
    let mut run = Run { scene, fleet: &fleet, model, sheet, policy, suppliers, bucket, endings, figures };
    let (mut dice, mut id) = (Dice::new(seed), 0);
    for second in 0.. {
        let burst = scene.requests_in(second);
        let mut offsets: Vec<i64> = (0..burst).map(|_| i64::try_from(dice.count(0, 999_999)).unwrap_or(0)).collect();
        offsets.sort_unstable();
        for offset in offsets {
            run.arrives(START + i64::from(second) * SECOND + offset, scene.draw(&mut dice, id));
            id += 1;
            if id == requests {
                run.figures.seconds = i64::from(second) + 1;
                return run.figures;
            }
        }
        run.suppliers.iter_mut().for_each(Supplier::second_passes);
    }
    run.figures
}

/// Who is asked first to pay.
fn first(seen: &Seen) -> Option<&Payer> {
    seen.payers().next().map(|(payer, _)| payer)
}

impl Run<'_> {
    fn arrives(&mut self, micros: i64, request: Request) {
        while self.endings.peek().is_some_and(|Reverse((at, ..))| *at <= micros) {
            self.ends();
        }
        let now = Instant::from_micros(micros);
        let mut tried = Vec::new();
        loop {
            let question = self.question(now, request, &tried);
            match decide(self.fleet, &question) {
                Ok(decision) if self.goes(now, request, &question, &decision) => return,
                Ok(decision) => tried.push(decision.endpoint.index()),
                Err(refusal) => {
                    let full = refusal.passed_over.iter().all(|passed| matches!(passed.reason, Reason::Full | Reason::Tried));
                    assert!(full, "nothing else stands in the way in a scene: {:?}", refusal.passed_over);
                    return self.refused(now, request, &tried);
                }
            }
        }
    }

    /// Calls the endpoint; `false` when its supplier says 429.
    fn goes(&mut self, now: Instant, request: Request, question: &Question, decision: &Decision) -> bool {
        let index = decision.endpoint.index();
        let seen = question.seen.iter().find(|seen| seen.endpoint == decision.endpoint).expect("it was seen");
        let payer = *decision.payer(seen).expect("it was chosen with its payer");
        let prepaid = payer.prepaid;
        if !prepaid {
            self.spilled(now, question);
        }
        let is_kept = !prepaid && request.tier != ServiceTier::Priority && self.has_headroom(now, request, question);
        let on_units = payer.units_per_minute > 0;
        let (expected, real) = (self.weight(request.input, OUTPUT_MEAN), self.weight(request.input, request.output));
        let units = if on_units { self.suppliers.iter().position(Supplier::has_units) } else { None };
        if !self.suppliers[index].has_room() || units.is_some_and(|units| !self.suppliers[units].takes(now, real)) {
            self.figures.refused_by_suppliers += 1;
            if let Some(units) = units {
                let again = if self.scene.says_when { self.suppliers[units].again(now, real) } else { Duration::ZERO };
                self.bucket = self.bucket.refused(now, expected, payer.units_per_minute, again);
            }
            return false;
        }
        let correction = if on_units { real - expected } else { 0 };
        if on_units {
            self.bucket = self.bucket.with(now, expected, payer.units_per_minute);
            self.figures.on_units += real;
        }
        self.counts_waiting(index);
        let cached = self.cached(index, request.input);
        let (first, ended) = self.suppliers[index].begins(now.micros(), request.input - cached, request.output);
        self.endings.push(Reverse((ended, index, correction)));
        let used = Tokens { input: request.input, cached, output: request.output };
        let paid = if prepaid { Money::ZERO } else { decision.list.cost(used) };
        self.figures.answered(self.fleet, request.tier, &Answered { prepaid, first_us: first - now.micros(), weight: real, cached, paid });
        if is_kept {
            self.figures.kept += Headroom { requests: 1, weight: real, money: paid };
        }
        true
    }

    fn ends(&mut self) {
        let Some(Reverse((at, index, correction))) = self.endings.pop() else { return };
        self.suppliers[index].ends();
        if correction != 0 {
            self.bucket = self.bucket.with(Instant::from_micros(at), correction, self.per_minute());
        }
    }

    /// A request is paid for by use: how much of what is paid for anyway was taken at that moment? Of units as their supplier counts them.
    fn spilled(&mut self, now: Instant, question: &Question) {
        let units = self.suppliers.iter().find(|supplier| supplier.has_units()).map(|units| units.filled(now));
        let slots = question.seen.iter().filter(|seen| first(seen).is_some_and(|payer| payer.prepaid && payer.units_per_minute == 0));
        let slots = slots.map(|seen| {
            f64::from(self.suppliers[seen.endpoint.index()].outstanding()) / f64::from(self.fleet.endpoints[seen.endpoint].slots)
        });
        let least = units.into_iter().chain(slots).fold(1.0, f64::min);
        self.figures.spilled_at(least);
    }

    /// Whether what is paid for anyway has room for a request: a slot or a place in line, or units by our count.
    fn has_headroom(&self, now: Instant, request: Request, question: &Question) -> bool {
        let weight = self.weight(request.input, OUTPUT_MEAN);
        let untried = question.seen.iter().filter(|seen| !seen.tried);
        let mut paid = untried.filter_map(|seen| Some((seen.endpoint, first(seen).filter(|payer| payer.prepaid)?)));
        paid.any(|(endpoint, payer)| match payer.units_per_minute {
            0 => self.suppliers[endpoint.index()].has_room(),
            per_minute => self.bucket.room(now, per_minute) >= weight,
        })
    }

    /// Is another endpoint idle while one has no room, and while this request goes where it has to wait?
    fn counts_waiting(&mut self, chosen: usize) {
        let is_free = |but: usize| self.suppliers.iter().enumerate().any(|(index, supplier)| index != but && supplier.has_free_slot());
        let full = (0..self.suppliers.len()).any(|index| !self.suppliers[index].has_room() && is_free(index));
        let waits = !self.suppliers[chosen].has_free_slot() && is_free(chosen);
        self.figures.full_while_free += u64::from(full);
        self.figures.waits_while_free += u64::from(waits);
    }

    /// How much of a prompt an endpoint holds: only the first keeps what all prompts begin with, which is the hardest case.
    fn cached(&self, endpoint: usize, input: u32) -> u32 {
        if endpoint == 0 { self.scene.prefix.min(input) } else { 0 }
    }

    fn refused(&mut self, now: Instant, request: Request, tried: &[usize]) {
        self.figures.refused += 1;
        let weight = self.weight(request.input, OUTPUT_MEAN);
        let with_units = self.suppliers.iter().find(|supplier| supplier.has_units());
        let by_theirs = with_units.is_none_or(|units| units.would_take(now, weight));
        let by_ours = self.bucket.room(now, self.per_minute()) >= weight;
        let had_room = |units_fit: bool| {
            let mut untried = self.suppliers.iter().enumerate().filter(|(index, _)| !tried.contains(index)).map(|(_, supplier)| supplier);
            untried.any(|supplier| supplier.has_room() && (!supplier.on_units || units_fit || supplier.has_overflow))
        };
        let (with_room, with_units) = (had_room(by_theirs && by_ours), had_room(by_theirs));
        self.figures.refused_with_room += u64::from(with_room);
        self.figures.refused_with_units += u64::from(with_units);
    }

    fn per_minute(&self) -> i64 {
        self.sheet.endpoints.iter().flat_map(|price| price.payers()).map(|payer| payer.units_per_minute).max().unwrap_or(0)
    }

    /// In input tokens, as the scenes' model weighs: an output counts four.
    fn weight(&self, input: u32, output: u32) -> i64 {
        let weights = self.fleet.models[self.model].weights;
        (i64::from(input) * weights.input_ppm + i64::from(output) * weights.output_ppm) / 1_000_000
    }

    fn question(&self, now: Instant, request: Request, tried: &[usize]) -> Question {
        let seen = self.fleet.endpoints.iter().map(|(endpoint, ..)| {
            let (supplier, price) = (&self.suppliers[endpoint.index()], self.sheet.price(endpoint).copied());
            Seen {
                endpoint,
                health: Health::Up,
                outstanding: if self.scene.misread && !supplier.on_units { 2 * supplier.outstanding() } else { supplier.outstanding() },
                service_us: supplier.service_us(),
                ttft_us: supplier.ttft_us(),
                tpot_us: supplier.tpot_us(),
                arrivals_per_ks: supplier.arrivals_per_ks(),
                cached_tokens: self.cached(endpoint.index(), request.input),
                units_left: [self.bucket.room(now, self.per_minute()), 0, 0, 0],
                tried: tried.contains(&endpoint.index()),
                expressible: true,
                price,
            }
        });
        Question {
            now,
            fleet: self.fleet.version,
            policy: self.policy,
            valid_until: Instant::MAX,
            usable_until: Instant::MAX,
            wish: None,
            funds: None,
            seen: seen.collect::<SeenAll>(),
            ask: Ask {
                id: RequestId(request.id.into()),
                sequence: request.id,
                model: self.model,
                tier: request.tier,
                needs: Needs::default().with(Capability::Chat),
                tokens: Tokens { input: request.input, cached: self.scene.prefix.min(request.input), output: OUTPUT_MEAN },
                input_least: request.input,
                output_max: 2 * OUTPUT_MEAN,
                scope: KeyScope::default(),
            },
        }
    }
}
