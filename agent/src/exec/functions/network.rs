//! Functions of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::in_subnet::SubnetSet;
use super::text::{one, two};
use super::value::{Value, mapped_v4};
use super::{Entry, strict};
use crate::plan::pipeline::Subnet;

pub(super) const FUNCTIONS: &[Entry] = &[
    strict("ip_in_cidr_text", |_, v| two(v, in_network)),
    strict("ip_in_cidr", |_, v| two(v, in_network)),
    strict("subnet", |_, v| two(v, subnet)),
    strict("ip_category", |_, v| one(v, category)),
    strict("to_ip", |_, v| {
        one(v, |v| parse_ip(&v.text()).map_or(Value::Null, Value::Ip))
    }),
    strict("to_mac", |_, v| {
        one(v, |v| parse_mac(&v.text()).map_or(Value::Null, Value::Mac))
    }),
];

/// An address of either family, IPv4 as mapped.
pub(super) fn parse_ip(text: &str) -> Option<[u8; 16]> {
    Some(match text.trim().parse().ok()? {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    })
}

/// Six hex octets parted by `:`, `-` or nothing.
pub(super) fn parse_mac(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ':' | '-' | '.'))
        .collect();
    let valid = digits.len() == 12 && digits.chars().all(|c| c.is_ascii_hexdigit());
    valid
        .then(|| u64::from_str_radix(&digits, 16).ok())
        .flatten()
}

fn parse_network(text: &str) -> Option<Subnet> {
    let (address, prefix) = match text.trim().split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let network = parse_ip(address)?;
    let family_bits: u8 = if mapped_v4(network).is_some() && !address.contains(':') {
        32
    } else {
        128
    };
    let prefix = prefix.unwrap_or(family_bits);
    (prefix <= family_bits).then(|| Subnet {
        network,
        prefix: prefix + (128 - family_bits),
    })
}

fn in_network<'a>(address: &Value<'a>, network: &Value<'a>) -> Value<'a> {
    let address = match address {
        Value::Ip(address) => Some(*address),
        Value::Str(text) => parse_ip(text),
        _ => None,
    };
    match (address, parse_network(&network.text())) {
        (Some(address), Some(network)) => Value::Bool(SubnetSet::new(&[network]).contains(address)),
        _ => Value::Null,
    }
}

fn subnet<'a>(address: &Value<'a>, prefix: &Value<'a>) -> Value<'a> {
    let (Value::Ip(address), Some(prefix)) = (address, prefix.as_int()) else {
        return Value::Null;
    };
    let host_bits = |bits: i64| u32::try_from((bits - prefix).clamp(0, bits)).unwrap_or(0);
    match mapped_v4(*address) {
        Some(v4) => {
            let mask = u32::MAX.checked_shl(host_bits(32)).unwrap_or(0);
            Value::Ip(Ipv4Addr::from(v4 & mask).to_ipv6_mapped().octets())
        }
        None => {
            let mask = u128::MAX.checked_shl(host_bits(128)).unwrap_or(0);
            Value::Ip((u128::from_be_bytes(*address) & mask).to_be_bytes())
        }
    }
}

/// The categories of the query language: PRIVATE is wider than RFC 1918.
fn category<'a>(address: &Value<'a>) -> Value<'a> {
    let Value::Ip(bytes) = address else {
        return Value::Null;
    };
    let (multicast, private) = match mapped_v4(*bytes).map(Ipv4Addr::from) {
        Some(v4) => (
            v4.is_multicast(),
            v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        ),
        None => {
            let v6 = Ipv6Addr::from(*bytes);
            let head = v6.segments()[0];
            (
                v6.is_multicast(),
                v6.is_loopback() || v6.is_unicast_link_local() || head >> 8 == 0xfd,
            )
        }
    };
    Value::string(if multicast {
        "MULTICAST"
    } else if private {
        "PRIVATE"
    } else {
        "PUBLIC"
    })
}
