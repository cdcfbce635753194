//! What a span of a store's packets lacks: the loss tables of each source, over that span.

use std::path::{Path, PathBuf};

use super::Error;
use super::layout::{self, Kind, Listing, Source};
use super::loss::{Counts, Loss, Sample, Table};

/// Tables whose ends are so far from the span are not read: clocks do not jump by more.
const MARGIN_NS: i64 = 86_400_000_000_000;

/// What one source lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The source.
    pub source: Source,
    /// What was counted, and when nothing was.
    pub loss: Loss,
    /// Times of the first and the last sample that there is, in nanoseconds since 1970: nothing
    /// is known of the time before and after. `None` if there is none at all.
    pub known_ns: Option<(i64, i64)>,
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
    let asked = sources.into_iter().filter(|source| has_tag(&source.tag));
    asked
        .map(|source| of_source(store, source, from_ns, to_ns))
        .collect()
}

fn of_source(store: &Path, source: Source, from: i64, to: i64) -> Result<Missed, Error> {
    let paths = tables(&source.folder(store))?;
    let mut missed = Missed {
        source,
        loss: Loss::default(),
        known_ns: None,
        damaged_lines: 0,
    };
    let mut before: Option<Sample> = None;
    for path in paths {
        // One that retention removed meanwhile is as if it never was.
        let Some((first, last)) = Table::ends(&path).unwrap_or_default() else {
            continue;
        };
        if let Some(before) = before.filter(|before| before.run != first.run) {
            let gap = Loss::over(&[before, first], from, to);
            missed.loss.gaps_ns.extend(gap.gaps_ns);
        }
        before = Some(last);
        let (start, end) = missed.known_ns.unwrap_or((first.time_ns, last.time_ns));
        missed.known_ns = Some((start.min(first.time_ns), end.max(last.time_ns)));
        if is_near(first, last, from, to) {
            missed.add(&path, from, to)?;
        }
    }
    Ok(missed)
}

/// Whether a table with these ends may have samples of the span.
fn is_near(first: Sample, last: Sample, from: i64, to: i64) -> bool {
    last.time_ns.saturating_add(MARGIN_NS) >= from && first.time_ns.saturating_sub(MARGIN_NS) <= to
}

impl Missed {
    fn add(&mut self, path: &Path, from: i64, to: i64) -> Result<(), Error> {
        let table = Table::read(path).map_err(Error::io("read", path))?;
        let part = Loss::over(&table.samples, from, to);
        self.loss.counts = self.loss.counts.plus(&part.counts);
        self.loss.gaps_ns.extend(part.gaps_ns);
        self.loss.losses.extend(&part.losses);
        self.damaged_lines += table.damaged_lines;
        Ok(())
    }
}

/// Paths of the loss tables of a source, in the order of writing.
fn tables(source_folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let listing = Listing::read(source_folder)?;
    let closed = listing.closed.values();
    let mut all: Vec<(u64, PathBuf)> = closed
        .filter(|set| set.has(Kind::Counters))
        .map(|set| {
            (
                set.name.sequence,
                set.name.path(source_folder, Kind::Counters),
            )
        })
        .collect();
    for (&sequence, kinds) in &listing.active {
        if kinds.contains(&Kind::Counters) {
            let name = layout::active_name(sequence, Kind::Counters);
            all.push((sequence, source_folder.join(name)));
        }
    }
    all.sort();
    // Closed while the folder was read: it is there under both names.
    all.dedup_by_key(|(sequence, _)| *sequence);
    Ok(all.into_iter().map(|(_, path)| path).collect())
}

/// What was counted of a source from one sample to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Time of the later sample and the difference, in the order of writing.
    pub differences: Vec<(i64, Counts)>,
    /// Lines of the tables that are no samples.
    pub damaged_lines: u64,
}

/// What was counted of a source from `from_ns` (inclusive) to `to_ns` (exclusive), in nanoseconds
/// since 1970, by the time of the later sample. Tables that have nothing of that are not read.
///
/// # Errors
/// If a folder or a table cannot be read.
pub fn counted(folder: &Path, from_ns: i64, to_ns: i64) -> Result<Counted, Error> {
    let mut counted = Counted::default();
    for path in tables(folder)? {
        // One that retention removed meanwhile is as if it never was.
        let ends = Table::ends(&path).unwrap_or_default();
        if !ends.is_some_and(|(first, last)| is_near(first, last, from_ns, to_ns)) {
            continue;
        }
        // Each can be read alone, so that they are never all in memory.
        let table = Table::read(&path).map_err(Error::io("read", &path))?;
        let inside =
            differences(&table.samples).filter(|(time, _)| (from_ns..to_ns).contains(time));
        counted.differences.extend(inside);
        counted.damaged_lines += table.damaged_lines;
    }
    Ok(counted)
}

/// Time of each sample of a table and what was counted since the one before it, of the same run.
/// The first of a run is no entry, nor is one of the same time as that before it.
fn differences(samples: &[Sample]) -> impl Iterator<Item = (i64, Counts)> {
    samples.windows(2).filter_map(|pair| match pair {
        [before, sample] if before.run == sample.run && before.time_ns != sample.time_ns => {
            Some((sample.time_ns, sample.counts.since(&before.counts)))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::loss::{Counts, Reason};
    use crate::store::testing::{Folder, NOW, block};
    use crate::store::{SourceWriter, WriterOptions};

    const SECOND: i64 = 1_000_000_000;

    /// A run from a time on: each second ten packets seen, one lost, a file of three seconds each.
    fn run(folder: &Folder, start: i64, seconds: i64) {
        let (mut writer, _) =
            SourceWriter::open(folder.path(), WriterOptions::default(), start).unwrap();
        for n in 1..=seconds {
            writer.append(&block(start + n, 9));
            let mut counts = Counts {
                seen: n.unsigned_abs() * 10,
                stored: n.unsigned_abs() * 9,
                ..Counts::default()
            };
            counts.drop_packets(Reason::RingFull, n.unsigned_abs());
            writer.record(&Sample {
                time_ns: start + n * SECOND,
                run: start,
                counts,
            });
            if n % 3 == 0 {
                writer.rotate();
            }
        }
        writer.close(start);
    }

    #[test]
    fn differences_of_a_span_are_those_that_end_in_it() {
        let folder = Folder::new();
        run(&folder, NOW, 10);
        run(&folder, NOW + 3 * 86_400 * SECOND, 4);
        let counted = |from, to| counted(folder.path(), from, to).unwrap().differences;
        let all = counted(i64::MIN, i64::MAX);
        assert_eq!(all.len(), 14);
        assert!(all.iter().all(|(_, counts)| counts.seen == 10));
        let times = |found: Vec<(i64, Counts)>| found.into_iter().map(|(time, _)| time);
        let part: Vec<i64> = times(counted(NOW + 3 * SECOND, NOW + 6 * SECOND)).collect();
        assert_eq!(part, [3, 4, 5].map(|n| NOW + n * SECOND));
        // What is days away is not even read.
        let table = folder.closed(5, NOW).with_extension("counters");
        assert!(!table.exists());
    }

    #[test]
    fn losses_are_summed_over_files_and_runs_exactly() {
        let folder = Folder::new();
        run(&folder, NOW, 10);
        run(&folder, NOW + 60 * SECOND, 4);
        let losses = |span: Option<(i64, i64)>| {
            let (from, to) = span.unwrap_or((i64::MIN, i64::MAX));
            missed(folder.store(), |_| true, from, to)
                .unwrap()
                .remove(0)
        };
        let all = losses(None);
        assert_eq!((all.loss.counts.seen, all.loss.counts.lost()), (140, 14));
        assert_eq!(all.loss.counts.stored, 126);
        assert_eq!(all.loss.gaps_ns, [(NOW + 10 * SECOND, NOW + 60 * SECOND)]);
        assert_eq!(all.known_ns, Some((NOW, NOW + 64 * SECOND)));
        // From within the third second to within the fifth.
        let part = losses(Some((NOW + 5 * SECOND / 2, NOW + 9 * SECOND / 2)));
        assert_eq!(part.loss.counts.seen, 30);
        assert!(part.loss.gaps_ns.is_empty());
        let later = losses(Some((NOW + 20 * SECOND, NOW + 30 * SECOND)));
        assert_eq!(later.loss.counts.seen, 0);
        assert_eq!(later.loss.gaps_ns.len(), 1);
        let never = losses(Some((
            NOW + 90 * 86_400 * SECOND,
            NOW + 91 * 86_400 * SECOND,
        )));
        assert_eq!(never.loss, Loss::default());
    }
}
