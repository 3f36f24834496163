//! `/metrics`, in Prometheus' text format. Names of times follow OpenTelemetry's conventions for generative AI; all labels are names of the
//! fleet file or words of this page, so their number is bounded by the file.

use std::fmt::Write as _;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use dispatch::Health;
use fleet::{CapacityOf, ContractId, EndpointId, Fleet};

use crate::admission::Owner;
use crate::observed::Histogram;
use crate::state::State;
use crate::status::{self, EndpointLive, Live};

/// All metrics.
pub(crate) fn render(state: &State) -> String {
    let (live, snapshot) = (status::live(state), state.snapshot.load());
    let mut page = Page { text: String::new(), fleet: &snapshot.fleet };
    attempts(&mut page, state);
    times(&mut page, state);
    endpoints(&mut page, &live);
    prices(&mut page, &live);
    capacity(&mut page, state, &live);
    budgets(&mut page, state, &live);
    let queued = [("place", state.gate.waiting()), ("room", state.rooms.waiting())];
    page.each("baseload_waiting", "gauge", "Requests that wait in line: for a place under way, or for room on an endpoint.", |row| {
        queued.iter().for_each(|(queue, count)| row(&format!("queue=\"{queue}\""), *count as f64));
    });
    page.one("baseload_in_flight", "gauge", "Requests under way or waiting.", live.in_flight as f64);
    page.one(
        "baseload_refused_total",
        "counter",
        "Requests answered with an error, the gateway's own or an upstream's.",
        live.refused as f64,
    );
    let owed = "Records of what has happened that the journal has not taken yet: while there are some, nothing new begins.";
    page.one("baseload_owed_records", "gauge", owed, live.owed_records as f64);
    let lost = "Records of what has happened that can't be kept: each is a gap in the books.";
    page.one("baseload_lost_records_total", "counter", lost, live.lost_records as f64);
    let behind =
        "Bytes of the journal that the ledger has not taken in yet: some in every moment, more and more when its disk is full or too slow.";
    page.one("baseload_ledger_behind_bytes", "gauge", behind, state.recorder.journal.behind() as f64);
    let shared = "When each part of what is shared with other replicas last went well: leases of budgets, keys, copies of the ledger.";
    page.each("baseload_share_success_timestamp_seconds", "gauge", shared, |row| {
        for (part, at) in state.shared_at.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            row(&format!("part=\"{part}\""), at.micros() as f64 / 1e6);
        }
    });
    let nameless = "Attempts whose share of held time has no name, as the meter was behind.";
    page.one("baseload_lost_tallies_total", "counter", nameless, state.lost_tallies.load(Ordering::Relaxed) as f64);
    let unsaid = "Lines of the log that there was no room for.";
    page.one("baseload_lost_log_lines_total", "counter", unsaid, state.lost_lines.load(Ordering::Relaxed) as f64);
    let untraced = "Spans that there was no room for, or that the collector did not take.";
    page.one("baseload_lost_spans_total", "counter", untraced, state.lost_spans.load(Ordering::Relaxed) as f64);
    page.text
}

fn attempts(page: &mut Page<'_>, state: &State) {
    let labels = |page: &Page<'_>, (endpoint, contract)| format!("{},contract=\"{}\"", page.of(endpoint), page.contract(contract));
    let rows = state.observed.paid().map(|(endpoint, contract, paid)| (labels(page, (endpoint, contract)), paid));
    let rows: Vec<_> = rows.filter(|(_, paid)| paid.attempts().next().is_some()).collect();
    page.each("baseload_attempts_total", "counter", "Attempts ended, by who paid, tier and outcome.", |row| {
        for (labels, paid) in &rows {
            paid.attempts().for_each(|(tier, outcome, count)| {
                row(&format!("{labels},tier=\"{tier}\",outcome=\"{outcome}\""), count as f64);
            });
        }
    });
    page.each(
        "baseload_tokens_total",
        "counter",
        "Tokens metered, by kind; cached ones are part of input. Of attempts whose tokens are only bounded, none.",
        |row| {
            for (labels, paid) in &rows {
                for (kind, count) in [("input", &paid.input), ("cached", &paid.cached), ("output", &paid.output)] {
                    row(&format!("{labels},kind=\"{kind}\""), count.load(Ordering::Relaxed) as f64);
                }
            }
        },
    );
    let bounded = "Attempts whose tokens are only bounded, until their supplier's bill says.";
    page.each("baseload_bounded_attempts_total", "counter", bounded, |row| {
        rows.iter().for_each(|(labels, paid)| row(labels, paid.bounded.load(Ordering::Relaxed) as f64));
    });
    let help = "What attempts whose tokens are known came to at the list prices of their decisions, in the fleet's currency.";
    page.each("baseload_list_cost_total", "counter", help, |row| {
        rows.iter().for_each(|(labels, paid)| row(labels, paid.list_nanos.load(Ordering::Relaxed) as f64 / 1e9));
    });
}

fn times(page: &mut Page<'_>, state: &State) {
    let first = "Time from the call of an upstream to the first content of a stream.";
    page.histogram("gen_ai_server_time_to_first_token_seconds", first, |endpoint| &state.observed.times(endpoint).first);
    let rest = "Time per output token after the first of a stream.";
    page.histogram("gen_ai_server_time_per_output_token_seconds", rest, |endpoint| &state.observed.times(endpoint).per_token);
    let whole = "Time from the call of an upstream to the end of its answer.";
    page.histogram("gen_ai_server_request_duration_seconds", whole, |endpoint| &state.observed.times(endpoint).whole);
}

fn endpoints(page: &mut Page<'_>, live: &Live) {
    let gauge = |page: &mut Page<'_>, metric, kind, help, value: &dyn Fn(&EndpointLive) -> f64| {
        let rows: Vec<_> = live.endpoints.iter().map(|endpoint| (page.of(endpoint.endpoint), value(endpoint))).collect();
        page.each(metric, kind, help, |row| rows.iter().for_each(|(labels, value)| row(labels, *value)));
    };
    gauge(page, "baseload_outstanding", "gauge", "Requests sent and not yet ended.", &|endpoint| endpoint.outstanding.into());
    let up = "Whether the endpoint takes requests.";
    gauge(page, "baseload_up", "gauge", up, &|endpoint| f64::from(u8::from(status::health_word(endpoint) == "up")));
    let breaker = "The breaker: 0 closed, 1 half open (one probe at a time goes), 2 open.";
    gauge(page, "baseload_breaker_state", "gauge", breaker, &|endpoint| match endpoint.health {
        Health::Up => 0.0,
        Health::Probing => 1.0,
        Health::Down { .. } => 2.0,
    });
    let busy = "Time with at least one request.";
    gauge(page, "baseload_busy_seconds_total", "counter", busy, &|endpoint| endpoint.busy.as_secs_f64());
    let arrivals = "Requests that it is sent a second, on average of late.";
    gauge(page, "baseload_arrivals_per_second", "gauge", arrivals, &|endpoint| f64::from(endpoint.arrivals_per_ks) / 1e3);
}

fn prices(page: &mut Page<'_>, live: &Live) {
    let priced = live
        .endpoints
        .iter()
        .filter_map(|endpoint| Some((page.of(endpoint.endpoint), endpoint.price?.first(page.fleet, live.at).copied()?)));
    let priced: Vec<_> = priced.collect();
    for (metric, help, marginal) in [
        ("baseload_marginal_price", "What a million more tokens cost now, in the fleet's currency.", true),
        ("baseload_list_price", "What the payer's rates say of a million tokens, in the fleet's currency.", false),
    ] {
        page.each(metric, "gauge", help, |row| {
            for (labels, payer) in &priced {
                let prices = if marginal { payer.marginal } else { payer.list };
                for (kind, nanos) in [("input", prices.input), ("cached", prices.cached), ("output", prices.output)] {
                    row(&format!("{labels},kind=\"{kind}\""), nanos as f64 / 1e9);
                }
            }
        });
    }
}

/// What provisioned units have room for, by contract and model.
fn capacity(page: &mut Page<'_>, state: &State, live: &Live) {
    let mut rows = Vec::new();
    let prices = live.endpoints.iter().filter_map(|endpoint| endpoint.price.as_ref());
    for (price, payer) in
        prices.flat_map(|price| price.payers().map(move |payer| (price, payer))).filter(|(_, payer)| payer.units_per_minute > 0)
    {
        let (contract, model) = (payer.contract, page.fleet.endpoints[price.endpoint].model);
        debug_assert!(page.fleet.contracts[contract].capacity.iter().any(|clause| clause.of == CapacityOf::Units(model)));
        let labels = format!("contract=\"{}\",model=\"{}\"", page.contract(contract), escape(page.fleet.models.name(model)));
        if let Some(bucket) = state.buckets.of(contract, model) {
            rows.push((labels, bucket.room(live.at, payer.units_per_minute), payer.units_per_minute));
        }
    }
    rows.sort();
    rows.dedup();
    let room = "Weighted tokens that provisioned units take now, at most a minute's worth.";
    page.each("baseload_units_room_tokens", "gauge", room, |row| rows.iter().for_each(|(labels, room, _)| row(labels, *room as f64)));
    let rate = "Weighted tokens a minute that provisioned units handle.";
    page.each("baseload_units_tokens_per_minute", "gauge", rate, |row| rows.iter().for_each(|(labels, _, rate)| row(labels, *rate as f64)));
}

/// Budgets of teams and of the fleet; those of keys are in `/api/status` and `baseload key list`, as there may be any number of them.
fn budgets(page: &mut Page<'_>, state: &State, live: &Live) {
    let balances = state.accounts.balances(live.at).into_iter();
    let named = balances.filter_map(|balance| match balance.owner {
        Owner::Key(_) => None,
        Owner::Team(team) => Some((format!("team=\"{}\"", escape(page.fleet.teams.name(team))), balance)),
        Owner::Fleet => Some(("team=\"\"".to_owned(), balance)),
    });
    let named: Vec<_> = named.collect();
    let budget = "The budget of the present period, in the fleet's currency; the fleet's own has no team.";
    page.each("baseload_budget", "gauge", budget, |row| named.iter().for_each(|(of, balance)| row(of, units_of(balance.budget))));
    let left = "What is left of it: neither spent nor set aside for requests under way.";
    page.each("baseload_budget_left", "gauge", left, |row| {
        named.iter().for_each(|(of, balance)| row(of, units_of(balance.budget - balance.taken)));
    });
}

fn units_of(money: units::Money) -> f64 {
    money.nanos() as f64 / 1e9
}

/// The page as it grows.
struct Page<'a> {
    text: String,
    fleet: &'a Fleet,
}

impl Page<'_> {
    /// The labels of an endpoint.
    fn of(&self, endpoint: EndpointId) -> String {
        let model = self.fleet.models.name(self.fleet.endpoints[endpoint].model);
        format!("model=\"{}\",endpoint=\"{}\"", escape(model), escape(self.fleet.endpoints.name(endpoint)))
    }

    fn contract(&self, contract: ContractId) -> String {
        escape(self.fleet.contracts.name(contract))
    }

    fn head(&mut self, metric: &str, kind: &str, help: &str) {
        // Writing to a string can't fail.
        _ = write!(self.text, "# HELP {metric} {help}\n# TYPE {metric} {kind}\n");
    }

    /// A metric with as many rows as are given.
    fn each(&mut self, metric: &str, kind: &str, help: &str, rows: impl FnOnce(&mut dyn FnMut(&str, f64))) {
        self.head(metric, kind, help);
        rows(&mut |labels, value| _ = writeln!(self.text, "{metric}{{{labels}}} {value}"));
    }

    fn one(&mut self, metric: &str, kind: &str, help: &str, value: f64) {
        self.head(metric, kind, help);
        _ = writeln!(self.text, "{metric} {value}");
    }

    /// The times of every endpoint that has any.
    fn histogram<'h>(&mut self, metric: &str, help: &str, of: impl Fn(EndpointId) -> &'h Histogram) {
        self.head(metric, "histogram", help);
        for (endpoint, name, row) in self.fleet.endpoints.iter() {
            let (rows, all, sum) = of(endpoint).read();
            if all == 0 {
                continue;
            }
            let model = escape(self.fleet.models.name(row.model));
            let labels = format!("gen_ai_request_model=\"{model}\",endpoint=\"{}\"", escape(name));
            for (bound, within) in rows {
                _ = writeln!(self.text, "{metric}_bucket{{{labels},le=\"{bound}\"}} {within}");
            }
            _ = write!(
                self.text,
                "{metric}_bucket{{{labels},le=\"+Inf\"}} {all}\n{metric}_sum{{{labels}}} {sum}\n{metric}_count{{{labels}}} {all}\n"
            );
        }
    }
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
