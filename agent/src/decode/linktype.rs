//! Link types: their names and the first header of their frames.

use super::bytes::{self, from};
use super::walk::{Next, after_type, pppoe};
use super::{cards, dot11, juniper, networks};
use crate::frame::LinkType;

struct Link {
    number: u16,
    name: &'static str,
    first: fn(&[u8]) -> Next<'_>,
}

const fn link(number: u16, name: &'static str, first: fn(&[u8]) -> Next<'_>) -> Link {
    Link {
        number,
        name,
        first,
    }
}

/// Link types that are decoded; sorted by number. Names are those of
/// <https://www.tcpdump.org/linktypes.html> without the prefix.
static LINKS: &[Link] = &[
    link(0, "NULL", null),
    link(1, "ETHERNET", |d| Next::Ethernet(d)),
    link(3, "AX25", networks::ax25),
    link(6, "IEEE802_5", networks::token_ring),
    link(7, "ARCNET_BSD", networks::arcnet_bsd),
    link(9, "PPP", ppp),
    link(10, "FDDI", networks::fddi),
    // Some numbers of systems were written to files by some programs: 11 of DLT_ATM_RFC1483, 12
    // and 14 of DLT_RAW, 13 of DLT_ENC, 16, 18 and 19 of DLT_ATM_CLIP, 112 of DLT_C_HDLC.
    link(11, "ATM_RFC1483", |d| Next::Llc(d)),
    link(12, "RAW", raw),
    link(13, "ENC", enc),
    link(14, "RAW", raw),
    link(16, "ATM_CLIP", clip),
    link(18, "ATM_CLIP", clip),
    link(19, "ATM_CLIP", clip),
    link(50, "PPP_HDLC", ppp),
    link(51, "PPP_ETHER", pppoe),
    link(99, "SYMANTEC_FIREWALL", symantec),
    link(100, "ATM_RFC1483", |d| Next::Llc(d)),
    link(101, "RAW", raw),
    link(104, "C_HDLC", cisco_hdlc),
    link(105, "IEEE802_11", |d| Next::Dot11(d)),
    link(106, "ATM_CLIP", clip),
    link(107, "FRELAY", frame_relay),
    link(108, "LOOP", null),
    link(109, "ENC", enc),
    link(112, "C_HDLC", cisco_hdlc),
    link(113, "LINUX_SLL", |d| {
        cooked(bytes::u16(d, 2), bytes::u16(d, 14), from(d, 16))
    }),
    link(117, "PFLOG", pflog),
    link(119, "IEEE802_11_PRISM", dot11::prism),
    link(122, "IP_OVER_FC", |d| Next::Llc(from(d, 16))),
    link(123, "SUNATM", networks::sun_atm),
    link(127, "IEEE802_11_RADIOTAP", dot11::radiotap),
    link(128, "TZSP", cards::tzsp),
    link(129, "ARCNET_LINUX", networks::arcnet_linux),
    link(130, "JUNIPER_MLPPP", |d| {
        juniper::juniper(d, juniper::multilink_ppp)
    }),
    link(131, "JUNIPER_MLFR", |d| {
        juniper::juniper(d, juniper::multilink_frame_relay)
    }),
    link(135, "JUNIPER_ATM2", |d| juniper::juniper(d, juniper::atm2)),
    link(137, "JUNIPER_ATM1", |d| juniper::juniper(d, juniper::atm1)),
    link(138, "APPLE_IP_OVER_IEEE1394", |d| after_type(d, 16)),
    // Darwin wrote PKTAP under the number that is USER2 elsewhere, before it had its own.
    link(149, "PKTAP", pktap),
    link(163, "IEEE802_11_AVS", dot11::avs),
    link(166, "PPP_PPPD", |d| ppp(from(d, 1))),
    link(167, "JUNIPER_PPPOE", |d| {
        juniper::juniper(d, |d| Next::Ethernet(d))
    }),
    link(178, "JUNIPER_ETHER", |d| {
        juniper::juniper(d, |d| Next::Ethernet(d))
    }),
    link(179, "JUNIPER_PPP", |d| {
        juniper::juniper(d, juniper::behind_two)
    }),
    link(180, "JUNIPER_FRELAY", |d| juniper::juniper(d, frame_relay)),
    link(181, "JUNIPER_CHDLC", |d| juniper::juniper(d, cisco_hdlc)),
    link(192, "PPI", ppi),
    link(197, "ERF", cards::erf),
    link(202, "AX25_KISS", networks::kiss),
    link(204, "PPP_WITH_DIR", |d| ppp(from(d, 1))),
    link(226, "IPNET", cards::ipnet),
    link(228, "IPV4", |d| Next::Ipv4(d)),
    link(229, "IPV6", |d| Next::Ipv6(d)),
    link(239, "NFLOG", nflog),
    link(240, "NETANALYZER", |d| Next::Ethernet(from(d, 4))),
    // Two addresses, type, two reserved bytes (RFC 4391, 6).
    link(242, "IPOIB", |d| behind(bytes::u16(d, 40), from(d, 44))),
    link(258, "PKTAP", pktap),
    link(259, "EPON", networks::epon),
    link(276, "LINUX_SLL2", |d| {
        cooked(bytes::u16(d, 8), bytes::u16(d, 0), from(d, 20))
    }),
];

fn entry(link_type: LinkType) -> Option<&'static Link> {
    let at = LINKS
        .binary_search_by_key(&link_type.0, |l| l.number)
        .ok()?;
    LINKS.get(at)
}

/// Name of a link type that is decoded.
pub fn link_type_name(link_type: LinkType) -> Option<&'static str> {
    entry(link_type).map(|l| l.name)
}

/// Whether frames of a link type are decoded. Of others, only the `frame` fields can be read.
pub fn is_decodable(link_type: LinkType) -> bool {
    entry(link_type).is_some()
}

/// The link types that are decoded, with their names.
pub fn link_types() -> impl Iterator<Item = (LinkType, &'static str)> {
    LINKS.iter().map(|l| (LinkType(l.number), l.name))
}

/// The first header of a frame.
pub(super) fn first(link_type: LinkType, data: &[u8]) -> Next<'_> {
    match entry(link_type) {
        Some(link) => (link.first)(data),
        None => Next::Stop,
    }
}

/// What an EtherType that does not stand directly before it names.
fn behind(kind: Option<u16>, data: &[u8]) -> Next<'_> {
    kind.map_or(Next::Stop, |kind| Next::EtherType(kind, data))
}

/// Symantec Enterprise Firewall: the type at one of two places, the header of one of two lengths.
fn symantec(data: &[u8]) -> Next<'_> {
    match (bytes::u16(data, 6), bytes::u16(data, 20)) {
        (Some(kind @ 1..), Some(0)) => behind(Some(kind), from(data, 44)),
        (Some(0), Some(kind @ 1..)) => behind(Some(kind), from(data, 56)),
        _ => Next::Stop,
    }
}

/// Linux Classical IP over ATM: IP, with or without LLC and SNAP before it.
fn clip(data: &[u8]) -> Next<'_> {
    match data {
        [0xaa, 0xaa, 3, ..] => Next::Llc(data),
        _ => Next::Ip(data),
    }
}

/// Address family of the system that captured, in its byte order (BSD null and loop).
fn null(data: &[u8]) -> Next<'_> {
    if data.starts_with(&[0xff, 0x03]) {
        return ppp(data);
    }
    address_family(bytes::u32(data, 0), from(data, 4))
}

/// BSD's encapsulation device (IPsec): address family, index, flags.
fn enc(data: &[u8]) -> Next<'_> {
    address_family(bytes::u32(data, 0), from(data, 12))
}

fn address_family(family: Option<u32>, data: &[u8]) -> Next<'_> {
    let Some(family) = family else {
        return Next::Stop;
    };
    // All families are below 2^8: the other order shows in the low half. IRIX has the family in
    // the first sixteen bits alone.
    let family = match family {
        0..=0xffff => family,
        _ if family & 0xffff == 0 && family >> 16 < 0x600 => family >> 16,
        _ => family.swap_bytes(),
    };
    let family = match family {
        0x0100.. if family & 0xff == 0 => family >> 8,
        _ => family,
    };
    match family {
        2 => Next::Ipv4(data),
        // NetBSD and OpenBSD, FreeBSD, Darwin; Linux and Windows do not write their own.
        24 | 28 | 30 => Next::Ipv6(data),
        0x0800 => Next::Ipv4(data),
        0x86dd => Next::Ipv6(data),
        _ => Next::Stop,
    }
}

/// Raw IP, behind the remains of PPP that some Linux drivers left there.
fn raw(data: &[u8]) -> Next<'_> {
    for at in [0, 6, 1] {
        if bytes::u16(data, at) == Some(0xff03) {
            return ppp(from(data, at));
        }
    }
    if data.starts_with(&[0; 10]) {
        return Next::Ip(from(data, 10));
    }
    Next::Ip(data)
}

/// Cisco HDLC: address, control, protocol. The number of RARP is SLARP here (keep-alives).
fn cisco_hdlc(data: &[u8]) -> Next<'_> {
    match bytes::u16(data, 2) {
        Some(0x8035) => Next::Stop,
        _ => after_type(data, 2),
    }
}

/// PPP, with HDLC address and control or without.
pub(super) fn ppp(data: &[u8]) -> Next<'_> {
    match data {
        // All stations; the control byte is another one than 03 in numbered mode (RFC 1663).
        [0xff, _, rest @ ..] => Next::Ppp(rest),
        // Cisco HDLC addresses: unicast and broadcast.
        [0x0f | 0x8f, 0, ..] => cisco_hdlc(data),
        _ => Next::Ppp(data),
    }
}

/// Linux cooked: the hardware type (if_arp.h) may change what the protocol (if_ether.h) means.
fn cooked(hardware: Option<u16>, protocol: Option<u16>, data: &[u8]) -> Next<'_> {
    const NETLINK: u16 = 824;
    const FRAME_RELAY: u16 = 770;
    const GRE: u16 = 778;
    const RADIOTAP: u16 = 803;
    let (Some(hardware), Some(protocol)) = (hardware, protocol) else {
        return Next::Stop;
    };
    match (hardware, protocol) {
        (NETLINK, _) => Next::Stop,
        // ERSPAN type I and PPP, as GRE numbers them.
        (GRE, 0x88be) => Next::Ethernet(data),
        (GRE, 0x880b) => ppp(data),
        (_, kind @ 0x601..) => Next::EtherType(kind, data),
        (FRAME_RELAY, _) => frame_relay(data),
        (RADIOTAP, _) => dot11::radiotap(data),
        // ETH_P_ALL, ETH_P_802_2, ETH_P_PPP_MP.
        (_, 3) => Next::Ethernet(data),
        (_, 4) => Next::Llc(data),
        (_, 7) => ppp(data),
        _ => Next::Stop,
    }
}

/// Frame Relay (Q.922 address, RFC 2427), or Cisco's encapsulation, with an EtherType.
fn frame_relay(data: &[u8]) -> Next<'_> {
    let Some(address) = data.iter().take(4).position(|b| b & 1 == 1) else {
        return Next::Stop;
    };
    let rest = from(data, address + 1);
    match rest {
        [0x03, rest @ ..] => network_layer_protocol(rest),
        _ if address == 1 => after_type(rest, 0),
        _ => Next::Stop,
    }
}

/// NLPID (ISO/IEC TR 9577), perhaps behind a padding byte.
pub(super) fn network_layer_protocol(data: &[u8]) -> Next<'_> {
    match data {
        [0, rest @ ..] if !rest.is_empty() => network_layer_protocol_unpadded(rest),
        _ => network_layer_protocol_unpadded(data),
    }
}

fn network_layer_protocol_unpadded(data: &[u8]) -> Next<'_> {
    match data {
        // Without padding (RFC 2427, 4.2).
        [0x80, rest @ ..] => super::walk::snap(rest, 0),
        [0xcc, rest @ ..] => Next::Ipv4(rest),
        [0x8e, rest @ ..] => Next::Ipv6(rest),
        [0xcf, rest @ ..] => Next::Ppp(rest),
        _ => Next::Stop,
    }
}

/// PF log: header length, address family.
fn pflog(data: &[u8]) -> Next<'_> {
    let (Some(length), Some(family)) = (bytes::u8(data, 0), bytes::u8(data, 1)) else {
        return Next::Stop;
    };
    // The header is padded to a multiple of four (pflogd, BPF_WORDALIGN).
    let length = usize::from(length).next_multiple_of(4);
    if length < 28 {
        return Next::Stop;
    }
    address_family(Some(u32::from(family)), from(data, length))
}

/// Per-Packet Information: version, flags, length and link type of the rest (little-endian).
fn ppi(data: &[u8]) -> Next<'_> {
    wrapped(
        bytes::u16_le(data, 2).map(u32::from),
        bytes::u32_le(data, 4),
        data,
    )
}

/// PKTAP: length, record type, link type of the rest (little-endian).
fn pktap(data: &[u8]) -> Next<'_> {
    wrapped(bytes::u32_le(data, 0), bytes::u32_le(data, 8), data)
}

/// A header that states its length and the link type of what follows; not again of its own kind,
/// so that the nesting is bounded.
fn wrapped(length: Option<u32>, inner: Option<u32>, data: &[u8]) -> Next<'_> {
    let length = length.and_then(|l| usize::try_from(l).ok());
    let inner = inner.and_then(|i| u16::try_from(i).ok()).map(LinkType);
    match (length, inner) {
        (Some(length @ 8..), Some(inner)) if !matches!(inner, LinkType(149 | 192 | 258)) => {
            first(inner, from(data, length))
        }
        _ => Next::Stop,
    }
}

/// NFLOG: address family, then attributes (length and type in the order of the capturing host,
/// which is the lower-order guess that makes the first length small).
fn nflog(data: &[u8]) -> Next<'_> {
    const PAYLOAD: u16 = 9;
    let Some(family) = bytes::u8(data, 0) else {
        return Next::Stop;
    };
    let big_endian = matches!(
        (bytes::u16(data, 4), bytes::u16_le(data, 4)),
        (Some(big), Some(little)) if big < little
    );
    let read = if big_endian {
        bytes::u16
    } else {
        bytes::u16_le
    };
    let mut rest = from(data, 4);
    while let (Some(length), Some(kind)) = (read(rest, 0), read(rest, 2)) {
        let length = usize::from(length);
        if length < 4 {
            return Next::Stop;
        }
        if kind & 0x7fff == PAYLOAD {
            let payload = bytes::upto(rest, length).get(4..).unwrap_or_default();
            return match family {
                2 => Next::Ipv4(payload),
                10 => Next::Ipv6(payload),
                _ => Next::Stop,
            };
        }
        rest = from(rest, length.next_multiple_of(4));
    }
    Next::Stop
}
