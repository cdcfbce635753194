//! The modules of the language, one file each; families that share a syntax share a file.

use super::arguments::Args;
use super::registry::ModuleSpec;
use super::report::Outcome;
use super::scope::Scope;
use crate::lang::ast::Spanned;

mod alias;
mod chart;
mod entropy;
mod eval;
mod graphs;
mod grep;
mod ip;
mod length;
mod limit;
mod math;
mod packet;
mod packet_input;
mod planned;
mod regex;
mod require;
mod sort;
mod stats;
mod strings;
mod table;
mod text;
mod top;
mod unique;

pub(super) use packet::{as_type, common_type};
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
    &entropy::ENTROPY,
    &unique::UNIQUE,
    &unique::FIRST,
    &unique::LAST,
    &top::TOP,
    &top::BOTTOM,
    &require::REQUIRE,
    &eval::EVAL,
    &grep::GREP,
    &grep::WORDS,
    &regex::REGEX,
    &ip::IP,
    &ip::SUBNET,
    &length::LENGTH,
    &length::DIFF,
    &length::SLICE,
    &length::TIME,
    &alias::ALIAS,
    &alias::KEEP,
    &ip::SRC,
    &strings::UPPER,
    &strings::LOWER,
    &strings::HEXLIFY,
    &strings::CONCAT,
    &strings::PRINTF,
    &strings::ABS,
    &sort::SORT,
    &sort::NOSORT,
    &limit::LIMIT,
    &table::TABLE,
    &chart::CHART,
    &graphs::STACKGRAPH,
    &graphs::FDG,
    &graphs::NUMBERCARD,
    &graphs::GAUGE,
    &planned::PACKETLAYER,
    &planned::GROK,
    &planned::ENRICH,
    &planned::LOOKUP,
    &planned::IPLOOKUP,
    &planned::IPEXIST,
    &planned::GEOIP,
    &planned::MACLOOKUP,
    &planned::FUSE,
    &planned::TRANSACTION,
    &planned::COMMUNITYID,
    &planned::STRINGS,
    &planned::BASE64,
    &planned::SPLIT,
    &planned::CSV,
    &planned::JSON,
    &planned::KV,
    &planned::FIELDS,
    &planned::XML,
    &planned::CEF,
    &planned::SYSLOG,
    &planned::WINLOG,
    &planned::PATH,
    &planned::AX,
    &planned::FILETYPE,
    &planned::INTRINSIC,
    &planned::DUMP,
    &planned::TAINT,
    &planned::KMEANS,
    &planned::DNS,
    &planned::ANONYMIZE,
    &planned::LOCATION,
    &planned::GEODIST,
    &planned::REINGEST,
    &planned::LANGFIND,
    &planned::NETFLOW,
    &planned::IPFIX,
    &planned::J1939,
    &planned::CANBUS,
    &planned::WORDCLOUD,
    &planned::POINTMAP,
    &planned::HEATMAP,
    &planned::POINT2POINT,
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
