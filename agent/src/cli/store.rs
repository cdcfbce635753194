//! `flowsift store` and `flowsift import`: looking after a store by hand.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::time::SystemTime;

use super::args::{ImportArgs, Selection, StoreCommand};
use super::error::Error;
use crate::capfile;
use crate::lang::time;
use crate::store::export::ExportError;
use crate::store::import::ImportError;
use crate::store::list::Held;
use crate::store::retention::{self, Why};
use crate::store::{Filter, Wells, check, export, import, list, reindex, sidecar};
use crate::text;
use crate::wall;

/// Exit code of a check that found damage.
const DAMAGED: u8 = 3;

/// Runs a command on a store; the exit code.
pub(super) fn run(command: &StoreCommand, out: &mut dyn Write) -> Result<u8, Error> {
    match command {
        StoreCommand::Ls(selection) => ls(selection, out)?,
        StoreCommand::Check(selection) => return check_all(selection, out),
        StoreCommand::Prune { store } => prune(store, out)?,
        StoreCommand::Reindex { selection, all } => reindex_all(selection, *all, out)?,
        StoreCommand::Export {
            selection,
            from,
            to,
            write,
        } => {
            let times = times(from.as_deref(), to.as_deref())?;
            export_to(selection, times, write, out)?;
        }
    }
    Ok(0)
}

/// The sources that a command line asks for.
fn filter(selection: &Selection) -> Filter<'_> {
    Filter {
        wells: given(&selection.well),
        tags: given(&selection.tag),
        interfaces: given(&selection.interface),
        times_ns: None,
    }
}

/// Names, if any were given.
fn given(names: &[String]) -> Option<&[String]> {
    Some(names).filter(|names| !names.is_empty())
}

fn ls(selection: &Selection, out: &mut dyn Write) -> Result<(), Error> {
    let columns = [
        "well",
        "interface",
        "tag",
        "files",
        "bytes",
        "packets",
        "tuples_only_files",
        "uncounted_files",
        "first",
        "last",
    ];
    writeln!(out, "{}", columns.join("\t"))?;
    for held in list::list(&selection.store, &filter(selection))? {
        writeln!(out, "{}", row(&held).join("\t"))?;
    }
    Ok(())
}

fn row(held: &Held) -> Vec<String> {
    let plain = |name: &str| name.escape_default().to_string();
    let source = &held.source;
    let time = |time: Option<i64>| time.map(text::time).unwrap_or_default();
    vec![
        plain(&source.well),
        plain(&source.interface),
        plain(&source.tag),
        held.files.to_string(),
        (held.capture_bytes + held.other_bytes).to_string(),
        held.packets.to_string(),
        held.tuples_alone.to_string(),
        held.uncounted_files.to_string(),
        time(held.times_ns.map(|times| times.0)),
        time(held.times_ns.map(|times| times.1)),
    ]
}

fn check_all(selection: &Selection, out: &mut dyn Write) -> Result<u8, Error> {
    let checked = check::check(&selection.store, &filter(selection))?;
    for finding in &checked.findings {
        writeln!(out, "{}: {}", finding.path.display(), finding.problem)?;
    }
    let damaged = checked
        .findings
        .iter()
        .filter(|finding| finding.problem.is_damage())
        .count();
    let tuples = match checked.tuples {
        0 => String::new(),
        tuples => format!(" and {tuples} tuples without packets"),
    };
    writeln!(
        out,
        "{} packets{tuples} in {} files, {} sidecars compared: {} problems",
        checked.packets,
        checked.files,
        checked.sidecars,
        checked.findings.len()
    )?;
    Ok(if damaged > 0 { DAMAGED } else { 0 })
}

fn prune(store: &Path, out: &mut dyn Write) -> Result<(), Error> {
    let wells = Wells::read(store)?;
    let enforced = retention::enforce_all(store, &wells, SystemTime::now())?;
    for removed in enforced.removed {
        let why = match removed.why {
            Why::Age => "older than max_age",
            Why::Size => "the well had more than max_size",
            Why::Free => "less than min_free was free",
        };
        let path = removed.path.display();
        writeln!(out, "removed {path}: {} bytes, {why}", removed.bytes)?;
    }
    match enforced.failed.into_iter().reduce(|first, further| {
        warn(&further);
        first
    }) {
        None => Ok(()),
        Some(first) => Err(first.into()),
    }
}

fn reindex_all(selection: &Selection, all: bool, out: &mut dyn Write) -> Result<(), Error> {
    let rows = sidecar::ROWS_PER_GROUP;
    let done = reindex::reindex(&selection.store, &filter(selection), all, rows)?;
    for failed in &done.failed {
        warn(failed);
    }
    let packets: u64 = done.made.iter().map(|made| made.packets).sum();
    writeln!(
        out,
        "{} sidecars made of {packets} packets, {} were valid, {} could not be made",
        done.made.len(),
        done.kept,
        done.failed.len()
    )?;
    if done.alone > 0 {
        let alone = done.alone;
        writeln!(
            out,
            "{alone} files of tuples without packets were left as they are"
        )?;
    }
    Ok(())
}

/// The range that `--from` and `--to` give, in nanoseconds since 1970.
fn times(from: Option<&str>, to: Option<&str>) -> Result<Option<(i64, i64)>, Error> {
    let now = wall::now_ns();
    let bound = |flag: &str, text: Option<&str>, open| match text {
        None => Ok(open),
        Some(text) => time::parse_time(text, now).map_err(|reason| Error::Usage {
            message: format!("{flag} '{text}': {reason}"),
            hint: "write -1h, now, 2026-01-31, '2026-01-31 12:00', RFC 3339 or epoch seconds"
                .to_owned(),
        }),
    };
    if from.or(to).is_none() {
        return Ok(None);
    }
    Ok(Some((
        bound("--from", from, i64::MIN)?,
        bound("--to", to, i64::MAX)?,
    )))
}

fn export_to(
    selection: &Selection,
    times_ns: Option<(i64, i64)>,
    path: &Path,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let filter = Filter {
        times_ns,
        ..filter(selection)
    };
    let exported = if path == Path::new("-") {
        if io::stdout().is_terminal() {
            return Err(Error::Usage {
                message: "a capture file is not for a terminal".to_owned(),
                hint: "write it to a file, -w FILE, or into a pipe".to_owned(),
            });
        }
        export::export(&selection.store, &filter, out)
    } else {
        // The store first: a wrong one must not empty the file.
        std::fs::metadata(&selection.store).map_err(|e| failed(&selection.store, &e))?;
        let file = File::create(path).map_err(|e| failed(path, &e))?;
        export::export(&selection.store, &filter, file)
    };
    let exported = exported.map_err(|error| match error {
        ExportError::Write(capfile::write::WriteError::Output(error)) => Error::Output(error),
        other => Error::StoreWork(other.to_string()),
    })?;
    exported.warnings.iter().for_each(|warning| warn(warning));
    for skipped in &exported.skipped {
        warn(&format!("{}: {}", skipped.path.display(), skipped.reason));
    }
    let _ = writeln!(io::stderr(), "{} packets written", exported.packets);
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::StoreWork(format!("cannot open {}: {error}", path.display()))
}

/// Imports capture files; the exit code.
pub(super) fn import(args: &ImportArgs, out: &mut dyn Write) -> Result<u8, Error> {
    let inputs = capfile::discover(&args.files)?;
    std::fs::create_dir_all(&args.store).map_err(|e| failed(&args.store, &e))?;
    let done = import::import(&args.store, &args.tag, &inputs, args.compress);
    let done = done.map_err(|error| match error {
        ImportError::Store(error) => Error::from(error),
        other => Error::StoreWork(other.to_string()),
    })?;
    if !done.recovered.is_empty() {
        let tag = &args.tag;
        warn(&format!(
            "an import of tag {tag} before this one was interrupted: a part of its packets is in the store"
        ));
    }
    done.warnings.iter().for_each(|warning| warn(warning));
    done.without_sidecar.iter().for_each(|error| warn(error));
    done.not_compressed.iter().for_each(|error| warn(error));
    for (count, what) in [
        (done.clamped, "had a time that pcap cannot hold"),
        (done.without_time, "had no time: they are dated 1970"),
    ] {
        if count > 0 {
            warn(&format!("{count} packets {what}"));
        }
    }
    let files = done.files.len();
    writeln!(
        out,
        "{} packets in {files} files of the store",
        done.packets
    )?;
    Ok(0)
}

fn warn(what: &dyn std::fmt::Display) {
    // Standard error may be closed; there is nowhere left to say so.
    let _ = writeln!(io::stderr(), "warning: {what}");
}
