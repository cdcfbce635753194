//! The thread that empties the rings of packets: records to blocks, as fast as they come.
//!
//! It does nothing that may wait but hand over a full block; while the writer is behind, the
//! rings fill, and the kernel program counts what finds no room. So there is one place on this
//! way where packets are lost, and it is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use super::counts::{AllCells, SLOTS, Tally, add};
use super::own::{Own, tuple_of};
use super::write::Work;
use crate::capture::{Clock, ClockError, Jump, PacketRecord, PacketSource, WAIT};
use crate::store::RecordBlock;
use crate::wall;

/// How long a packet may stay in a block that does not fill: what a crash of the process loses.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(200);

/// How often the wall clock is compared with the monotonic one.
pub(super) const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// How much later than its time a packet may still be found in a ring: the kernel program takes
/// the time first, and it can be interrupted (the host of a virtual machine does so for long).
pub(super) const SETTLE_NS: i64 = 50_000_000;

/// Bytes of a full block. A write of a megabyte costs the disk no more than a small one.
pub(super) const BLOCK_BYTES: usize = 1 << 20;

/// The record that fills a block may pass its end.
const BLOCK_CAPACITY: usize = BLOCK_BYTES + (1 << 17);

/// Records between two looks at the time.
const RECORDS_PER_ROUND: usize = 16_384;

/// Decides which packets are kept.
pub type Keep = Box<dyn FnMut(&[u8], u32) -> bool + Send>;

/// What the thread needs.
pub(super) struct Drain {
    pub(super) source: PacketSource,
    pub(super) clock: Clock,
    /// By the packet's captured bytes and its length on the wire.
    pub(super) keep: Option<Keep>,
    /// Whose packets are left out.
    pub(super) own: Own,
    /// Bytes kept of a packet; the filter sees more where there are more.
    pub(super) snaplen: u32,
    /// Packets after which no more are kept.
    pub(super) count: Option<u64>,
    pub(super) cells: Arc<AllCells>,
    pub(super) work: SyncSender<Work>,
    /// Emptied blocks that come back from the writer.
    pub(super) empty: Receiver<RecordBlock>,
    /// The program is detached: empty the rings and end.
    pub(super) detached: Arc<AtomicBool>,
    /// Set when `count` is reached.
    pub(super) reached: Arc<AtomicBool>,
    /// Records of a wrong length.
    pub(super) malformed: Arc<AtomicU64>,
}

impl Drain {
    /// Runs until the program is detached and the rings are empty.
    pub(super) fn run(self) {
        let Self {
            mut source,
            clock,
            keep,
            own,
            snaplen,
            count,
            cells,
            work,
            empty,
            detached,
            reached,
            malformed,
        } = self;
        let mut filling = Filling {
            blocks: (0..SLOTS).map(|_| None).collect(),
            clock: (!source.has_wall_time()).then_some(clock),
            keep,
            own,
            snaplen: snaplen as usize,
            left: count.unwrap_or(u64::MAX),
            received: Tally::default(),
            cells,
            work,
            empty,
        };
        let held_ns = wall::nanos(source.held_back());
        let settle_ns = SETTLE_NS.saturating_add(held_ns);
        let (mut flushed, mut measured) = (Instant::now(), Instant::now());
        loop {
            // Before the rings are looked at: what they hold then is all that there will be.
            let last = detached.load(Relaxed);
            let looked_ns = filling.now_ns();
            if last {
                source.stop();
            }
            let drained = source.drain(RECORDS_PER_ROUND, |record| filling.take(&record));
            add(&malformed, drained.malformed);
            filling.count();
            if filling.left == 0 {
                reached.store(true, Relaxed);
            }
            let now = Instant::now();
            if now.duration_since(measured) >= CLOCK_INTERVAL {
                measured = now;
                filling.measure_clock();
            }
            // Also when there is more: an interface with little must not wait for one with much.
            if now.duration_since(flushed) >= FLUSH_INTERVAL {
                flushed = now;
                filling.flush();
                let until_ns = match drained.more {
                    true => looked_ns.min(filling.wall_ns(drained.reached_ns)),
                    false => looked_ns,
                };
                filling.complete(until_ns, settle_ns);
            }
            if drained.more {
                continue;
            }
            if last && drained.records == 0 && source.is_over() {
                filling.flush();
                return;
            }
            // A failure to wait costs processor time, no packets.
            if source.wait(WAIT).is_err() {
                std::thread::sleep(WAIT);
            }
        }
    }
}

/// The blocks being filled, one per interface.
struct Filling {
    blocks: Vec<Option<RecordBlock>>,
    /// `None` where records have wall-clock time.
    clock: Option<Clock>,
    keep: Option<Keep>,
    own: Own,
    snaplen: usize,
    left: u64,
    received: Tally,
    cells: Arc<AllCells>,
    work: SyncSender<Work>,
    empty: Receiver<RecordBlock>,
}

impl Filling {
    /// Adds what was received since the last time to the counters that others read.
    fn count(&mut self) {
        let cells = &self.cells;
        self.received
            .take(|slot, count| add(&cells.slot(slot).received, count));
    }

    fn take(&mut self, record: &PacketRecord<'_>) {
        let cells = self.cells.slot(record.slot);
        self.received.add(record.slot);
        if self.is_own(record) {
            return add(&cells.own, 1);
        }
        if self.left == 0 {
            return add(&cells.beyond_count, 1);
        }
        if let Some(keep) = &mut self.keep
            && !keep(record.data, record.wire_len)
        {
            return add(&cells.filtered, 1);
        }
        self.left -= 1;
        let Some(place) = self.blocks.get_mut(record.slot as usize) else {
            return add(&cells.dropped_write_error, 1);
        };
        let block = place.get_or_insert_with(|| {
            self.empty
                .try_recv()
                .unwrap_or_else(|_| RecordBlock::with_capacity(BLOCK_CAPACITY))
        });
        let clock = self.clock.as_ref();
        let time_ns = clock.map_or(record.time_ns, |clock| clock.wall_ns(record.time_ns));
        let time_ns = i64::try_from(time_ns).unwrap_or(i64::MAX);
        let kept = record.data.get(..self.snaplen);
        if kept.is_some_and(|kept| kept.len() < record.data.len()) {
            add(&cells.cut, 1);
        }
        block.push(time_ns, record.wire_len, kept.unwrap_or(record.data));
        if block.bytes().len() >= BLOCK_BYTES {
            self.hand_over(record.slot);
        }
    }

    fn is_own(&self, record: &PacketRecord<'_>) -> bool {
        !self.own.is_empty()
            && self
                .own
                .includes(&record.tuple.unwrap_or_else(|| tuple_of(record)))
    }

    fn hand_over(&mut self, slot: u32) {
        let place = self.blocks.get_mut(slot as usize);
        let Some(block) = place.and_then(Option::take) else {
            return;
        };
        let (packets, cells) = (block.packets(), self.cells.slot(slot));
        add(&cells.accepted, packets);
        if self.work.send(Work::Block { slot, block }).is_err() {
            // The writer is gone, which it says itself.
            add(&cells.dropped_write_error, packets);
        }
    }

    fn flush(&mut self) {
        for slot in 0..SLOTS as u32 {
            self.hand_over(slot);
        }
    }

    /// Says up to when all packets are in blocks that were handed over: up to the time at which the
    /// rings were looked at, where they were emptied; else up to what was read of them.
    fn complete(&self, until_ns: u64, settle_ns: i64) {
        let until_ns = i64::try_from(until_ns).unwrap_or(i64::MAX) - settle_ns;
        // A writer that is behind learns it next time.
        let _ = self.work.try_send(Work::Complete { until_ns });
    }

    /// Nanoseconds since 1970 UTC of a record's time.
    fn wall_ns(&self, time_ns: u64) -> u64 {
        let clock = self.clock.as_ref();
        clock.map_or(time_ns, |clock| clock.wall_ns(time_ns))
    }

    /// Nanoseconds since 1970 UTC of now, as a packet of now has them.
    fn now_ns(&self) -> u64 {
        let clock = self.clock.as_ref();
        clock.map_or_else(|| wall::now_ns().cast_unsigned(), Clock::now_ns)
    }

    fn measure_clock(&mut self) {
        let Some(clock) = &mut self.clock else {
            return;
        };
        if let Some(note) = told(clock.measure_again()) {
            let _ = self.work.send(Work::Note(note));
        }
    }
}

/// What the user should be told of a measurement of the clock.
pub(super) fn told(measured: Result<Option<Jump>, ClockError>) -> Option<String> {
    match measured {
        Ok(None) => None,
        Ok(Some(jump)) => Some(format!(
            "the wall clock jumped by {:.3} s",
            jump.by_ns as f64 / 1e9
        )),
        Err(error) => Some(error.to_string()),
    }
}
