//! Capture files compressed so that a packet can still be reached by its offset: independent
//! zstd frames, and behind them a table that says where each is.
//!
//! The table is a skippable frame as the "Zstandard Seekable Format" 0.1.0 of the zstd project
//! (`contrib/seekable_format/zstd_seekable_compression_format.md`) has it, without the optional
//! check sums, since each of our frames carries its own (RFC 8878, 3.1.1: content check sum).
//! Other programs read the file as ordinary zstd. A table that is missing or wrong is made again
//! from the frames, up to the first that is not whole.
//!
//! All sizes in such a file are untrusted: each is compared with a limit before memory is taken.

mod read;
mod table;
mod write;

#[cfg(test)]
mod tests;

pub(super) use read::{Bytes, FrameBytes};
pub(super) use table::Table;
pub use write::compress;

/// Uncompressed bytes after which a frame ends, before the packet that would pass them: small
/// enough that one packet costs little, large enough that compression loses little.
const FRAME: usize = 256 << 10;
/// Most uncompressed bytes of a frame that is read.
const MAX_FRAME: u32 = 4 << 20;
/// Most compressed bytes of a frame that is read: what incompressible bytes take, and a bit more.
const MAX_COMPRESSED: u32 = MAX_FRAME + (MAX_FRAME >> 6);
/// The same as a power of two, for the decoder's own memory.
const WINDOW_LOG: u32 = 22;
/// Most frames of a file: 256 GiB of ours.
const MAX_FRAMES: u64 = 1 << 20;
