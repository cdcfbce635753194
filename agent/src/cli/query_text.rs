//! From the query's text to its resolved pipeline, with the diagnostics printed.

use std::collections::BTreeMap;
use std::fs;

use super::args::TextArgs;
use super::error::Error;
use crate::lang::{self, ast, diagnostic::Diagnostic, diagnostic::Severity};

/// The expanded text of the query on the command line or in a file.
pub(super) fn read(args: &TextArgs) -> Result<String, Error> {
    let text = match (&args.query, &args.query_file) {
        (Some(query), _) => query.clone(),
        (None, Some(path)) => fs::read_to_string(path).map_err(|source| Error::File {
            action: "read the query file",
            path: path.to_owned(),
            source,
        })?,
        (None, None) => String::new(),
    };
    let mut definitions = BTreeMap::new();
    for definition in &args.macros {
        let (name, value) = definition.split_once('=').ok_or_else(|| Error::Usage {
            message: format!("--macro '{definition}' has no ="),
            hint: "write --macro 'NAME=TEXT'".to_owned(),
        })?;
        definitions.insert(name.trim_start_matches('$').to_owned(), value.to_owned());
    }
    lang::macros::expand(&text, &definitions)
        .map_err(|diagnostic| Error::Query(lang::render(&[diagnostic], &text, false)))
}

/// Parses, failing with the rendered diagnostics where there is an error; else the tree and the
/// parser's warnings.
pub(super) fn parse(text: &str, colour: bool) -> Result<(ast::Query, Vec<Diagnostic>), Error> {
    let (tree, diagnostics) = lang::parse(text);
    match tree {
        Some(tree) if !has_errors(&diagnostics) => Ok((tree, diagnostics)),
        _ => Err(Error::Query(lang::render(&diagnostics, text, colour))),
    }
}

/// Whether any diagnostic is an error.
pub(super) fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}
