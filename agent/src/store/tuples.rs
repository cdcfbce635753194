//! The active file of a capture without packets: tuples of a fixed length, each under a check sum
//! of its own, so that a crash costs only what was not written.
//!
//! ```text
//! header: "FSTUPLES", version (4 bytes), link type (4 bytes), zeros, CRC-32 of the 60 bytes before
//! record: time, source, destination, wire length, source port, destination port, VLAN, marks,
//!         which values there are, protocol, TCP flags, zeros, CRC-32 of the 60 bytes before
//! ```
//!
//! All of it is little-endian. When the file is closed it becomes a Parquet table, which stays.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    ops::Range,
    os::unix::fs::FileExt,
};

use super::state::crc;
use crate::{decode::Tuple, frame::LinkType};

/// Length of the header and of each record, in bytes.
pub(super) const TUPLE_RECORD: usize = 64;
/// Bytes under the check sum.
const CHECKED: usize = TUPLE_RECORD - 4;
const MAGIC: &[u8; 8] = b"FSTUPLES";
const VERSION: u32 = 1;
/// Bytes read at a time: a multiple of a record.
const BUFFER: usize = 4_096 * TUPLE_RECORD;

type Record = [u8; TUPLE_RECORD];

/// Which values a record has.
mod has {
    pub(super) const SOURCE: u16 = 1;
    pub(super) const DESTINATION: u16 = 1 << 1;
    pub(super) const SOURCE_PORT: u16 = 1 << 2;
    pub(super) const DESTINATION_PORT: u16 = 1 << 3;
    pub(super) const PROTOCOL: u16 = 1 << 4;
    pub(super) const TCP_FLAGS: u16 = 1 << 5;
    pub(super) const VLAN: u16 = 1 << 6;
}

/// Writes values one after another.
struct Put {
    record: Record,
    at: usize,
}

impl Put {
    fn new() -> Self {
        Self {
            record: [0; TUPLE_RECORD],
            at: 0,
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        // What is put together is shorter than a record.
        if let Some(place) = self.record.get_mut(self.at..end) {
            place.copy_from_slice(bytes);
        }
        self.at = end;
    }

    fn finish(mut self) -> Record {
        let (checked, sum) = self.record.split_at_mut(CHECKED);
        sum.copy_from_slice(&crc(checked).to_le_bytes());
        self.record
    }
}

/// Reads values one after another; zeros behind the end.
struct Take<'a> {
    record: &'a [u8],
    at: usize,
}

impl<'a> Take<'a> {
    /// `None` where the check sum is wrong.
    fn new(record: &'a [u8]) -> Option<Self> {
        let (checked, sum) = record.split_at_checked(CHECKED)?;
        (sum == crc(checked).to_le_bytes()).then_some(Self {
            record: checked,
            at: 0,
        })
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let rest = self.record.get(self.at..);
        let bytes = rest.and_then(|rest| rest.first_chunk::<N>());
        self.at += N;
        bytes.copied().unwrap_or([0; N])
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }
}

/// The header of a file whose tuples are all of one link type.
pub(super) fn header(link_type: LinkType) -> Record {
    let mut put = Put::new();
    put.bytes(MAGIC);
    put.bytes(&VERSION.to_le_bytes());
    put.bytes(&u32::from(link_type.0).to_le_bytes());
    put.finish()
}

/// The link type that a header names; `None` for another header.
fn link_type(header: &[u8]) -> Option<LinkType> {
    let mut take = Take::new(header)?;
    let (magic, version) = (take.bytes::<8>(), take.u32());
    let link_type = u16::try_from(take.u32()).ok()?;
    (magic == *MAGIC && version == VERSION).then_some(LinkType(link_type))
}

/// A tuple as a record. The captured length and the link type are not among its values.
pub(super) fn record(tuple: &Tuple) -> Record {
    let mark = |is: bool, mark: u16| if is { mark } else { 0 };
    let known = mark(tuple.source.is_some(), has::SOURCE)
        | mark(tuple.destination.is_some(), has::DESTINATION)
        | mark(tuple.source_port.is_some(), has::SOURCE_PORT)
        | mark(tuple.destination_port.is_some(), has::DESTINATION_PORT)
        | mark(tuple.protocol.is_some(), has::PROTOCOL)
        | mark(tuple.tcp_flags.is_some(), has::TCP_FLAGS)
        | mark(tuple.vlan.is_some(), has::VLAN);
    let mut put = Put::new();
    put.bytes(&tuple.time_ns.unwrap_or_default().to_le_bytes());
    put.bytes(&tuple.source.unwrap_or_default());
    put.bytes(&tuple.destination.unwrap_or_default());
    put.bytes(&tuple.wire_len.to_le_bytes());
    put.bytes(&tuple.source_port.unwrap_or_default().to_le_bytes());
    put.bytes(&tuple.destination_port.unwrap_or_default().to_le_bytes());
    put.bytes(&tuple.vlan.unwrap_or_default().to_le_bytes());
    put.bytes(&tuple.marks.to_le_bytes());
    put.bytes(&known.to_le_bytes());
    put.bytes(&[
        tuple.protocol.unwrap_or_default(),
        tuple.tcp_flags.unwrap_or_default(),
    ]);
    put.finish()
}

/// The tuple of a record; `None` where the record is damaged.
fn tuple(record: &[u8], link_type: LinkType) -> Option<Tuple> {
    let mut take = Take::new(record)?;
    let time_ns = i64::from_le_bytes(take.bytes());
    let (source, destination) = (take.bytes(), take.bytes());
    let wire_len = take.u32();
    let (source_port, destination_port) = (take.u16(), take.u16());
    let (vlan, marks, known) = (take.u16(), take.u16(), take.u16());
    let [protocol, tcp_flags] = take.bytes();
    let has = |mark: u16| known & mark != 0;
    Some(Tuple {
        time_ns: Some(time_ns),
        source: has(has::SOURCE).then_some(source),
        destination: has(has::DESTINATION).then_some(destination),
        source_port: has(has::SOURCE_PORT).then_some(source_port),
        destination_port: has(has::DESTINATION_PORT).then_some(destination_port),
        protocol: has(has::PROTOCOL).then_some(protocol),
        tcp_flags: has(has::TCP_FLAGS).then_some(tcp_flags),
        vlan: has(has::VLAN).then_some(vlan),
        marks,
        wire_len,
        captured_len: 0,
        link_type,
    })
}

/// The bytes of whole records at the start of a file of so many bytes.
pub(super) fn whole(length: u64) -> u64 {
    length - length % TUPLE_RECORD as u64
}

/// The link type in a file's header; `None` if it does not start as a file of tuples does.
pub(super) fn read_header(file: &File) -> io::Result<Option<LinkType>> {
    let mut bytes = [0; TUPLE_RECORD];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(link_type(&bytes)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

/// Reads at given places, so that a file that others hold, too, has no place of its own.
struct From<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let read = match buffer.get_mut(..length) {
            Some(buffer) => self.file.read_at(buffer, self.at)?,
            None => 0,
        };
        self.at += read as u64;
        Ok(read)
    }
}

/// A record, as it is found in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Tuple(Tuple),
    /// Nothing but zero bytes, as a power loss leaves them.
    Zeros,
    Damaged,
}

/// The records of a file, in order, each with its offset.
pub(super) struct Tuples<'a> {
    reader: BufReader<From<'a>>,
    link_type: LinkType,
    offset: u64,
}

impl<'a> Tuples<'a> {
    /// Those in the first `length` bytes of a file, whose header has been read.
    pub(super) fn new(file: &'a File, link_type: LinkType, length: u64) -> Self {
        Self::within(file, link_type, 0..length)
    }

    /// Those at these offsets, of which the first is a record's.
    pub(super) fn within(file: &'a File, link_type: LinkType, range: Range<u64>) -> Self {
        let offset = range.start.max(TUPLE_RECORD as u64);
        let from = From {
            file,
            at: offset,
            end: whole(range.end),
        };
        Self {
            reader: BufReader::with_capacity(BUFFER, from),
            link_type,
            offset,
        }
    }
}

impl Iterator for Tuples<'_> {
    type Item = io::Result<(u64, Found)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = [0; TUPLE_RECORD];
        match self.reader.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return None,
            Err(e) => return Some(Err(e)),
        }
        let offset = self.offset;
        self.offset += TUPLE_RECORD as u64;
        let found = match tuple(&bytes, self.link_type) {
            Some(tuple) => Found::Tuple(tuple),
            None if bytes == [0; TUPLE_RECORD] => Found::Zeros,
            None => Found::Damaged,
        };
        Some(Ok((offset, found)))
    }
}

/// Where the good records of a file are, found without reading those between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// Offset behind the last good record.
    pub(super) end: u64,
    /// Time of the first good one, in nanoseconds since 1970.
    pub(super) first_ns: Option<i64>,
}

/// The first and the last good record of a file of so many bytes.
pub(super) fn ends(file: &File, link_type: LinkType, length: u64) -> io::Result<Ends> {
    let header = TUPLE_RECORD as u64;
    let mut first_ns = None;
    for record in Tuples::new(file, link_type, length) {
        if let (_, Found::Tuple(tuple)) = record? {
            first_ns = tuple.time_ns;
            break;
        }
    }
    let mut end = whole(length).max(header);
    let mut bytes = [0; TUPLE_RECORD];
    while end > header {
        file.read_exact_at(&mut bytes, end - header)?;
        if tuple(&bytes, link_type).is_some() {
            break;
        }
        end -= header;
    }
    Ok(Ends { end, first_ns })
}

#[cfg(test)]
mod tests;
