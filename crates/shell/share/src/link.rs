//! Where the shared database is, and a connection to it that never waits for long.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use crate::error::ShareError;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The address of a shared database; prints without its password.
#[derive(Clone)]
pub struct Address(Config);

/// Why an address can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is none.
    #[error("read the address of the shared database: it is written postgres://USER:PASSWORD@HOST:PORT/NAME")]
    Unreadable(#[source] tokio_postgres::Error),
    /// It is beyond this machine.
    #[error(
        "use the shared database at {host}: beyond this machine it takes TLS, which this version does not speak: let a tunnel or a pooler end on this machine"
    )]
    Beyond {
        /// Where.
        host: String,
    },
    /// It asks for TLS.
    #[error("use the shared database with TLS: this version does not speak it: let a tunnel or a pooler end on this machine")]
    Tls,
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut config: Config = text.parse().map_err(AddressError::Unreadable)?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(AddressError::Tls);
        }
        let beyond = |host: String| Err(AddressError::Beyond { host });
        if let Some(address) = config.get_hostaddrs().iter().find(|address| !address.is_loopback()) {
            return beyond(address.to_string());
        }
        // What is said to be at an address is not looked up.
        let named = config.get_hosts().iter().filter(|_| config.get_hostaddrs().is_empty());
        for host in named {
            if let Host::Tcp(name) = host
                && name != "localhost"
                && !name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            {
                return beyond(name.clone());
            }
        }
        config.connect_timeout(CONNECT_TIMEOUT).application_name("baseload").ssl_mode(SslMode::Disable);
        Ok(Self(config))
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
        let (client, connection) = within(CONNECT_TIMEOUT, async { Ok(self.0.connect(NoTls).await?) }).await?;
        // What becomes of it is heard by whoever asks next.
        drop(tokio::spawn(connection));
        Ok(client)
    }
}

/// Gives up after a while: a network may swallow whatever is said.
pub(crate) async fn within<T>(time: Duration, work: impl Future<Output = Result<T, ShareError>>) -> Result<T, ShareError> {
    tokio::time::timeout(time, work).await.unwrap_or(Err(ShareError::Silent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_without_tls() {
        for good in ["postgres://u:p@127.0.0.1:5432/b", "postgresql://u@localhost/b", "postgres://u@[::1]/b", "postgres://%2Frun%2Fpg/b"] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for beyond in
            ["postgres://u:p@10.0.0.7/b", "postgres://u:p@db.example/b", "host=localhost hostaddr=10.0.0.7", "postgres://localhost,db/b"]
        {
            assert!(matches!(beyond.parse::<Address>(), Err(AddressError::Beyond { .. })), "{beyond}");
        }
        assert!(matches!("postgres://u@localhost/b?sslmode=require".parse::<Address>(), Err(AddressError::Tls)));
        assert!(matches!("mysql://u@localhost/b".parse::<Address>(), Err(AddressError::Unreadable(_))));
    }

    #[test]
    fn no_password_is_printed() {
        let address: Address = "postgres://ada:s3cret@127.0.0.1:26432/books".parse().expect("an address");
        assert_eq!(format!("{address:?}"), "Address(postgres://127.0.0.1:26432/books)");
    }
}
