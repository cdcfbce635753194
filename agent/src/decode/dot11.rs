//! IEEE 802.11 frames and the capture headers before them.

use super::bytes::{self, from};
use super::packet::Packet;
use super::walk::Next;

/// Length of the MAC header, or `None` if it is no management or data frame.
fn header_length(data: &[u8]) -> Option<usize> {
    let [control, flags] = bytes::array(data, 0)?;
    let kind = control >> 2 & 3;
    let quality = kind == 2 && control & 0x80 != 0;
    let mut length = match kind {
        0 | 2 => 24,
        _ => return None,
    };
    // To and from the distribution system: a fourth address.
    if kind == 2 && flags & 3 == 3 {
        length += 6;
    }
    if quality {
        length += 2;
    }
    // The order bit of QoS data and management frames announces HT control (9.2.4.1.10).
    if flags & 0x80 != 0 && (quality || kind == 0) {
        length += 4;
    }
    Some(length)
}

/// The body of a frame behind its MAC header; padded, the header takes a multiple of four bytes.
fn body_of(data: &[u8], padded: bool) -> Option<&[u8]> {
    let length = header_length(data)?;
    data.get(
        if padded {
            length.next_multiple_of(4)
        } else {
            length
        }..,
    )
}

/// The body of a packet's frame.
pub(super) fn body<'a>(packet: &Packet<'a>) -> Option<&'a [u8]> {
    body_of(packet.dot11, packet.dot11_padded)
}

/// Notes the frame and goes on with LLC where it carries readable data.
pub(super) fn data_frame<'a>(packet: &mut Packet<'a>, data: &'a [u8], padded: bool) -> Next<'a> {
    if packet.dot11.is_empty() {
        packet.dot11 = data;
        packet.dot11_padded = padded;
    }
    let (Some([control, flags]), Some(body)) = (bytes::array(data, 0), body_of(data, padded))
    else {
        return Next::Stop;
    };
    let is_data = control & 3 == 0 && control >> 2 & 3 == 2;
    let no_data = control & 0x40 != 0;
    // What is more than one fragment is read only whole, and so not here.
    let more_fragments = flags & 4 != 0;
    let protected = flags & 0x40 != 0;
    if !is_data || no_data || more_fragments || protected {
        return Next::Stop;
    }
    let quality = control & 0x80 != 0;
    let addresses = if flags & 3 == 3 { 30 } else { 24 };
    let aggregated = quality && bytes::u8(data, addresses).is_some_and(|qos| qos & 0x80 != 0);
    if aggregated {
        // The first frame of an A-MSDU stands for all: destination, source, length, LLC.
        return Next::Llc(from(body, 14));
    }
    llc_or_ethernet(data, flags, behind_mesh_control(flags, body))
}

/// Mesh control (IEEE 802.11, 9.2.4.7.3) is flags, of which two bits count the further addresses,
/// time to live, sequence number and those addresses. Not every writer sets the bit of the QoS
/// field that says that it is there, so it is told by SNAP behind it.
fn behind_mesh_control(flags: u8, body: &[u8]) -> &[u8] {
    const FROM_DISTRIBUTION: u8 = 2;
    let Some(addresses @ 0..=2) = body.first().copied() else {
        return body;
    };
    let behind = from(body, 6 + usize::from(addresses) * 6);
    if flags & FROM_DISTRIBUTION != 0 && behind.starts_with(&[0xaa, 0xaa]) {
        behind
    } else {
        body
    }
}

/// LLC, or what stands in its place at some access points: a whole Ethernet frame, which shows by
/// an address of the MAC header, or two bytes of padding before LLC. So does tshark.
fn llc_or_ethernet<'a>(data: &[u8], flags: u8, body: &'a [u8]) -> Next<'a> {
    let (destination, source) = match flags & 3 {
        0 => (4, 10),
        1 => (16, 10),
        2 => (4, 16),
        _ => (16, 24),
    };
    let same = |at, address| {
        let address = bytes::array::<6>(data, address);
        address.is_some() && bytes::array(body, at) == address
    };
    match body {
        [0xaa, 0xaa, ..] => Next::Llc(body),
        _ if same(0, destination) || same(6, source) => Next::Ethernet(body),
        // Novell's "raw 802.3".
        [0xff, 0xff, ..] => Next::Stop,
        [0, 0, rest @ ..] => Next::Llc(rest),
        _ => Next::Llc(body),
    }
}

/// Radiotap: version, pad, length (little-endian), presence words, fields.
pub(super) fn radiotap(data: &[u8]) -> Next<'_> {
    const CHECKED: u8 = 0x10;
    const PADDED: u8 = 0x20;
    let (Some(length), Some(flags)) = (bytes::u16_le(data, 2), radiotap_flags(data)) else {
        return Next::Stop;
    };
    if length < 8 {
        return Next::Stop;
    }
    let mut frame = from(data, usize::from(length));
    if flags & CHECKED != 0 {
        frame = frame
            .get(..frame.len().saturating_sub(4))
            .unwrap_or_default();
    }
    match flags & PADDED {
        0 => Next::Dot11(frame),
        _ => Next::Dot11Padded(frame),
    }
}

/// The flags field of a radiotap header; 0 if there is none.
fn radiotap_flags(data: &[u8]) -> Option<u8> {
    let first = bytes::u32_le(data, 4)?;
    let mut at = 8;
    let mut present = first;
    while present & 1 << 31 != 0 {
        present = bytes::u32_le(data, at)?;
        at += 4;
    }
    if first & 1 != 0 {
        // TSFT: eight bytes, aligned to eight.
        at = at.next_multiple_of(8) + 8;
    }
    if first & 2 != 0 {
        bytes::u8(data, at)
    } else {
        Some(0)
    }
}

/// AVS: magic, length (big-endian).
pub(super) fn avs(data: &[u8]) -> Next<'_> {
    match bytes::u32(data, 4).and_then(|length| usize::try_from(length).ok()) {
        Some(length @ 8..) => Next::Dot11(from(data, length)),
        _ => Next::Stop,
    }
}

/// Prism: 144 bytes, unless it is AVS under the older number.
pub(super) fn prism(data: &[u8]) -> Next<'_> {
    match bytes::u32(data, 0) {
        Some(0x8021_1001 | 0x8021_1002) => avs(data),
        Some(_) => Next::Dot11(from(data, 144)),
        None => Next::Stop,
    }
}
