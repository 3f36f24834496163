//! The fleet as it is once it has been read: every word of `docs/fleet-file.md` but contracts.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use units::{Amount, Bytes, Currency, Flops, Instant, Money, Rate, Share, Span, Watts};

use crate::allowance::Allowance;
use crate::contract::Contract;
use crate::id::{
    AcceleratorId, ContractId, EndpointId, LinkId, ModelId, PartyId, PoolId, ProfileId, RegionId, SiteId, Table, TeamId, WorkloadId,
};
use crate::outlook::{Cap, Debt, Horizon, Mishap, Mix, Recurs, Risk, Source, Terms, Venture};
use crate::ramp::Ramp;

/// The version of a fleet: the SHA-256 of its file. What was decided or booked names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FleetVersion(pub [u8; 32]);

impl fmt::Display for FleetVersion {
    /// The first twelve hexadecimal digits, enough for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FleetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FleetVersion({self})")
    }
}

/// All that a lab has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The hash of its file.
    pub version: FleetVersion,
    /// What the lab calls it.
    pub name: String,
    /// The currency in which decisions compare costs.
    pub currency: Currency,
    /// The zone of dates without an offset, and of the plan's months.
    pub time_zone: TimeZone,
    /// What one unit of another currency is worth in the fleet's, by date.
    pub exchange: BTreeMap<Currency, Ramp<Money>>,
    /// Jurisdictions and places.
    pub regions: Table<RegionId, Region>,
    /// Latency and egress price between regions.
    pub links: Table<LinkId, Link>,
    /// Companies in all their roles.
    pub parties: Table<PartyId, Party>,
    /// Places with power.
    pub sites: Table<SiteId, Site>,
    /// Kinds of chip.
    pub accelerators: Table<AcceleratorId, Accelerator>,
    /// Accelerators of one kind at one site.
    pub pools: Table<PoolId, Pool>,
    /// Models.
    pub models: Table<ModelId, Model>,
    /// How fast a model runs on an accelerator.
    pub profiles: Table<ProfileId, Profile>,
    /// Where requests go.
    pub endpoints: Table<EndpointId, Endpoint>,
    /// Contracts.
    pub contracts: Table<ContractId, Contract>,
    /// Demand.
    pub workloads: Table<WorkloadId, Workload>,
    /// Teams that keys may belong to, with what each may take.
    pub teams: Table<TeamId, Allowance>,
    /// What the whole fleet may take.
    pub limits: Allowance,
    /// Revenue, raises, debt and other costs.
    pub finance: Finance,
    /// Joint ventures, by name.
    pub ventures: Vec<(String, Venture)>,
    /// How much may rest on whom.
    pub caps: Vec<Cap>,
    /// What the plan covers.
    pub horizon: Horizon,
    /// How the world may move.
    pub risk: Risk,
    /// Who said what, by the name that figures give as their source.
    pub sources: BTreeMap<String, Source>,
    /// Ranges and sources, by the path of the figure in the file, list positions from zero:
    /// `contracts.oracle.floor.0.least.1.is`.
    pub figures: BTreeMap<String, FigureNote>,
}

/// What a person said about a figure beside its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FigureNote {
    /// The low and the high end as written, when it is a range.
    pub range: Option<(String, String)>,
    /// Whether one planning value is named; without it `up` refuses the fleet.
    pub planned: bool,
    /// Who says so.
    pub source: Option<String>,
    /// Whether it is the lab's own assumption.
    pub assumption: bool,
}

/// A jurisdiction and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Whose law applies, such as `EU`.
    pub jurisdiction: String,
}

/// Latency and egress price from one region to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// One end.
    pub from: RegionId,
    /// The other end.
    pub to: RegionId,
    /// One way.
    pub latency: Duration,
    /// Per byte leaving, in the fleet's currency.
    pub egress: Rate,
}

/// What a party can be to the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sells compute, chips or models.
    Supplier,
    /// Makes chips.
    ChipVendor,
    /// Owns part of the lab.
    Shareholder,
    /// Lends to it.
    Lender,
    /// Builds with it.
    Partner,
    /// Competes with it.
    Rival,
    /// Buys from it.
    Customer,
}

/// A company, which when it fails, fails in all its roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Every role it has.
    pub roles: Vec<Role>,
    /// The money it is known to have.
    pub means: Option<Amount>,
    /// How likely it fails within a year.
    pub default: Share,
    /// How it may be late with what it should deliver.
    pub delay: Option<Mishap>,
}

/// A place with a power limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Where.
    pub region: RegionId,
    /// Whose.
    pub operator: Option<PartyId>,
    /// Facility power in watts, by date.
    pub power: Ramp<i64>,
    /// Facility power over accelerator power, in parts per million: 1.14 is 1,140,000.
    pub pue_ppm: i64,
    /// Per joule, in the fleet's currency.
    pub energy: Rate,
    /// How power may fall short.
    pub shortfall: Option<Mishap>,
}

/// What work an accelerator or endpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// Training.
    Training,
    /// Serving.
    Serving,
}

/// A kind of chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accelerator {
    /// Who makes it.
    pub vendor: Option<PartyId>,
    /// Peak dense arithmetic, 16 bits.
    pub peak: Flops,
    /// Memory.
    pub memory: Bytes,
    /// Memory traffic a second.
    pub bandwidth: Bytes,
    /// What one takes at the wall of its server, without the site's PUE.
    pub power: Watts,
    /// What it runs.
    pub runs: Vec<Use>,
    /// From when it can be had.
    pub available: Option<Instant>,
    /// What one takes while nothing runs on it, as a share of its power.
    pub idle: Share,
    /// How many more the lab can get in a month, over all contracts; `None` is no limit.
    pub supply: Option<Ramp<i64>>,
    /// How it may run short: what should arrive while it lasts arrives when it is over.
    pub shortage: Option<Mishap>,
}

/// What runs work on a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Executor {
    /// Processes on this machine, each replica held to this share of one core.
    Process {
        /// Of one core.
        cpu: Share,
    },
    /// Slurm.
    Slurm,
    /// Ray.
    Ray,
    /// Kubernetes.
    Kubernetes,
    /// SkyPilot.
    Skypilot,
}

/// Accelerators of one kind at one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Where.
    pub site: SiteId,
    /// Of which kind.
    pub accelerator: AcceleratorId,
    /// How many, by date.
    pub count: Ramp<i64>,
    /// What runs work there.
    pub executor: Executor,
}

/// What a request may need of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Capability {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completions,
    /// `/v1/embeddings`.
    Embeddings,
    /// Tool calls.
    Tools,
    /// JSON and JSON-schema answers.
    JsonSchema,
    /// Images in messages.
    Vision,
    /// Log probabilities.
    Logprobs,
    /// More than one choice.
    MultipleChoices,
    /// `/v1/responses`, as the upstream itself speaks it; without it the call is translated.
    Responses,
}

/// What a provisioned unit's supplier counts a token as, in parts per million of an input token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenWeights {
    /// An input token: 1,000,000.
    pub input_ppm: i64,
    /// A cached input token.
    pub cached_ppm: i64,
    /// An output token.
    pub output_ppm: i64,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Other names that clients may use.
    pub aliases: Vec<String>,
    /// Parameters, in all.
    pub parameters: i64,
    /// The longest prompt and answer together, in tokens.
    pub context: u32,
    /// What a replica needs of one accelerator's memory, when it is stated.
    pub memory: Bytes,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// How its tokens weigh on provisioned units and in the split of a replica's time.
    pub weights: TokenWeights,
    /// The file or the name the executor loads.
    pub file: Option<String>,
}

/// Where a profile's figures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileBasis {
    /// Measured.
    Measured,
    /// Estimated from peak arithmetic and bandwidth.
    Roofline,
}

/// How fast a model runs on an accelerator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Which model.
    pub model: ModelId,
    /// On which accelerator.
    pub accelerator: AcceleratorId,
    /// Accelerators in one replica.
    pub accelerators: u32,
    /// Prompt tokens a second, one request alone.
    pub prefill_per_second: u32,
    /// Answer tokens a second of one request alone.
    pub decode_per_second: u32,
    /// Answer tokens a second of a full batch, all together.
    pub decode_batch_per_second: u32,
    /// Requests that run at once.
    pub slots: u32,
    /// How long a replica takes to start.
    pub start: Duration,
    /// Measured or estimated.
    pub basis: ProfileBasis,
}

/// The wire format of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's API, which vLLM, SGLang, llama-server and our engine speak.
    OpenAi,
    /// Azure's: OpenAI's API with a key of its own, and deployments where an API version is stated.
    Azure,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini `generateContent`.
    Gemini,
}

/// A secret by reference: it never stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file.
    File(String),
    /// What a command prints.
    Command(Vec<String>),
}

/// How an upstream's key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAs {
    /// In the header that its dialect has for it.
    Dialect,
    /// As `Authorization: Bearer`, whatever the dialect.
    Bearer,
}

/// What picks a server behind an endpoint's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picker {
    /// llm-d's, which is told each request's tier and whose it is.
    LlmD,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Which model it serves.
    pub model: ModelId,
    /// On which pool; a hosted API has none.
    pub pool: Option<PoolId>,
    /// Replicas on the pool.
    pub replicas: u32,
    /// In which region, of its pool's site or as stated.
    pub region: Option<RegionId>,
    /// The wire format.
    pub dialect: Dialect,
    /// The base URL; empty for a pool whose executor says where its replicas listen.
    pub url: String,
    /// What the upstream calls the model, when it is not our name for it.
    pub upstream_model: Option<String>,
    /// The version of Azure's API, for deployments of its older surface.
    pub api_version: Option<String>,
    /// The most answer tokens that the upstream takes, when it was said.
    pub output_max: Option<u32>,
    /// The upstream's key.
    pub key: Option<Secret>,
    /// How it is sent.
    pub key_as: KeyAs,
    /// The organisation that it counts requests to, where it has several: `OpenAI-Organization`.
    pub organization: Option<String>,
    /// The project that it counts requests to, where it has several: `OpenAI-Project`.
    pub project: Option<String>,
    /// What picks a server behind its URL, where something does.
    pub picker: Option<Picker>,
    /// When it says what a stream used.
    pub stream_usage: StreamUsage,
    /// Requests that it runs at once, over all replicas.
    pub slots: u32,
    /// Requests that may wait there.
    pub queue: u32,
    /// How fast one replica is.
    pub profile: Option<ProfileId>,
    /// Whether its model's requests go here in shadow mode when they don't say where.
    pub shadow: bool,
}

/// When an upstream of OpenAI's dialect says what a stream used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamUsage {
    /// When it is asked by `stream_options`.
    #[default]
    Asked,
    /// Always: it refuses to be asked.
    Always,
}

/// What a meter counts; with its subject it is a [`Meter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MeterKind {
    /// Time of accelerators of one kind.
    AcceleratorTime,
    /// Input tokens that no cache held.
    InputTokens,
    /// Input tokens read from the supplier's cache.
    CachedTokens,
    /// Output tokens.
    OutputTokens,
    /// Time of provisioned units.
    UnitTime,
    /// Energy.
    Energy,
    /// Bytes that leave.
    Egress,
}

/// What a supplier counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Meter {
    /// Accelerator-milliseconds of a kind.
    AcceleratorTime(AcceleratorId),
    /// Input tokens of a model that no cache held.
    InputTokens(ModelId),
    /// Cached input tokens of a model.
    CachedTokens(ModelId),
    /// Output tokens of a model.
    OutputTokens(ModelId),
    /// Provisioned-unit-milliseconds for a model.
    UnitTime(ModelId),
    /// Joules at a site.
    Energy(SiteId),
    /// Bytes that leave a region.
    Egress(RegionId),
}

impl Meter {
    /// What it counts, without the subject.
    #[must_use]
    pub const fn kind(self) -> MeterKind {
        match self {
            Self::AcceleratorTime(_) => MeterKind::AcceleratorTime,
            Self::InputTokens(_) => MeterKind::InputTokens,
            Self::CachedTokens(_) => MeterKind::CachedTokens,
            Self::OutputTokens(_) => MeterKind::OutputTokens,
            Self::UnitTime(_) => MeterKind::UnitTime,
            Self::Energy(_) => MeterKind::Energy,
            Self::Egress(_) => MeterKind::Egress,
        }
    }

    /// The base unit it counts in.
    #[must_use]
    pub const fn unit(self) -> units::MeterUnit {
        use units::MeterUnit as Unit;
        match self {
            Self::AcceleratorTime(_) => Unit::AcceleratorMs,
            Self::InputTokens(_) | Self::CachedTokens(_) | Self::OutputTokens(_) => Unit::Token,
            Self::UnitTime(_) => Unit::UnitMs,
            Self::Energy(_) => Unit::Joule,
            Self::Egress(_) => Unit::Byte,
        }
    }
}

/// What an exclusivity or first refusal covers; an empty list covers all of its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Which models.
    pub models: Vec<ModelId>,
    /// Which regions.
    pub regions: Vec<RegionId>,
    /// Which work.
    pub uses: Vec<Use>,
}

/// OpenAI's `service_tier`: the class of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// May wait.
    Flex,
    /// As usual.
    #[default]
    Default,
    /// Must not wait.
    Priority,
    /// A line of a batch: as `flex`, and whoever asked comes back for it within a day. Batches alone have it.
    Batch,
}

impl Tier {
    /// All of them; batches last, whatever they may wait for.
    pub const ALL: [Self; 4] = [Self::Flex, Self::Default, Self::Priority, Self::Batch];

    /// Its word: what `service_tier` calls it, or `batch`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Default => "default",
            Self::Priority => "priority",
            Self::Batch => "batch",
        }
    }

    /// The tier that a fleet file has a class for, and OpenAI a word: a batch's line is served as `flex`.
    #[must_use]
    pub const fn class(self) -> Self {
        match self {
            Self::Batch => Self::Flex,
            own => own,
        }
    }
}

/// What a tier is promised, and what a miss costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServingClass {
    /// Which tier.
    pub tier: Tier,
    /// Time to the first token.
    pub ttft: Duration,
    /// Time per output token after it.
    pub tpot: Duration,
    /// How late the first content is when a second endpoint is asked beside the first; `None` for never.
    pub hedge: Option<Duration>,
    /// What a request is worth beyond its cost when served within both, in the fleet's currency; `None` is the
    /// replacement cost.
    pub miss: Option<Money>,
    /// Tokens a second that are planned, by date.
    pub demand: Option<Ramp<i64>>,
    /// What customers pay, per token; cash when it is served.
    pub price: Option<Rate>,
    /// What a token is worth beside, when it is served; `None` is the replacement cost, unless there is a price.
    pub value: Option<Rate>,
    /// The share that is promised to be served.
    pub least: Option<Share>,
}

/// Demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Training or serving.
    pub kind: WorkloadKind,
}

/// The two kinds of demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// Requests to a model.
    Serving {
        /// Which model.
        model: ModelId,
        /// At most one class per tier, in the order of tiers.
        classes: Vec<ServingClass>,
        /// Of which kinds its tokens are.
        mix: Mix,
    },
    /// A job on a gang of accelerators.
    Training {
        /// Which accelerators fit.
        accelerators: Vec<AcceleratorId>,
        /// Accelerator-milliseconds in all.
        work: units::Quantity,
        /// How many at once.
        gang: u32,
        /// When it must be done.
        deadline: Option<Instant>,
        /// What it is worth, in the fleet's currency.
        value: Option<Money>,
        /// How often it saves.
        checkpoint: Option<Duration>,
        /// From when it can run; `None` is from the beginning.
        from: Option<Instant>,
        /// Whether it comes again.
        recurs: Option<Recurs>,
        /// Whether the deadline is a promise; otherwise what is late only loses its value.
        promised: bool,
    },
}

/// Money in or out on a date or over a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CashEvent {
    /// What it is, such as `raise` or `burn`.
    pub name: String,
    /// When.
    pub span: Span,
    /// How much over the span; out is negative.
    pub amount: Amount,
    /// From or to whom.
    pub party: Option<PartyId>,
    /// How sure it is, and what it costs.
    pub terms: Terms,
}

/// What the lab has and expects in money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finance {
    /// Cash in hand, and when.
    pub cash: Option<(Instant, Amount)>,
    /// Below which it must not fall.
    pub floor: Option<Amount>,
    /// Money that customers pay, by date.
    pub revenue: Vec<CashEvent>,
    /// Raises, loans and other money in.
    pub raises: Vec<CashEvent>,
    /// Costs beside compute.
    pub costs: Vec<CashEvent>,
    /// What it owes and may owe.
    pub debt: Option<Debt>,
    /// What cash earns a year.
    pub interest: Share,
}

impl Fleet {
    /// The value of `money` of `currency` in the fleet's currency by the rate in force at `at`; `None` without a rate.
    #[must_use]
    pub fn in_fleet_currency(&self, money: Money, currency: Currency, at: Instant) -> Option<Money> {
        if currency == self.currency {
            return Some(money);
        }
        let rate = self.exchange.get(&currency)?.at(at)?;
        Some(money.times_ratio(rate.nanos(), 1_000_000_000))
    }

    /// The contracts that cover an endpoint (by itself or through its pool), in the supplier's drawdown order, ties by id.
    #[must_use]
    pub fn covering(&self, endpoint: EndpointId) -> Vec<ContractId> {
        let pool = self.endpoints[endpoint].pool;
        let covers =
            |contract: &Contract| contract.endpoints.contains(&endpoint) || pool.is_some_and(|pool| contract.pools.contains(&pool));
        let mut found: Vec<_> =
            self.contracts.iter().filter(|(.., contract)| covers(contract)).map(|(id, _, contract)| (contract.order, id)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// This contract, the umbrella it is under, the umbrella's umbrella, and so on.
    pub fn chain(&self, contract: ContractId) -> impl Iterator<Item = ContractId> {
        core::iter::successors(Some(contract), |id| self.contracts[*id].under)
    }

    /// Every contract nested under this one at any depth, and itself, by id.
    #[must_use]
    pub fn nest(&self, root: ContractId) -> Vec<ContractId> {
        self.contracts.iter().map(|(id, ..)| id).filter(|id| self.chain(*id).any(|above| above == root)).collect()
    }

    /// The model that clients mean by `name`: its own name or an alias.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<ModelId> {
        self.models
            .id(name)
            .or_else(|| self.models.iter().find(|(.., model)| model.aliases.iter().any(|alias| alias == name)).map(|(id, ..)| id))
    }

    /// Where requests of a model go in shadow mode when they don't say where: the endpoint that is marked, or the only one.
    #[must_use]
    pub fn shadow(&self, model: ModelId) -> Option<EndpointId> {
        let of_model = || self.endpoints.iter().filter(move |(.., endpoint)| endpoint.model == model);
        let marked = of_model().find(|(.., endpoint)| endpoint.shadow);
        let only = || of_model().next().filter(|_| of_model().nth(1).is_none());
        marked.or_else(only).map(|(id, ..)| id)
    }

    /// The name of a meter with its subject: `accelerator-hours of h100`.
    #[must_use]
    pub fn meter_name(&self, meter: Meter) -> String {
        match meter {
            Meter::AcceleratorTime(id) => format!("accelerator-hours of {}", self.accelerators.name(id)),
            Meter::InputTokens(id) => format!("input tokens of {}", self.models.name(id)),
            Meter::CachedTokens(id) => format!("cached tokens of {}", self.models.name(id)),
            Meter::OutputTokens(id) => format!("output tokens of {}", self.models.name(id)),
            Meter::UnitTime(id) => format!("unit-hours of {}", self.models.name(id)),
            Meter::Energy(id) => format!("kWh at {}", self.sites.name(id)),
            Meter::Egress(id) => format!("GB out of {}", self.regions.name(id)),
        }
    }
}
