//! The thread that looks after a store while it is written: sidecars of closed files, their
//! compression, retention.
//!
//! It runs at a low priority: what it does can wait, packets cannot.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crate::priority;
use crate::store::{self, Compress, Retention, Unfinished, Wells, compress, retention, sidecar};

/// How often retention is enforced when nothing asks for it.
const EVERY: Duration = Duration::from_secs(10);

/// Added to the thread's nice value.
const NICE: i32 = 10;

/// What a run keeps; may be changed while it runs.
#[derive(Clone, Debug, Default)]
pub struct SharedRetention(Arc<Mutex<Retention>>);

impl SharedRetention {
    /// Keeps this, over what the wells say.
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
    /// Make the sidecar of a closed capture file, and compress it.
    Closed(PathBuf),
    /// Make room: something could not be written.
    MakeRoom,
    /// When there is time, the same for what an earlier run left in this source's folder.
    Begun(PathBuf),
}

/// The thread, and the ways to and from it.
pub(super) struct House {
    tasks: Sender<Task>,
    notes: Receiver<String>,
    thread: JoinHandle<()>,
}

impl House {
    /// Starts the thread. `retention` and `compress` hold for every well that is written, over what
    /// its own configuration says.
    pub(super) fn start(
        store: &Path,
        retention: SharedRetention,
        compress: Option<Compress>,
    ) -> std::io::Result<Self> {
        let (tasks, todo) = mpsc::channel();
        let (told, notes) = mpsc::channel();
        let keeper = Keeper {
            store: store.to_owned(),
            retention,
            compress,
            told,
            failing: false,
            behind: VecDeque::new(),
        };
        let thread = thread::Builder::new()
            .name("house".to_owned())
            .spawn(move || keeper.run(&todo))?;
        Ok(Self {
            tasks,
            notes,
            thread,
        })
    }

    /// A file was closed.
    pub(super) fn closed(&self, capture: PathBuf) {
        // A thread that is gone has failed, and its files are indexed by the next `reindex`.
        let _ = self.tasks.send(Task::Closed(capture));
    }

    /// A source is written to, in this folder.
    pub(super) fn begun(&self, folder: PathBuf) {
        let _ = self.tasks.send(Task::Begun(folder));
    }

    /// The disk is full.
    pub(super) fn make_room(&self) {
        let _ = self.tasks.send(Task::MakeRoom);
    }

    /// What the user should be told.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.try_iter().collect()
    }

    /// Ends the thread when it has done what it was asked.
    pub(super) fn finish(self) -> Vec<String> {
        let Self {
            tasks,
            notes,
            thread,
        } = self;
        drop(tasks);
        // It panics by a defect only, and then there is nothing to undo.
        let _ = thread.join();
        notes.try_iter().collect()
    }
}

struct Keeper {
    store: PathBuf,
    retention: SharedRetention,
    compress: Option<Compress>,
    told: Sender<String>,
    /// Whether retention failed the last time, which is said once.
    failing: bool,
    /// What an earlier run left to be done.
    behind: VecDeque<Unfinished>,
}

impl Keeper {
    fn run(mut self, todo: &Receiver<Task>) {
        priority::lower(NICE);
        self.enforce();
        loop {
            let wait = match self.behind.is_empty() {
                true => EVERY,
                false => Duration::ZERO,
            };
            match todo.recv_timeout(wait) {
                Ok(Task::MakeRoom) => {
                    // One answer to all that piled up meanwhile.
                    let waiting: Vec<Task> = todo.try_iter().collect();
                    self.enforce();
                    waiting.into_iter().for_each(|task| self.does(task));
                }
                Ok(task) => self.does(task),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(capture) = self.behind.pop_front() {
                        self.complete(&capture);
                    }
                }
                // What is still behind is the next run's.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.enforce();
        }
    }

    fn does(&mut self, task: Task) {
        match task {
            Task::Closed(path) => self.complete(&Unfinished {
                path,
                has_sidecar: false,
            }),
            Task::Begun(folder) => {
                let compresses = self.compression(&folder) != Compress::Off;
                match store::unfinished(&folder, compresses) {
                    Ok(captures) => self.behind.extend(captures),
                    Err(error) => self.tell(error.to_string()),
                }
            }
            // Done after every task.
            Task::MakeRoom => {}
        }
    }

    /// Makes of a closed file what it lacks.
    fn complete(&self, capture: &Unfinished) {
        if !capture.has_sidecar {
            self.index(&capture.path);
        }
        if let Compress::Zstd(level) = self.compression(&capture.path)
            && let Err(error) = compress::compress(&capture.path, level)
        {
            self.tell(format!(
                "{} stays as it is: {error}",
                capture.path.display()
            ));
        }
    }

    /// How a file, or what is in a folder, of the store is kept.
    fn compression(&self, path: &Path) -> Compress {
        // Read each time, as for retention, which says what is wrong with a configuration.
        let of_well = || {
            let wells = Wells::read(&self.store).ok()?;
            Some(wells.compress_of(&self.store, path))
        };
        self.compress.or_else(of_well).unwrap_or_default()
    }

    /// A file without a sidecar is read itself, so that a failure changes no answer.
    fn index(&self, capture: &Path) {
        match sidecar::build(capture, sidecar::ROWS_PER_GROUP) {
            // Somebody else removed it meanwhile: its sidecar is to be gone, too.
            Ok(made) if !capture.exists() => {
                let _ = std::fs::remove_file(made.path);
            }
            Ok(_) => {}
            // Retention was quicker.
            Err(_) if !capture.exists() => {}
            Err(error) => self.tell(format!("{}: {error}", capture.display())),
        }
    }

    fn enforce(&mut self) {
        let now = SystemTime::now();
        let mut failed = false;
        // Read each time: wells come with their tags, and a changed configuration counts at once.
        let wells = match Wells::read(&self.store) {
            Ok(wells) => wells,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    self.tell(format!("retention: {error}"));
                }
                return;
            }
        };
        for (well, settings) in wells.iter() {
            let limits = merged(settings.retention, self.retention.get());
            match retention::enforce(&self.store, well, &limits, now) {
                Ok(_) => {}
                Err(error) => {
                    failed = true;
                    if !self.failing {
                        self.tell(format!("retention of well {well}: {error}"));
                    }
                }
            }
        }
        self.failing = failed;
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
