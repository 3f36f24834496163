//! The fleets that come with Baseload.

use fleet::{Endpoint, KeyAs, Overflow, Picker, Severity, StreamUsage, parse};

/// Parses a fleet that comes with Baseload; shows what is wrong with it otherwise.
fn good(text: &str) -> fleet::Fleet {
    let parsed = parse(text);
    let found: Vec<_> = parsed.diagnostics.iter().filter(|it| it.severity != Severity::NotComputed).collect();
    assert!(found.is_empty(), "{found:#?}");
    parsed.fleet.expect("a fleet without errors")
}

#[test]
fn the_laptop_fleet_reads() {
    let fleet = good(include_str!("../../../../fleets/laptop.toml"));
    let west = &fleet.contracts[fleet.contracts.id("west-provisioned").expect("it is there")];
    assert_eq!(west.overflow, fleet.contracts.id("west-standard").map(Overflow::To));
    assert_eq!(fleet.model("default"), fleet.models.id("smollm2-135m"));
    let umbrella = fleet.contracts.id("northgrid-umbrella").expect("it is there");
    assert_eq!(fleet.nest(umbrella).len(), 3);
}

#[test]
fn the_starter_the_labs_and_the_deals_read() {
    for text in [
        include_str!("../../../../fleets/starter.toml"),
        include_str!("../../../../fleets/openai-2025.toml"),
        include_str!("../../../../fleets/mistral-2025.toml"),
        include_str!("../../../../fleets/midsize.toml"),
        include_str!("../../../../fleets/deals/oracle.toml"),
        include_str!("../../../../fleets/deals/azure-ptu.toml"),
        include_str!("../../../../fleets/deals/coreweave.toml"),
    ] {
        good(text);
    }
}

/// What is wrong with an endpoint whose dialect and version are these.
fn check_version(dialect: &str, version: &str, wrong: Option<&str>) {
    let text = format!(
        "format = 1\nname = \"lab\"\ncurrency = \"USD\"\n[models.m]\nparameters = \"1 B\"\ncontext = 1\n\
         [endpoints.e]\nmodel = \"m\"\nurl = \"https://x.example\"\ndialect = \"{dialect}\"\napi_version = \"{version}\"\n"
    );
    let found: Vec<_> = parse(&text).diagnostics.into_iter().filter(|it| it.code == "BL0202").map(|it| it.message).collect();
    assert_eq!(found, wrong.map(|what| format!("`api_version` {what}")).into_iter().collect::<Vec<_>>(), "{dialect} {version}");
}

/// What is read of an endpoint with these fields, or what is wrong with them.
fn check_endpoint<T: PartialEq + core::fmt::Debug>(fields: &str, read: impl Fn(&Endpoint) -> T, want: Result<T, &str>) {
    let text = format!(
        "format = 1\nname = \"lab\"\ncurrency = \"USD\"\n[models.m]\nparameters = \"1 B\"\ncontext = 1\n\
         [parties.p]\nroles = [\"supplier\"]\n[contracts.c]\nparty = \"p\"\npreset = \"on-demand\"\nendpoints = [\"e\"]\n\
         input = \"1 USD/1M tokens\"\noutput = \"1 USD/1M tokens\"\nstart = 2026-01-01\nend = 2030-01-01\n\
         [endpoints.e]\nmodel = \"m\"\n{fields}\n"
    );
    let parsed = parse(&text);
    let found = parsed.fleet.map(|fleet| read(&fleet.endpoints[fleet.endpoints.id("e").expect("it is there")]));
    let messages: Vec<_> = parsed.diagnostics.into_iter().map(|it| it.message).collect();
    assert_eq!(found.ok_or(messages.concat()), want.map_err(str::to_owned), "{fields}");
}

#[test]
fn a_key_is_sent_as_its_dialect_has_it_or_as_a_bearers() {
    let check = |fields: &str, want| {
        let fields = format!("url = \"https://x.example\"\ndialect = \"anthropic\"\n{fields}");
        check_endpoint(&fields, |endpoint| endpoint.key_as, want);
    };
    check("key = { env = \"K\" }", Ok(KeyAs::Dialect));
    check("key = { env = \"K\" }\nkey_as = \"bearer\"", Ok(KeyAs::Bearer));
    check("key_as = \"bearer\"", Err("`key_as` is said of no key"));
}

#[test]
fn whom_a_supplier_counts_requests_to_is_said_in_openais_dialect_only() {
    let check = |fields: &str, want: Result<[Option<&str>; 2], &str>| {
        let want = want.map(|names| names.map(|name| name.map(str::to_owned)));
        let read = |endpoint: &fleet::Endpoint| [endpoint.organization.clone(), endpoint.project.clone()];
        check_endpoint(&format!("url = \"https://x.example\"\n{fields}"), read, want);
    };
    check("", Ok([None, None]));
    check("organization = \"org-1\"\nproject = \"proj_2\"", Ok([Some("org-1"), Some("proj_2")]));
    let message = "`project` is for the dialect `openai` only";
    check("dialect = \"gemini\"\nproject = \"proj_2\"", Err(message));
    for bad in ["", "a b", "é", "a\\r\\nb: c"] {
        check(&format!("project = \"{bad}\""), Err("`project` has characters that no header may have, or none"));
    }
}

#[test]
fn an_upstream_says_what_a_stream_used_when_asked_or_always() {
    let check = |fields: &str, want| {
        check_endpoint(&format!("url = \"https://x.example\"\n{fields}"), |endpoint| endpoint.stream_usage, want);
    };
    check("", Ok(StreamUsage::Asked));
    check("stream_usage = \"always\"", Ok(StreamUsage::Always));
    let message = "`stream_usage` is for the dialects `openai` and `azure` only";
    check("dialect = \"gemini\"\nstream_usage = \"always\"", Err(message));
}

#[test]
fn a_picker_stands_behind_a_url_that_speaks_what_it_reads() {
    let check = |fields: &str, want| check_endpoint(fields, |endpoint| endpoint.picker, want);
    let url = "url = \"https://x.example\"";
    check(url, Ok(None));
    check(&format!("{url}\npicker = \"llm-d\""), Ok(Some(Picker::LlmD)));
    check(&format!("{url}\ndialect = \"anthropic\"\npicker = \"llm-d\""), Ok(Some(Picker::LlmD)));
    let only = Err("`picker` is for the dialects `openai` and `anthropic` only");
    check(&format!("{url}\ndialect = \"azure\"\npicker = \"llm-d\""), only);
    check(&format!("{url}\ndialect = \"gemini\"\npicker = \"llm-d\""), only);
    check(&format!("{url}\npicker = \"lottery\""), Err("`lottery` is not a word that `picker` may have"));
    let nowhere = "endpoint `e` has neither a pool nor a URL";
    check("picker = \"llm-d\"", Err(&format!("{nowhere}`picker` is said of no URL")));
}

#[test]
fn only_azures_older_surface_has_versions() {
    check_version("azure", "2024-10-21", None);
    check_version("azure", "2025-04-01-preview", None);
    check_version("azure", "v1", Some("is no version of Azure's API"));
    check_version("azure", "2024-10-2x", Some("is no version of Azure's API"));
    check_version("openai", "2024-10-21", Some("is for the dialect `azure` only"));
}
