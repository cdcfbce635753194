//! Frames captured on Juniper's routers: a head of theirs, then the link header of the interface.
//!
//! Layouts are those of tcpdump's `print-juniper.c` and of tshark.

use super::bytes::{self, from};
use super::linktype::{network_layer_protocol, ppp};
use super::walk::Next;

/// The interface, and how its frames go on behind Juniper's head.
pub(super) fn juniper(data: &[u8], first: fn(&[u8]) -> Next<'_>) -> Next<'_> {
    const EXTENDED: u8 = 0x80;
    const NO_LINK_HEADER: u8 = 2;
    let [b'M', b'G', b'C', flags, rest @ ..] = data else {
        return first(data);
    };
    let rest = match flags & EXTENDED {
        0 => rest,
        _ => match bytes::u16(rest, 0) {
            Some(length) => from(rest, 2 + usize::from(length)),
            None => return Next::Stop,
        },
    };
    if flags & NO_LINK_HEADER == 0 {
        return first(rest);
    }
    // IP and IPv6, with and without MPLS.
    match bytes::u32_le(rest, 0) {
        Some(2 | 3) => Next::Ipv4(from(rest, 4)),
        Some(6 | 7) => Next::Ipv6(from(rest, 4)),
        _ => Next::Stop,
    }
}

/// Multilink PPP: perhaps a cookie of two bytes, then PPP.
pub(super) fn multilink_ppp(data: &[u8]) -> Next<'_> {
    match (bytes::u16(data, 0), bytes::u16(data, 2)) {
        (Some(0x0021 | 0x0057 | 0xff03), _) => ppp(data),
        (_, Some(0x0021 | 0x0057)) => Next::Ppp(from(data, 2)),
        _ => Next::Stop,
    }
}

/// Multilink Frame Relay: two bytes, then the control byte and NLPID of Frame Relay.
pub(super) fn multilink_frame_relay(data: &[u8]) -> Next<'_> {
    after_control(from(data, 2))
}

fn after_control(data: &[u8]) -> Next<'_> {
    match data {
        [3, rest @ ..] => network_layer_protocol(rest),
        _ => Next::Stop,
    }
}

/// ATM behind a cookie of four bytes: nothing says what it carries, so that is guessed.
pub(super) fn atm1(data: &[u8]) -> Next<'_> {
    match from(data, 4) {
        llc @ [0xaa, 0xaa, 3, ..] => Next::Llc(llc),
        control @ [3, ..] => after_control(control),
        ip => Next::Ip(ip),
    }
}

/// The same behind eight bytes; it may be PPP, too. A gap count in the cookie is that of cells.
pub(super) fn atm2(data: &[u8]) -> Next<'_> {
    const GAP_COUNT: u16 = 0x3fe;
    if bytes::u16(data, 6).is_none_or(|cookie| cookie & GAP_COUNT != 0) {
        return Next::Stop;
    }
    match from(data, 8) {
        frame @ [0, 0x21 | 0x57, ..] => Next::Ppp(frame),
        _ => atm1(from(data, 4)),
    }
}

/// PPP behind two bytes.
pub(super) fn behind_two(data: &[u8]) -> Next<'_> {
    Next::Ppp(from(data, 2))
}
