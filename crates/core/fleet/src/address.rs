//! Addresses that no upstream may have.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one where clouds keep what must not be asked for: link-local, or none at all. Not even a fleet file may name it.
#[must_use]
pub fn is_forbidden(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets()[0] == 0 || v4.is_broadcast() || v4.is_multicast() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6 == METADATA_V6
                || carried(v6).is_some_and(|v4| is_forbidden(v4.into()))
        }
    }
}

/// The metadata services that have no link-local address: Alibaba's and Oracle's older one, and Azure's host.
const METADATA_V4: [Ipv4Addr; 3] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
/// Amazon's, over IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The IPv4 address that an IPv6 address carries: NAT64, 6to4, or IPv4-compatible.
#[must_use]
pub fn carried(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let words = v6.segments();
    let four = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match words {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(four(high, low)),
        [0x2002, high, low, ..] => Some(four(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(four(high, low)),
        _ => None,
    }
}
