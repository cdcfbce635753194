//! Capture files: bytes of a pcap or pcapng file, compressed or not, to frames.
//!
//! Knows nothing of what is inside a frame. The way of the bytes:
//!
//! ```text
//! discover -> Input -> (split -> Part) -> source -> compress -> window -> pcap | pcapng -> Frame
//! ```
//!
//! Invariants: the format is told by magic numbers, never by a name; no length that a file
//! states is allocated before that many bytes have been read; a reader never goes back, so that
//! it ends on every input; damage is reported in [`FrameReader::warnings`], never as a lost frame
//! without a word.

mod compress;
mod damage;
mod discover;
mod error;
mod input;
mod pcap;
mod pcapng;
mod reader;
mod record;
mod seekable;
mod source;
mod split;
pub mod stream;
mod window;
pub mod write;

#[cfg(test)]
mod tests;

pub use damage::{Problem, Warning, merge_warnings};
pub use discover::discover;
pub use error::Error;
pub use input::{Input, Part};
pub use reader::FrameReader;
pub use record::RecordReader;
pub use seekable::compress as compress_frames;
pub use source::Facts;
