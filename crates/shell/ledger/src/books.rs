//! The books: a fold over the postings under the present fleet.

use std::sync::Arc;

use fleet::Fleet;
use market::{Balances, Forecast, Usage};
use rusqlite::Connection;
use units::{Instant, Quantity};

use crate::error::LedgerError;
use crate::flow::Flows;
use crate::register::Register;
use crate::words::Word;

/// The balances under the present fleet, and what is expected of the rest of their periods.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// The fold of all usage posted under contracts that the fleet still has (by name).
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
}

impl Fold {
    pub(crate) fn new(fleet: Arc<Fleet>, now: Instant) -> Self {
        let present = Register::new(&fleet);
        Self { fleet, present, balances: Balances::default(), posting_to: 0, flows: Flows::default(), latest: now }
    }

    /// Folds every posting up to `to` that is not in it yet, whichever process booked it.
    pub(crate) fn catch_up(&mut self, connection: &Connection, to: i64) -> Result<(), LedgerError> {
        if to <= self.posting_to {
            return Ok(());
        }
        let mut select = connection
            .prepare_cached("SELECT contract, meter, subject, at_us, held, used FROM posting WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
        let mut rows = select.query([self.posting_to, to])?;
        while let Some(row) = rows.next()? {
            let contract = self.present.contract_id(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
            let Word(kind) = row.get(1)?;
            let meter = self.present.meter(kind, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?);
            let (Some(contract), Some(meter)) = (contract, meter) else { continue };
            let (held, used) = (Quantity::new(row.get(4)?), Quantity::new(row.get(5)?));
            self.add(&Usage { contract, meter, at: Instant::from_micros(row.get(3)?), held, used });
        }
        self.posting_to = to;
        Ok(())
    }

    /// Folds one usage whose ids are those of `register`'s fleet; contracts and meters that are gone are left out.
    pub(crate) fn post(&mut self, register: &Register, usage: &Usage) -> Result<(), LedgerError> {
        if register.version == self.present.version {
            self.add(usage);
            return Ok(());
        }
        let contract = self.present.contract_id(register.contract(usage.contract)?);
        let meter = self.present.meter(usage.meter.kind(), register.subject(usage.meter)?);
        if let (Some(contract), Some(meter)) = (contract, meter) {
            self.add(&Usage { contract, meter, ..*usage });
        }
        Ok(())
    }

    fn add(&mut self, usage: &Usage) {
        self.balances.post(&self.fleet, usage);
        self.flows.post(usage);
        self.latest = self.latest.max(usage.at);
    }

    pub(crate) fn books(&self) -> Books {
        Books { balances: self.balances.clone(), forecast: self.flows.forecast(self.latest), posting_to: self.posting_to }
    }
}
