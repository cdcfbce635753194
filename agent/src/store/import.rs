//! Capture files of others into a store: bytes, link types and times as they are.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Compress, Error, Outcome, RecordBlock, SourceWriter, Unfinished, Wells, WriterOptions, close,
    compress,
    layout::{Kind, Listing, active_name},
    recover, sidecar, unfinished,
    writer::ClosedFile,
};
use crate::capfile::{Input, Warning};
use crate::wall;

/// The interface that imported packets are said to come from.
pub const INTERFACE: &str = "import";
/// Bytes written at a time.
const BLOCK: usize = 1 << 20;

/// What was imported.
#[derive(Debug, Default)]
pub struct Imported {
    /// Packets stored.
    pub packets: u64,
    /// Files made.
    pub files: Vec<ClosedFile>,
    /// Packets whose time pcap cannot hold (before 1970, after 2106): stored with the nearest.
    pub clamped: u64,
    /// Packets without a time (pcapng simple packet blocks): stored with 1970.
    pub without_time: u64,
    /// Damage in the inputs.
    pub warnings: Vec<Warning>,
    /// Sidecars that could not be made.
    pub without_sidecar: Vec<sidecar::Error>,
    /// Files that stay as they are, though they were to be compressed.
    pub not_compressed: Vec<Error>,
    /// What an earlier import left.
    pub recovered: recover::Report,
}

/// Why an import ended. It can be tried again: nothing of it is in the store, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store or an input could not be used.
    #[error(transparent)]
    Store(#[from] Error),
    /// A block could not be written.
    #[error("cannot import {input}: {reason}")]
    Write {
        /// The input.
        input: String,
        /// Why.
        reason: String,
    },
    /// What was written could not be removed again.
    #[error("{cause}; a part of the packets stays in the store: {error}")]
    Left {
        /// Why the import ended.
        cause: Box<ImportError>,
        /// Why a part stays.
        error: Error,
    },
}

/// Imports inputs under a tag. Each file gets packets of one link type; none is shared with a
/// capture, whose interface is another, nor with another import, which is refused meanwhile.
/// `compress` goes before what the well says.
pub fn import(
    store: &Path,
    tag: &str,
    inputs: &[Input],
    compress: Option<Compress>,
) -> Result<Imported, ImportError> {
    let wells = Wells::read(store)?;
    let source = wells.source(INTERFACE, tag)?;
    let of_well = || wells.get(&source.well).map(|well| well.compress);
    let compress = compress.or_else(of_well).unwrap_or_default();
    let options = WriterOptions {
        rotate_every: None,
        ..WriterOptions::default()
    };
    let folder = source.folder(store);
    let (mut writer, recovered) = SourceWriter::open(&folder, options, wall::now_ns())?;
    let mut imported = Imported {
        recovered,
        ..Imported::default()
    };
    // What an import before this one was killed over.
    for mut left in unfinished(&folder, compress != Compress::Off)? {
        imported.complete(&mut left, compress);
    }
    let first = Listing::read(&folder)?.last_sequence().map_or(0, |n| n + 1);
    let written = inputs
        .iter()
        .try_for_each(|input| one(input, &mut writer, &mut imported));
    let (files, stats, error) = writer.end(wall::now_ns());
    let written = written.and(error.map_or(Ok(()), |error| Err(error.into())));
    if let Err(cause) = written {
        return Err(match remove(&folder, first) {
            Ok(()) => cause,
            Err(error) => ImportError::Left {
                cause: Box::new(cause),
                error,
            },
        });
    }
    for mut file in files {
        if let Some(path) = file.path.take() {
            let mut closed = Unfinished {
                path,
                has_sidecar: false,
            };
            if let Some(bytes) = imported.complete(&mut closed, compress) {
                file.length = bytes;
            }
            file.path = Some(closed.path);
        }
        imported.files.push(file);
    }
    imported.packets = stats.stored;
    imported.clamped = stats.clamped;
    Ok(imported)
}

impl Imported {
    /// Makes of a closed file what it lacks; its length and path change if it is compressed.
    fn complete(&mut self, file: &mut Unfinished, compress: Compress) -> Option<u64> {
        if !file.has_sidecar
            && let Err(e) = sidecar::build(&file.path, sidecar::ROWS_PER_GROUP)
        {
            self.without_sidecar.push(e);
        }
        let Compress::Zstd(level) = compress else {
            return None;
        };
        match compress::compress(&file.path, level, &|| true) {
            Ok(done) => done.map(|done| {
                file.path = done.path;
                done.bytes
            }),
            Err(e) => {
                self.not_compressed.push(e);
                None
            }
        }
    }
}

/// Removes the files of a source from a number in the order of writing on.
fn remove(folder: &Path, first: u64) -> Result<(), Error> {
    let listing = Listing::read(folder)?;
    let active = listing.active.range(first..).flat_map(|(&n, kinds)| {
        let path = move |kind: &Kind| folder.join(active_name(n, *kind));
        kinds.iter().map(path)
    });
    let closed = listing.closed.range(first..).flat_map(|(_, set)| {
        let path = |kind: &Kind| set.name.path(folder, *kind);
        set.kinds.iter().map(path)
    });
    let paths: Vec<PathBuf> = active.chain(closed).collect();
    paths.iter().try_for_each(|path| close::remove(path))
}

/// Imports one input: a pass for each of its link types, which are rarely more than one.
fn one(
    input: &Input,
    writer: &mut SourceWriter,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    let mut done = BTreeSet::new();
    while pass(input, &mut done, writer, imported)? {}
    Ok(())
}

/// Writes the frames of the first link type that is not done; gives whether there is another.
fn pass(
    input: &Input,
    done: &mut BTreeSet<u16>,
    writer: &mut SourceWriter,
    imported: &mut Imported,
) -> Result<bool, ImportError> {
    let mut reader = input.open().map_err(Error::from)?;
    let is_first = done.is_empty();
    let (mut wanted, mut others) = (None, false);
    let mut block = RecordBlock::with_capacity(BLOCK);
    while let Some(frame) = reader.next_frame() {
        if done.contains(&frame.link_type.0) && wanted != Some(frame.link_type) {
            continue;
        }
        if wanted.is_none() {
            wanted = Some(frame.link_type);
            done.insert(frame.link_type.0);
            writer.set_link_type(frame.link_type);
        } else if wanted != Some(frame.link_type) {
            others = true;
            continue;
        }
        imported.without_time += u64::from(frame.time_ns.is_none());
        block.push(frame.time_ns.unwrap_or(0), frame.wire_len, frame.data);
        if block.bytes().len() >= BLOCK {
            append(input, writer, &mut block)?;
        }
    }
    append(input, writer, &mut block)?;
    if is_first {
        imported.warnings.extend_from_slice(reader.warnings());
    }
    Ok(others)
}

fn append(
    input: &Input,
    writer: &mut SourceWriter,
    block: &mut RecordBlock,
) -> Result<(), ImportError> {
    let refused = block.refused();
    let outcome = writer.append(block);
    block.clear();
    let reason = match outcome {
        Outcome::Stored if refused == 0 => return Ok(()),
        Outcome::Stored => format!("{refused} packets are longer than any reader takes"),
        Outcome::Dropped(reason) => writer
            .take_error()
            .map_or_else(|| reason.name().to_owned(), |e| e.to_string()),
    };
    Err(ImportError::Write {
        input: input.name().to_owned(),
        reason,
    })
}
