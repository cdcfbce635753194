//! `-w`: one pcap stream, or files by size and time, as tcpdump writes them.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::write::{LeftOut, Output, WriteError};
use crate::frame::LinkType;
use crate::store::{FileHeader, RECORD_HEADER, RecordBlock};

/// Of an Ethernet capture: all that XDP sees.
const LINKTYPE_ETHERNET: LinkType = LinkType(1);

/// How a stream is divided into files.
#[derive(Clone, Debug, Default)]
pub struct Division {
    /// A new file when the next record would pass this many bytes (`-C`).
    pub bytes: Option<u64>,
    /// A new file after this time (`-G`); the name is then a `strftime` pattern, in UTC.
    pub time: Option<Duration>,
    /// With `bytes`: files before the first is overwritten; with `time`: files in all (`-W`).
    pub count: Option<u32>,
}

/// The stream being written.
pub struct Stream {
    /// `None`: standard output.
    path: Option<PathBuf>,
    division: Division,
    snaplen: u32,
    file: Box<dyn Write + Send>,
    name: String,
    file_bytes: u64,
    opened: Instant,
    /// Number of the current file, from 0.
    number: u32,
    total: u64,
    complete: bool,
}

impl Stream {
    /// Opens the first file, or standard output for `-`, and writes its header.
    pub fn create(path: &Path, division: Division, snaplen: u32) -> Result<Self, WriteError> {
        let path = (path != Path::new("-")).then(|| path.to_owned());
        let mut stream = Self {
            path,
            division,
            snaplen,
            file: Box::new(io::sink()),
            name: String::new(),
            file_bytes: 0,
            opened: Instant::now(),
            number: 0,
            total: 0,
            complete: false,
        };
        stream.open()?;
        Ok(stream)
    }

    fn open(&mut self) -> Result<(), WriteError> {
        match &self.path {
            None => {
                self.name = "standard output".to_owned();
                self.file = Box::new(io::stdout());
            }
            Some(path) => {
                let name = self.file_name(path);
                self.name = name.display().to_string();
                let file = File::create(&name).map_err(|source| self.failed("create", source))?;
                self.file = Box::new(file);
            }
        }
        self.file_bytes = 0;
        self.opened = Instant::now();
        let header = FileHeader {
            link_type: LINKTYPE_ETHERNET,
            snaplen: self.snaplen,
        };
        self.write(&header.to_bytes())
    }

    /// tcpdump's names: the pattern's time, then the file's number, padded for a ring of files.
    fn file_name(&self, path: &Path) -> PathBuf {
        let mut name = path.display().to_string();
        if self.division.time.is_some() {
            name = Timestamp::now().strftime(&name).to_string();
        }
        if self.division.bytes.is_some() {
            match self.division.count {
                Some(count) if self.division.time.is_none() => {
                    let width = count.saturating_sub(1).to_string().len();
                    name = format!("{name}{:0width$}", self.number);
                }
                _ if self.number > 0 => name = format!("{name}{}", self.number),
                _ => {}
            }
        }
        name.into()
    }

    fn next_file(&mut self) -> Result<(), WriteError> {
        self.number += 1;
        match (self.division.count, self.division.time) {
            (Some(count), Some(_)) if self.number >= count => {
                self.complete = true;
                return Ok(());
            }
            (Some(count), None) => self.number %= count.max(1),
            _ => {}
        }
        self.file
            .flush()
            .map_err(|source| self.failed("write", source))?;
        self.open()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let result = self.file.write_all(bytes).and_then(|()| self.file.flush());
        result.map_err(|source| self.failed("write", source))?;
        self.file_bytes += bytes.len() as u64;
        self.total += bytes.len() as u64;
        Ok(())
    }

    fn failed(&self, action: &'static str, source: io::Error) -> WriteError {
        WriteError::File {
            action,
            path: self.name.clone(),
            source,
        }
    }

    fn is_due(&self) -> bool {
        self.division
            .time
            .is_some_and(|time| self.opened.elapsed() >= time)
    }
}

impl Output for Stream {
    fn append(&mut self, _: u32, block: &RecordBlock) -> Result<LeftOut, WriteError> {
        if self.is_due() && !self.complete {
            self.next_file()?;
        }
        let mut rest = block.bytes();
        while !rest.is_empty() && !self.complete {
            let fits = match self.division.bytes {
                Some(limit) => fitting(rest, limit.saturating_sub(self.file_bytes)),
                None => rest.len(),
            };
            let (now, later) = rest.split_at(fits);
            self.write(now)?;
            rest = later;
            if !rest.is_empty() {
                self.next_file()?;
            }
        }
        Ok(LeftOut {
            packets: records(rest),
            bytes: rest.len() as u64,
        })
    }

    fn tick(&mut self) -> Vec<String> {
        match (self.is_due() && !self.complete).then(|| self.next_file()) {
            Some(Err(error)) => vec![error.to_string()],
            _ => Vec::new(),
        }
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        self.file
            .flush()
            .map_err(|source| self.failed("write", source))
    }

    fn bytes_written(&self) -> u64 {
        self.total
    }
}

/// Bytes of the leading records that fit into `room`; at least one record.
fn fitting(records: &[u8], room: u64) -> usize {
    let mut end = 0;
    while let Some(length) = record_length(records.get(end..).unwrap_or_default()) {
        if end > 0 && (end + length) as u64 > room {
            break;
        }
        end += length;
    }
    if end == 0 { records.len() } else { end }
}

/// How many records these are.
fn records(mut records: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(length) = record_length(records) {
        count += 1;
        records = records.get(length..).unwrap_or_default();
    }
    count
}

fn record_length(record: &[u8]) -> Option<usize> {
    let captured = record.get(8..12)?.first_chunk()?;
    Some(RECORD_HEADER + u32::from_le_bytes(*captured) as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    fn block(packets: u32) -> RecordBlock {
        let mut block = RecordBlock::with_capacity(1 << 12);
        for i in 0..packets {
            block.push(i64::from(i) * 1_000_000_007, 100, &[7; 84]);
        }
        block
    }

    fn names(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    fn packets(path: &Path) -> usize {
        let input = crate::capfile::discover(&[path.to_str().unwrap().to_owned()]).unwrap();
        let mut reader = input[0].open().unwrap();
        let mut packets = 0;
        while reader.next_frame().is_some() {
            packets += 1;
        }
        assert!(reader.warnings().is_empty());
        packets
    }

    #[test]
    fn files_by_size_are_numbered_as_tcpdump_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        let division = Division {
            bytes: Some(1_000),
            ..Division::default()
        };
        let mut stream = Stream::create(&path, division, 65_535).unwrap();
        stream.append(0, &block(25)).unwrap();
        stream.finish().unwrap();
        assert_eq!(
            names(folder.path()),
            ["x.pcap", "x.pcap1", "x.pcap2"].map(str::to_owned).into()
        );
        // 24 bytes of header and 100 a record: nine fit into a thousand.
        assert_eq!(packets(&path), 9);
        assert_eq!(packets(&folder.path().join("x.pcap2")), 7);
    }

    #[test]
    fn a_ring_of_files_overwrites_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let division = Division {
            bytes: Some(1_000),
            count: Some(11),
            ..Division::default()
        };
        let mut stream = Stream::create(&folder.path().join("x"), division, 65_535).unwrap();
        stream.append(0, &block(9 * 11 + 5)).unwrap();
        assert_eq!(names(folder.path()).len(), 11);
        assert_eq!(packets(&folder.path().join("x00")), 5);
        assert_eq!(packets(&folder.path().join("x10")), 9);
    }

    #[test]
    fn a_file_is_read_back_as_it_was_captured() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        let mut stream = Stream::create(&path, Division::default(), 96).unwrap();
        stream.append(3, &block(3)).unwrap();
        stream.finish().unwrap();
        assert_eq!(stream.bytes_written(), 24 + 300);
        let inputs = crate::capfile::discover(&[path.to_str().unwrap().to_owned()]).unwrap();
        let mut reader = inputs[0].open().unwrap();
        reader.next_frame();
        let frame = reader.next_frame().unwrap();
        assert_eq!(
            (frame.time_ns, frame.wire_len, frame.data),
            (Some(1_000_000_007), 100, &[7; 84][..])
        );
        assert_eq!(frame.link_type.0, 1);
    }

    #[test]
    fn so_many_files_by_time_and_size_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        let division = Division {
            bytes: Some(1_000),
            time: Some(Duration::from_secs(3600)),
            count: Some(2),
        };
        let mut stream = Stream::create(&path, division, 65_535).unwrap();
        let beyond = LeftOut {
            packets: 7,
            bytes: 700,
        };
        assert_eq!(stream.append(0, &block(25)).unwrap(), beyond);
        assert!(stream.is_complete());
        assert_eq!(packets(&folder.path().join("x.pcap1")), 9);
    }

    #[test]
    fn so_many_files_by_time_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let division = Division {
            time: Some(Duration::ZERO),
            count: Some(2),
            ..Division::default()
        };
        let mut stream = Stream::create(&folder.path().join("%Y.pcap"), division, 65_535).unwrap();
        assert!(!stream.is_complete());
        stream.tick();
        stream.tick();
        assert!(stream.is_complete());
        let beyond = LeftOut {
            packets: 3,
            bytes: 300,
        };
        assert_eq!(stream.append(0, &block(3)).unwrap(), beyond);
        let year = Timestamp::now().strftime("%Y.pcap").to_string();
        assert_eq!(names(folder.path()), [year].into());
    }
}
