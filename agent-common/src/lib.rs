//! What the kernel program and the agent both know: records, configuration, counters,
//! protocol numbers.
#![no_std]

pub mod config;
pub mod counter;
pub mod event;
pub mod net;
pub mod packet;

pub use config::InterfaceConfig;
pub use counter::InterfaceCounters;
pub use event::TupleEvent;
pub use packet::PacketHeader;
