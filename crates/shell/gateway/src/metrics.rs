//! `/metrics`, in Prometheus' text format.

use std::fmt::Write as _;

use crate::state::State;
use crate::status::{self, EndpointLive};

/// All metrics.
pub(crate) fn render(state: &State) -> String {
    let (live, snapshot) = (status::live(state), state.snapshot.load());
    let mut text = Text(String::new());
    let name = |endpoint: &EndpointLive| snapshot.fleet.endpoints.name(endpoint.endpoint);
    let mut each = |metric: &str, kind: &str, help: &str, rows: &dyn Fn(&EndpointLive) -> Vec<(&'static str, String)>| {
        text.head(metric, kind, help);
        for endpoint in &live.endpoints {
            for (labels, value) in rows(endpoint) {
                text.row(metric, &format!("endpoint=\"{}\"{labels}", escape(name(endpoint))), &value);
            }
        }
    };
    each("baseload_attempts_total", "counter", "Attempts ended, by outcome.", &|endpoint| {
        vec![
            (",outcome=\"answered\"", endpoint.served.to_string()),
            (",outcome=\"failed\"", endpoint.failed.to_string()),
            (",outcome=\"abandoned\"", endpoint.abandoned.to_string()),
        ]
    });
    each("baseload_tokens_total", "counter", "Tokens metered, by kind; cached ones are part of input.", &|endpoint| {
        vec![
            (",kind=\"input\"", endpoint.input_tokens.to_string()),
            (",kind=\"cached\"", endpoint.cached_tokens.to_string()),
            (",kind=\"output\"", endpoint.output_tokens.to_string()),
        ]
    });
    each("baseload_outstanding", "gauge", "Requests sent and not yet ended.", &|endpoint| vec![("", endpoint.outstanding.to_string())]);
    each("baseload_up", "gauge", "Whether the endpoint takes requests.", &|endpoint| {
        vec![("", u8::from(status::health_word(endpoint) == "up").to_string())]
    });
    each("baseload_busy_seconds_total", "counter", "Time with at least one request.", &|endpoint| {
        vec![("", endpoint.busy.as_secs_f64().to_string())]
    });
    each("baseload_marginal_price", "gauge", "What a million more tokens cost now, in the fleet's currency.", &|endpoint| {
        let price = |nanos: i64| (nanos as f64 / 1e9).to_string();
        let prices = endpoint.price.map(|price| price.payer.marginal);
        prices.map_or_else(Vec::new, |prices| vec![(",kind=\"input\"", price(prices.input)), (",kind=\"output\"", price(prices.output))])
    });
    text.one("baseload_in_flight", "gauge", "Requests under way or waiting.", live.in_flight.to_string());
    text.one("baseload_waiting", "gauge", "Requests that wait in line for a place or for room.", live.waiting.to_string());
    text.one("baseload_refused_total", "counter", "Requests answered with an error of the gateway's own.", live.refused.to_string());
    text.one(
        "baseload_lost_records_total",
        "counter",
        "Records that the journal did not take after their effect.",
        live.lost_records.to_string(),
    );
    text.0
}

struct Text(String);

impl Text {
    fn head(&mut self, metric: &str, kind: &str, help: &str) {
        // Writing to a string can't fail.
        _ = write!(self.0, "# HELP {metric} {help}\n# TYPE {metric} {kind}\n");
    }

    fn row(&mut self, metric: &str, labels: &str, value: &str) {
        _ = writeln!(self.0, "{metric}{{{labels}}} {value}");
    }

    fn one(&mut self, metric: &str, kind: &str, help: &str, value: String) {
        self.head(metric, kind, help);
        _ = writeln!(self.0, "{metric} {value}");
    }
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
