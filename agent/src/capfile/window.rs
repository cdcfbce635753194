//! The bytes of a source that are in view: a buffer refilled by large reads, frames borrow from it.

use std::{
    io::{ErrorKind, Read},
    ops::Range,
};

/// First buffer; small files need no more.
const FIRST_CAPACITY: usize = 16 << 10;
/// Largest buffer unless a record is longer: fits the second-level cache.
const CAPACITY: usize = 256 << 10;

/// A window that only moves forward.
pub(super) struct Window {
    source: Box<dyn Read + Send>,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the source of `buf[start]`.
    offset: u64,
    /// Reading stops before a record that starts here or later.
    stop: u64,
    at_end: bool,
    failure: Option<String>,
}

impl Window {
    pub(super) fn new(source: Box<dyn Read + Send>, offset: u64, stop: u64) -> Self {
        Self {
            source,
            buf: Vec::new(),
            start: 0,
            end: 0,
            offset,
            stop,
            at_end: false,
            failure: None,
        }
    }

    /// Offset in the source of the first byte in view.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn stop(&self) -> u64 {
        self.stop
    }

    pub(super) fn at_stop(&self) -> bool {
        self.offset >= self.stop
    }

    /// Why reading ended before the end, once.
    pub(super) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// All bytes in view.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// Bytes that were taken, valid until the next call of [`Self::ensure`].
    pub(super) fn taken(&self, range: Range<usize>) -> &[u8] {
        self.buf.get(range).unwrap_or_default()
    }

    /// The first `N` bytes in view, read if need be.
    #[inline]
    pub(super) fn peek<const N: usize>(&mut self) -> Option<&[u8; N]> {
        if self.end - self.start < N && !self.fill(N) {
            return None;
        }
        self.bytes().first_chunk()
    }

    /// Brings at least `n` bytes in view; `false` if the source has fewer.
    #[inline]
    pub(super) fn ensure(&mut self, n: usize) -> bool {
        self.end - self.start >= n || self.fill(n)
    }

    /// Moves the window by `n` bytes that are in view.
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }

    /// Moves the window by `n` bytes in view and gives the place of those between `skip` and
    /// `skip + len` in the buffer.
    #[inline]
    pub(super) fn take(&mut self, skip: usize, len: usize, n: usize) -> Range<usize> {
        let from = self.start + skip;
        self.consume(n);
        from..from + len
    }

    /// Moves the window to the end of the source.
    pub(super) fn consume_all(&mut self) {
        loop {
            self.consume(usize::MAX);
            if !self.ensure(1) {
                return;
            }
        }
    }

    #[cold]
    fn fill(&mut self, n: usize) -> bool {
        self.buf.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buf.len() < CAPACITY {
            self.grow();
        }
        while self.end < n && !self.at_end {
            if self.end == self.buf.len() {
                self.grow();
            }
            self.read_some();
        }
        self.end >= n
    }

    /// Doubles the buffer: it is never more than twice what the source really gave, however long
    /// a record claims to be.
    fn grow(&mut self) {
        let len = match self.buf.len() {
            0 => FIRST_CAPACITY,
            n if n < CAPACITY => CAPACITY,
            n => n.saturating_mul(2),
        };
        self.buf.resize(len, 0);
    }

    fn read_some(&mut self) {
        let Some(space) = self.buf.get_mut(self.end..) else {
            self.at_end = true;
            return;
        };
        match self.source.read(space) {
            Ok(0) => self.at_end = true,
            Ok(n) => self.end += n.min(space.len()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => {
                self.failure = Some(e.to_string());
                self.at_end = true;
            }
        }
    }
}
