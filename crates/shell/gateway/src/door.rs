//! Where connections come in, and what is behind it.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::tls::Certificate;

/// What a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Everything.
    All,
    /// Calls under `/v1`.
    Calls,
    /// Metrics, status and probes.
    Operation,
}

/// A listener, with TLS or without.
pub struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) certificate: Option<Arc<Certificate>>,
    pub(crate) behind: Behind,
}

impl Door {
    /// A listener in the clear, for everything.
    #[must_use]
    pub fn plain(listener: TcpListener) -> Self {
        Self { listener, certificate: None, behind: Behind::All }
    }

    /// A listener for `behind`, with TLS where there is a certificate.
    #[must_use]
    pub fn new(listener: TcpListener, certificate: Option<Arc<Certificate>>, behind: Behind) -> Self {
        Self { listener, certificate, behind }
    }
}
