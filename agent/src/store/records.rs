//! The records of a stored capture file: its header, and how far its whole records go.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::block::RECORD_HEADER;
use crate::frame::LinkType;

/// Length of the file header, in bytes.
pub(super) const FILE_HEADER: usize = 24;
/// Nanoseconds, little-endian (draft-ietf-opsawg-pcap, 4).
const MAGIC: [u8; 4] = 0xa1b2_3c4d_u32.to_le_bytes();
/// Readers take records up to this length whatever the file header says.
pub(super) const SNAPLEN: u32 = 262_144;
const BUFFER: usize = 256 << 10;

/// What the header of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Of all packets.
    pub link_type: LinkType,
    /// Bytes kept of a packet.
    pub snaplen: u32,
}

impl FileHeader {
    /// As it stands in the file: pcap with nanoseconds, little-endian.
    pub fn to_bytes(self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        let fields = [
            u32::from_le_bytes(MAGIC),
            // Version 2.4.
            0x0004_0002,
            0,
            0,
            self.snaplen,
            u32::from(self.link_type.0),
        ];
        for (place, field) in bytes.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Reads a header as the store writes it; `None` for any other.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let header = Self {
            snaplen: word(bytes, 16)?,
            link_type: LinkType(u16::try_from(word(bytes, 20)?).ok()?),
        };
        (bytes.get(..FILE_HEADER)? == header.to_bytes()).then_some(header)
    }

    /// Reads the header at the start of a file, which is where `file` ends up behind.
    pub(super) fn read(mut file: impl Read + Seek) -> io::Result<Option<Self>> {
        let mut bytes = [0; FILE_HEADER];
        file.seek(SeekFrom::Start(0))?;
        match file.read_exact(&mut bytes) {
            Ok(()) => Ok(Self::from_bytes(&bytes)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}

/// What follows the last whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Clean,
    /// A part of a record: the header, or a believable header and a part of the data.
    Cut,
    /// Zero bytes to the end, as a power loss leaves them.
    Zeros,
    /// Something else: damage behind which good records may follow.
    Damaged,
}

/// The whole records at the start of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// Offset behind the last whole record.
    pub(super) end: u64,
    pub(super) packets: u64,
    /// Time of the first packet, in nanoseconds since 1970.
    pub(super) first_ns: Option<i64>,
    pub(super) tail: Tail,
}

/// Reads record headers from the start of a file up to `length` bytes.
pub(super) fn walk(file: impl Read + Seek, header: FileHeader, length: u64) -> io::Result<Walk> {
    let mut reader = BufReader::with_capacity(BUFFER, file);
    reader.seek(SeekFrom::Start(FILE_HEADER as u64))?;
    let mut walk = Walk {
        end: FILE_HEADER as u64,
        packets: 0,
        first_ns: None,
        tail: Tail::Clean,
    };
    loop {
        let rest = length.saturating_sub(walk.end);
        if rest < RECORD_HEADER as u64 {
            walk.tail = match rest {
                0 => Tail::Clean,
                _ => Tail::Cut,
            };
            return Ok(walk);
        }
        let mut bytes = [0; RECORD_HEADER];
        reader.read_exact(&mut bytes)?;
        let [seconds, fraction, captured, _] =
            [0, 4, 8, 12].map(|at| word(&bytes, at).unwrap_or_default());
        if bytes == [0; RECORD_HEADER] {
            walk.tail = match all_zeros(reader.take(rest - RECORD_HEADER as u64))? {
                true => Tail::Zeros,
                false => Tail::Damaged,
            };
            return Ok(walk);
        }
        if captured > header.snaplen.max(SNAPLEN) || fraction >= 1_000_000_000 {
            walk.tail = Tail::Damaged;
            return Ok(walk);
        }
        let total = RECORD_HEADER as u64 + u64::from(captured);
        if total > rest {
            walk.tail = Tail::Cut;
            return Ok(walk);
        }
        reader.seek_relative(i64::from(captured))?;
        let time = i64::from(seconds) * 1_000_000_000 + i64::from(fraction);
        walk.first_ns = walk.first_ns.or(Some(time));
        walk.packets += 1;
        walk.end += total;
    }
}

/// Whether nothing but zero bytes is left.
pub(super) fn all_zeros(mut reader: impl Read) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = reader.read(&mut buffer)?;
        match buffer.get(..n) {
            None | Some([]) => return Ok(true),
            Some(bytes) if bytes.iter().any(|&b| b != 0) => return Ok(false),
            Some(_) => {}
        }
    }
}
