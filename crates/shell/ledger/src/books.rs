//! The books: a fold over the postings under the present fleet.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::{ContractId, Fleet, FleetVersion};
use market::{Balances, Forecast, Statement, Usage, statement};
use rusqlite::Connection;
use units::{Instant, Quantity};

use crate::earlier::Earlier;
use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::flow::Flows;
use crate::register::Register;
use crate::words::Word;

/// The balances under the present fleet, and what is expected of the rest of their periods.
#[derive(Clone, Debug)]
pub struct Books {
    /// The present fleet, and behind its rates those under which was used what it prices by nothing.
    pub terms: Arc<Fleet>,
    /// The fold of all usage posted under contracts that the fleet still has (by name). What a meter counts may have left it: its id is then
    /// behind those of the fleet.
    pub balances: Balances,
    /// Flows learnt from it.
    pub forecast: Forecast,
    /// The newest posting that is in them.
    pub(crate) posting_to: i64,
}

/// The fold as it goes on.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) present: Register,
    pub(crate) balances: Balances,
    /// The newest posting that is in it.
    pub(crate) posting_to: i64,
    flows: Flows,
    latest: Instant,
    /// When it was begun, until it has caught up with what there was: what is later than that, as after a clock had been set ahead, is no flow.
    begun: Option<Instant>,
    /// What it prices by nothing.
    pub(crate) earlier: Earlier,
    /// Fleet versions by their rows.
    versions: BTreeMap<i64, FleetVersion>,
}

impl Fold {
    /// Nothing yet. What left the fleet is priced by earlier ones.
    pub(crate) fn new(fleet: Arc<Fleet>, fleets: &Arc<Fleets>, now: Instant) -> Self {
        let present = Register::new(&fleet);
        Self {
            fleet,
            present,
            balances: Balances::default(),
            posting_to: 0,
            flows: Flows::default(),
            latest: now,
            begun: Some(now),
            earlier: Earlier::new(fleets),
            versions: BTreeMap::new(),
        }
    }

    /// Folds every posting up to `to` that is not in it yet, whichever process booked it. Where one can't be read it goes on from there
    /// the next time.
    pub(crate) fn catch_up(&mut self, connection: &Connection, to: i64) -> Result<(), LedgerError> {
        if to <= self.posting_to {
            self.begun = None;
            return Ok(());
        }
        let mut select = connection.prepare_cached(
            "SELECT contract, meter, subject, at_us, held, used, id, correction IS NULL, fleet FROM posting
             WHERE id > ?1 AND id <= ?2 ORDER BY id",
        )?;
        let mut rows = select.query([self.posting_to, to])?;
        while let Some(row) = rows.next()? {
            let contract = self.present.contract_id(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
            let Word(kind) = row.get(1)?;
            let (held, used) = (Quantity::new(row.get(4)?), Quantity::new(row.get(5)?));
            let (at, id, is_use) = (Instant::from_micros(row.get(3)?), row.get(6)?, row.get(7)?);
            if let Some(contract) = contract {
                let version = self.version(connection, row.get(8)?)?;
                let meter = self.present.admit(kind, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?);
                let usage = Usage { contract, meter, at, held, used };
                self.post_under(version, &usage)?;
                // What a correction changes was no use of its time.
                if is_use && self.begun.is_none_or(|begun| at <= begun) {
                    self.flow(&usage);
                }
            }
            self.posting_to = id;
        }
        self.posting_to = to;
        self.begun = None;
        Ok(())
    }

    /// What of these usages this fleet has, each with its own ids: all that may fail of folding them is done with it. Contracts that are gone
    /// are left out.
    pub(crate) fn own<'a>(&mut self, usages: impl IntoIterator<Item = (&'a Register, &'a Usage)>) -> Result<Vec<Usage>, LedgerError> {
        let mut own = Vec::new();
        for (register, usage) in usages {
            let usage = if register.version == self.present.version {
                *usage
            } else {
                let Some(contract) = self.present.contract_id(register.contract(usage.contract)?) else { continue };
                Usage { contract, meter: self.present.admit(usage.meter.kind(), register.subject(usage.meter)?), ..*usage }
            };
            self.earlier.note(&self.fleet, (usage.contract, usage.meter), register.version, usage.at)?;
            own.push(usage);
        }
        Ok(own)
    }

    /// Folds usages of this fleet's own.
    pub(crate) fn post(&mut self, own: &[Usage]) {
        for usage in own {
            self.balances.post(&self.fleet, usage);
            self.flow(usage);
        }
    }

    fn post_under(&mut self, version: FleetVersion, usage: &Usage) -> Result<(), LedgerError> {
        self.earlier.note(&self.fleet, (usage.contract, usage.meter), version, usage.at)?;
        self.balances.post(&self.fleet, usage);
        Ok(())
    }

    /// The fleet version of a row.
    fn version(&mut self, connection: &Connection, row: i64) -> Result<FleetVersion, LedgerError> {
        if let Some(version) = self.versions.get(&row) {
            return Ok(*version);
        }
        let mut select = connection.prepare_cached("SELECT version FROM fleet WHERE id = ?1")?;
        let version = select.query_row([row], |row| row.get(0).map(FleetVersion))?;
        self.versions.insert(row, version);
        Ok(version)
    }

    /// The fleet's terms, and earlier ones of what these price by nothing, as of a period that ends then.
    pub(crate) fn terms(&self, until: Instant) -> Arc<Fleet> {
        self.earlier.terms(&self.fleet, &self.present, until)
    }

    /// What a period of a contract comes to by what is folded.
    pub(crate) fn statement(&self, contract: ContractId, period: i64) -> Statement {
        let until = self.fleet.contracts[contract].period(period).to;
        statement(&self.terms(until), &self.balances, contract, period)
    }

    /// What left the fleet flows no more.
    fn flow(&mut self, usage: &Usage) {
        if self.present.has(usage.meter) {
            self.flows.post(usage);
        }
        self.latest = self.latest.max(usage.at);
    }

    pub(crate) fn books(&self) -> Books {
        let terms = self.terms(Instant::from_micros(self.latest.micros().saturating_add(1)));
        Books { terms, balances: self.balances.clone(), forecast: self.flows.forecast(self.latest), posting_to: self.posting_to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAPTOP: &str = include_str!("../../../../fleets/laptop.toml");

    fn at(second: i64) -> Instant {
        Instant::from_micros(1_795_000_000_000_000 + second * 1_000_000)
    }

    fn fold(now: Instant) -> Fold {
        Fold::new(Arc::new(fleet::parse(LAPTOP).fleet.expect("it is sound")), &Fleets::of(std::path::Path::new("/none")), now)
    }

    fn postings() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        let table =
            "CREATE TABLE posting (id INTEGER PRIMARY KEY, contract, meter, subject, at_us, held, used, correction, fleet DEFAULT 1);
            CREATE TABLE fleet (id INTEGER PRIMARY KEY, version BLOB);
            INSERT INTO fleet (version) VALUES (zeroblob(32))";
        connection.execute_batch(table).expect("made");
        connection
    }

    fn post(connection: &Connection, meter: &str, second: i64, held: i64, correction: Option<i64>) -> i64 {
        let insert = "INSERT INTO posting (contract, meter, subject, at_us, held, used, correction)
            VALUES ('spill-on-demand', ?1, 'smollm2-135m', ?2, ?3, ?3, ?4)";
        connection.execute(insert, rusqlite::params![meter, at(second).micros(), held, correction]).expect("posted");
        connection.last_insert_rowid()
    }

    fn total(fold: &Fold) -> i64 {
        fold.balances.iter().map(|(.., total)| total.held.count()).sum()
    }

    #[test]
    fn what_was_folded_before_a_posting_that_cannot_be_read_is_folded_once() {
        let (connection, mut fold) = (postings(), fold(at(0)));
        post(&connection, "input-tokens", 0, 10, None);
        let last = post(&connection, "nonsense", 0, 5, None);
        for _ in 0..2 {
            assert!(fold.catch_up(&connection, last).is_err());
            assert_eq!(total(&fold), 10);
        }
        connection.execute("UPDATE posting SET meter = 'output-tokens' WHERE id = ?1", [last]).expect("mended");
        fold.catch_up(&connection, last).expect("read");
        assert_eq!((total(&fold), fold.posting_to), (15, last));
    }

    #[test]
    fn corrections_and_what_is_yet_to_come_are_in_the_balances_and_no_flow() {
        let flow = |fold: &Fold| fold.books().forecast.flows.values().map(|flow| flow.per_hour.count()).sum::<i64>();
        let connection = postings();
        let mut steady = 0;
        for step in 0..360 {
            steady = post(&connection, "input-tokens", step * 10, 1_000, None);
        }
        let mut plain = fold(at(3_600));
        plain.catch_up(&connection, steady).expect("read");
        assert!((flow(&plain) - 360_000).abs() < 10_000, "{}", flow(&plain));
        post(&connection, "input-tokens", 3_590, 1_000_000, Some(1));
        let last = post(&connection, "input-tokens", 86_400, 1_000_000, None);
        let mut all = fold(at(3_600));
        all.catch_up(&connection, last).expect("read");
        assert_eq!((flow(&all), total(&all)), (flow(&plain), 2_360_000));
        // What comes while it goes on is of the present.
        let next = post(&connection, "input-tokens", 3_605, 1_000_000, None);
        all.catch_up(&connection, next).expect("read");
        assert!(flow(&all) > flow(&plain));
    }
}
