//! The header walk: Ethernet, VLAN tags, IPv4 or IPv6 with its extension headers, ports.
//!
//! The walk fills in what it learns and stops with the reason. Loops have
//! constant bounds and offsets a constant limit, so that the verifier can follow.

use agent_common::TupleEvent;
use agent_common::event::marks;
use agent_common::net::{
    ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_OFFSET, ETHERTYPE_QINQ, ETHERTYPE_VLAN,
    FRAGMENT_HEADER_BYTES, IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, MAX_IPV6_EXTENSIONS,
    MAX_VLAN_TAGS, PROTOCOL_FRAGMENT, PROTOCOL_HOP_BY_HOP, PROTOCOL_TCP, VLAN_TAG_BYTES, has_ports,
    is_ipv6_extension,
};

use crate::frame::Headers;

/// Why a walk ended before the ports; each has a counter of its name.
pub(crate) enum Stop {
    TooShort,
    NotIp,
    Fragment,
    TooManyHeaders,
}

/// How a walk ended.
pub(crate) type Walk = Result<(), Stop>;

/// Reads the headers of a frame into `event`.
#[inline(always)]
pub(crate) fn walk(packet: &mut impl Headers, event: &mut TupleEvent) -> Walk {
    let mut offset = ETHERTYPE_OFFSET;
    let mut first_depth = 0;
    if let Some(control) = packet.tag_beside() {
        event.set_vlan(control);
        first_depth = 1;
    }
    let mut ethertype = packet.header::<2>(offset).ok_or(Stop::TooShort)?.u16::<0>();
    for depth in first_depth..MAX_VLAN_TAGS {
        if !matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_QINQ) {
            break;
        }
        let control = packet.header::<2>(offset + 2).ok_or(Stop::TooShort)?;
        if depth == 0 {
            event.set_vlan(control.u16::<0>());
        }
        offset += VLAN_TAG_BYTES;
        ethertype = packet.header::<2>(offset).ok_or(Stop::TooShort)?.u16::<0>();
    }
    match ethertype {
        ETHERTYPE_IPV4 => ipv4(packet, offset + 2, event),
        ETHERTYPE_IPV6 => ipv6(packet, offset + 2, event),
        _ => Err(Stop::NotIp),
    }
}

/// RFC 791.
#[inline(always)]
fn ipv4(packet: &mut impl Headers, offset: usize, event: &mut TupleEvent) -> Walk {
    let header = packet
        .header::<IPV4_HEADER_BYTES>(offset)
        .ok_or(Stop::TooShort)?;
    let first = header.u8::<0>();
    let header_bytes = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header_bytes < IPV4_HEADER_BYTES {
        return Err(Stop::NotIp);
    }
    // A total length of zero is that of a frame which the card is still to cut up
    // (segmentation offload, BIG TCP): then the frame's end is the packet's.
    let total = usize::from(header.u16::<2>());
    if total != 0 && total < header_bytes {
        return Err(Stop::NotIp);
    }
    let available = if total == 0 {
        usize::MAX
    } else {
        total - header_bytes
    };
    event.source = mapped(header.raw_u32::<12>());
    event.destination = mapped(header.raw_u32::<16>());
    let protocol = header.u8::<9>();
    event.protocol = protocol;
    event.mark(marks::IP);
    if header.u16::<6>() & 0x1fff != 0 {
        event.mark(marks::FRAGMENT);
        return Err(Stop::Fragment);
    }
    ports(packet, protocol, offset + header_bytes, available, event)
}

/// The IPv4 address, as it lies in the packet, mapped into IPv6 (RFC 4291, 2.5.5.2).
#[inline(always)]
fn mapped(address: u32) -> [u8; 16] {
    halves(0, u64::from(address) << 32 | 0xffff_0000)
}

/// The machine is little-endian (`bpfel`), so this is how the bytes lie in memory; whole words
/// keep LLVM from moving the address byte by byte.
#[inline(always)]
fn halves(first: u64, second: u64) -> [u8; 16] {
    (u128::from(second) << 64 | u128::from(first)).to_le_bytes()
}

/// RFC 8200.
#[inline(always)]
fn ipv6(packet: &mut impl Headers, offset: usize, event: &mut TupleEvent) -> Walk {
    let header = packet
        .header::<IPV6_HEADER_BYTES>(offset)
        .ok_or(Stop::TooShort)?;
    if header.u8::<0>() >> 4 != 6 {
        return Err(Stop::NotIp);
    }
    event.source = halves(header.raw_u64::<8>(), header.raw_u64::<16>());
    event.destination = halves(header.raw_u64::<24>(), header.raw_u64::<32>());
    let protocol = header.u8::<6>();
    event.protocol = protocol;
    event.mark(marks::IP);
    let start = offset + IPV6_HEADER_BYTES;
    let available = match usize::from(header.u16::<4>()) {
        0 if protocol == PROTOCOL_HOP_BY_HOP => jumbo_length(packet, start),
        length => length,
    };
    if protocol != PROTOCOL_FRAGMENT && !is_ipv6_extension(protocol) {
        return ports(packet, protocol, start, available, event);
    }
    extensions(packet, protocol, start, available, event)
}

/// Payload length of a jumbogram (RFC 2675), whose option is the first of its hop-by-hop header;
/// without it a payload length of 0 is that of an empty payload.
#[inline(always)]
fn jumbo_length(packet: &mut impl Headers, offset: usize) -> usize {
    const OPTION: u16 = 0xc204;
    match packet.header::<8>(offset) {
        Some(header) if header.u16::<2>() == OPTION => {
            let length = u32::from_be(header.raw_u32::<4>());
            // What 16 bits can say is an error here (RFC 2675, 3).
            if length > 0xffff { length as usize } else { 0 }
        }
        _ => 0,
    }
}

/// Steps over extension headers, then reads the ports.
#[inline(always)]
fn extensions(
    packet: &mut impl Headers,
    first: u8,
    start: usize,
    payload: usize,
    event: &mut TupleEvent,
) -> Walk {
    if payload == 0 {
        return Err(Stop::TooShort);
    }
    let mut protocol = first;
    let mut offset = start;
    for _ in 0..MAX_IPV6_EXTENSIONS {
        let is_fragment = protocol == PROTOCOL_FRAGMENT;
        if !is_fragment && !is_ipv6_extension(protocol) {
            break;
        }
        let header = packet.header::<2>(offset).ok_or(Stop::TooShort)?;
        protocol = header.u8::<0>();
        event.protocol = protocol;
        if is_fragment {
            later_fragment(packet, offset, event)?;
            offset += FRAGMENT_HEADER_BYTES;
        } else {
            offset += (usize::from(header.u8::<1>()) + 1) * 8;
        }
    }
    if protocol == PROTOCOL_FRAGMENT || is_ipv6_extension(protocol) {
        return Err(Stop::TooManyHeaders);
    }
    let available = payload.saturating_sub(offset - start);
    ports(packet, protocol, offset, available, event)
}

/// Stops at a fragment other than the first: what its header says comes next is in that one.
#[inline(always)]
fn later_fragment(packet: &mut impl Headers, offset: usize, event: &mut TupleEvent) -> Walk {
    let fragment = packet.header::<2>(offset + 2).ok_or(Stop::TooShort)?;
    if fragment.u16::<0>() & 0xfff8 != 0 {
        event.mark(marks::FRAGMENT);
        return Err(Stop::Fragment);
    }
    Ok(())
}

/// Reads the ports at `offset`; the packet has `available` bytes from there on.
#[inline(always)]
fn ports(
    packet: &mut impl Headers,
    protocol: u8,
    offset: usize,
    available: usize,
    event: &mut TupleEvent,
) -> Walk {
    if !has_ports(protocol) {
        return Ok(());
    }
    if available < 4 {
        return Err(Stop::TooShort);
    }
    let header = packet.header::<4>(offset).ok_or(Stop::TooShort)?;
    event.source_port = header.u16::<0>();
    event.destination_port = header.u16::<2>();
    event.mark(marks::PORTS);
    if protocol == PROTOCOL_TCP {
        if available < 14 {
            return Err(Stop::TooShort);
        }
        let flags = packet.header::<2>(offset + 12).ok_or(Stop::TooShort)?;
        event.tcp_flags = flags.u8::<1>();
    }
    Ok(())
}
