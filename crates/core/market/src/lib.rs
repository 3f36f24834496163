//! What contracts come to: arithmetic of every clause, balances as a fold over usage, forecasts and marginal prices.
//!
//! `docs/contracts.md` is the definition. Quantities are posted; money is derived from them here and nowhere else.

mod balance;
mod books;
mod capacity;
mod charge;
mod counted;
mod delivery;
mod floor;
mod forecast;
mod prepaid;
mod price;
mod quote;
mod sheet;
mod statement;
mod usage;

pub use balance::{Balances, Total};
pub use forecast::{Flow, Forecast};
pub use price::{MarginalPrice, marginal_price};
pub use quote::{FRESH, USABLE, price_sheet};
pub use sheet::{EndpointPrice, Payer, PriceSheet, TokenPrices, Tokens};
pub use statement::{Clause, Line, Statement, periods, statement};
pub use usage::Usage;
