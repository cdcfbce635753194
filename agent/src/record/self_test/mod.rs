//! How much this machine can record: the kernel program's cost, and the highest rates.
//!
//! Frames are sent over a pair of interfaces in a network namespace of the measuring thread's own,
//! which ends with the thread; what is written goes to a temporary folder. So nothing stays.

mod cost;
mod disk;
mod rate;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use agent_probe::Pair;

pub use cost::{Cost, Costs};
pub use disk::Disk;
pub use rate::Rate;

use super::{WorkerError, WriteError};
use crate::capture::{AttachError, InterfaceError, ProgramError, RingError};

/// Bytes of the frames that are sent: the shortest, and about what links carry.
pub const FRAME_BYTES: [u16; 2] = [64, 1_000];

/// What is measured, and for how long.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// How the rings are made.
    pub rings: crate::capture::Settings,
    /// A folder on the disk to be measured.
    pub folder: Option<&'a Path>,
    /// Length of each measurement.
    pub time: Duration,
    /// Ends it early when set.
    pub stop: Arc<AtomicBool>,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of the kernel program.
    pub costs: Costs,
    /// Rings alone, what comes out of them thrown away; by [`FRAME_BYTES`].
    pub ring: [Rate; 2],
    /// The disk alone.
    pub disk: Option<Disk>,
    /// From rings to the store; by [`FRAME_BYTES`].
    pub both: Option<[Rate; 2]>,
}

/// What keeps the machine from being measured.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// There is no network to send frames over.
    #[error("cannot {action}: {source}")]
    Network {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel program cannot be used.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// It cannot be attached to an interface of our own.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The interfaces cannot be listed.
    #[error(transparent)]
    Interfaces(#[from] InterfaceError),
    /// A ring cannot be read.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The recorder failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file could not be written.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// It was stopped.
    #[error("the self-test was stopped")]
    Stopped,
    /// A thread ended by a defect of ours.
    #[error("a thread of the self-test failed")]
    Panicked,
}

impl SelfTestError {
    fn network(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Network { action, source }
    }
}

/// Measures this machine; needs root, and takes both of a machine's processors for itself.
///
/// # Errors
/// If the kernel does not let us, the folder cannot be written, or it is stopped.
pub fn run(plan: &Plan<'_>) -> Result<Report, SelfTestError> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| measure(plan));
        thread.join().unwrap_or(Err(SelfTestError::Panicked))
    })
}

/// On a thread of its own, which is moved to another network.
fn measure(plan: &Plan<'_>) -> Result<Report, SelfTestError> {
    agent_probe::enter().map_err(SelfTestError::network("make a network namespace"))?;
    let pair = Pair::make("probe0", "probe1", 9_000)
        .map_err(SelfTestError::network("make a pair of virtual interfaces"))?;
    let costs = cost::measure(plan.rings)?;
    let ring = each_frame(|bytes| rate::highest(plan, &pair, bytes, None))?;
    let Some(folder) = plan.folder else {
        return Ok(Report {
            costs,
            ring,
            disk: None,
            both: None,
        });
    };
    let disk = disk::measure(folder, plan.time, &plan.stop)?;
    let both = each_frame(|bytes| rate::highest(plan, &pair, bytes, Some(folder)))?;
    Ok(Report {
        costs,
        ring,
        disk: Some(disk),
        both: Some(both),
    })
}

fn each_frame(
    mut measure: impl FnMut(u16) -> Result<Rate, SelfTestError>,
) -> Result<[Rate; 2], SelfTestError> {
    let [short, usual] = FRAME_BYTES;
    Ok([measure(short)?, measure(usual)?])
}

fn check(stop: &AtomicBool) -> Result<(), SelfTestError> {
    if stop.load(Relaxed) {
        return Err(SelfTestError::Stopped);
    }
    Ok(())
}

/// A folder in `within` that goes when it is dropped.
fn temporary(within: &Path) -> Result<tempfile::TempDir, SelfTestError> {
    tempfile::Builder::new()
        .prefix(".self-test-")
        .tempdir_in(within)
        .map_err(|source| {
            SelfTestError::Write(WriteError::File {
                action: "make a folder in",
                path: within.display().to_string(),
                source,
            })
        })
}
