//! Runs the built program and finds the captures.

pub(crate) mod cut;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The folder of the captures that ship with the repository.
pub(crate) fn shipped() -> PathBuf {
    root().join("tests/captures")
}

/// A capture that ships with the repository, by its path in that folder.
pub(crate) fn capture(name: &str) -> String {
    shipped().join(name).to_str().unwrap().to_owned()
}

/// Folders of captures with expected tables: the shipped one, and the full set where there is one.
pub(crate) fn capture_sets() -> Vec<PathBuf> {
    let full = std::env::var_os("FLOWSIFT_CAPTURES")
        .map_or_else(|| root().join("../shared/captures"), PathBuf::from);
    let mut sets = vec![shipped()];
    if full.join("MANIFEST.tsv").is_file() {
        sets.push(full);
    } else {
        eprintln!("SKIPPED: the full capture set is not here (FLOWSIFT_CAPTURES names it)");
    }
    sets
}

/// What a run printed and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Output {
    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The rows of a tsv answer, without the header.
    pub(crate) fn rows(&self) -> Vec<Vec<&str>> {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.text()
            .lines()
            .skip(1)
            .map(|line| line.split('\t').collect())
            .collect()
    }
}

/// The program with arguments, in an environment that does not depend on who runs the tests.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowsift"));
    command
        .args(args)
        .current_dir(root())
        .env("COLUMNS", "80")
        .env("LINES", "24");
    command.env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    finish(command(args))
}

/// Runs the program with something on its standard input.
pub(crate) fn run_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut command = command(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program may refuse its arguments before it reads.
    let _ = child.stdin.take().unwrap().write_all(input);
    output(child.wait_with_output().unwrap())
}

/// Runs a prepared command to its end.
pub(crate) fn finish(mut command: Command) -> Output {
    output(command.output().unwrap())
}

fn output(output: std::process::Output) -> Output {
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        !stderr.contains("panicked at"),
        "the program panicked: {stderr}"
    );
    Output {
        code: output.status.code(),
        stdout: output.stdout,
        stderr,
    }
}

/// `flowsift query -r FILE --format tsv QUERY`.
pub(crate) fn query(file: &str, query: &str) -> Output {
    run(&["query", "-r", file, "--format", "tsv", query])
}
