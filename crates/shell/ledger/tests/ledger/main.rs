//! The ledger from outside: one state directory, opened, filled, damaged, killed and opened again.

mod audit;
mod billing;
mod books;
mod closing;
mod crash;
mod fixture;
mod focus;
mod history;
mod keys;
mod shadow;
mod space;
mod spending;
mod spent;
mod suffix;
mod torn;
mod unposted;
mod verify;
mod view;
mod whole;
