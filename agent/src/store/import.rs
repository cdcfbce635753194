//! Capture files of others into a store: bytes, link types and times as they are.

use std::{collections::BTreeSet, path::Path};

use super::{
    Compress, Error, Outcome, RecordBlock, SourceWriter, Wells, WriterOptions, compress, recover,
    sidecar, writer::ClosedFile,
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

/// Why an import ended; what it had written stays.
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
    let (mut writer, recovered) =
        SourceWriter::open(&source.folder(store), options, wall::now_ns())?;
    let mut imported = Imported {
        recovered,
        ..Imported::default()
    };
    let written = inputs
        .iter()
        .try_for_each(|input| one(input, &mut writer, &mut imported));
    let (mut files, stats, error) = writer.close(wall::now_ns());
    for file in &mut files {
        let Some(path) = &mut file.path else {
            continue;
        };
        if let Err(e) = sidecar::build(path, sidecar::ROWS_PER_GROUP) {
            imported.without_sidecar.push(e);
        }
        let Compress::Zstd(level) = compress else {
            continue;
        };
        match compress::compress(path, level) {
            Ok(Some(done)) => (*path, file.length) = (done.path, done.bytes),
            Ok(None) => {}
            Err(e) => imported.not_compressed.push(e),
        }
    }
    imported.packets = stats.stored;
    imported.clamped = stats.clamped;
    imported.files = files;
    written?;
    match error {
        Some(error) => Err(error.into()),
        None => Ok(imported),
    }
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
