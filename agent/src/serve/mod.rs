//! A running capture as others see it: what it is told by its configuration, a socket in its store
//! that says what is committed, the status, and figures for Prometheus.
//!
//! ```text
//! writer --> Board (atomics) --\
//!                               Agent --> socket thread --> subscribers, each with a bounded queue
//! worker --> Status, once a s --/    \--> metrics thread --> GET /metrics
//! ```
//!
//! Invariants: nothing here can make the writer wait, so that whoever listens, or stops listening,
//! costs no packet; the socket carries no packets, which are read from the store's files; all that
//! comes from outside is bounded, in bytes, time and number.

pub mod client;
#[cfg(feature = "capture")]
pub mod config;
#[cfg(feature = "capture")]
pub mod notify;
pub mod protocol;

#[cfg(feature = "capture")]
mod exposition;
#[cfg(feature = "capture")]
pub mod metrics;
#[cfg(feature = "capture")]
pub mod options;
#[cfg(feature = "capture")]
mod peer;
#[cfg(feature = "capture")]
pub mod socket;
#[cfg(feature = "capture")]
pub mod status;
#[cfg(feature = "capture")]
mod subscriber;
#[cfg(feature = "capture")]
mod thread;

#[cfg(test)]
#[cfg(feature = "capture")]
mod tests;
