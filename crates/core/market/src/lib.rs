//! What contracts come to: arithmetic of every clause, balances as a fold over usage, forecasts and marginal prices.
//!
//! `docs/contracts.md` is the definition. Quantities are posted; money is derived from them here and nowhere else.

mod account;
mod accrual;
mod allocate;
mod balance;
mod books;
mod bucket;
mod capacity;
mod charge;
mod clauses;
mod counted;
mod delivery;
mod floor;
mod forecast;
mod lease;
mod prepaid;
mod price;
mod quote;
mod rate;
mod runs;
mod sheet;
mod split;
mod statement;
mod usage;

pub use account::{Account, Dry, Limit, Reservation};
pub use accrual::Accrual;
pub use allocate::{Allocation, Demand, Drawn, Part, Reach, draw};
pub use balance::{Balances, Total};
pub use bucket::UnitBucket;
pub use capacity::{Piece, delivered, pieces};
pub use clauses::{
    Charged, Window, WindowLeast, committed, counted_towards, granted, penalties, periods_ending, prepaid_in, tiers, window,
};
pub use forecast::{Flow, FlowMeter, Forecast};
pub use lease::{
    BUDGET_LEASE, Holding, LEASE_HOLDS, LEASE_MARGIN, LEASE_QUESTION, LeaseAsk, LeaseSize, Leased, UNITS_LEASE, WHOLE, fair_part,
    give_back, lease, pace,
};
pub use price::{MarginalPrice, marginal_price, marginal_prices};
pub use quote::{FRESH, USABLE, price_sheet, price_sheet_by};
pub use rate::{RATE_SHORT, RATE_WHOLE, RateBucket};
pub use sheet::{EndpointPrice, PAYERS_MAX, Payer, PriceSheet, TokenPrices, Tokens};
pub use split::split_busy;
pub use statement::{Clause, Line, Statement, periods, statement};
pub use usage::Usage;
