//! Closed capture files into compressed frames, and which form stays after a crash.
//!
//! The compressed file is written under another name, brought to the disk, read again and compared
//! byte for byte, and gets its name by rename; only then does the other one go. So there is always
//! one that is whole.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{
    Error, close, exclusive,
    layout::{ClosedName, Kind, TEMPORARY},
};
use crate::capfile::{Input, compress_frames};

/// How closed capture files are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// As they are.
    #[default]
    Off,
    /// In zstd frames, at a level of zstd.
    Zstd(i32),
}

/// The level of a plain `zstd`, which is also that of the command.
const LEVEL: i32 = 3;
/// Levels that `zstd` and `zstd --ultra` take.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=22;

impl Compress {
    /// Reads `none`, `zstd` or `zstd:LEVEL`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let level = match text.split_once(':') {
            Some(("zstd", level)) => level.parse().ok(),
            None if text == "zstd" => Some(LEVEL),
            None if text == "none" => return Ok(Self::Off),
            _ => None,
        };
        level
            .filter(|level| LEVELS.contains(level))
            .map(Self::Zstd)
            .ok_or_else(|| {
                format!("{text:?} is no compression: write none, zstd, or zstd:LEVEL from 1 to 22")
            })
    }
}

/// A capture file that was compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressed {
    /// Its path now.
    pub path: PathBuf,
    /// Bytes before.
    pub raw_bytes: u64,
    /// Bytes now.
    pub bytes: u64,
}

/// The path of a closed capture file in its other form, by either.
pub fn path_of(capture: &Path, kind: Kind) -> Option<PathBuf> {
    let (name, found) = ClosedName::parse(capture.file_name()?.to_str()?)?;
    found
        .has_packets()
        .then(|| capture.with_file_name(name.file_name(kind)))
}

/// Compresses a closed capture file; `None` if it went meanwhile, is compressed, or there was no
/// time, as is asked after every piece.
///
/// # Errors
/// If a file cannot be read or written; the capture file stays as it was then.
pub fn compress(
    capture: &Path,
    level: i32,
    has_time: &dyn Fn() -> bool,
) -> Result<Option<Compressed>, Error> {
    let paths = path_of(capture, Kind::Capture).zip(path_of(capture, Kind::Compressed));
    let Some((raw, compressed)) = paths else {
        return Ok(None);
    };
    let input = match File::open(&raw) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::io("open", &raw))?,
    };
    let mut temporary = compressed.clone().into_os_string();
    temporary.push(TEMPORARY);
    let temporary = PathBuf::from(temporary);
    let written = write(&raw, &input, &temporary, level, has_time);
    let done = written.and_then(|lengths| {
        let Some((raw_bytes, bytes)) = lengths else {
            close::remove(&temporary)?;
            return Ok(None);
        };
        let there = replace(&raw, &temporary, &compressed)?;
        let path = compressed;
        Ok(there.then_some(Compressed {
            path,
            raw_bytes,
            bytes,
        }))
    });
    done.inspect_err(|_| {
        // What stays is removed by the next start.
        let _ = close::remove(&temporary);
    })
}

/// A file that is read while there is time.
struct WhileThereIsTime<'a>(&'a File, &'a dyn Fn() -> bool);

impl Read for WhileThereIsTime<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.1() {
            true => self.0.read(bytes),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Writes the compressed file and compares it; the lengths of both, `None` without the time.
fn write(
    raw: &Path,
    input: &File,
    temporary: &Path,
    level: i32,
    has_time: &dyn Fn() -> bool,
) -> Result<Option<(u64, u64)>, Error> {
    let failed = |action| Error::io(action, temporary);
    let metadata = input.metadata().map_err(Error::io("read", raw))?;
    let mut output = File::create(temporary).map_err(failed("create"))?;
    let input = WhileThereIsTime(input, has_time);
    let bytes = match compress_frames(input, &mut output, level) {
        Err(e) if e.kind() == io::ErrorKind::TimedOut && !has_time() => return Ok(None),
        written => written.map_err(failed("write"))?,
    };
    // When it was closed is what retention goes by.
    let closed = metadata.modified().map_err(Error::io("read", raw))?;
    output.set_modified(closed).map_err(failed("write"))?;
    output.sync_data().map_err(failed("write"))?;
    let same = same(raw, temporary).map_err(failed("compare"))?;
    match same {
        true => Ok(Some((metadata.len(), bytes))),
        false => {
            let e = io::Error::other("it does not come back as it was written");
            Err(failed("compare")(e))
        }
    }
}

/// Gives the compressed file its name and removes the other one; whether it is there then.
fn replace(raw: &Path, temporary: &Path, compressed: &Path) -> Result<bool, Error> {
    let folder = raw.parent().unwrap_or(Path::new("/"));
    let _held = exclusive::exclusive(folder)?;
    fs::rename(temporary, compressed).map_err(Error::io("rename", temporary))?;
    close::sync_folders(folder, folder)?;
    match fs::remove_file(raw) {
        // Retention took the capture meanwhile: it must not come back.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            close::remove(compressed)?;
            Ok(false)
        }
        other => other.map_err(Error::io("remove", raw)).map(|()| true),
    }
}

/// Where a crash left both forms, removes the compressed one if it is not the same, else the
/// other one; the path of what was removed, if both were there.
pub(super) fn settle(raw: &Path, compressed: &Path) -> Result<Option<PathBuf>, Error> {
    let folder = raw.parent().unwrap_or(Path::new("/"));
    let _held = exclusive::exclusive(folder)?;
    if !raw.exists() || !compressed.exists() {
        return Ok(None);
    }
    let goes = match same(raw, compressed) {
        Ok(true) => raw,
        // Whatever is wrong with it: the other one is the capture file.
        Ok(false) | Err(_) => compressed,
    };
    close::remove(goes)?;
    Ok(Some(goes.to_owned()))
}

/// Whether a compressed file is the other one in whole frames with a whole table.
fn same(raw: &Path, compressed: &Path) -> io::Result<bool> {
    let mut expected = BufReader::with_capacity(BUFFER, File::open(raw)?);
    let nowhere = PathBuf::new();
    let name = compressed.to_string_lossy();
    let input = Input::from_forms(&name, nowhere, compressed.to_owned(), u64::MAX, 0);
    let failed = |e| io::Error::other(format!("{e}"));
    if input.facts().map_err(failed)?.damage.is_some() {
        return Ok(false);
    }
    let mut found = input.bytes().map_err(failed)?;
    let (mut a, mut b) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let n = found.read(&mut a)?;
        let (Some(a), Some(b)) = (a.get(..n), b.get_mut(..n)) else {
            return Ok(false);
        };
        if n == 0 {
            return Ok(expected.read(&mut [0])? == 0);
        }
        match expected.read_exact(b) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        }
        if *a != *b {
            return Ok(false);
        }
    }
}

/// Bytes compared at a time.
const BUFFER: usize = 256 << 10;

#[cfg(test)]
mod tests;
