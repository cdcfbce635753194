//! What a store takes of its disk, and what its loss tables said last: by names, sizes and last
//! lines, without reading packets.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use super::{
    Error, Source,
    layout::{self, Kind, Listing},
    loss::{Sample, Table},
    records::FILE_HEADER,
    state,
    tuples::TUPLE_RECORD,
};

/// A store and its disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The sources.
    pub sources: Vec<Used>,
    /// Bytes of the file system that are free for those without privileges.
    pub free_bytes: u64,
    /// Bytes of the file system.
    pub total_bytes: u64,
}

/// What a source takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The source.
    pub source: Source,
    /// Files of packets (or of tuples alone), the one being written included.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Time of the first packet of the oldest file, in nanoseconds since 1970.
    pub oldest_ns: Option<i64>,
    /// Whether a writer has it now.
    pub written: bool,
    /// The last line of its loss tables.
    pub last: Option<Sample>,
}

impl Usage {
    /// Looks at a store.
    ///
    /// # Errors
    /// If a folder cannot be read. Files that go meanwhile are passed over.
    pub fn of(store: &Path) -> Result<Self, Error> {
        let disk = rustix::fs::statvfs(store).map_err(io::Error::from);
        let disk = disk.map_err(Error::io("look at the file system of", store))?;
        let (sources, _) = layout::sources(store)?;
        let sources = sources.into_iter().map(|source| used(store, source));
        Ok(Self {
            sources: sources.collect::<Result<_, _>>()?,
            free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
            total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }

    /// Files of packets.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.sources.iter().map(|used| used.files).sum()
    }

    /// Bytes of all files of all sources.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sources.iter().map(|used| used.bytes).sum()
    }

    /// Time of the first packet of the oldest file, in nanoseconds since 1970.
    #[must_use]
    pub fn oldest_ns(&self) -> Option<i64> {
        self.sources.iter().filter_map(|used| used.oldest_ns).min()
    }
}

fn used(store: &Path, source: Source) -> Result<Used, Error> {
    let folder = source.folder(store);
    let listing = Listing::read(&folder)?;
    let mut used = Used {
        source,
        files: 0,
        bytes: 0,
        oldest_ns: None,
        written: state::of_live_writer(&folder).is_some(),
        last: None,
    };
    for set in listing.closed.values() {
        let paths = set.kinds.iter().map(|kind| set.name.path(&folder, *kind));
        used.bytes += paths.map(|path| length(&path)).sum::<u64>();
        if set.kinds.iter().any(|kind| *kind != Kind::Counters) {
            used.take(Some(set.name.time_ns));
        }
    }
    for (&sequence, kinds) in &listing.active {
        for &kind in kinds {
            let path = folder.join(layout::active_name(sequence, kind));
            used.bytes += length(&path);
            if kind != Kind::Counters {
                used.take(first_time(&path, kind));
            }
        }
    }
    used.last = last_sample(&folder, &listing);
    Ok(used)
}

impl Used {
    fn take(&mut self, first_ns: Option<i64>) {
        self.files += 1;
        self.oldest_ns = match (self.oldest_ns, first_ns) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Time of the first packet of a file that is being written; `None` where it has none yet.
fn first_time(path: &Path, kind: Kind) -> Option<i64> {
    let mut bytes = [0; 8];
    let file = File::open(path).ok()?;
    if kind == Kind::Tuples {
        // Each record begins with its time, and the header is as long as a record.
        file.read_exact_at(&mut bytes, TUPLE_RECORD as u64).ok()?;
        return Some(i64::from_le_bytes(bytes));
    }
    if kind != Kind::Capture {
        return None;
    }
    file.read_exact_at(&mut bytes, FILE_HEADER as u64).ok()?;
    // The writer's files are little-endian and have nanoseconds (`records.rs`).
    let (seconds, nanoseconds) = bytes.split_at(4);
    let word = |bytes: &[u8]| Some(i64::from(u32::from_le_bytes(bytes.try_into().ok()?)));
    Some(word(seconds)? * 1_000_000_000 + word(nanoseconds)?)
}

fn last_sample(folder: &Path, listing: &Listing) -> Option<Sample> {
    let active = listing.active.keys().rev();
    let active = active.map(|sequence| folder.join(layout::active_name(*sequence, Kind::Counters)));
    let closed = listing.closed.values().rev();
    let closed = closed.map(|set| set.name.path(folder, Kind::Counters));
    let mut paths = active.chain(closed).filter(|path| path.exists());
    let (_, last) = Table::ends(&paths.next()?).ok()??;
    Some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{RecordBlock, SourceWriter, WriterOptions, loss::Counts};

    #[test]
    fn what_is_there_is_counted() {
        let store = tempfile::tempdir().unwrap();
        let empty = Usage::of(store.path()).unwrap();
        assert_eq!(
            (empty.files(), empty.bytes(), empty.oldest_ns()),
            (0, 0, None)
        );
        assert!(empty.free_bytes <= empty.total_bytes && empty.total_bytes > 0);

        let source = Source {
            well: "pcap".to_owned(),
            interface: "lan0".to_owned(),
            tag: "pcap".to_owned(),
        };
        let folder = source.folder(store.path());
        let options = WriterOptions::default();
        let (mut writer, _) = SourceWriter::open(&folder, options, 0).unwrap();
        let block = |time_ns| {
            let mut block = RecordBlock::with_capacity(64);
            block.push(time_ns, 4, &[1, 2, 3, 4]);
            block
        };
        let of = || Usage::of(store.path()).unwrap().sources.pop().unwrap();
        writer.append(&block(7_000_000_005));
        let now = of();
        assert_eq!((now.files, now.bytes, now.written), (1, 44, true));
        assert_eq!((now.oldest_ns, now.last), (Some(7_000_000_005), None));

        let sample = Sample {
            time_ns: 9,
            run: 3,
            counts: Counts {
                seen: 5,
                stored: 1,
                ..Counts::default()
            },
        };
        writer.record(&sample);
        writer.rotate();
        writer.append(&block(6_000_000_000));
        writer.close(1);
        let now = of();
        assert_eq!((now.files, now.written, &now.source), (2, false, &source));
        assert_eq!(now.oldest_ns, Some(6_000_000_000));
        assert_eq!(now.last, Some(sample));
        assert!(now.bytes > 88, "{now:?}");
    }

    #[test]
    fn the_oldest_tuple_is_known_while_it_is_written() {
        let store = tempfile::tempdir().unwrap();
        let folder = store.path().join("pcap/lan0");
        let options = WriterOptions {
            content: crate::store::Content::Tuples,
            ..WriterOptions::default()
        };
        let (mut writer, _) = SourceWriter::open(&folder, options, 0).unwrap();
        let mut block = RecordBlock::default();
        let frame = crate::frame::Frame {
            time_ns: Some(7_000_000_005),
            wire_len: 60,
            link_type: crate::frame::LinkType(1),
            interface: "",
            offset: 0,
            data: &[0; 14],
        };
        let packet = crate::decode::Packet::decode(&frame);
        block.push_tuple(&crate::decode::Tuple::of(&packet));
        writer.append(&block);
        let now = Usage::of(store.path()).unwrap();
        let bytes = 2 * TUPLE_RECORD as u64;
        assert_eq!((now.files(), now.bytes()), (1, bytes));
        assert_eq!(now.oldest_ns(), Some(7_000_000_005));
    }
}
