//! What the recorder counted of each interface, beside the kernel program's own counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Interfaces that can be recorded at once; the kernel program's slots.
pub(super) const SLOTS: usize = 64;

/// Declares the counts once: the shared cells, their reading and their names.
macro_rules! counts {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// The counters of one interface, added to by several threads.
        #[derive(Debug, Default)]
        pub(super) struct Cells {
            $($(#[$doc])+ pub(super) $name: AtomicU64,)+
        }

        /// A reading of [`Cells`].
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])+ pub $name: u64,)+
        }

        impl Cells {
            pub(super) fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Relaxed)),+ }
            }

            /// Takes off what was counted of an interface that is let go.
            pub(super) fn subtract(&self, counted: &Counts) {
                $(self.$name.fetch_sub(counted.$name, Relaxed);)+
            }
        }

        impl Counts {
            /// The sum of both, as of two interfaces.
            #[must_use]
            pub const fn plus(self, other: Self) -> Self {
                Self { $($name: self.$name + other.$name),+ }
            }
        }
    };
}

counts! {
    /// Packet records read from the rings.
    received,
    /// Of those, packets that the capture filter does not want.
    filtered,
    /// Packets of the agent's own connections.
    own,
    /// Packets that came after the last one that was asked for.
    beyond_count,
    /// Packets of which bytes were left out behind the filter (snap length).
    cut,
    /// Packets handed to the writer.
    accepted,
    /// Packets whose bytes the file system took.
    stored,
    /// Their bytes in the files, record headers included.
    stored_bytes,
    /// Packets lost because the disk was full.
    dropped_disk_full,
    /// Packets lost because writing failed otherwise.
    dropped_write_error,
    /// Tuples read from the tuple rings.
    tuples,
}

/// The counters of all interfaces.
#[derive(Debug)]
pub(super) struct AllCells(Vec<Cells>);

impl Default for AllCells {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| Cells::default()).collect())
    }
}

impl AllCells {
    /// Those of a slot; a number that is none shares the last one's.
    pub(super) fn slot(&self, slot: u32) -> &Cells {
        let at = usize::try_from(slot).unwrap_or(SLOTS).min(SLOTS - 1);
        &self.0[at]
    }
}

/// Adds to a counter that nobody waits for.
pub(super) fn add(cell: &AtomicU64, by: u64) {
    cell.fetch_add(by, Relaxed);
}

/// One count per slot, of one thread alone: what comes with every packet is added to the cells
/// that others read once in a while, because an atomic addition takes longer than the rest.
#[derive(Debug)]
pub(super) struct Tally([u64; SLOTS]);

impl Default for Tally {
    fn default() -> Self {
        Self([0; SLOTS])
    }
}

impl Tally {
    /// One more; a number that is no slot shares the last one's, as in [`AllCells::slot`].
    pub(super) fn add(&mut self, slot: u32) {
        self.0[(slot as usize).min(SLOTS - 1)] += 1;
    }

    /// Hands over what was counted, and begins again.
    pub(super) fn take(&mut self, mut give: impl FnMut(u32, u64)) {
        for (slot, count) in (0..).zip(&mut self.0) {
            if *count > 0 {
                give(slot, std::mem::take(count));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_handed_over_once() {
        let mut tally = Tally::default();
        [3, 3, 900].into_iter().for_each(|slot| tally.add(slot));
        let mut given = Vec::new();
        tally.take(|slot, count| given.push((slot, count)));
        assert_eq!(given, [(3, 2), (63, 1)]);
        tally.take(|slot, count| given.push((slot, count)));
        assert_eq!(given.len(), 2);
    }
}
