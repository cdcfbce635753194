//! The uncompressed bytes of a compressed file, from any place: a frame at a time is held.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    sync::Arc,
};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{
    MAX_COMPRESSED, MAX_FRAMES, WINDOW_LOG,
    table::{Found, FrameAt, Table, look},
};

/// The compressed bytes.
#[derive(Clone, Debug)]
pub(in crate::capfile) enum Bytes {
    /// In a file.
    File(Arc<File>),
    /// In memory.
    Memory(Arc<[u8]>),
}

impl Bytes {
    pub(in crate::capfile) fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    pub(super) fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(buf, at),
            Self::Memory(bytes) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                let have = bytes.get(at..).and_then(|rest| rest.get(..buf.len()));
                buf.copy_from_slice(have.ok_or(ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// Reads uncompressed bytes; the last frame is kept, so that what lies near costs nothing more.
pub(in crate::capfile) struct FrameBytes {
    source: Bytes,
    table: Arc<Table>,
    decoder: Decoder<'static>,
    compressed: Vec<u8>,
    data: Vec<u8>,
    /// The frame whose bytes `data` has.
    held: Option<FrameAt>,
}

impl std::fmt::Debug for FrameBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameBytes")
            .field("source", &self.source)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl FrameBytes {
    pub(in crate::capfile) fn new(source: Bytes, table: Arc<Table>) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        Ok(Self {
            source,
            table,
            decoder,
            compressed: Vec::new(),
            data: Vec::new(),
            held: None,
        })
    }

    /// Reads some of the bytes from `at` on; none at the end. Adds the compressed bytes that it
    /// took to `taken`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] where the frame is damaged, or the file behind all frames.
    pub(in crate::capfile) fn read_at(
        &mut self,
        buf: &mut [u8],
        at: u64,
        taken: &mut u64,
    ) -> io::Result<usize> {
        let held = |frame: &FrameAt| (frame.start..frame.end()).contains(&at);
        let frame = match self.held.filter(held) {
            Some(frame) => frame,
            None => {
                let Some(frame) = self.table.find(at).and_then(|n| self.table.frames.get(n)) else {
                    return match &self.table.damage {
                        Some(reason) => Err(damaged(reason.clone())),
                        None => Ok(0),
                    };
                };
                let frame = *frame;
                self.held = None;
                *taken += u64::from(frame.length);
                self.decode(frame)?;
                self.held = Some(frame);
                frame
            }
        };
        let from = usize::try_from(at - frame.start).unwrap_or(usize::MAX);
        let have = self.data.get(from..).unwrap_or_default();
        let n = have.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), have.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }

    pub(in crate::capfile) fn table(&self) -> &Table {
        &self.table
    }

    /// Compressed bytes of the file.
    pub(in crate::capfile) fn stored(&self) -> io::Result<u64> {
        self.source.length()
    }

    /// Where reading can go on behind a frame that is damaged: our frames hold whole packets.
    pub(in crate::capfile) fn after_damage(&self, at: u64) -> Option<u64> {
        let frame = self.table.find(at).and_then(|n| self.table.frames.get(n))?;
        Some(frame.end())
    }

    fn decode(&mut self, frame: FrameAt) -> io::Result<()> {
        let (length, bytes) = (frame.length as usize, frame.bytes as usize);
        self.compressed.resize(length, 0);
        let broken = |reason: &str| {
            damaged(format!(
                "the zstd frame at byte {} of the compressed file is damaged: {reason}",
                frame.at
            ))
        };
        self.source
            .read_exact_at(&mut self.compressed, frame.at)
            .map_err(|e| match e.kind() {
                ErrorKind::UnexpectedEof => broken("the file ends before it does"),
                _ => e,
            })?;
        self.data.resize(bytes, 0);
        match decode(&mut self.decoder, &self.compressed, &mut self.data) {
            Ok(true) => Ok(()),
            Ok(false) => Err(broken("it is not as long as it should be")),
            Err(e) => Err(broken(&e.to_string())),
        }
    }
}

fn damaged(reason: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

/// Decodes one frame; whether it ends, its check sum with it, where both its input and `data` do.
fn decode(decoder: &mut Decoder<'static>, compressed: &[u8], data: &mut [u8]) -> io::Result<bool> {
    decoder.reinit()?;
    let wanted = data.len();
    let mut input = InBuffer::around(compressed);
    let mut output = OutBuffer::around(data);
    loop {
        let before = (input.pos(), output.pos());
        let more = decoder.run(&mut input, &mut output)?;
        let after = (input.pos(), output.pos());
        if more == 0 {
            return Ok(after == (compressed.len(), wanted));
        }
        if before == after {
            return Ok(false);
        }
    }
}

/// Bytes in which the end of a frame is looked for at first.
const VIEW: u64 = 512 << 10;

/// Finds the frames of a file without a table that is believed, for the `reason` given.
pub(super) fn search(file: &Bytes, length: u64, reason: &str) -> io::Result<Table> {
    let mut table = Table::default();
    let mut at = 0;
    let (mut bytes, mut view) = (Vec::new(), VIEW);
    let damage = loop {
        let rest = length.saturating_sub(at);
        if rest == 0 {
            break reason.to_owned();
        }
        if table.frames.len() as u64 == MAX_FRAMES {
            break format!("more than {MAX_FRAMES} zstd frames, the next at byte {at}");
        }
        bytes.resize(rest.min(view) as usize, 0);
        file.read_exact_at(&mut bytes, at)?;
        let found = look(&bytes);
        if matches!(found, Found::Broken) && view < rest.min(u64::from(MAX_COMPRESSED)) {
            view = u64::from(MAX_COMPRESSED);
            continue;
        }
        view = VIEW;
        match found {
            Found::Frame(length, content) => {
                table.push(length, content);
                at += u64::from(length);
            }
            Found::Table => break reason.to_owned(),
            Found::Nothing(what) => break format!("{what} at byte {at} of the compressed file"),
            // What of it could be decoded has no check sum, so that it is not believed.
            Found::Broken => {
                break format!(
                    "the zstd frame at byte {at} of the compressed file is cut or damaged"
                );
            }
        }
    };
    table.damage = Some(damage);
    Ok(table)
}
