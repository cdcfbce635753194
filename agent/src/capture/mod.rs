//! Live packets: the kernel program, its interfaces, its rings and its counters.
//!
//! [`Program`] needs root (or `CAP_BPF`, `CAP_NET_ADMIN`, `CAP_PERFMON`). What reads its rings and
//! counters needs nothing but the file descriptors of [`MapFds`], so it may be another process.
//! Where the program cannot be used, packets come by sockets ([`SocketSource`], which needs
//! `CAP_NET_RAW`); [`Source`] and [`PacketSource`] are either.

mod attach;
mod clock;
mod config;
mod counters;
mod cpus;
mod egress;
mod facts;
pub mod filter;
pub mod guard;
mod interfaces;
mod netlink;
mod offload;
mod program;
mod refusal;
mod ring;
mod rings;
mod socket;
mod source;
pub mod split;

pub use attach::Attachment;
pub use clock::{Clock, ClockError, Jump};
pub use config::{InterfaceConfig, Mode, Note};
pub use counters::{Counters, CountersError};
pub use interfaces::{Interface, InterfaceError, InterfaceEvent, InterfaceWatch, Patterns, list};
pub use program::{MAX_RING_BYTES, MAX_RINGS, MapFds, Program, ProgramError, Settings};
pub use refusal::AttachError;
pub use ring::{Fill, RingError};
pub use rings::{Drained, PacketRecord, PacketRings, TupleRings, WAIT};
pub use socket::{
    Arrival, RingShape, RingSocket, SocketCounters, SocketRings, SocketSource, SocketWish,
};
pub use source::{Attached, AttachedTo, Feed, PacketSource, Source, SourceCounters};

pub use agent_common::{InterfaceCounters, TupleEvent};
