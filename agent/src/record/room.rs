//! The thread that makes room in a store while it is written: retention.
//!
//! It is none that compresses, which may take minutes for a file: a disk is full in less.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use super::steady::Steady;
use crate::priority;
use crate::store::{Retention, Wells, retention};

/// How often retention is enforced when nothing asks for it.
const EVERY: Duration = Duration::from_secs(10);

/// Added to the thread's nice value.
const NICE: i32 = 10;

/// What a run keeps; may be changed while it runs.
#[derive(Clone, Debug, Default)]
pub struct SharedRetention(Arc<Mutex<Retention>>);

impl SharedRetention {
    /// Keeps this in each well that is written, over what the well says.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self(Arc::new(Mutex::new(retention)))
    }

    /// Keeps this from the next look at the store on, some seconds later.
    pub fn set(&self, retention: Retention) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = retention;
    }

    fn get(&self) -> Retention {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread is asked to do.
enum Task {
    /// Something could not be written, or a file was closed.
    Make,
    /// This well is written from now on.
    Written(String),
}

/// The thread, and the ways to and from it.
pub(super) struct Room {
    tasks: Sender<Task>,
    notes: Receiver<String>,
    thread: JoinHandle<()>,
}

impl Room {
    /// Starts the thread. `limits` hold for every well that is written, over what its own
    /// configuration says, and for no other.
    pub(super) fn start(store: &Path, limits: SharedRetention) -> std::io::Result<Self> {
        let (tasks, todo) = mpsc::channel();
        let (told, notes) = mpsc::channel();
        let keeper = Keeper {
            store: store.to_owned(),
            limits,
            written: BTreeSet::new(),
            steady: Steady::new(),
            told,
            failing: false,
        };
        let thread = thread::Builder::new()
            .name("retention".to_owned())
            .spawn(move || keeper.run(&todo))?;
        Ok(Self {
            tasks,
            notes,
            thread,
        })
    }

    /// The disk is full, or a file was closed.
    pub(super) fn make(&self) {
        // A thread that is gone has failed; what is kept too long is no loss.
        let _ = self.tasks.send(Task::Make);
    }

    /// A well is written to.
    pub(super) fn written(&self, well: &str) {
        let _ = self.tasks.send(Task::Written(well.to_owned()));
    }

    /// What the user should be told.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.notes.try_iter()
    }

    /// Ends the thread after a last look.
    pub(super) fn finish(self) {
        drop(self.tasks);
        // It panics by a defect only, and then there is nothing to undo.
        let _ = self.thread.join();
    }
}

struct Keeper {
    store: PathBuf,
    limits: SharedRetention,
    /// Wells for which the limits of this run hold.
    written: BTreeSet<String>,
    steady: Steady,
    told: Sender<String>,
    /// Whether retention failed the last time, which is said once.
    failing: bool,
}

impl Keeper {
    fn run(mut self, todo: &Receiver<Task>) {
        priority::lower(NICE);
        loop {
            self.enforce();
            match todo.recv_timeout(EVERY) {
                Ok(task) => {
                    self.take(task);
                    // One answer to all that piled up meanwhile.
                    todo.try_iter().for_each(|task| self.take(task));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.enforce();
    }

    fn take(&mut self, task: Task) {
        if let Task::Written(well) = task {
            self.written.insert(well);
        }
    }

    fn enforce(&mut self) {
        if let Some(moved) = self.steady.look() {
            self.tell(format!(
                "the wall clock was set {moved}: for a day nothing is removed for its age"
            ));
        }
        // Read each time: wells come with their tags, and a changed configuration counts at once.
        let failed = match Wells::read(&self.store) {
            Ok(wells) => self.enforce_all(&wells),
            Err(error) => Some(format!("retention: {error}")),
        };
        let fails = failed.is_some();
        if let Some(failed) = failed.filter(|_| !self.failing) {
            self.tell(failed);
        }
        self.failing = fails;
    }

    /// Enforces retention in each well; the first failure, and how many there were.
    fn enforce_all(&self, wells: &Wells) -> Option<String> {
        let (mut first, mut further) = (None, 0_usize);
        for (well, settings) in wells.iter() {
            let mut limits = match self.written.contains(well) {
                true => merged(settings.retention, self.limits.get()),
                false => settings.retention,
            };
            if !self.steady.is_steady() {
                limits.max_age = None;
            }
            let failed = match retention::enforce(&self.store, well, &limits, SystemTime::now()) {
                Ok(enforced) => enforced.failed,
                Err(error) => vec![error],
            };
            for error in failed {
                match first {
                    Some(_) => further += 1,
                    None => first = Some(format!("retention of well {well}: {error}")),
                }
            }
        }
        first.map(|first| match further {
            0 => first,
            more => format!("{first} (and {more} more)"),
        })
    }

    fn tell(&self, note: String) {
        let _ = self.told.send(note);
    }
}

/// What is said for this run goes before what the well's configuration says.
fn merged(well: Retention, run: Retention) -> Retention {
    Retention {
        max_age: run.max_age.or(well.max_age),
        max_size: run.max_size.or(well.max_size),
        min_free: run.min_free.or(well.min_free),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::keep::tests::left;
    use crate::store::layout::Listing;

    /// A short trial must not take what another well keeps for years.
    #[test]
    fn the_limits_of_a_run_hold_in_the_wells_that_it_writes() {
        let store = tempfile::tempdir().unwrap();
        let count = |well: &str| {
            let listing = Listing::read(&store.path().join(well).join("lan0")).unwrap();
            listing.closed.len()
        };
        for well in ["pcap", "other"] {
            left(&store.path().join(well).join("lan0"));
        }
        let limits = SharedRetention::new(Retention {
            max_size: Some(1),
            ..Retention::default()
        });
        let room = Room::start(store.path(), limits).unwrap();
        room.written("pcap");
        room.finish();
        assert_eq!((count("pcap"), count("other")), (0, 3));
    }
}
