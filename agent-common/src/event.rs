//! The record that the kernel program writes for each packet.

use core::mem::{align_of, offset_of, size_of};

/// One packet's tuple: 56 bytes, so 64 in the ring with the ring's own header.
///
/// Fields of more than one byte are in the machine's order, which kernel and agent share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TupleEvent {
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub time_ns: u64,
    /// IPv6, or IPv4 mapped into it; zero unless [`marks::IP`] is set.
    pub source: [u8; 16],
    /// As `source`.
    pub destination: [u8; 16],
    /// Bytes that the frame had on the wire, without its check sequence.
    pub wire_len: u32,
    /// The interface that received it, by the slot that its configuration gives it.
    pub slot: u32,
    /// Zero unless [`marks::PORTS`] is set.
    pub source_port: u16,
    /// As `source_port`.
    pub destination_port: u16,
    /// VLAN id of the outermost tag in the low 12 bits, [`marks`] above them.
    pub vlan_and_marks: u16,
    /// IP protocol number behind all extension headers that were walked.
    pub protocol: u8,
    /// The flag byte of the TCP header: CWR is its highest bit, FIN its lowest.
    pub tcp_flags: u8,
}

/// What is known of a packet, in the high bits of [`TupleEvent::vlan_and_marks`].
pub mod marks {
    /// There is a VLAN tag.
    pub const TAGGED: u16 = 1 << 12;
    /// The addresses and the protocol are known.
    pub const IP: u16 = 1 << 13;
    /// The ports are known.
    pub const PORTS: u16 = 1 << 14;
    /// A fragment other than the first.
    pub const FRAGMENT: u16 = 1 << 15;
}

const VLAN_ID_MASK: u16 = 0x0fff;

const _: () = {
    assert!(size_of::<TupleEvent>() == 56);
    assert!(align_of::<TupleEvent>() == 8);
    assert!(offset_of!(TupleEvent, source) == 8);
    assert!(offset_of!(TupleEvent, destination) == 24);
    assert!(offset_of!(TupleEvent, wire_len) == 40);
    assert!(offset_of!(TupleEvent, slot) == 44);
    assert!(offset_of!(TupleEvent, source_port) == 48);
    assert!(offset_of!(TupleEvent, destination_port) == 50);
    assert!(offset_of!(TupleEvent, vlan_and_marks) == 52);
    assert!(offset_of!(TupleEvent, protocol) == 54);
    assert!(offset_of!(TupleEvent, tcp_flags) == 55);
};

impl TupleEvent {
    /// Reads a record of the ring; `None` if its length is not that of a record.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != size_of::<Self>() {
            return None;
        }
        Some(Self {
            time_ns: u64::from_ne_bytes(field(bytes, offset_of!(Self, time_ns))?),
            source: field(bytes, offset_of!(Self, source))?,
            destination: field(bytes, offset_of!(Self, destination))?,
            wire_len: u32::from_ne_bytes(field(bytes, offset_of!(Self, wire_len))?),
            slot: u32::from_ne_bytes(field(bytes, offset_of!(Self, slot))?),
            source_port: u16::from_ne_bytes(field(bytes, offset_of!(Self, source_port))?),
            destination_port: u16::from_ne_bytes(field(bytes, offset_of!(Self, destination_port))?),
            vlan_and_marks: u16::from_ne_bytes(field(bytes, offset_of!(Self, vlan_and_marks))?),
            protocol: u8::from_ne_bytes(field(bytes, offset_of!(Self, protocol))?),
            tcp_flags: u8::from_ne_bytes(field(bytes, offset_of!(Self, tcp_flags))?),
        })
    }

    /// Id of the outermost VLAN tag.
    #[must_use]
    pub const fn vlan_id(&self) -> Option<u16> {
        if self.is_marked(marks::TAGGED) {
            Some(self.vlan_and_marks & VLAN_ID_MASK)
        } else {
            None
        }
    }

    /// Source and destination port.
    #[must_use]
    pub const fn ports(&self) -> Option<(u16, u16)> {
        if self.is_marked(marks::PORTS) {
            Some((self.source_port, self.destination_port))
        } else {
            None
        }
    }

    /// Whether one of the [`marks`] is set.
    #[must_use]
    pub const fn is_marked(&self, mark: u16) -> bool {
        self.vlan_and_marks & mark != 0
    }

    /// Notes the outermost VLAN tag by its control information (802.1Q TCI).
    #[inline(always)]
    pub const fn set_vlan(&mut self, control: u16) {
        self.vlan_and_marks |= marks::TAGGED | (control & VLAN_ID_MASK);
    }

    /// Sets one of the [`marks`].
    #[inline(always)]
    pub const fn mark(&mut self, mark: u16) {
        self.vlan_and_marks |= mark;
    }
}

fn field<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_lies_in_the_ring() {
        let mut bytes = [0; 56];
        bytes[0..8].copy_from_slice(&7u64.to_ne_bytes());
        bytes[8] = 0xfe;
        bytes[39] = 9;
        bytes[40..44].copy_from_slice(&1500u32.to_ne_bytes());
        bytes[44..48].copy_from_slice(&3u32.to_ne_bytes());
        bytes[48..50].copy_from_slice(&40_000u16.to_ne_bytes());
        bytes[50..52].copy_from_slice(&443u16.to_ne_bytes());
        bytes[52..54].copy_from_slice(&(marks::TAGGED | marks::PORTS | 5).to_ne_bytes());
        bytes[54] = 6;
        bytes[55] = 0x12;
        let event = TupleEvent::from_bytes(&bytes).unwrap();
        assert_eq!((event.time_ns, event.wire_len, event.slot), (7, 1500, 3));
        assert_eq!((event.source[0], event.destination[15]), (0xfe, 9));
        assert_eq!(event.ports(), Some((40_000, 443)));
        assert_eq!(event.vlan_id(), Some(5));
        assert_eq!((event.protocol, event.tcp_flags), (6, 0x12));
        assert_eq!(TupleEvent::from_bytes(&bytes[..55]), None);
    }

    #[test]
    fn what_is_not_marked_is_not_known() {
        let mut event = TupleEvent::default();
        assert_eq!((event.vlan_id(), event.ports()), (None, None));
        event.set_vlan(0xe000);
        assert_eq!(event.vlan_id(), Some(0));
        assert!(!event.is_marked(marks::IP | marks::PORTS | marks::FRAGMENT));
    }
}
