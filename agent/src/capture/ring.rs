//! One BPF ring buffer, read through its memory: look at the oldest record, then let it go.
//!
//! Of its own, because merging several rings in time order needs to look before it takes, and
//! because how full a ring is stands in the same memory (kernel/bpf/ringbuf.c, since 5.8).

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use aya::maps::{MapData, MapType};

use super::program::MAX_RING_BYTES;

/// Of a record's length word: not committed yet, and given up (`BPF_RINGBUF_BUSY_BIT`, `_DISCARD_BIT`).
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
/// Bytes before each record (`BPF_RINGBUF_HDR_SZ`).
const HEADER_BYTES: usize = 8;
/// One part in so many of a ring may be read and not yet given back.
const UNPUBLISHED_SHARE: usize = 64;

/// What keeps a ring from being opened.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The kernel does not say what the descriptor is.
    #[error("cannot ask the kernel about a ring's descriptor: {0}")]
    Info(#[source] aya::maps::MapError),
    /// The descriptor is that of another kind of map.
    #[error("a descriptor given as a ring buffer is a map of type {0}")]
    NotARing(String),
    /// The ring's memory cannot be mapped.
    #[error("cannot map {bytes} bytes of a ring: {error}")]
    Map {
        /// Length of the mapping.
        bytes: usize,
        /// The kernel's reason.
        error: io::Error,
    },
    /// No notifications.
    #[error("cannot watch a ring for records: {0}")]
    Watch(#[source] io::Error),
}

/// How full a ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Bytes that were written and not yet released, ring headers included.
    pub unread_bytes: usize,
    /// Bytes of the ring.
    pub size_bytes: usize,
}

impl Fill {
    /// 0 for an empty ring, 1 for a full one.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.unread_bytes as f64 / self.size_bytes as f64
    }
}

/// The reader's side of a ring. There must be only one reader of a ring at a time.
pub(super) struct Ring {
    map: MapData,
    /// The page with the reader's position; the kernel reads it.
    consumer: Mapping,
    /// The page with the writer's position, then the data, twice in a row so that no record is cut.
    producer: Mapping,
    page_bytes: usize,
    size_bytes: usize,
    position: usize,
    /// The position that the kernel was last told.
    published: usize,
    /// The writer's position when it was last looked at.
    written: usize,
}

impl Ring {
    /// Maps a ring given by its descriptor; needs no capability.
    pub(super) fn open(fd: OwnedFd) -> Result<Self, RingError> {
        let map = MapData::from_fd(fd).map_err(RingError::Info)?;
        let info = map.info().map_err(RingError::Info)?;
        let kind = info.map_type().map_err(RingError::Info)?;
        if kind != MapType::RingBuf {
            return Err(RingError::NotARing(format!("{kind:?}")));
        }
        let size_bytes = info.max_entries() as usize;
        let page_bytes = page_bytes();
        let fd = map.fd().as_fd();
        let consumer = Mapping::new(fd, page_bytes, 0, libc::PROT_READ | libc::PROT_WRITE)?;
        let producer = Mapping::new(fd, page_bytes + 2 * size_bytes, page_bytes, libc::PROT_READ)?;
        let mut ring = Self {
            map,
            consumer,
            producer,
            page_bytes,
            size_bytes,
            position: 0,
            published: 0,
            written: 0,
        };
        ring.position = ring.consumer.position().load(Ordering::Acquire);
        ring.published = ring.position;
        ring.written = ring.position;
        Ok(ring)
    }

    /// The oldest record, if it is complete. It stays until [`Ring::release`].
    pub(super) fn peek(&mut self) -> Option<&[u8]> {
        loop {
            if self.written == self.position {
                self.written = self.producer.position().load(Ordering::Acquire);
                if self.written == self.position {
                    return None;
                }
            }
            let word = self.length_word();
            if word & BUSY != 0 {
                return None;
            }
            let len = (word & !DISCARDED) as usize;
            if word & DISCARDED == 0 {
                let start = self.offset() + HEADER_BYTES;
                return self.producer.bytes().get(start..start + len);
            }
            self.advance(len);
        }
    }

    /// Goes on behind the record that [`Ring::peek`] shows. The kernel gets its room back by
    /// [`Ring::publish`], or before that once it is a share of the ring that would be missed.
    pub(super) fn release(&mut self) {
        if self.written != self.position {
            self.advance((self.length_word() & !(BUSY | DISCARDED)) as usize);
        }
    }

    /// Gives the room of all records that were released back to the kernel.
    ///
    /// Not for each: the program reads this position for each record that it reserves, and two
    /// processors would take the line of memory from each other at every packet.
    pub(super) fn publish(&mut self) {
        if self.published == self.position {
            return;
        }
        self.published = self.position;
        // After all reads of the records: the kernel may overwrite them from here on.
        self.consumer
            .position()
            .store(self.position, Ordering::Release);
    }

    /// How full the ring is now, by what the kernel knows: also for one who is not its reader.
    pub(super) fn fill(&self) -> Fill {
        // In this order: the reader is never ahead of the writer.
        let read = self.consumer.position().load(Ordering::Acquire);
        let written = self.producer.position().load(Ordering::Acquire);
        Fill {
            unread_bytes: written.wrapping_sub(read).min(self.size_bytes),
            size_bytes: self.size_bytes,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }

    /// Where the oldest record's header is, in the writer's mapping.
    fn offset(&self) -> usize {
        self.page_bytes + (self.position & (self.size_bytes - 1))
    }

    fn length_word(&self) -> u32 {
        // The kernel commits by an ordered exchange of this word, which the acquiring load pairs with.
        self.producer.word(self.offset()).load(Ordering::Acquire)
    }

    fn advance(&mut self, len: usize) {
        self.position = self
            .position
            .wrapping_add((HEADER_BYTES + len).next_multiple_of(8));
        if self.position.wrapping_sub(self.published) >= self.size_bytes / UNPUBLISHED_SHARE {
            self.publish();
        }
    }
}

/// A shared mapping that ends with its owner.
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone, and memory may be used from any thread.
unsafe impl Send for Mapping {}

impl Mapping {
    pub(super) fn new(
        fd: BorrowedFd<'_>,
        len: usize,
        offset: usize,
        protection: i32,
    ) -> Result<Self, RingError> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                protection,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        let error = || RingError::Map {
            bytes: len,
            error: io::Error::last_os_error(),
        };
        if start == libc::MAP_FAILED {
            return Err(error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(error)?;
        Ok(Self { start, len })
    }

    /// The reader's or the writer's position, which is at the start of the mapping.
    fn position(&self) -> &AtomicUsize {
        // SAFETY: mapped for as long as `self` lives, aligned to a page, and written by the other
        // side only as a whole.
        unsafe { self.start.cast().as_ref() }
    }

    /// The length word of a record at a multiple of 8.
    pub(super) fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(
            offset.is_multiple_of(8) && offset + 4 <= self.len,
            "a record's place"
        );
        // SAFETY: as for `position`; the place is inside and aligned, as just checked.
        unsafe { self.start.add(offset).cast().as_ref() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as `self` lives. The kernel writes into it, but only where no
        // complete, unreleased record or block is, and who owns it looks at nothing else.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; no reference outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

fn page_bytes() -> usize {
    // SAFETY: asks for a constant of the system.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}

/// The size that the kernel takes for a ring: a power of two and whole pages, at least what is asked.
pub(super) fn size_bytes(wanted: u32) -> u32 {
    let least = (wanted as usize).max(page_bytes());
    u32::try_from(least.next_power_of_two()).unwrap_or(MAX_RING_BYTES)
}

/// Bytes, a power of two, after which the kernel program wakes the reader of a ring of this size:
/// an eighth of the ring, but not more than 256 KiB.
pub(super) fn wake_bytes(size_bytes: u32) -> u64 {
    u64::from(size_bytes / 8).clamp(512, 256 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_and_whole_pages() {
        assert_eq!(size_bytes(0), page_bytes() as u32);
        assert_eq!(size_bytes(5_000_000), 8 << 20);
        assert_eq!(size_bytes(8 << 20), 8 << 20);
        assert_eq!(size_bytes(u32::MAX), 1 << 31);
    }

    #[test]
    fn wake_marks_are_powers_of_two_below_a_fifth_of_the_ring() {
        for shift in 12..=31 {
            let mark = wake_bytes(1 << shift);
            assert!(mark.is_power_of_two() && mark < (1 << shift) / 5, "{shift}");
        }
    }
}
