//! Where an endpoint's requests are sent.

use std::net::{IpAddr, SocketAddr};

use hyper::Uri;
use hyper::header::HeaderValue;

/// An upstream's address and the secret that it wants; the secret is bound to the address and is never printed.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The URL of chat completions.
    pub(crate) chat: Uri,
    /// The URL of completions.
    pub(crate) completions: Uri,
    /// The URL of embeddings.
    pub(crate) embeddings: Uri,
    /// The URL of responses.
    pub(crate) responses: Uri,
    /// What to send as `authorization`: marked sensitive, so `Debug` does not show it.
    pub(crate) authorization: Option<HeaderValue>,
    /// What the upstream calls the model, when it is not our name for it.
    pub(crate) model: Option<String>,
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
    /// A link-local address, where clouds keep their machines' credentials.
    #[error("use the upstream {0}: link-local addresses are refused")]
    LinkLocal(String),
    /// The secret has characters that no header may have.
    #[error("use the secret of upstream {0}: it has characters that a header can't carry")]
    Secret(String),
}

impl Upstream {
    /// An upstream at `base`, such as `https://host/v1`, with the key it wants and what it calls the model.
    ///
    /// # Errors
    /// When the URL can't be read, or is one that requests must not go to.
    pub fn new(base: &str, key: Option<&str>, model: Option<&str>) -> Result<Self, UpstreamError> {
        let bad = || UpstreamError::Url(base.to_owned());
        let uri: Uri = base.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        let address = host.parse::<IpAddr>().ok();
        match (uri.scheme_str(), address) {
            (Some("http" | "https"), Some(address)) if link_local(address) => return Err(UpstreamError::LinkLocal(host)),
            (Some("https"), _) => {}
            (Some("http"), Some(address)) if address.is_loopback() => {}
            (Some("http"), None) if host == "localhost" => {}
            (Some("http"), _) => return Err(UpstreamError::InTheClear(host)),
            _ => return Err(bad()),
        }
        let root = base.trim_end_matches('/');
        let authorization = key.map(|key| HeaderValue::from_str(&format!("Bearer {key}"))).transpose();
        let mut authorization = authorization.map_err(|_| UpstreamError::Secret(host))?;
        authorization.iter_mut().for_each(|value| value.set_sensitive(true));
        Ok(Self {
            chat: format!("{root}/chat/completions").parse().map_err(|_| bad())?,
            embeddings: format!("{root}/embeddings").parse().map_err(|_| bad())?,
            responses: format!("{root}/responses").parse().map_err(|_| bad())?,
            completions: format!("{root}/completions").parse().map_err(|_| bad())?,
            authorization,
            model: model.map(str::to_owned),
        })
    }

    /// The same upstream moved to a process on this machine.
    ///
    /// # Errors
    /// When the address is not this machine's.
    pub fn moved_to(address: SocketAddr, model: Option<&str>) -> Result<Self, UpstreamError> {
        Self::new(&format!("http://{address}/v1"), None, model)
    }

    /// Whether it is reached by TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.chat.scheme_str() == Some("https")
    }
}

fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_link_local()),
    }
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
        check("https://api.example/v1/", "https://api.example/v1/chat/completions");
        check("http://127.0.0.1/v1", "http://127.0.0.1/v1/chat/completions");
        check("http://[::1]/v1", "http://[::1]/v1/chat/completions");
        check("http://api.example/v1", "use the upstream api.example: beyond this machine only https is allowed");
        check("http://169.254.169.254/v1", "use the upstream 169.254.169.254: link-local addresses are refused");
        check("https://[::ffff:169.254.169.254]/v1", "use the upstream ::ffff:169.254.169.254: link-local addresses are refused");
        check("ftp://api.example", "read the upstream's base URL \"ftp://api.example\": it should look like https://host/v1");
        check("nonsense", "read the upstream's base URL \"nonsense\": it should look like https://host/v1");
    }

    #[test]
    fn the_secret_is_not_printed() {
        let upstream = Upstream::new("https://api.example/v1", Some("canary-secret"), None).expect("a good URL");
        assert!(!format!("{upstream:?}").contains("canary"));
    }
}
