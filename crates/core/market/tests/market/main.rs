//! What contracts come to, with amounts worked out by hand.

mod accounts;
mod accrual;
mod books;
mod clauses;
mod deals;
mod draws;
mod files;
mod fixture;
mod floors;
mod leases;
mod payers;
mod prices;
mod rates;
