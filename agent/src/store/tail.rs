//! Following a store: what its writers committed since the last look.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Error, Filter, Snapshot, Source,
    layout::{self, Kind, Listing, active_name},
    state,
};
use crate::capfile::Input;

/// How often sources are looked for that were not there yet.
const LOOK_FOR_SOURCES: Duration = Duration::from_secs(1);

/// Whole records of a capture file that were committed since the last look.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Where they come from.
    pub source: Arc<Source>,
    /// Number of the file in the source's order of writing.
    pub sequence: u64,
    /// The file.
    pub input: Input,
    /// Offsets of the records in it.
    pub range: Range<u64>,
}

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// By source, in the order of writing.
    pub committed: Vec<Committed>,
    /// Files that were removed before they were read.
    pub removed: Vec<String>,
    /// Sources that somebody writes to now.
    pub writers: usize,
}

/// A place in a source.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    sequence: u64,
    offset: u64,
}

/// Which sources are followed.
pub type Wants = Box<dyn Fn(&Source) -> bool + Send>;

/// Follows the writers of a store.
pub struct Tail {
    store: PathBuf,
    wants: Wants,
    sources: BTreeMap<PathBuf, (Arc<Source>, Place)>,
    looked: Option<Instant>,
}

impl Tail {
    /// Follows sources from behind a snapshot of them; from now on without one.
    /// A source that is new later is read from its start.
    pub fn new(store: &Path, wants: Wants, behind: Option<&Snapshot>) -> Result<Self, Error> {
        let mut tail = Self {
            store: store.to_owned(),
            wants,
            sources: BTreeMap::new(),
            looked: None,
        };
        tail.look_for_sources(behind.is_none())?;
        for file in behind.into_iter().flat_map(|snapshot| &snapshot.files) {
            let Some((_, place)) = tail.sources.get_mut(&file.source.folder(store)) else {
                continue;
            };
            let next = match file.active {
                true => Place {
                    sequence: file.sequence,
                    offset: file.length,
                },
                false => Place {
                    sequence: file.sequence.saturating_add(1),
                    offset: 0,
                },
            };
            if (next.sequence, next.offset) > (place.sequence, place.offset) {
                *place = next;
            }
        }
        Ok(tail)
    }

    fn look_for_sources(&mut self, from_now: bool) -> Result<(), Error> {
        self.looked = Some(Instant::now());
        let (sources, _) = layout::sources(&self.store)?;
        for source in sources {
            let folder = source.folder(&self.store);
            if !(self.wants)(&source) || self.sources.contains_key(&folder) {
                continue;
            }
            let place = match from_now {
                true => now(&folder)?,
                false => Place::default(),
            };
            self.sources.insert(folder, (Arc::new(source), place));
        }
        Ok(())
    }

    /// What was committed since the last time.
    pub fn look(&mut self) -> Result<News, Error> {
        if self
            .looked
            .is_none_or(|at| at.elapsed() >= LOOK_FOR_SOURCES)
        {
            self.look_for_sources(false)?;
        }
        let mut news = News::default();
        for (folder, (source, place)) in &mut self.sources {
            let state = state::of_live_writer(folder);
            news.writers += usize::from(state.is_some());
            let known = |state: &state::State| {
                (state.sequence, state.length) == (place.sequence, place.offset)
            };
            if state.as_ref().is_some_and(known) {
                continue;
            }
            // The active file alone has grown: nothing has to be listed.
            let grown = state.filter(|state| state.sequence == place.sequence);
            if let Some(state) = grown {
                if let Some(input) = active(folder, state.sequence, state.length, source) {
                    news.take(source, place, state.sequence, input, state.length);
                }
                continue;
            }
            news.list(&self.store, source, place)?;
        }
        Ok(news)
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail")
            .field("store", &self.store)
            .field("sources", &self.sources.len())
            .finish_non_exhaustive()
    }
}

impl News {
    /// What is behind a place in closed files, and in the active one.
    fn list(&mut self, store: &Path, source: &Arc<Source>, place: &mut Place) -> Result<(), Error> {
        let among = |name: &String| std::slice::from_ref(name).to_vec();
        let (wells, tags) = (among(&source.well), among(&source.tag));
        let interfaces = among(&source.interface);
        let filter = Filter {
            wells: Some(&wells),
            tags: Some(&tags),
            interfaces: Some(&interfaces),
            ..Filter::default()
        };
        let snapshot = Snapshot::take(store, &filter)?;
        let skipped = snapshot.skipped.iter();
        self.removed
            .extend(skipped.map(|file| format!("{}: {}", file.path.display(), file.reason)));
        let mut files = snapshot.files;
        files.retain(|file| file.sequence >= place.sequence);
        files.sort_by_key(|file| file.sequence);
        let still_there = files.iter().any(|file| file.sequence == place.sequence);
        if place.offset > 0 && !still_there {
            let what = format!("file {} of {}", place.sequence, source.interface);
            self.removed.push(what);
            *place = Place {
                sequence: place.sequence.saturating_add(1),
                offset: 0,
            };
        }
        for file in files {
            match file.input_later() {
                Ok(input) => self.take(source, place, file.sequence, input, file.length),
                Err(Error::Removed(path)) => self.removed.push(path.display().to_string()),
                Err(error) => return Err(error),
            }
            if !file.active {
                *place = Place {
                    sequence: file.sequence.saturating_add(1),
                    offset: 0,
                };
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        source: &Arc<Source>,
        place: &mut Place,
        sequence: u64,
        input: Input,
        length: u64,
    ) {
        let start = match place.sequence == sequence {
            true => place.offset,
            false => 0,
        };
        *place = Place {
            sequence,
            offset: length,
        };
        if start < length {
            self.committed.push(Committed {
                source: Arc::clone(source),
                sequence,
                input,
                range: start..length,
            });
        }
    }
}

/// Where a writer stands now, or would go on.
fn now(folder: &Path) -> Result<Place, Error> {
    if let Some(state) = state::of_live_writer(folder) {
        return Ok(Place {
            sequence: state.sequence,
            offset: state.length,
        });
    }
    let last = Listing::read(folder)?.last_sequence();
    Ok(Place {
        sequence: last.map_or(0, |last| last.saturating_add(1)),
        offset: 0,
    })
}

/// The active file, opened now: it gets another name when it is closed. `None` if it was.
fn active(folder: &Path, sequence: u64, length: u64, source: &Source) -> Option<Input> {
    let path = folder.join(active_name(sequence, Kind::Capture));
    let file = std::fs::File::open(&path).ok()?;
    let input = Input::from_file(&path.to_string_lossy(), file, length);
    Some(input.with_interface(&source.interface))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        SourceWriter, WriterOptions,
        testing::{Folder, NOW, block},
    };

    /// Times of the packets of all that was committed since the last look.
    fn times(tail: &mut Tail) -> Vec<i64> {
        let news = tail.look().unwrap();
        assert_eq!(news.removed, Vec::<String>::new());
        let mut times = Vec::new();
        for committed in news.committed {
            let part = committed.input.records(committed.range).unwrap();
            let mut frames = part.open().unwrap();
            while let Some(frame) = frames.next_frame() {
                times.push(frame.time_ns.unwrap());
            }
            assert!(frames.warnings().is_empty() && !frames.boundary_missed());
        }
        times
    }

    fn expected(first_ns: i64, count: i64) -> Vec<i64> {
        (0..count).map(|n| first_ns + n * 1_000).collect()
    }

    #[test]
    fn every_record_comes_once_and_in_order_through_rotation_and_the_end() {
        let folder = Folder::new();
        let (mut writer, _) =
            SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
        writer.append(&block(NOW, 10));
        let lan = || -> Wants { Box::new(|source| source.interface == "lan0") };
        let snapshot = Snapshot::take(folder.store(), &Filter::default()).unwrap();
        // What is there already is the snapshot's.
        let mut tail = Tail::new(folder.store(), lan(), Some(&snapshot)).unwrap();
        let mut from_now = Tail::new(folder.store(), lan(), None).unwrap();
        assert_eq!(times(&mut tail), Vec::<i64>::new());
        writer.append(&block(NOW + 100_000, 20));
        assert_eq!(times(&mut tail), expected(NOW + 100_000, 20));
        assert_eq!(times(&mut from_now), expected(NOW + 100_000, 20));
        assert_eq!(times(&mut tail), Vec::<i64>::new());
        writer.append(&block(NOW + 200_000, 5));
        writer.rotate();
        writer.append(&block(NOW + 300_000, 7));
        let mut both = expected(NOW + 200_000, 5);
        both.extend(expected(NOW + 300_000, 7));
        assert_eq!(times(&mut tail), both);
        writer.append(&block(NOW + 400_000, 3));
        let (_, _, error) = writer.close(NOW);
        assert!(error.is_none());
        assert_eq!(times(&mut tail), expected(NOW + 400_000, 3));
        both.extend(expected(NOW + 400_000, 3));
        assert_eq!(times(&mut from_now), both);
        assert_eq!(tail.look().unwrap().writers, 0);
    }

    /// Counters start a file before packets come: it is not of the past.
    #[test]
    fn the_first_packets_of_a_writer_come_however_long_it_had_none() {
        let folder = Folder::new();
        let (mut writer, _) =
            SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
        let mut early = Tail::new(folder.store(), Box::new(|_| true), None).unwrap();
        assert_eq!(early.look().unwrap().writers, 1);
        writer.record(&crate::store::loss::Sample {
            time_ns: NOW,
            run: NOW,
            ..Default::default()
        });
        assert_eq!(
            Listing::read(folder.path()).unwrap().last_sequence(),
            Some(1)
        );
        let mut later = Tail::new(folder.store(), Box::new(|_| true), None).unwrap();
        writer.append(&block(NOW, 4));
        assert_eq!(times(&mut early), expected(NOW, 4));
        assert_eq!(times(&mut later), expected(NOW, 4));
    }

    #[test]
    fn a_file_that_was_half_read_and_is_gone_is_told() {
        let folder = Folder::new();
        let (mut writer, _) =
            SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
        let mut tail = Tail::new(folder.store(), Box::new(|_| true), None).unwrap();
        writer.append(&block(NOW, 10));
        assert_eq!(times(&mut tail).len(), 10);
        let (closed, _, _) = writer.close(NOW);
        let years = std::fs::read_dir(folder.path()).unwrap();
        for year in years.filter_map(Result::ok).filter(|e| e.path().is_dir()) {
            std::fs::remove_dir_all(year.path()).unwrap();
        }
        assert_eq!(closed.len(), 1);
        let news = tail.look().unwrap();
        assert_eq!(news.removed.len(), 1, "{:?}", news.removed);
        assert!(news.committed.is_empty());
    }
}
