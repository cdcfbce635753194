//! The thread that empties the tuple rings: counts them and, where tuples are what is stored,
//! makes blocks of them, as `drain.rs` does of packets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use agent_common::TupleEvent;

use super::counts::{AllCells, SLOTS, Tally, add};
use super::drain::{BLOCK_BYTES, CLOCK_INTERVAL, FLUSH_INTERVAL, SETTLE_NS, told};
use super::event::tuple_of;
use super::own::Own;
use super::write::Work;
use crate::capture::{Clock, TupleRings, WAIT};
use crate::store::RecordBlock;

/// Records between two looks at whether it is over.
const RECORDS_PER_ROUND: usize = 65_536;

/// What the thread needs.
pub(super) struct TupleDrain {
    pub(super) rings: TupleRings,
    pub(super) cells: Arc<AllCells>,
    /// The program is detached: empty the rings and end.
    pub(super) detached: Arc<AtomicBool>,
    pub(super) malformed: Arc<AtomicU64>,
    /// Stores the tuples; `None` where packets are stored.
    pub(super) storing: Option<Storing>,
}

impl TupleDrain {
    /// Runs until the program is detached and the rings are empty.
    pub(super) fn run(mut self) {
        let mut read = Tally::default();
        let (mut flushed, mut measured) = (Instant::now(), Instant::now());
        loop {
            // Before the rings are looked at, as of packets.
            let last = self.detached.load(Relaxed);
            let looked_ns = self.storing.as_ref().map(|storing| storing.clock.now_ns());
            let storing = &mut self.storing;
            let cells = &self.cells;
            let drained = self.rings.drain(RECORDS_PER_ROUND, |tuple| {
                read.add(tuple.slot);
                if let Some(storing) = storing {
                    storing.take(tuple, cells);
                }
            });
            read.take(|slot, count| add(&self.cells.slot(slot).tuples, count));
            add(&self.malformed, drained.malformed);
            if let Some(storing) = storing {
                let now = Instant::now();
                if now.duration_since(measured) >= CLOCK_INTERVAL {
                    measured = now;
                    storing.measure_clock();
                }
                if now.duration_since(flushed) >= FLUSH_INTERVAL {
                    flushed = now;
                    storing.flush(&self.cells);
                    storing.complete(looked_ns.filter(|_| !drained.more));
                }
            }
            if drained.more {
                continue;
            }
            if last && drained.records == 0 && self.rings.fill().all(|fill| fill.unread_bytes == 0)
            {
                if let Some(storing) = &mut self.storing {
                    storing.flush(&self.cells);
                }
                return;
            }
            if self.rings.wait(WAIT).is_err() {
                std::thread::sleep(WAIT);
            }
        }
    }
}

/// The blocks being filled, one per interface, and what is left out of them.
pub(super) struct Storing {
    blocks: Vec<Option<RecordBlock>>,
    clock: Clock,
    own: Own,
    /// Tuples that are still wanted.
    left: u64,
    /// Time of the last one, on the kernel's clock.
    latest_ns: u64,
    reached: Arc<AtomicBool>,
    work: SyncSender<Work>,
    empty: Receiver<RecordBlock>,
}

impl Storing {
    /// `reached` is set when `count` tuples were taken.
    pub(super) fn new(
        clock: Clock,
        own: Own,
        count: Option<u64>,
        reached: Arc<AtomicBool>,
        work: SyncSender<Work>,
        empty: Receiver<RecordBlock>,
    ) -> Self {
        Self {
            blocks: (0..SLOTS).map(|_| None).collect(),
            clock,
            own,
            left: count.unwrap_or(u64::MAX),
            latest_ns: 0,
            reached,
            work,
            empty,
        }
    }

    fn take(&mut self, event: &TupleEvent, cells: &AllCells) {
        let of_slot = cells.slot(event.slot);
        self.latest_ns = event.time_ns;
        if self.own.includes(event) {
            return add(&of_slot.own, 1);
        }
        if self.left == 0 {
            return add(&of_slot.beyond_count, 1);
        }
        self.left -= 1;
        if self.left == 0 {
            self.reached.store(true, Relaxed);
        }
        let Some(place) = self.blocks.get_mut(event.slot as usize) else {
            return add(&of_slot.dropped_write_error, 1);
        };
        let empty = &self.empty;
        let block = place.get_or_insert_with(|| {
            empty
                .try_recv()
                .unwrap_or_else(|_| RecordBlock::with_capacity(BLOCK_BYTES))
        });
        let time_ns = i64::try_from(self.clock.wall_ns(event.time_ns)).unwrap_or(i64::MAX);
        block.push_tuple(&tuple_of(event, time_ns));
        if block.bytes().len() >= BLOCK_BYTES {
            self.hand_over(event.slot, cells);
        }
    }

    fn hand_over(&mut self, slot: u32, cells: &AllCells) {
        let place = self.blocks.get_mut(slot as usize);
        let Some(block) = place.and_then(Option::take) else {
            return;
        };
        let (tuples, cells) = (block.packets(), cells.slot(slot));
        add(&cells.accepted, tuples);
        if self.work.send(Work::Block { slot, block }).is_err() {
            // The writer is gone, which it says itself.
            add(&cells.dropped_write_error, tuples);
        }
    }

    fn flush(&mut self, cells: &AllCells) {
        for slot in 0..SLOTS as u32 {
            self.hand_over(slot, cells);
        }
    }

    /// Says up to when all tuples are in blocks that were handed over, as `drain.rs` does.
    fn complete(&self, emptied_ns: Option<u64>) {
        let until_ns = emptied_ns.unwrap_or_else(|| self.clock.wall_ns(self.latest_ns));
        let until_ns = i64::try_from(until_ns).unwrap_or(i64::MAX) - SETTLE_NS;
        // A writer that is behind learns it next time.
        let _ = self.work.try_send(Work::Complete { until_ns });
    }

    fn measure_clock(&mut self) {
        if let Some(note) = told(self.clock.measure_again()) {
            let _ = self.work.send(Work::Note(note));
        }
    }
}
