//! The modules of the language, one file each; families that share a syntax share a file.

use super::arguments::Args;
use super::registry::ModuleSpec;
use super::report::Outcome;
use super::scope::Scope;
use crate::lang::ast::Spanned;

mod limit;
mod math;
mod packet;
mod require;
mod sort;
mod stats;
mod table;
mod text;

pub(super) use text::TEXT;

/// Every module, in the order of the reference.
pub(super) const ALL: &[&ModuleSpec] = &[
    &packet::PACKET,
    &math::COUNT,
    &math::SUM,
    &math::MEAN,
    &math::MIN,
    &math::MAX,
    &math::STDDEV,
    &math::VARIANCE,
    &stats::STATS,
    &require::REQUIRE,
    &sort::SORT,
    &sort::NOSORT,
    &limit::LIMIT,
    &table::TABLE,
    &TEXT,
    &text::RAW,
    &text::HEX,
    &text::PCAP,
];

/// One or more names to the end of the arguments, or to a keyword.
fn names(args: &mut Args<'_>, stop: &[&str]) -> Vec<Spanned<String>> {
    let mut names = Vec::new();
    while !stop.iter().any(|keyword| args.is_keyword(0, keyword)) {
        match args.take_word() {
            Some(word) => names.push(word),
            None => break,
        }
    }
    names
}

/// One or more names, looked up.
fn columns(
    args: &mut Args<'_>,
    scope: &mut Scope,
    what: &str,
) -> Outcome<Vec<super::pipeline::ColumnId>> {
    let names = names(args, &[]);
    if names.is_empty() {
        return Err(args.unexpected(&format!("expected {what}")));
    }
    args.finish()?;
    Ok(names.iter().map(|name| scope.lookup(name)).collect())
}
