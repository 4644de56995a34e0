//! Redacts addresses for messages, and finds those inside of a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use provisioner_core::excerpt;
use url::Url;

/// The largest number of characters of an address that a message shows, or of what a connection failed for. A server may make both long.
pub(crate) const MOST_SHOWN_CHARS: usize = 400;

/// The largest number of characters of a host's name (RFC 1035, section 2.3.4), with the dot of a whole name.
pub(crate) const MAX_HOST_CHARS: usize = 254;

/// Returns an address as a message may show it: its beginning, without the parts that may be secret. A signed address carries its
/// signature in the query.
///
/// ```
/// let url = source_http::Url::parse("https://cdn.example/x?Signature=secret#y").unwrap();
/// assert_eq!(source_http::redacted(&url), "https://cdn.example/x");
/// ```
pub fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // Neither can fail for an address that has a host.
    let _ = (shown.set_username(""), shown.set_password(None));
    excerpt(shown.as_str(), MOST_SHOWN_CHARS)
}

/// Says where an address is, as far as its number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Anywhere else.
    Public,
    /// On this machine.
    Loopback,
    /// In a network around this machine, or that of a carrier.
    Private,
    /// On the link itself, as a cloud's metadata is, or nowhere that a source may be.
    LinkLocal,
}

/// Returns a host in lower case, without the brackets of an IPv6 address and without the dot of a whole name.
pub(crate) fn bare_host(host: &str) -> String {
    host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase()
}

/// Returns the zone of a [bare](bare_host) host that is a number, or a name of this machine. `None` for any other name: only the
/// resolver knows.
pub(crate) fn zone_of_host(host: &str) -> Option<Zone> {
    match host.parse() {
        Ok(ip) => Some(zone_of_ip(ip)),
        // Names below it are this machine too (RFC 6761).
        Err(_) => (host.rsplit('.').next() == Some("localhost")).then_some(Zone::Loopback),
    }
}

/// Returns the zone of an address.
pub(crate) fn zone_of_ip(ip: IpAddr) -> Zone {
    match ip.to_canonical() {
        IpAddr::V4(ip) => zone_of_v4(ip),
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unspecified() => Zone::Loopback,
        IpAddr::V6(ip) if ip.is_unique_local() => Zone::Private,
        // The network itself translates the second ones, to wherever it likes (RFC 8215).
        IpAddr::V6(ip) if ip.is_unicast_link_local() || ip.segments().starts_with(&[0x64, 0xff9b, 1]) => {
            Zone::LinkLocal
        }
        IpAddr::V6(ip) => v4_within(ip).map_or(Zone::Public, zone_of_v4),
    }
}

/// Returns the zone of an address, by the IANA's registry of special addresses, as far as a machine may have it.
fn zone_of_v4(ip: Ipv4Addr) -> Zone {
    match ip.octets() {
        // This network leads to this machine.
        [0 | 127, ..] => Zone::Loopback,
        // Those of a carrier and of measurements.
        _ if ip.is_private() || matches!(ip.octets(), [100, 64..=127, ..] | [198, 18..=19, ..]) => {
            Zone::Private
        }
        [192, 0, 0, _] => Zone::LinkLocal,
        _ if ip.is_link_local() || ip.is_broadcast() => Zone::LinkLocal,
        _ => Zone::Public,
    }
}

/// Returns the IPv4 address to which an IPv6 address leads: a compatible one, one of NAT64 (RFC 6052) or of 6to4 (RFC 3056).
fn v4_within(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_not_shown() {
        let url = Url::parse("https://cdn.example/x?Signature=secret#y").unwrap();
        assert_eq!(redacted(&url), "https://cdn.example/x");
    }

    #[test]
    fn what_is_inside_of_a_network_is_told_by_its_number() {
        let check = |address: &str| {
            let host = bare_host(Url::parse(address).unwrap().host_str().unwrap());
            zone_of_host(&host).is_some_and(|zone| zone != Zone::Public)
        };
        for inside in [
            "10.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "[::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "hub.localhost",
            "hub.localhost.",
            "127.0.0.1.",
            "0.0.0.0",
            "0.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "198.19.255.255",
            "255.255.255.255",
            "[::]",
            "[::127.0.0.1]",
            "[::10.0.0.1]",
            "[::ffff:100.64.0.1]",
            "[64:ff9b::a00:1]",
            "[64:ff9b::169.254.169.254]",
            "[64:ff9b:1::808:808]",
            "[2002:a00:1::]",
            "[fc00::1]",
            "[fdff::1]",
            "[febf::1]",
        ] {
            assert!(check(&format!("https://{inside}/x")), "{inside}");
        }
        for outside in [
            "8.8.8.8",
            "1.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "172.32.0.0",
            "[2001:db8::1]",
            "[::ffff:8.8.8.8]",
            "[::8.8.8.8]",
            "[64:ff9b::808:808]",
            "[64:ff9b:0:0:1::a00:1]",
            "[2002:808:808::]",
            "[fe00::1]",
            "[fec0::1]",
            "10.example",
            "hub.corp",
            "hub.corp.",
            "localhost.example",
            "notlocalhost",
        ] {
            assert!(!check(&format!("https://{outside}/x")), "{outside}");
        }
    }
}
