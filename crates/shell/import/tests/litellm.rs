//! LiteLLM configs into fleet files: golden files of realistic configs, broken ones, and what must hold of any.

use expect_test::{Expect, ExpectFile, expect, expect_file};
use import::{Imported, litellm};
use proptest::prelude::*;

const MIXED: &str = include_str!("litellm/mixed.yaml");
const UNITS: &str = include_str!("litellm/units.yaml");
const OWN: &str = include_str!("litellm/own.yaml");
const CARELESS: &str = include_str!("litellm/careless.yaml");

/// The file and the findings below it.
fn shown(imported: &Imported) -> String {
    let findings: Vec<_> = imported.findings.iter().map(ToString::to_string).collect();
    format!("{}\n---\n{}\n", imported.fleet, findings.join("\n"))
}

fn check(config: &str, expected: &ExpectFile) {
    let imported = litellm(config).expect("it can be imported");
    assert!(fleet::parse(&imported.fleet).fleet.is_some(), "{}", imported.fleet);
    assert_eq!(litellm(config).as_ref(), Ok(&imported), "the same text gives the same file");
    expected.assert_eq(&shown(&imported));
}

#[test]
fn several_vendors_become_one_fleet() {
    check(MIXED, &expect_file!["litellm/mixed.txt"]);
}

#[test]
fn units_become_a_provisioned_contract() {
    check(UNITS, &expect_file!["litellm/units.txt"]);
}

#[test]
fn own_servers_keep_what_their_anchors_say() {
    check(OWN, &expect_file!["litellm/own.txt"]);
}

#[test]
fn secrets_stay_behind() {
    check(CARELESS, &expect_file!["litellm/careless.txt"]);
    let all = shown(&litellm(CARELESS).expect("it can be imported"));
    let secrets = ["sk-proj", "Vq3mT8zLw0ZkX1cN", "hunter2", "abcdef", "horse", "eyJ", "sk-1234", "pa55w0rd", "verysecret", "postgresql"];
    for secret in secrets {
        assert!(!all.contains(secret), "{secret} in\n{all}");
    }
}

#[test]
fn secrets_are_told_wherever_they_stand_and_nothing_else_is() {
    let config = "model_list:
  - model_name: a
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      litellm_credential_name: anth
      output_cost_per_reasoning_token: 1e-6
      extra_headers: {Authorization: Bearer abc}
      headers:
        x-api-key: abc
  - model_name: b
    litellm_params:
      model: bedrock/anthropic.claude-sonnet-4-5-v1:0
      aws_secret_access_key: wJalrXUtnFEMI
  - model_name: c
    litellm_params:
      model: vertex_ai/gemini-2.5-pro
      vertex_credentials: /secrets/sa.json
credential_list:
  - credential_name: anth
    credential_values:
      api_key: os.environ/ANTHROPIC_API_KEY
  - credential_name: other
    credential_values:
      api_key: sk-other
litellm_settings:
  cache_params:
    type: redis
    password: hunter2
guardrails:
  - litellm_params: {api_key: [abc]}
";
    let imported = litellm(config).expect("it can be imported");
    let secrets: Vec<_> = imported.findings.iter().filter(|it| it.kind == import::Kind::Secret).map(ToString::to_string).collect();
    let told = [
        (7, "model_list[0].litellm_params.extra_headers.Authorization"),
        (9, "model_list[0].litellm_params.headers.x-api-key"),
        (13, "model_list[1].litellm_params.aws_secret_access_key"),
        (24, "credential_list[1].credential_values.api_key"),
        (28, "litellm_settings.cache_params.password"),
        (30, "guardrails[0].litellm_params.api_key[0]"),
    ];
    let what = "in clear text; it does not come along, and whoever saw the config knows it";
    assert_eq!(secrets, told.map(|(line, place)| format!("secret: line {line}: {place}: {what}")));
}

#[test]
fn a_price_per_token_is_one_per_million() {
    // 2.5e-6, 0.00000125 and 1e-5 for a token.
    let fleet = litellm(MIXED).expect("it can be imported").fleet;
    for line in ["input = \"2.5 USD/1M tokens\"", "cached = \"1.25 USD/1M tokens\"", "output = \"10 USD/1M tokens\""] {
        assert!(fleet.contains(line), "{line}");
    }
}

/// The lines of the only endpoint of a config whose only deployment is this model.
fn check_endpoint(model: &str, lines: &[&str], others: &[&str]) {
    let fleet =
        litellm(&format!("model_list:\n  - model_name: m\n    litellm_params:\n      model: {model}\n")).expect("it can be imported").fleet;
    let endpoint = fleet.split("[endpoints.").nth(1).and_then(|rest| rest.split("\n[").next()).expect("an endpoint");
    for line in lines {
        assert!(endpoint.lines().any(|own| own == *line), "{line} in\n{endpoint}");
    }
    for other in others {
        assert!(!endpoint.contains(other), "{other} in\n{endpoint}");
    }
}

#[test]
fn what_only_tells_litellm_how_to_call_a_model_is_no_part_of_its_name() {
    check_endpoint("azure/o_series/mine", &["upstream_model = \"mine\""], &[]);
    check_endpoint("azure/gpt5_series/mine", &["upstream_model = \"mine\""], &[]);
    check_endpoint("openai/responses/gpt-5", &["upstream_model = \"gpt-5\""], &[]);
    check_endpoint("openrouter/responses/x", &["upstream_model = \"responses/x\""], &[]);
}

#[test]
fn geminis_models_on_vertex_come_along_with_their_project_and_place() {
    let at = |host: &str, location: &str| format!("url = \"https://{host}/v1/projects/my-project/locations/{location}/publishers/google\"");
    let key = "key = { command = [\"gcloud\", \"auth\", \"print-access-token\"] } # unknown: what prints a token of an account that may use the project";
    let lines = ["dialect = \"gemini\"", "upstream_model = \"gemini-2.5-pro\"", key];
    for (location, host) in [("europe-west1", "europe-west1-aiplatform.googleapis.com"), ("global", "aiplatform.googleapis.com")] {
        let params = format!("vertex_ai/gemini-2.5-pro\n      vertex_project: my-project\n      vertex_location: {location}");
        check_endpoint(&params, &[lines.as_slice(), &[at(host, location).as_str()]].concat(), &[]);
    }
    let marked = |params: &str, url: &str, why: &str| {
        check_endpoint(&format!("vertex_ai/gemini-2.5-pro{params}"), &[format!("{url} # unknown: the config {why}").as_str()], &[]);
    };
    let (project, location) = ("\n      vertex_project: ", "\n      vertex_location: ");
    let europe = at("europe-west4-aiplatform.googleapis.com", "europe-west4").replace("my-project", "unknown");
    marked(&format!("{project}os.environ/PROJ{location}europe-west4"), &europe, "takes `vertex_project` from PROJ");
    marked(&format!("{location}europe-west4"), &europe, "states no `vertex_project`");
    let america = at("us-central1-aiplatform.googleapis.com", "us-central1");
    marked(&format!("{project}my-project{location}a/b"), &america, "states a `vertex_location` that may not stand in a URL");
    marked("", &america.replace("my-project", "unknown"), "states no `vertex_project` and states no `vertex_location`");
    let claude = litellm("model_list:\n  - model_name: m\n    litellm_params: { model: vertex_ai/claude-sonnet-4-5 }\n");
    assert!(claude.is_err_and(|error| error.hint.contains("only Gemini's models")));
}

#[test]
fn a_model_of_no_text_is_left_out_for_what_it_is() {
    let left = |model: &str| {
        let config = format!("model_list:\n  - model_name: m\n    litellm_params: {{model: {model}}}\n");
        litellm(&config).err().map(|error| error.hint)
    };
    for (model, mode) in [
        ("whisper-1", "audio_transcription"),
        ("openai/gpt-4o-mini-tts", "audio_speech"),
        ("dall-e-3", "image_generation"),
        ("azure/gpt-image-1", "image_generation"),
    ] {
        assert_eq!(left(model), Some(format!("left out: line 2: model_list[0]: Baseload serves no `{mode}`")), "{model}");
    }
    let nobody =
        "left out: line 2: model_list[0], `m`: provider `(none)` is not possible: it is not known to speak a dialect that Baseload does";
    assert_eq!(left("mine"), Some(nobody.to_owned()));
    assert_eq!(left("openai/gpt-4o"), None);
}

#[test]
fn aliases_of_models_come_along_from_either_table() {
    let config = "model_list:
  - model_name: a
    litellm_params: {model: openai/gpt-4o}
litellm_settings:
  model_alias_map: {foo: a, lost: b}
router_settings:
  model_group_alias: {bar: a, foo: a}
";
    let imported = litellm(config).expect("it can be imported");
    assert!(imported.fleet.contains("[models.a]\naliases = [\"foo\", \"bar\"]\n"), "{}", imported.fleet);
    let left: Vec<_> = imported.findings.iter().filter(|it| it.kind == import::Kind::Left).map(ToString::to_string).collect();
    assert_eq!(
        left,
        [
            "left out: line 5: litellm_settings.model_alias_map.lost: it stands for no model that was imported",
            "left out: line 7: alias `foo`: the name is taken",
        ]
    );
}

#[test]
fn a_named_credential_gives_what_the_deployment_does_not_state() {
    let config = "model_list:
  - model_name: a
    litellm_params:
      model: azure/gpt-4o-eu
      litellm_credential_name: azure-eu
  - model_name: b
    litellm_params:
      model: azure/gpt-4o-us
      api_base: https://us.openai.azure.com
      api_key: ~
      litellm_credential_name: azure-eu
  - model_name: c
    litellm_params:
      model: openai/gpt-4o
      litellm_credential_name: lost
credential_list:
  - credential_name: azure-eu
    credential_values:
      api_key: os.environ/AZURE_EU_KEY
      api_base: https://eu.openai.azure.com/
      api_version: \"2024-10-21\"
      azure_scope: x
    credential_info: {description: Europe}
  - credential_name: unused
    credential_values: {api_key: os.environ/OTHER}
";
    let imported = litellm(config).expect("it can be imported");
    for expected in [
        "url = \"https://eu.openai.azure.com\"\napi_version = \"2024-10-21\"\nupstream_model = \"gpt-4o-eu\"\nkey = { env = \"AZURE_EU_KEY\" }\n",
        "url = \"https://us.openai.azure.com\"\napi_version = \"2024-10-21\"\nupstream_model = \"gpt-4o-us\"\nkey = { env = \"AZURE_EU_KEY\" }\n",
        "key = { env = \"OPENAI_API_KEY\" } # unknown: `litellm_credential_name` names nothing in the config's `credential_list`\n",
    ] {
        assert!(imported.fleet.contains(expected), "{expected} in\n{}", imported.fleet);
    }
    let left: Vec<_> = imported.findings.iter().filter(|it| it.kind == import::Kind::Left).map(ToString::to_string).collect();
    assert_eq!(
        left,
        [
            "left out: line 22: credential_list[0].credential_values.azure_scope: a fleet file has no such key",
            "left out: line 23: credential_list[0].credential_info: a fleet file has no such key",
            "left out: line 24: credential_list[1]: no deployment that was imported takes it",
        ]
    );
}

#[test]
fn a_key_in_the_clear_that_deployments_share_is_told_once_where_it_stands() {
    let deployment =
        |name: &str| format!("  - model_name: {name}\n    litellm_params: {{model: openai/{name}, litellm_credential_name: own}}\n");
    let list = "credential_list:\n  - credential_name: own\n    credential_values: {api_key: hunter2}\n";
    let imported = litellm(&format!("model_list:\n{}{}{list}", deployment("a"), deployment("b"))).expect("it can be imported");
    assert_eq!(imported.fleet.matches("\nkey = { env = \"A_OPENAI_API_KEY\" }\n").count(), 2, "{}", imported.fleet);
    let secrets: Vec<_> = imported.findings.iter().filter(|it| it.kind == import::Kind::Secret).map(ToString::to_string).collect();
    let told = "secret: line 8: credential_list[0].credential_values.api_key: in clear text; the file names A_OPENAI_API_KEY: set that to a new key";
    assert_eq!(secrets, [told]);
}

#[test]
fn a_provider_that_refuses_to_be_asked_for_usage_is_not() {
    check_endpoint("mistral/mistral-large-latest", &["stream_usage = \"always\""], &[]);
    check_endpoint("openai/gpt-4o", &[], &["stream_usage"]);
}

#[test]
fn the_organization_that_a_vendor_counts_requests_to_comes_along() {
    let config = |model: &str, organization: &str| {
        let params = format!("      model: {model}\n      organization: {organization}\n");
        litellm(&format!("model_list:\n  - model_name: m\n    litellm_params:\n{params}")).expect("it can be imported")
    };
    assert!(config("openai/gpt-4o", "org-1").fleet.contains("\norganization = \"org-1\"\n"));
    let marked = config("openai/gpt-4o", "os.environ/ORG").fleet;
    assert!(marked.contains("takes it from the environment") && !marked.contains("os.environ"), "{marked}");
    let other = config("anthropic/claude-sonnet-4-5", "org-1");
    assert!(!other.fleet.contains("organization ="), "{}", other.fleet);
}

fn check_broken(config: &str, expected: &Expect) {
    expected.assert_eq(&litellm(config).expect_err("it is broken").shown("config.yaml"));
}

#[test]
fn broken_configs_say_where_and_what_to_do() {
    check_broken(
        "",
        &expect![[r#"
        config.yaml:1: the file is no LiteLLM config
        hint: give the proxy's config.yaml: a table with a `model_list`"#]],
    );
    check_broken(
        "model_list: 3\n",
        &expect![[r#"
        config.yaml:1: `model_list` is no list
        hint: write each model as `- model_name: ...`"#]],
    );
    check_broken(
        "model_list: []\n",
        &expect![[r#"
        config.yaml:1: `model_list` has no model
        hint: give a config that states its models: those that LiteLLM keeps in its database are not in this one"#]],
    );
    check_broken(
        "model_list:\n  - model_name: a\n    litellm_params: {model: bedrock/a}\n  - {model_name: b, litellm_params: {model: openai/*}}\n",
        &expect![[r#"
            config.yaml:2: none of its models can be imported
            hint: left out: line 2: model_list[0], `a`: provider `bedrock` is not possible: its requests must be signed
            left out: line 4: model_list[1]: a wildcard names no model; list those that clients may use"#]],
    );
    check_broken(
        "a: 1\n",
        &expect![[r#"
        config.yaml:1: the config has no `model_list`
        hint: give the proxy's config.yaml: a table with a `model_list`"#]],
    );
    check_broken(
        "model_list:\n  - model_name: a\n    litellm_params: {model: [openai/a]}\n",
        &expect![[r#"
        config.yaml:3: `model` of `model_list[0]` is no text
        hint: write a name, in quotes if need be"#]],
    );
    check_broken(
        "model_list:\n  - model_name: a\n\n    litellm_params:\n      api_key: x\n",
        &expect![[r#"
        config.yaml:5: `model_list[0]` has no `model`
        hint: write `model: openai/gpt-4o`: a provider and its name for the model"#]],
    );
    check_broken(
        "model_list:\n  - litellm_params: {model: openai/a}\n",
        &expect![[r#"
        config.yaml:2: `model_list[0]` has no `model_name`
        hint: write `model_name: gpt-4o`: what clients ask for"#]],
    );
    check_broken(
        "model_list:\n  - gpt-4o\n",
        &expect![[r#"
        config.yaml:2: `model_list[0]` is no table
        hint: write each model as `- model_name: ...` with `litellm_params:` below it"#]],
    );
}

#[test]
fn broken_yaml_says_where_and_what_to_do() {
    check_broken(
        "model_list:\n\t- model_name: a\n",
        &expect![[r#"
        config.yaml:2: the config is not YAML: tabs disallowed within this context (block indentation)
        hint: put the YAML right here; a tab can't indent, and a text with `: ` in it wants quotes"#]],
    );
    check_broken(
        "model_list: [\n",
        &expect![[r#"
        config.yaml:2: the config is not YAML: while parsing a node, did not find expected node content
        hint: put the YAML right here; a tab can't indent, and a text with `: ` in it wants quotes"#]],
    );
    check_broken(
        "model_list: []\nmodel_list: []\n",
        &expect![[r#"
        config.yaml:2: `model_list` stands a second time
        hint: a key may stand only once in a table: take one of the two out"#]],
    );
    check_broken(
        "a: *b\n",
        &expect![[r#"
        config.yaml:1: the config is not YAML: while parsing node, found unknown anchor
        hint: put the YAML right here; a tab can't indent, and a text with `: ` in it wants quotes"#]],
    );
    check_broken(
        &"[".repeat(100),
        &expect![[r#"
        config.yaml:1: the config is nested too deep
        hint: at most 64 lists and tables may lie in one another"#]],
    );
    check_broken(
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e]\n",
        &expect![[r#"
            config.yaml:6: the config is too large
            hint: a config has at most 200000 values, aliases written out"#]],
    );
    let nested = |of: &str| format!("{}{of}{}", "[".repeat(60), "]".repeat(60));
    check_broken(
        &format!("a: &a {}\nb: {}\n", nested("x"), nested("*a")),
        &expect![[r#"
            config.yaml:2: the config is nested too deep
            hint: at most 64 lists and tables may lie in one another"#]],
    );
}

/// What comes of any text: a file that parses, or an error that is the text's and not ours.
fn sound(text: &str) -> Result<(), TestCaseError> {
    match litellm(text) {
        Ok(imported) => prop_assert!(fleet::parse(&imported.fleet).fleet.is_some(), "{}", imported.fleet),
        Err(error) => prop_assert!(!error.message.contains("has a fault"), "{error}: {}\n{text}", error.hint),
    }
    Ok(())
}

#[test]
fn a_name_that_the_fleet_file_takes_for_a_secret_does_not_come_along() {
    for name in ["sk-1234567890abcdef", "sk-123456=7890abcdef"] {
        let config = format!("model_list:\n  - model_name: {name}\n    litellm_params: {{ model: openai/gpt-4o }}\n");
        let imported = litellm(&config).expect("it can be imported");
        assert!(!imported.fleet.contains("7890abcdef"), "{}", imported.fleet);
    }
}

/// A value that someone may write behind any key.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("os.environ/KEY".to_owned()),
        Just("os.environ/sk-aaaaaaaaaaaaaaaa".to_owned()),
        Just("~".to_owned()),
        Just("{a: [b]}".to_owned()),
        "[-+0-9.eE]{1,12}",
        "-?[0-9]{1,20}",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-9]{2}:00:00Z)?",
        "(http|https|ftp)://[a-z0-9.:@\\[\\]/?#%-]{0,20}",
        "(openai|azure|anthropic|gemini|ollama|bedrock|x)/[a-zA-Z0-9 ./*=-]{0,12}",
        "\"[ -~&&[^\"\\\\]]{0,80}\"",
        "'\\PC{0,10}'",
    ]
}

const KEYS: [&str; 20] = [
    "model_name",
    "model",
    "api_base",
    "api_key",
    "api_version",
    "rpm",
    "max_tokens",
    "max_parallel_requests",
    "custom_llm_provider",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "mode",
    "max_input_tokens",
    "max_output_tokens",
    "supports_vision",
    "ptu_count",
    "cost_per_ptu_per_hour",
    "ptu_effective_from",
    "ptu_effective_to",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        sound(&text)?;
    }

    #[test]
    fn no_yaml_like_text_panics(text in "[a-c:\\-\\[\\]{},&*<!|>'\"#%@? \n\t]{0,120}") {
        sound(&text)?;
    }

    #[test]
    fn no_edit_of_a_good_config_panics(which in 0_usize..4, at in 0.0..1.0_f64, put in "\\PC{0,6}", cut in 0_usize..30) {
        let text = [MIXED, UNITS, OWN, CARELESS][which];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a short text's length")]
        let at = text.floor_char_boundary((at * text.len() as f64) as usize);
        let end = text.floor_char_boundary((at + cut).min(text.len()));
        sound(&format!("{}{put}{}", &text[..at], &text[end..]))?;
    }

    #[test]
    fn any_values_come_to_a_file_that_parses(entries in prop::collection::vec(prop::collection::btree_map(0..KEYS.len(), value(), 0..10), 1..5),
        aliases in prop::collection::vec((value(), value()), 0..3)) {
        let mut text = "model_list:\n".to_owned();
        for (index, entry) in entries.iter().enumerate() {
            text.push_str(&format!("  - model_name: m{}\n    litellm_params:\n      model: azure/x\n    model_info:\n      a: b\n", index % 2));
            for (key, value) in entry {
                let section = if *key < 9 { ("    litellm_params:\n", "      ") } else { ("    model_info:\n", "      ") };
                let line = format!("{}{}: {value}\n", section.1, KEYS[*key]);
                match KEYS[*key] {
                    "model_name" => text = replace_last(&text, &format!("- model_name: m{}\n", index % 2), &format!("- model_name: {value}\n")),
                    "model" => text = replace_last(&text, "model: azure/x\n", &format!("model: {value}\n")),
                    _ => text = replace_last(&text, section.0, &format!("{}{line}", section.0)),
                }
            }
        }
        text.push_str("router_settings:\n  model_group_alias:\n    z: m0\n");
        for (index, (_, of)) in aliases.iter().enumerate() {
            text.push_str(&format!("    y{index}: {of}\n"));
        }
        sound(&text)?;
    }

    #[test]
    fn a_literal_key_is_nowhere_in_what_comes_out(key in "[A-Za-z0-9+/._-]{12,40}", provider in "(openai|azure|anthropic|gemini|hosted_vllm)") {
        let config = format!("model_list:\n  - model_name: m\n    litellm_params:\n      model: {provider}/u\n      api_key: \"{key}\"\ngeneral_settings:\n  master_key: \"{key}\"\n");
        let imported = litellm(&config).expect("it can be imported");
        prop_assert!(!shown(&imported).contains(&key));
        prop_assert!(imported.findings.iter().filter(|it| it.kind == import::Kind::Secret).count() == 2);
    }
}

fn replace_last(text: &str, from: &str, to: &str) -> String {
    text.rfind(from).map_or_else(|| text.to_owned(), |at| format!("{}{to}{}", &text[..at], &text[at + from.len()..]))
}
