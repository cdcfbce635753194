//! What ends a recording, in which order, and what is counted then.

use std::sync::Mutex;

use super::super::write::LeftOut;
use super::*;
use crate::capture::{Mode, RingShape};
use crate::store::RecordBlock;

/// What happened, in its order.
type Log = Arc<Mutex<Vec<&'static str>>>;

/// An interface at the start, and whatever comes later.
struct Scripted {
    changes: std::vec::IntoIter<Vec<Change>>,
    log: Log,
}

impl Link for Scripted {
    fn changes(&mut self, timeout: Duration) -> Option<Vec<Change>> {
        thread::sleep(timeout);
        self.changes.next()
    }

    fn detach(&mut self) {
        self.log.lock().unwrap().push("detached");
    }
}

/// How long a slow one takes for an interface.
const SLOW: Duration = Duration::from_secs(2);

/// Takes one interface and no other, or all, slowly.
struct One {
    log: Log,
    taken: bool,
    slow: Option<Duration>,
}

impl Output for One {
    fn interface(&mut self, _: u32, _: &str, tag: &str, _: u32) -> Result<Vec<String>, WriteError> {
        thread::sleep(self.slow.unwrap_or_default());
        match std::mem::replace(&mut self.taken, self.slow.is_none()) {
            true => Err(WriteError::Dropped(format!("no {tag}"))),
            false => Ok(Vec::new()),
        }
    }

    fn append(&mut self, _: u32, _: &RecordBlock) -> Result<LeftOut, WriteError> {
        Ok(LeftOut::default())
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        self.log.lock().unwrap().push("finished");
        Ok(())
    }

    fn bytes_written(&self) -> u64 {
        0
    }
}

fn attached(slot: u32) -> Change {
    Change::Attached {
        slot,
        name: format!("fs{slot}"),
        tag: format!("tag{slot}"),
        mode: Mode::PacketSocket,
        socket: None,
    }
}

fn feed() -> Feed {
    Feed::Sockets {
        shape: RingShape::of(0),
        snaplen: 0,
    }
}

fn settings() -> Settings {
    Settings {
        keep: None,
        own: Own::new(&[]),
        count: None,
        duration: None,
        snaplen: 65_535,
        stop: Arc::default(),
    }
}

/// Records what these changes bring; the result, the notes and the link.
fn recorded(changes: Vec<Vec<Change>>) -> (Result<Status, WorkerError>, Vec<String>, Scripted) {
    let log = Log::default();
    let mut link = Scripted {
        changes: changes.into_iter(),
        log: Arc::clone(&log),
    };
    let mut notes = Vec::new();
    let output = Box::new(One {
        log,
        taken: false,
        slow: None,
    });
    let result = run(&mut link, feed(), output, settings(), &mut |telling| {
        if let Telling::Note(note) = telling {
            notes.push(note.to_owned());
        }
    });
    (result, notes, link)
}

#[test]
fn an_interface_of_the_start_that_cannot_be_written_ends_capture_in_order() {
    let mut changes = vec![vec![attached(0), attached(1)]];
    changes.resize(20, Vec::new());
    let (result, _, link) = recorded(changes);
    assert!(result.unwrap_err().to_string().ends_with("no tag1"));
    assert_eq!(*link.log.lock().unwrap(), ["detached", "finished"]);
}

#[test]
fn one_that_comes_later_and_cannot_be_written_is_a_note() {
    let changes = vec![vec![attached(0)], vec![attached(1)], vec![], vec![]];
    let (result, notes, link) = recorded(changes);
    assert_eq!(result.unwrap().interfaces.len(), 2);
    assert_eq!(
        notes,
        ["fs1: its packets are not written: packets are lost: no tag1"]
    );
    assert_eq!(*link.log.lock().unwrap(), ["detached", "finished"]);
}

#[test]
fn a_writer_that_is_behind_keeps_nobody_from_looking_at_the_rings() {
    let output = One {
        log: Log::default(),
        taken: false,
        slow: Some(SLOW),
    };
    let mut worker = Worker::start(feed(), Box::new(output), settings()).unwrap();
    // Room for no sample, while the writer is busy with an interface.
    worker.change(attached(0), &mut |_| {});
    thread::sleep(SLOW / 4);
    while worker.work.try_send(Work::Note(String::new())).is_ok() {}
    worker.sampled = worker.sampled.checked_sub(SAMPLE_INTERVAL).unwrap();
    let asked = Instant::now();
    worker.turn(Vec::new(), &mut |_| {}).unwrap();
    assert!(asked.elapsed() < SLOW / 4, "{:?}", asked.elapsed());
    worker.finish(&mut |_| {}).unwrap();
}
