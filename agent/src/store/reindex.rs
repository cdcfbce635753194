//! Making the sidecars that are missing or not valid, or all of them again.

use std::path::Path;

use super::{
    Error, Filter, Snapshot,
    sidecar::{self, Made},
};

/// What was made, and what could not be.
#[derive(Debug, Default)]
pub struct Reindexed {
    /// Sidecars made.
    pub made: Vec<Made>,
    /// Files that have a valid one already.
    pub kept: u64,
    /// Files of tuples alone, which are left as they are.
    pub alone: u64,
    /// Files without: queries read the capture file itself.
    pub failed: Vec<sidecar::Error>,
}

/// Makes sidecars for the closed files of the sources asked for.
pub fn reindex(
    store: &Path,
    filter: &Filter<'_>,
    all: bool,
    rows_per_group: usize,
) -> Result<Reindexed, Error> {
    let mut done = Reindexed::default();
    let snapshot = Snapshot::take(store, filter)?;
    for file in snapshot.files.iter().filter(|file| !file.active) {
        // Its table is all that there is, and cannot be made again.
        if file.tuples_alone {
            done.alone += 1;
            continue;
        }
        let valid = matches!(file.open_sidecar(), Some(Ok(_)));
        if valid && !all {
            done.kept += 1;
            continue;
        }
        match sidecar::build(&file.path, rows_per_group) {
            Ok(made) => done.made.push(made),
            // Retention was faster.
            Err(_) if file.input().is_err() => {}
            Err(e) => done.failed.push(e),
        }
    }
    Ok(done)
}
