//! OpenAI's organisation usage and costs, answered from the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dispatch::KeyId;
use fleet::{Capability, ServiceTier};
use hyper::Request;
use hyper::body::Incoming;
use ledger::{LedgerError, Spent, Taken, View};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use units::{Instant, Span};

use crate::envelope::Refused;
use crate::limits::REPORTS_MAX;
use crate::query::Query;
use crate::request::Served;
use crate::snapshot::Snapshot;
use crate::state::State;

/// Which report is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Completions,
    Embeddings,
    Costs,
}

/// What a path without its `/v1` means.
pub(crate) fn find(path: &str) -> Option<Report> {
    match path {
        "/organization/usage/completions" => Some(Report::Completions),
        "/organization/usage/embeddings" => Some(Report::Embeddings),
        "/organization/costs" => Some(Report::Costs),
        _ => None,
    }
}

/// Widths of a bucket: the word, seconds, how many by default and at most.
const WIDTHS: [(&str, i64, i64, i64); 3] = [("1m", 60, 60, 1_440), ("1h", 3_600, 24, 168), ("1d", 86_400, 7, 31)];
/// Costs come by the day.
const COST_WIDTH: (&str, i64, i64, i64) = ("1d", 86_400, 7, 180);
/// What every report can be asked by.
const PARAMETERS: [&str; 10] =
    ["start_time", "end_time", "bucket_width", "group_by", "limit", "page", "models", "api_key_ids", "project_ids", "user_ids"];
/// The latest second that can be asked for: the year 9999.
const SECOND_MAX: i64 = 253_402_207_200;

/// Whose turn it is to read the ledger: one report of each kind at a time, also where nobody waits for it any more, as each may read all
/// that was ever booked; and few may wait.
#[derive(Debug)]
pub(crate) struct Reports {
    line: Arc<Semaphore>,
    usage: Arc<Semaphore>,
    costs: Arc<Semaphore>,
}

impl Default for Reports {
    fn default() -> Self {
        let permits = |count| Arc::new(Semaphore::new(count));
        Self { line: permits(REPORTS_MAX), usage: permits(1), costs: permits(1) }
    }
}

impl Reports {
    /// Waits for the turn of a report, which lasts until what is given is dropped.
    async fn turn(&self, report: Report) -> Result<[OwnedSemaphorePermit; 2], Refused> {
        let place = Arc::clone(&self.line).try_acquire_owned().map_err(|_| Refused::overloaded())?;
        let kind = if report == Report::Costs { &self.costs } else { &self.usage };
        let turn = Arc::clone(kind).acquire_owned().await.map_err(|_| Refused::overloaded())?;
        Ok([place, turn])
    }
}

/// Serves one report.
pub(crate) async fn serve(state: &Arc<State>, report: Report, request: &Request<Incoming>) -> Result<Served, Refused> {
    let snapshot = state.snapshot.load_full();
    let ledger = state.ledger.clone().ok_or_else(Refused::nothing_kept)?;
    let now = state.clock.now().micros().div_euclid(1_000_000);
    let asked = Asked::read(report, &Query::of(request.uri().query()), now)?;
    let turn = state.reports.turn(report).await?;
    let made = tokio::task::spawn_blocking(move || {
        let page = asked.results(&ledger, &snapshot, now).map(|results| asked.page(&results));
        drop(turn);
        page
    });
    match made.await {
        Ok(Ok(page)) => Ok(Served::json(&page)),
        _ => Err(Refused::not_stored()),
    }
}

/// What results are told apart by: the bucket, and the model, the key, whether it was a batch, and the tier where that is asked for.
type Group<'a> = (i64, Option<&'a str>, Option<KeyId>, Option<bool>, Option<&'static str>);

/// A report that is asked for. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    report: Report,
    /// From when to before when it is asked of, whatever buckets that cuts.
    within: [i64; 2],
    /// When the first bucket begins.
    from: i64,
    width: i64,
    /// How many buckets this page has.
    count: i64,
    /// When the next page begins, if there is one.
    next: Option<i64>,
    groups: Vec<String>,
    models: Vec<String>,
    keys: Vec<String>,
    /// Contracts.
    items: Vec<String>,
    /// Only what is of some project or user: nothing is.
    of_nobody: bool,
    /// Only batches, or only what was none.
    batch: Option<bool>,
}

impl Asked {
    fn read(report: Report, query: &Query, now: i64) -> Result<Self, Refused> {
        let own = match report {
            Report::Completions => &["batch"][..],
            Report::Embeddings => &[],
            Report::Costs => &["line_items"],
        };
        if let Some(name) = query.unknown(&[&PARAMETERS, own].concat()) {
            return Err(Refused::unsupported(name, format!("The ledger can't be asked by '{name}'.")));
        }
        let start = query.number("start_time", -1, 0..=SECOND_MAX)?;
        if start < 0 {
            return Err(Refused::invalid("start_time", "You must provide the parameter 'start_time'."));
        }
        let end = query.number("end_time", now + 1, 0..=SECOND_MAX)?;
        let within = [start, if query.text("end_time").is_some() { end } else { SECOND_MAX }];
        let widths = if report == Report::Costs { &[COST_WIDTH][..] } else { &WIDTHS };
        let word = query.text("bucket_width").unwrap_or("1d");
        let words: Vec<&str> = widths.iter().map(|width| width.0).collect();
        let (_, width, usual, most) = widths
            .iter()
            .find(|width| width.0 == word)
            .copied()
            .ok_or_else(|| Refused::invalid("bucket_width", format!("'bucket_width' should be one of: {}.", words.join(", "))))?;
        let limit = query.number("limit", usual, 1..=most)?;
        let from = match query.text("page") {
            None => start.div_euclid(width) * width,
            Some(page) => {
                let number = page.strip_prefix("page_").and_then(|number| number.parse::<i64>().ok());
                let number = number.filter(|number| (0..=SECOND_MAX).contains(number) && number % width == 0);
                number.ok_or_else(|| Refused::invalid("page", "'page' should be the 'next_page' of an answer."))?
            }
        };
        let whole = (end - from).max(0).div_euclid(width) + i64::from((end - from).max(0).rem_euclid(width) > 0);
        let (count, next) = (whole.min(limit), (whole > limit).then_some(from + limit * width));
        let groups = Self::groups(report, query)?;
        let list = |name: &str| query.all(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let (models, items) = (list("models"), list("line_items"));
        let keys: Vec<String> = query.all("api_key_ids").into_iter().map(public).collect();
        let of_nobody = ["project_ids", "user_ids"].iter().any(|name| !query.all(name).is_empty());
        if report == Report::Costs && !(models.is_empty() && keys.is_empty()) {
            let name = if models.is_empty() { "api_key_ids" } else { "models" };
            return Err(Refused::unsupported(name, "Costs are what contracts come to: they have no model and no key."));
        }
        let batch = match query.text("batch") {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err(Refused::invalid("batch", "'batch' should be true or false.")),
        };
        Ok(Self { report, within, from, width, count, next, groups, models, keys, items, of_nobody, batch })
    }

    /// By what the results are told apart; what the ledger does not know is refused.
    fn groups(report: Report, query: &Query) -> Result<Vec<String>, Refused> {
        let (known, nothing): (&[&str], &[&str]) = match report {
            Report::Costs => (&["line_item", "api_source"], &["project_id", "user_id"]),
            Report::Completions => (&["model", "api_key_id", "batch", "service_tier", "api_source"], &["project_id", "user_id"]),
            Report::Embeddings => (&["model", "api_key_id"], &["project_id", "user_id"]),
        };
        let mut groups = Vec::new();
        for group in query.all("group_by") {
            if known.contains(&group) {
                groups.push(group.to_owned());
            } else if !nothing.contains(&group) {
                let known = known.join("', '");
                return Err(Refused::unsupported("group_by", format!("The ledger tells results apart by '{known}'.")));
            }
        }
        Ok(groups)
    }

    fn by(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// Where requests came from, where that is asked for, in OpenAI's word for not knowing.
    fn source(&self) -> Option<&'static str> {
        self.by("api_source").then_some("unlabeled")
    }

    fn begins(&self) -> impl Iterator<Item = i64> {
        let (from, width) = (self.from, self.width);
        (0..self.count).map(move |bucket| from + bucket * width)
    }

    /// What of its buckets is asked of.
    fn span(&self) -> Span {
        let [start, end] = self.within;
        Span { from: second(self.from.max(start)), to: second((self.from + self.count * self.width).min(end)) }
    }

    /// When each bucket begins, and when the last one that has begun ends, or now.
    fn days(&self, now: i64) -> Vec<Instant> {
        let mut days: Vec<i64> = self.begins().filter(|begin| *begin < now).collect();
        days.extend(days.last().map(|last| now.min(last + self.width)));
        days.into_iter().map(second).collect()
    }

    /// The results of each bucket that has any, by what the ledger says.
    fn results(&self, ledger: &View, snapshot: &Snapshot, now: i64) -> Result<BTreeMap<i64, Vec<Value>>, LedgerError> {
        if self.of_nobody {
            return Ok(BTreeMap::new());
        }
        if self.report == Report::Costs {
            return Ok(self.costs(snapshot, &ledger.spent(&snapshot.fleet, &self.days(now))?));
        }
        let names = Names { snapshot, of_all: ledger.keys_of_all()? };
        Ok(self.usage(&names, &ledger.taken(self.span(), Duration::from_secs(self.width.unsigned_abs()))?))
    }

    /// What was taken in each bucket that has any.
    fn usage(&self, names: &Names<'_>, taken: &[Taken]) -> BTreeMap<i64, Vec<Value>> {
        let mut sums: BTreeMap<Group<'_>, [u64; 4]> = BTreeMap::new();
        for row in taken.iter().filter(|row| self.wants(names, row)) {
            let (model, key) = (self.by("model").then_some(row.model.as_str()), self.by("api_key_id").then_some(row.key));
            let (batch, tier) = (self.by("batch").then(|| is_batch(row)), self.by("service_tier").then(|| row.tier.class().word()));
            let sum = sums.entry((seconds(row.from), model, key, batch, tier)).or_default();
            let more = [row.requests, row.input, row.cached, row.output];
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        // Attempts that failed, and those of which nothing is known yet, are no use.
        sums.retain(|_, sum| *sum != [0; 4]);
        let mut results: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for ((begin, model, key, batch, tier), [requests, input, cached, output]) in sums {
            let key = key.map(|key| names.of(key));
            let mut result = json!({
                "object": "organization.usage.embeddings.result", "input_tokens": input, "num_model_requests": requests,
                "project_id": null, "user_id": null, "api_key_id": key, "model": model,
            });
            if self.report == Report::Completions {
                result["object"] = json!("organization.usage.completions.result");
                result["output_tokens"] = json!(output);
                result["input_cached_tokens"] = json!(cached);
                for none in ["input_audio_tokens", "output_audio_tokens"] {
                    result[none] = json!(0);
                }
                (result["batch"], result["service_tier"], result["api_source"]) = (json!(batch), json!(tier), json!(self.source()));
            }
            results.entry(begin).or_default().push(result);
        }
        results
    }

    fn wants(&self, names: &Names<'_>, row: &Taken) -> bool {
        let fleet = &names.snapshot.fleet;
        let embeds = fleet.models.id(&row.model).is_some_and(|model| {
            let offered = &fleet.models[model].capabilities;
            let generates = offered.iter().any(|one| matches!(one, Capability::Chat | Capability::Completions | Capability::Responses));
            offered.contains(&Capability::Embeddings) && !generates
        });
        embeds == (self.report == Report::Embeddings)
            && self.batch.is_none_or(|batch| batch == is_batch(row))
            && (self.models.is_empty() || self.models.contains(&row.model))
            && (self.keys.is_empty() || self.keys.contains(&names.of(row.key)))
    }

    /// The results of each day: by contract, or one per currency.
    fn costs(&self, snapshot: &Snapshot, spent: &[Spent]) -> BTreeMap<i64, Vec<Value>> {
        let mut sums: BTreeMap<(i64, Option<&str>, String), units::Money> = BTreeMap::new();
        for row in spent {
            let name = snapshot.fleet.contracts.name(row.contract);
            if !self.items.is_empty() && !self.items.iter().any(|item| item == name) {
                continue;
            }
            let currency = snapshot.fleet.contracts[row.contract].currency.to_string().to_lowercase();
            let item = self.by("line_item").then_some(name);
            *sums.entry((seconds(row.from), item, currency)).or_default() += row.money;
        }
        let mut results: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for ((begin, item, currency), money) in sums {
            // Shown and never reckoned with: OpenAI's field is a number.
            let value = money.nanos() as f64 / 1e9;
            results.entry(begin).or_default().push(json!({
                "object": "organization.costs.result", "amount": { "value": value, "currency": currency },
                "line_item": item, "project_id": null, "organization_id": null, "api_source": self.source(),
            }));
        }
        results
    }

    /// Every bucket of the page, those without results too.
    fn page(&self, results: &BTreeMap<i64, Vec<Value>>) -> Value {
        let bucket = |begin: i64| {
            let results = results.get(&begin).cloned().unwrap_or_default();
            json!({ "object": "bucket", "start_time": begin, "end_time": begin + self.width, "results": results })
        };
        let next = self.next.map(|next| format!("page_{next}"));
        json!({ "object": "page", "data": self.begins().map(bucket).collect::<Vec<_>>(), "has_more": next.is_some(), "next_page": next })
    }
}

/// What keys are called in reports: by their public parts, as `baseload key list` shows them.
struct Names<'a> {
    snapshot: &'a Snapshot,
    /// By their numbers in the ledger of all replicas, where it is that which tells.
    of_all: BTreeMap<KeyId, String>,
}

impl Names<'_> {
    fn of(&self, key: KeyId) -> String {
        let public = self.of_all.get(&key).map(String::as_str).or_else(|| self.snapshot.keys.public(key));
        public.map_or_else(|| format!("key_{}", key.0), str::to_owned)
    }
}

/// The public part of a key: by itself, as `key list` shows it, or of a whole key.
fn public(key: &str) -> String {
    key.strip_prefix("bl-").and_then(|rest| rest.split('-').next()).unwrap_or(key).to_owned()
}

fn is_batch(row: &Taken) -> bool {
    row.tier == ServiceTier::Batch
}

fn second(second: i64) -> Instant {
    Instant::from_micros(second.saturating_mul(1_000_000))
}

fn seconds(at: Instant) -> i64 {
    at.micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn keys_are_meant_however_they_are_shown() {
        for key in ["67e7fb7826ca", "bl-67e7fb7826ca", "bl-67e7fb7826ca-...", "bl-67e7fb7826ca-secret"] {
            assert_eq!(public(key), "67e7fb7826ca");
        }
        assert_eq!(public("key_7"), "key_7");
    }

    fn check(report: Report, query: &str, want: Result<(i64, i64, Option<i64>), &str>) {
        let now = 20_000 * DAY + 3_600;
        let asked = Asked::read(report, &Query::of(Some(query)), now);
        let got = asked.map(|asked| (asked.from / 60, asked.count, asked.next.map(|next| next / 60)));
        assert_eq!(got.map_err(|refused| refused.param.map(String::from).unwrap_or_default()), want.map_err(str::to_owned), "{query}");
    }

    #[tokio::test]
    async fn one_report_of_a_kind_is_made_at_a_time_and_few_wait() {
        let reports = Reports::default();
        let usage = reports.turn(Report::Completions).await.expect("nobody is before it");
        let costs = reports.turn(Report::Costs).await.expect("nobody is before it");
        let mut waiting: Vec<_> = (2..REPORTS_MAX).map(|_| Box::pin(reports.turn(Report::Embeddings))).collect();
        for turn in &mut waiting {
            assert!(polled(turn.as_mut()).is_pending(), "one of its kind is made");
        }
        assert_eq!(reports.turn(Report::Costs).await.map(drop).map_err(|refused| refused.status.as_u16()), Err(503));
        drop(costs);
        assert!(reports.turn(Report::Costs).await.is_ok());
        drop(usage);
        assert!(waiting.remove(0).await.is_ok());
    }

    fn polled<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> std::task::Poll<T> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn buckets_are_whole_and_come_in_pages() {
        let (day, start) = (1_440, 19_990 * 1_440);
        let at = |days: i64, more: i64| format!("start_time={}", (19_990 + days) * DAY + more);
        check(Report::Completions, &at(0, 5), Ok((start, 7, Some(start + 7 * day))));
        check(Report::Completions, &format!("{}&page=page_{}", at(0, 5), 19_997 * DAY), Ok((start + 7 * day, 4, None)));
        check(Report::Costs, &format!("{}&limit=180", at(0, 5)), Ok((start, 11, None)));
        check(Report::Embeddings, &format!("{}&bucket_width=1h", at(10, 0)), Ok((start + 10 * day, 2, None)));
        check(
            Report::Embeddings,
            &format!("{}&bucket_width=1m&end_time={}", at(10, 61), 20_000 * DAY + 181),
            Ok((start + 10 * day + 1, 3, None)),
        );
        check(Report::Completions, &at(11, 0), Ok((start + 11 * day, 0, None)));
    }

    #[test]
    fn of_a_bucket_that_is_cut_only_what_is_asked_of_counts() {
        let now = 20_000 * DAY + 3_600;
        let span = |query: &str| {
            let asked = Asked::read(Report::Completions, &Query::of(Some(query)), now).ok()?;
            let Span { from, to } = asked.span();
            Some((seconds(from) - 20_000 * DAY, seconds(to) - 20_000 * DAY))
        };
        let at = |second: i64| 20_000 * DAY + second;
        assert_eq!(span(&format!("start_time={}&end_time={}", at(5), at(65))), Some((5, 65)));
        assert_eq!(span(&format!("start_time={}", at(5))), Some((5, DAY)));
        assert_eq!(span(&format!("start_time={}&end_time={}&limit=1", at(5), at(DAY + 7))), Some((5, DAY)));
        assert_eq!(span(&format!("start_time={}&end_time={}&limit=1&page=page_{}", at(5), at(DAY + 7), at(DAY))), Some((DAY, DAY + 7)));
    }

    #[test]
    fn what_can_not_be_told_is_refused_by_name() {
        check(Report::Completions, "", Err("start_time"));
        check(Report::Completions, "start_time=x", Err("start_time"));
        check(Report::Completions, "start_time=1&bucket_width=2d", Err("bucket_width"));
        check(Report::Costs, "start_time=1&bucket_width=1h", Err("bucket_width"));
        check(Report::Completions, "start_time=1&limit=32", Err("limit"));
        check(Report::Completions, "start_time=1&group_by=user", Err("group_by"));
        check(Report::Embeddings, "start_time=1&group_by=service_tier", Err("group_by"));
        check(Report::Costs, "start_time=1&group_by=model", Err("group_by"));
        check(Report::Completions, "start_time=1&batch=maybe", Err("batch"));
        check(Report::Embeddings, "start_time=1&batch=true", Err("batch"));
        check(Report::Costs, "start_time=1&batch=true", Err("batch"));
        check(Report::Completions, "start_time=1&page=page_7", Err("page"));
        check(Report::Costs, "start_time=1&models=m", Err("models"));
        check(Report::Costs, "start_time=1&group_by=api_key_id", Err("group_by"));
        check(Report::Completions, "start_time=1&line_items=m", Err("line_items"));
    }
}
