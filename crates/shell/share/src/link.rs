//! Where the shared database is, and a connection to it that never waits for long.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::ShareError;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The address of a shared database; prints without its password. Beyond this machine TLS is spoken, and asked for on it.
#[derive(Clone)]
pub struct Address(Config);

/// Why an address can't be used.
#[derive(Debug, thiserror::Error)]
#[error("read the address of the shared database: it is written postgres://USER:PASSWORD@HOST:PORT/NAME")]
pub struct AddressError(#[source] tokio_postgres::Error);

impl Address {
    /// Whether it holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.0.get_password().is_some()
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut config: Config = text.parse().map_err(AddressError)?;
        let beyond = config.get_hostaddrs().iter().any(|address| !address.is_loopback())
            // What is said to be at an address is not looked up.
            || config.get_hostaddrs().is_empty() && config.get_hosts().iter().any(is_beyond);
        // Never as it comes: whoever stands between could say that there is no TLS.
        let tls = beyond || config.get_ssl_mode() == SslMode::Require;
        config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
        config.connect_timeout(CONNECT_TIMEOUT).application_name("baseload");
        Ok(Self(config))
    }
}

/// Whether a name stands for more than this machine.
fn is_beyond(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name != "localhost" && !name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => false,
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({self})")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = match self.0.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = self.0.get_ports().first().map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "postgres://{host}{port}/{}", self.0.get_dbname().unwrap_or_default())
    }
}

impl Address {
    /// Connects. The connection ends with the client, or with the runtime that it was made in.
    pub(crate) async fn connect(&self) -> Result<Client, ShareError> {
        if self.0.get_ssl_mode() == SslMode::Require {
            self.connect_by(MakeRustlsConnect::new(trusting()?)).await
        } else {
            self.connect_by(NoTls).await
        }
    }

    async fn connect_by<T>(&self, tls: T) -> Result<Client, ShareError>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let (client, connection) = within(CONNECT_TIMEOUT, async { Ok(self.0.connect(tls).await?) }).await?;
        // What becomes of it is heard by whoever asks next.
        drop(tokio::spawn(connection));
        Ok(client)
    }
}

/// TLS with whoever this machine's authorities vouch for.
fn trusting() -> Result<ClientConfig, ShareError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(ShareError::Untrusting);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Gives up after a while: a network may swallow whatever is said.
pub(crate) async fn within<T>(time: Duration, work: impl Future<Output = Result<T, ShareError>>) -> Result<T, ShareError> {
    tokio::time::timeout(time, work).await.unwrap_or(Err(ShareError::Silent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_this_machine_tls_is_spoken_whatever_the_address_says() {
        let tls = |text: &str| text.parse::<Address>().map(|address| address.0.get_ssl_mode());
        for near in [
            "postgres://u:p@127.0.0.1:5432/b",
            "postgresql://u@localhost/b?sslmode=prefer",
            "postgres://u@[::1]/b",
            "postgres://%2Frun%2Fpg/b",
        ] {
            assert!(matches!(tls(near), Ok(SslMode::Disable)), "{near}");
        }
        for beyond in [
            "postgres://u:p@10.0.0.7/b?sslmode=disable",
            "postgres://u:p@db.example/b",
            "host=localhost hostaddr=10.0.0.7",
            "postgres://localhost,db/b",
            "postgres://u@localhost/b?sslmode=require",
        ] {
            assert!(matches!(tls(beyond), Ok(SslMode::Require)), "{beyond}");
        }
        assert!(tls("mysql://u@localhost/b").is_err());
    }

    #[test]
    fn no_password_is_printed() {
        let address: Address = "postgres://ada:s3cret@127.0.0.1:26432/books".parse().expect("an address");
        assert_eq!(format!("{address:?}"), "Address(postgres://127.0.0.1:26432/books)");
    }
}
