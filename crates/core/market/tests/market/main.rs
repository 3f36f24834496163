//! What contracts come to, with amounts worked out by hand.

mod clauses;
mod deals;
mod fixture;
mod floors;
