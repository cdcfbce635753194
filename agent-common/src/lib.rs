//! What the kernel program and the agent both know: records, counters, protocol numbers.
#![no_std]

pub mod counter;
pub mod event;
pub mod net;

pub use counter::Counter;
pub use event::TupleEvent;
