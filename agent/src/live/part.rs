//! Packets of a stored capture file that were committed together, read bit by bit: there may be
//! any number of them once a query was held up.

use std::fmt;
use std::sync::Arc;

use super::Error;
use crate::capfile::{FrameReader, Input, Warning};
use crate::exec::live::Bit;
use crate::exec::scan::OFFSET_BITS;
use crate::frames::Frames;
use crate::store::tail::Committed;

/// Bytes of packets of a bit.
pub(super) const BIT_BYTES: usize = 8 << 20;

/// What is left to read of it.
pub(super) struct Part {
    reader: FrameReader,
    tag: Arc<str>,
    /// Of the file, among those read.
    number: u64,
    /// Where its packets begin.
    start: u64,
    is_over: bool,
}

impl Part {
    /// The packets of this file that were committed; the file must be there.
    pub(super) fn open(input: &Input, committed: &Committed, number: u64) -> Result<Self, Error> {
        Ok(Self {
            reader: input.records(committed.range.clone())?.open()?,
            tag: committed.source.tag.as_str().into(),
            number,
            start: committed.range.start,
            is_over: false,
        })
    }

    /// The next packets; `None` where there are no more.
    pub(super) fn next(&mut self) -> Option<Bit> {
        let mut frames = Frames::default();
        while frames.size_bytes() < BIT_BYTES {
            let Some(mut frame) = self.reader.next_frame() else {
                self.is_over = true;
                break;
            };
            // A file that is compressed by now is read from its start.
            if frame.offset >= self.start {
                frame.offset |= self.number << OFFSET_BITS;
                frames.push(frame);
            }
        }
        (!frames.is_empty()).then(|| Bit::Frames {
            frames: Arc::new(frames),
            tag: Arc::clone(&self.tag),
        })
    }

    /// Whether all of it was given.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Damage met so far.
    pub(super) fn warnings(&self) -> &[Warning] {
        self.reader.warnings()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("number", &self.number)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}
