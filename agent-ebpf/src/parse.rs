//! The header walk: Ethernet, VLAN tags, IPv4 or IPv6 with its extension headers, ports.
//!
//! The walk fills in what it learns and stops with the reason. Loops have
//! constant bounds and offsets a constant limit, so that the verifier can follow.

use agent_common::TupleEvent;
use agent_common::event::marks;
use agent_common::net::{
    ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_OFFSET, ETHERTYPE_QINQ, ETHERTYPE_VLAN,
    FRAGMENT_HEADER_BYTES, IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, MAX_IPV6_EXTENSIONS,
    MAX_VLAN_TAGS, PROTOCOL_FRAGMENT, PROTOCOL_TCP, VLAN_TAG_BYTES, has_ports, is_ipv6_extension,
    map_ipv4,
};

use crate::packet::Packet;

/// Why a walk ended before the ports; each has a counter of its name.
pub(crate) enum Stop {
    TooShort,
    NotIp,
    Fragment,
    TooManyHeaders,
}

type Walk = Result<(), Stop>;

/// Reads the headers of a frame into `event`.
#[inline(always)]
pub(crate) fn walk(packet: &Packet<'_>, event: &mut TupleEvent) -> Walk {
    let mut offset = ETHERTYPE_OFFSET;
    let mut ethertype = packet.u16(offset).ok_or(Stop::TooShort)?;
    for depth in 0..MAX_VLAN_TAGS {
        if !matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_QINQ) {
            break;
        }
        let control = packet.u16(offset + 2).ok_or(Stop::TooShort)?;
        if depth == 0 {
            event.set_vlan(control);
        }
        offset += VLAN_TAG_BYTES;
        ethertype = packet.u16(offset).ok_or(Stop::TooShort)?;
    }
    match ethertype {
        ETHERTYPE_IPV4 => ipv4(packet, offset + 2, event),
        ETHERTYPE_IPV6 => ipv6(packet, offset + 2, event),
        _ => Err(Stop::NotIp),
    }
}

/// RFC 791.
#[inline(always)]
fn ipv4(packet: &Packet<'_>, offset: usize, event: &mut TupleEvent) -> Walk {
    let header: [u8; IPV4_HEADER_BYTES] = packet.bytes(offset).ok_or(Stop::TooShort)?;
    let [
        first,
        _,
        l0,
        l1,
        _,
        _,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = header;
    let header_bytes = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header_bytes < IPV4_HEADER_BYTES {
        return Err(Stop::NotIp);
    }
    event.source = map_ipv4([s0, s1, s2, s3]);
    event.destination = map_ipv4([d0, d1, d2, d3]);
    event.protocol = protocol;
    event.mark(marks::IP);
    if u16::from_be_bytes([f0, f1]) & 0x1fff != 0 {
        event.mark(marks::FRAGMENT);
        return Err(Stop::Fragment);
    }
    // A total length of zero is that of a frame which the card is still to cut up
    // (segmentation offload, BIG TCP): then the frame's end is the packet's.
    let total = usize::from(u16::from_be_bytes([l0, l1]));
    let available = if total == 0 {
        usize::MAX
    } else {
        total.saturating_sub(header_bytes)
    };
    ports(packet, offset + header_bytes, available, event)
}

/// RFC 8200.
#[inline(always)]
fn ipv6(packet: &Packet<'_>, offset: usize, event: &mut TupleEvent) -> Walk {
    let fixed: [u8; 8] = packet.bytes(offset).ok_or(Stop::TooShort)?;
    let [first, _, _, _, l0, l1, next_header, _] = fixed;
    if first >> 4 != 6 {
        return Err(Stop::NotIp);
    }
    event.source = packet.bytes(offset + 8).ok_or(Stop::TooShort)?;
    event.destination = packet.bytes(offset + 24).ok_or(Stop::TooShort)?;
    event.protocol = next_header;
    event.mark(marks::IP);
    // Zero is a jumbogram (RFC 2675): the frame's end is the packet's.
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let available = if length == 0 { usize::MAX } else { length };
    extensions(packet, offset + IPV6_HEADER_BYTES, available, event)
}

/// Steps over extension headers, then reads the ports.
#[inline(always)]
fn extensions(packet: &Packet<'_>, start: usize, payload: usize, event: &mut TupleEvent) -> Walk {
    let mut offset = start;
    for _ in 0..MAX_IPV6_EXTENSIONS {
        let is_fragment = event.protocol == PROTOCOL_FRAGMENT;
        if !is_fragment && !is_ipv6_extension(event.protocol) {
            break;
        }
        let [next_header, units] = packet.bytes(offset).ok_or(Stop::TooShort)?;
        event.protocol = next_header;
        if is_fragment {
            later_fragment(packet, offset, event)?;
            offset += FRAGMENT_HEADER_BYTES;
        } else {
            offset += (usize::from(units) + 1) * 8;
        }
    }
    if event.protocol == PROTOCOL_FRAGMENT || is_ipv6_extension(event.protocol) {
        return Err(Stop::TooManyHeaders);
    }
    ports(
        packet,
        offset,
        payload.saturating_sub(offset - start),
        event,
    )
}

/// Stops at a fragment other than the first: what its header says comes next is in that one.
#[inline(always)]
fn later_fragment(packet: &Packet<'_>, offset: usize, event: &mut TupleEvent) -> Walk {
    let fragment = packet.u16(offset + 2).ok_or(Stop::TooShort)?;
    if fragment & 0xfff8 != 0 {
        event.mark(marks::FRAGMENT);
        return Err(Stop::Fragment);
    }
    Ok(())
}

/// Reads the ports at `offset`; the packet has `available` bytes from there on.
#[inline(always)]
fn ports(packet: &Packet<'_>, offset: usize, available: usize, event: &mut TupleEvent) -> Walk {
    if !has_ports(event.protocol) {
        return Ok(());
    }
    if available < 4 {
        return Err(Stop::TooShort);
    }
    let [s0, s1, d0, d1] = packet.bytes(offset).ok_or(Stop::TooShort)?;
    event.source_port = u16::from_be_bytes([s0, s1]);
    event.destination_port = u16::from_be_bytes([d0, d1]);
    event.mark(marks::PORTS);
    if event.protocol == PROTOCOL_TCP {
        let [_, flags] = packet.bytes(offset + 12).ok_or(Stop::TooShort)?;
        event.tcp_flags = flags;
    }
    Ok(())
}
