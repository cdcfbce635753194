//! What is wrong inside a capture file: one warning per file, the further ones counted.

use std::{fmt, sync::Arc};

/// The damage of one file: its first place and reason, and how much more there was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Name of the input.
    pub file: Arc<str>,
    /// Byte offset of the first damage in the (decompressed) file.
    pub offset: u64,
    /// The first damage.
    pub problem: Problem,
    /// Number of damaged places after the first.
    pub further: u64,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: at byte {}: {}",
            self.file, self.offset, self.problem
        )?;
        match self.further {
            0 => Ok(()),
            1 => f.write_str(" (and 1 more damaged place)"),
            n => write!(f, " (and {n} more damaged places)"),
        }
    }
}

/// One kind of damage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No byte at all.
    #[error("the file is empty")]
    Empty,
    /// The file ends inside a structure.
    #[error("the file is cut short: it ends {have} bytes into a {what}")]
    Cut {
        /// The structure.
        what: &'static str,
        /// Bytes of it that are there.
        have: u64,
    },
    /// Version field of a pcap file header.
    #[error("pcap version {major}.{minor} is not known")]
    PcapVersion {
        /// Major.
        major: u16,
        /// Minor.
        minor: u16,
    },
    /// Version field of a pcap file header, above the last version that there is.
    #[error("pcap version {major}.{minor} is not known, its records are read as those of 2.4")]
    PcapNewer {
        /// Major.
        major: u16,
        /// Minor.
        minor: u16,
    },
    /// A pcap record that claims more than any record may have.
    #[error("a record claims {length} captured bytes, more than {limit}")]
    RecordLength {
        /// As stated in the record header, in bytes.
        length: u32,
        /// Largest accepted, in bytes.
        limit: u32,
    },
    /// A pcap record header of zeros, as left by a crashed machine.
    #[error("zero bytes where a record header should be")]
    ZeroRecord,
    /// A pcapng block length that no block can have.
    #[error("a block claims a length of {0} bytes")]
    BlockLength(u32),
    /// The two lengths of a pcapng block differ.
    #[error("a block states the length {first} at its start and {last} at its end")]
    BlockTrailer {
        /// At its start, in bytes.
        first: u32,
        /// At its end, in bytes.
        last: u32,
    },
    /// Byte-order magic of a section header.
    #[error("a section header has no byte-order magic")]
    SectionMagic,
    /// Version of a section.
    #[error("pcapng version {major}.{minor} is not known, its section is skipped")]
    SectionVersion {
        /// Major.
        major: u16,
        /// Minor.
        minor: u16,
    },
    /// A block whose fixed fields do not fit its length.
    #[error("a {0} is too short for its fields")]
    ShortBlock(&'static str),
    /// An option that passes the end of its block.
    #[error("an option of a {block} claims {length} bytes, more than the block has")]
    OptionLength {
        /// The block.
        block: &'static str,
        /// As stated, in bytes.
        length: u16,
    },
    /// More captured bytes than the block has room for.
    #[error("a packet block claims {0} captured bytes, more than it has")]
    PacketLength(u32),
    /// A packet of an interface that was not described.
    #[error("a packet of interface {0}, which the section does not describe")]
    UnknownInterface(u32),
    /// More interface descriptions than are kept.
    #[error("more than {0} interfaces in one section")]
    TooManyInterfaces(usize),
    /// A time before 1677 or after 2262.
    #[error("a time does not fit 64-bit nanoseconds since 1970, the nearest that does is used")]
    TimeRange,
    /// The system or a decompressor failed.
    #[error("cannot read on: {0}")]
    Read(String),
    /// A part did not end where the next one starts: the frames of the parts of this file are not
    /// those of the file, read it unsplit (see [`super::Part`]).
    #[error("the file is damaged near a place where it was split for parallel reading")]
    PartBoundary,
}

/// Joins the warnings of several readers (parts of files, or files) to one per file: the
/// earliest damage stands, the others are counted. Sorted by file name.
pub fn merge_warnings(all: impl IntoIterator<Item = Warning>) -> Vec<Warning> {
    let mut all: Vec<Warning> = all.into_iter().collect();
    all.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
    let mut merged: Vec<Warning> = Vec::new();
    for warning in all {
        match merged.last_mut() {
            Some(last) if last.file == warning.file => {
                last.further = last
                    .further
                    .saturating_add(warning.further)
                    .saturating_add(1);
            }
            _ => merged.push(warning),
        }
    }
    merged
}

/// Collects the damage of one reader.
#[derive(Debug)]
pub(super) struct Damage {
    file: Arc<str>,
    warning: Option<Warning>,
}

impl Damage {
    pub(super) fn new(file: Arc<str>) -> Self {
        Self {
            file,
            warning: None,
        }
    }

    pub(super) fn report(&mut self, offset: u64, problem: Problem) {
        match &mut self.warning {
            Some(warning) => warning.further = warning.further.saturating_add(1),
            None => {
                self.warning = Some(Warning {
                    file: Arc::clone(&self.file),
                    offset,
                    problem,
                    further: 0,
                });
            }
        }
    }

    pub(super) fn warnings(&self) -> &[Warning] {
        self.warning.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(file: &str, offset: u64, further: u64) -> Warning {
        Warning {
            file: file.into(),
            offset,
            problem: Problem::ZeroRecord,
            further,
        }
    }

    #[test]
    fn warnings_join_to_one_per_file() {
        let merged = merge_warnings([warning("b", 9, 0), warning("a", 70, 2), warning("a", 40, 1)]);
        assert_eq!(merged, [warning("a", 40, 4), warning("b", 9, 0)]);
        assert_eq!(
            merged[0].to_string(),
            "a: at byte 40: zero bytes where a record header should be (and 4 more damaged places)"
        );
    }
}
