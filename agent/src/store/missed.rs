//! What a span of a store's packets lacks: the loss tables of each source, over that span.

use std::path::Path;

use super::Error;
use super::layout::{self, Kind, Listing, Source, active_name};
use super::loss::{Loss, Sample, Table};

/// What one source lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The source.
    pub source: Source,
    /// What was counted, and when nothing was.
    pub loss: Loss,
    /// Lines of its tables that cannot be read: some loss may be unknown.
    pub damaged_lines: u64,
}

/// What the sources whose tag is asked for lost from `from_ns` (inclusive) to `to_ns` (exclusive),
/// in nanoseconds since 1970.
///
/// # Errors
/// If a folder or a table cannot be read.
pub fn missed(
    store: &Path,
    has_tag: impl Fn(&str) -> bool,
    from_ns: i64,
    to_ns: i64,
) -> Result<Vec<Missed>, Error> {
    let (sources, _) = layout::sources(store)?;
    let mut all = Vec::new();
    for source in sources.into_iter().filter(|source| has_tag(&source.tag)) {
        let (samples, damaged_lines) = samples(&source.folder(store))?;
        let loss = Loss::over(&samples, from_ns, to_ns);
        all.push(Missed {
            source,
            loss,
            damaged_lines,
        });
    }
    Ok(all)
}

/// All samples of a source in the order of writing, and the lines that are none.
pub fn samples(folder: &Path) -> Result<(Vec<Sample>, u64), Error> {
    let listing = Listing::read(folder)?;
    let closed = listing
        .closed
        .iter()
        .filter(|(_, set)| set.has(Kind::Counters));
    let mut paths: Vec<_> = closed
        .map(|(at, set)| (*at, set.name.path(folder, Kind::Counters)))
        .collect();
    for (at, kinds) in &listing.active {
        if kinds.contains(&Kind::Counters) {
            paths.push((*at, folder.join(active_name(*at, Kind::Counters))));
        }
    }
    paths.sort();
    let (mut samples, mut damaged) = (Vec::new(), 0);
    for (_, path) in paths {
        let table = Table::read(&path).map_err(Error::io("read", &path))?;
        samples.extend(table.samples);
        damaged += table.damaged_lines;
    }
    Ok((samples, damaged))
}
