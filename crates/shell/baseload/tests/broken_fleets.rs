//! Each broken fleet, and what `baseload check` says of it. A snapshot is right when a person who made that mistake
//! would find the place, understand the message and know what to do.

use std::path::Path;

use baseload::report;

#[test]
fn every_broken_fleet_shows_the_place_the_code_and_a_way_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/fleet/tests/broken");
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("the folder is there").map(|it| it.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 45, "only {} broken fleets were found", files.len());
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("names are plain");
        let text = std::fs::read_to_string(&file).expect("the file can be read");
        let parsed = fleet::parse(&text);
        assert!(!parsed.diagnostics.is_empty(), "{name} is not broken");
        let report = report::render("fleet.toml", &text, &parsed.diagnostics, false);
        insta::with_settings!({ snapshot_path => "broken_fleets", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, format!("{report}{}", report::summary(&parsed.diagnostics)));
        });
    }
}

#[test]
fn the_schema_is_json_and_knows_every_section() {
    let schema: serde_json::Value = serde_json::from_str(&fleet::schema()).expect("the schema is JSON");
    assert!(schema["properties"]["contracts"]["additionalProperties"]["properties"]["floor"].is_object());
    assert_eq!(schema["additionalProperties"], false);
}
