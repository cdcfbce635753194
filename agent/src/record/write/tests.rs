//! What the writer does with packets of interfaces that it cannot store.

use std::sync::{Mutex, mpsc};

use super::*;

/// Packets by the slots under which they came, or an error before the slot was told of.
struct Told {
    slots: BTreeSet<u32>,
    /// How often an interface is refused.
    refusals: usize,
    packets: Arc<Mutex<Vec<u32>>>,
}

impl Output for Told {
    fn interface(
        &mut self,
        slot: u32,
        _: &str,
        _: &str,
        _: u32,
    ) -> Result<Vec<String>, WriteError> {
        if self.refusals > 0 {
            self.refusals -= 1;
            return Err(WriteError::DiskFull("of things".to_owned()));
        }
        self.slots.insert(slot);
        Ok(Vec::new())
    }

    fn append(&mut self, slot: u32, block: &RecordBlock) -> Result<LeftOut, WriteError> {
        if !self.slots.contains(&slot) {
            return Err(WriteError::NoSource { slot });
        }
        let packets = std::iter::repeat_n(slot, block.packets() as usize);
        self.packets.lock().unwrap().extend(packets);
        Ok(LeftOut::default())
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    fn bytes_written(&self) -> u64 {
        0
    }
}

fn block(slot: u32) -> Work {
    let mut block = RecordBlock::with_capacity(64);
    block.push(0, 4, &[1, 2, 3, 4]);
    Work::Block { slot, block }
}

fn interface(slot: u32) -> Work {
    Work::Interface {
        slot,
        interface: Named {
            name: "lan0".to_owned(),
            tag: "pcap".to_owned(),
            snaplen: 65_535,
        },
        needed: false,
    }
}

fn sample(slot: u32) -> Work {
    Work::Samples {
        time_ns: 0,
        kernel: vec![(slot, InterfaceCounters::default())],
        tuples: false,
    }
}

/// Writes what is given; the slots of what was written, and the counters.
fn write(todo: impl IntoIterator<Item = Work>) -> (Vec<u32>, Arc<AllCells>) {
    let (written, cells, _) = write_refusing(0, todo);
    (written, cells)
}

/// As [`write`], where so many interfaces are refused; also the notes.
fn write_refusing(
    refusals: usize,
    todo: impl IntoIterator<Item = Work>,
) -> (Vec<u32>, Arc<AllCells>, Vec<String>) {
    let packets = Arc::default();
    let (empty, _emptied) = mpsc::sync_channel(1);
    let (notes, told) = mpsc::channel();
    let (queue, given) = mpsc::sync_channel(1_000);
    let cells = Arc::<AllCells>::default();
    let writer = Writer {
        output: Box::new(Told {
            slots: BTreeSet::new(),
            refusals,
            packets: Arc::clone(&packets),
        }),
        work: given,
        empty,
        cells: Arc::clone(&cells),
        bytes_written: Arc::default(),
        notes,
        early: Vec::new(),
        known: BTreeSet::new(),
        refused: BTreeMap::new(),
    };
    todo.into_iter().for_each(|work| queue.send(work).unwrap());
    drop(queue);
    writer.run().unwrap();
    let written = packets.lock().unwrap().clone();
    let notes = told.try_iter().filter_map(|event| match event {
        Event::Note(note) => Some(note),
        Event::Retired(_) | Event::Complete | Event::Failed(_) => None,
    });
    (written, cells, notes.collect())
}

#[test]
fn blocks_wait_for_their_interface() {
    let (written, cells) = write([
        block(1),
        block(2),
        block(1),
        interface(1),
        block(1),
        interface(2),
    ]);
    assert_eq!(written, [1, 1, 1, 2]);
    assert_eq!(cells.slot(1).read().stored, 3);
    assert_eq!(cells.slot(2).read().dropped_write_error, 0);
}

#[test]
fn blocks_of_an_interface_that_never_comes_are_counted() {
    let blocks = EARLY_BLOCKS as u64 + 5;
    let (written, cells) = write((0..blocks).map(|_| block(1)));
    assert!(written.is_empty(), "{written:?}");
    assert_eq!(cells.slot(1).read().dropped_write_error, blocks);
}

#[test]
fn the_counters_of_a_slot_begin_again_for_the_next_interface() {
    let counted = Sample {
        recorder: super::super::Counts {
            stored: 2,
            stored_bytes: 40,
            ..Default::default()
        },
        ..Sample::default()
    };
    let retire = Work::Retire {
        slot: 1,
        sample: counted,
    };
    let todo = [
        interface(1),
        block(1),
        block(1),
        retire,
        // Before the output is told of it again, it waits.
        block(1),
        interface(1),
    ];
    let (written, cells) = write(todo);
    assert_eq!(written, [1, 1, 1]);
    let counts = cells.slot(1).read();
    assert_eq!((counts.stored, counts.stored_bytes), (1, 20));
}

#[test]
fn an_interface_that_is_refused_is_counted_and_tried_again() {
    let (written, cells, notes) = write_refusing(
        2,
        [
            block(1),
            interface(1),
            block(1),
            sample(1),
            block(1),
            sample(1),
            block(1),
            interface(2),
            block(2),
        ],
    );
    assert_eq!(written, [1, 2]);
    assert_eq!(cells.slot(1).read().dropped_disk_full, 3);
    assert_eq!(cells.slot(1).read().stored, 1);
    // The refusal is said once.
    let expected = [
        "lan0: its packets are not written: the disk is full: of things",
        "lan0: its packets are written from now on",
    ];
    assert_eq!(notes, expected);
}
