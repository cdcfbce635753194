//! Following a store: what its writers committed since the last look.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CaptureFile, Error, Sidecar, Snapshot, Source,
    layout::{self, Kind, Listing, active_name},
    sidecar, state, tuples,
};
use crate::capfile::Input;

/// How often a file that is closed at this moment is looked for again.
const TRIES: usize = 100;

/// What holds records that were committed.
#[derive(Clone, Debug)]
pub enum Content {
    /// A capture file.
    Packets(Input),
    /// Tuples alone, in a file that is being written or was when it was opened: it keeps its
    /// records, also when it is a table by now.
    Tuples(Arc<File>),
    /// Tuples alone, all that are in a closed table.
    Table(Arc<Sidecar>),
}

/// Whole records of a file that were committed since the last look.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Where they come from.
    pub source: Arc<Source>,
    /// Number of the file in the source's order of writing.
    pub sequence: u64,
    /// Path of the file, as it was then.
    pub path: PathBuf,
    /// The file.
    pub content: Content,
    /// Offsets of the records in it.
    pub range: Range<u64>,
}

impl Committed {
    /// Tuples alone as a table; `None` of packets.
    ///
    /// # Errors
    /// If there is no memory for a table, or its records cannot be read.
    pub fn table(&self) -> Result<Option<Arc<Sidecar>>, Error> {
        match &self.content {
            Content::Packets(_) => Ok(None),
            Content::Table(table) => Ok(Some(Arc::clone(table))),
            Content::Tuples(file) => {
                let table = sidecar::table_of(file, self.range.clone(), &self.path)?;
                Ok(Some(Arc::new(table)))
            }
        }
    }
}

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// By source, in the order of writing.
    pub committed: Vec<Committed>,
    /// Files that were removed before they were read.
    pub removed: Vec<String>,
    /// Files that cannot be read, and why; each once.
    pub skipped: Vec<String>,
    /// Sources that somebody writes to now.
    pub writers: usize,
}

/// A place in a source.
#[derive(Clone, Debug, Default)]
struct Place {
    sequence: u64,
    offset: u64,
    /// The file of that number, if it is one of tuples that was being written: its offsets mean
    /// nothing in the table that it becomes.
    tuples: Option<Arc<File>>,
    /// What the last writer said when all its files were listed: until it says more, there is
    /// nothing new in them.
    listed: Option<state::Last>,
}

/// Which sources are followed.
pub type Wants = Box<dyn Fn(&Source) -> bool + Send>;

/// Follows the writers of a store.
pub struct Tail {
    store: PathBuf,
    wants: Wants,
    sources: BTreeMap<PathBuf, (Arc<Source>, Place)>,
    /// Files that were said to be unreadable.
    skipped: BTreeSet<PathBuf>,
}

impl Tail {
    /// Follows sources from behind a snapshot of them; from now on without one.
    /// A source that is new later is read from its start.
    pub fn new(store: &Path, wants: Wants, behind: Option<&Snapshot>) -> Result<Self, Error> {
        let mut tail = Self {
            store: store.to_owned(),
            wants,
            sources: BTreeMap::new(),
            skipped: BTreeSet::new(),
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
                    tuples: file.tuples_being_written().cloned(),
                    listed: None,
                },
                false => Place::behind(file.sequence),
            };
            if (next.sequence, next.offset) > (place.sequence, place.offset) {
                *place = next;
            }
        }
        Ok(tail)
    }

    fn look_for_sources(&mut self, from_now: bool) -> Result<(), Error> {
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

    /// What was committed since the last time, also to sources that were not there then.
    pub fn look(&mut self) -> Result<News, Error> {
        self.look_for_sources(false)?;
        let mut news = News::default();
        for (folder, (source, place)) in &mut self.sources {
            let last = state::of_last_writer(folder);
            let state = last.filter(|last| last.is_live).map(|last| last.state);
            news.writers += usize::from(state.is_some());
            let known = |state: &state::State| {
                (state.sequence, state.length) == (place.sequence, place.offset)
            };
            // One that was killed may have written more than it said: listed once more.
            if state.as_ref().is_some_and(known) || last.is_some() && last == place.listed {
                continue;
            }
            // The active file alone has grown: nothing has to be listed, unless it was closed since
            // its writer was asked.
            let grown = state.filter(|state| state.sequence == place.sequence);
            let opened = match &grown {
                Some(state) => active(folder, state, source, place)?,
                None => None,
            };
            match (grown, opened) {
                (Some(state), Some((path, content))) => {
                    news.take(source, place, state.sequence, path, content, state.length);
                }
                _ => {
                    let snapshot = Snapshot::from(&self.store, source, place.sequence)?;
                    for file in &snapshot.skipped {
                        if self.skipped.insert(file.path.clone()) {
                            let path = file.path.display();
                            news.skipped.push(format!("{path}: {}", file.reason));
                        }
                    }
                    news.list(snapshot.files, source, place)?;
                    place.listed = last;
                }
            }
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
    /// What is behind a place in files that are not before it.
    fn list(
        &mut self,
        mut files: Vec<CaptureFile>,
        source: &Arc<Source>,
        place: &mut Place,
    ) -> Result<(), Error> {
        files.sort_by_key(|file| file.sequence);
        let still_there = files.iter().any(|file| file.sequence == place.sequence);
        if place.offset > 0 && !still_there {
            let what = format!("file {} of {}", place.sequence, source.interface);
            self.removed.push(what);
            *place = Place::behind(place.sequence);
        }
        for file in files {
            match content(&file, place) {
                Ok((content, length)) => {
                    let path = file.path.clone();
                    self.take(source, place, file.sequence, path, content, length);
                }
                Err(Error::Removed(path)) => self.removed.push(path.display().to_string()),
                Err(error) => return Err(error),
            }
            if !file.active {
                *place = Place::behind(file.sequence);
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        source: &Arc<Source>,
        place: &mut Place,
        sequence: u64,
        path: PathBuf,
        content: Content,
        length: u64,
    ) {
        let start = match place.sequence == sequence {
            true => place.offset,
            false => 0,
        };
        *place = Place {
            sequence,
            offset: length,
            tuples: match &content {
                Content::Tuples(file) => Some(Arc::clone(file)),
                Content::Packets(_) | Content::Table(_) => None,
            },
            listed: None,
        };
        if start < length {
            self.committed.push(Committed {
                source: Arc::clone(source),
                sequence,
                path,
                content,
                range: start..length,
            });
        }
    }
}

impl Place {
    /// Behind all of a file.
    fn behind(sequence: u64) -> Self {
        Self {
            sequence: sequence.saturating_add(1),
            ..Self::default()
        }
    }
}

/// Where a writer stands now, or would go on.
fn now(folder: &Path) -> Result<Place, Error> {
    for _ in 0..TRIES {
        let Some(state) = state::of_live_writer(folder) else {
            break;
        };
        let tuples = tuples_file(folder, state.sequence)?;
        // Neither is there where it was closed a moment ago, and the next one is not begun yet.
        let is_there = |kind| folder.join(active_name(state.sequence, kind)).exists();
        if tuples.is_some() || is_there(Kind::Capture) {
            return Ok(Place {
                sequence: state.sequence,
                offset: state.length,
                tuples,
                listed: None,
            });
        }
        if state::of_live_writer(folder).is_some_and(|now| now.sequence == state.sequence) {
            return Ok(Place::behind(state.sequence));
        }
    }
    let last = Listing::read(folder)?.last_sequence();
    Ok(last.map_or_else(Place::default, Place::behind))
}

/// What holds the records of a file of a snapshot, and where they end.
fn content(file: &CaptureFile, place: &Place) -> Result<(Content, u64), Error> {
    if !file.tuples_alone {
        return Ok((Content::Packets(file.input_later()?), file.length));
    }
    if let Some(active) = file.tuples_being_written() {
        return Ok((Content::Tuples(Arc::clone(active)), file.length));
    }
    // A table by now, of which a part was taken before.
    let known = place.tuples.as_ref();
    if let Some(records) = known.filter(|_| place.sequence == file.sequence) {
        let length = records.metadata().map_err(Error::io("read", &file.path))?;
        let length = tuples::whole(length.len());
        return Ok((Content::Tuples(Arc::clone(records)), length));
    }
    Ok((Content::Table(Arc::new(file.open_tuples()?)), file.length))
}

/// A file of tuples that is being written.
fn tuples_file(folder: &Path, sequence: u64) -> Result<Option<Arc<File>>, Error> {
    let path = folder.join(active_name(sequence, Kind::Tuples));
    match File::open(&path) {
        Ok(file) => Ok(Some(Arc::new(file))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("open", &path)(e)),
    }
}

/// The active file, opened now: it gets another name when it is closed. `None` if it was.
fn active(
    folder: &Path,
    state: &state::State,
    source: &Source,
    place: &Place,
) -> Result<Option<(PathBuf, Content)>, Error> {
    let path = |kind| folder.join(active_name(state.sequence, kind));
    let known = place.tuples.clone();
    let tuples = match known {
        Some(file) => Some(file),
        None => tuples_file(folder, state.sequence)?,
    };
    if let Some(file) = tuples {
        return Ok(Some((path(Kind::Tuples), Content::Tuples(file))));
    }
    let path = path(Kind::Capture);
    let Ok(file) = File::open(&path) else {
        return Ok(None);
    };
    let input = Input::from_file(&path.to_string_lossy(), file, state.length);
    let input = input.with_interface(&source.interface);
    Ok(Some((path, Content::Packets(input))))
}

#[cfg(test)]
mod tests;
