//! What the writer has committed, where others can see it: it never waits for who looks.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};
use std::sync::{PoisonError, RwLock};

use super::counts::SLOTS;
use crate::store::Source;

/// The last commit of each source, and up to when all is committed. Written by one thread, read
/// by any.
#[derive(Debug)]
pub struct Board {
    slots: Vec<Slot>,
    complete_until_ns: AtomicI64,
}

/// How far a source is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Number of the file; 0 before there is one.
    pub sequence: u64,
    /// Bytes of it that are whole records.
    pub length: u64,
    /// When they were written, in nanoseconds since 1970.
    pub time_ns: i64,
}

/// A sequence lock: the parts are of one commit if the version was even, and the same before and
/// after they were read.
#[derive(Debug, Default)]
struct Slot {
    /// Locked while it is read together with the commit, and for writing only when the slot
    /// becomes another source, before that has a commit.
    source: RwLock<Option<Source>>,
    version: AtomicU64,
    sequence: AtomicU64,
    length: AtomicU64,
    time_ns: AtomicI64,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            complete_until_ns: AtomicI64::new(0),
        }
    }
}

impl Board {
    /// Says which source a slot is, from now on.
    pub(crate) fn name(&self, slot: u32, source: Source) {
        let Some(slot) = self.slots.get(slot as usize) else {
            return;
        };
        let mut named = slot.source.write().unwrap_or_else(PoisonError::into_inner);
        if named.as_ref() != Some(&source) {
            *named = Some(source);
            slot.write(Committed::default());
        }
    }

    pub(crate) fn commit(&self, slot: u32, sequence: u64, length: u64, time_ns: i64) {
        if let Some(slot) = self.slots.get(slot as usize) {
            slot.write(Committed {
                sequence,
                length,
                time_ns,
            });
        }
    }

    /// To be said behind the commits that it is about.
    pub(crate) fn complete(&self, until_ns: i64) {
        self.complete_until_ns.store(until_ns, Ordering::Release);
    }

    /// Up to when (nanoseconds since 1970) all packets are committed or counted as lost; 0 before
    /// anything is known. Commits read after this include them.
    #[must_use]
    pub fn complete_until_ns(&self) -> i64 {
        self.complete_until_ns.load(Ordering::Acquire)
    }

    /// The sources known so far, by slot, and how far each is written.
    pub fn commits(&self) -> impl Iterator<Item = (u32, Source, Committed)> {
        let slots = (0..).zip(&self.slots);
        slots.filter_map(|(number, slot)| {
            let source = slot.source.read().unwrap_or_else(PoisonError::into_inner);
            let committed = slot.read();
            source.clone().map(|source| (number, source, committed))
        })
    }

    /// The source of a slot, once it is known.
    #[must_use]
    pub fn source(&self, slot: u32) -> Option<Source> {
        let source = &self.slots.get(slot as usize)?.source;
        let source = source.read().unwrap_or_else(PoisonError::into_inner);
        source.clone()
    }
}

impl Slot {
    /// The fence keeps the parts behind the odd version; pairs with that of [`Self::read`].
    fn write(&self, committed: Committed) {
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.sequence.store(committed.sequence, Ordering::Relaxed);
        self.length.store(committed.length, Ordering::Relaxed);
        self.time_ns.store(committed.time_ns, Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
    }

    fn read(&self) -> Committed {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let committed = Committed {
                sequence: self.sequence.load(Ordering::Relaxed),
                length: self.length.load(Ordering::Relaxed),
                time_ns: self.time_ns.load(Ordering::Relaxed),
            };
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return committed;
            }
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_reader_sees_whole_commits_and_those_before_the_time() {
        let board = Arc::new(Board::default());
        let source = Source {
            well: "w".to_owned(),
            interface: "lan0".to_owned(),
            tag: "t".to_owned(),
        };
        assert_eq!(board.commits().count(), 0);
        board.name(3, source.clone());
        board.name(900, source.clone());
        let writer = Arc::clone(&board);
        let written = std::thread::spawn(move || {
            for number in 1..=200_000 {
                writer.commit(3, number, number * 2, number as i64 * 3);
                writer.complete(number as i64);
            }
        });
        let mut last = 0;
        while last < 200_000 {
            let complete = board.complete_until_ns();
            let (slot, name, committed) = board.commits().next().unwrap();
            assert_eq!((slot, &name), (3, &source));
            let Committed {
                sequence,
                length,
                time_ns,
            } = committed;
            assert_eq!((length, time_ns), (sequence * 2, sequence as i64 * 3));
            assert!(sequence >= last && sequence as i64 >= complete);
            last = sequence;
        }
        written.join().unwrap();
        assert_eq!(board.complete_until_ns(), 200_000);
        // Another source has no commit of the former one.
        let other = Source {
            interface: "lan1".to_owned(),
            ..source.clone()
        };
        board.name(3, source.clone());
        let commits = || board.commits().collect::<Vec<_>>();
        assert_eq!((&commits()[0].1, commits()[0].2.sequence), (&source, last));
        board.name(3, other.clone());
        assert_eq!(commits(), [(3, other, Committed::default())]);
    }
}
