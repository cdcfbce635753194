//! Where the frames of a compressed file are: read from the table at its end, or found again.

use std::io;

use zstd::zstd_safe;

use super::{MAX_COMPRESSED, MAX_FRAME, MAX_FRAMES, read::Bytes};

/// Magic number of the skippable frame, of the end of the file, and bytes around the entries
/// (Zstandard Seekable Format 0.1.0, "Seek_Table_Footer").
pub(super) const SKIPPABLE_MAGIC: u32 = 0x184d_2a5e;
pub(super) const SEEKABLE_MAGIC: u32 = 0x8f92_eab1;
const HEADER: u64 = 8;
const FOOTER: u64 = 9;
/// Bit of the descriptor: entries have a check sum. Those below, but the last two, are reserved.
const CHECK_SUMS: u8 = 0x80;
const RESERVED: u8 = 0x7c;

/// A frame and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capfile) struct FrameAt {
    /// Offset in the compressed file, in bytes.
    pub(super) at: u64,
    /// Compressed bytes.
    pub(super) length: u32,
    /// Offset of its first byte in the uncompressed file.
    pub(super) start: u64,
    /// Uncompressed bytes.
    pub(super) bytes: u32,
}

impl FrameAt {
    /// Offset behind its last byte in the uncompressed file.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(u64::from(self.bytes))
    }
}

/// The frames of a file, in order, without gaps.
#[derive(Debug, Default)]
pub(in crate::capfile) struct Table {
    pub(super) frames: Vec<FrameAt>,
    /// What is wrong behind the frames, with its place; they are all that can be read then.
    pub(super) damage: Option<String>,
}

impl Table {
    /// Reads the table of a compressed file, or finds its frames one after another.
    pub(in crate::capfile) fn read(file: &Bytes) -> io::Result<Self> {
        let length = file.length()?;
        match stored(file, length)? {
            Ok(frames) => Ok(Self {
                frames,
                damage: None,
            }),
            Err(reason) => super::read::search(file, length, &reason),
        }
    }

    /// Uncompressed bytes of all frames.
    pub(in crate::capfile) fn length(&self) -> u64 {
        self.frames.last().map_or(0, FrameAt::end)
    }

    /// What is wrong behind the frames.
    pub(in crate::capfile) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// The table of a file that should have so many bytes uncompressed (`u64::MAX` if that is not
    /// known): fewer are damage.
    pub(in crate::capfile) fn expecting(mut self, bytes: u64) -> Self {
        let have = self.length();
        if bytes != u64::MAX && have < bytes {
            self.damage.get_or_insert_with(|| {
                format!("the compressed file has {have} bytes uncompressed, and {bytes} were there")
            });
        }
        self
    }

    /// Number of the frame that has this byte of the uncompressed file.
    pub(super) fn find(&self, at: u64) -> Option<usize> {
        let number = self.frames.partition_point(|frame| frame.end() <= at);
        (number < self.frames.len()).then_some(number)
    }

    /// Adds a frame behind those that are there.
    pub(super) fn push(&mut self, length: u32, bytes: u32) {
        let last = self.frames.last();
        let at = last.map_or(0, |frame| frame.at + u64::from(frame.length));
        self.frames.push(FrameAt {
            at,
            length,
            start: self.length(),
            bytes,
        });
    }

    /// The skippable frame that says where the frames are.
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let too_many = |_| io::Error::other("more frames than a seek table can have");
        let count = u32::try_from(self.frames.len()).map_err(too_many)?;
        let size = u64::from(count) * 8 + FOOTER;
        let size = u32::try_from(size).map_err(too_many)?;
        let mut bytes = Vec::with_capacity(HEADER as usize + size as usize);
        bytes.extend_from_slice(&SKIPPABLE_MAGIC.to_le_bytes());
        bytes.extend_from_slice(&size.to_le_bytes());
        for frame in &self.frames {
            bytes.extend_from_slice(&frame.length.to_le_bytes());
            bytes.extend_from_slice(&frame.bytes.to_le_bytes());
        }
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&SEEKABLE_MAGIC.to_le_bytes());
        Ok(bytes)
    }
}

/// The frames as the table at the end of the file says, or why it is not believed.
fn stored(file: &Bytes, length: u64) -> io::Result<Result<Vec<FrameAt>, String>> {
    let wrong = |reason: String| Ok(Err(reason));
    let Some(footer_at) = length.checked_sub(FOOTER) else {
        return wrong("the file is shorter than a seek table".to_owned());
    };
    let mut footer = [0; FOOTER as usize];
    file.read_exact_at(&mut footer, footer_at)?;
    if word(&footer, 5) != SEEKABLE_MAGIC {
        return wrong(format!("no seek table ends at byte {length}"));
    }
    let count = u64::from(word(&footer, 0));
    let descriptor = footer.get(4).copied().unwrap_or(0);
    let entry = if descriptor & CHECK_SUMS != 0 { 12 } else { 8 };
    if descriptor & RESERVED != 0 {
        return wrong(format!(
            "reserved bits of the seek table at byte {} are set",
            footer_at + 4
        ));
    }
    if count > MAX_FRAMES {
        return wrong(format!(
            "the seek table at byte {footer_at} claims {count} frames, more than {MAX_FRAMES}"
        ));
    }
    let size = count * entry + FOOTER;
    let Some(start) = length.checked_sub(size + HEADER) else {
        return wrong(format!(
            "the seek table at byte {footer_at} claims {count} frames, more than the file has room for"
        ));
    };
    // No more than MAX_FRAMES entries, and the file is as long.
    let mut bytes = vec![0; (HEADER + count * entry) as usize];
    file.read_exact_at(&mut bytes, start)?;
    if word(&bytes, 0) != SKIPPABLE_MAGIC || u64::from(word(&bytes, 4)) != size {
        return wrong(format!("no seek table starts at byte {start}"));
    }
    let mut table = Table::default();
    let entries = bytes.get(HEADER as usize..).unwrap_or_default();
    for (number, entry) in entries.chunks_exact(entry as usize).enumerate() {
        let (length, bytes) = (word(entry, 0), word(entry, 4));
        if length == 0 || length > MAX_COMPRESSED || bytes > MAX_FRAME {
            return wrong(format!(
                "the seek table at byte {start} claims {length} bytes for frame {number}, {bytes} uncompressed"
            ));
        }
        table.push(length, bytes);
    }
    let end = table.frames.last();
    let end = end.map_or(0, |frame| frame.at + u64::from(frame.length));
    if end != start {
        return wrong(format!(
            "the seek table at byte {start} does not follow its last frame, which ends at byte {end}"
        ));
    }
    Ok(Ok(table.frames))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u32::from_le_bytes(*word))
}

/// What starts at a place of a file.
pub(super) enum Found {
    /// A frame: its compressed and its uncompressed bytes.
    Frame(u32, u32),
    /// One that is cut or damaged.
    Broken,
    /// A table, whole or not.
    Table,
    /// Nothing that we read.
    Nothing(&'static str),
}

/// What `bytes` start with, which are all up to the end of the file or more than any frame has.
pub(super) fn look(bytes: &[u8]) -> Found {
    if word(bytes, 0) == SKIPPABLE_MAGIC {
        return Found::Table;
    }
    let content = match zstd_safe::get_frame_content_size(bytes) {
        Ok(Some(content)) => u32::try_from(content).ok().filter(|it| *it <= MAX_FRAME),
        Ok(None) => None,
        Err(_) => return Found::Nothing("no zstd frame starts"),
    };
    let Some(content) = content else {
        return Found::Nothing("a zstd frame without a size, or of a larger one than is read,");
    };
    match zstd_safe::find_frame_compressed_size(bytes).map(u32::try_from) {
        Ok(Ok(length)) if length <= MAX_COMPRESSED => Found::Frame(length, content),
        _ => Found::Broken,
    }
}
