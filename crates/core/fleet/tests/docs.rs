//! The pages that explain the file are checked against the reader.

use expect_test::expect_file;
use fleet::{Severity, parse};

#[test]
fn the_reference_is_what_the_reader_declares() {
    expect_file!["../../../../docs/fleet-reference.md"].assert_eq(&fleet::reference());
}

/// The examples of the guide build on each other: together they are one fleet.
#[test]
fn the_examples_of_the_guide_are_a_fleet() {
    let guide = include_str!("../../../../docs/fleet-file.md");
    let blocks = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let fleet: String = blocks.collect();
    let parsed = parse(&fleet);
    let found: Vec<_> = parsed.diagnostics.iter().filter(|it| it.severity != Severity::NotComputed).collect();
    assert!(found.is_empty(), "{found:#?}\n{fleet}");
    assert!(parsed.fleet.is_some_and(|fleet| fleet.contracts.len() >= 6));
}
