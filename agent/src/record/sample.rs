//! One reading of everything that is counted of an interface.

use super::counts::Counts;
use crate::capture::InterfaceCounters;

/// The kernel program's counters and the recorder's own, of one interface, since capture began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Wall-clock time of the reading, in nanoseconds since 1970 UTC.
    pub time_ns: i64,
    /// Counted in the kernel.
    pub kernel: InterfaceCounters,
    /// Counted behind the rings.
    pub recorder: Counts,
    /// Whether it is tuples that are recorded, and no packets.
    pub tuples: bool,
}

impl Sample {
    /// The sum of both, as of two interfaces.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            time_ns: self.time_ns.max(other.time_ns),
            kernel: self.kernel.plus(other.kernel),
            recorder: self.recorder.plus(other.recorder),
            tuples: self.tuples || other.tuples,
        }
    }

    /// Packets lost anywhere on the way to the disk.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.ring_full() + self.recorder.dropped_disk_full + self.recorder.dropped_write_error
    }

    /// Packets lost because the ring of what is recorded was full.
    #[must_use]
    pub fn ring_full(&self) -> u64 {
        match self.tuples {
            true => self.kernel.tuple_dropped,
            false => self.kernel.packet_dropped,
        }
    }

    /// Packets of which only the first bytes were kept.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.kernel.snapped + self.recorder.cut
    }

    /// Packets that are neither stored nor dropped nor left out on purpose: those on their way.
    /// Zero at the end; anything else is a defect.
    #[must_use]
    pub fn on_their_way(&self) -> i64 {
        let left_out = self.recorder.filtered + self.recorder.own + self.recorder.beyond_count;
        let accounted = self.recorder.stored + self.dropped() + left_out;
        self.kernel.seen.cast_signed() - accounted.cast_signed()
    }
}
