//! The part without privileges: reads the rings, writes the files, says what there is to say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::super::error::Error;
use super::offer::Offer;
use super::{Job, Signals, filter, group, kernel_snaplen, session, snaplen, source, user};
use crate::capture::guard::{self, Confinement, GuardNote, Sandbox, User};
use crate::capture::split::{Message, Received, WorkerEnd};
use crate::capture::{Feed, MapFds};
use crate::record::{
    self, Board, Change, Connection, Division, Keep, Link, Nowhere, Output, Own, Settings, Status,
    StoreOptions, StoreOutput, Stream, Telling, WriteError,
};
use crate::serve::metrics;
use crate::store::Content;

/// Names of the descriptors that come from the parent.
pub(super) const TUPLES: &str = "tuples";
pub(super) const PACKETS: &str = "packets";
pub(super) const COUNTERS: &str = "counters";

/// How long the parent may take to detach.
const DETACH_TIME: Duration = Duration::from_secs(10);

/// How long the kernel may take to detach what a parent held that is gone.
const KERNEL_TIME: Duration = Duration::from_millis(100);

/// How often it is said that the worker works.
const WORKING_INTERVAL: Duration = Duration::from_secs(1);

/// Takes over the configuration that lies at this offset, with so many bytes, in what was passed.
pub(in crate::cli) type Configure = Box<dyn FnMut(u64, u64)>;

/// Where the worker says what there is to say.
pub(in crate::cli) trait Teller {
    /// Something that the user should know.
    fn note(&mut self, note: &str);

    /// How things are, once a second.
    fn status(&mut self, status: &Status);

    /// How things were at the end.
    fn finish(&mut self, status: &Status);

    /// What is to be done with a new configuration.
    fn configure(&mut self) -> Configure {
        Box::new(|_, _| {})
    }
}

/// Refuses what the worker could not do, while nothing is done yet.
pub(super) fn check(job: &Job) -> Result<(), Error> {
    if job.no_pcap && !job.filter.is_empty() {
        return Err(Error::Usage {
            message: format!(
                "the capture filter '{}' needs packets, which --no-pcap does not copy",
                job.filter.join(" ")
            ),
            hint: "leave the filter out, or --no-pcap".to_owned(),
        });
    }
    let divided = job.file_size.is_some() || job.file_time.is_some() || job.file_count.is_some();
    if divided && is_standard_output(job) {
        return Err(Error::Usage {
            message: "-C, -G and -W divide a stream into files, and standard output is one"
                .to_owned(),
            hint: "leave them out, or name a file: -w FILE".to_owned(),
        });
    }
    if job.no_pcap || job.write.is_some() || job.store.is_some() {
        return Ok(());
    }
    Err(Error::Usage {
        message: "nowhere to write to".to_owned(),
        hint: "name a store or a file: --store DIR or -w FILE".to_owned(),
    })
}

fn is_standard_output(job: &Job) -> bool {
    job.write.as_deref() == Some(Path::new("-"))
}

/// Gives up all privileges, and records until it is told to stop; the exit code.
pub(in crate::cli) fn run(
    job: &Job,
    mut end: WorkerEnd,
    signals: Signals,
    mut reporter: impl Teller,
) -> Result<u8, Error> {
    let keep = filter(job)?
        .map(|filter| -> Keep { Box::new(move |data, wire_len| filter.accepts(data, wire_len)) });
    let user = user(job)?;
    let own = session::own(job);
    let feed = feed(job, &mut end)?;
    // Before anything is made or overwritten: it may be refused.
    let group = group(job)?;
    let metrics = job.metrics.map(metrics::Listener::bind).transpose()?;
    let target = Target::prepare(job, user.as_ref())?;
    let offer = Offer::bind(
        target.store(),
        job.socket(),
        (user.as_ref(), group),
        metrics,
    );
    let notes = guard::enter(&Confinement {
        user: user.as_ref(),
        sandbox: target.sandbox(),
    })?;
    let (output, board) = target.open(job)?;
    say_first(&mut reporter, &notes, own);
    let mut served = offer.serve(board);
    served.notes().iter().for_each(|note| reporter.note(note));
    let settings = Settings {
        keep,
        own: Own::new(own.as_slice()),
        count: job.count,
        duration: job.duration,
        snaplen: snaplen(job),
        stop: Arc::clone(&signals.stop),
    };
    let mut link = Piped {
        end,
        configure: reporter.configure(),
        said: None,
        pending: Vec::new(),
        gone: false,
        stop: signals.stop,
        report: signals.report,
    };
    let status = record::run(
        &mut link,
        feed,
        output,
        settings,
        &mut |telling| match telling {
            Telling::Note(note) => reporter.note(note),
            Telling::Status(status) => {
                served.notes().iter().for_each(|note| reporter.note(note));
                served.report(status);
                reporter.status(status);
            }
        },
    )?;
    let left = served.stop(&status, if link.gone { GONE } else { "capture ended" });
    left.iter().for_each(|note| reporter.note(note));
    reporter.finish(&status);
    if link.gone {
        return Err(parent_gone());
    }
    link.end.send(&Message::Done)?;
    Ok(0)
}

fn say_first(reporter: &mut impl Teller, notes: &[GuardNote], own: Option<Connection>) {
    // Of the others, an older Landlock still guards files, and an empty permitted set needs no
    // empty bounding set.
    if notes.contains(&GuardNote::NoLandlock) {
        reporter.note(&GuardNote::NoLandlock.to_string());
    }
    if let Some(Connection {
        here,
        there: Some(there),
    }) = own
    {
        reporter.note(&format!(
            "the packets of this ssh session ({there} and {here}) are left out, because showing \
             them makes more of them; --own keeps them"
        ));
    }
}

/// What is said where the parent ended before its worker.
const GONE: &str = "the privileged process is gone; capture is over, and all that it had captured \
                    is written";

fn parent_gone() -> Error {
    Error::Capture {
        message: GONE.to_owned(),
        hint: None,
    }
}

/// What the parent chose: with its program it passes counters, without it sockets come.
fn feed(job: &Job, end: &mut WorkerEnd) -> Result<Feed, Error> {
    Ok(match end.take(COUNTERS) {
        Some(counters) => Feed::Xdp(MapFds {
            tuples: end.take_all(TUPLES),
            packets: end.take_all(PACKETS),
            counters,
        }),
        None => Feed::Sockets {
            shape: source::shape(job),
            snaplen: kernel_snaplen(job),
        },
    })
}

/// The way to the parent.
struct Piped {
    end: WorkerEnd,
    /// What came while something else was waited for.
    pending: Vec<Change>,
    /// The parent is no more.
    gone: bool,
    stop: Arc<AtomicBool>,
    report: Arc<AtomicBool>,
    configure: Configure,
    /// When it was last said that this part works.
    said: Option<Instant>,
}

impl Piped {
    /// Says once a second that this part works.
    fn say_working(&mut self) {
        if self
            .said
            .is_some_and(|said| said.elapsed() < WORKING_INTERVAL)
        {
            return;
        }
        self.said = Some(Instant::now());
        // Where nobody hears it, what they said before is still to be read, up to the end.
        let _ = self.end.send(&Message::Working);
    }

    /// Takes one message; `None` where none came. Whether it is the answer to a detach.
    fn take(&mut self, timeout: Duration) -> Option<bool> {
        let change = match self.end.receive(timeout) {
            Ok(Received::Nothing) => return None,
            Ok(Received::Closed) => {
                self.gone = true;
                return None;
            }
            Ok(Received::WithFd(message, fd)) => {
                let Message::Interface {
                    slot,
                    mode,
                    name,
                    tag,
                } = message
                else {
                    // Nothing else comes with one.
                    return Some(false);
                };
                Change::Attached {
                    slot,
                    name,
                    tag,
                    mode,
                    socket: Some(fd),
                }
            }
            Ok(Received::Message(message)) => match message {
                Message::Interface {
                    slot,
                    mode,
                    name,
                    tag,
                } => Change::Attached {
                    slot,
                    name,
                    tag,
                    mode,
                    socket: None,
                },
                Message::Gone { slot, name } => Change::Gone { slot, name },
                Message::Left { slot, name } => Change::Left { slot, name },
                Message::Configured { offset, bytes } => {
                    (self.configure)(offset, bytes);
                    return Some(false);
                }
                Message::Note(note) => Change::Note(note),
                Message::Stop => {
                    self.stop.store(true, Relaxed);
                    return Some(false);
                }
                Message::Statistics => {
                    self.report.store(true, Relaxed);
                    return Some(false);
                }
                Message::Detached => return Some(true),
                // The worker's own.
                Message::Free { .. } | Message::Detach | Message::Done | Message::Working => {
                    return Some(false);
                }
            },
            Err(error) => {
                // Nothing that it says can be relied on any more.
                self.gone = true;
                Change::Note(error.to_string())
            }
        };
        self.pending.push(change);
        Some(false)
    }
}

impl Link for Piped {
    fn changes(&mut self, timeout: Duration) -> Option<Vec<Change>> {
        self.say_working();
        let mut wait = timeout;
        while !self.gone && self.take(wait).is_some() {
            wait = Duration::ZERO;
        }
        let changes = std::mem::take(&mut self.pending);
        (!self.gone || !changes.is_empty()).then_some(changes)
    }

    fn free(&mut self, slot: u32) {
        // Where nobody hears it, nobody attaches either.
        let _ = self.end.send(&Message::Free { slot });
    }

    fn detach(&mut self) {
        let asked = Instant::now();
        self.gone |= self.end.send(&Message::Detach).is_err();
        while !self.gone {
            if self.take(DETACH_TIME.saturating_sub(asked.elapsed())) == Some(true) {
                return;
            }
            if asked.elapsed() >= DETACH_TIME {
                self.pending.push(Change::Note(
                    "the privileged process does not answer: packets may still have come after \
                     the last that was read"
                        .to_owned(),
                ));
                return;
            }
        }
        std::thread::sleep(KERNEL_TIME);
    }
}

/// Where packets go, on both sides of the end of privileges.
enum Target<'a> {
    /// They are counted.
    Nowhere,
    /// One file or standard output, which is open already: no folder needs to be writable.
    Opened(Box<dyn Output>),
    /// Several files, which are made and removed as time goes by.
    Files { folder: PathBuf, path: &'a Path },
    /// A store.
    Store(&'a Path),
}

impl<'a> Target<'a> {
    fn prepare(args: &'a Job, user: Option<&User>) -> Result<Self, Error> {
        check(args)?;
        if let Some(store) = &args.store {
            make_store(store, user)?;
            return Ok(Self::Store(store));
        }
        if args.no_pcap {
            return Ok(Self::Nowhere);
        }
        let path = args.write.as_deref().unwrap_or(Path::new("-"));
        if args.file_size.is_some() || args.file_time.is_some() {
            let folder = folder_of(path, args.file_time.is_some());
            return Ok(Self::Files { folder, path });
        }
        let stream = Stream::create(path, division(args), snaplen(args))?;
        if let Some(user) = user.filter(|_| path.is_file()) {
            user.own(path).map_err(|error| cannot_own(path, &error))?;
        }
        Ok(Self::Opened(Box::new(stream)))
    }

    fn sandbox(&self) -> Sandbox {
        Sandbox {
            readable: Vec::new(),
            writable: self.folder().map(Path::to_owned).into_iter().collect(),
        }
    }

    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Nowhere | Self::Opened(_) => None,
            Self::Files { folder, .. } => Some(folder),
            Self::Store(store) => Some(store),
        }
    }

    fn store(&self) -> Option<&Path> {
        match self {
            Self::Nowhere | Self::Opened(_) | Self::Files { .. } => None,
            Self::Store(store) => Some(store),
        }
    }

    /// The output, and the board on which a store's commits are published.
    fn open(self, job: &Job) -> Result<(Box<dyn Output>, Arc<Board>), Error> {
        if let Some(folder) = self.folder() {
            check_writable(folder)?;
        }
        Ok(match self {
            Self::Nowhere => (Box::new(Nowhere), Arc::default()),
            Self::Opened(output) => (output, Arc::default()),
            Self::Files { path, .. } => {
                let stream = Stream::create(path, division(job), snaplen(job))?;
                (Box::new(stream), Arc::default())
            }
            Self::Store(store) => {
                let output = StoreOutput::open(store, store_options(job))?;
                let board = output.board();
                (Box::new(output), board)
            }
        })
    }
}

/// A store that is made here belongs to the user who writes to it.
fn make_store(store: &Path, user: Option<&User>) -> Result<(), Error> {
    if store.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(store).map_err(|source| WriteError::File {
        action: "create the store",
        path: store.display().to_string(),
        source,
    })?;
    user.map_or(Ok(()), |user| user.own(store))
        .map_err(|error| cannot_own(store, &error))
}

fn cannot_own(path: &Path, error: &std::io::Error) -> Error {
    Error::Capture {
        message: format!("cannot give {} to the user of -Z: {error}", path.display()),
        hint: None,
    }
}

/// Root without capabilities is bound by permissions as everybody is.
fn check_writable(folder: &Path) -> Result<(), Error> {
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(folder, access).map_err(|error| Error::Capture {
        message: format!(
            "cannot make files in {}: {error}; the process that writes has no privileges",
            folder.display()
        ),
        hint: Some("run it as the folder's owner: -Z USER".to_owned()),
    })
}

/// The folder of a file; of a pattern of names, the one that all of them are below.
fn folder_of(path: &Path, is_pattern: bool) -> PathBuf {
    let varies = |folder: &Path| is_pattern && folder.to_string_lossy().contains('%');
    let fixed = path.ancestors().skip(1).find(|folder| !varies(folder));
    match fixed {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn division(job: &Job) -> Division {
    Division {
        bytes: job.file_size,
        time: job.file_time,
        count: job.file_count,
    }
}

fn store_options(job: &Job) -> StoreOptions {
    StoreOptions {
        content: match job.no_pcap {
            true => Content::Tuples,
            false => Content::Packets,
        },
        file_bytes: job.file_size,
        file_time: job.file_time,
        retention: job.retention.clone(),
        compress: job.compress,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_files_does_not_vary() {
        let of = |path: &str, pattern| folder_of(Path::new(path), pattern);
        assert_eq!(of("/data/x.pcap", false), Path::new("/data"));
        assert_eq!(of("x.pcap", false), Path::new("."));
        assert_eq!(of("/data/%Y/%H.pcap", true), Path::new("/data"));
        assert_eq!(of("%Y/%H.pcap", true), Path::new("."));
        assert_eq!(of("/data/100%/x.pcap", false), Path::new("/data/100%"));
    }
}
