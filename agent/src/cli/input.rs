//! Which files a query reads, and what is known to be missing in them.

use std::path::Path;
use std::sync::Arc;

use super::args::QueryArgs;
use super::error::Error;
use crate::capfile::{self, Input};
use crate::exec::scan::{ScanFile, matches_tag};
use crate::exec::{self, LossEntry, RunOptions, Source};
use crate::plan::loss;
use crate::plan::pipeline::Pipeline;
use crate::store::{self, Filter, Sidecar, Skipped, Snapshot, layout, missed};
use crate::wall;

/// The query says later than this when its now is, at most by so much: what it reads is chosen
/// a little more widely.
const SLACK_NS: i64 = 60_000_000_000;

/// What the command line names and whose tag the query asks for.
pub(super) fn source(
    args: &QueryArgs,
    pipeline: &Pipeline,
    options: &RunOptions,
) -> Result<Source, Error> {
    let (from, to) = exec::span_ns(pipeline, options, wall::now_ns());
    let times_ns = (
        from.map_or(i64::MIN, |from| from.saturating_sub(SLACK_NS)),
        to.map_or(i64::MAX, |to| to.saturating_add(SLACK_NS)),
    );
    if pipeline.tags == [loss::TAG] {
        let Some(store) = &args.store else {
            return Err(Error::Usage {
                message: "tag=loss is what a store counted".to_owned(),
                hint: "name a store: --store DIR".to_owned(),
            });
        };
        let loss = Arc::new(loss_entries(store, times_ns)?);
        return Ok(Source {
            loss,
            ..Source::default()
        });
    }
    match &args.store {
        Some(store) => stored(store, pipeline, times_ns),
        None if args.read.is_empty() => Err(Error::Usage {
            message: "no packets to read".to_owned(),
            hint:
                "name a capture file, a folder or standard input, or a store: -r FILE, --store DIR"
                    .to_owned(),
        }),
        None => named(&args.read, &args.tag, pipeline).map(Source::from),
    }
}

/// What the store's sources counted in a span, by source and in the order of counting.
fn loss_entries(store: &Path, times_ns: (i64, i64)) -> Result<Vec<LossEntry>, Error> {
    let (sources, _) = layout::sources(store)?;
    let mut entries = Vec::new();
    for source in sources {
        let (interface, tag): (Arc<str>, Arc<str>) =
            (source.interface.as_str().into(), source.tag.as_str().into());
        let counted = missed::counted(&source.folder(store), times_ns.0, times_ns.1)?;
        if counted.damaged_lines > 0 {
            let damaged = counted.damaged_lines;
            eprintln!("warning: {interface}: {damaged} lines of the loss tables are damaged");
        }
        let differences = counted.differences.into_iter();
        entries.extend(differences.map(|(time_ns, counts)| LossEntry {
            time_ns,
            interface: Arc::clone(&interface),
            tag: Arc::clone(&tag),
            counts,
        }));
    }
    Ok(entries)
}

/// The files that are named, if the query asks for their tag.
pub(super) fn named(
    read: &[String],
    tag: &str,
    pipeline: &Pipeline,
) -> Result<Vec<ScanFile>, Error> {
    let mut files = ScanFile::tagged(capfile::discover(read)?, tag);
    let found = files.len();
    files.retain(|file| file.has_tag(&pipeline.tags));
    if files.is_empty() && found > 0 {
        eprintln!(
            "note: the query asks for tag {}, but the files carry tag {} (--tag TAG gives them another)",
            pipeline.tags.join(","),
            tag,
        );
    }
    Ok(files)
}

/// The files of a store at this moment that may have packets of a time.
fn stored(store: &Path, pipeline: &Pipeline, times_ns: (i64, i64)) -> Result<Source, Error> {
    let tags = stored_tags(store, pipeline)?;
    scan_files(&snapshot(store, &tags)?, times_ns)
}

/// The tags of a store that the query asks for.
pub(super) fn stored_tags(store: &Path, pipeline: &Pipeline) -> Result<Vec<String>, Error> {
    let (sources, _) = layout::sources(store)?;
    let mut present: Vec<String> = sources.into_iter().map(|source| source.tag).collect();
    present.sort();
    present.dedup();
    let wanted = |tag: &String| pipeline.tags.iter().any(|wanted| matches_tag(wanted, tag));
    let tags: Vec<String> = present.iter().filter(|tag| wanted(tag)).cloned().collect();
    if tags.is_empty() {
        eprintln!(
            "note: the query asks for tag {}, but the store has {}",
            pipeline.tags.join(","),
            if present.is_empty() {
                "no packets".to_owned()
            } else {
                format!("tag {}", present.join(","))
            },
        );
    }
    Ok(tags)
}

/// What is in a store of these tags.
pub(super) fn snapshot(store: &Path, tags: &[String]) -> Result<Snapshot, Error> {
    let filter = Filter {
        tags: Some(tags),
        ..Filter::default()
    };
    Ok(Snapshot::take(store, &filter)?)
}

/// Prints what a query does not read though it was asked to.
pub(super) fn print_skipped(skipped: &[Skipped]) {
    for skipped in skipped {
        eprintln!("warning: {}: {}", skipped.path.display(), skipped.reason);
    }
}

/// The files of a snapshot. Of tuples alone, tables without any of the time are left out: an open
/// one takes a descriptor.
pub(super) fn scan_files(snapshot: &Snapshot, times_ns: (i64, i64)) -> Result<Source, Error> {
    let mut source = Source {
        skipped: snapshot.skipped.clone(),
        ..Source::default()
    };
    for file in &snapshot.files {
        if !file.tuples_alone {
            source.files.push(scan_file(file)?);
            continue;
        }
        match file.open_tuples() {
            Ok(table) => {
                let (from, to) = times_ns;
                let has_some = |(first, last)| first < to && last >= from;
                if table.times_ns.is_none_or(has_some) {
                    source.files.push(tuples_file(file, table));
                }
            }
            Err(store::Error::Removed(path)) => source.skipped.push(Skipped {
                path,
                reason: "removed by retention before it was read".to_owned(),
            }),
            Err(error) => source.skipped.push(Skipped {
                path: file.path.clone(),
                reason: error.to_string(),
            }),
        }
    }
    Ok(source)
}

/// A file of tuples alone: its table is all that is read.
fn tuples_file(file: &store::CaptureFile, table: Sidecar) -> ScanFile {
    let input = Input::from_path(file.path.clone(), table.length());
    ScanFile {
        input: input.with_interface(&file.source.interface),
        tag: file.source.tag.as_str().into(),
        stored: true,
        sidecar: None,
        tuples: Some(Arc::new(table)),
    }
}

fn scan_file(file: &store::CaptureFile) -> Result<ScanFile, Error> {
    Ok(ScanFile {
        // A file that is being written gets another name when it is closed: it is opened now.
        input: file.input_later()?,
        tag: file.source.tag.as_str().into(),
        stored: true,
        sidecar: file.sidecar.clone(),
        tuples: None,
    })
}
