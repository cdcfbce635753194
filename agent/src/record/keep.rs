//! The store as an output: a writer per interface, sidecars and retention behind it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::board::Board;
use super::house::House;
use super::room::{Room, SharedRetention};
use super::sample::Sample;
use super::write::{LeftOut, Output, WriteError};
use crate::store::fill::Publisher;
use crate::store::loss::{self, Reason};
use crate::store::recover::Action;
use crate::store::writer::ClosedFile;
use crate::store::{Compress, Content, Outcome, RecordBlock, SourceWriter, Wells, WriterOptions};
use crate::wall;

/// How the store is written.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// What is stored.
    pub content: Content,
    /// A new file after so many bytes.
    pub file_bytes: Option<u64>,
    /// A new file after this time.
    pub file_time: Option<Duration>,
    /// What is kept, over what the wells say.
    pub retention: SharedRetention,
    /// How closed files are kept, over what the wells say.
    pub compress: Option<Compress>,
}

/// What a writer leaves that was closed.
type Closed = (
    Vec<ClosedFile>,
    crate::store::writer::Stats,
    Option<crate::store::Error>,
);

/// Writes to a store.
pub struct StoreOutput {
    store: PathBuf,
    wells: Wells,
    options: StoreOptions,
    /// When this run began, which tells its counters from those of other runs.
    run_ns: i64,
    writers: BTreeMap<u32, SourceWriter>,
    /// Writers that are being closed: that waits for the disk, for which packets must not wait.
    closing: Vec<JoinHandle<Closed>>,
    /// Bytes of writers that are closed.
    closed_bytes: u64,
    house: Option<House>,
    room: Option<Room>,
    board: Arc<Board>,
}

impl StoreOutput {
    /// Opens a store, which is made if it is not there.
    ///
    /// # Errors
    /// If the folder cannot be made, or the configuration of a well is wrong.
    pub fn open(store: &Path, options: StoreOptions) -> Result<Self, WriteError> {
        std::fs::create_dir_all(store).map_err(|source| WriteError::File {
            action: "create the store",
            path: store.display().to_string(),
            source,
        })?;
        let wells = Wells::read(store)?;
        let failed = |source| WriteError::File {
            action: "start the threads that look after",
            path: store.display().to_string(),
            source,
        };
        let house = House::start(store, options.compress).map_err(failed)?;
        let room = Room::start(store, options.retention.clone()).map_err(failed)?;
        Ok(Self {
            store: store.to_owned(),
            wells,
            options,
            run_ns: wall::now_ns(),
            writers: BTreeMap::new(),
            closing: Vec::new(),
            closed_bytes: 0,
            house: Some(house),
            room: Some(room),
            board: Arc::default(),
        })
    }

    /// Where it publishes what it has committed.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Has sidecars made of closed capture files, and room after them; tuples alone need none.
    fn look_after(&self, closed: Vec<ClosedFile>) {
        if let Some(room) = self.room.as_ref().filter(|_| !closed.is_empty()) {
            room.make();
        }
        let paths = closed.into_iter().filter_map(|file| file.path);
        if let (Some(house), Content::Packets) = (&self.house, self.options.content) {
            paths.for_each(|path| house.closed(path));
        }
    }

    /// Takes note of a writer that was closed: what went wrong, and what it left damaged.
    fn closed(&mut self, closed: Closed) -> (Option<WriteError>, Option<String>) {
        let (closed, stats, error) = closed;
        self.closed_bytes += stats.bytes;
        let damage = closed.iter().find_map(describe_damage);
        self.look_after(closed);
        (error.map(WriteError::from), damage)
    }

    /// Those that are being closed and are ready, or all.
    fn take_closed(&mut self, all: bool) -> Vec<Closed> {
        let ready = |closing: &mut JoinHandle<Closed>| all || closing.is_finished();
        let ready: Vec<_> = self.closing.extract_if(.., ready).collect();
        // One that panicked has said so.
        ready.into_iter().flat_map(JoinHandle::join).collect()
    }

    fn writer(&mut self, slot: u32) -> Result<&mut SourceWriter, WriteError> {
        self.writers
            .get_mut(&slot)
            .ok_or(WriteError::NoSource { slot })
    }
}

impl Output for StoreOutput {
    fn interface(
        &mut self,
        slot: u32,
        name: &str,
        tag: &str,
        snaplen: u32,
    ) -> Result<Vec<String>, WriteError> {
        if self.writers.contains_key(&slot) {
            return Ok(Vec::new());
        }
        let source = self.wells.source(name, tag)?;
        let mut options = WriterOptions {
            content: self.options.content,
            snaplen,
            rotate_bytes: self.options.content.rotate_bytes(),
            ..WriterOptions::default()
        };
        if let Some(bytes) = self.options.file_bytes {
            options.rotate_bytes = bytes;
        }
        if let Some(time) = self.options.file_time {
            options.rotate_every = Some(time);
        }
        let folder = source.folder(&self.store);
        let opened = SourceWriter::open(&folder, options, wall::now_ns());
        let (writer, recovered) = opened.map_err(|error| {
            let error = WriteError::from(error);
            if let Some(room) = self.room.as_ref().filter(|_| error.is_full()) {
                room.make();
            }
            error
        })?;
        if let Some(house) = &self.house {
            house.begun(folder);
        }
        if let Some(room) = &self.room {
            room.written(&source.well);
        }
        self.writers.insert(slot, writer);
        self.board.name(slot, source);
        Ok(recovered.iter().map(describe).collect())
    }

    fn publisher(&mut self) -> Result<Option<Publisher>, WriteError> {
        Ok(Some(Publisher::create(&self.store)?))
    }

    fn append(&mut self, slot: u32, block: &RecordBlock) -> Result<LeftOut, WriteError> {
        let writer = self.writer(slot)?;
        let outcome = writer.append(block);
        let committed = writer.committed();
        let Outcome::Dropped(reason) = outcome else {
            if let Some((sequence, length)) = committed {
                self.board.commit(slot, sequence, length, wall::now_ns());
            }
            return Ok(LeftOut::default());
        };
        let writer = self.writer(slot)?;
        let error = writer.take_error();
        let why = error.map_or_else(|| reason.name().to_owned(), |error| error.to_string());
        if reason != Reason::DiskFull {
            return Err(WriteError::Dropped(why));
        }
        if let Some(room) = &self.room {
            room.make();
        }
        Err(WriteError::DiskFull(why))
    }

    fn sample(&mut self, slot: u32, sample: &Sample) -> Result<(), WriteError> {
        let run = self.run_ns;
        self.writer(slot)?.record(&loss_sample(sample, run));
        Ok(())
    }

    fn retire(&mut self, slot: u32) -> Vec<String> {
        let Some(writer) = self.writers.remove(&slot) else {
            return Vec::new();
        };
        let close = move || writer.close(wall::now_ns());
        let started = thread::Builder::new()
            .name("closing".to_owned())
            .spawn(close);
        // Without a thread the writer is gone, and the next run recovers what it left.
        match started {
            Ok(closing) => self.closing.push(closing),
            Err(error) => return vec![format!("cannot start a thread: {error}")],
        }
        Vec::new()
    }

    fn complete(&mut self, until_ns: i64) {
        self.board.complete(until_ns);
    }

    fn tick(&mut self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut closed = Vec::new();
        for writer in self.writers.values_mut() {
            writer.tick(wall::now_ns());
            notes.extend(writer.take_error().map(|error| error.to_string()));
            closed.extend(writer.take_closed());
        }
        for ended in self.take_closed(false) {
            let (error, damage) = self.closed(ended);
            notes.extend(
                error
                    .map(|error| error.to_string())
                    .into_iter()
                    .chain(damage),
            );
        }
        notes.extend(closed.iter().filter_map(describe_damage));
        self.look_after(closed);
        notes.extend(self.house.iter().flat_map(House::notes));
        notes.extend(self.room.iter().flat_map(Room::notes));
        notes
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        let (mut failure, mut damage) = (None, None);
        let mut all = self.take_closed(true);
        let writers = std::mem::take(&mut self.writers).into_values();
        all.extend(writers.map(|writer| writer.close(wall::now_ns())));
        for closed in all {
            let (error, damaged) = self.closed(closed);
            damage = damaged.or(damage);
            failure = error.or(failure);
        }
        // All that came is in the files, or was counted.
        self.board.complete(wall::now_ns());
        if let Some(house) = self.house.take() {
            house.finish();
        }
        if let Some(room) = self.room.take() {
            room.finish();
        }
        match (failure, damage) {
            (Some(error), _) => Err(error),
            (None, Some(damage)) => Err(WriteError::Dropped(damage)),
            (None, None) => Ok(()),
        }
    }

    fn bytes_written(&self) -> u64 {
        let open: u64 = self
            .writers
            .values()
            .map(|writer| writer.stats().bytes)
            .sum();
        self.closed_bytes + open
    }
}

/// The counters as the loss table has them.
fn loss_sample(sample: &Sample, run: i64) -> loss::Sample {
    let mut counts = loss::Counts {
        seen: sample.kernel.seen,
        stored: sample.recorder.stored,
        bytes: sample.recorder.stored_bytes,
        cut: sample.cut(),
        ..loss::Counts::default()
    };
    for (reason, packets) in [
        (Reason::RingFull, sample.ring_full()),
        (Reason::DiskFull, sample.recorder.dropped_disk_full),
        (Reason::IoError, sample.recorder.dropped_write_error),
        (Reason::Filter, sample.recorder.filtered),
        (Reason::Own, sample.recorder.own),
    ] {
        counts.drop_packets(reason, packets);
    }
    loss::Sample {
        time_ns: sample.time_ns,
        run,
        counts,
    }
}

/// Of a file that was closed.
fn describe_damage(file: &ClosedFile) -> Option<String> {
    let (path, offset) = file.damaged.clone()?;
    Some(describe(&Action::Damaged { path, offset }))
}

fn describe(action: &Action) -> String {
    match action {
        Action::Cut { path, bytes } => {
            format!(
                "{}: cut {bytes} bytes behind the last whole record",
                path.display()
            )
        }
        Action::Closed { path, packets } => {
            format!(
                "{}: closed, with {packets} packets of an earlier run",
                path.display()
            )
        }
        Action::Removed { path } => format!("{}: removed, it held nothing", path.display()),
        Action::Damaged { path, offset } => {
            format!(
                "{}: damaged at offset {offset}, kept as it is",
                path.display()
            )
        }
        Action::SetAside { path } => format!("{}: no capture file, set aside", path.display()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use super::*;
    use crate::store::layout::{Kind, Listing};

    /// Three closed files without a sidecar, as a run leaves them that is killed.
    pub(in crate::record) fn left(folder: &Path) {
        let options = WriterOptions {
            rotate_bytes: 1,
            ..WriterOptions::default()
        };
        let (mut writer, _) = SourceWriter::open(folder, options, wall::now_ns()).unwrap();
        for n in 0..3 {
            let mut block = RecordBlock::default();
            block.push(wall::now_ns(), 60, &[n; 60]);
            assert_eq!(writer.append(&block), Outcome::Stored);
        }
        writer.close(wall::now_ns());
    }

    fn kinds(folder: &Path) -> Vec<Vec<Kind>> {
        let listing = Listing::read(folder).unwrap();
        let sets = listing.closed.values().map(|set| {
            let mut kinds = set.kinds.clone();
            kinds.sort();
            kinds
        });
        sets.collect()
    }

    #[test]
    fn what_a_run_left_undone_the_next_one_does() {
        let store = tempfile::tempdir().unwrap();
        let folder = store.path().join("pcap/lan0");
        left(&folder);
        assert_eq!(kinds(&folder), [[Kind::Capture]; 3]);
        for (compress, expected) in [
            (Compress::Off, [Kind::Capture, Kind::Sidecar]),
            (Compress::Zstd(1), [Kind::Compressed, Kind::Sidecar]),
        ] {
            let options = StoreOptions {
                compress: Some(compress),
                ..StoreOptions::default()
            };
            let mut output = StoreOutput::open(store.path(), options).unwrap();
            output.interface(0, "lan0", "pcap", 65_535).unwrap();
            let start = Instant::now();
            while kinds(&folder) != [expected; 3] {
                assert!(start.elapsed().as_secs() < 60, "{:?}", kinds(&folder));
                thread::sleep(Duration::from_millis(10));
            }
            output.finish().unwrap();
            assert_eq!(kinds(&folder), [expected; 3]);
        }
    }
}
