//! Link headers of networks that are seldom met today: ARCNET, Token Ring, FDDI, Fibre Channel,
//! ATM, AX.25, EPON.

use super::bytes::{self, from};
use super::walk::Next;

/// ARCNET as BSD has it: addresses, protocol. An exception packet (RFC 1201) has the split flag
/// 255, then four bytes more.
pub(super) fn arcnet_bsd(data: &[u8]) -> Next<'_> {
    match data {
        [_, _, protocol @ (0xc4 | 0xd4), 0xff, ..] => arcnet(*protocol, from(data, 7)),
        [_, _, protocol, rest @ ..] => arcnet(*protocol, rest),
        _ => Next::Stop,
    }
}

/// ARCNET as Linux has it: addresses, offset, protocol, no exception packets.
pub(super) fn arcnet_linux(data: &[u8]) -> Next<'_> {
    match data {
        [_, _, _, _, protocol, rest @ ..] => arcnet(*protocol, rest),
        _ => Next::Stop,
    }
}

/// Protocols of RFC 1051 (IP directly) and RFC 1201 (behind split flag and sequence number); IPv6
/// after RFC 2497.
fn arcnet(protocol: u8, data: &[u8]) -> Next<'_> {
    match protocol {
        0xf0 => Next::Ipv4(data),
        0xd4 => Next::Ipv4(from(data, 3)),
        0xc4 => Next::Ipv6(from(data, 3)),
        _ => Next::Stop,
    }
}

/// Token Ring (IEEE 802.5): access and frame control, addresses, perhaps a route, LLC.
pub(super) fn token_ring(data: &[u8]) -> Next<'_> {
    let (Some(control), Some(source)) = (bytes::u8(data, 1), bytes::u8(data, 8)) else {
        return Next::Stop;
    };
    // LLC, not ring management.
    if control >> 6 != 1 {
        return Next::Stop;
    }
    // The group bit of the source address says that there is a route, whose length is in it.
    let route = match (source & 0x80, bytes::u8(data, 14)) {
        (0, _) => 0,
        (_, Some(head)) if head & 0x1f != 0 && head & 1 == 0 => usize::from(head & 0x1f),
        _ => return Next::Stop,
    };
    Next::Llc(from(data, 14 + route))
}

/// FDDI (ANSI X3.139): frame control, addresses, LLC.
pub(super) fn fddi(data: &[u8]) -> Next<'_> {
    match data.first().map(|control| control >> 4) {
        Some(5) => Next::Llc(from(data, 13)),
        _ => Next::Stop,
    }
}

/// ATM as SunATM captures it: the kind of traffic, the channel, then what it carries.
pub(super) fn sun_atm(data: &[u8]) -> Next<'_> {
    const LAN_EMULATION: u8 = 1;
    const LLC: u8 = 2;
    const SIGNALLING: [u8; 2] = [5, 6];
    let (Some(kind), Some(path), Some(channel)) =
        (bytes::u8(data, 0), bytes::u8(data, 1), bytes::u16(data, 2))
    else {
        return Next::Stop;
    };
    let rest = from(data, 4);
    match kind & 0x0f {
        // LAN emulation: the sender's number, then Ethernet.
        LAN_EMULATION => Next::Ethernet(from(rest, 2)),
        LLC => Next::Llc(rest),
        kind if SIGNALLING.contains(&kind) => Next::Stop,
        // The channel of signalling (ITU-T Q.2931).
        kind if (path, channel) == (0, 5) && !matches!(kind, 3 | 4) => Next::Stop,
        _ => unsaid(rest),
    }
}

/// What ATM carries where nothing says it.
fn unsaid(data: &[u8]) -> Next<'_> {
    match data {
        [0xaa, 0xaa, 3, ..] => Next::Llc(data),
        [0, 0, rest @ ..] => Next::Ethernet(rest),
        _ => Next::Ip(data),
    }
}

/// AX.25 (version 2.2, 3): addresses of seven bytes, the last of which has its lowest bit set,
/// control, protocol.
pub(super) fn ax25(data: &[u8]) -> Next<'_> {
    const IP: u8 = 0xcc;
    let mut addresses = data.chunks_exact(7);
    let is_last = |address: &[u8]| address.last().is_some_and(|byte| byte & 1 == 1);
    let Some(count) = addresses.position(is_last) else {
        return Next::Stop;
    };
    match from(data, (count + 1) * 7) {
        // Information and unnumbered information.
        [control, IP, rest @ ..] if control & 1 == 0 || *control == 3 => Next::Ipv4(rest),
        _ => Next::Stop,
    }
}

/// AX.25 behind the command byte of KISS, of which 0 is data.
pub(super) fn kiss(data: &[u8]) -> Next<'_> {
    match data {
        [command, rest @ ..] if command & 0x0f == 0 => ax25(rest),
        _ => Next::Stop,
    }
}

/// EPON (IEEE 802.3, 65.1.3): the rest of the preamble from the start delimiter on is six bytes.
pub(super) fn epon(data: &[u8]) -> Next<'_> {
    const START: u8 = 0xd5;
    match data {
        [_, START, ..] => Next::Ethernet(from(data, 7)),
        [_, _, START, ..] => Next::Ethernet(from(data, 8)),
        _ => Next::Stop,
    }
}
