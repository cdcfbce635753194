//! Where live packets come from: stored ones played again, or a store that is being written to.
//!
//! A feed gives packets bit by bit and says up to which time there will be no more, so that
//! windows close. It knows nothing of queries; what runs them knows nothing of feeds.

mod part;
mod replay;
mod tail;

use std::time::Duration;

pub use self::replay::{Replay, Speed, SpeedError};
pub use self::tail::{Following, past};
use crate::capfile::Warning;
use crate::exec::live::Bit;

/// What a feed has to give.
#[derive(Debug, Default)]
pub struct Step {
    /// Packets, in the order in which they came.
    pub bits: Vec<Bit>,
    /// No packet before this time comes any more, in nanoseconds since the Unix epoch.
    pub complete_until_ns: Option<i64>,
    /// What the user should be told.
    pub notes: Vec<String>,
    /// Nothing comes any more.
    pub over: bool,
}

/// A source of live packets.
pub trait Feed: Send {
    /// What came, waiting for at most this long.
    fn next(&mut self, timeout: Duration) -> Result<Step, Error>;

    /// Called now and then while nobody takes what it gave: whoever talks to it must not wait.
    fn hear(&mut self) {}

    /// Ends it in order: what has arrived by now is still given.
    fn stop(&mut self);

    /// Damage of what was read so far.
    fn warnings(&self) -> Vec<Warning> {
        Vec::new()
    }
}

/// Why no more packets come.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A capture file cannot be read.
    #[error(transparent)]
    Input(#[from] crate::capfile::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Nobody writes to the store.
    #[error("no agent writes to {0}")]
    NoWriter(String),
}
