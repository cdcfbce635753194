//! The record that the kernel program writes for each packet whose bytes are wanted.

use core::mem::{align_of, offset_of, size_of};

use crate::TupleEvent;

/// The head of a packet record; the first `captured_len` bytes behind it are the packet's.
///
/// The ring's record is as long as the smallest of [`CLASSES`] that holds the packet, so what
/// stands behind the captured bytes means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PacketHeader {
    /// The packet's tuple: time, wire length, interface slot, addresses.
    pub tuple: TupleEvent,
    /// Bytes of the packet in this record: the wire length, or the snap length if that is less.
    pub captured_len: u32,
    /// Zero.
    pub reserved: u32,
}

/// Bytes of packet for which there are records. 1536 is a full frame of the usual Ethernet
/// with two VLAN tags, 9216 one with jumbo frames.
pub const CLASSES: [usize; 11] = [
    128, 256, 512, 1024, 1536, 2048, 4096, 9216, 16_384, 32_768, 65_536,
];

const _: () = {
    assert!(size_of::<PacketHeader>() == 64);
    assert!(align_of::<PacketHeader>() == 8);
    assert!(offset_of!(PacketHeader, tuple) == 0);
    assert!(offset_of!(PacketHeader, captured_len) == 56);
    assert!(CLASSES[CLASSES.len() - 1] > crate::config::MAX_SNAPLEN as usize);
};

impl PacketHeader {
    /// Reads a record of the ring: its head and the captured bytes. `None` if it is shorter than
    /// it claims.
    #[must_use]
    pub fn from_bytes(record: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = record.split_at_checked(size_of::<Self>())?;
        let (tuple, lengths) = head.split_at_checked(size_of::<TupleEvent>())?;
        let captured_len = u32::from_ne_bytes(*lengths.first_chunk()?);
        let header = Self {
            tuple: TupleEvent::from_bytes(tuple)?,
            captured_len,
            reserved: 0,
        };
        Some((header, rest.get(..captured_len as usize)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_lies_in_the_ring() {
        let mut bytes = [0; 64 + 128];
        bytes[..8].copy_from_slice(&9u64.to_ne_bytes());
        bytes[40..44].copy_from_slice(&1500u32.to_ne_bytes());
        bytes[56..60].copy_from_slice(&3u32.to_ne_bytes());
        bytes[64..68].copy_from_slice(&[1, 2, 3, 4]);
        let (header, data) = PacketHeader::from_bytes(&bytes).unwrap();
        assert_eq!((header.tuple.time_ns, header.tuple.wire_len), (9, 1500));
        assert_eq!(data, [1, 2, 3]);
    }

    #[test]
    fn a_record_shorter_than_it_claims_is_none() {
        let mut bytes = [0; 64 + 8];
        bytes[56..60].copy_from_slice(&9u32.to_ne_bytes());
        assert_eq!(PacketHeader::from_bytes(&bytes), None);
        assert_eq!(PacketHeader::from_bytes(&bytes[..63]), None);
        bytes[56..60].copy_from_slice(&8u32.to_ne_bytes());
        assert_eq!(PacketHeader::from_bytes(&bytes).unwrap().1, [0; 8]);
    }
}
