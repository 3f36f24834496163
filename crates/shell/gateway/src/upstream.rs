//! Where an endpoint's requests are sent, in which dialect, and with which secret.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dialect::openai::Most;
use fleet::{Dialect, Endpoint, KeyAs, Picker, StreamUsage};
use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::http::uri::Authority;

use crate::resolve::is_local_name;

/// An upstream's address and the secret that it wants; the secret is bound to the address and is never printed.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its wire format.
    pub(crate) dialect: Dialect,
    /// The URL of chats.
    pub(crate) chat: Uri,
    /// The URL of chats that are streamed.
    pub(crate) streamed: Uri,
    /// The URL of completions, where its dialect has any.
    pub(crate) completions: Uri,
    /// The URL of embeddings, where its dialect has any.
    pub(crate) embeddings: Uri,
    /// The URL of responses, where its dialect has any.
    pub(crate) responses: Uri,
    /// Where it listens, as connections to it are kept by.
    pub(crate) place: Arc<str>,
    /// The same as its requests say it.
    pub(crate) host: HeaderValue,
    /// The header that its secret goes into: marked sensitive, so `Debug` does not show it.
    pub(crate) secret: Option<(HeaderName, HeaderValue)>,
    /// What the upstream calls the model, when it is not our name for it.
    pub(crate) model: Option<String>,
    /// What it calls the most tokens of an answer.
    pub(crate) most: Most,
    /// The most answer tokens that it takes, when that is known.
    pub(crate) output_max: Option<u32>,
    /// The fields that say whom its supplier counts a request to.
    pub(crate) counted_to: Vec<(HeaderName, HeaderValue)>,
    /// What picks a server behind it, where something does.
    pub(crate) picker: Option<Picker>,
    /// When it says what a stream used.
    pub(crate) stream_usage: StreamUsage,
}

/// Why a base URL can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It is no URL with a scheme and a host.
    #[error("read the upstream's base URL {0:?}: it should look like https://host/v1")]
    Url(String),
    /// A secret would travel in the clear.
    #[error("use the upstream {0}: beyond this machine only https is allowed")]
    InTheClear(String),
    /// A URL that paths can't be joined to, or with a secret in it; so it is not shown.
    #[error("use the upstream {0}: its base URL has a name, a password, a query or a fragment")]
    Adorned(String),
    /// An address where clouds keep their machines' credentials, or that nobody has.
    #[error("use the upstream {0}: link-local addresses, metadata services and addresses that nobody has are refused")]
    Forbidden(String),
    /// Its organisation or project has characters that no header may have.
    #[error("use the organisation and project of upstream {0}: one has characters that a header can't carry")]
    CountedTo(String),
    /// The secret has characters that no header may have.
    #[error("use the secret of upstream {0}: it has characters that a header can't carry")]
    Secret(String),
}

impl Upstream {
    /// An upstream of OpenAI's dialect at `base`, such as `https://host/v1`, with the key it wants and what it calls the model.
    ///
    /// # Errors
    /// When the URL can't be read, or is one that requests must not go to.
    pub fn new(base: &str, key: Option<&str>, model: Option<&str>) -> Result<Self, UpstreamError> {
        let host = host(base)?;
        let root = base.trim_end_matches('/');
        let chat = uri(base, format!("{root}/chat/completions"))?;
        let (scheme, authority) = (chat.scheme_str().unwrap_or_default(), chat.authority().map_or("", Authority::as_str));
        Ok(Self {
            dialect: Dialect::OpenAi,
            place: format!("{scheme}://{authority}").to_ascii_lowercase().into(),
            host: HeaderValue::from_str(authority).map_err(|_| UpstreamError::Url(base.to_owned()))?,
            streamed: chat.clone(),
            completions: uri(base, format!("{root}/completions"))?,
            embeddings: uri(base, format!("{root}/embeddings"))?,
            responses: uri(base, format!("{root}/responses"))?,
            chat,
            secret: secret(&host, AUTHORIZATION, key.map(|key| format!("Bearer {key}")))?,
            model: model.map(str::to_owned),
            most: if host == OPENAI_HOST { Most::CompletionTokens } else { Most::Tokens },
            output_max: None,
            counted_to: Vec::new(),
            picker: None,
            stream_usage: StreamUsage::Asked,
        })
    }

    /// Where an endpoint with a URL sends its requests; `name` is our name for its model.
    ///
    /// # Errors
    /// When the URL can't be read, or is one that requests must not go to.
    pub fn of(endpoint: &Endpoint, name: &str, key: Option<&str>) -> Result<Self, UpstreamError> {
        let (base, model) = (endpoint.url.as_str(), endpoint.upstream_model.as_deref());
        let Endpoint { dialect, output_max, picker, stream_usage, .. } = *endpoint;
        let counted_to = counted_to(endpoint).ok_or_else(|| UpstreamError::CountedTo(host(base).unwrap_or_default()))?;
        let plain = Self { dialect, output_max, counted_to, picker, stream_usage, ..Self::new(base, key, model)? };
        let (host, root) = (host(base)?, base.trim_end_matches('/'));
        let segment = segment(model.unwrap_or(name));
        let own = |header: &'static str| match endpoint.key_as {
            KeyAs::Dialect => secret(&host, HeaderName::from_static(header), key.map(str::to_owned)),
            KeyAs::Bearer => Ok(plain.secret.clone()),
        };
        Ok(match endpoint.dialect {
            Dialect::OpenAi => plain,
            Dialect::Azure => {
                let at = |call: &str| match &endpoint.api_version {
                    Some(version) => uri(base, format!("{root}/openai/deployments/{segment}/{call}?api-version={version}")),
                    None => uri(base, format!("{root}/{call}")),
                };
                let (chat, completions, embeddings) = (at("chat/completions")?, at("completions")?, at("embeddings")?);
                // The one call that names its deployment in the body.
                let responses = match &endpoint.api_version {
                    Some(version) => uri(base, format!("{root}/openai/responses?api-version={version}"))?,
                    None => plain.responses.clone(),
                };
                // The older surface learnt the newer name in late 2024 only.
                let most = if endpoint.api_version.is_some() { Most::Tokens } else { Most::CompletionTokens };
                Self { streamed: chat.clone(), chat, completions, embeddings, responses, secret: own("api-key")?, most, ..plain }
            }
            Dialect::Anthropic => {
                let chat = uri(base, format!("{root}/messages"))?;
                Self { streamed: chat.clone(), chat, secret: own("x-api-key")?, ..plain }
            }
            Dialect::Gemini => {
                let at = |call: &str| uri(base, format!("{root}/models/{segment}:{call}"));
                // Vertex takes tokens that expire, where the Gemini API has keys.
                let secret = if host.ends_with(VERTEX_HOSTS) { plain.secret.clone() } else { own("x-goog-api-key")? };
                Self { chat: at("generateContent")?, streamed: at("streamGenerateContent?alt=sse")?, secret, ..plain }
            }
        })
    }

    /// The same upstream moved to a process on this machine.
    ///
    /// # Errors
    /// When the address is not this machine's.
    pub fn moved_to(address: SocketAddr, model: Option<&str>) -> Result<Self, UpstreamError> {
        Self::new(&format!("http://{address}/v1"), None, model)
    }

    /// Whether a text of its own has its secret in it.
    pub(crate) fn is_told_in(&self, text: &[u8]) -> bool {
        let Some((_, secret)) = &self.secret else { return false };
        let secret = secret.as_bytes();
        let secret = secret.strip_prefix(b"Bearer ").unwrap_or(secret);
        !secret.is_empty() && memchr::memmem::find(text, secret).is_some()
    }

    /// Whether it is reached by TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.chat.scheme_str() == Some("https")
    }
}

/// The fields that say whom its supplier counts a request to; `None` where a text is none that a header may have.
fn counted_to(endpoint: &Endpoint) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let fields = [("openai-organization", &endpoint.organization), ("openai-project", &endpoint.project)];
    let field = |(name, text): (&'static str, &Option<String>)| {
        let value = HeaderValue::from_str(text.as_deref()?).ok();
        Some(value.map(|value| (HeaderName::from_static(name), value)))
    };
    fields.into_iter().filter_map(field).collect()
}

const OPENAI_HOST: &str = "api.openai.com";
const VERTEX_HOSTS: &str = "aiplatform.googleapis.com";

/// The host of a base URL that requests may go to.
fn host(base: &str) -> Result<String, UpstreamError> {
    // What can't be read may have a password in it all the same.
    let bad = || UpstreamError::Url(if base.contains('@') { String::new() } else { base.to_owned() });
    let uri: Uri = base.parse().map_err(|_| bad())?;
    let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
    if base.contains(['@', '?', '#', '\\']) {
        return Err(UpstreamError::Adorned(host));
    }
    let address = host.parse::<IpAddr>().ok();
    match (uri.scheme_str(), address) {
        (Some("http" | "https"), Some(address)) if fleet::address::is_forbidden(address) => Err(UpstreamError::Forbidden(host)),
        (Some("https"), _) => Ok(host),
        (Some("http"), Some(address)) if address.to_canonical().is_loopback() => Ok(host),
        (Some("http"), None) if is_local_name(&host) => Ok(host),
        (Some("http"), _) => Err(UpstreamError::InTheClear(host)),
        _ => Err(bad()),
    }
}

fn uri(base: &str, text: String) -> Result<Uri, UpstreamError> {
    text.parse().map_err(|_| UpstreamError::Url(base.to_owned()))
}

fn secret(host: &str, name: HeaderName, text: Option<String>) -> Result<Option<(HeaderName, HeaderValue)>, UpstreamError> {
    let Some(text) = text else { return Ok(None) };
    let mut value = HeaderValue::from_str(&text).map_err(|_| UpstreamError::Secret(host.to_owned()))?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// A model's name as a segment of a path: what is no letter, digit or one of `-._~` is escaped.
fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, want: &str) {
        let found = match Upstream::new(base, Some("canary"), None) {
            Ok(upstream) => upstream.chat.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, want, "{base}");
    }

    #[test]
    fn only_addresses_that_may_be_called_are_taken() {
        let refused = |host: &str| {
            format!("use the upstream {host}: link-local addresses, metadata services and addresses that nobody has are refused")
        };
        let unread = |base: &str| format!("read the upstream's base URL {base:?}: it should look like https://host/v1");
        let adorned = |host: &str| format!("use the upstream {host}: its base URL has a name, a password, a query or a fragment");
        for (base, host) in [
            ("https://good.example@evil.example/v1", "evil.example"),
            ("https://user:canary@host/v1", "host"),
            ("https://host/v1?x=", "host"),
            ("https://host/v1#x", "host"),
        ] {
            check(base, &adorned(host));
        }
        check("user:canary@//x/v1", &unread(""));
        for host in ["0.0.0.0", "100.100.100.200", "168.63.129.16", "255.255.255.255"] {
            check(&format!("https://{host}/v1"), &refused(host));
        }
        check("https://[fd00:ec2::254]/v1", &refused("fd00:ec2::254"));
        check("https://10.0.0.1/v1", "https://10.0.0.1/v1/chat/completions");
        check("https://api.example/v1/", "https://api.example/v1/chat/completions");
        check("http://127.0.0.1/v1", "http://127.0.0.1/v1/chat/completions");
        check("http://[::1]/v1", "http://[::1]/v1/chat/completions");
        check("http://api.example/v1", "use the upstream api.example: beyond this machine only https is allowed");
        check("http://169.254.169.254/v1", &refused("169.254.169.254"));
        check("https://[::ffff:169.254.169.254]/v1", &refused("::ffff:169.254.169.254"));
        check("ftp://api.example", "read the upstream's base URL \"ftp://api.example\": it should look like https://host/v1");
        check("nonsense", "read the upstream's base URL \"nonsense\": it should look like https://host/v1");
    }

    /// The upstream of an endpoint with these fields.
    fn of(fields: &str) -> Upstream {
        let text = format!(
            "format = 1\nname = \"lab\"\ncurrency = \"USD\"\n[models.m]\nparameters = \"1 B\"\ncontext = 1\n\
             [parties.p]\nroles = [\"supplier\"]\n[contracts.c]\nparty = \"p\"\npreset = \"on-demand\"\nendpoints = [\"e\"]\n\
             input = \"1 USD/1M tokens\"\noutput = \"1 USD/1M tokens\"\nstart = 2026-01-01\nend = 2030-01-01\n\
             [endpoints.e]\nmodel = \"m\"\n{fields}\n"
        );
        let parsed = fleet::parse(&text);
        let fleet = parsed.fleet.unwrap_or_else(|| unreachable!("{:#?}", parsed.diagnostics));
        let endpoint = &fleet.endpoints[fleet.endpoints.id("e").expect("it is there")];
        Upstream::of(endpoint, "m", Some("canary")).expect("a good URL")
    }

    /// Where an endpoint's chats go, whole and streamed, and in which header its key is.
    fn check_of(fields: &str, want: [&str; 3]) {
        let upstream = of(fields);
        let (header, secret) = upstream.secret.expect("it has a key");
        assert!(secret.is_sensitive());
        assert_eq!([upstream.chat.to_string(), upstream.streamed.to_string(), header.to_string()], want, "{fields}");
    }

    #[test]
    fn each_dialect_has_its_own_urls_and_header() {
        let chat = "https://x.example/v1/chat/completions";
        check_of("url = \"https://x.example/v1\"", [chat, chat, "authorization"]);
        check_of("dialect = \"azure\"\nurl = \"https://x.example/v1\"", [chat, chat, "api-key"]);
        let deployment = "https://x.example/openai/deployments/a%20b/chat/completions?api-version=2024-10-21";
        check_of(
            "dialect = \"azure\"\nurl = \"https://x.example/\"\napi_version = \"2024-10-21\"\nupstream_model = \"a b\"",
            [deployment, deployment, "api-key"],
        );
        let azure = of("dialect = \"azure\"\nurl = \"https://x.example/\"\napi_version = \"2025-04-01-preview\"");
        assert_eq!(azure.responses, "https://x.example/openai/responses?api-version=2025-04-01-preview", "its deployment is in the body");
        let messages = "https://x.example/v1/messages";
        check_of("dialect = \"anthropic\"\nurl = \"https://x.example/v1\"", [messages, messages, "x-api-key"]);
        // vLLM's Messages, behind a key.
        let bearer = "key = { env = \"K\" }\nkey_as = \"bearer\"\nurl = \"https://x.example/v1\"";
        check_of(&format!("dialect = \"anthropic\"\n{bearer}"), [messages, messages, "authorization"]);
        check_of(&format!("dialect = \"azure\"\n{bearer}"), [chat, chat, "authorization"]);
        check_of(bearer, [chat, chat, "authorization"]);
        let gemini = ["https://x.example/v1/models/m:generateContent", "https://x.example/v1/models/m:streamGenerateContent?alt=sse"];
        check_of("dialect = \"gemini\"\nurl = \"https://x.example/v1\"", [gemini[0], gemini[1], "x-goog-api-key"]);
        let vertex = "https://x-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google";
        check_of(
            &format!("dialect = \"gemini\"\nurl = \"{vertex}\""),
            [&format!("{vertex}/models/m:generateContent"), &format!("{vertex}/models/m:streamGenerateContent?alt=sse"), "authorization"],
        );
    }

    /// The secret of an upstream goes to the origin that its fleet file names, whatever the model is called.
    #[test]
    fn every_url_of_an_upstream_has_the_origin_of_its_base() {
        for model in ["m", "../../x", "@evil.example/", "//evil.example", "\\\\evil", "a?b#c", "%2e%2e", "é"] {
            for fields in ["dialect = \"gemini\"", "dialect = \"azure\"\napi_version = \"2024-10-21\"", "", "dialect = \"anthropic\""] {
                let upstream = of(&format!("url = \"https://x.example:8443/v1\"\n{fields}\nupstream_model = '{model}'"));
                for url in [&upstream.chat, &upstream.streamed, &upstream.completions, &upstream.embeddings, &upstream.responses] {
                    assert_eq!(url.authority().map(|host| host.as_str()), Some("x.example:8443"), "{url}");
                    assert_eq!(url.scheme_str(), Some("https"));
                }
            }
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let upstream = Upstream::new("https://api.example/v1", Some("canary-secret"), None).expect("a good URL");
        assert!(!format!("{upstream:?}").contains("canary"));
    }
}
