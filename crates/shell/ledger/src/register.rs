//! The names behind a fleet version's ids, and how its contracts count: what the rows of that version need for good.
//!
//! It is stored with the fleet version, so that old records can be booked and old rows read without parsing an old file.

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatch::TokenMeters;
use fleet::{AcceleratorId, ContractId, EndpointId, Fleet, FleetVersion, Id, Meter, MeterKind, ModelId, Table};
use serde::{Deserialize, Serialize};

use crate::error::LedgerError;

/// Names in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Names {
    own: Vec<String>,
    /// Names that the fleet lacks, with ids behind its own; never stored.
    #[serde(skip)]
    gone: Vec<String>,
}

impl Names {
    fn of<I: Id, T>(table: &Table<I, T>) -> Self {
        Self { own: table.iter().map(|(_, name, _)| name.to_owned()).collect(), gone: Vec::new() }
    }

    fn name(&self, id: impl Id) -> Result<&str, LedgerError> {
        let name = self.own.iter().chain(&self.gone).nth(id.index());
        name.map(String::as_str).ok_or_else(|| LedgerError::Missing { what: format!("{id:?} in the fleet") })
    }

    fn id<I: Id>(&self, name: &str) -> Option<I> {
        let own = self.own.binary_search_by(|own| own.as_str().cmp(name)).ok();
        own.or_else(|| Some(self.own.len() + self.gone.iter().position(|gone| gone == name)?)).map(I::from_index)
    }

    fn has(&self, id: impl Id) -> bool {
        id.index() < self.own.len()
    }

    /// The name's id, which it is given if it has none.
    fn admit<I: Id>(&mut self, name: &str) -> I {
        self.id(name).unwrap_or_else(|| {
            self.gone.push(name.to_owned());
            I::from_index(self.own.len() + self.gone.len() - 1)
        })
    }
}

/// One fleet version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Register {
    pub(crate) version: FleetVersion,
    models: Names,
    accelerators: Names,
    sites: Names,
    regions: Names,
    endpoints: Names,
    contracts: Names,
    token_meters: BTreeMap<(ContractId, EndpointId), TokenMeters>,
    /// The pool of each endpoint that has one, and its accelerators.
    pools: BTreeMap<EndpointId, (String, AcceleratorId)>,
    /// The model of each endpoint.
    served: BTreeMap<EndpointId, ModelId>,
    /// For each contract the meters of its rates clauses, in the order of the file.
    clauses: BTreeMap<ContractId, Vec<Meter>>,
}

impl Register {
    pub(crate) fn new(fleet: &Fleet) -> Self {
        let pairs =
            fleet.contracts.iter().flat_map(|(contract, ..)| fleet.endpoints.iter().map(move |(endpoint, ..)| (contract, endpoint)));
        let token_meters = pairs
            .filter_map(|(contract, endpoint)| TokenMeters::of(fleet, contract, endpoint).map(|meters| ((contract, endpoint), meters)));
        let pools = fleet.endpoints.iter().filter_map(|(id, _, endpoint)| {
            let pool = endpoint.pool?;
            Some((id, (fleet.pools.name(pool).to_owned(), fleet.pools[pool].accelerator)))
        });
        let clauses = fleet.contracts.iter().map(|(id, _, terms)| (id, terms.rates.iter().map(|clause| clause.meter).collect()));
        Self {
            version: fleet.version,
            models: Names::of(&fleet.models),
            accelerators: Names::of(&fleet.accelerators),
            sites: Names::of(&fleet.sites),
            regions: Names::of(&fleet.regions),
            endpoints: Names::of(&fleet.endpoints),
            contracts: Names::of(&fleet.contracts),
            token_meters: token_meters.collect(),
            pools: pools.collect(),
            served: fleet.endpoints.iter().map(|(id, _, endpoint)| (id, endpoint.model)).collect(),
            clauses: clauses.collect(),
        }
    }

    pub(crate) fn model(&self, id: ModelId) -> Result<&str, LedgerError> {
        self.models.name(id)
    }

    pub(crate) fn endpoint(&self, id: EndpointId) -> Result<&str, LedgerError> {
        self.endpoints.name(id)
    }

    pub(crate) fn contract(&self, id: ContractId) -> Result<&str, LedgerError> {
        self.contracts.name(id)
    }

    pub(crate) fn model_id(&self, name: &str) -> Option<ModelId> {
        self.models.id(name)
    }

    pub(crate) fn endpoint_id(&self, name: &str) -> Option<EndpointId> {
        self.endpoints.id(name)
    }

    pub(crate) fn contract_id(&self, name: &str) -> Option<ContractId> {
        self.contracts.id(name)
    }

    pub(crate) fn contract_names(&self) -> impl Iterator<Item = &str> {
        self.contracts.own.iter().map(String::as_str)
    }

    pub(crate) fn token_meters(&self, contract: ContractId, endpoint: EndpointId) -> Option<TokenMeters> {
        self.token_meters.get(&(contract, endpoint)).copied()
    }

    pub(crate) fn pool(&self, endpoint: EndpointId) -> Option<&str> {
        self.pools.get(&endpoint).map(|(name, _)| name.as_str())
    }

    /// Which rates clauses of a contract charge what an endpoint's work takes: its tokens, unless units took it, else the time that is held
    /// for it.
    pub(crate) fn clauses(&self, contract: ContractId, endpoint: EndpointId, in_units: bool) -> Vec<usize> {
        let meters = self.clauses.get(&contract).map(Vec::as_slice).unwrap_or_default();
        let model = self.token_meters(contract, endpoint).filter(|_| !in_units).map(|meters| meters.model);
        let charges = |meter: &Meter| match (model, meter) {
            (Some(model), Meter::InputTokens(of) | Meter::CachedTokens(of) | Meter::OutputTokens(of)) => model == *of,
            (None, Meter::AcceleratorTime(of)) => self.pools.get(&endpoint).is_some_and(|(_, accelerator)| accelerator == of),
            (None, Meter::UnitTime(of)) => self.served.get(&endpoint) == Some(of),
            _ => false,
        };
        meters.iter().enumerate().filter(|(_, meter)| charges(meter)).map(|(index, _)| index).collect()
    }

    /// The name of what a meter counts.
    pub(crate) fn subject(&self, meter: Meter) -> Result<&str, LedgerError> {
        match meter {
            Meter::AcceleratorTime(id) => self.accelerators.name(id),
            Meter::InputTokens(id) | Meter::CachedTokens(id) | Meter::OutputTokens(id) | Meter::UnitTime(id) => self.models.name(id),
            Meter::Energy(id) => self.sites.name(id),
            Meter::Egress(id) => self.regions.name(id),
        }
    }

    /// The meter of that kind and subject, if this fleet still has it or it was admitted.
    pub(crate) fn meter(&self, kind: MeterKind, subject: &str) -> Option<Meter> {
        match kind {
            MeterKind::AcceleratorTime => self.accelerators.id(subject).map(Meter::AcceleratorTime),
            MeterKind::InputTokens => self.models.id(subject).map(Meter::InputTokens),
            MeterKind::CachedTokens => self.models.id(subject).map(Meter::CachedTokens),
            MeterKind::OutputTokens => self.models.id(subject).map(Meter::OutputTokens),
            MeterKind::UnitTime => self.models.id(subject).map(Meter::UnitTime),
            MeterKind::Energy => self.sites.id(subject).map(Meter::Energy),
            MeterKind::Egress => self.regions.id(subject).map(Meter::Egress),
        }
    }

    /// Whether a contract has a rates clause for the meter of that kind and subject.
    pub(crate) fn prices(&self, contract: &str, kind: MeterKind, subject: &str) -> bool {
        let clauses = self.contract_id(contract).and_then(|contract| self.clauses.get(&contract));
        clauses.zip(self.meter(kind, subject)).is_some_and(|(clauses, meter)| clauses.contains(&meter))
    }

    /// Whether what a meter counts is of this fleet: it was not admitted.
    pub(crate) fn has(&self, meter: Meter) -> bool {
        match meter {
            Meter::AcceleratorTime(id) => self.accelerators.has(id),
            Meter::InputTokens(id) | Meter::CachedTokens(id) | Meter::OutputTokens(id) | Meter::UnitTime(id) => self.models.has(id),
            Meter::Energy(id) => self.sites.has(id),
            Meter::Egress(id) => self.regions.has(id),
        }
    }

    /// The meter of that kind and subject, admitted if this fleet lacks it.
    pub(crate) fn admit(&mut self, kind: MeterKind, subject: &str) -> Meter {
        match kind {
            MeterKind::AcceleratorTime => Meter::AcceleratorTime(self.accelerators.admit(subject)),
            MeterKind::InputTokens => Meter::InputTokens(self.models.admit(subject)),
            MeterKind::CachedTokens => Meter::CachedTokens(self.models.admit(subject)),
            MeterKind::OutputTokens => Meter::OutputTokens(self.models.admit(subject)),
            MeterKind::UnitTime => Meter::UnitTime(self.models.admit(subject)),
            MeterKind::Energy => Meter::Energy(self.sites.admit(subject)),
            MeterKind::Egress => Meter::Egress(self.regions.admit(subject)),
        }
    }
}

/// Every fleet version that the ledger knows, with its row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registers {
    rows: BTreeMap<FleetVersion, (i64, Arc<Register>)>,
}

impl Registers {
    pub(crate) fn insert(&mut self, row: i64, register: Register) {
        self.rows.insert(register.version, (row, Arc::new(register)));
    }

    pub(crate) fn of(&self, version: FleetVersion) -> Result<&Arc<Register>, LedgerError> {
        self.rows.get(&version).map(|(_, register)| register).ok_or_else(|| unknown(version))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Register> {
        self.rows.values().map(|(_, register)| register.as_ref())
    }

    pub(crate) fn row(&self, version: FleetVersion) -> Result<i64, LedgerError> {
        self.rows.get(&version).map(|(row, _)| *row).ok_or_else(|| unknown(version))
    }

    pub(crate) fn at_row(&self, row: i64) -> Result<&Arc<Register>, LedgerError> {
        let found = self.rows.values().find(|(own, _)| *own == row).map(|(_, register)| register);
        found.ok_or_else(|| LedgerError::Missing { what: format!("fleet row {row}") })
    }
}

fn unknown(version: FleetVersion) -> LedgerError {
    LedgerError::Missing { what: format!("fleet version {version}") }
}
