//! The ledger from outside: one state directory, opened, filled, damaged, killed and opened again.

mod books;
mod crash;
mod fixture;
mod history;
mod keys;
mod spent;
mod torn;
mod verify;
mod view;
