//! The sections as far as they could be read: what is checked between them skips rows that have problems of their own.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use units::{Currency, Money};

use crate::allowance::Allowance;
use crate::contract::Contract;
use crate::id::{PoolId, SiteId, Table};
use crate::model::{
    Accelerator, Endpoint, FigureNote, Finance, Fleet, FleetVersion, Link, Model, Party, Pool, Profile, Region, Site, Workload,
};
use crate::outlook::{Cap, Horizon, Risk, Source, Venture};
use crate::parse::whole;
use crate::ramp::Ramp;

/// Rows by name; `None` where a row could not be read.
pub(crate) type Named<T> = Vec<(String, Option<T>)>;

/// A fleet on its way.
pub(crate) struct Rows {
    pub(crate) name: Option<String>,
    pub(crate) currency: Currency,
    pub(crate) zone: TimeZone,
    pub(crate) exchange: BTreeMap<Currency, Ramp<Money>>,
    pub(crate) regions: Named<Region>,
    pub(crate) links: Named<Link>,
    pub(crate) parties: Named<Party>,
    pub(crate) sites: Named<Site>,
    pub(crate) accelerators: Named<Accelerator>,
    pub(crate) pools: Named<Pool>,
    pub(crate) models: Named<Model>,
    pub(crate) profiles: Named<Profile>,
    pub(crate) endpoints: Named<Endpoint>,
    pub(crate) contracts: Named<Contract>,
    pub(crate) workloads: Named<Workload>,
    pub(crate) teams: Named<Allowance>,
    pub(crate) limits: Allowance,
    pub(crate) finance: Finance,
    pub(crate) ventures: Named<Venture>,
    pub(crate) caps: Vec<Cap>,
    pub(crate) horizon: Horizon,
    pub(crate) risk: Risk,
    pub(crate) sources: Named<Source>,
}

/// A row with its name, when it could be read.
fn named<T>((name, row): (String, Option<T>)) -> Option<(String, T)> {
    row.map(|row| (name, row))
}

impl Rows {
    /// The fleet, when every row could be read.
    pub(crate) fn fleet(self, version: FleetVersion, figures: BTreeMap<String, FigureNote>) -> Option<Fleet> {
        let sites: Table<SiteId, Site> = whole(self.sites)?;
        let pools: Table<PoolId, Pool> = whole(self.pools)?;
        let in_region = |mut endpoint: Endpoint| {
            endpoint.region = endpoint.region.or_else(|| endpoint.pool.map(|pool| sites[pools[pool].site].region));
            endpoint
        };
        let endpoints = self.endpoints.into_iter().map(|(name, row)| (name, row.map(in_region))).collect();
        let endpoints = whole(endpoints)?;
        Some(Fleet {
            version,
            name: self.name?,
            currency: self.currency,
            time_zone: self.zone,
            exchange: self.exchange,
            regions: whole(self.regions)?,
            links: whole(self.links)?,
            parties: whole(self.parties)?,
            sites,
            accelerators: whole(self.accelerators)?,
            pools,
            models: whole(self.models)?,
            profiles: whole(self.profiles)?,
            endpoints,
            contracts: whole(self.contracts)?,
            workloads: whole(self.workloads)?,
            teams: whole(self.teams)?,
            limits: self.limits,
            finance: self.finance,
            ventures: self.ventures.into_iter().map(named).collect::<Option<_>>()?,
            caps: self.caps,
            horizon: self.horizon,
            risk: self.risk,
            sources: self.sources.into_iter().map(named).collect::<Option<_>>()?,
            figures,
        })
    }
}
