//! Which source has which slot. The kernel program has few of them, so they are used again.

use std::collections::{BTreeMap, VecDeque};

use super::counts::SLOTS;

/// An interface's name and the tag of its packets: a slot's packets go to one source of a store.
pub(super) type SourceName = (String, String);

/// The slots. An interface that comes back has the one that it had, as long as no other has it.
#[derive(Debug, Default)]
pub(super) struct Slots {
    of: BTreeMap<SourceName, u32>,
    /// The first that nobody has had.
    next: u32,
    /// Those that are nobody's any more, the one first that has been so the longest.
    free: VecDeque<u32>,
}

impl Slots {
    /// The slot that a source has.
    pub(super) fn of(&self, source: &SourceName) -> Option<u32> {
        self.of.get(source).copied()
    }

    /// The slot that a source has, or could have; `None` where all are others'.
    pub(super) fn choose(&self, source: &SourceName) -> Option<u32> {
        let unused = || ((self.next as usize) < SLOTS).then_some(self.next);
        let freed = || self.free.front().copied();
        self.of(source).or_else(unused).or_else(freed)
    }

    /// Gives a slot that was chosen to its source.
    pub(super) fn give(&mut self, slot: u32, source: SourceName) {
        self.free.retain(|free| *free != slot);
        self.of.retain(|_, of| *of != slot);
        self.of.insert(source, slot);
        self.next = self.next.max(slot + 1);
    }

    /// Lets others have a slot, too.
    pub(super) fn free(&mut self, slot: u32) {
        if slot < self.next && !self.free.contains(&slot) {
            self.free.push_back(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: usize) -> SourceName {
        (format!("veth{number}"), "pcap".to_owned())
    }

    #[test]
    fn slots_are_used_again_in_the_order_in_which_they_were_freed() {
        let mut slots = Slots::default();
        // What is chosen and not given stays.
        assert_eq!(slots.choose(&source(0)), slots.choose(&source(1)));
        for number in 0..SLOTS {
            let slot = slots.choose(&source(number)).unwrap();
            assert_eq!(slot as usize, number);
            slots.give(slot, source(number));
        }
        assert_eq!(slots.choose(&source(64)), None);
        assert_eq!(slots.choose(&source(7)), Some(7));
        for slot in [9, 3, 9, 4, 900] {
            slots.free(slot);
        }
        // It comes back before another one has its slot.
        slots.give(4, source(4));
        assert_eq!(slots.choose(&source(64)), Some(9));
        slots.give(9, source(64));
        assert_eq!(slots.of(&source(9)), None);
        assert_eq!(slots.choose(&source(9)), Some(3));
        slots.give(3, source(9));
        assert_eq!(slots.choose(&source(65)), None);
    }
}
