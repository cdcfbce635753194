//! The packet store: capture files by well and source, their tuple sidecars and loss tables.
//!
//! ```text
//! STORE/WELL/IFACE/2026/11/24/20261124T180000.000000000Z-000042.pcap      closed
//! STORE/WELL/IFACE/2026/11/24/20261124T180000.000000000Z-000042.pcap.zst  the same, compressed
//! STORE/WELL/IFACE/2026/11/24/20261124T180000.000000000Z-000042.parquet   its tuple sidecar
//! STORE/WELL/IFACE/2026/11/24/20261124T180000.000000000Z-000042.counters  what was lost meanwhile
//! STORE/WELL/IFACE/active-000043.pcap                                     being written
//! ```
//!
//! A capture without packets leaves tuples alone: `active-000043.tuples` while it is written, a
//! `.parquet` without a `.pcap` when it is closed, which says in its metadata what it is.
//!
//! `docs/store.md` says for users what is where and what can be lost.
//!
//! Invariants: capture files and files of tuples alone are the truth, everything else can be made
//! again from them; a closed one never changes, but for its form (compressed or not); a source
//! has one writer at a time (a lock says so); its
//! sequence numbers grow for ever, and order by them is the order of writing, whatever the times
//! of packets say; a name appears by atomic rename once its content is on the disk. Unknown
//! files are never touched.

pub mod block;
mod capture_file;
pub mod catalog;
pub mod check;
mod close;
pub mod compress;
mod error;
mod exclusive;
pub mod export;
pub mod fill;
pub mod import;
pub mod layout;
pub mod list;
pub mod loss;
pub mod missed;
mod records;
pub mod recover;
pub mod reindex;
pub mod retention;
pub mod sidecar;
pub mod spans;
mod state;
pub mod tail;
mod tuples;
mod unfinished;
pub mod usage;
pub mod well;
pub mod writer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use block::{RECORD_HEADER, RecordBlock};
pub use capture_file::CaptureFile;
pub use catalog::{Filter, Skipped, Snapshot};
pub use compress::Compress;
pub use error::Error;
pub use layout::Source;
pub use records::FileHeader;
pub use sidecar::Sidecar;
pub use tail::Tail;
pub use unfinished::{Unfinished, unfinished};
pub use well::{Retention, Wells, parse_age, parse_size};
pub use writer::{Content, Outcome, SourceWriter, WriterOptions};
