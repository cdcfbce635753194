//! The store as an output: a writer per interface, sidecars and retention behind it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sample::Sample;
use super::worker::wall_ns;
use super::write::{Output, WriteError};
use crate::store::loss::{self, Reason};
use crate::store::recover::Action;
use crate::store::{Outcome, RecordBlock, SourceWriter, Wells, WriterOptions};

/// How the store is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreOptions {
    /// A new file after so many bytes.
    pub file_bytes: Option<u64>,
    /// A new file after this time.
    pub file_time: Option<Duration>,
}

/// Writes to a store.
pub struct StoreOutput {
    store: PathBuf,
    wells: Wells,
    options: StoreOptions,
    /// When this run began, which tells its counters from those of other runs.
    run_ns: i64,
    writers: BTreeMap<u32, SourceWriter>,
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
        Ok(Self {
            store: store.to_owned(),
            wells: Wells::read(store)?,
            options,
            run_ns: wall_ns(),
            writers: BTreeMap::new(),
        })
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
            snaplen,
            ..WriterOptions::default()
        };
        if let Some(bytes) = self.options.file_bytes {
            options.rotate_bytes = bytes;
        }
        if let Some(time) = self.options.file_time {
            options.rotate_every = Some(time);
        }
        let folder = source.folder(&self.store);
        let (writer, recovered) = SourceWriter::open(&folder, options, wall_ns())?;
        self.writers.insert(slot, writer);
        Ok(recovered.iter().map(describe).collect())
    }

    fn append(&mut self, slot: u32, block: &RecordBlock) -> Result<(), WriteError> {
        let writer = self.writer(slot)?;
        match writer.append(block) {
            Outcome::Stored => Ok(()),
            Outcome::Dropped(reason) => {
                let reason_text = writer
                    .take_error()
                    .map_or_else(|| reason.name().to_owned(), |e| e.to_string());
                Err(match reason {
                    Reason::DiskFull => WriteError::DiskFull(reason_text),
                    _ => WriteError::Dropped(reason_text),
                })
            }
        }
    }

    fn sample(&mut self, slot: u32, sample: &Sample) -> Result<(), WriteError> {
        let run = self.run_ns;
        self.writer(slot)?.record(&loss_sample(sample, run));
        Ok(())
    }

    fn tick(&mut self) -> Vec<String> {
        let mut notes = Vec::new();
        for writer in self.writers.values_mut() {
            writer.tick(wall_ns());
            notes.extend(writer.take_error().map(|error| error.to_string()));
        }
        notes
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        let mut failure = None;
        for (_, writer) in std::mem::take(&mut self.writers) {
            let (_, _, error) = writer.close(wall_ns());
            failure = error.or(failure);
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    fn bytes_written(&self) -> u64 {
        self.writers
            .values()
            .map(|writer| writer.stats().bytes)
            .sum()
    }
}

/// The counters as the loss table has them.
fn loss_sample(sample: &Sample, run: i64) -> loss::Sample {
    let mut counts = loss::Counts {
        seen: sample.kernel.seen,
        stored: sample.recorder.stored,
        bytes: sample.recorder.stored_bytes,
        cut: sample.kernel.snapped,
        ..loss::Counts::default()
    };
    for (reason, packets) in [
        (Reason::RingFull, sample.kernel.packet_dropped),
        (Reason::DiskFull, sample.recorder.dropped_disk_full),
        (Reason::IoError, sample.recorder.dropped_write_error),
        (Reason::Filter, sample.recorder.filtered),
    ] {
        counts.drop_packets(reason, packets);
    }
    loss::Sample {
        time_ns: sample.time_ns,
        run,
        counts,
    }
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
