//! The thread that writes: blocks to an output, with everything that it could not write counted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::counts::{AllCells, Cells, add};
use super::sample::Sample;
use crate::capture::InterfaceCounters;
use crate::store::RecordBlock;
use crate::store::fill::Publisher;

/// How often an output looks after its files when nothing comes.
const TICK: Duration = Duration::from_millis(500);

/// Blocks of an interface that can wait until the output is told of it: they come another way.
const EARLY_BLOCKS: usize = 16;

/// What the writer is given.
pub(super) enum Work {
    /// Packets of an interface.
    Block { slot: u32, block: RecordBlock },
    /// An interface whose packets may come from now on.
    Interface {
        slot: u32,
        interface: Named,
        /// Whether capture is not to go on without it.
        needed: bool,
    },
    /// The counters of all interfaces by slot, once a second. One work of all, so that they find
    /// room together or not at all.
    Samples {
        time_ns: i64,
        kernel: Vec<(u32, InterfaceCounters)>,
        tuples: bool,
    },
    /// An interface of which nothing more comes: the last counters of it.
    Retire { slot: u32, sample: Sample },
    /// All packets up to this time (nanoseconds since 1970) stand before this, or are counted as
    /// lost.
    Complete { until_ns: i64 },
    /// Something that the user should be told.
    Note(String),
}

/// What an output is told of an interface.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) tag: String,
    pub(super) snaplen: u32,
}

/// Where packets go.
pub trait Output: Send {
    /// Learns of an interface; gives what the user should be told.
    fn interface(
        &mut self,
        _slot: u32,
        _name: &str,
        _tag: &str,
        _snaplen: u32,
    ) -> Result<Vec<String>, WriteError> {
        Ok(Vec::new())
    }

    /// Where those who read the output meanwhile learn how full the rings are.
    ///
    /// # Errors
    /// If there is such a place and it cannot be written to.
    fn publisher(&mut self) -> Result<Option<Publisher>, WriteError> {
        Ok(None)
    }

    /// Writes whole blocks: all of it or, but for what the error says, nothing. Gives what it left
    /// out, from the end, because it has all that it was made for.
    fn append(&mut self, slot: u32, block: &RecordBlock) -> Result<LeftOut, WriteError>;

    /// Keeps the counters of an interface with its packets.
    fn sample(&mut self, _slot: u32, _sample: &Sample) -> Result<(), WriteError> {
        Ok(())
    }

    /// Closes what an interface was written to: its slot may be another one's next. Gives what the
    /// user should be told.
    fn retire(&mut self, _slot: u32) -> Vec<String> {
        Vec::new()
    }

    /// Learns that it was given all packets up to this time.
    fn complete(&mut self, _until_ns: i64) {}

    /// Looks after the files: what is due by time alone. Gives what the user should be told.
    fn tick(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it has all that it was made for, so that capture may end.
    fn is_complete(&self) -> bool {
        false
    }

    /// Closes everything.
    fn finish(&mut self) -> Result<(), WriteError>;

    /// Bytes written so far.
    fn bytes_written(&self) -> u64;
}

/// The part of a block that an output has no use for any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Packets.
    pub packets: u64,
    /// Bytes of their records.
    pub bytes: u64,
}

/// Why packets could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file could not be written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// An interface of which the output was not told: a defect of ours.
    #[error("packets of the unknown interface slot {slot}")]
    NoSource {
        /// The slot.
        slot: u32,
    },
    /// The store could not write packets.
    #[error("packets are lost: {0}")]
    Dropped(String),
    /// The disk is full.
    #[error("the disk is full: {0}")]
    DiskFull(String),
}

impl WriteError {
    /// Whether there is no room, which may pass.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::File { source, .. } => {
                matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
            }
            Self::DiskFull(_) => true,
            Self::Store(crate::store::Error::Io { source, .. }) => {
                matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
            }
            Self::Store(_) | Self::NoSource { .. } | Self::Dropped(_) => false,
        }
    }

    /// Whether the reader of a pipe went away.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What the thread needs.
pub(super) struct Writer {
    pub(super) output: Box<dyn Output>,
    pub(super) work: Receiver<Work>,
    /// Blocks go back to be filled again.
    pub(super) empty: SyncSender<RecordBlock>,
    pub(super) cells: Arc<AllCells>,
    pub(super) bytes_written: Arc<AtomicU64>,
    /// Lines for the user.
    pub(super) notes: std::sync::mpsc::Sender<Event>,
    /// Blocks of interfaces that the output does not know yet.
    pub(super) early: Vec<(u32, RecordBlock)>,
    /// The slots that it knows.
    pub(super) known: BTreeSet<u32>,
    /// Those that it would not take.
    pub(super) refused: BTreeMap<u32, Refused>,
}

/// An interface that the output would not take, perhaps for a time.
pub(super) struct Refused {
    interface: Named,
    /// Whether for want of room.
    full: bool,
}

/// What the writer tells.
pub(super) enum Event {
    /// A line for the user.
    Note(String),
    /// The output has let go of a slot, and its counters begin again.
    Retired(u32),
    /// The output has all that it wants, or nobody reads it any more.
    Complete,
    /// The packets of an interface that is needed cannot be written.
    Failed(WriteError),
}

impl Writer {
    /// Runs until all who give it work are gone; then closes the output.
    pub(super) fn run(mut self) -> Result<(), WriteError> {
        let mut ticked = Instant::now();
        let mut failing = false;
        loop {
            match self.work.recv_timeout(TICK) {
                Ok(work) => self.handle(work, &mut failing),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                for note in self.output.tick() {
                    self.note(note);
                }
            }
            self.bytes_written
                .store(self.output.bytes_written(), Relaxed);
            if self.output.is_complete() {
                let _ = self.notes.send(Event::Complete);
            }
        }
        for (slot, block) in std::mem::take(&mut self.early) {
            add(&self.cells.slot(slot).dropped_write_error, block.packets());
        }
        let result = self.output.finish();
        self.bytes_written
            .store(self.output.bytes_written(), Relaxed);
        result
    }

    fn handle(&mut self, work: Work, failing: &mut bool) {
        match work {
            Work::Block { slot, block } if self.is_early(slot) => self.early.push((slot, block)),
            Work::Block { slot, block } => self.append(slot, block, failing),
            Work::Interface {
                slot,
                interface,
                needed,
            } => {
                let name = interface.name.clone();
                if let Err(error) = self.learn(slot, interface) {
                    let event = match needed {
                        true => Event::Failed(error),
                        false => {
                            Event::Note(format!("{name}: its packets are not written: {error}"))
                        }
                    };
                    let _ = self.notes.send(event);
                }
                let waiting = self.early.extract_if(.., |(of, _)| *of == slot);
                for (slot, block) in waiting.collect::<Vec<_>>() {
                    self.append(slot, block, failing);
                }
            }
            Work::Samples {
                time_ns,
                kernel,
                tuples,
            } => {
                for (slot, kernel) in kernel {
                    self.try_again(slot);
                    if self.refused.contains_key(&slot) {
                        continue;
                    }
                    // Read here, behind all blocks before it, so that the counters agree.
                    let recorder = self.cells.slot(slot).read();
                    let sample = Sample {
                        time_ns,
                        kernel,
                        recorder,
                        tuples,
                    };
                    let result = self.output.sample(slot, &sample);
                    self.report(result, failing);
                }
            }
            Work::Retire { slot, sample } => {
                if self.known.remove(&slot) {
                    let result = self.output.sample(slot, &sample);
                    self.report(result, failing);
                }
                self.refused.remove(&slot);
                for note in self.output.retire(slot) {
                    self.note(note);
                }
                self.cells.slot(slot).subtract(&sample.recorder);
                let _ = self.notes.send(Event::Retired(slot));
            }
            // Blocks that wait are packets that are not written.
            Work::Complete { until_ns } if self.early.is_empty() => self.output.complete(until_ns),
            Work::Complete { .. } => {}
            Work::Note(note) => self.note(note),
        }
    }

    /// Tells the output of an interface.
    fn learn(&mut self, slot: u32, interface: Named) -> Result<(), WriteError> {
        let Named { name, tag, snaplen } = &interface;
        match self.output.interface(slot, name, tag, *snaplen) {
            Ok(notes) => {
                notes.into_iter().for_each(|note| self.note(note));
                self.known.insert(slot);
                self.refused.remove(&slot);
                Ok(())
            }
            Err(error) => {
                let full = error.is_full();
                self.refused.insert(slot, Refused { interface, full });
                Err(error)
            }
        }
    }

    /// Asks the output once more whether it takes an interface: the reason may be gone.
    fn try_again(&mut self, slot: u32) {
        let Some(Refused { interface, .. }) = self.refused.get(&slot) else {
            return;
        };
        let interface = interface.clone();
        let name = interface.name.clone();
        // Why not is said already.
        if self.learn(slot, interface).is_ok() {
            self.note(format!("{name}: its packets are written from now on"));
        }
    }

    /// Whether a block has to wait for its interface, and there is room for that.
    fn is_early(&self, slot: u32) -> bool {
        let told = self.known.contains(&slot) || self.refused.contains_key(&slot);
        !told && self.early.len() < EARLY_BLOCKS
    }

    fn append(&mut self, slot: u32, mut block: RecordBlock, failing: &mut bool) {
        let (packets, cells) = (block.packets(), self.cells.slot(slot));
        if let Some(refused) = self.refused.get(&slot) {
            add(cell_for(cells, refused.full), packets);
            block.clear();
            let _ = self.empty.try_send(block);
            return;
        }
        let result = self.output.append(slot, &block);
        match &result {
            Ok(beyond) => {
                add(&cells.stored, packets - beyond.packets);
                let bytes = block.bytes().len() as u64;
                add(&cells.stored_bytes, bytes - beyond.bytes);
                add(&cells.beyond_count, beyond.packets);
            }
            Err(error) => add(cell_for(cells, error.is_full()), packets),
        }
        block.clear();
        // Full: there are enough of them.
        let _ = self.empty.try_send(block);
        self.report(result.map(|_| ()), failing);
    }

    /// Says the first failure of a row of them; the counters have the rest.
    fn report(&self, result: Result<(), WriteError>, failing: &mut bool) {
        match result {
            Ok(()) => *failing = false,
            Err(error) if error.is_broken_pipe() => {
                let _ = self.notes.send(Event::Complete);
            }
            Err(error) => {
                if !*failing {
                    self.note(error.to_string());
                }
                *failing = true;
            }
        }
    }

    fn note(&self, note: String) {
        // Nobody listens any more: it is the end.
        let _ = self.notes.send(Event::Note(note));
    }
}

/// Where packets are counted that could not be written, for want of room or otherwise.
const fn cell_for(cells: &Cells, full: bool) -> &AtomicU64 {
    if full {
        &cells.dropped_disk_full
    } else {
        &cells.dropped_write_error
    }
}

#[cfg(test)]
mod tests;
