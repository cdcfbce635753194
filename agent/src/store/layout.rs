//! Names of folders and files in a store: made here, parsed here, and nowhere else.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDateTime, Utc};

use super::{Error, exclusive, fill};

/// Holds the lock and the state of a source's writer.
pub(super) const STATE_FILE: &str = "writer.state";
/// The socket of the agent that writes the store, in the store's folder.
pub const SOCKET_NAME: &str = "agent.sock";
/// Ends the names of files that are not complete yet.
pub(super) const TEMPORARY: &str = ".tmp";
/// Configuration in a well's folder.
pub(super) const WELL_FILE: &str = "well.toml";
/// What ext4 makes in the root of a file system, for root alone: a store may be such a root.
const LOST_AND_FOUND: &str = "lost+found";

/// Where packets come from: one folder of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The well, which keeps the packets.
    pub well: String,
    /// The interface that received them, or `import`.
    pub interface: String,
    /// The tag that queries ask for.
    pub tag: String,
}

impl Source {
    /// Folder of the source below the store: `WELL/IFACE` where the tag has the well's name, else
    /// `WELL/IFACE=TAG`.
    pub fn folder(&self, store: &Path) -> PathBuf {
        store.join(escape(&self.well)).join(self.folder_name())
    }

    fn folder_name(&self) -> String {
        let interface = escape(&self.interface);
        match self.tag == self.well {
            true => interface,
            false => format!("{interface}={}", escape(&self.tag)),
        }
    }

    /// The source of a folder in a well's folder; `None` if no source is written so.
    pub fn parse(well: &str, folder_name: &str) -> Option<Self> {
        let (interface, tag) = match folder_name.split_once('=') {
            Some((interface, tag)) => (interface, unescape(tag)?),
            None => (folder_name, well.to_owned()),
        };
        let source = Self {
            well: well.to_owned(),
            interface: unescape(interface)?,
            tag,
        };
        (source.folder_name() == folder_name).then_some(source)
    }

    /// Refuses names for which there is no folder.
    pub(super) fn check(&self) -> Result<(), Error> {
        let names = [
            ("well", &self.well),
            ("interface", &self.interface),
            ("tag", &self.tag),
        ];
        match names.iter().find(|(_, name)| name.is_empty()) {
            Some((what, _)) => Err(Error::EmptyName(what)),
            None if self.well == LOST_AND_FOUND => Err(Error::TakenName(LOST_AND_FOUND)),
            None => Ok(()),
        }
    }
}

/// A name as a path component: bytes other than letters, digits and `-_.:@+,` become `%XX`, as
/// does a dot at the start.
pub(super) fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.:@+,".contains(&byte);
        if plain && !(at == 0 && byte == b'.') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// The name that [`escape`] writes so; `None` if it writes none so.
pub(super) fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    let name = String::from_utf8(bytes).ok()?;
    (!name.is_empty() && escape(&name) == escaped).then_some(name)
}

/// The well that a folder of the store is named for; `None` if none is.
pub(super) fn well_of(folder_name: &str) -> Option<String> {
    unescape(folder_name).filter(|name| name != LOST_AND_FOUND)
}

/// What a file of a source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Packets: `.pcap`.
    Capture,
    /// The same packets in compressed frames, after the capture file is closed: `.pcap.zst`.
    Compressed,
    /// Tuples of the packets, beside them or instead of them: `.parquet`.
    Sidecar,
    /// Tuples being written instead of packets, which are a [`Self::Sidecar`] once they are
    /// closed: `.tuples`.
    Tuples,
    /// What was lost meanwhile: `.counters`.
    Counters,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Capture,
        Self::Compressed,
        Self::Sidecar,
        Self::Tuples,
        Self::Counters,
    ];

    /// Whether it holds packets.
    pub fn has_packets(self) -> bool {
        matches!(self, Self::Capture | Self::Compressed)
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Capture => "pcap",
            Self::Compressed => "pcap.zst",
            Self::Sidecar => "parquet",
            Self::Tuples => "tuples",
            Self::Counters => "counters",
        }
    }

    fn split(name: &str) -> Option<(&str, Self)> {
        Self::ALL.iter().find_map(|&kind| {
            let stem = name.strip_suffix(kind.extension())?.strip_suffix('.')?;
            Some((stem, kind))
        })
    }
}

/// The name that the files of one closed capture share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedName {
    /// Time of the first packet, in nanoseconds since 1970, not before it.
    pub time_ns: i64,
    /// Number in the order of writing.
    pub sequence: u64,
}

impl ClosedName {
    fn time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.time_ns)
    }

    /// The day's folder below the source's.
    pub fn folder(self, source_folder: &Path) -> PathBuf {
        source_folder.join(self.time().format("%Y/%m/%d").to_string())
    }

    /// Name of one of the files.
    pub fn file_name(self, kind: Kind) -> String {
        let (time, sequence) = (self.time(), self.sequence);
        let seconds = time.format("%Y%m%dT%H%M%S");
        let fraction = time.timestamp_subsec_nanos();
        format!(
            "{seconds}.{fraction:09}Z-{sequence:06}.{}",
            kind.extension()
        )
    }

    /// Path of one of the files.
    pub fn path(self, source_folder: &Path, kind: Kind) -> PathBuf {
        self.folder(source_folder).join(self.file_name(kind))
    }

    /// The name and kind of a file; `None` if no file is named so.
    pub fn parse(file_name: &str) -> Option<(Self, Kind)> {
        let (stem, kind) = Kind::split(file_name).filter(|(_, kind)| *kind != Kind::Tuples)?;
        let (time, sequence) = stem.split_once('-')?;
        let time = NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%S%.9fZ").ok()?;
        let name = Self {
            time_ns: time.and_utc().timestamp_nanos_opt()?,
            sequence: sequence.parse().ok()?,
        };
        (name.file_name(kind) == file_name).then_some((name, kind))
    }
}

/// Name of a file that is being written.
pub fn active_name(sequence: u64, kind: Kind) -> String {
    format!("active-{sequence:06}.{}", kind.extension())
}

/// Sequence number and kind of a file that is being written; `None` if none is named so.
pub fn parse_active(file_name: &str) -> Option<(u64, Kind)> {
    let (stem, kind) = Kind::split(file_name)?;
    let sequence = stem.strip_prefix("active-")?.parse().ok()?;
    if kind == Kind::Compressed {
        return None;
    }
    (active_name(sequence, kind) == file_name).then_some((sequence, kind))
}

/// Name of a file that recovery puts out of the way: what is in it nobody knows, or not wholly.
pub(super) fn aside_name(sequence: u64, kind: Kind) -> String {
    format!("damaged-{sequence:06}.{}", kind.extension())
}

fn is_aside(file_name: &str) -> bool {
    let number = |stem: &str| stem.strip_prefix("damaged-")?.parse().ok();
    Kind::split(file_name)
        .and_then(|(stem, kind)| Some(aside_name(number(stem)?, kind)))
        .is_some_and(|name| name == file_name)
}

/// The files of one closed capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSet {
    /// Their name.
    pub name: ClosedName,
    /// Which of them there are.
    pub kinds: Vec<Kind>,
}

impl FileSet {
    /// Whether there is a file of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// The kind of the file that has its packets. For a moment there are both; then it is the one
    /// that goes, whose name leads to the other.
    pub fn packets(&self) -> Option<Kind> {
        [Kind::Capture, Kind::Compressed]
            .into_iter()
            .find(|&kind| self.has(kind))
    }
}

/// What is in a source's folder.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Files being written (or left so), by sequence number.
    pub active: BTreeMap<u64, Vec<Kind>>,
    /// Closed files, by sequence number.
    pub closed: BTreeMap<u64, FileSet>,
    /// Files that were never completed.
    pub temporary: Vec<PathBuf>,
    /// Files that recovery put out of the way.
    pub aside: Vec<PathBuf>,
    /// Files that the store did not write, or not there.
    pub unknown: Vec<PathBuf>,
}

impl Listing {
    /// Lists a source's folder: first what is being written, then what is closed, so that a file
    /// that is closed meanwhile is found at least once.
    pub fn read(source_folder: &Path) -> Result<Self, Error> {
        let mut listing = Self::default();
        let mut years = Vec::new();
        for (path, name, is_folder) in entries(source_folder)? {
            match parse_active(&name) {
                _ if is_folder && is_number(&name, 4) => years.push(path),
                Some((sequence, kind)) if !is_folder => {
                    listing.active.entry(sequence).or_default().push(kind);
                }
                _ if !is_folder && name == STATE_FILE => {}
                _ if !is_folder && is_aside(&name) => listing.aside.push(path),
                _ => listing.note(path, &name, is_folder),
            }
        }
        for year in years {
            listing.numbered(&year, &mut |listing, month| {
                listing.numbered(&month, &mut |listing, day| listing.day(source_folder, &day))
            })?;
        }
        Ok(listing)
    }

    /// Highest sequence number that a file has.
    pub fn last_sequence(&self) -> Option<u64> {
        let active = self.active.keys().next_back();
        active.max(self.closed.keys().next_back()).copied()
    }

    fn note(&mut self, path: PathBuf, name: &str, is_folder: bool) {
        match !is_folder && is_temporary(name) {
            true => self.temporary.push(path),
            false => self.unknown.push(path),
        }
    }

    fn numbered(
        &mut self,
        folder: &Path,
        each: &mut dyn FnMut(&mut Self, PathBuf) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (path, name, is_folder) in entries(folder)? {
            match is_folder && is_number(&name, 2) {
                true => each(self, path)?,
                false => self.note(path, &name, is_folder),
            }
        }
        Ok(())
    }

    fn day(&mut self, source_folder: &Path, day: &Path) -> Result<(), Error> {
        // Listing takes time, in which a file must not pass from a name that was not looked at
        // yet to one that should have been.
        let _shared = exclusive::shared(day);
        for (path, name, is_folder) in entries(day)? {
            let parsed = ClosedName::parse(&name)
                .filter(|(closed, _)| !is_folder && closed.folder(source_folder) == day);
            let Some((closed, kind)) = parsed else {
                self.note(path, &name, is_folder);
                continue;
            };
            let set = self.closed.entry(closed.sequence).or_insert(FileSet {
                name: closed,
                kinds: Vec::new(),
            });
            match set.name == closed {
                true => set.kinds.push(kind),
                false => self.unknown.push(path),
            }
        }
        Ok(())
    }
}

/// Whether a file is one of ours that was never completed.
fn is_temporary(name: &str) -> bool {
    name.strip_suffix(TEMPORARY)
        .is_some_and(|name| ClosedName::parse(name).is_some())
}

fn is_number(name: &str, digits: usize) -> bool {
    name.len() == digits && name.bytes().all(|b| b.is_ascii_digit())
}

/// Path, name and whether it is a folder, of all in a folder; nothing if there is none.
pub(super) fn entries(folder: &Path) -> Result<Vec<(PathBuf, String, bool)>, Error> {
    let failed = |source| Error::io("read the folder", folder)(source);
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut all = Vec::new();
    for entry in found {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        // A well may lie on another disk. Folders are only looked into to a fixed depth, so that a
        // link to one above it is no endless one.
        let is_folder = kind.is_dir() || kind.is_symlink() && entry.path().is_dir();
        let name = entry.file_name().to_string_lossy().into_owned();
        all.push((entry.path(), name, is_folder));
    }
    all.sort();
    Ok(all)
}

/// All sources of a store, and what in it is no source.
pub fn sources(store: &Path) -> Result<(Vec<Source>, Vec<PathBuf>), Error> {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for (path, name, is_folder) in entries(store)? {
        let Some(well) = well_of(&name).filter(|_| is_folder) else {
            let is_ours = match is_folder {
                true => name == LOST_AND_FOUND,
                false => name == SOCKET_NAME || fill::is_fill_name(&name),
            };
            if !is_ours {
                unknown.push(path);
            }
            continue;
        };
        for (path, name, is_folder) in entries(&path)? {
            match Source::parse(&well, &name) {
                Some(source) if is_folder => found.push(source),
                _ if name == WELL_FILE && !is_folder => {}
                _ => unknown.push(path),
            }
        }
    }
    Ok((found, unknown))
}

#[cfg(test)]
mod tests;
