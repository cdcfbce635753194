//! Golden queries: `queries/**/NAME.query` runs, and all that it prints equals `NAME.txt`.
//!
//! Lines of a query file that start with `#!` are arguments of `flowsift query`, relative to
//! `tests/`. `UPDATE_EXPECT=1` rewrites the expected files. Queries whose last digits depend on the
//! order in which floats are added run on one thread.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support;

fn cases(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cases(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "query")
        {
            found.push(path);
        }
    }
}

fn run(case: &Path) -> String {
    let text = fs::read_to_string(case).unwrap();
    let mut args = vec!["query"];
    let mut query = String::new();
    for line in text.lines() {
        match line.strip_prefix("#!") {
            Some(line) => args.extend(line.split_whitespace()),
            None => {
                query.push_str(line);
                query.push('\n');
            }
        }
    }
    args.push(query.trim_end());
    let mut command = support::command(&args);
    command.current_dir(support::root().join("tests"));
    let output = support::finish(command);
    format!(
        "exit {}\n--- output\n{}--- errors\n{}",
        output.code.unwrap(),
        String::from_utf8_lossy(&output.stdout),
        output.stderr
    )
}

#[test]
fn queries_print_what_is_expected() {
    let mut found = Vec::new();
    cases(&support::root().join("tests/queries"), &mut found);
    found.sort();
    assert!(
        found.len() >= 20,
        "only {} golden queries were found",
        found.len()
    );
    let mut failures = Vec::new();
    let zones = Path::new("/usr/share/zoneinfo").is_dir();
    for case in found {
        if !zones && fs::read_to_string(&case).unwrap().contains("time -tz") {
            eprintln!("SKIPPED: {}: no time zone database", case.display());
            continue;
        }
        let got = run(&case);
        let expected = case.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &got).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != got {
            failures.push(format!("{}: got\n{got}", case.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
