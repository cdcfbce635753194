//! The maps and the read-only values that the loader sets; their names are in `agent_common`.

use agent_common::config::{INTERFACE_ENTRIES, MAX_SHARDS};
use agent_common::counter::COUNTER_ENTRIES;
use agent_common::{InterfaceConfig, InterfaceCounters};
use aya_ebpf::Global;
use aya_ebpf::btf_maps::{ArrayOfMaps, RingBuf};
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::{Array, PerCpuArray};

/// The kernel wants an example of the inner map; the loader's rings have sizes of their own. It
/// makes the example, too, and so its size must be whole pages, which have up to 64 KiB (arm64,
/// ppc64).
pub(crate) type Ring = RingBuf<u64, 65_536>;

/// One per shard, as the loader made them.
pub(crate) type Rings = ArrayOfMaps<Ring, { MAX_SHARDS as usize }>;

#[btf_map]
pub(crate) static TUPLE_RINGS: Rings = Rings::new();

#[btf_map]
pub(crate) static PACKET_RINGS: Rings = Rings::new();

#[map]
pub(crate) static INTERFACES: Array<InterfaceConfig> =
    Array::with_max_entries(INTERFACE_ENTRIES, 0);

#[map]
pub(crate) static COUNTERS: PerCpuArray<InterfaceCounters> =
    PerCpuArray::with_max_entries(COUNTER_ENTRIES, 0);

#[unsafe(no_mangle)]
pub(crate) static SHARD_MASK: Global<u32> = Global::new(0);

#[unsafe(no_mangle)]
pub(crate) static TUPLE_WAKE_RECORDS: Global<u64> = Global::new(1 << 10);

#[unsafe(no_mangle)]
pub(crate) static PACKET_WAKE_BYTES: Global<u64> = Global::new(64 << 10);
