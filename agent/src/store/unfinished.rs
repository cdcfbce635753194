//! What a run that was ended left to be done with the files that it had closed.

use std::path::{Path, PathBuf};

use super::{
    Error,
    layout::{Kind, Listing},
};

/// A closed capture file that lacks something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The file.
    pub path: PathBuf,
    /// Whether it has a sidecar.
    pub has_sidecar: bool,
}

/// The closed capture files of a source without a sidecar, or, where they are to be compressed,
/// as they were written; oldest first.
pub fn unfinished(source_folder: &Path, compressing: bool) -> Result<Vec<Unfinished>, Error> {
    let listing = Listing::read(source_folder)?;
    let sets = listing.closed.values();
    Ok(sets
        .filter_map(|set| {
            let kind = set.packets()?;
            let has_sidecar = set.has(Kind::Sidecar);
            let is_raw = kind == Kind::Capture;
            (!has_sidecar || compressing && is_raw).then(|| Unfinished {
                path: set.name.path(source_folder, kind),
                has_sidecar,
            })
        })
        .collect())
}
