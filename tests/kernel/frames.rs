//! The Ethernet frames of the captures.

use std::fs;
use std::path::{Path, PathBuf};

use flowsift::capfile;
use flowsift::frame::{Frame, LinkType};

use crate::support::say_skipped;

const ETHERNET: LinkType = LinkType(1);

/// The full set of captures, named by the environment or beside the repository; else, after
/// saying so, the part of it that ships.
pub(crate) fn captures() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let named = std::env::var_os("FLOWSIFT_CAPTURES").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root.join("../shared/captures"));
    if folder.join("MANIFEST.tsv").is_file() {
        return folder;
    }
    say_skipped("the full capture set is not here (FLOWSIFT_CAPTURES names it)");
    root.join("tests/captures")
}

/// The files of a folder of captures, by their paths in it.
pub(crate) fn manifest(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    text.lines()
        .skip(1)
        .filter_map(|line| Some(line.split('\t').next()?.to_owned()))
        .collect()
}

/// Hands over the frames of a file; `false` where one is not of Ethernet, or the file no capture.
pub(crate) fn each_ethernet_frame(path: &Path, mut take: impl FnMut(&Frame<'_>)) -> bool {
    let Ok(inputs) = capfile::discover(&[path.to_string_lossy().into_owned()]) else {
        return false;
    };
    let reader = inputs.first().and_then(|input| input.open().ok());
    let Some(mut reader) = reader else {
        return false;
    };
    while let Some(frame) = reader.next_frame() {
        if frame.link_type != ETHERNET {
            return false;
        }
        take(&frame);
    }
    true
}
