//! Why a capture could not be opened.

use std::{io, path::PathBuf};

/// An input that cannot be read at all; what is damaged inside one is a [`super::Warning`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such file or folder.
    #[error("cannot find {}", .0.display())]
    Missing(PathBuf),
    /// A pattern that fits no file.
    #[error("no file fits the pattern {0}")]
    NoMatch(String),
    /// A pattern that is none.
    #[error("bad file name pattern {pattern}: {source}")]
    Pattern {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        source: glob::PatternError,
    },
    /// A folder in which nothing is a capture.
    #[error("no capture file in the folder {}", .0.display())]
    NoCaptures(PathBuf),
    /// Neither pcap nor pcapng, compressed or not.
    #[error("{file} is not a capture file: it starts with {found}")]
    NotACapture {
        /// Name of the input.
        file: String,
        /// Its first bytes, and what they belong to if that is known.
        found: String,
    },
    /// Standard input asked for more than once.
    #[error("standard input (-) can be read only once")]
    StdinTwice,
    /// The system refused.
    #[error("cannot {action} {file}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// Whether a file is not there.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Missing(_) => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// What to try next, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some("check the path; - is standard input"),
            Self::NoMatch(_) => Some("quote the pattern so that the shell leaves it alone"),
            Self::Pattern { .. } => Some("patterns know *, ?, [abc] and ** for folders"),
            Self::NoCaptures(_) => {
                Some("captures are found by content: pcap or pcapng, also as gzip, zstd, lz4, xz")
            }
            Self::NotACapture { .. } => {
                Some("pcap and pcapng are read; editcap -F pcapng converts many other formats")
            }
            Self::StdinTwice => Some("give - once"),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("the file must be readable by the user who runs flowsift")
            }
            Self::Io { .. } => None,
        }
    }

    pub(super) fn io(action: &'static str, file: &str, source: io::Error) -> Self {
        Self::Io {
            action,
            file: file.to_owned(),
            source,
        }
    }
}
