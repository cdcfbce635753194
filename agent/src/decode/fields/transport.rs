//! Fields of TCP, UDP, SCTP, ICMP, ICMPv6.

use std::net::Ipv4Addr;

use etherparse::ip_number::{ICMP, IPV6_ICMP, SCTP, TCP, UDP};

use super::{FieldSpec, FieldValue, bit, field, payload, uint};
use crate::decode::bytes::{self, upto};
use crate::decode::packet::{Network, Packet};
use crate::types::EvType::{Bool, Bytes, Ip, UInt8, UInt16, UInt32};

const ADDRESS_NOTE: &str =
    "a transport header has no addresses: read as the address of the IP header before it";

pub(super) static FIELDS: &[FieldSpec] = &[
    field("tcp", "SrcPort", UInt16, "source port", |p| {
        source_port(p, TCP.0)
    }),
    field("tcp", "DstPort", UInt16, "destination port", |p| {
        destination_port(p, TCP.0)
    }),
    field(
        "tcp",
        "Port",
        UInt16,
        "port of either side; unfiltered, the lower",
        |p| lower_port(p, TCP.0),
    )
    .either("SrcPort", "DstPort"),
    field("tcp", "SeqNum", UInt32, "sequence number", |p| {
        uint(bytes::u32(tcp(p), 4))
    }),
    field("tcp", "AckNum", UInt32, "acknowledgement number", |p| {
        uint(bytes::u32(tcp(p), 8))
    }),
    field(
        "tcp",
        "DataOffset",
        UInt8,
        "header length in 32-bit words",
        |p| uint(bytes::u8(tcp(p), 12).map(|b| b >> 4)),
    ),
    field("tcp", "NS", Bool, "nonce flag", |p| bit(tcp(p), 12, 1)),
    field("tcp", "CWR", Bool, "congestion window reduced flag", |p| {
        bit(tcp(p), 13, 0x80)
    }),
    field("tcp", "ECE", Bool, "congestion echo flag", |p| {
        bit(tcp(p), 13, 0x40)
    }),
    field("tcp", "URG", Bool, "urgent flag", |p| bit(tcp(p), 13, 0x20)),
    field("tcp", "ACK", Bool, "acknowledgement flag", |p| {
        bit(tcp(p), 13, 0x10)
    }),
    field("tcp", "PSH", Bool, "push flag", |p| bit(tcp(p), 13, 8)),
    field("tcp", "RST", Bool, "reset flag", |p| bit(tcp(p), 13, 4)),
    field("tcp", "SYN", Bool, "synchronise flag", |p| {
        bit(tcp(p), 13, 2)
    }),
    field("tcp", "FIN", Bool, "finish flag", |p| bit(tcp(p), 13, 1)),
    field("tcp", "Window", UInt16, "window, not scaled", |p| {
        uint(bytes::u16(tcp(p), 14))
    }),
    field("tcp", "Checksum", UInt16, "checksum", |p| {
        uint(bytes::u16(tcp(p), 16))
    }),
    field("tcp", "Urgent", UInt16, "urgent pointer", |p| {
        uint(bytes::u16(tcp(p), 18))
    }),
    field(
        "tcp",
        "Payload",
        Bytes,
        "data of the segment, padding cut",
        |p| payload(tcp(p), tcp_header(p)),
    ),
    field("tcp", "SrcIP", Ip, "source address of the packet", |p| {
        address(p, TCP.0, 0)
    })
    .tolerated(ADDRESS_NOTE),
    field(
        "tcp",
        "DstIP",
        Ip,
        "destination address of the packet",
        |p| address(p, TCP.0, 1),
    )
    .tolerated(ADDRESS_NOTE),
    field("udp", "SrcPort", UInt16, "source port", |p| {
        source_port(p, UDP.0)
    }),
    field("udp", "DstPort", UInt16, "destination port", |p| {
        destination_port(p, UDP.0)
    }),
    field(
        "udp",
        "Port",
        UInt16,
        "port of either side; unfiltered, the lower",
        |p| lower_port(p, UDP.0),
    )
    .either("SrcPort", "DstPort"),
    field(
        "udp",
        "Length",
        UInt16,
        "length of header and data in bytes",
        |p| uint(bytes::u16(udp(p), 4)),
    ),
    field("udp", "Checksum", UInt16, "checksum", |p| {
        uint(bytes::u16(udp(p), 6))
    }),
    field(
        "udp",
        "Payload",
        Bytes,
        "data of the datagram, padding cut",
        udp_payload,
    ),
    field("udp", "SrcIP", Ip, "source address of the packet", |p| {
        address(p, UDP.0, 0)
    })
    .tolerated(ADDRESS_NOTE),
    field(
        "udp",
        "DstIP",
        Ip,
        "destination address of the packet",
        |p| address(p, UDP.0, 1),
    )
    .tolerated(ADDRESS_NOTE),
    field("sctp", "SrcPort", UInt16, "source port", |p| {
        source_port(p, SCTP.0)
    }),
    field("sctp", "DstPort", UInt16, "destination port", |p| {
        destination_port(p, SCTP.0)
    }),
    field(
        "sctp",
        "Port",
        UInt16,
        "port of either side; unfiltered, the lower",
        |p| lower_port(p, SCTP.0),
    )
    .either("SrcPort", "DstPort"),
    field("sctp", "VerificationTag", UInt32, "verification tag", |p| {
        uint(bytes::u32(p.transport_of(SCTP.0), 4))
    }),
    field("sctp", "Checksum", UInt32, "CRC32c", |p| {
        uint(bytes::u32(p.transport_of(SCTP.0), 8))
    }),
    field("sctp", "ChunkType", UInt8, "type of the first chunk", |p| {
        uint(bytes::u8(p.transport_of(SCTP.0), 12))
    }),
    field("sctp", "Payload", Bytes, "the chunks", |p| {
        payload(p.transport_of(SCTP.0), Some(12))
    }),
    field("icmpv4", "Type", UInt8, "type", |p| {
        uint(bytes::u8(icmp(p), 0))
    }),
    field("icmpv4", "Code", UInt8, "code", |p| {
        uint(bytes::u8(icmp(p), 1))
    }),
    field("icmpv4", "Checksum", UInt16, "checksum", |p| {
        uint(bytes::u16(icmp(p), 2))
    }),
    field(
        "icmpv4",
        "ID",
        UInt16,
        "identifier, of echo and the like",
        |p| uint(bytes::u16(icmp(p), 4)),
    ),
    field(
        "icmpv4",
        "Seq",
        UInt16,
        "sequence number, of echo and the like",
        |p| uint(bytes::u16(icmp(p), 6)),
    ),
    field(
        "icmpv4",
        "Payload",
        Bytes,
        "what follows the 8-byte header",
        |p| payload(icmp(p), Some(8)),
    ),
    field("icmpv6", "Type", UInt8, "type", |p| {
        uint(bytes::u8(icmp6(p), 0))
    }),
    field("icmpv6", "Code", UInt8, "code", |p| {
        uint(bytes::u8(icmp6(p), 1))
    }),
    field("icmpv6", "Checksum", UInt16, "checksum", |p| {
        uint(bytes::u16(icmp6(p), 2))
    }),
    field(
        "icmpv6",
        "Payload",
        Bytes,
        "what follows the 4-byte header",
        |p| payload(icmp6(p), Some(4)),
    ),
];

#[inline]
fn tcp<'a>(packet: &Packet<'a>) -> &'a [u8] {
    packet.transport_of(TCP.0)
}

fn udp<'a>(packet: &Packet<'a>) -> &'a [u8] {
    packet.transport_of(UDP.0)
}

fn icmp<'a>(packet: &Packet<'a>) -> &'a [u8] {
    packet.transport_of(ICMP.0)
}

fn icmp6<'a>(packet: &Packet<'a>) -> &'a [u8] {
    packet.transport_of(IPV6_ICMP.0)
}

/// Both ports of a protocol: neither is there unless both are, as in tshark.
#[inline]
fn ports(packet: &Packet<'_>, protocol: u8) -> Option<(u16, u16)> {
    let [a, b, c, d] = bytes::array(packet.transport_of(protocol), 0)?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[inline]
fn source_port<'a>(packet: &Packet<'a>, protocol: u8) -> Option<FieldValue<'a>> {
    uint(ports(packet, protocol).map(|p| p.0))
}

#[inline]
fn destination_port<'a>(packet: &Packet<'a>, protocol: u8) -> Option<FieldValue<'a>> {
    uint(ports(packet, protocol).map(|p| p.1))
}

fn lower_port<'a>(packet: &Packet<'a>, protocol: u8) -> Option<FieldValue<'a>> {
    uint(ports(packet, protocol).map(|p| p.0.min(p.1)))
}

/// Length of the TCP header in bytes; one below the fixed part has no payload behind it.
pub(super) fn tcp_header(packet: &Packet<'_>) -> Option<usize> {
    let length = usize::from(bytes::u8(tcp(packet), 12)? >> 4) * 4;
    (length >= 20).then_some(length)
}

/// Data of a datagram: its length cuts, unless it says nothing (0, jumbograms) or lies.
fn udp_payload<'a>(packet: &Packet<'a>) -> Option<FieldValue<'a>> {
    let datagram = udp(packet);
    let length = usize::from(bytes::u16(datagram, 4)?);
    let whole = if length < 8 {
        datagram
    } else {
        upto(datagram, length)
    };
    payload(whole, Some(8))
}

/// Source (0) or destination (1) address of a packet whose transport is this.
fn address<'a>(packet: &Packet<'a>, protocol: u8, side: usize) -> Option<FieldValue<'a>> {
    if packet.transport_of(protocol).is_empty() {
        return None;
    }
    let octets = match packet.network_kind {
        Network::None => return None,
        Network::V4 => {
            let address = bytes::u32(packet.network, 12 + 4 * side)?;
            Ipv4Addr::from(address).to_ipv6_mapped().octets()
        }
        Network::V6 => bytes::array(packet.network, 8 + 16 * side)?,
    };
    Some(FieldValue::Ip(octets))
}
