//! `baseload ledger ... --share`: the copies of every replica's books.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use fleet::Fleet;
use ledger::{Invoice, Reconciliation, Verification, View, Whole, compare_invoice, import_invoice};
use tokio::runtime::Runtime;

use crate::args::Share;
use crate::clock;
use crate::exit::{Exit, wrong};
use crate::place;

/// Reads a state directory, or the books of all replicas where a shared database is named and no directory.
pub fn read<T>(share: &Share, state: Option<PathBuf>, read: impl FnOnce(&View) -> Result<T>) -> Result<T> {
    let Some(address) = share.address()?.filter(|_| state.is_none()) else { return read(&super::open(state)?) };
    gathered(&address, read)
}

/// The same for what is a bill: one replica's own books are none, as the others took of the same contracts.
pub fn bill<T>(share: &Share, state: Option<PathBuf>, read: impl FnOnce(&View) -> Result<T>) -> Result<T> {
    match bill_of(share, state)? {
        Books::Own(own) => read(&super::open(Some(own))?),
        Books::Shared(address) => gathered(&address, read),
    }
}

/// Which books a bill is of.
enum Books {
    /// Those of a directory that is all there is.
    Own(PathBuf),
    /// Those of all replicas.
    Shared(Box<share::Address>),
}

fn bill_of(share: &Share, state: Option<PathBuf>) -> Result<Books> {
    let address = share.address()?;
    let own = if address.is_some() && state.is_none() { None } else { Some(place::state(state, "up")?) };
    match (own, address) {
        (Some(own), _) if !ledger::takes_part(&own) => Ok(Books::Own(own)),
        (_, Some(address)) => Ok(Books::Shared(Box::new(address))),
        (own, None) => {
            let own = own.unwrap_or_default();
            Err(wrong(format!("{} is one of several replicas: `--share` names the database that has the books of all", own.display())))
        }
    }
}

/// Puts the ledger of all replicas together for a while.
fn gathered<T>(address: &share::Address, read: impl FnOnce(&View) -> Result<T>) -> Result<T> {
    scratched(|runtime, folder| {
        runtime.block_on(share::gather(address, folder)).with_context(|| format!("read the copies in {address}"))?;
        read(&View::open(folder)?)
    })
}

/// Does something with a folder that is thrown away then.
fn scratched<T>(done: impl FnOnce(&Runtime, &Path) -> Result<T>) -> Result<T> {
    let folder = place::scratch()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let result = done(&runtime, &folder);
    std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    result
}

/// Imports an invoice where the books of all are: in the shared database, unless the directory is none of several replicas.
pub fn import(share: &Share, state: Option<PathBuf>, invoice: &Invoice<'_>) -> Result<Reconciliation> {
    match bill_of(share, state)? {
        Books::Own(own) => Ok(import_invoice(&own, &fleet_of(&own)?, invoice, clock::now())?),
        Books::Shared(address) => scratched(|runtime, folder| {
            runtime
                .block_on(share::import(&address, folder, invoice, clock::now()))
                .with_context(|| format!("change the books in {address}"))
        }),
    }
}

/// What importing an invoice would find there; nothing is booked.
pub fn compare(share: &Share, state: Option<PathBuf>, invoice: &Invoice<'_>) -> Result<Reconciliation> {
    match bill_of(share, state)? {
        Books::Own(own) => Ok(compare_invoice(&own, &fleet_of(&own)?, invoice, clock::now())?),
        Books::Shared(address) => scratched(|runtime, folder| {
            runtime.block_on(share::gather(&address, folder)).with_context(|| format!("read the copies in {address}"))?;
            let (fleet, mut whole) = (View::open(folder)?.fleet()?, Whole::open(folder)?);
            let reckoned = whole.reckon(&fleet, invoice, clock::now())?;
            Ok(whole.import(reckoned, invoice, clock::now())?.0)
        }),
    }
}

fn fleet_of(directory: &Path) -> Result<Arc<Fleet>> {
    let fleet = View::open(directory).and_then(|view| view.fleet());
    fleet.with_context(|| format!("open the ledger in {} (`--state` names another)", directory.display()))
}

/// Checks every replica's chain in the shared database, and the ledger that all of them come to.
pub fn verify(address: &share::Address, out: &mut dyn Write) -> Result<Exit> {
    scratched(|runtime, folder| {
        let read = || format!("verify the copies in {address}");
        let chains = runtime.block_on(share::checked(address)).with_context(read)?;
        for chain in &chains {
            writeln!(out, "replica {}: {} entries; its head is {}", chain.replica, chain.entries, chain.head)?;
            if let Some(number) = chain.broken {
                writeln!(out, "replica {}: entry {number} is not what its chain must have there", chain.replica)?;
            }
        }
        let (passed, found) = runtime.block_on(share::verify(address, folder)).with_context(read)?;
        for passed in &passed {
            writeln!(out, "{passed}")?;
        }
        for finding in &found.findings {
            writeln!(out, "{finding}")?;
        }
        let Verification { attempts, settled, postings, corrections, closings, .. } = found;
        writeln!(
            out,
            "{attempts} attempts, {settled} settled; {postings} postings; {corrections} corrections; {closings} billing periods closed"
        )?;
        let replicas = chains.iter().filter(|chain| chain.replica != share::ALL).count();
        let broken = chains.iter().filter(|chain| chain.broken.is_some()).count() + passed.len();
        let wrong = found.wrong.saturating_add(u64::try_from(broken)?);
        writeln!(out, "{replicas} replicas, {} entries; {wrong} wrong", chains.iter().map(|chain| chain.entries).sum::<i64>())?;
        Ok(if wrong == 0 { Exit::Done } else { Exit::No })
    })
}
