//! The walk from a link header to the transport header: one step per header.
//!
//! Every step hands on a shorter slice than it got, or one of a layer that cannot lead back to
//! it, so that the walk ends on every input.

use super::bytes::{self, from, upto};
use super::packet::Packet;
use super::{dot11, network, tags};

/// The header that comes next, and the bytes from there to the end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next<'a> {
    /// Nothing more that this decoder reads.
    Stop,
    Ethernet(&'a [u8]),
    /// What an EtherType names.
    EtherType(u16, &'a [u8]),
    /// A VLAN tag, from its tag control information on.
    Vlan(&'a [u8]),
    /// LLC (IEEE 802.2).
    Llc(&'a [u8]),
    /// PPP, from its protocol field on, after address and control if there.
    Ppp(&'a [u8]),
    Mpls(&'a [u8]),
    Dot11(&'a [u8]),
    /// The same, with the MAC header padded to a multiple of four bytes.
    Dot11Padded(&'a [u8]),
    /// IP of the version that the first nibble says.
    Ip(&'a [u8]),
    Ipv4(&'a [u8]),
    Ipv6(&'a [u8]),
}

/// Walks from `next` on, noting in `packet` each layer met for the first time.
#[inline]
pub(super) fn walk<'a>(packet: &mut Packet<'a>, mut next: Next<'a>) {
    loop {
        next = match next {
            Next::Stop => return,
            Next::Ethernet(data) => ethernet(packet, data),
            Next::EtherType(kind, data) => ether_type(packet, kind, data),
            Next::Vlan(data) => vlan(packet, data),
            Next::Llc(data) => llc(data),
            Next::Ppp(data) => ppp(data),
            Next::Mpls(data) => mpls(packet, data),
            Next::Dot11(data) => dot11::data_frame(packet, data, false),
            Next::Dot11Padded(data) => dot11::data_frame(packet, data, true),
            Next::Ip(data) => match data.first().map(|b| b >> 4) {
                Some(4) => Next::Ipv4(data),
                Some(6) => Next::Ipv6(data),
                _ => Next::Stop,
            },
            Next::Ipv4(data) => return network::ipv4(packet, data),
            Next::Ipv6(data) => return network::ipv6(packet, data),
        };
    }
}

#[inline]
fn ethernet<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let kind = bytes::u16(data, 12);
    if let Some(length @ ..1536) = kind
        && let Some(next) = tags::inter_switch(data, length)
    {
        return next;
    }
    if packet.ethernet.is_empty() {
        packet.ethernet = data;
    }
    match kind {
        // An EtherType only here, not behind a tag.
        Some(tags::FABRIC_PATH) => tags::fabric_path(from(data, 14)),
        Some(kind @ 1536..) => Next::EtherType(kind, from(data, 14)),
        Some(length) => length_field(length, from(data, 14)),
        None => Next::Stop,
    }
}

/// A length in the place of an EtherType (IEEE 802.3, 3.2.6); 1501 to 1535 mean nothing.
fn length_field(length: u16, data: &[u8]) -> Next<'_> {
    // Novell's "raw 802.3" puts IPX, whose first bytes are FF FF, where LLC belongs.
    if length > 1500 || data.starts_with(&[0xff, 0xff]) {
        return Next::Stop;
    }
    Next::Llc(upto(data, usize::from(length)))
}

#[inline]
fn ether_type<'a>(packet: &mut Packet<'a>, kind: u16, data: &'a [u8]) -> Next<'a> {
    match kind {
        0x0800 => Next::Ipv4(data),
        0x86dd => Next::Ipv6(data),
        0x8100 | 0x88a8 | 0x9100 => Next::Vlan(data),
        _ => rare_ether_type(packet, kind, data),
    }
}

fn rare_ether_type<'a>(packet: &mut Packet<'a>, kind: u16, data: &'a [u8]) -> Next<'a> {
    match kind {
        // ARP and RARP have one format (RFC 903).
        0x0806 | 0x8035 => {
            if packet.arp.is_empty() {
                packet.arp = data;
            }
            Next::Stop
        }
        0x8847 | 0x8848 => Next::Mpls(data),
        0x8864 => pppoe(data),
        0x8870 => Next::Llc(data),
        0x6558 => Next::Ethernet(data),
        0x88e5 => macsec(data),
        0x894f => nsh(data),
        _ => tags::tagged(kind, data),
    }
}

/// An EtherType (or 802.3 length) at an offset and what follows it.
pub(super) fn after_type(data: &[u8], at: usize) -> Next<'_> {
    let rest = from(data, at + 2);
    match bytes::u16(data, at) {
        Some(kind @ 1536..) => Next::EtherType(kind, rest),
        Some(length) => length_field(length, rest),
        None => Next::Stop,
    }
}

fn vlan<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    if packet.vlan.is_empty() {
        packet.vlan = data;
    }
    after_type(data, 2)
}

/// LLC with IP directly (SAP 06) or with SNAP (IEEE 802, RFC 1042).
fn llc(data: &[u8]) -> Next<'_> {
    const SNAP: u8 = 0xaa;
    let (Some(dsap), Some(ssap), Some(control)) =
        (bytes::u8(data, 0), bytes::u8(data, 1), bytes::u8(data, 2))
    else {
        return Next::Stop;
    };
    // Unnumbered frames have one byte of control, all others two.
    let unnumbered = control & 3 == 3;
    let body = from(data, if unnumbered { 3 } else { 4 });
    match (dsap, ssap) {
        (SNAP, SNAP) => snap(body, BRIDGE_PAD),
        (0x06, _) if control & 1 == 0 || control & 0xef == 3 => Next::Ip(body),
        _ => Next::Stop,
    }
}

/// Bytes between SNAP behind LLC and a bridged Ethernet frame (RFC 2684, 5.2).
const BRIDGE_PAD: usize = 2;

/// SNAP: organisation and protocol; a bridged frame stands behind so many bytes of padding.
pub(super) fn snap(data: &[u8], bridge_pad: usize) -> Next<'_> {
    let Some([a, b, c, high, low]) = bytes::array(data, 0) else {
        return Next::Stop;
    };
    let protocol = u16::from_be_bytes([high, low]);
    let rest = from(data, 5);
    match [a, b, c] {
        // Encapsulated Ethernet, Cisco's and Apple's use of the same.
        [0, 0, 0] | [0, 0, 0xf8] | [8, 0, 7] => Next::EtherType(protocol, rest),
        // Bridged Ethernet with and without FCS (RFC 2684, 5.2; RFC 2427, 4.2).
        [0, 0x80, 0xc2] if matches!(protocol, 1 | 7) => Next::Ethernet(from(rest, bridge_pad)),
        _ => Next::Stop,
    }
}

/// PPP protocol numbers (RFC 1661, 2); an odd first byte is a compressed field.
fn ppp(data: &[u8]) -> Next<'_> {
    let Some(first) = bytes::u8(data, 0) else {
        return Next::Stop;
    };
    let (protocol, rest) = if first & 1 == 1 {
        (u16::from(first), from(data, 1))
    } else {
        let Some(protocol) = bytes::u16(data, 0) else {
            return Next::Stop;
        };
        (protocol, from(data, 2))
    };
    match protocol {
        // Some write the EtherType here.
        0x0021 | 0x0800 => Next::Ipv4(rest),
        0x0057 | 0x86dd => Next::Ipv6(rest),
        // Bridging (RFC 3518, 4.2): flags, type of the frame, of which 1 is Ethernet.
        0x0031 if bytes::u8(rest, 1) == Some(1) => Next::Ethernet(from(rest, 2)),
        // Multilink with the long sequence number (RFC 1990, 3): what is a fragment, it would
        // take the others to read.
        0x003d if rest.first().is_some_and(|flags| flags & 0xc0 == 0xc0) => {
            Next::Ppp(from(rest, 4))
        }
        // SNA over LLC (RFC 2043), or whatever the SAPs say.
        0x004b => Next::Llc(rest),
        0x0281 | 0x0283 => Next::Mpls(rest),
        _ => Next::Stop,
    }
}

/// PPPoE session data (RFC 2516, 4); the length cuts padding. The code says nothing more than
/// the EtherType does.
pub(super) fn pppoe(data: &[u8]) -> Next<'_> {
    match bytes::u16(data, 4) {
        Some(length) => Next::Ppp(upto(from(data, 6), usize::from(length))),
        None => Next::Stop,
    }
}

/// A label stack (RFC 3032) and a guess at what it carries, which no field says.
fn mpls<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    if packet.mpls.is_empty() {
        packet.mpls = data;
    }
    let mut rest = data;
    let label = loop {
        let Some(entry) = bytes::u32(rest, 0) else {
            return Next::Stop;
        };
        rest = from(rest, 4);
        if entry & 0x100 != 0 {
            break entry >> 12;
        }
    };
    match (label, rest.first().map(|b| b >> 4)) {
        // OAM alert and the generic associated channel (RFC 3429, RFC 5586).
        (13 | 14, _) | (_, None) => Next::Stop,
        (_, Some(4)) => Next::Ipv4(rest),
        (_, Some(6)) => Next::Ipv6(rest),
        // An associated channel (RFC 4385, 5).
        (_, Some(1)) => Next::Stop,
        (_, Some(0)) if is_control_word(rest) && looks_like_ethernet(from(rest, 4)) => {
            Next::Ethernet(from(rest, 4))
        }
        _ if looks_like_ethernet(rest) => Next::Ethernet(rest),
        (_, Some(0)) if looks_like_ethernet(from(rest, 4)) => Next::Ethernet(from(rest, 4)),
        _ => Next::Stop,
    }
}

/// Whether bytes behind a label stack can be a pseudo-wire's control word (RFC 4385, 3): flags
/// 0, and the length of all that follows the stack, if that is short.
fn is_control_word(data: &[u8]) -> bool {
    let length = bytes::u8(data, 1).map(|b| usize::from(b & 0x3f));
    data.first() == Some(&0) && (length == Some(0) || length == Some(data.len()))
}

/// Whether bytes behind a label stack can be the Ethernet frame of a pseudo-wire (RFC 4448).
fn looks_like_ethernet(data: &[u8]) -> bool {
    match bytes::u16(data, 12) {
        Some(kind @ 1536..) => matches!(
            kind,
            0x0800 | 0x0806 | 0x86dd | 0x8100 | 0x88a8 | 0x9100 | 0x8847 | 0x8864 | 0x8863
        ),
        Some(length) => usize::from(length) <= data.len().saturating_sub(14) && length > 2,
        None => false,
    }
}

/// MACsec (IEEE 802.1AE, 9): what is only authenticated is read on, less its check value.
fn macsec(data: &[u8]) -> Next<'_> {
    const ICV: usize = 16;
    let Some(control) = bytes::u8(data, 0) else {
        return Next::Stop;
    };
    if control & 0x0c != 0 {
        return Next::Stop;
    }
    let tag = if control & 0x20 != 0 { 14 } else { 6 };
    after_type(upto(data, data.len().saturating_sub(ICV)), tag)
}

/// Network Service Header (RFC 8300, 2.2): length in words, next protocol.
fn nsh(data: &[u8]) -> Next<'_> {
    let (Some(length), Some(protocol)) = (bytes::u8(data, 1), bytes::u8(data, 3)) else {
        return Next::Stop;
    };
    let words = usize::from(length & 0x3f);
    if words < 2 {
        return Next::Stop;
    }
    let rest = from(data, words * 4);
    match protocol {
        1 => Next::Ipv4(rest),
        2 => Next::Ipv6(rest),
        3 => Next::Ethernet(rest),
        5 => Next::Mpls(rest),
        _ => Next::Stop,
    }
}
