//! From what the user names to inputs: files, folders, patterns, standard input.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Error, Input, reader, source::Store};

/// What the user gives for standard input.
const STDIN: &str = "-";

/// Finds the inputs that `specs` name, in their order: a file as it is, `-` for standard input
/// (read at once, to the end), a folder for every capture in it and below, by content, sorted by
/// path; anything else with `*`, `?` or `[` is a pattern.
pub fn discover(specs: &[String]) -> Result<Vec<Input>, Error> {
    let mut inputs = Vec::new();
    for (i, spec) in specs.iter().enumerate() {
        if spec != STDIN {
            discover_one(spec, &mut inputs)?;
        } else if specs.iter().take(i).any(|s| s == STDIN) {
            return Err(Error::StdinTwice);
        } else {
            inputs.push(spool("standard input", &mut io::stdin().lock())?);
        }
    }
    Ok(inputs)
}

fn discover_one(spec: &str, inputs: &mut Vec<Input>) -> Result<(), Error> {
    let path = Path::new(spec);
    if path.exists() {
        return discover_path(path, inputs);
    }
    if !spec.contains(['*', '?', '[']) {
        return Err(missing(path));
    }
    let paths = glob::glob(spec).map_err(|source| Error::Pattern {
        pattern: spec.to_owned(),
        source,
    })?;
    let before = inputs.len();
    // A linked folder leads ** to the same files again, even round in a circle.
    let mut seen = HashSet::new();
    for path in paths {
        let path = path.map_err(|e| {
            let name = e.path().display().to_string();
            Error::io("read the folder", &name, e.into())
        })?;
        if seen.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
            discover_path(&path, inputs)?;
        }
    }
    if inputs.len() == before {
        return Err(Error::NoMatch(spec.to_owned()));
    }
    Ok(())
}

/// A path that does not exist, or that may not be looked at.
fn missing(path: &Path) -> Error {
    match fs::metadata(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Error::io("open", &path.display().to_string(), e)
        }
        _ => Error::Missing(path.to_owned()),
    }
}

fn discover_path(path: &Path, inputs: &mut Vec<Input>) -> Result<(), Error> {
    let name = path.display().to_string();
    let metadata = fs::metadata(path).map_err(|e| Error::io("open", &name, e))?;
    if metadata.is_dir() {
        let before = inputs.len();
        discover_folder(path, inputs)?;
        if inputs.len() == before {
            return Err(Error::NoCaptures(path.to_owned()));
        }
        return Ok(());
    }
    let open = || fs::File::open(path).map_err(|e| Error::io("open", &name, e));
    if metadata.is_file() {
        open()?;
        inputs.push(Input::from_path(path.to_owned(), metadata.len()));
    } else {
        // A pipe, as of a shell's process substitution.
        inputs.push(spool(&name, &mut open()?)?);
    }
    Ok(())
}

/// Every capture in a folder and below it. Linked folders are not entered: they could lead back.
fn discover_folder(folder: &Path, inputs: &mut Vec<Input>) -> Result<(), Error> {
    let name = folder.display().to_string();
    let failed = |e| Error::io("read the folder", &name, e);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if !path.is_symlink() {
                discover_folder(&path, inputs)?;
            }
        } else if path.is_file() {
            inputs.extend(capture_at(path)?);
        }
    }
    Ok(())
}

/// The file, if it is a capture.
fn capture_at(path: PathBuf) -> Result<Option<Input>, Error> {
    let name = path.display().to_string();
    let store = Arc::new(Store::path(path.clone()));
    let size = fs::metadata(&path)
        .map_err(|e| Error::io("open", &name, e))?
        .len();
    match reader::is_capture(&store) {
        Ok(true) => Ok(Some(Input::from_path(path, size))),
        Ok(false) => Ok(None),
        Err(e) => Err(Error::io("open", &name, e)),
    }
}

fn spool(name: &str, pipe: &mut dyn io::Read) -> Result<Input, Error> {
    let (store, size) = Store::spool(pipe).map_err(|e| Error::io("read", name, e))?;
    Ok(Input::from_store(name, store, size))
}
