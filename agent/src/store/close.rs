//! Closing files beside the writer: waiting for the disk must not hold up packets.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    Error,
    layout::{ClosedName, Kind, active_name, aside_name},
    sidecar,
    writer::Content,
};

/// Jobs that may wait; the writer waits when there are more.
const QUEUE: usize = 64;

/// A file that got its proper name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedFile {
    /// Its name.
    pub name: ClosedName,
    /// Path of the capture file, or of the table of tuples alone; `None` if it held nothing and
    /// only its loss table was kept.
    pub path: Option<PathBuf>,
    /// Length in bytes on the disk.
    pub length: u64,
    /// Where records of tuples that are damaged were kept out of the way, and the offset of the
    /// first; of other files nothing is looked for.
    pub damaged: Option<(PathBuf, u64)>,
}

/// An active file that is to be closed.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) source_folder: PathBuf,
    pub(super) content: Content,
    pub(super) sequence: u64,
    pub(super) file: File,
    /// Bytes that are whole records.
    pub(super) length: u64,
    /// Time of the first packet; `None` without packets.
    pub(super) first_ns: Option<i64>,
    /// Wall clock, in nanoseconds since 1970: the time of closing, and of the name where no
    /// packet gives it.
    pub(super) now_ns: i64,
}

impl Closing {
    /// Brings the file to the disk and under its proper name; a file without packets is removed.
    /// Can be called again after a failure.
    pub(super) fn run(&self) -> Result<Option<ClosedFile>, Error> {
        // Retention removes empty folders, perhaps the one just made.
        self.try_once().or_else(|_| self.try_once())
    }

    fn try_once(&self) -> Result<Option<ClosedFile>, Error> {
        let active = |kind| self.source_folder.join(active_name(self.sequence, kind));
        let records = active(self.content.active());
        let counters = active(Kind::Counters);
        let name = self.name();
        let has_counters = counters.exists();
        if self.first_ns.is_some() || has_counters {
            make_folders(&name.folder(&self.source_folder))?;
        }
        if has_counters {
            let synced = File::open(&counters).and_then(|file| file.sync_data());
            synced.map_err(Error::io("complete", &counters))?;
            rename(&counters, &name.path(&self.source_folder, Kind::Counters))?;
        }
        let path = self
            .first_ns
            .map(|_| name.path(&self.source_folder, self.content.closed()));
        let mut damaged = None;
        match &path {
            Some(path) if self.content == Content::Tuples => {
                let table = sidecar::build_alone(&self.file, self.length, path, self.closed_at())?;
                if let Some(offset) = table.damaged_at {
                    damaged = Some((self.keep_damaged(&records)?, offset));
                }
                remove(&records)?;
            }
            Some(path) => {
                self.sync().map_err(Error::io("complete", &records))?;
                rename(&records, path)?;
            }
            None => remove(&records)?,
        }
        if self.first_ns.is_some() || has_counters {
            sync_folders(&name.folder(&self.source_folder), &self.source_folder)?;
        }
        Ok((path.is_some() || has_counters).then_some(ClosedFile {
            name,
            path,
            length: self.length,
            damaged,
        }))
    }

    /// Keeps the records, of which some are damaged, out of the way.
    fn keep_damaged(&self, records: &Path) -> Result<PathBuf, Error> {
        let name = aside_name(self.sequence, Kind::Tuples);
        let aside = self.source_folder.join(name);
        match fs::hard_link(records, &aside) {
            // By the try before.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(aside),
            // The table is made, and its records are removed already.
            Err(e) if e.kind() == io::ErrorKind::NotFound && aside.exists() => Ok(aside),
            linked => linked.map(|()| aside).map_err(Error::io("keep", records)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.set_modified(self.closed_at())?;
        self.file.sync_data()
    }

    /// The proper name.
    pub(super) fn name(&self) -> ClosedName {
        ClosedName {
            time_ns: self.first_ns.unwrap_or(self.now_ns).max(0),
            sequence: self.sequence,
        }
    }

    fn closed_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.now_ns.max(0).cast_unsigned())
    }
}

/// Renames; done already is done, also if retention has taken it since.
fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && !from.exists() => Ok(()),
        other => other.map_err(Error::io("rename", from)),
    }
}

/// Removes; gone already is gone.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::io("remove", path)),
    }
}

pub(super) fn make_folders(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))
}

/// Brings the names in a folder, and those of the folders up to `top`, to the disk. A folder that
/// is gone has none: retention removes those that it has emptied.
pub(super) fn sync_folders(folder: &Path, top: &Path) -> Result<(), Error> {
    for folder in folder.ancestors() {
        match File::open(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            opened => opened
                .and_then(|folder| folder.sync_all())
                .map_err(Error::io("write the folder", folder))?,
        }
        if folder == top {
            break;
        }
    }
    Ok(())
}

enum Job {
    /// `fdatasync` of what was written so far.
    Sync(File),
    Close(Closing),
    /// Another try of what failed.
    Retry,
}

/// A thread that waits for the disk.
#[derive(Debug)]
pub(super) struct Closer {
    jobs: Option<SyncSender<Job>>,
    done: Receiver<Result<ClosedFile, Error>>,
    thread: Option<JoinHandle<()>>,
}

impl Closer {
    /// Starts the thread with files that an earlier writer left: however many they are, nobody
    /// waits for them.
    pub(super) fn start(left: Vec<Closing>) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        let (report, done) = channel();
        let thread = thread::Builder::new()
            .name("store-close".to_owned())
            .spawn(move || work(left.into(), &queue, &report))?;
        Ok(Self {
            jobs: Some(jobs),
            done,
            thread: Some(thread),
        })
    }

    /// Asks for the bytes written so far to be brought to the disk. While the disk is behind by
    /// the whole queue, asking more would not make it faster.
    pub(super) fn sync(&self, file: File) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.try_send(Job::Sync(file));
        }
    }

    /// Asks for another try of what failed.
    pub(super) fn retry(&self) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.try_send(Job::Retry);
        }
    }

    pub(super) fn close(&self, closing: Closing) {
        if let Some(jobs) = &self.jobs
            && let Err(refused) = jobs.send(Job::Close(closing))
        {
            // The thread is gone, which only a panic in it explains: do its work here.
            if let Job::Close(closing) = refused.0 {
                let _ = closing.run();
            }
        }
    }

    /// What was closed, and what failed, since the last call.
    pub(super) fn done(&self) -> Vec<Result<ClosedFile, Error>> {
        self.done.try_iter().collect()
    }

    /// Waits for all jobs.
    pub(super) fn finish(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.finish();
    }
}

fn work(
    mut pending: VecDeque<Closing>,
    queue: &Receiver<Job>,
    report: &Sender<Result<ClosedFile, Error>>,
) {
    try_all(&mut pending, report);
    for job in queue {
        match job {
            Job::Sync(file) => {
                if let Err(e) = file.sync_data() {
                    let _ = report.send(Err(Error::io("write", Path::new("a capture file"))(e)));
                }
            }
            Job::Close(closing) => pending.push_back(closing),
            Job::Retry => {}
        }
        try_all(&mut pending, report);
    }
    try_all(&mut pending, report);
}

/// Closes in order; what fails (a full disk has no room for a folder) waits for the next job, and
/// holds up no other: it may never succeed.
fn try_all(pending: &mut VecDeque<Closing>, report: &Sender<Result<ClosedFile, Error>>) {
    pending.retain(|closing| {
        let done = closing.run();
        let keep = done.is_err();
        if let Some(done) = done.transpose() {
            let _ = report.send(done);
        }
        keep
    });
}
