//! Fields of IPv4 and IPv6.

use std::borrow::Cow;

use etherparse::ip_number::{
    IPV6_DESTINATION_OPTIONS, IPV6_FRAGMENTATION_HEADER, IPV6_HEADER_HOP_BY_HOP, IPV6_ROUTE_HEADER,
};

use super::{FieldSpec, FieldValue, field, payload, uint};
use crate::decode::bytes;
use crate::decode::network::{Extension, Extensions};
use crate::decode::packet::{Network, Packet};
use crate::types::EvType::{Bool, Bytes, Ip, Ipv4, String, UInt8, UInt16, UInt32};

const PORT_NOTE: &str =
    "IP has no ports: read as the port of the TCP, UDP or SCTP header behind this IP header";

pub(super) static FIELDS: &[FieldSpec] = &[
    field("ipv4", "Version", UInt8, "4", |p| {
        uint(bytes::u8(v4(p), 0).map(|b| b >> 4))
    }),
    field("ipv4", "IHL", UInt8, "header length in 32-bit words", |p| {
        uint(bytes::u8(v4(p), 0).map(|b| b & 15))
    }),
    field("ipv4", "TOS", UInt8, "type of service: DSCP and ECN", |p| {
        uint(bytes::u8(v4(p), 1))
    }),
    field("ipv4", "Length", UInt16, "total length in bytes", |p| {
        uint(bytes::u16(v4(p), 2))
    }),
    field("ipv4", "ID", UInt16, "identification", |p| {
        uint(bytes::u16(v4(p), 4))
    }),
    field(
        "ipv4",
        "Flag",
        UInt8,
        "flags: 1 more fragments, 2 don't fragment",
        |p| uint(bytes::u8(v4(p), 6).map(|b| b >> 5)),
    )
    .alias(&[("ipv4", "Flags")]),
    field(
        "ipv4",
        "FragOffset",
        UInt16,
        "fragment offset in units of 8 bytes",
        |p| uint(bytes::u16(v4(p), 6).map(|f| f & 0x1fff)),
    ),
    field("ipv4", "TTL", UInt8, "time to live", |p| {
        uint(bytes::u8(v4(p), 8))
    }),
    field("ipv4", "Protocol", UInt8, "protocol of the payload", |p| {
        uint(bytes::u8(v4(p), 9))
    }),
    field("ipv4", "Checksum", UInt16, "header checksum", |p| {
        uint(bytes::u16(v4(p), 10))
    }),
    field("ipv4", "SrcIP", Ipv4, "source address", |p| {
        v4_address(p, 12)
    }),
    field("ipv4", "DstIP", Ipv4, "destination address", |p| {
        v4_address(p, 16)
    }),
    field("ipv4", "IP", Ipv4, "address of either side", |p| {
        v4_address(p, 12)
    })
    .either("SrcIP", "DstIP"),
    field("ipv4", "Payload", Bytes, "what follows the header", |p| {
        payload(v4(p), bytes::u8(v4(p), 0).map(|b| usize::from(b & 15) * 4))
    }),
    field(
        "ipv4",
        "SrcPort",
        UInt16,
        "source port of the transport",
        |p| uint(ports(p, Network::V4).map(|p| p.0)),
    )
    .tolerated(PORT_NOTE),
    field(
        "ipv4",
        "DstPort",
        UInt16,
        "destination port of the transport",
        |p| uint(ports(p, Network::V4).map(|p| p.1)),
    )
    .tolerated(PORT_NOTE),
    field(
        "ipv4",
        "Port",
        UInt16,
        "transport port of either side",
        |p| uint(ports(p, Network::V4).map(|p| p.0.min(p.1))),
    )
    .either("SrcPort", "DstPort")
    .tolerated(PORT_NOTE),
    field("ipv6", "Version", UInt8, "6", |p| {
        uint(bytes::u8(v6(p), 0).map(|b| b >> 4))
    }),
    field("ipv6", "TrafficClass", UInt8, "DSCP and ECN", |p| {
        uint(bytes::u16(v6(p), 0).map(|f| f >> 4 & 0xff))
    }),
    field("ipv6", "FlowLabel", UInt32, "flow label", |p| {
        uint(bytes::u32(v6(p), 0).map(|f| f & 0xf_ffff))
    }),
    field("ipv6", "Length", UInt16, "payload length in bytes", |p| {
        uint(bytes::u16(v6(p), 4))
    }),
    field(
        "ipv6",
        "NextHeader",
        UInt8,
        "next header of the fixed header",
        |p| uint(bytes::u8(v6(p), 6)),
    ),
    field("ipv6", "HopLimit", UInt8, "hop limit", |p| {
        uint(bytes::u8(v6(p), 7))
    }),
    field("ipv6", "SrcIP", Ip, "source address", |p| v6_address(p, 8)),
    field("ipv6", "DstIP", Ip, "destination address", |p| {
        v6_address(p, 24)
    }),
    field("ipv6", "IP", Ip, "address of either side", |p| {
        v6_address(p, 8)
    })
    .either("SrcIP", "DstIP"),
    field(
        "ipv6",
        "Payload",
        Bytes,
        "what follows the fixed header",
        |p| payload(v6(p), Some(40)),
    ),
    field(
        "ipv6",
        "Extensions",
        String,
        "extension headers, comma-separated",
        extensions,
    ),
    field(
        "ipv6",
        "FragOffset",
        UInt16,
        "fragment offset in units of 8 bytes",
        |p| uint(extension(p, IPV6_FRAGMENTATION_HEADER.0)?.fragment_offset()),
    ),
    field(
        "ipv6",
        "MoreFragments",
        Bool,
        "whether fragments follow",
        |p| super::bit(extension(p, IPV6_FRAGMENTATION_HEADER.0)?.data, 3, 1),
    ),
    field(
        "ipv6",
        "FragID",
        UInt32,
        "identification of the fragments",
        |p| {
            uint(bytes::u32(
                extension(p, IPV6_FRAGMENTATION_HEADER.0)?.data,
                4,
            ))
        },
    ),
    field(
        "ipv6",
        "RoutingType",
        UInt8,
        "type of the routing header (4: segment routing)",
        |p| uint(bytes::u8(extension(p, IPV6_ROUTE_HEADER.0)?.data, 2)),
    ),
    field(
        "ipv6",
        "SegmentsLeft",
        UInt8,
        "segments left of the routing header",
        |p| uint(bytes::u8(extension(p, IPV6_ROUTE_HEADER.0)?.data, 3)),
    ),
    field(
        "ipv6",
        "SrcPort",
        UInt16,
        "source port of the transport",
        |p| uint(ports(p, Network::V6).map(|p| p.0)),
    )
    .tolerated(PORT_NOTE),
    field(
        "ipv6",
        "DstPort",
        UInt16,
        "destination port of the transport",
        |p| uint(ports(p, Network::V6).map(|p| p.1)),
    )
    .tolerated(PORT_NOTE),
    field(
        "ipv6",
        "Port",
        UInt16,
        "transport port of either side",
        |p| uint(ports(p, Network::V6).map(|p| p.0.min(p.1))),
    )
    .either("SrcPort", "DstPort")
    .tolerated(PORT_NOTE),
];

#[inline]
fn v4<'a>(packet: &Packet<'a>) -> &'a [u8] {
    packet.network_of(Network::V4)
}

#[inline]
fn v6<'a>(packet: &Packet<'a>) -> &'a [u8] {
    packet.network_of(Network::V6)
}

#[inline]
fn v4_address<'a>(packet: &Packet<'a>, at: usize) -> Option<FieldValue<'a>> {
    bytes::u32(v4(packet), at).map(FieldValue::Ipv4)
}

#[inline]
fn v6_address<'a>(packet: &Packet<'a>, at: usize) -> Option<FieldValue<'a>> {
    bytes::array(v6(packet), at).map(FieldValue::Ip)
}

fn ports(packet: &Packet<'_>, kind: Network) -> Option<(u16, u16)> {
    (packet.network_kind == kind).then(|| packet.ports())?
}

fn extension<'a>(packet: &Packet<'a>, kind: u8) -> Option<Extension<'a>> {
    Extensions::new(v6(packet)).find(|e| e.kind == kind)
}

fn extensions<'a>(packet: &Packet<'a>) -> Option<FieldValue<'a>> {
    let names: Vec<&str> = Extensions::new(v6(packet))
        .map(|e| match e.kind {
            k if k == IPV6_HEADER_HOP_BY_HOP.0 => "hopopts",
            k if k == IPV6_ROUTE_HEADER.0 => "routing",
            k if k == IPV6_FRAGMENTATION_HEADER.0 => "fragment",
            k if k == IPV6_DESTINATION_OPTIONS.0 => "dstopts",
            _ => "other",
        })
        .collect();
    (!names.is_empty()).then(|| FieldValue::String(Cow::Owned(names.join(","))))
}
