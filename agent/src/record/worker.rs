//! The part that needs no privileges: from the rings to the output, with everything counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::attacher::Change;
use super::counts::{AllCells, SLOTS};
use super::drain::{Drain, Keep};
use super::opened::{Opened, PacketFills, SocketFeed};
use super::own::Own;
use super::published::Published;
use super::sample::Sample;
use super::status::{InterfaceState, Status};
use super::tuples::{Storing, TupleDrain};
use super::write::{Event, Named, Output, Work, WriteError, Writer};
use crate::capture::{
    Clock, ClockError, CountersError, Feed, InterfaceCounters, RingError, SourceCounters,
};
use crate::wall;

/// Blocks on their way to the writer: 32 MB, and as many seconds of a slow disk as they last.
const BLOCKS_AHEAD: usize = 32;

/// How often the counters are read and kept.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Interfaces that are known, also those that are gone: of more, the ones that have been gone the
/// longest are let go, so that there are slots for others that come.
const KNOWN: usize = SLOTS - SLOTS / 4;

/// How long a stop may go unnoticed, and how old the fill that queries see may be.
const LOOK_INTERVAL: Duration = Duration::from_millis(40);

/// What is to be recorded.
pub struct Settings {
    /// Decides which packets are kept, by captured bytes and wire length; `None`: all.
    pub keep: Option<Keep>,
    /// Connections of the agent whose packets are left out.
    pub own: Own,
    /// Packets after which it ends.
    pub count: Option<u64>,
    /// Time after which it ends.
    pub duration: Option<Duration>,
    /// Bytes kept of a packet.
    pub snaplen: u32,
    /// Ends it when set.
    pub stop: Arc<AtomicBool>,
}

/// The way to the part that attaches.
pub trait Link {
    /// What changed, waiting for at most this long; `None` when the other part is gone.
    fn changes(&mut self, timeout: Duration) -> Option<Vec<Change>>;

    /// Lets another interface have a slot, whose last one is gone.
    fn free(&mut self, _slot: u32) {}

    /// Detaches from all interfaces; when it returns, no more packets enter the rings.
    fn detach(&mut self);
}

/// What keeps the worker from working.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A ring cannot be read.
    #[error("cannot open the rings: {0}")]
    Rings(#[from] RingError),
    /// The rings' descriptors cannot be copied.
    #[error("cannot copy the rings' descriptors: {0}")]
    Copy(#[source] std::io::Error),
    /// The counters cannot be read.
    #[error(transparent)]
    Counters(#[from] CountersError),
    /// There is no time.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The output failed at its end.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// A thread ended by a defect of ours.
    #[error("a thread of the recorder failed")]
    Panicked,
}

/// Records until it is told to stop, has enough, or nobody reads what it writes.
///
/// `tell` is given notes as they come, and the status once a second.
///
/// # Errors
/// If it cannot start, or cannot write what comes from an interface that is there at the start;
/// all that came until then is in the output, which is closed. Other failures to write are
/// counted, and told.
pub fn run(
    link: &mut dyn Link,
    feed: impl Into<Feed>,
    mut output: Box<dyn Output>,
    settings: Settings,
    tell: &mut dyn FnMut(Telling<'_>),
) -> Result<Status, WorkerError> {
    let mut published = Published::by(output.as_mut(), tell);
    let (duration, stop) = (settings.duration, Arc::clone(&settings.stop));
    let mut worker = Worker::start(feed.into(), output, settings)?;
    let started = Instant::now();
    let mut failed = None;
    while let Some(changes) = link.changes(LOOK_INTERVAL) {
        let complete = worker.turn(changes, tell).unwrap_or_else(|error| {
            failed = Some(error);
            true
        });
        for slot in std::mem::take(&mut worker.retired) {
            link.free(slot);
        }
        published.share(worker.fills.fullest(), tell);
        let over = duration.is_some_and(|duration| started.elapsed() >= duration);
        if over || complete || stop.load(Relaxed) || worker.reached.load(Relaxed) {
            break;
        }
    }
    link.detach();
    // What came with the answer: an interface may have been attached to a moment ago.
    let last = link.changes(Duration::ZERO).unwrap_or_default();
    last.into_iter()
        .for_each(|change| worker.change(change, tell));
    let finished = worker.finish(tell);
    failed.map_or(finished, Err)
}

/// What the worker tells while it runs.
pub enum Telling<'a> {
    /// Something that the user should know.
    Note(&'a str),
    /// How things are.
    Status(&'a Status),
}

struct Worker {
    counters: SourceCounters,
    fills: PacketFills,
    sockets: SocketFeed,
    cells: Arc<AllCells>,
    work: SyncSender<Work>,
    events: Receiver<Event>,
    detached: Arc<AtomicBool>,
    reached: Arc<AtomicBool>,
    bytes_written: Arc<AtomicU64>,
    malformed: Arc<AtomicU64>,
    drains: Vec<JoinHandle<()>>,
    writer: JoinHandle<Result<(), WriteError>>,
    snaplen: u32,
    /// Whether it is tuples that are recorded, and no packets.
    tuples: bool,
    /// Whether the interfaces are known that were there at the start.
    started: bool,
    sampled: Instant,
    /// Slots whose interfaces are gone, the one first that has been so the longest.
    gone: VecDeque<u32>,
    /// What the kernel had counted by slot before its interface had it.
    before: BTreeMap<u32, InterfaceCounters>,
    /// Slots that can be other interfaces'.
    retired: Vec<u32>,
    status: Status,
}

impl Worker {
    fn start(feed: Feed, output: Box<dyn Output>, settings: Settings) -> Result<Self, WorkerError> {
        let Settings {
            keep,
            own,
            count,
            snaplen,
            ..
        } = settings;
        let cells = Arc::new(AllCells::default());
        let (detached, reached) = (Arc::default(), Arc::default());
        let (bytes_written, malformed) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (work, todo) = mpsc::sync_channel(BLOCKS_AHEAD);
        let (emptied, empty) = mpsc::sync_channel(BLOCKS_AHEAD);
        let (notes, events) = mpsc::channel();
        let opened = Opened::open(feed)?;
        let mut drains = Vec::new();
        let mut storing = None;
        let alone = opened.packets.is_none();
        if alone {
            let (clock, reached) = (Clock::new()?, Arc::clone(&reached));
            let work = work.clone();
            storing = Some(Storing::new(clock, own, count, reached, work, empty));
        } else if let Some(source) = opened.packets {
            let drain = Drain {
                source,
                clock: Clock::new()?,
                keep,
                own,
                snaplen,
                count,
                cells: Arc::clone(&cells),
                work: work.clone(),
                empty,
                detached: Arc::clone(&detached),
                reached: Arc::clone(&reached),
                malformed: Arc::clone(&malformed),
            };
            drains.push(spawn("packets", move || drain.run())?);
        }
        if let Some(rings) = opened.tuples {
            let tuples = TupleDrain {
                rings,
                cells: Arc::clone(&cells),
                detached: Arc::clone(&detached),
                malformed: Arc::clone(&malformed),
                storing,
            };
            drains.push(spawn("tuples", move || tuples.run())?);
        }
        let writer = Writer {
            output,
            work: todo,
            empty: emptied,
            cells: Arc::clone(&cells),
            bytes_written: Arc::clone(&bytes_written),
            notes,
            early: Vec::new(),
            known: BTreeSet::new(),
            refused: BTreeMap::new(),
        };
        let status = Status {
            sockets: opened.sockets.is_used(),
            tuples: alone,
            ..Status::default()
        };
        Ok(Self {
            counters: opened.counters,
            fills: opened.fills,
            sockets: opened.sockets,
            cells,
            work,
            events,
            detached,
            reached,
            bytes_written,
            malformed,
            drains,
            writer: spawn("writer", move || writer.run())?,
            snaplen,
            tuples: alone,
            started: false,
            sampled: Instant::now(),
            gone: VecDeque::new(),
            before: BTreeMap::new(),
            retired: Vec::new(),
            status,
        })
    }

    /// Takes note of what changed and of what the writer says, and of the counters when it is time;
    /// whether there is nothing more to do.
    fn turn(
        &mut self,
        changes: Vec<Change>,
        tell: &mut dyn FnMut(Telling<'_>),
    ) -> Result<bool, WorkerError> {
        // What is there at the start is told of together, before anything else.
        let started = self.started || !changes.is_empty();
        changes
            .into_iter()
            .for_each(|change| self.change(change, tell));
        self.started = started;
        let complete = self.events(tell)?;
        if self.sampled.elapsed() >= SAMPLE_INTERVAL {
            self.sampled = Instant::now();
            // One that finds no room is made up for by the next: this thread publishes how full the
            // rings are, and must not wait for a writer that is behind.
            self.sample(|work, sample| drop(work.try_send(sample)))?;
            self.retire();
            tell(Telling::Status(&self.status));
        }
        Ok(complete)
    }

    fn change(&mut self, change: Change, tell: &mut dyn FnMut(Telling<'_>)) {
        match change {
            Change::Attached {
                slot,
                name,
                tag,
                mode,
                socket,
            } => {
                let work = Work::Interface {
                    slot,
                    interface: Named {
                        name: name.clone(),
                        tag: tag.clone(),
                        snaplen: self.snaplen,
                    },
                    needed: !self.started,
                };
                // A writer that is gone says so itself, at the end.
                let _ = self.work.send(work);
                self.gone.retain(|gone| *gone != slot);
                let gone = |state: &InterfaceState| state.mode.is_none();
                if self.status.interfaces.get(&slot).is_some_and(gone) {
                    tell(Telling::Note(&format!("{name}: back")));
                }
                let state = self.status.interfaces.entry(slot);
                let state = state.or_insert_with(|| InterfaceState {
                    name,
                    tag,
                    mode: None,
                    left: false,
                    sample: Sample::default(),
                });
                state.mode = Some(mode);
                state.left = false;
                if let Some(socket) = socket
                    && let Err(reason) = self.sockets.add(slot, socket)
                {
                    let name = self.status.interfaces.get(&slot).map(|it| it.name.as_str());
                    let name = name.unwrap_or_default();
                    tell(Telling::Note(&format!(
                        "{name}: nothing is captured of it: {reason}"
                    )));
                }
            }
            Change::Gone { slot, name } => {
                self.detached_from(slot);
                tell(Telling::Note(&format!(
                    "{name}: gone; capture goes on when it is back"
                )));
            }
            Change::Left { slot, name } => {
                if let Some(state) = self.status.interfaces.get_mut(&slot) {
                    state.left = true;
                }
                self.detached_from(slot);
                tell(Telling::Note(&format!("{name}: not captured any more")));
            }
            Change::Note(note) => tell(Telling::Note(&note)),
        }
    }

    fn detached_from(&mut self, slot: u32) {
        if let Some(state) = self.status.interfaces.get_mut(&slot) {
            state.mode = None;
            self.gone.retain(|gone| *gone != slot);
            self.gone.push_back(slot);
        }
        self.sockets.gone(slot);
    }

    /// Lets go of interfaces that are gone, where there are many: of those whose packets are all
    /// written or counted. What was counted of one until then adds up, so that what is counted
    /// from then on does for the next.
    fn retire(&mut self) {
        let mut spare = self.status.interfaces.len().saturating_sub(KNOWN);
        let (interfaces, former) = (&mut self.status.interfaces, &mut self.status.former);
        self.gone.retain(|slot| {
            let state = interfaces.get(slot).map(|state| state.sample);
            let Some(sample) = state.filter(|sample| spare > 0 && sample.on_their_way() == 0)
            else {
                return true;
            };
            let work = Work::Retire {
                slot: *slot,
                sample,
            };
            // A writer that is behind has to catch up first.
            if self.work.try_send(work).is_err() {
                return true;
            }
            spare -= 1;
            interfaces.remove(slot);
            former.interfaces += 1;
            former.sample = former.sample.plus(sample);
            let before = self.before.entry(*slot).or_default();
            *before = before.plus(sample.kernel);
            false
        });
    }

    /// Passes on what the writer says; whether there is nothing more to do.
    fn events(&mut self, tell: &mut dyn FnMut(Telling<'_>)) -> Result<bool, WorkerError> {
        let mut complete = false;
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Note(note) => tell(Telling::Note(&note)),
                Event::Retired(slot) => self.retired.push(slot),
                Event::Complete => complete = true,
                Event::Failed(error) => return Err(error.into()),
            }
        }
        Ok(complete)
    }

    /// Reads all counters, and has them kept: `hand_over` gives them to the writer.
    fn sample(&mut self, hand_over: impl Fn(&SyncSender<Work>, Work)) -> Result<(), WorkerError> {
        let time_ns = wall::now_ns();
        let mut kernel = Vec::with_capacity(self.status.interfaces.len());
        for (slot, state) in &mut self.status.interfaces {
            state.sample = Sample {
                time_ns,
                kernel: self
                    .counters
                    .read(*slot)?
                    .since(self.before.get(slot).copied().unwrap_or_default()),
                recorder: self.cells.slot(*slot).read(),
                tuples: self.tuples,
            };
            kernel.push((*slot, state.sample.kernel));
        }
        let work = Work::Samples {
            time_ns,
            kernel,
            tuples: self.tuples,
        };
        hand_over(&self.work, work);
        self.status.ring_fill = self.fills.fullest();
        self.status.bytes_written = self.bytes_written.load(Relaxed);
        self.status.malformed = self.malformed.load(Relaxed);
        self.status.unconfigured = self.counters.unconfigured()?;
        Ok(())
    }

    /// Empties the rings, writes what came and closes the output; the final counters.
    fn finish(mut self, tell: &mut dyn FnMut(Telling<'_>)) -> Result<Status, WorkerError> {
        self.detached.store(true, Relaxed);
        let drains = std::mem::take(&mut self.drains).into_iter();
        let drained: Vec<_> = drains.map(JoinHandle::join).collect();
        // Behind the last blocks, so that the output keeps the final counters, too.
        let sampled = self.sample(|work, sample| drop(work.send(sample)));
        let Self {
            work,
            writer,
            cells,
            events,
            bytes_written,
            mut status,
            ..
        } = self;
        drop(work);
        let result = writer.join().map_err(|_| WorkerError::Panicked)?;
        while let Ok(event) = events.try_recv() {
            match event {
                Event::Note(note) => tell(Telling::Note(&note)),
                Event::Failed(error) => tell(Telling::Note(&error.to_string())),
                Event::Retired(_) | Event::Complete => {}
            }
        }
        for (slot, state) in &mut status.interfaces {
            state.sample.recorder = cells.slot(*slot).read();
        }
        status.bytes_written = bytes_written.load(Relaxed);
        // The output is closed whatever failed before.
        if drained.iter().any(Result::is_err) {
            return Err(WorkerError::Panicked);
        }
        sampled?;
        match result {
            Err(error) if !error.is_broken_pipe() => Err(error.into()),
            _ => Ok(status),
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, WorkerError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(WorkerError::Thread)
}

#[cfg(test)]
mod tests;
