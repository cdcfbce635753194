//! Names that the user gives: files, folders, patterns, pipes.

use std::{fs, process::Command};

use super::{
    build::{file_header, record},
    frames_of,
};
use crate::capfile::{Error, Input, discover};

fn find(spec: &str) -> Result<Vec<Input>, Error> {
    discover(&[spec.to_owned()])
}

/// A folder with captures of different names and kinds, and files that are none.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let capture = [file_header(), record(7, b"frame")].concat();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("b.pcap", &capture);
    write("a/no-name", &capture);
    write(
        "a/deep/er/c.zst",
        &zstd::encode_all(capture.as_slice(), 1).unwrap(),
    );
    write("a/empty.pcap", b"");
    write("notes.pcap", b"not a capture");
    write("text/readme.txt", b"PCAP files: none");
    write(
        "text/archive.gz",
        &zstd::encode_all(b"not a capture".as_slice(), 1).unwrap(),
    );
    folder
}

fn names(inputs: &[Input], folder: &tempfile::TempDir) -> Vec<String> {
    let prefix = format!("{}/", folder.path().display());
    inputs
        .iter()
        .map(|i| i.name().replace(&prefix, ""))
        .collect()
}

#[test]
fn folders_give_their_captures_by_content_and_patterns_what_fits() {
    let folder = folder();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("a/loop")).unwrap();
    let root = folder.path().to_str().unwrap();
    for (spec, expected) in [
        (
            root.to_owned(),
            &["a/deep/er/c.zst", "a/no-name", "b.pcap"][..],
        ),
        (format!("{root}/*.pcap"), &["b.pcap", "notes.pcap"]),
        (format!("{root}/a/**/*.zst"), &["a/deep/er/c.zst"]),
        (format!("{root}/a/empty.pcap"), &["a/empty.pcap"]),
    ] {
        assert_eq!(names(&find(&spec).unwrap(), &folder), expected, "{spec}");
    }
    for input in find(root).unwrap() {
        let frames = frames_of(&mut input.open().unwrap());
        assert_eq!(frames.len(), 1, "{}", input.name());
        assert_eq!(frames[0].5, b"frame");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_a_hint() {
    let folder = folder();
    let root = folder.path().to_str().unwrap();
    for (spec, expected) in [
        ("nowhere", "cannot find ROOT/nowhere"),
        ("no*where", "no file fits the pattern ROOT/no*where"),
        ("a[", "bad file name pattern ROOT/a[: Pattern syntax error"),
        ("text", "no capture file in the folder ROOT/text"),
    ] {
        let error = find(&format!("{root}/{spec}")).unwrap_err();
        let message = error.to_string().replace(root, "ROOT");
        assert!(message.starts_with(expected), "{message}");
        assert!(error.hint().is_some(), "{message}");
    }
    let error = find(&format!("{root}/notes.pcap")).unwrap()[0]
        .open()
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .ends_with("starts with 6e 6f 74 20 61 20 63 61"),
        "{error}"
    );
    assert!(discover(&["-".into(), "-".into()]).is_err());
}

#[test]
fn a_named_pipe_is_taken_in() {
    let folder = folder();
    let root = folder.path().to_str().unwrap();
    let pipe = format!("{root}/pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let (from, to) = (format!("{root}/b.pcap"), pipe.clone());
    // A pipe may refuse the permissions that copying sets at the end; what was read decides.
    let writer = std::thread::spawn(move || drop(fs::copy(from, to)));
    let input = find(&pipe).unwrap().remove(0);
    writer.join().unwrap();
    assert_eq!(input.size_bytes(), 24 + 16 + 5);
    for _ in 0..2 {
        assert_eq!(frames_of(&mut input.open().unwrap()).len(), 1);
    }
}
