//! Tests of the whole planner: golden pipelines and messages, and the published queries.

use std::path::Path;

use super::{check, explain, resolve};
use crate::lang::diagnostic::Severity;
use crate::lang::{parse, render};

/// The pipeline of a query and its warnings, or its errors.
fn planned(text: &str) -> String {
    let (query, mut diagnostics) = parse(text);
    let mut out = String::new();
    match query.map(|query| resolve(&query)) {
        Some(Ok(pipeline)) => {
            out.push_str(&explain(&pipeline));
            diagnostics.extend(pipeline.warnings);
        }
        Some(Err(problems)) => diagnostics.extend(problems),
        None => {}
    }
    out.push_str(&render(&diagnostics, text, false));
    let lines: Vec<&str> = out.lines().filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// Compares each block of a file, a `? query` line and what follows, with what the query gives now;
/// rewrites the file if `UPDATE_EXPECT` is set.
fn golden(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/plan/testdata")
        .join(name);
    let expected = std::fs::read_to_string(&path).unwrap();
    let mut actual = String::new();
    for line in expected.lines() {
        if let Some(query) = line.strip_prefix("? ") {
            actual.push_str(&format!("? {query}\n{}\n\n", planned(query)));
        } else if line.starts_with('#') {
            actual.push_str(&format!("{line}\n\n"));
        }
    }
    let actual = format!("{}\n", actual.trim_end());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let mut lines = (expected.lines(), actual.lines());
    let mut query = "";
    loop {
        let (want, got) = (lines.0.next(), lines.1.next());
        if let Some(text) = got.and_then(|line| line.strip_prefix("? ")) {
            query = text;
        }
        assert_eq!(got, want, "in {query}; set UPDATE_EXPECT=1 to accept");
        if want.is_none() {
            break;
        }
    }
}

#[test]
fn pipelines() {
    golden("pipelines.txt");
}

#[test]
fn messages() {
    golden("messages.txt");
}

#[test]
fn published_queries_check() {
    let lines = include_str!("../lang/testdata/queries.txt").lines();
    let mut count = 0;
    for line in lines.filter(|line| !line.starts_with('#')) {
        let mut parts = line.splitn(3, '\t');
        let (Some(number), Some(warns), Some(text)) = (parts.next(), parts.next(), parts.next())
        else {
            panic!("{line}");
        };
        count += 1;
        let (query, mut diagnostics) = parse(text);
        diagnostics.extend(check(&query.unwrap()));
        let shown = render(&diagnostics, text, false);
        let has = |severity| diagnostics.iter().any(|d| d.severity == severity);
        assert!(!has(Severity::Error), "query {number}:\n{shown}");
        if warns == "W" {
            assert!(has(Severity::Warning), "query {number} should warn");
        }
    }
    assert_eq!(count, 103);
}
