//! Tables of tuples alone: made of an active file's tuples, in the form of a sidecar, but nothing
//! that could be made again, because no packets were stored.

use std::{fs::File, ops::Range, path::Path, time::SystemTime};

use super::{
    Error, ROWS_PER_GROUP, Sidecar, key,
    publish::publish,
    write::{Rows, Table, Totals, fact},
};
use crate::store::{
    layout::ClosedName,
    tuples::{self, Found, Tuples},
};

/// A table that was made.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Alone {
    /// Offset of the first record that is damaged.
    pub(in crate::store) damaged_at: Option<u64>,
}

/// Makes the table of the tuples in the first `length` bytes of an active file. It appears under
/// its name when it is complete and on the disk, with `closed` as the time of its last change.
///
/// Damaged records are left out; who closes a file keeps them elsewhere.
pub(in crate::store) fn build_alone(
    active: &File,
    length: u64,
    path: &Path,
    closed: SystemTime,
) -> Result<Alone, Error> {
    publish(path, Some(closed), |output| {
        fill(active, 0..length, path, output)
    })
}

/// The table of the tuples at some offsets of an active file, under no name.
pub(in crate::store) fn table_of(
    active: &File,
    range: Range<u64>,
    path: &Path,
) -> Result<Sidecar, Error> {
    let table = rustix::fs::memfd_create("tuples", rustix::fs::MemfdFlags::CLOEXEC);
    let table = table.map(File::from).map_err(|e| Error::Io {
        action: "make a table in memory of",
        path: path.to_path_buf(),
        source: e.into(),
    })?;
    fill(active, range, path, &table)?;
    Sidecar::of_file(table, path)
}

fn fill(active: &File, range: Range<u64>, path: &Path, output: &File) -> Result<Alone, Error> {
    let make = |e: &dyn std::fmt::Display| Error::Make {
        path: path.to_path_buf(),
        reason: e.to_string(),
    };
    let read = |source| Error::Io {
        action: "read the tuples for",
        path: path.to_path_buf(),
        source,
    };
    let link_type = tuples::read_header(active).map_err(read)?;
    let link_type = link_type.ok_or_else(|| make(&"its active file is none of tuples"))?;
    let mut table = Table::new(output).map_err(|e| make(&e))?;
    let mut damaged_at = None;
    let (mut rows, mut totals) = (Rows::default(), Totals::default());
    for record in Tuples::within(active, link_type, range) {
        let (offset, found) = record.map_err(read)?;
        let Found::Tuple(tuple) = found else {
            damaged_at = damaged_at.or(Some(offset));
            continue;
        };
        totals.add(&tuple);
        rows.push(&tuple, offset);
        if rows.len() >= ROWS_PER_GROUP {
            table.write(&rows).map_err(|e| make(&e))?;
            rows = Rows::default();
        }
    }
    if rows.len() > 0 {
        table.write(&rows).map_err(|e| make(&e))?;
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let sequence = name
        .and_then(ClosedName::parse)
        .map(|(name, _)| name.sequence);
    let mut facts = totals.facts(0, sequence.unwrap_or_default());
    facts.push(fact(key::TUPLES_ALONE, "1".to_owned()));
    table.finish(facts).map_err(|e| make(&e))?;
    Ok(Alone { damaged_at })
}
