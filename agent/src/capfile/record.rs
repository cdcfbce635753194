//! Single packets of a pcap file whose places are known, in any order.

use std::io::{self, Read as _};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Error;
use super::damage::{Damage, Problem, Warning};
use super::source::{Store, StoreReader};

/// Bytes of a pcap record's header.
const HEADER: u64 = 16;

/// Bytes read at once where packets lie apart, and where they follow each other.
const SPARSE: usize = 4 << 10;
const DENSE: usize = 256 << 10;

/// Reads packets by the offsets of their records.
#[derive(Debug)]
pub struct RecordReader {
    source: StoreReader,
    damage: Damage,
    /// What cannot be read, as far as that is known: reported once.
    lost: Range<u64>,
    /// Bytes of the file from `start` on.
    window: Vec<u8>,
    start: u64,
}

impl RecordReader {
    pub(super) fn open(store: &Arc<Store>, name: &Arc<str>) -> Result<Self, Error> {
        let source = StoreReader::open(store, 0, u64::MAX);
        Ok(Self {
            source: source.map_err(|source| Error::io("open", name, source))?,
            damage: Damage::new(Arc::clone(name)),
            lost: 0..0,
            window: Vec::new(),
            start: 0,
        })
    }

    /// The captured bytes of the packet whose record starts at `offset`; `None` where they are
    /// damaged, which [`Self::warnings`] says.
    pub fn read(&mut self, offset: u64, captured: u32) -> Option<&[u8]> {
        let (from, length) = (offset.saturating_add(HEADER), captured as usize);
        let end = self.start + self.window.len() as u64;
        if self.lost.contains(&offset) {
            return None;
        }
        if from < self.start || from.saturating_add(u64::from(captured)) > end {
            let follows = from >= end && from - end < DENSE as u64;
            let wanted = length.max(if follows { DENSE } else { SPARSE });
            let filled = self.fill(from, wanted);
            // What was read of more than was asked for may do.
            let have = self.window.len();
            if have < length {
                self.report(offset, have, filled);
                return None;
            }
        }
        let at = usize::try_from(from - self.start).unwrap_or(usize::MAX);
        self.window.get(at..).and_then(|rest| rest.get(..length))
    }

    fn report(&mut self, offset: u64, have: usize, filled: io::Result<()>) {
        let problem = match filled {
            Err(error) => {
                let resume = self.source.shared().resume.load(Ordering::Relaxed);
                self.lost = offset..resume.max(offset);
                Problem::Read(error.to_string())
            }
            Ok(()) => Problem::Cut {
                what: "packet",
                have: have as u64,
            },
        };
        self.damage.report(offset, problem);
    }

    fn fill(&mut self, from: u64, wanted: usize) -> io::Result<()> {
        self.source.go_to(from);
        self.start = from;
        self.window.clear();
        let source = &mut self.source;
        source.take(wanted as u64).read_to_end(&mut self.window)?;
        Ok(())
    }

    /// The damage met so far.
    pub fn warnings(&self) -> &[Warning] {
        self.damage.warnings()
    }

    /// Stored bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.source.shared().read.load(Ordering::Relaxed)
    }
}
