//! `flowsift parse`: the resolved pipeline of a query, its columns and its warnings.

use std::io::Write;

use super::args::{ParseArgs, ParseFormat};
use super::error::Error;
use super::{query_text, terminal};
use crate::lang::{self, ast, diagnostic::Diagnostic, diagnostic::Severity};
use crate::plan;

/// Prints the pipeline; fails as `flowsift query` would.
pub(super) fn run(args: &ParseArgs, out: &mut dyn Write) -> Result<u8, Error> {
    let text = query_text::read(&args.text)?;
    let (tree, mut diagnostics) = lang::parse(&text);
    let valid = tree.is_some() && !query_text::has_errors(&diagnostics);
    if valid && let Some(tree) = &tree {
        diagnostics.extend(plan::check(tree));
    }
    let failed = query_text::has_errors(&diagnostics);
    let pipeline = match &tree {
        Some(tree) if !failed => plan::resolve(tree).ok(),
        _ => None,
    };
    match args.format {
        ParseFormat::Json => {
            let report = json(&text, tree.as_ref(), pipeline.as_ref(), &diagnostics);
            writeln!(out, "{report:#}")?;
        }
        ParseFormat::Text => {
            let colour = terminal::stderr_is_terminal();
            if failed {
                return Err(Error::Query(lang::render(&diagnostics, &text, colour)));
            }
            eprint!("{}", lang::render(&diagnostics, &text, colour));
            match &pipeline {
                Some(pipeline) => write!(out, "{}", plan::explain(pipeline)),
                None => writeln!(
                    out,
                    "the query is well formed, but a module of it cannot run yet"
                ),
            }?;
        }
    }
    Ok(if failed { 2 } else { 0 })
}

/// What a program needs to know of a query; spans are byte offsets.
fn json(
    text: &str,
    tree: Option<&ast::Query>,
    pipeline: Option<&plan::pipeline::Pipeline>,
    diagnostics: &[Diagnostic],
) -> serde_json::Value {
    let stages: Vec<&str> = tree
        .map(|tree| {
            tree.body
                .stages
                .iter()
                .map(|stage| stage.name.value.as_str())
                .collect()
        })
        .unwrap_or_default();
    let diagnostics: Vec<_> = diagnostics
        .iter()
        .map(|d| {
            serde_json::json!({
                "severity": match d.severity { Severity::Error => "error", Severity::Warning => "warning" },
                "start": d.span.start,
                "end": d.span.end,
                "message": d.message,
                "hint": d.hint,
            })
        })
        .collect();
    serde_json::json!({
        "query": text,
        "valid": !diagnostics.iter().any(|d| d["severity"] == "error"),
        "runnable": pipeline.is_some(),
        "modules": stages,
        "pipeline": pipeline.map(plan::explain),
        "diagnostics": diagnostics,
    })
}
