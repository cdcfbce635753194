//! What the loader tells the kernel program: per interface, and once for all.

use core::mem::{align_of, offset_of, size_of};

/// Interfaces that can be configured at once.
pub const SLOTS: u32 = 64;

/// Entries of the kernel's array of configurations; an interface's is found by its index modulo
/// this. A hash table would take a fifth of the time that a packet takes.
pub const INTERFACE_ENTRIES: u32 = 4096;

/// Rings of one kind; packets of a CPU always go to the same one.
pub const MAX_SHARDS: u32 = 64;

/// The longest snap length, in bytes: `bpf_xdp_load_bytes` copies no more at once.
pub const MAX_SNAPLEN: u32 = 65_535;

/// Names of maps and read-only values in the object.
pub mod names {
    /// The program on the receive path.
    pub const PROGRAM: &str = "flowsift_xdp";
    /// The program for what this machine sends.
    pub const EGRESS_PROGRAM: &str = "flowsift_tcx";
    /// The program that says by `aya-log` what the others go by.
    pub const FACTS_PROGRAM: &str = "flowsift_facts";
    /// Array of [`InterfaceConfig`](super::InterfaceConfig).
    pub const INTERFACES: &str = "INTERFACES";
    /// Per-CPU array of [`InterfaceCounters`](crate::InterfaceCounters).
    pub const COUNTERS: &str = "COUNTERS";
    /// Shard to tuple ring.
    pub const TUPLE_RINGS: &str = "TUPLE_RINGS";
    /// Shard to packet ring.
    pub const PACKET_RINGS: &str = "PACKET_RINGS";
    /// `u32`: shards in use less one; they are a power of two.
    pub const SHARD_MASK: &str = "SHARD_MASK";
    /// `u64`, a power of two: the reader is woken each time that a CPU emitted so many tuples of
    /// an interface.
    pub const TUPLE_WAKE_RECORDS: &str = "TUPLE_WAKE_RECORDS";
    /// `u64`, a power of two: the reader is woken each time that a CPU put so many bytes of an
    /// interface into the packet ring.
    pub const PACKET_WAKE_BYTES: &str = "PACKET_WAKE_BYTES";
}

/// What is wanted of an interface's packets, in [`InterfaceConfig::flags`].
pub mod wants {
    /// A tuple of each packet, in the tuple ring.
    pub const TUPLES: u32 = 1;
    /// A packet record of each packet.
    pub const PACKETS: u32 = 1 << 1;
    /// A packet record stands for its tuple, which then goes to the tuple ring only where the
    /// packet ring had no room. Needs both of the others.
    pub const JOINED: u32 = 1 << 2;
}

/// One interface's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct InterfaceConfig {
    /// The interface's number in records and counters, less than [`SLOTS`].
    pub slot: u32,
    /// Bytes kept of a packet, 1 to [`MAX_SNAPLEN`].
    pub snaplen: u32,
    /// [`wants`].
    pub flags: u32,
    /// The interface's index: an entry without it is another interface's, or nobody's.
    pub interface: u32,
}

const _: () = {
    assert!(size_of::<InterfaceConfig>() == 16);
    assert!(align_of::<InterfaceConfig>() == 4);
    assert!(offset_of!(InterfaceConfig, slot) == 0);
    assert!(offset_of!(InterfaceConfig, snaplen) == 4);
    assert!(offset_of!(InterfaceConfig, flags) == 8);
    assert!(offset_of!(InterfaceConfig, interface) == 12);
    assert!(MAX_SHARDS.is_power_of_two() && INTERFACE_ENTRIES.is_power_of_two());
};
