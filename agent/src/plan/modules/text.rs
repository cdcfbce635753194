//! text, raw, hex and pcap: entries as they are.

use super::super::arguments::Args;
use super::super::pipeline::{ColumnId, Op, Renderer, SourceColumn};
use super::super::registry::ModuleSpec;
use super::super::report::Outcome;
use super::super::scope::{Scope, ascending, needs_frames};
use super::limit::number;
use crate::types::EvType;

pub(in crate::plan) static TEXT: ModuleSpec = ModuleSpec {
    summary: "DATA as text, other bytes as dots",
    syntax: &["text [limit BYTES]"],
    reads: "DATA",
    makes: "nothing",
    example: "tag=pcap packet udp.DstPort==53 udp.Payload | grep -e Payload \"tumblr\" | text",
    ..ModuleSpec::renderer("text", resolve_text)
};

pub(super) static RAW: ModuleSpec = ModuleSpec {
    summary: "DATA untouched",
    syntax: &["raw [limit BYTES]"],
    reads: "DATA",
    makes: "nothing",
    example: "tag=pcap limit 1 | raw",
    ..ModuleSpec::renderer("raw", resolve_raw)
};

pub(super) static HEX: ModuleSpec = ModuleSpec {
    summary: "DATA in hex",
    syntax: &["hex"],
    reads: "DATA",
    makes: "nothing",
    example: "tag=pcap limit 1 | hex",
    ..ModuleSpec::renderer("hex", resolve_hex)
};

pub(super) static PCAP: ModuleSpec = ModuleSpec {
    summary: "the packets as a capture file",
    syntax: &["pcap"],
    reads: "whole packets: nothing before it may condense",
    makes: "nothing",
    example: "tag=pcap packet tcp.Port==80 | pcap",
    ..ModuleSpec::renderer("pcap", resolve_pcap)
};

fn resolve_text(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let limit = limit(args)?;
    let (data, time) = entry(scope);
    scope.renderer = Some(Renderer::Text { limit, data, time });
    Ok(())
}

fn resolve_raw(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let limit = limit(args)?;
    let (data, _) = entry(scope);
    scope.renderer = Some(Renderer::Raw { limit, data });
    Ok(())
}

fn resolve_hex(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    args.finish()?;
    let (data, _) = entry(scope);
    scope.renderer = Some(Renderer::Hex { data });
    Ok(())
}

fn resolve_pcap(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    needs_frames(scope, "pcap", args.name.span)?;
    args.finish()?;
    // Without a sort of its own the file keeps the order in which the packets were read.
    if !scope.sorted
        && !scope.no_sort
        && let Some(sequence) = scope.sequence()
    {
        scope.emit(Op::Sort(vec![ascending(sequence)]));
    }
    let time = scope.time();
    let data = scope.source(SourceColumn::Data, "DATA", EvType::Bytes);
    let length = scope.source(SourceColumn::WireLength, "wire-length", EvType::UInt32);
    let link = scope.source(SourceColumn::LinkType, "link-type", EvType::UInt16);
    scope.renderer = Some(Renderer::Pcap {
        columns: [time, data, length, link],
    });
    Ok(())
}

fn limit(args: &mut Args<'_>) -> Outcome<Option<u64>> {
    let limit = if args.take_keyword("limit") {
        Some(number(args)?)
    } else {
        None
    };
    args.finish()?;
    Ok(limit)
}

/// DATA and time of the entries, in the order in which they are shown.
fn entry(scope: &mut Scope) -> (ColumnId, ColumnId) {
    let data = scope.data();
    if !scope.no_sort {
        scope.sort_now();
    }
    (data, scope.time())
}
