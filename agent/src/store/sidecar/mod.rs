//! Tuple sidecars: a Parquet table beside each closed capture file, one row per packet in file
//! order, made from the stored file alone, so that it can be deleted and made again.
//!
//! A sidecar that was cut, changed, or made for other bytes is not used: the footer and each
//! column chunk have check sums, the footer names the length and the packets of its capture file.
//! A table of tuples alone (`alone.rs`) has the same form, and says so in its metadata: no packets
//! belong to it, and it cannot be made again.
//! Any Parquet reader can read it; what only we know is in its key/value metadata.
//!
//! ```text
//! "PAR1", for each row group: column chunks, Bloom filters; "FSC1", CRC-32 of the metadata,
//! metadata, its length, "PAR1"
//! ```

mod alone;
mod chunks;
mod footer;
mod publish;
mod read;
mod schema;
mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(super) use alone::{build_alone, table_of};
pub use chunks::Chunks;
pub use read::{Bounds, Sidecar, Values};
pub use schema::Column;
pub use write::{Made, ROWS_PER_GROUP, build};

/// Version of the table and its metadata.
const VERSION: u32 = 1;
/// Stands before the check sum of the footer.
const MARK: [u8; 4] = *b"FSC1";
/// Length of the mark and the check sum.
const CHECK: usize = 8;
/// Length of what follows the metadata: its length and the magic number.
const TAIL: usize = 8;

/// Keys of the metadata.
mod key {
    pub(super) const VERSION: &str = "flowsift.version";
    pub(super) const CAPTURE_BYTES: &str = "flowsift.capture_bytes";
    pub(super) const PACKETS: &str = "flowsift.packets";
    pub(super) const LINK_TYPE: &str = "flowsift.link_type";
    pub(super) const MIN_TIME: &str = "flowsift.min_time_ns";
    pub(super) const MAX_TIME: &str = "flowsift.max_time_ns";
    pub(super) const SEQUENCE: &str = "flowsift.sequence";
    /// There where no capture file belongs to the table.
    pub(super) const TUPLES_ALONE: &str = "flowsift.tuples_alone";
    /// CRC-32 in hexadecimal of each column chunk and Bloom filter, in the order of the file.
    pub(super) const CHECKS: &str = "flowsift.crc32";
}

/// Why a sidecar is not used, or could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It was cut or changed.
    #[error("the sidecar {} is damaged: {reason}", path.display())]
    Damaged {
        /// The sidecar.
        path: PathBuf,
        /// How that was seen.
        reason: String,
    },
    /// It is whole, but not of these packets, or of another version.
    #[error("the sidecar {} is not used: {reason}", path.display())]
    Stale {
        /// The sidecar.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The capture file is damaged: only reading it itself can say where.
    #[error("no sidecar is made for {}: {reason}", path.display())]
    DamagedCapture {
        /// The capture file.
        path: PathBuf,
        /// The damage.
        reason: String,
    },
    /// The capture file cannot be read.
    #[error(transparent)]
    Capture(#[from] crate::capfile::Error),
    /// The table could not be made.
    #[error("cannot make the sidecar {}: {reason}", path.display())]
    Make {
        /// The sidecar.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}
