//! The scan: capture files to record batches, with the filters that packets need not be rows for.
//!
//! ```text
//! CaptureTable (planning: predicate, projection, parts) -> CaptureScanExec -> one thread per
//! partition: capfile -> view (decode) -> predicate -> batch, or sidecar -> tuples (by column)
//! ```
//!
//! Invariants: a filter is pushed only if [`predicate`] decides it exactly as the engine's own
//! filter would, nulls included; a row does not depend on the number of partitions.

mod alone;
mod batch;
mod error;
mod fields;
mod file;
mod pause;
mod plan;
mod predicate;
mod prune;
mod read;
mod report;
mod stored;
mod table;
mod test;
mod tuples;
mod view;

#[cfg(test)]
mod tests;

pub use error::{ScanError, split_missed};
pub use file::{ScanFile, matches_tag};
pub use pause::Pause;
pub use plan::CaptureScanExec;
pub(in crate::exec) use plan::Held;
pub use read::OFFSET_BITS;
pub use report::ScanReport;
pub use table::{CaptureTable, ScanOptions};
pub use view::{column_name, column_type};
