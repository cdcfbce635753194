//! The active file of one source: appending, rotation, and what happens when the disk is full.
//!
//! Each block goes to the system by one write, nothing is kept in this process: when it is
//! killed, no block is lost that [`SourceWriter::append`] had returned for. Against a power loss,
//! the file is brought to the disk every [`WriterOptions::sync_every`] and when it is closed.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Error, RecordBlock,
    block::LONGEST_PACKET,
    close::{self, Closer, Closing},
    layout::{Kind, Listing, active_name},
    loss::{self, Reason, Sample},
    records::{FileHeader, SNAPLEN},
    recover,
    state::{Lock, State},
    tuples,
};
use crate::frame::LinkType;
use crate::wall;

pub use super::close::ClosedFile;

/// What the records of a file are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Packets, in a capture file.
    #[default]
    Packets,
    /// Tuples alone, which become a table when the file is closed.
    Tuples,
}

impl Content {
    /// The active file's kind.
    pub(super) fn active(self) -> Kind {
        match self {
            Self::Packets => Kind::Capture,
            Self::Tuples => Kind::Tuples,
        }
    }

    /// The closed file's kind.
    pub(super) fn closed(self) -> Kind {
        match self {
            Self::Packets => Kind::Capture,
            Self::Tuples => Kind::Sidecar,
        }
    }

    /// Length of a new file, unless asked otherwise: what is being written has to be looked
    /// through by every query, which takes longer for tuples than for packets.
    pub fn rotate_bytes(self) -> u64 {
        match self {
            Self::Packets => 256 << 20,
            Self::Tuples => 64 << 20,
        }
    }
}

/// How a source is written.
#[derive(Clone, Copy, Debug)]
pub struct WriterOptions {
    /// What is appended.
    pub content: Content,
    /// Link type of the packets.
    pub link_type: LinkType,
    /// Snap length for the file header, in bytes.
    pub snaplen: u32,
    /// A file is closed before it gets longer than this, in bytes.
    pub rotate_bytes: u64,
    /// A file is closed when the wall clock passes a multiple of this since 1970.
    pub rotate_every: Option<Duration>,
    /// Longest time until written packets are asked to be brought to the disk.
    pub sync_every: Duration,
}

impl Default for WriterOptions {
    /// Ethernet, 256 MiB or an hour a file, 5 seconds between synchronisations.
    fn default() -> Self {
        Self {
            content: Content::Packets,
            link_type: LinkType(1),
            snaplen: SNAPLEN,
            rotate_bytes: Content::Packets.rotate_bytes(),
            rotate_every: Some(Duration::from_secs(3_600)),
            sync_every: Duration::from_secs(5),
        }
    }
}

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the file.
    Stored,
    /// Not stored, and counted.
    Dropped(Reason),
}

/// What a writer did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets in the files.
    pub stored: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// Packets dropped because the disk or the quota was full.
    pub disk_full: u64,
    /// Packets dropped because the disk failed in another way.
    pub io_error: u64,
    /// Packets longer than any reader takes.
    pub too_long: u64,
    /// Stored packets whose time was changed to one that pcap can hold.
    pub clamped: u64,
    /// Counter samples that could not be written.
    pub samples_lost: u64,
    /// Failures to close or to bring to the disk, each tried again.
    pub close_failures: u64,
}

/// A file being written.
#[derive(Debug)]
struct Active {
    content: Content,
    sequence: u64,
    file: File,
    header: FileHeader,
    /// Bytes that are whole records.
    length: u64,
    first_ns: Option<i64>,
    opened_ns: i64,
    counters: Option<loss::Writer>,
    /// Bytes that were there when the last synchronisation was asked for.
    synced: u64,
}

/// Writes the files of one source.
#[derive(Debug)]
pub struct SourceWriter {
    folder: PathBuf,
    options: WriterOptions,
    next_sequence: u64,
    active: Option<Active>,
    last_sample: Option<Sample>,
    opened_ns: i64,
    now_ns: i64,
    synced_ns: i64,
    stats: Stats,
    closed: Vec<ClosedFile>,
    last_error: Option<Error>,
    closer: Closer,
    /// Given back last: closing still writes to the source.
    lock: Lock,
}

impl SourceWriter {
    /// Opens a source's folder for writing at a wall clock of `now_ns` (nanoseconds since 1970):
    /// takes its lock, recovers what an earlier writer left, and goes on in its sequence.
    ///
    /// # Errors
    /// [`Error::Locked`] while another writer has the source.
    pub fn open(
        source_folder: &Path,
        options: WriterOptions,
        now_ns: i64,
    ) -> Result<(Self, recover::Report), Error> {
        close::make_folders(source_folder)?;
        let lock = Lock::take(source_folder)?;
        let (report, later) = recover::recover(source_folder, now_ns)?;
        let last = Listing::read(source_folder)?.last_sequence();
        let before = lock.read();
        let said = before.map(|state| state.sequence);
        let last = last.max(said);
        if said.is_none() || said < last {
            // That there is a writer is seen by its state, and where it stands: behind the last
            // file, also once counters have started the next one.
            let _ = lock.write(State {
                sequence: last.unwrap_or(0),
                length: 0,
            });
        }
        let closer = Closer::start(later);
        let closer = closer.map_err(Error::io("start a thread for", source_folder))?;
        let writer = Self {
            folder: source_folder.to_path_buf(),
            options,
            next_sequence: last.unwrap_or(0).saturating_add(1),
            active: None,
            last_sample: None,
            opened_ns: now_ns,
            now_ns,
            synced_ns: now_ns,
            stats: Stats::default(),
            closed: Vec::new(),
            last_error: None,
            closer,
            lock,
        };
        Ok((writer, report))
    }

    /// Appends whole records. The block is stored whole or not at all; after a failure the next
    /// one is tried again.
    pub fn append(&mut self, block: &RecordBlock) -> Outcome {
        self.stats.too_long += block.refused();
        if block.is_empty() {
            return Outcome::Stored;
        }
        match self.try_append(block) {
            Ok(()) => {
                self.stats.stored += block.packets();
                self.stats.bytes += block.bytes().len() as u64;
                self.stats.clamped += block.clamped();
                Outcome::Stored
            }
            Err(e) => {
                let full = matches!(&e, Error::Io { source, .. } if is_full(source));
                let (count, reason) = match full {
                    true => (&mut self.stats.disk_full, Reason::DiskFull),
                    false => (&mut self.stats.io_error, Reason::IoError),
                };
                *count += block.packets();
                self.last_error = Some(e);
                Outcome::Dropped(reason)
            }
        }
    }

    fn try_append(&mut self, block: &RecordBlock) -> Result<(), Error> {
        let bytes = block.bytes();
        let rotate = self.active.as_ref().is_some_and(|active| {
            let full = active.length.saturating_add(bytes.len() as u64) > self.options.rotate_bytes;
            let too_long = block.longest() > active.header.snaplen.max(SNAPLEN);
            let other_link = active.header.link_type != self.options.link_type;
            (full && active.first_ns.is_some()) || too_long || other_link
        });
        if rotate {
            self.rotate();
        }
        let active = match &mut self.active {
            Some(active) => active,
            none => none.insert(create(
                &self.folder,
                self.options.content,
                self.next_sequence,
                header(&self.options, block.longest()),
                self.now_ns,
            )?),
        };
        // Only now: a file that could not be created uses up no number.
        self.next_sequence = active.sequence.saturating_add(1);
        if let Err(e) = active.file.write_all_at(bytes, active.length) {
            // If this fails too, the rest is written over, or cut when the file is closed.
            let _ = active.file.set_len(active.length);
            let name = active_name(active.sequence, active.content.active());
            let path = self.folder.join(name);
            return Err(Error::io("write", &path)(e));
        }
        active.length += bytes.len() as u64;
        active.first_ns = active.first_ns.or(block.times_ns().map(|times| times.0));
        let _ = self.lock.write(State {
            sequence: active.sequence,
            length: active.length,
        });
        Ok(())
    }

    /// Takes note of the wall clock (nanoseconds since 1970): rotates by time, also when no
    /// packets come, and brings what is due to the disk. To be called about once a second.
    pub fn tick(&mut self, now_ns: i64) {
        self.now_ns = now_ns;
        if let (Some(every), Some(active)) = (self.options.rotate_every, &self.active) {
            let every = wall::nanos(every).max(1);
            let passed = active.opened_ns.div_euclid(every) != now_ns.div_euclid(every);
            let holds = active.first_ns.is_some() || active.counters.is_some();
            if passed && holds {
                self.rotate();
            }
        }
        let since = u128::from(now_ns.abs_diff(self.synced_ns));
        if since >= self.options.sync_every.as_nanos() {
            self.synced_ns = now_ns;
            self.sync();
        }
        self.collect();
    }

    fn sync(&mut self) {
        self.closer.retry();
        let Some(active) = &mut self.active else {
            return;
        };
        if let Some(Ok(counters)) = active.counters.as_ref().map(loss::Writer::file) {
            self.closer.sync(counters);
        }
        if active.synced < active.length
            && let Ok(file) = active.file.try_clone()
        {
            active.synced = active.length;
            self.closer.sync(file);
        }
    }

    /// Closes the active file, if there is one; the next block starts another.
    pub fn rotate(&mut self) {
        let Some(active) = self.active.take() else {
            return;
        };
        self.closer.close(Closing {
            source_folder: self.folder.clone(),
            content: active.content,
            sequence: active.sequence,
            file: active.file,
            length: active.length,
            first_ns: active.first_ns,
            now_ns: self.now_ns,
        });
        self.collect();
    }

    /// Closes the active file if its packets are of another link type, and writes on with this
    /// one.
    pub fn set_link_type(&mut self, link_type: LinkType) {
        self.options.link_type = link_type;
    }

    /// Writes the counters down beside the active file.
    pub fn record(&mut self, sample: &Sample) {
        match self.try_record(sample) {
            // The next table goes on from here, so that no table lacks what another does not have.
            Ok(()) => self.last_sample = Some(*sample),
            Err(_) => self.stats.samples_lost += 1,
        }
    }

    fn try_record(&mut self, sample: &Sample) -> Result<(), Error> {
        let active = match &mut self.active {
            Some(active) => active,
            none => none.insert(create(
                &self.folder,
                self.options.content,
                self.next_sequence,
                header(&self.options, 0),
                self.now_ns,
            )?),
        };
        self.next_sequence = active.sequence.saturating_add(1);
        let path = self
            .folder
            .join(active_name(active.sequence, Kind::Counters));
        let failed = |e| Error::io("write", &path)(e);
        let counters = match &mut active.counters {
            Some(counters) => counters,
            none => {
                // Counting began when the writer was opened.
                let zero = Sample {
                    time_ns: self.opened_ns.min(sample.time_ns),
                    run: sample.run,
                    counts: loss::Counts::default(),
                };
                let last = self.last_sample.filter(|last| last.run == sample.run);
                let base = last.unwrap_or(zero);
                none.insert(loss::Writer::create(&path, &base).map_err(failed)?)
            }
        };
        counters.append(sample).map_err(failed)
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The files closed since the last call, in the order of writing: their sidecars can be made.
    pub fn take_closed(&mut self) -> Vec<ClosedFile> {
        self.collect();
        std::mem::take(&mut self.closed)
    }

    /// The last failure, once.
    pub fn take_error(&mut self) -> Option<Error> {
        self.last_error.take()
    }

    /// Number of the active file and how many of its bytes are whole records, as `writer.state`
    /// has them; `None` while there is no active file.
    pub fn committed(&self) -> Option<(u64, u64)> {
        let active = self.active.as_ref()?;
        Some((active.sequence, active.length))
    }

    /// Folder of the source.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn collect(&mut self) {
        for done in self.closer.done() {
            match done {
                Ok(closed) => self.closed.push(closed),
                Err(e) => {
                    self.stats.close_failures += 1;
                    self.last_error = Some(e);
                }
            }
        }
    }

    /// Closes the active file, waits until all is on the disk, and gives the source back. Gives
    /// the files closed since the last [`Self::take_closed`], and what was done in all.
    ///
    /// # Errors
    /// The last failure, if there was one; what could not be closed is closed by the next writer.
    pub fn close(mut self, now_ns: i64) -> (Vec<ClosedFile>, Stats, Option<Error>) {
        self.end(now_ns)
    }

    /// As [`Self::close`], but the source is given back when this is dropped: until then its files
    /// are nobody else's to complete. Nothing can be appended any more.
    pub(super) fn end(&mut self, now_ns: i64) -> (Vec<ClosedFile>, Stats, Option<Error>) {
        self.now_ns = now_ns;
        self.rotate();
        self.closer.finish();
        self.collect();
        (
            std::mem::take(&mut self.closed),
            self.stats,
            self.last_error.take(),
        )
    }
}

fn header(options: &WriterOptions, longest: u32) -> FileHeader {
    let snaplen = match longest > options.snaplen.max(SNAPLEN) {
        true => LONGEST_PACKET as u32,
        false => options.snaplen,
    };
    FileHeader {
        link_type: options.link_type,
        snaplen,
    }
}

fn create(
    folder: &Path,
    content: Content,
    sequence: u64,
    header: FileHeader,
    now_ns: i64,
) -> Result<Active, Error> {
    let path = folder.join(active_name(sequence, content.active()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(Error::io("create", &path))?;
    let start: &[u8] = match content {
        Content::Packets => &header.to_bytes(),
        Content::Tuples => &tuples::header(header.link_type),
    };
    if let Err(e) = file.write_all_at(start, 0) {
        close::remove(&path)?;
        return Err(Error::io("write", &path)(e));
    }
    Ok(Active {
        content,
        sequence,
        file,
        header,
        length: start.len() as u64,
        first_ns: None,
        opened_ns: now_ns,
        counters: None,
        synced: 0,
    })
}

/// Whether the disk or the user's quota is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests;
