//! Headers that capture cards, sniffers and systems put before the link header: ERF, TZSP, ipnet.

use super::bytes::{self, from};
use super::dot11;
use super::linktype::ppp;
use super::walk::Next;

/// Endace's Extensible Record Format: time, type, flags, three lengths, extension headers.
pub(super) fn erf(data: &[u8]) -> Next<'_> {
    const MORE: u8 = 0x80;
    let Some(kind) = bytes::u8(data, 8) else {
        return Next::Stop;
    };
    let (mut at, mut more) = (16, kind & MORE != 0);
    while more {
        let Some(extension) = bytes::u8(data, at) else {
            return Next::Stop;
        };
        (at, more) = (at + 8, extension & MORE != 0);
    }
    let rest = from(data, at);
    match kind & !MORE {
        // HDLC over SONET, by itself, coloured, and of several channels, with their head.
        1 | 10 | 15 | 19 => ppp(rest),
        5 | 17 => ppp(from(rest, 4)),
        // Ethernet behind an offset and padding.
        2 | 11 | 16 | 20 => Next::Ethernet(from(rest, 2)),
        // AAL5 behind the head of its first cell.
        4 => Next::Llc(from(rest, 4)),
        9 => Next::Llc(from(rest, 8)),
        22 => Next::Ipv4(rest),
        23 => Next::Ipv6(rest),
        _ => Next::Stop,
    }
}

/// TaZmen Sniffer Protocol: version, type, what it carries, tags.
pub(super) fn tzsp(data: &[u8]) -> Next<'_> {
    let (Some(kind), Some(carried)) = (bytes::u8(data, 1), bytes::u16(data, 2)) else {
        return Next::Stop;
    };
    // Four is an empty keep-alive, five the opening of a port.
    if kind > 3 {
        return Next::Stop;
    }
    let mut rest = from(data, 4);
    loop {
        rest = match rest {
            [0, rest @ ..] => rest,
            [1, rest @ ..] => break carry(carried, rest),
            [_, length, rest @ ..] => from(rest, usize::from(*length)),
            _ => return Next::Stop,
        };
    }
}

fn carry(carried: u16, data: &[u8]) -> Next<'_> {
    match carried {
        1 => Next::Ethernet(data),
        18 => Next::Dot11(data),
        119 => dot11::prism(data),
        _ => Next::Stop,
    }
}

/// Solaris' ipnet: version, address family, hook, length, interface and zones.
pub(super) fn ipnet(data: &[u8]) -> Next<'_> {
    match bytes::u8(data, 1) {
        Some(2) => Next::Ipv4(from(data, 24)),
        Some(26) => Next::Ipv6(from(data, 24)),
        _ => Next::Stop,
    }
}
