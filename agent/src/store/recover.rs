//! What a start finds after a crash, and how it is put in order.
//!
//! Only what is proved to be no whole record is cut: a record that passes the end of the file,
//! or zero bytes up to the end. A file that is damaged in another way is kept whole, since good
//! records may follow; readers skip the damage and say so.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::{
    Error, Sidecar,
    close::{self, Closing},
    compress,
    layout::{Kind, Listing, active_name, aside_name},
    loss::Table,
    records::{self, FILE_HEADER, FileHeader, Tail},
    tuples::{self, TUPLE_RECORD},
    writer::Content,
};

/// One thing that recovery did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bytes after the last whole record (or line) were cut off.
    Cut {
        /// The file.
        path: PathBuf,
        /// How many bytes.
        bytes: u64,
    },
    /// A file was closed under its proper name.
    Closed {
        /// Its new path.
        path: PathBuf,
        /// Whole records in it.
        packets: u64,
    },
    /// A file that held nothing, was never completed, or belongs to no capture file was removed.
    Removed {
        /// The file.
        path: PathBuf,
    },
    /// A file is damaged, other than at its end; it was kept as it is.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset of the damage.
        offset: u64,
    },
    /// A file that is no capture file was renamed, out of the way.
    SetAside {
        /// Its new path.
        path: PathBuf,
    },
}

/// What recovery did to a source, in order.
pub type Report = Vec<Action>;

/// Puts a source in order. The caller holds its lock. `now_ns` is the wall clock in nanoseconds
/// since 1970. Without need it does nothing, and doing it again does nothing more.
///
/// What takes long is given back, to be run beside the new writer, whose packets must not wait.
pub(super) fn recover(source_folder: &Path, now_ns: i64) -> Result<(Report, Vec<Closing>), Error> {
    let (mut report, mut later) = (Report::new(), Vec::new());
    let listing = Listing::read(source_folder)?;
    for path in listing.temporary {
        close::remove(&path)?;
        report.push(Action::Removed { path });
    }
    for set in listing.closed.values() {
        if set.has(Kind::Capture) && set.has(Kind::Compressed) {
            let path = |kind| set.name.path(source_folder, kind);
            let removed = compress::settle(&path(Kind::Capture), &path(Kind::Compressed))?;
            report.extend(removed.map(|path| Action::Removed { path }));
        }
        if set.has(Kind::Sidecar) && set.packets().is_none() {
            let path = set.name.path(source_folder, Kind::Sidecar);
            // Tuples alone stay, as does what cannot be read: it may be some.
            if matches!(Sidecar::open_alone(&path), Ok(None)) {
                close::remove(&path)?;
                report.push(Action::Removed { path });
            }
        }
    }
    for (&sequence, kinds) in &listing.active {
        if kinds.contains(&Kind::Sidecar) {
            let path = source_folder.join(active_name(sequence, Kind::Sidecar));
            close::remove(&path)?;
            report.push(Action::Removed { path });
        }
        counters(source_folder, sequence, &mut report)?;
        let has = |kind| kinds.contains(&kind);
        match (has(Kind::Capture), has(Kind::Tuples)) {
            (false, false) => {
                orphan_counters(source_folder, sequence, &listing.closed, &mut report)?;
            }
            (true, _) => capture(source_folder, sequence, now_ns, &mut report)?,
            (false, true) => {
                tuples_alone(source_folder, sequence, now_ns, &mut report, &mut later)?;
            }
        }
    }
    Ok((report, later))
}

/// Cuts the last line of a loss table if it is not whole.
fn counters(source_folder: &Path, sequence: u64, report: &mut Report) -> Result<(), Error> {
    let path = source_folder.join(active_name(sequence, Kind::Counters));
    let length = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("read", &path)(e)),
    };
    let table = Table::read(&path).map_err(Error::io("read", &path))?;
    if table.whole_bytes < length {
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(table.whole_bytes))
            .map_err(Error::io("cut", &path))?;
        let bytes = length - table.whole_bytes;
        report.push(Action::Cut {
            path: path.clone(),
            bytes,
        });
    }
    if table.samples.is_empty() {
        close::remove(&path)?;
        report.push(Action::Removed { path });
    }
    Ok(())
}

/// A loss table whose capture file is closed (or gone) already.
fn orphan_counters(
    source_folder: &Path,
    sequence: u64,
    closed: &std::collections::BTreeMap<u64, super::layout::FileSet>,
    report: &mut Report,
) -> Result<(), Error> {
    let from = source_folder.join(active_name(sequence, Kind::Counters));
    let table = Table::read(&from).map_err(Error::io("read", &from))?;
    let Some(first) = table.samples.first() else {
        return Ok(());
    };
    let name = closed.get(&sequence).map_or(
        super::layout::ClosedName {
            time_ns: first.time_ns.max(0),
            sequence,
        },
        |set| set.name,
    );
    let path = name.path(source_folder, Kind::Counters);
    close::make_folders(&name.folder(source_folder))?;
    fs::rename(&from, &path).map_err(Error::io("rename", &from))?;
    close::sync_folders(&name.folder(source_folder), source_folder)?;
    report.push(Action::Closed { path, packets: 0 });
    Ok(())
}

/// Closes a capture file that was being written.
fn capture(
    source_folder: &Path,
    sequence: u64,
    now_ns: i64,
    report: &mut Report,
) -> Result<(), Error> {
    let path = source_folder.join(active_name(sequence, Kind::Capture));
    let failed = |e| Error::io("recover", &path)(e);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let Some(header) = FileHeader::read(&file).map_err(failed)? else {
        return without_header(
            source_folder,
            Content::Packets,
            sequence,
            file,
            now_ns,
            report,
        );
    };
    let walk = records::walk(&file, header, length).map_err(failed)?;
    let keep = match walk.tail {
        Tail::Damaged => length,
        Tail::Clean | Tail::Cut | Tail::Zeros => walk.end,
    };
    if keep < length {
        let bytes = length - keep;
        report.push(Action::Cut {
            path: path.clone(),
            bytes,
        });
    }
    // Behind the damage there may be packets, though none is before it.
    let first_ns = match walk.tail {
        Tail::Damaged => walk.first_ns.or(Some(now_ns)),
        _ => walk.first_ns,
    };
    close(
        source_folder,
        Content::Packets,
        sequence,
        file,
        keep,
        first_ns,
        walk.packets,
        now_ns,
        report,
    )?;
    if walk.tail == Tail::Damaged
        && let Some(Action::Closed { path, .. }) = report.last()
    {
        let path = path.clone();
        let offset = walk.end;
        report.push(Action::Damaged { path, offset });
    }
    Ok(())
}

/// Closes a file of tuples that was being written: those that are whole become a table.
///
/// Only its ends are looked at here. The new writer waits for this, and what comes meanwhile is
/// in memory only; who makes the table reads the file anyway, and finds damage between.
fn tuples_alone(
    source_folder: &Path,
    sequence: u64,
    now_ns: i64,
    report: &mut Report,
    later: &mut Vec<Closing>,
) -> Result<(), Error> {
    let path = source_folder.join(active_name(sequence, Kind::Tuples));
    let failed = |e| Error::io("recover", &path)(e);
    let file = File::open(&path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let content = Content::Tuples;
    let Some(link_type) = tuples::read_header(&file).map_err(failed)? else {
        return without_header(source_folder, content, sequence, file, now_ns, report);
    };
    let ends = tuples::ends(&file, link_type, length).map_err(failed)?;
    if ends.end < length {
        report.push(Action::Cut {
            path: path.clone(),
            bytes: length - ends.end,
        });
    }
    if ends.first_ns.is_none() {
        return close(
            source_folder,
            content,
            sequence,
            file,
            ends.end,
            None,
            0,
            now_ns,
            report,
        );
    }
    let closing = Closing {
        source_folder: source_folder.to_path_buf(),
        content,
        sequence,
        file,
        length: ends.end,
        first_ns: ends.first_ns,
        now_ns,
    };
    let path = closing.name().path(source_folder, content.closed());
    report.push(Action::Closed {
        path,
        packets: (ends.end / TUPLE_RECORD as u64).saturating_sub(1),
    });
    later.push(closing);
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one call's worth of facts")]
fn close(
    source_folder: &Path,
    content: Content,
    sequence: u64,
    file: File,
    length: u64,
    first_ns: Option<i64>,
    packets: u64,
    now_ns: i64,
    report: &mut Report,
) -> Result<(), Error> {
    let closing = Closing {
        source_folder: source_folder.to_path_buf(),
        content,
        sequence,
        file,
        length,
        first_ns,
        now_ns,
    };
    let closed = closing.run()?;
    if first_ns.is_none() {
        let path = source_folder.join(active_name(sequence, content.active()));
        report.push(Action::Removed { path });
    }
    if let Some(closed) = closed {
        let counters = || closed.name.path(source_folder, Kind::Counters);
        let path = closed.path.clone().unwrap_or_else(counters);
        report.push(Action::Closed { path, packets });
    }
    Ok(())
}

/// A file that ends inside its header, or is all zeros, surely holds nothing; another one that
/// does not start as the store's files do is not ours to judge.
fn without_header(
    source_folder: &Path,
    content: Content,
    sequence: u64,
    file: File,
    now_ns: i64,
    report: &mut Report,
) -> Result<(), Error> {
    let path = source_folder.join(active_name(sequence, content.active()));
    let failed = |e| Error::io("recover", &path)(e);
    let length = file.metadata().map_err(failed)?.len();
    let header = match content {
        Content::Packets => FILE_HEADER,
        Content::Tuples => TUPLE_RECORD,
    };
    let empty = length < header as u64 || records::all_zeros(&file).map_err(failed)?;
    if empty {
        return close(
            source_folder,
            content,
            sequence,
            file,
            length,
            None,
            0,
            now_ns,
            report,
        );
    }
    let aside = source_folder.join(aside_name(sequence, content.active()));
    fs::rename(&path, &aside).map_err(failed)?;
    report.push(Action::SetAside { path: aside });
    Ok(())
}

#[cfg(test)]
mod tests;
