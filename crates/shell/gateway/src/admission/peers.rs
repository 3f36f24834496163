//! Connections and requests by the address that they come from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One address with what it has open.
#[derive(Debug, Default)]
struct Peer {
    connections: AtomicUsize,
    under_way: AtomicUsize,
}

/// Every address that has a connection: no more of them than there may be connections. Locked when one is opened or closed, never for a request.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<HashMap<IpAddr, Arc<Peer>>>);

/// One connection; counted out when dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    peers: Arc<Peers>,
    address: IpAddr,
    peer: Arc<Peer>,
}

impl Peers {
    /// Counts a connection in, unless its address has `max` already.
    pub fn visit(self: &Arc<Self>, from: IpAddr, max: usize) -> Option<Arc<Visit>> {
        let address = neighbourhood(from);
        let mut peers = self.lock();
        let peer = Arc::clone(peers.entry(address).or_default());
        // Only changed under the lock.
        if peer.connections.load(Ordering::Relaxed) >= max {
            return None;
        }
        peer.connections.fetch_add(1, Ordering::Relaxed);
        drop(peers);
        Some(Arc::new(Visit { peers: Arc::clone(self), address, peer }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Peer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit {
    /// Requests under way from this address.
    pub fn under_way(&self) -> &AtomicUsize {
        &self.peer.under_way
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut peers = self.peers.lock();
        if self.peer.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            peers.remove(&self.address);
        }
    }
}

/// What counts as one address: with IPv6 a whole /64, which is the least that anyone is given.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_is_forgotten_with_the_last() {
        let peers = Arc::new(Peers::default());
        let visit = |address: &str| peers.visit(address.parse().expect("an address"), 2);
        let (first, second) = (visit("2001:db8::1"), visit("2001:db8::2"));
        assert!(first.is_some() && second.is_some() && visit("2001:db8::3").is_none(), "one network is one peer");
        let other = visit("2001:db8:0:1::1");
        let mapped = (visit("::ffff:192.0.2.1"), visit("192.0.2.1"));
        assert!(other.is_some() && mapped.1.is_some() && visit("192.0.2.1").is_none(), "however the address is written");
        drop(first);
        assert!(visit("2001:db8::3").is_some());
        drop((second, other, mapped));
        assert!(peers.lock().is_empty());
    }
}
