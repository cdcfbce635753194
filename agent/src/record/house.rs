//! The thread that looks after closed files while a store is written: sidecars, compression.
//!
//! It runs at a low priority: what it does can wait, packets cannot.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::priority;
use crate::store::{self, Compress, Unfinished, Wells, compress, layout::Kind, sidecar};

/// How long files are still compressed when the run ends; what is left then the next one does.
/// Sidecars are made of all: that takes a second or two for each.
const AT_THE_END: Duration = Duration::from_secs(20);

/// Added to the thread's nice value.
const NICE: i32 = 10;

/// What the thread is asked to do.
enum Task {
    /// Make the sidecar of a closed capture file, and compress it.
    Closed(PathBuf),
    /// When there is time, the same for what an earlier run left in this source's folder.
    Begun(PathBuf),
}

/// The thread, and the ways to and from it.
pub(super) struct House {
    tasks: Sender<Task>,
    notes: Receiver<String>,
    ends: Arc<OnceLock<Instant>>,
    thread: JoinHandle<()>,
}

impl House {
    /// Starts the thread. `compress` holds for every well that is written, over what its own
    /// configuration says.
    pub(super) fn start(store: &Path, compress: Option<Compress>) -> std::io::Result<Self> {
        let (tasks, todo) = mpsc::channel();
        let (told, notes) = mpsc::channel();
        let ends = Arc::new(OnceLock::new());
        let keeper = Keeper {
            store: store.to_owned(),
            compress,
            told,
            ends: Arc::clone(&ends),
            behind: VecDeque::new(),
        };
        let thread = thread::Builder::new()
            .name("house".to_owned())
            .spawn(move || keeper.run(&todo))?;
        Ok(Self {
            tasks,
            notes,
            ends,
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

    /// What the user should be told.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.notes.try_iter()
    }

    /// Ends the thread when it has done what it was asked, as far as there is time.
    pub(super) fn finish(self) {
        let _ = self.ends.set(Instant::now());
        drop(self.tasks);
        // It panics by a defect only, and then there is nothing to undo.
        let _ = self.thread.join();
    }
}

struct Keeper {
    store: PathBuf,
    compress: Option<Compress>,
    told: Sender<String>,
    /// When the run ended.
    ends: Arc<OnceLock<Instant>>,
    /// What an earlier run left to be done.
    behind: VecDeque<Unfinished>,
}

impl Keeper {
    fn run(mut self, todo: &Receiver<Task>) {
        priority::lower(NICE);
        loop {
            let Some(capture) = self.behind.pop_front() else {
                match todo.recv() {
                    Ok(task) => self.does(task),
                    Err(_) => return,
                }
                continue;
            };
            match todo.try_recv() {
                // What has just been closed goes before what an earlier run left.
                Ok(task) => {
                    self.behind.push_front(capture);
                    self.does(task);
                }
                Err(TryRecvError::Empty) => self.complete(&capture),
                // What is still behind is the next run's.
                Err(TryRecvError::Disconnected) => return,
            }
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
        }
    }

    /// Makes of a closed file what it lacks.
    fn complete(&self, capture: &Unfinished) {
        if !capture.has_sidecar {
            self.index(&capture.path);
        }
        let ends = &self.ends;
        let has_time = || ends.get().is_none_or(|end| end.elapsed() < AT_THE_END);
        if let Compress::Zstd(level) = self.compression(&capture.path)
            && let Err(error) = compress::compress(&capture.path, level, &has_time)
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
        let is_there = || {
            let forms = [Kind::Capture, Kind::Compressed];
            let mut paths = forms
                .into_iter()
                .filter_map(|kind| compress::path_of(capture, kind));
            paths.any(|path| path.exists())
        };
        match sidecar::build(capture, sidecar::ROWS_PER_GROUP) {
            // Somebody else removed it meanwhile: its sidecar is to be gone, too.
            Ok(made) if !is_there() => {
                let _ = std::fs::remove_file(made.path);
            }
            Ok(_) => {}
            // Retention was quicker.
            Err(_) if !is_there() => {}
            Err(error) => self.tell(format!("{}: {error}", capture.display())),
        }
    }

    fn tell(&self, note: String) {
        let _ = self.told.send(note);
    }
}
