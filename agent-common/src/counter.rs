//! The kernel program's counters: one [`InterfaceCounters`] per CPU and interface slot.

use core::mem::{align_of, offset_of, size_of};

use crate::config::SLOTS;

/// Entries of the kernel's array: one per slot, and one for interfaces that have none.
pub const COUNTER_ENTRIES: u32 = SLOTS + 1;

/// Where packets of an interface without configuration are counted (as seen, nothing else).
pub const UNCONFIGURED: u32 = SLOTS;

/// Declares the counters once: the record, its list and its names.
macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// What one CPU counted of one interface.
        ///
        /// With tuples wanted, `seen` is `tuple_emitted + tuple_dropped`, with packets wanted
        /// `packet_emitted + packet_dropped`: exactly at rest, and but for the packet that is
        /// being handled at any other moment. What says why a walk stopped (`too_short`,
        /// `not_ip`, `fragment`, `too_many_headers`) stands beside those sums.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct InterfaceCounters {
            $($(#[$doc])+ pub $name: u64,)+
        }

        impl InterfaceCounters {
            /// The names, in the order of the record.
            pub const NAMES: &[&str] = &[$(stringify!($name)),+];

            /// Name and value, in the order of the record.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),+].into_iter()
            }

            /// The sum of both, as of two CPUs or two interfaces; the totals wrap around.
            #[must_use]
            pub const fn plus(self, other: Self) -> Self {
                Self { $($name: self.$name.wrapping_add(other.$name)),+ }
            }

            /// What was counted since `earlier`.
            #[must_use]
            pub const fn since(self, earlier: Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(earlier.$name)),+ }
            }
        }
    };
}

counters! {
    /// Packets that entered the program.
    seen,
    /// Their bytes on the wire.
    seen_bytes,
    /// Tuples that a ring took, alone or at the head of a packet record.
    tuple_emitted,
    /// Tuples lost because no ring had room.
    tuple_dropped,
    /// Packet records that a ring took.
    packet_emitted,
    /// Captured bytes in them.
    packet_emitted_bytes,
    /// Packet records lost because the ring had no room.
    packet_dropped,
    /// Packet records in the ring that hold less than the whole packet.
    snapped,
    /// Packets that end inside a header; the tuple has what came before.
    too_short,
    /// Frames whose payload is not IPv4 or IPv6; the tuple has no addresses.
    not_ip,
    /// Fragments other than the first; the tuple has no ports.
    fragment,
    /// Packets with more IPv6 extension headers than are walked; the tuple has no ports.
    too_many_headers,
    /// Bytes that the packet ring took, the ring's headers included; what wakes its reader.
    packet_ring_bytes,
}

const _: () = {
    assert!(size_of::<InterfaceCounters>() == 13 * 8);
    assert!(size_of::<InterfaceCounters>() == InterfaceCounters::NAMES.len() * 8);
    assert!(align_of::<InterfaceCounters>() == 8);
    assert!(offset_of!(InterfaceCounters, seen) == 0);
    assert!(offset_of!(InterfaceCounters, packet_ring_bytes) == 12 * 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_are_per_counter() {
        let some = InterfaceCounters {
            seen: 5,
            snapped: 2,
            ..InterfaceCounters::default()
        };
        let sum = some.plus(some);
        assert_eq!((sum.seen, sum.snapped, sum.not_ip), (10, 4, 0));
        assert_eq!(sum.since(some), some);
        let named: u64 = sum.iter().map(|(_, value)| value).sum();
        assert_eq!(named, 14);
        assert_eq!(sum.iter().next(), Some(("seen", 10)));
    }
}
