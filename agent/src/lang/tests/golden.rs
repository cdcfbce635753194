//! Golden files: each case is a query (lines that start with `>>> `) and what is expected of it.
//! `UPDATE_EXPECT=1` writes what is found.

use std::path::Path;

use super::dump::dump;
use crate::lang::{format, parse, render};

/// Compares each case of a file of `testdata/` with what `check` makes of its query.
fn golden(file: &str, check: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/lang/testdata")
        .join(file);
    let expected = std::fs::read_to_string(&path).unwrap();
    let mut found = String::new();
    for query in cases(&expected) {
        for line in query.split('\n') {
            found += format!(">>> {line}").trim_end();
            found.push('\n');
        }
        found += check(&query).trim_end();
        found += "\n\n";
    }
    let found = format!("{}\n", found.trim_end());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let difference = expected
        .lines()
        .zip(found.lines())
        .enumerate()
        .find(|(_, (a, b))| a != b);
    if let Some((line, (a, b))) = difference {
        panic!("{file}:{}: expected\n{a}\nfound\n{b}", line + 1);
    }
    assert_eq!(expected, found, "{file} differs in length");
}

/// The queries of a golden file.
fn cases(text: &str) -> Vec<String> {
    let mut cases: Vec<String> = Vec::new();
    let mut within = false;
    for line in text.lines() {
        let Some(query) = line.strip_prefix(">>>") else {
            within = false;
            continue;
        };
        let query = query.strip_prefix(' ').unwrap_or(query);
        match cases.last_mut() {
            Some(last) if within => *last += &format!("\n{query}"),
            _ => cases.push(query.to_owned()),
        }
        within = true;
    }
    cases
}

#[test]
fn trees() {
    golden("trees.txt", |query| {
        let (tree, diagnostics) = parse(query);
        assert!(
            !diagnostics.iter().any(|d| d.is_error()),
            "{diagnostics:#?}"
        );
        let tree = tree.unwrap();
        let text = format(&tree);
        format!(
            "{}= {text}\n{}",
            dump(&tree),
            render(&diagnostics, query, false)
        )
    });
}

#[test]
fn errors() {
    golden("errors.txt", |query| {
        let (_, diagnostics) = parse(query);
        assert!(
            diagnostics.iter().any(|d| d.is_error()),
            "no error: {query}"
        );
        render(&diagnostics, query, false)
    });
}
