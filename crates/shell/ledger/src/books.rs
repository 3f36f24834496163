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
}

/// The fold as it goes on.
#[derive(Debug)]
pub(crate) struct Fold {
    fleet: Arc<Fleet>,
    present: Register,
    balances: Balances,
    flows: Flows,
    latest: Instant,
}

impl Fold {
    pub(crate) fn new(fleet: Arc<Fleet>, now: Instant) -> Self {
        let present = Register::new(&fleet);
        Self { fleet, present, balances: Balances::default(), flows: Flows::default(), latest: now }
    }

    /// Folds every posting that the database has.
    pub(crate) fn post_all(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        let mut select = connection.prepare("SELECT contract, meter, subject, at_us, held, used FROM posting ORDER BY id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let contract = self.present.contract_id(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
            let Word(kind) = row.get(1)?;
            let meter = self.present.meter(kind, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?);
            let (Some(contract), Some(meter)) = (contract, meter) else { continue };
            let (held, used) = (Quantity::new(row.get(4)?), Quantity::new(row.get(5)?));
            self.add(&Usage { contract, meter, at: Instant::from_micros(row.get(3)?), held, used });
        }
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
        Books { balances: self.balances.clone(), forecast: self.flows.forecast(self.latest) }
    }
}
