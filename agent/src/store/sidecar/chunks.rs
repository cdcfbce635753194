//! Bytes of a sidecar that were read and proved, under their places in the file.

use bytes::{Buf, Bytes};
use parquet::{
    errors::{ParquetError, Result},
    file::reader::{ChunkReader, Length},
};

/// Column chunks of a row group: a Parquet reader finds them where they are in the file, and
/// nothing else.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    chunks: Vec<(u64, Bytes)>,
}

impl Chunks {
    /// One column chunk.
    pub(super) fn of(start: u64, bytes: Bytes) -> Self {
        Self {
            chunks: vec![(start, bytes)],
        }
    }

    pub(super) fn push(&mut self, start: u64, bytes: Bytes) {
        self.chunks.push((start, bytes));
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.chunks
            .iter()
            .map(|(_, bytes)| bytes.len() as u64)
            .sum()
    }

    /// The rest of the chunk that a place is in.
    fn from(&self, start: u64) -> Result<Bytes> {
        let within = |(first, bytes): &(u64, Bytes)| {
            let at = usize::try_from(start.checked_sub(*first)?).ok()?;
            (at <= bytes.len()).then(|| bytes.slice(at..))
        };
        // A place may be the end of one and the start of the next: the one with more there.
        let rests = self.chunks.iter().filter_map(within);
        rests
            .max_by_key(Bytes::len)
            .ok_or_else(|| ParquetError::EOF("a page outside its column".to_owned()))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        let ends = self.chunks.iter();
        let ends = ends.map(|(start, bytes)| start + bytes.len() as u64);
        ends.max().unwrap_or(0)
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start)?;
        match length <= bytes.len() {
            true => Ok(bytes.slice(..length)),
            false => Err(ParquetError::EOF("a page past its column".to_owned())),
        }
    }
}
