//! Money, power, energy, tokens and time as types that can't be mixed up.
//!
//! - [`Money`] is exact: an `i128` count of nano-units of one currency, which its contract (or [`Amount`]) names.
//! - [`Quantity`] is an integer count of a meter's base unit ([`MeterUnit`]); it is booked first and money is derived.
//! - [`Rate`] is money per a number of base units, kept as the exact fraction that the contract states.
//! - [`Instant`] is a point on the UTC time line in microseconds; spans are half-open, `[from, to)`.
//! - Every type reads what a person writes (`"4.5 GW"`, `"2.10 USD/accelerator-hour"`) and prints it back; [`Scientific`] reads what programs write.
//!
//! Nothing here reads a clock, and nothing rounds but [`round_half_even`].

mod decimal;
mod money;
mod physical;
mod quantity;
mod rate;
mod scientific;
mod share;
mod text;
mod time;

pub use decimal::{Decimal, round_half_even};
pub use money::{Amount, Currency, Money};
pub use physical::{Bytes, Flops, Joules, Watts};
pub use quantity::{MeterUnit, Quantity};
pub use rate::{Rate, UnitRate};
pub use scientific::Scientific;
pub use share::Share;
pub use text::UnitError;
pub use time::{Instant, Span};
