//! The kernel program's counters, summed over CPUs.

use std::os::fd::OwnedFd;

use agent_common::InterfaceCounters;
use agent_common::config::SLOTS;
use agent_common::counter::UNCONFIGURED;
use aya::maps::{Map, MapData, MapError, PerCpuArray};

/// What keeps the counters from being read.
#[derive(Debug, thiserror::Error)]
pub enum CountersError {
    /// The descriptor is not that of the counters.
    #[error("cannot open the kernel program's counters: {0}")]
    Open(#[source] MapError),
    /// The kernel refused to give them.
    #[error("cannot read the counters of interface slot {slot}: {error}")]
    Read {
        /// The slot.
        slot: u32,
        /// The kernel's reason.
        error: MapError,
    },
    /// There is no such slot.
    #[error("there is no interface slot {slot}; they are 0 to {}", SLOTS - 1)]
    NoSuchSlot {
        /// The number that was asked for.
        slot: u32,
    },
}

/// The counters of all slots. They only grow while the program is loaded, also when a slot goes
/// to another interface: keep the first reading and use [`InterfaceCounters::since`].
pub struct Counters(PerCpuArray<MapData, Value>);

/// The record as the map has it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value(InterfaceCounters);

// SAFETY: nothing but numbers, without padding (asserted where it is declared), and any bits are
// valid.
unsafe impl aya::Pod for Value {}

impl Counters {
    /// Opens [`super::MapFds::counters`]; needs no capability.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, CountersError> {
        let open = || PerCpuArray::try_from(Map::from_map_data(MapData::from_fd(fd)?)?);
        open().map(Self).map_err(CountersError::Open)
    }

    /// The counters of an interface, by its slot.
    pub fn read(&self, slot: u32) -> Result<InterfaceCounters, CountersError> {
        if slot >= SLOTS {
            return Err(CountersError::NoSuchSlot { slot });
        }
        self.sum(slot)
    }

    /// Packets of interfaces that the program runs on without a configuration: at most those that
    /// are being handled while an interface is detached.
    pub fn unconfigured(&self) -> Result<u64, CountersError> {
        self.sum(UNCONFIGURED).map(|counters| counters.seen)
    }

    fn sum(&self, slot: u32) -> Result<InterfaceCounters, CountersError> {
        let values = self
            .0
            .get(&slot, 0)
            .map_err(|error| CountersError::Read { slot, error })?;
        let zero = InterfaceCounters::default();
        Ok(values.iter().fold(zero, |sum, value| sum.plus(value.0)))
    }
}
