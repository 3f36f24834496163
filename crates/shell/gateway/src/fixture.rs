//! The laptop fleet, for unit tests.

use fleet::Fleet;

/// The fleet that ships with the program.
pub(crate) fn fleet() -> Fleet {
    fleet::parse(include_str!("../../../../fleets/laptop.toml")).fleet.expect("the laptop fleet is checked in CI")
}
