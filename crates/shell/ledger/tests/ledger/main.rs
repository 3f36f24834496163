//! The ledger from outside: one state directory, opened, filled, killed and opened again.

mod books;
mod fixture;
mod keys;
