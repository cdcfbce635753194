//! Which files a query reads, and what is known to be missing in them.

use std::path::Path;

use super::args::QueryArgs;
use super::error::Error;
use crate::capfile::{self, Input};
use crate::exec::scan::{ScanFile, matches_tag};
use crate::plan::pipeline::Pipeline;
use crate::store::{self, Filter, Snapshot, layout};

/// The files that the command line names and whose tag the query asks for.
pub(super) fn files(args: &QueryArgs, pipeline: &Pipeline) -> Result<Vec<ScanFile>, Error> {
    match &args.store {
        Some(store) => stored(store, pipeline),
        None if args.read.is_empty() => Err(Error::Usage {
            message: "no packets to read".to_owned(),
            hint:
                "name a capture file, a folder or standard input, or a store: -r FILE, --store DIR"
                    .to_owned(),
        }),
        None => named(args, pipeline),
    }
}

fn named(args: &QueryArgs, pipeline: &Pipeline) -> Result<Vec<ScanFile>, Error> {
    let mut files = ScanFile::tagged(capfile::discover(&args.read)?, &args.tag);
    let found = files.len();
    files.retain(|file| file.has_tag(&pipeline.tags));
    if files.is_empty() && found > 0 {
        eprintln!(
            "note: the query asks for tag {}, but the files carry tag {} (--tag TAG gives them another)",
            pipeline.tags.join(","),
            args.tag,
        );
    }
    Ok(files)
}

/// The files of a store at this moment.
fn stored(store: &Path, pipeline: &Pipeline) -> Result<Vec<ScanFile>, Error> {
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
    let filter = Filter {
        tags: Some(&tags),
        ..Filter::default()
    };
    let snapshot = Snapshot::take(store, &filter)?;
    for skipped in &snapshot.skipped {
        eprintln!("warning: {}: {}", skipped.path.display(), skipped.reason);
    }
    snapshot.files.iter().map(scan_file).collect()
}

fn scan_file(file: &store::CaptureFile) -> Result<ScanFile, Error> {
    // A file that is being written gets another name when it is closed: it is opened now.
    let input = if file.active {
        file.input()?
    } else {
        Input::from_path(file.path.clone(), file.length)
    };
    Ok(ScanFile {
        input: input.with_interface(&file.source.interface),
        tag: file.source.tag.as_str().into(),
        stored: true,
        sidecar: file.sidecar.clone(),
    })
}
