//! Any text: parsing and planning end without a panic, and the canonical text of a tree without
//! errors parses to the same tree.
#![no_main]

use flowsift::lang::ast::Query;
use flowsift::lang::diagnostic::Severity;
use flowsift::{lang, plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (query, diagnostics) = lang::parse(text);
    let Some(query) = query else { return };
    std::hint::black_box(plan::check(&query));
    std::hint::black_box(plan::resolve(&query)).ok();
    let failed = diagnostics.iter().any(|d| d.severity == Severity::Error);
    let tree = without_spans(&query);
    // The formatter is documented to lose the content of statements that the tree only names.
    if failed || tree.contains("Other") {
        return;
    }
    let canonical = lang::format(&query);
    let again = lang::parse(&canonical).0.map(|query| without_spans(&query));
    assert_eq!(again.as_deref(), Some(tree.as_str()), "{canonical}");
});

/// The tree's debug text, in which the places in the query text are left out.
fn without_spans(query: &Query) -> String {
    let text = format!("{query:?}");
    let mut parts = text.split("Span {");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    out
}
