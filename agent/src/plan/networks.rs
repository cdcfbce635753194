//! IP networks as text: CIDR, one address, or the keywords PRIVATE and MULTICAST.

use std::net::IpAddr;

use super::pipeline::Subnet;

/// Networks of a CIDR, an address or a keyword.
pub(crate) fn parse_networks(text: &str) -> Option<Vec<Subnet>> {
    let listed = |list: &[&str]| list.iter().map(|cidr| parse_subnet(cidr)).collect();
    match text.to_ascii_uppercase().as_str() {
        "PRIVATE" => listed(&PRIVATE),
        "MULTICAST" => listed(&MULTICAST),
        _ => parse_subnet(text).map(|network| vec![network]),
    }
}

/// The language's own list: loopback and link-local multicast are in it.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "224.0.0.0/24",
    "169.254.0.0/16",
    "fd00::/8",
    "fe80::/10",
    "::1/128",
];
const MULTICAST: [&str; 2] = ["224.0.0.0/4", "ff00::/8"];

/// `address[/length]`: host bits are cleared, no length means the one address.
fn parse_subnet(text: &str) -> Option<Subnet> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (bits, offset, max) = match address {
        IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), 96, 32),
        IpAddr::V6(v6) => (v6.octets(), 0, 128),
    };
    let length = match length {
        None => max,
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse::<u8>().ok()?,
        Some(_) => return None,
    };
    if length > max {
        return None;
    }
    let prefix = offset + length;
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    Some(Subnet {
        network: (u128::from_be_bytes(bits) & mask).to_be_bytes(),
        prefix,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets() {
        let show = |s: Subnet| format!("{}/{}", crate::text::ip(s.network), s.prefix);
        for (text, expected) in [
            ("192.168.1.1/16", Some("192.168.0.0/112")),
            ("10.0.0.1", Some("10.0.0.1/128")),
            ("0.0.0.0/0", Some("0.0.0.0/96")),
            ("::/0", Some("::/0")),
            ("FE80::1/64", Some("fe80::/64")),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("10.0.0/8", None),
            ("::!!!.50", None),
        ] {
            assert_eq!(parse_subnet(text).map(show).as_deref(), expected, "{text}");
        }
        assert_eq!(parse_networks("private").map(|n| n.len()), Some(9));
    }
}
