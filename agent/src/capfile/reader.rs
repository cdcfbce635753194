//! Frames of one input, one after another, borrowed from the reader's window.

use std::{
    io::{self, Read},
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Error, Problem, Warning,
    compress::Compression,
    damage::Damage,
    pcap::{self, Pcap},
    pcapng::{self, Pcapng},
    source::{Shared, Store, StoreReader},
    window::Window,
};
use crate::frame::{Frame, LinkType};

/// A frame whose bytes are still a place in the window.
pub(super) struct Record {
    pub(super) time_ns: Option<i64>,
    pub(super) wire_len: u32,
    pub(super) link_type: LinkType,
    /// Index of the interface in its section; `None` where the format has none.
    pub(super) interface: Option<usize>,
    pub(super) offset: u64,
    pub(super) data: Range<usize>,
}

/// A format and where in it the reader is.
#[derive(Clone, Debug)]
pub(super) enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
    /// Nothing can be read (reported in the warnings).
    Unreadable,
}

impl Format {
    /// Number of times so far that the way to read frames changed.
    fn changes(&self) -> u64 {
        match self {
            Self::Pcapng(pcapng) => pcapng.changes(),
            Self::Pcap(_) | Self::Unreadable => 0,
        }
    }

    /// Reads the header of the file; `None` if it is no capture.
    fn open(window: &mut Window, damage: &mut Damage) -> Option<Self> {
        if !window.ensure(4) {
            if let Some(reason) = window.take_failure() {
                damage.report(0, Problem::Read(reason));
                return Some(Self::Unreadable);
            }
            match window.bytes().len() as u64 {
                0 => damage.report(0, Problem::Empty),
                have => {
                    let what = "magic number";
                    damage.report(0, Problem::Cut { what, have });
                }
            }
            return Some(Self::Unreadable);
        }
        if pcap::is_pcap(window.bytes()) {
            Some(Pcap::open(window, damage).map_or(Self::Unreadable, Self::Pcap))
        } else if pcapng::is_pcapng(window.bytes()) {
            Some(Self::Pcapng(Pcapng::new()))
        } else {
            None
        }
    }
}

/// Whether the input holds a capture, compressed or not.
pub(super) fn is_capture(store: &Arc<Store>) -> io::Result<bool> {
    let (mut window, ..) = window(store, 0, u64::MAX)?;
    if !window.ensure(4) {
        return Ok(false);
    }
    let start = window.bytes();
    Ok(pcap::is_pcap(start) || pcapng::is_pcapng(start))
}

/// How an input is compressed.
pub(super) fn compression(store: &Arc<Store>) -> io::Result<Option<Compression>> {
    let mut start = Vec::with_capacity(8);
    let read = StoreReader::open(store, 0, 8)?
        .take(8)
        .read_to_end(&mut start);
    match read {
        // A damaged frame of a file whose frames are read; its reader says so.
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {}
        other => {
            other?;
        }
    }
    Ok(Compression::detect(&start))
}

/// The decompressed bytes from `offset` on. Only an input that is not compressed can be entered
/// in its middle.
fn window(store: &Arc<Store>, offset: u64, stop: u64) -> io::Result<(Window, Shared)> {
    let compression = match offset {
        0 => compression(store)?,
        _ => None,
    };
    let reader = StoreReader::open(store, offset, stop)?;
    let shared = reader.shared().clone();
    let source = match compression {
        Some(compression) => compression.decoder(reader)?,
        None => Box::new(reader),
    };
    Ok((Window::new(source, offset, stop), shared))
}

/// Reads the frames of an input or a part.
pub struct FrameReader {
    window: Window,
    format: Format,
    damage: Damage,
    store: Arc<Store>,
    shared: Shared,
    /// What [`Format::changes`] must be where the next part starts.
    expected_changes: Option<u64>,
    /// Of frames whose file names none.
    interface: Arc<str>,
    done: bool,
    boundary_missed: bool,
}

impl FrameReader {
    /// Opens an input from its start.
    pub(super) fn open(store: &Arc<Store>, name: &Arc<str>) -> Result<Self, Error> {
        Self::open_until(store, name, u64::MAX, None)
    }

    /// Opens the part of an input that ends before the first record at `range.end` or later,
    /// where the next part's reader starts with `start`.
    pub(super) fn open_part(
        store: &Arc<Store>,
        name: &Arc<str>,
        range: Range<u64>,
        start: &Format,
    ) -> Result<Self, Error> {
        if range.start == 0 {
            return Self::open_until(store, name, range.end, Some(start.changes()));
        }
        let (window, shared) = window(store, range.start, range.end)
            .map_err(|source| Error::io("read", name, source))?;
        Ok(Self {
            window,
            format: start.clone(),
            damage: Damage::new(Arc::clone(name)),
            store: Arc::clone(store),
            shared,
            expected_changes: Some(start.changes()),
            interface: Arc::default(),
            done: false,
            boundary_missed: false,
        })
    }

    fn open_until(
        store: &Arc<Store>,
        name: &Arc<str>,
        stop: u64,
        expected_changes: Option<u64>,
    ) -> Result<Self, Error> {
        let (mut window, shared) =
            window(store, 0, stop).map_err(|source| Error::io("read", name, source))?;
        let mut damage = Damage::new(Arc::clone(name));
        let Some(format) = Format::open(&mut window, &mut damage) else {
            return Err(Error::NotACapture {
                file: name.to_string(),
                found: describe(window.bytes()),
            });
        };
        Ok(Self {
            window,
            format,
            damage,
            store: Arc::clone(store),
            shared,
            expected_changes,
            interface: Arc::default(),
            done: false,
            boundary_missed: false,
        })
    }

    /// Gives the frames of a file that names no interface this one.
    pub(super) fn with_interface(mut self, interface: &Arc<str>) -> Self {
        self.interface = Arc::clone(interface);
        self
    }

    /// The next frame, borrowed until the next call; `None` at the end, and then for ever.
    /// Damage ends nothing that can be read on, and is in [`Self::warnings`].
    #[inline]
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        let record = loop {
            let record = match &mut self.format {
                _ if self.done => None,
                Format::Pcap(pcap) => pcap.next(&mut self.window, &mut self.damage),
                Format::Pcapng(pcapng) => pcapng.next(&mut self.window, &mut self.damage),
                Format::Unreadable => None,
            };
            if record.is_some() || !self.resume() {
                break record;
            }
        };
        let Some(record) = record else {
            self.finish();
            return None;
        };
        let interface = match (&self.format, record.interface) {
            (Format::Pcapng(pcapng), Some(index)) => pcapng.interface_name(index),
            _ => &self.interface,
        };
        Some(Frame {
            time_ns: record.time_ns,
            wire_len: record.wire_len,
            link_type: record.link_type,
            interface,
            offset: record.offset,
            data: self.window.taken(record.data),
        })
    }

    /// The damage met so far: one warning, in which further damage is counted, or none.
    pub fn warnings(&self) -> &[Warning] {
        self.damage.warnings()
    }

    /// Stored bytes read so far (compressed bytes of a compressed input); may run ahead of the
    /// frames by a buffer.
    pub fn bytes_read(&self) -> u64 {
        self.shared.read.load(Ordering::Relaxed)
    }

    /// Whether the reader of a part, having given its last frame, did not stand at the start of
    /// the next part: then the frames of all parts together are not those of the file, and the
    /// caller must read the input unsplit. Always `false` for a whole input.
    pub fn boundary_missed(&self) -> bool {
        self.boundary_missed
    }

    /// The format as read so far, for the readers of parts.
    pub(super) fn into_format(self) -> Format {
        self.format
    }

    /// Goes on behind damage that the source can tell the end of: its next byte starts a record.
    #[cold]
    fn resume(&mut self) -> bool {
        let to = self.shared.resume.swap(0, Ordering::Relaxed);
        if self.done || to <= self.window.offset() || !matches!(self.format, Format::Pcap(_)) {
            return false;
        }
        let (stop, shared) = (self.window.stop(), self.shared.clone());
        let Ok(reader) = StoreReader::open_after(&self.store, to, stop, shared) else {
            return false;
        };
        let offset = self.window.offset();
        let reason = self.window.take_failure().unwrap_or_default();
        self.damage.report(offset, Problem::Read(reason));
        self.window = Window::new(Box::new(reader), to, stop);
        true
    }

    #[cold]
    fn finish(&mut self) {
        if self.done {
            return;
        }
        self.done = true;
        let offset = self.window.offset();
        if let Some(reason) = self.window.take_failure() {
            self.damage.report(offset, Problem::Read(reason));
        }
        let stop = self.window.stop();
        let expected = self.expected_changes.unwrap_or(self.format.changes());
        if stop != u64::MAX && (offset > stop || self.format.changes() != expected) {
            self.boundary_missed = true;
            self.damage.report(offset, Problem::PartBoundary);
        }
    }
}

/// The first bytes of what is not a capture, and what they are where that is known.
fn describe(start: &[u8]) -> String {
    let known = match start {
        [b's', b'n', b'o', b'o', b'p', 0, ..] => " (a snoop file)",
        [b'P', b'K', 3, 4, ..] => " (a zip archive)",
        [b'B', b'Z', b'h', ..] => " (bzip2)",
        [0x7f, b'E', b'L', b'F', ..] => " (a program)",
        [b'P', b'A', b'R', b'1', ..] => " (a Parquet file)",
        _ => "",
    };
    let hex: Vec<String> = start.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("{}{known}", hex.join(" "))
}
