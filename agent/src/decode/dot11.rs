//! IEEE 802.11 frames and the capture headers before them.

use super::bytes::{self, from};
use super::packet::Packet;
use super::walk::{BRIDGE_PAD, Next, snap};

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

/// The body of a frame behind its MAC header.
pub(super) fn body(data: &[u8]) -> Option<&[u8]> {
    data.get(header_length(data)?..)
}

/// Notes the frame and goes on with LLC where it carries readable data.
pub(super) fn data_frame<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    if packet.dot11.is_empty() {
        packet.dot11 = data;
    }
    let (Some([control, flags]), Some(body)) = (bytes::array(data, 0), body(data)) else {
        return Next::Stop;
    };
    let is_data = control >> 2 & 3 == 2;
    let no_data = control & 0x40 != 0;
    let protected = flags & 0x40 != 0;
    if !is_data || no_data || protected {
        return Next::Stop;
    }
    let quality = control & 0x80 != 0;
    let addresses = if flags & 3 == 3 { 30 } else { 24 };
    let aggregated = quality && bytes::u8(data, addresses).is_some_and(|qos| qos & 0x80 != 0);
    // The first frame of an A-MSDU stands for all: destination, source, length, LLC.
    let body = if aggregated { from(body, 14) } else { body };
    llc_or_ethernet(body)
}

fn llc_or_ethernet(body: &[u8]) -> Next<'_> {
    match bytes::u16(body, 0) {
        Some(0xaaaa) => snap(from(body, 3), BRIDGE_PAD),
        Some(_) if bytes::u16(body, 6) == Some(0xaaaa) => snap(from(body, 9), BRIDGE_PAD),
        Some(_) => Next::Llc(body),
        None => Next::Stop,
    }
}

/// Radiotap: version, pad, length (little-endian), presence words, fields.
pub(super) fn radiotap(data: &[u8]) -> Next<'_> {
    let (Some(length), Some(flags)) = (bytes::u16_le(data, 2), radiotap_flags(data)) else {
        return Next::Stop;
    };
    let mut frame = from(data, usize::from(length));
    if flags & 0x10 != 0 {
        frame = frame
            .get(..frame.len().saturating_sub(4))
            .unwrap_or_default();
    }
    Next::Dot11(frame)
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
