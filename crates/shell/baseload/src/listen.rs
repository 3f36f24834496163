//! Where the service listens, and with which certificate.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use gateway::{Behind, Certificate, Door};
use tokio::net::TcpListener;

use crate::exit::wrong;
use crate::log;
use crate::secrets::read_private;
use crate::watched::Mark;

/// A certificate's files.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The chain.
    pub chain: PathBuf,
    /// Its private key, which only its owner may read.
    pub key: PathBuf,
}

/// Where to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// For calls, and without `admin` for everything.
    pub at: SocketAddr,
    /// For metrics, status and probes.
    pub admin: Option<SocketAddr>,
    /// The certificate of both.
    pub tls: Option<Tls>,
}

/// Where the service listens.
pub struct Doors {
    /// The listeners.
    pub doors: Vec<Door>,
    /// For calls.
    pub at: SocketAddr,
    /// For metrics, status and probes.
    pub admin: Option<SocketAddr>,
    /// The certificate, to be shown anew when its files change.
    pub certificate: Option<Shown>,
}

impl Listen {
    /// In the clear, on this machine.
    pub fn plain(at: SocketAddr) -> Self {
        Self { at, admin: None, tls: None }
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        [Some(self.at), self.admin].into_iter().flatten()
    }

    /// The address beyond this machine, if any.
    fn beyond(&self) -> Option<SocketAddr> {
        self.addresses().find(|address| !address.ip().to_canonical().is_loopback())
    }

    /// Refuses to listen beyond this machine in the clear.
    pub fn check(&self) -> Result<()> {
        match self.beyond() {
            Some(address) if self.tls.is_none() => Err(wrong(format!(
                "will not listen on {address}: keys and prompts would travel in the clear. Listen on 127.0.0.1, or use `baseload up` with \
                 --tls-cert and --tls-key"
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses to listen beyond this machine while nobody has a key.
    pub fn check_keys(&self, keys: usize, state: &Path) -> Result<()> {
        match self.beyond() {
            Some(address) if keys == 0 => Err(wrong(format!(
                "will not listen on {address}: there is no key yet. Make one first: baseload key create NAME --state {}",
                state.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Begins to listen.
    pub async fn open(&self) -> Result<Doors> {
        let bind = async |address: SocketAddr| {
            let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
            let at = listener.local_addr().context("ask where the gateway listens")?;
            Ok::<_, anyhow::Error>((listener, at))
        };
        let certificate = self.tls.as_ref().map(Shown::read).transpose()?;
        let shown = || certificate.as_ref().map(|shown| Arc::clone(&shown.certificate));
        let (listener, at) = bind(self.at).await?;
        let behind = if self.admin.is_some() { Behind::Calls } else { Behind::All };
        let mut doors = vec![Door::new(listener, shown(), behind)];
        let mut admin = None;
        if let Some(address) = self.admin {
            let (listener, at) = bind(address).await?;
            // Scrapers and probes on this machine need no TLS.
            let certificate = if at.ip().to_canonical().is_loopback() { None } else { shown() };
            doors.push(Door::new(listener, certificate, Behind::Operation));
            admin = Some(at);
        }
        Ok(Doors { doors, at, admin, certificate })
    }
}

/// A certificate that is shown, with the files that it comes from.
pub struct Shown {
    certificate: Arc<Certificate>,
    tls: Tls,
    marks: Mutex<[Mark; 2]>,
}

impl Shown {
    fn read(tls: &Tls) -> Result<Self> {
        // Before the files are read, so that no change between is missed.
        let marks = Mutex::new(marks(tls));
        let (chain, key) = pem(tls)?;
        let certificate = Certificate::new(&chain, &key).with_context(|| format!("use the certificate {}", tls.chain.display()))?;
        Ok(Self { certificate: Arc::new(certificate), tls: tls.clone(), marks })
    }

    /// Shows the files as they are now, if they have changed.
    pub fn refresh(&self) -> Result<()> {
        let mut marks_now = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = marks(&self.tls);
        if *marks_now == found {
            return Ok(());
        }
        let (chain, key) = pem(&self.tls).context("keep the old certificate")?;
        self.certificate.replace(&chain, &key).context("keep the old certificate")?;
        // Only now: what can't be read for a while is read again.
        *marks_now = found;
        log::say(format_args!("the certificate {} has changed and is shown from now on", self.tls.chain.display()));
        Ok(())
    }
}

fn marks(tls: &Tls) -> [Mark; 2] {
    [Mark::of(&tls.chain), Mark::of(&tls.key)]
}

fn pem(tls: &Tls) -> Result<(Vec<u8>, zeroize::Zeroizing<Vec<u8>>)> {
    let chain = fs::read(&tls.chain).with_context(|| format!("read the certificate {}", tls.chain.display()))?;
    Ok((chain, read_private(&tls.key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at: &str, admin: Option<&str>, has_tls: bool, want: [bool; 2]) {
        let address = |text: &str| text.parse().expect("an address");
        let tls = has_tls.then(|| Tls { chain: PathBuf::new(), key: PathBuf::new() });
        let listen = Listen { at: address(at), admin: admin.map(address), tls };
        let found = [listen.check().is_ok(), listen.check_keys(0, Path::new("state")).is_ok()];
        assert_eq!(found, want, "{at} {admin:?}");
        assert!(listen.check_keys(1, Path::new("state")).is_ok());
    }

    #[test]
    fn beyond_this_machine_tls_and_a_key_are_needed() {
        check("127.0.0.1:0", None, false, [true, true]);
        check("[::1]:0", Some("127.0.0.2:0"), false, [true, true]);
        check("[::ffff:127.0.0.1]:0", None, false, [true, true]);
        for beyond in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0", "[::ffff:10.0.0.1]:0", "169.254.1.1:0"] {
            check(beyond, None, false, [false, false]);
            check(beyond, None, true, [true, false]);
            check("127.0.0.1:0", Some(beyond), false, [false, false]);
        }
    }
}
