//! Which files a query reads, and what is known to be missing in them.

use std::path::Path;
use std::sync::Arc;

use super::args::QueryArgs;
use super::error::Error;
use crate::capfile::{self, Input};
use crate::exec::scan::{ScanFile, matches_tag};
use crate::exec::{LossEntry, Source};
use crate::plan::loss;
use crate::plan::pipeline::Pipeline;
use crate::store::missed::{self, differences};
use crate::store::{self, Filter, Snapshot, layout};

/// What the command line names and whose tag the query asks for.
pub(super) fn source(args: &QueryArgs, pipeline: &Pipeline) -> Result<Source, Error> {
    if pipeline.tags == [loss::TAG] {
        let Some(store) = &args.store else {
            return Err(Error::Usage {
                message: "tag=loss is what a store counted".to_owned(),
                hint: "name a store: --store DIR".to_owned(),
            });
        };
        let loss = Arc::new(loss_entries(store)?);
        return Ok(Source {
            loss,
            ..Source::default()
        });
    }
    files(args, pipeline).map(Source::from)
}

/// All that the store's sources counted, by source and in the order of counting.
fn loss_entries(store: &Path) -> Result<Vec<LossEntry>, Error> {
    let (sources, _) = layout::sources(store)?;
    let mut entries = Vec::new();
    for source in sources {
        let (interface, tag): (Arc<str>, Arc<str>) =
            (source.interface.as_str().into(), source.tag.as_str().into());
        let (samples, damaged) = missed::samples(&source.folder(store))?;
        if damaged > 0 {
            eprintln!("warning: {interface}: {damaged} lines of the loss tables are damaged");
        }
        entries.extend(differences(&samples).map(|(time_ns, counts)| LossEntry {
            time_ns,
            interface: Arc::clone(&interface),
            tag: Arc::clone(&tag),
            counts,
        }));
    }
    Ok(entries)
}

fn files(args: &QueryArgs, pipeline: &Pipeline) -> Result<Vec<ScanFile>, Error> {
    match &args.store {
        Some(store) => stored(store, pipeline),
        None if args.read.is_empty() => Err(Error::Usage {
            message: "no packets to read".to_owned(),
            hint:
                "name a capture file, a folder or standard input, or a store: -r FILE, --store DIR"
                    .to_owned(),
        }),
        None => named(&args.read, &args.tag, pipeline),
    }
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

/// The files of a store at this moment.
fn stored(store: &Path, pipeline: &Pipeline) -> Result<Vec<ScanFile>, Error> {
    let tags = stored_tags(store, pipeline)?;
    scan_files(&snapshot(store, &tags)?)
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
    let snapshot = Snapshot::take(store, &filter)?;
    for skipped in &snapshot.skipped {
        eprintln!("warning: {}: {}", skipped.path.display(), skipped.reason);
    }
    Ok(snapshot)
}

/// The files of a snapshot.
pub(super) fn scan_files(snapshot: &Snapshot) -> Result<Vec<ScanFile>, Error> {
    let mut files = Vec::new();
    for file in &snapshot.files {
        if !file.tuples_alone {
            files.push(scan_file(file)?);
            continue;
        }
        match tuples_file(file) {
            Ok(file) => files.push(file),
            Err(store::Error::Removed(path)) => {
                let path = path.display();
                eprintln!("warning: {path}: removed by retention before it was read");
            }
            Err(error) => eprintln!("warning: {error}"),
        }
    }
    Ok(files)
}

/// A file of tuples alone: its table is all that is read.
fn tuples_file(file: &store::CaptureFile) -> Result<ScanFile, store::Error> {
    let tuples = Arc::new(file.open_tuples()?);
    let input = Input::from_path(file.path.clone(), tuples.length());
    Ok(ScanFile {
        input: input.with_interface(&file.source.interface),
        tag: file.source.tag.as_str().into(),
        stored: true,
        sidecar: None,
        tuples: Some(tuples),
    })
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
