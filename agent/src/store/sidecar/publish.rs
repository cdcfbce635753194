//! A table appears under its name when it is complete and on the disk.

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::SystemTime,
};

use super::Error;
use crate::store::{close, layout::TEMPORARY};

/// Makes a table under another name and gives it its own; `changed` is then the time of its last
/// change.
pub(super) fn publish<T>(
    path: &Path,
    changed: Option<SystemTime>,
    make: impl FnOnce(&File) -> Result<T, Error>,
) -> Result<T, Error> {
    let temporary = path.with_extension(format!("parquet{TEMPORARY}"));
    let output = File::create(&temporary).map_err(failed("create", &temporary))?;
    let made = make(&output).and_then(|made| {
        if let Some(changed) = changed {
            let set = output.set_modified(changed);
            set.map_err(failed("write", &temporary))?;
        }
        output.sync_data().map_err(failed("write", &temporary))?;
        fs::rename(&temporary, path).map_err(failed("rename", &temporary))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(failed("write the folder", folder))?;
        Ok(made)
    });
    made.inspect_err(|_| {
        // What stays is removed by the next start.
        let _ = close::remove(&temporary);
    })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}
