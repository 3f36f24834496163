//! TLS of connections in: the certificate that is shown, and who it can be replaced by while connections go on.

use std::sync::Arc;

use crate::cork::Corked;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Why a certificate can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The chain is no PEM, or has no certificate.
    #[error("read the certificate: a PEM file with the chain is needed, the server's own first")]
    Chain,
    /// The key is no PEM, or has no key.
    #[error("read the certificate's key: a PEM file with one private key is needed")]
    Key,
    /// They can't be used together, or at all.
    #[error("use the certificate with its key")]
    Unusable(#[source] rustls::Error),
}

/// The certificate that connections in are shown; replaced, it holds for connections from then on.
pub struct Certificate(ArcSwap<ServerConfig>);

impl Certificate {
    /// A certificate chain and its private key, both in PEM.
    ///
    /// # Errors
    /// When they can't be read or do not belong together.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        config(chain, key).map(|config| Self(ArcSwap::new(config)))
    }

    /// Shows another one from now on; when that can't be used, the old one stays.
    ///
    /// # Errors
    /// When they can't be read or do not belong together.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        self.0.store(config(chain, key)?);
        Ok(())
    }

    /// The handshake.
    pub(crate) async fn shake(&self, stream: Corked) -> std::io::Result<TlsStream<Corked>> {
        TlsAcceptor::from(self.0.load_full()).accept(stream).await
    }
}

fn config(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, CertificateError> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|_| CertificateError::Chain)?;
    if chain.is_empty() {
        return Err(CertificateError::Chain);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::Key)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_protocol_versions(&[&TLS13, &TLS12]);
    let builder = builder.map_err(CertificateError::Unusable)?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).map_err(CertificateError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
