//! A base URL of a config as a fleet file takes it.

use crate::litellm::provider::Provider;

/// What a config's base URL comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// A URL that requests may go to.
    Known(String),
    /// A URL in its place, and why.
    Unknown(String, String),
    /// A URL without what stood in it and may not: a user and password, or else a query.
    Stripped(String, bool),
}

/// The base URL, from what the config states.
pub(super) fn base(stated: Option<&str>, provider: &Provider, versioned: bool) -> Base {
    let ends = if versioned { "" } else { provider.ends };
    let placeholder = format!("https://unknown.invalid{}", if provider.dialect == "openai" { "/v1" } else { ends });
    let Some(stated) = stated else {
        return provider
            .url
            .map_or_else(|| Base::Unknown(placeholder, "the config states no `api_base`".to_owned()), |url| Base::Known(url.to_owned()));
    };
    if let Some(variable) = stated.strip_prefix("os.environ/") {
        let name = if crate::names::is_variable(variable) { variable } else { "an environment variable" };
        return Base::Unknown(placeholder, format!("the config takes it from {name}"));
    }
    match clean(stated, provider, ends) {
        Ok((url, false)) if !stated.contains(['?', '#']) => Base::Known(url),
        Ok((url, user)) => Base::Stripped(url, user),
        Err(why) => Base::Unknown(placeholder, why),
    }
}

/// Where Vertex serves a project; a placeholder stands for that of project and place which the config has not, or not fit for a URL.
pub(super) fn vertex(project: Option<&str>, location: Option<&str>) -> Base {
    let plain =
        |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !crate::names::looks_secret(text);
    let why = |name: &str, stated: Option<&str>| match stated.map(|text| text.strip_prefix("os.environ/").ok_or(text)) {
        _ if stated.filter(plain).is_some() => None,
        None => Some(format!("states no `{name}`")),
        Some(Ok(variable)) if crate::names::is_variable(variable) => Some(format!("takes `{name}` from {variable}")),
        Some(Ok(_)) => Some(format!("takes `{name}` from an environment variable")),
        Some(Err(_)) => Some(format!("states a `{name}` that may not stand in a URL")),
    };
    let unknown: Vec<String> = [why("vertex_project", project), why("vertex_location", location)].into_iter().flatten().collect();
    let (project, location) = (project.filter(plain).unwrap_or("unknown"), location.filter(plain).unwrap_or("us-central1"));
    let host = if location == "global" { String::new() } else { format!("{location}-") };
    let url = format!("https://{host}aiplatform.googleapis.com/v1/projects/{project}/locations/{location}/publishers/google");
    if unknown.is_empty() { Base::Known(url) } else { Base::Unknown(url, format!("the config {}", unknown.join(" and "))) }
}

/// The URL without user, query and trailing slash, with the end that the dialect wants; whether there was a user in it.
fn clean(stated: &str, provider: &Provider, ends: &str) -> Result<(String, bool), String> {
    let (scheme, rest) = stated.trim().split_once("://").ok_or_else(|| "what the config states is no URL".to_owned())?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').map_or((false, authority), |(_, host)| (true, host));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let path_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "-._~/:%".contains(c));
    let name = host.split(':').next().unwrap_or_default();
    if !host.chars().all(plain) || !path_plain || crate::names::looks_secret(rest) {
        return Err("what the config states is no URL that a fleet file takes".to_owned());
    }
    let loopback = matches!(name, "localhost" | "127.0.0.1") || host.starts_with("[::1]");
    let is_port = |rest: &str| rest.is_empty() || rest.starts_with(':');
    let address = host.strip_prefix('[').and_then(|host| host.split_once(']')).filter(|(_, rest)| is_port(rest));
    let bracketed = address.is_some_and(|(inside, _)| inside.parse::<std::net::Ipv6Addr>().is_ok());
    if name.is_empty() || (name.contains(['[', ']']) && !bracketed) {
        return Err("what the config states is no URL that a fleet file takes".to_owned());
    }
    let path = path.trim_end_matches('/');
    let at = |path: &str| if path.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}/{path}") };
    let mut url = at(if provider.dialect == "azure" { "" } else { path });
    if !ends.is_empty() && !url.ends_with(ends) {
        url.push_str(ends);
    }
    match scheme {
        "https" => Ok((url, user)),
        "http" if loopback => Ok((url, user)),
        "http" => Err(format!("the config states {}, plain http, which a fleet file takes for this machine alone", at(path))),
        _ => Err("what the config states is neither https nor http".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Base, base};
    use crate::litellm::provider::{self, Named, Provider};

    fn known(model: &str) -> &'static Provider {
        match provider::of(model, None) {
            Named::Known(provider, _) => provider,
            Named::Not(prefix, _) => unreachable!("{prefix} is known"),
        }
    }

    #[test]
    fn urls_end_as_their_dialect_wants() {
        let check = |stated: Option<&str>, model: &str, versioned: bool, expected: &str| {
            assert_eq!(base(stated, known(model), versioned), Base::Known(expected.to_owned()));
        };
        check(None, "openai/gpt-4o", false, "https://api.openai.com/v1");
        check(Some("https://a.openai.azure.com/"), "azure/x", true, "https://a.openai.azure.com");
        check(Some("https://a.openai.azure.com/openai/deployments/x"), "azure/x", false, "https://a.openai.azure.com/openai/v1");
        check(Some("https://api.anthropic.com"), "anthropic/claude-x", false, "https://api.anthropic.com/v1");
        check(Some("http://127.0.0.1:8000/v1/"), "hosted_vllm/x", false, "http://127.0.0.1:8000/v1");
        check(Some("http://localhost:11434"), "ollama/x", false, "http://localhost:11434/v1");
        check(Some("http://[::1]:8000/v1"), "hosted_vllm/x", false, "http://[::1]:8000/v1");
    }

    #[test]
    fn what_is_no_url_is_unknown_and_a_password_goes() {
        let vllm = known("hosted_vllm/x");
        for bad in
            ["http://vllm.internal:8000/v1", "vllm:8000", "ftp://a/v1", "https://", "https://a b/v1", "os.environ/VLLM", "https://[/v1"]
        {
            assert!(matches!(base(Some(bad), vllm, false), Base::Unknown(..)), "{bad}");
        }
        let why = "the config states http://10.0.0.4:8000/v1, plain http, which a fleet file takes for this machine alone";
        let plain = Base::Unknown("https://unknown.invalid/v1".to_owned(), why.to_owned());
        assert_eq!(base(Some("http://me:hunter2@10.0.0.4:8000/v1/?token=x"), vllm, false), plain);
        let stripped = |user| Base::Stripped("https://host.example/v1".to_owned(), user);
        assert_eq!(base(Some("https://me:hunter2@host.example/v1?token=x"), vllm, false), stripped(true));
        assert_eq!(base(Some("https://host.example/v1?token=x"), vllm, false), stripped(false));
    }
}
