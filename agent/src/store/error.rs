//! Why the store could not be used.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A failure of the store; what recovery or a check found is in their reports.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another writer holds the source.
    #[error("cannot write to {}: another process writes there", .0.display())]
    Locked(PathBuf),
    /// A well, interface or tag without a name.
    #[error("cannot store packets under an empty {0} name")]
    EmptyName(&'static str),
    /// A well's name that file systems use for something else.
    #[error("cannot store packets in a well named {0}: file systems have a folder of that name")]
    TakenName(&'static str),
    /// A `well.toml` that cannot be used.
    #[error("cannot use {}: {reason}", path.display())]
    Well {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Two wells that claim one tag.
    #[error("cannot choose a well for the tag {tag}: {first} and {second} both have it")]
    AmbiguousTag {
        /// The tag.
        tag: String,
        /// A well that has it.
        first: String,
        /// Another one.
        second: String,
    },
    /// A capture file that was there is gone.
    #[error("cannot open {}: it was removed meanwhile", .0.display())]
    Removed(PathBuf),
    /// Tuples could not be made a table, or the table cannot be read.
    #[error(transparent)]
    Table(#[from] super::sidecar::Error),
    /// Packets were asked of a file that has tuples alone.
    #[error("{} has no packets: only their tuples were stored (capture --no-pcap)", .0.display())]
    TuplesAlone(PathBuf),
    /// A capture that cannot be read at all.
    #[error(transparent)]
    Capture(#[from] crate::capfile::Error),
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
