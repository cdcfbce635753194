//! Tests of the whole parser: published queries, golden trees and errors, and properties.

use super::diagnostic::Severity;
use super::parse;

mod dump;
mod golden;
mod properties;

/// Published queries: (number, warns, text).
fn published() -> Vec<(u32, bool, &'static str)> {
    let lines = include_str!("../testdata/queries.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.splitn(3, '\t');
            let number = parts.next().unwrap().parse().unwrap();
            let warns = parts.next().unwrap() == "W";
            (number, warns, parts.next().unwrap())
        })
        .collect()
}

#[test]
fn published_queries_parse() {
    /// Those whose warning is not about a field or a module.
    const WARNED: [u32; 4] = [7, 13, 40, 63];
    let queries = published();
    assert_eq!(queries.len(), 103);
    for (number, warns, text) in queries {
        let (query, diagnostics) = parse(text);
        assert!(query.is_some(), "query {number}: {diagnostics:#?}");
        let warned = diagnostics.iter().any(|d| d.severity == Severity::Warning);
        let errors = diagnostics.iter().any(|d| d.severity == Severity::Error);
        assert!(!errors, "query {number}: {diagnostics:#?}");
        assert_eq!(
            warned,
            WARNED.contains(&number),
            "query {number}: {diagnostics:#?}"
        );
        assert!(warns || !warned, "query {number} is listed without warning");
    }
}
