//! Invoices as they were imported, line by line beside ours.

use std::collections::BTreeMap;

use fleet::MeterKind;
use rusqlite::{Connection, params};
use units::{Currency, Instant, Money, Span};

use crate::directory;
use crate::error::LedgerError;
use crate::view::View;
use crate::words::{Nanos, Word};

/// An invoice that is an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptInvoice {
    /// Its number in the ledger.
    pub number: i64,
    /// What its file was called.
    pub name: String,
    /// Who imported it.
    pub who: String,
    /// When.
    pub at: Instant,
    /// What it asks for and what we had, by contract, meter and period.
    pub lines: Vec<KeptLine>,
}

/// What an invoice and our metering said of one contract's meter in one billing period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLine {
    /// Which contract; what the invoice calls it where we have none.
    pub contract: String,
    /// Which meter of what; `None`: whatever has no meter.
    pub meter: Option<(MeterKind, String)>,
    /// The billing period.
    pub period: Span,
    /// The currency: that of the contract, where it is ours and had one only in all fleets whose texts are there. An entry has none of its own.
    pub currency: Option<Currency>,
    /// What the invoice says was taken, in base units.
    pub their_quantity: Option<i64>,
    /// What we metered.
    pub our_quantity: Option<i64>,
    /// What the invoice asks for.
    pub billed: Money,
    /// What the contract came to by our metering.
    pub ours: Money,
}

impl KeptLine {
    /// How much more the invoice asks for.
    #[must_use]
    pub fn money(&self) -> Money {
        self.billed - self.ours
    }

    /// Whether there was anything of ours beside it.
    #[must_use]
    pub fn ours_too(&self) -> bool {
        self.our_quantity.is_some() || self.ours != Money::ZERO
    }
}

impl View {
    /// Every invoice that was imported, in order.
    ///
    /// # Errors
    /// When the database refused.
    pub fn invoices(&self) -> Result<Vec<KeptInvoice>, LedgerError> {
        let currencies = self.currencies()?;
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached("SELECT id, name, who, at_us FROM invoice ORDER BY id")?;
        let mut rows = select.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            let lines = lines_of(&open.connection, number, &currencies)?;
            found.push(KeptInvoice { number, name: row.get(1)?, who: row.get(2)?, at: Instant::from_micros(row.get(3)?), lines });
        }
        Ok(found)
    }

    /// The invoice of that number.
    ///
    /// # Errors
    /// When there is none, or the database refused.
    pub fn invoice(&self, number: i64) -> Result<KeptInvoice, LedgerError> {
        let found = self.invoices()?.into_iter().find(|invoice| invoice.number == number);
        found.ok_or_else(|| LedgerError::Missing { what: format!("invoice {number}") })
    }

    /// What each contract that ever was is paid in; nothing where that changed.
    fn currencies(&self) -> Result<BTreeMap<String, Option<Currency>>, LedgerError> {
        let mut found = BTreeMap::new();
        for version in self.fleet_versions()? {
            let Some(fleet) = directory::fleet(&self.directory, version)? else { continue };
            for (_, name, terms) in fleet.contracts.iter() {
                let known = found.entry(name.to_owned()).or_insert(Some(terms.currency));
                *known = known.filter(|known| *known == terms.currency);
            }
        }
        Ok(found)
    }
}

fn lines_of(connection: &Connection, invoice: i64, currencies: &BTreeMap<String, Option<Currency>>) -> Result<Vec<KeptLine>, LedgerError> {
    let mut select = connection.prepare_cached(
        "SELECT contract, meter, subject, from_us, to_us, quantity, billed, our_quantity, ours FROM invoice_line WHERE invoice = ?1 ORDER BY number",
    )?;
    let lines = select.query_map(params![invoice], |row| {
        let meter = row.get::<_, Option<Word<MeterKind>>>(1)?.map(|Word(kind)| kind);
        let (Nanos(billed), Nanos(ours)) = (row.get(6)?, row.get(8)?);
        let line = KeptLine {
            contract: row.get(0)?,
            meter: meter.zip(row.get(2)?),
            period: Span { from: Instant::from_micros(row.get(3)?), to: Instant::from_micros(row.get(4)?) },
            currency: None,
            their_quantity: row.get(5)?,
            our_quantity: row.get(7)?,
            billed,
            ours,
        };
        let currency = currencies.get(&line.contract).copied().flatten().filter(|_| line.ours_too());
        Ok(KeptLine { currency, ..line })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}
