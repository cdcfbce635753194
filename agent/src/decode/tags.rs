//! Rare EtherTypes (and addresses) behind which a frame goes on: meshes, fabrics, time stamps.
//!
//! Lengths are those that tshark reads, whose sources are batman-adv's `packet.h`, RFC 6325,
//! Arista's TAP aggregation and Cisco's ISL and FabricPath.

use super::bytes::{self, from, upto};
use super::walk::{Next, after_type};

/// What a rare EtherType names.
pub(super) fn tagged(kind: u16, data: &[u8]) -> Next<'_> {
    let ethernet_at = |length| Next::Ethernet(from(data, length));
    match kind {
        // Cisco VN-Tag: four bytes.
        0x8926 => after_type(data, 4),
        // IEEE 802.1BR E-TAG: six bytes.
        0x893f => after_type(data, 6),
        // IEC 62439-3 HSR and IEEE 802.1CB R-TAG: four bytes.
        0x892f | 0xf1c1 => after_type(data, 4),
        // Cisco MetaData: six bytes.
        0x8909 => after_type(data, 6),
        // IEEE 802.1ah I-TAG: four bytes, then the customer's frame.
        0x88e7 => ethernet_at(4),
        0x22f3 => match bytes::u16(data, 0) {
            // TRILL (RFC 6325, 3): options in words of four bytes.
            Some(head) => ethernet_at(6 + usize::from(head >> 6 & 0x1f) * 4),
            None => Next::Stop,
        },
        0x4305 => batman(data),
        0xd28b => arista(data),
        _ => Next::Stop,
    }
}

/// batman-adv: the packet's type and the protocol's version come first. Fragments are not read.
fn batman(data: &[u8]) -> Next<'_> {
    let length = match (bytes::u8(data, 1), bytes::u8(data, 0)) {
        // Unicast; broadcast; unicast with four addresses.
        (Some(15), Some(0x40)) | (Some(14), Some(3)) => 10,
        (Some(15), Some(1)) | (Some(14), Some(4)) => 14,
        (Some(15), Some(0x42)) | (Some(14), Some(9)) => 18,
        _ => return Next::Stop,
    };
    Next::Ethernet(from(data, length))
}

/// Arista's time stamps: subtype 1, of 64 or 48 bits, then the frame's own EtherType.
fn arista(data: &[u8]) -> Next<'_> {
    match (bytes::u16(data, 0), bytes::u16(data, 2)) {
        // The first byte tells UTC from TAI.
        (Some(1), Some(0x0010 | 0x0110)) => after_type(data, 12),
        (Some(1), Some(0x0020 | 0x0120)) => after_type(data, 10),
        _ => Next::Stop,
    }
}

/// Cisco FabricPath: an outer header of addresses of its own, the EtherType, two bytes of tag.
pub(super) const FABRIC_PATH: u16 = 0x8903;

/// What follows FabricPath's EtherType.
pub(super) fn fabric_path(data: &[u8]) -> Next<'_> {
    Next::Ethernet(from(data, 2))
}

/// The frame in a frame of Cisco's ISL (whose own head is no Ethernet header), which shows by its destination of 40 bits and the type 0
/// behind it: 26 bytes, of which the length at 12 counts those from 14 on.
pub(super) fn inter_switch(frame: &[u8], length: u16) -> Option<Next<'_>> {
    let ([0x01 | 0x0c, 0x00, 0x0c, 0x00, 0x00, kind], _) = frame.split_first_chunk::<6>()? else {
        return None;
    };
    let rest = from(frame, 14);
    let rest = match length {
        0 => rest,
        _ => upto(rest, usize::from(length)),
    };
    (kind >> 4 == 0 && length <= 1500).then(|| Next::Ethernet(from(rest, 12)))
}
