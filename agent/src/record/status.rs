//! How a recording is: its interfaces, and what was counted of them.

use std::collections::BTreeMap;

use super::sample::Sample;
use crate::capture::Mode;

/// An interface and what was counted of it.
#[derive(Clone, Debug)]
pub struct InterfaceState {
    /// Its name.
    pub name: String,
    /// The tag of its packets.
    pub tag: String,
    /// How packets come; `None` while the interface is gone.
    pub mode: Option<Mode>,
    /// Whether it is not wanted any more: it is not gone then.
    pub left: bool,
    /// The latest counters.
    pub sample: Sample,
}

/// Interfaces of which nothing is known but what was counted of them together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Former {
    /// How many.
    pub interfaces: u64,
    /// Their counters.
    pub sample: Sample,
}

/// How things are.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// By slot.
    pub interfaces: BTreeMap<u32, InterfaceState>,
    /// Those that are gone and let go.
    pub former: Former,
    /// Whether packets come by packet sockets.
    pub sockets: bool,
    /// Whether it is tuples that are recorded, and no packets.
    pub tuples: bool,
    /// The share, 0 to 1, of the fullest ring of what is recorded.
    pub ring_fill: f64,
    /// Bytes written to files.
    pub bytes_written: u64,
    /// Packets of interfaces that were being attached or detached.
    pub unconfigured: u64,
    /// Records of a wrong length: a defect of ours.
    pub malformed: u64,
}

impl Status {
    /// The latest counters of all interfaces, also of those that were let go.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        let interfaces = self.interfaces.values().map(|state| &state.sample);
        interfaces.chain([&self.former.sample])
    }
}
