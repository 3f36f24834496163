//! Which addresses the names of upstreams may stand for. What is checked here is what is connected to: nothing asks again.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fleet::address::{carried, is_forbidden};
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// Asks the machine's resolver for a name's addresses.
type Ask = dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync;

/// The resolver of connections to upstreams: gives only addresses that a name may stand for.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Ask>);

impl Resolver {
    /// One that asks the machine's own.
    pub fn of_machine() -> Self {
        Self(Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })))
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let asked = (self.0)(name.as_str().to_owned());
        Box::pin(async move {
            let here = is_local_name(name.as_str());
            let found = asked.await?;
            let checked: Vec<SocketAddr> =
                found.into_iter().filter(|address| may_stand_for(here, *address)).map(|address| SocketAddr::new(address, 0)).collect();
            if checked.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the name stands for no address that it may stand for"));
            }
            Ok(checked.into_iter())
        })
    }
}

/// Whether a name is this machine's own.
pub(crate) fn is_local_name(name: &str) -> bool {
    name.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

/// Whether a name may stand for an address: this machine's own for this machine, any other for a public address only.
fn may_stand_for(here: bool, address: IpAddr) -> bool {
    let address = address.to_canonical();
    if here { address.is_loopback() } else { is_public(address) }
}

fn is_public(address: IpAddr) -> bool {
    if is_forbidden(address) || address.is_loopback() {
        return false;
    }
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let special = (a, b, c) == (192, 0, 0) || (a == 198 && (18..20).contains(&b)) || a >= 240;
            !(v4.is_private() || v4.is_documentation() || shared || special)
        }
        IpAddr::V6(v6) => {
            // Beyond 2000::/3 nothing is routed; what carries an IPv4 address is judged by it.
            let global = v6.segments()[0] & 0xe000 == 0x2000 && v6.segments()[..2] != [0x2001, 0xdb8];
            match carried(v6) {
                Some(v4) => is_public(v4.into()),
                None => global,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_name_stands_for_public_addresses_only() {
        let public = ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1", "64:ff9b::101:101", "2002:101:101::1"];
        for text in public {
            assert!(may_stand_for(false, address(text)), "{text}");
        }
        let refused = [
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            "fe80::1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "192.0.2.1",
            "::",
            "::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2002:a00:1::1",
            "::10.0.0.1",
        ];
        for text in refused {
            assert!(!may_stand_for(false, address(text)), "{text}");
        }
    }

    #[test]
    fn this_machines_name_stands_for_this_machine_only() {
        assert!(is_local_name("localhost") && is_local_name("LOCALHOST.") && !is_local_name("localhost.evil.example"));
        assert!(may_stand_for(true, address("127.0.0.1")) && may_stand_for(true, address("::1")));
        assert!(!may_stand_for(true, address("1.1.1.1")) && !may_stand_for(true, address("169.254.169.254")));
    }

    /// What a name that stands for `found` is connected to.
    async fn check(name: &str, found: &[&str], want: &[&str]) {
        let found: Vec<IpAddr> = found.iter().map(|text| address(text)).collect();
        let mut resolver = Resolver(Arc::new(move |_| {
            let found = found.clone();
            Box::pin(async move { Ok(found) })
        }));
        let name: Name = name.parse().expect("a name");
        let given: Vec<String> = match resolver.call(name).await {
            Ok(given) => given.map(|address| address.ip().to_string()).collect(),
            Err(error) => vec![error.kind().to_string()],
        };
        assert_eq!(given, want);
    }

    #[tokio::test]
    async fn what_a_name_may_not_stand_for_is_never_connected_to() {
        check("api.example", &["1.1.1.1", "10.0.0.1"], &["1.1.1.1"]).await;
        check("api.example", &["169.254.169.254"], &["permission denied"]).await;
        check("localhost", &["127.0.0.1", "::1"], &["127.0.0.1", "::1"]).await;
        check("localhost", &["1.1.1.1"], &["permission denied"]).await;
    }

    /// A name whose second answer differs, as in DNS rebinding, is asked for once for each connection: the checked answer is used.
    #[tokio::test]
    async fn a_connection_asks_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let resolver = Resolver(Arc::new(move |_| {
            let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
            Box::pin(async move { Ok(vec![if first { address("169.254.169.254") } else { address("127.0.0.1") }]) })
        }));
        let mut connector = hyper_util::client::legacy::connect::HttpConnector::new_with_resolver(resolver);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let uri: hyper::Uri = format!("http://rebound.example:{port}/").parse().expect("a URL");
        assert!(connector.call(uri).await.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
