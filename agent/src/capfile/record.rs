//! Single packets of a pcap file whose places are known, in any order.

use std::io::{self, Read as _};
use std::sync::Arc;

use super::Error;
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
    name: Arc<str>,
    /// Bytes of the file from `start` on.
    window: Vec<u8>,
    start: u64,
}

impl RecordReader {
    pub(super) fn open(store: &Arc<Store>, name: &Arc<str>) -> Result<Self, Error> {
        let source = StoreReader::open(store, 0, u64::MAX);
        Ok(Self {
            source: source.map_err(|source| Error::io("open", name, source))?,
            name: Arc::clone(name),
            window: Vec::new(),
            start: 0,
        })
    }

    /// The captured bytes of the packet whose record starts at `offset`.
    ///
    /// # Errors
    /// If the file ends before.
    pub fn read(&mut self, offset: u64, captured: u32) -> Result<&[u8], Error> {
        let (from, length) = (offset.saturating_add(HEADER), captured as usize);
        let end = self.start + self.window.len() as u64;
        if from < self.start || from.saturating_add(u64::from(captured)) > end {
            let follows = from >= end && from - end < DENSE as u64;
            let wanted = length.max(if follows { DENSE } else { SPARSE });
            self.fill(from, wanted)
                .map_err(|source| Error::io("read", &self.name, source))?;
        }
        let at = usize::try_from(from - self.start).unwrap_or(usize::MAX);
        let data = self.window.get(at..).and_then(|rest| rest.get(..length));
        data.ok_or_else(|| {
            let source = io::Error::from(io::ErrorKind::UnexpectedEof);
            Error::io("read a packet of", &self.name, source)
        })
    }

    fn fill(&mut self, from: u64, wanted: usize) -> io::Result<()> {
        self.source.go_to(from);
        self.start = from;
        self.window.clear();
        let source = &mut self.source;
        source.take(wanted as u64).read_to_end(&mut self.window)?;
        Ok(())
    }

    /// Stored bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.source
            .shared()
            .read
            .load(std::sync::atomic::Ordering::Relaxed)
    }
}
