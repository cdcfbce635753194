//! The thread that empties the tuple rings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::counts::{AllCells, Tally, add};
use crate::capture::{TupleRings, WAIT};

/// Records between two looks at whether it is over.
const RECORDS_PER_ROUND: usize = 65_536;

/// What the thread needs.
pub(super) struct TupleDrain {
    pub(super) rings: TupleRings,
    pub(super) cells: Arc<AllCells>,
    /// The program is detached: empty the rings and end.
    pub(super) detached: Arc<AtomicBool>,
    pub(super) malformed: Arc<AtomicU64>,
}

impl TupleDrain {
    /// Runs until the program is detached and the rings are empty.
    pub(super) fn run(mut self) {
        let mut read = Tally::default();
        loop {
            let last = self.detached.load(Relaxed);
            let drained = self
                .rings
                .drain(RECORDS_PER_ROUND, |tuple| read.add(tuple.slot));
            read.take(|slot, count| add(&self.cells.slot(slot).tuples, count));
            add(&self.malformed, drained.malformed);
            if drained.more {
                continue;
            }
            if last && drained.records == 0 && self.rings.fill().all(|fill| fill.unread_bytes == 0)
            {
                return;
            }
            if self.rings.wait(WAIT).is_err() {
                std::thread::sleep(WAIT);
            }
        }
    }
}
