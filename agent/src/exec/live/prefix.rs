//! The first operations of a pipeline that treat every window by itself: their rows of a window
//! are final as soon as it has closed.

use crate::plan::pipeline::{Expr, Op, Pipeline, Renderer, SortKey, SourceColumn};

/// The first operations that can be run window by window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// How many there are.
    pub(super) ops: usize,
    /// Width of the windows in nanoseconds: a multiple of those of all operations.
    pub(super) window_ns: i64,
}

/// The longest such prefix that ends in an operation over windows; `None` without one.
pub(super) fn windowed_prefix(pipeline: &Pipeline) -> Option<Prefix> {
    let mut found: Option<Prefix> = None;
    for (place, op) in pipeline.ops.iter().enumerate() {
        let window_ns = match op {
            Op::Filter(_) | Op::Assign(_) => continue,
            Op::Aggregate(aggregate) => aggregate.window_ns,
            Op::Distinct { window_ns, .. } => *window_ns,
            Op::Sort(_) | Op::Limit { .. } | Op::LimitBy { .. } | Op::Difference { .. } => None,
        };
        let width = match (window_ns.filter(|width| *width > 0), found) {
            (None, _) => break,
            (Some(width), None) => width,
            (Some(width), Some(before)) => {
                let (wide, narrow) = (width.max(before.window_ns), width.min(before.window_ns));
                if wide % narrow != 0 {
                    break;
                }
                wide
            }
        };
        found = Some(Prefix {
            ops: place + 1,
            window_ns: width,
        });
    }
    found
}

/// The pipeline of which every entry of the answer comes of one packet: it can be shown at once,
/// and nothing has to be kept. Its order, newest first, is turned round, so that what comes later
/// stands below. `None` where the answer needs more than one packet, or another order.
pub(super) fn oldest_first(pipeline: &Pipeline) -> Option<Pipeline> {
    let rows = matches!(
        pipeline.renderer,
        Renderer::Text { .. }
            | Renderer::Raw { .. }
            | Renderer::Hex { .. }
            | Renderer::Pcap { .. }
            | Renderer::Table { merge: None, .. }
    );
    let mut turned = pipeline.clone();
    let source = |key: &SortKey| match key.expr {
        Expr::Column(id) => pipeline.source.iter().find(|(own, _)| *own == id),
        _ => None,
    };
    let by_time = |key: &SortKey| {
        let kind = source(key).map(|(_, kind)| kind);
        matches!(kind, Some(SourceColumn::Time | SourceColumn::Sequence))
    };
    for op in &mut turned.ops {
        match op {
            Op::Filter(_) | Op::Assign(_) => {}
            Op::Sort(keys) if keys.iter().all(by_time) => {
                keys.iter_mut().for_each(|key| key.descending = false);
            }
            _ => return None,
        }
    }
    rows.then_some(turned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(query: &str) -> Option<Prefix> {
        windowed_prefix(&pipeline(query))
    }

    fn pipeline(query: &str) -> Pipeline {
        let (tree, _) = crate::lang::parse(query);
        crate::plan::resolve(&tree.unwrap()).unwrap()
    }

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn windows_end_where_everything_is_needed() {
        let packets = "tag=pcap packet ipv4.SrcIP tcp.DstPort |";
        for (query, expected) in [
            // All of it is windowed for a chart.
            (
                "count by SrcIP,DstPort | chart count by SrcIP",
                Some((1, SECOND)),
            ),
            // A table without `over` condenses.
            ("count by SrcIP | table SrcIP count", None),
            (
                "count by SrcIP over 10s | table SrcIP count",
                Some((1, 10 * SECOND)),
            ),
            (
                "count by SrcIP,DstPort over 10s | count by SrcIP over 1m | table SrcIP count",
                Some((2, 60 * SECOND)),
            ),
            ("sort by SrcIP | limit 5 | table SrcIP", None),
            ("table SrcIP", None),
        ] {
            let found = prefix(&format!("{packets} {query}"));
            let found = found.map(|prefix| {
                let aggregates = |op: &&Op| matches!(op, Op::Aggregate(_));
                let whole = pipeline(&format!("{packets} {query}"));
                let ops = &whole.ops[..prefix.ops];
                (ops.iter().filter(aggregates).count(), prefix.window_ns)
            });
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn rows_of_packets_are_shown_at_once_and_oldest_first() {
        let at_once = |query: &str| oldest_first(&pipeline(query));
        let turned = at_once("packet ipv4.SrcIP tcp.DstPort==443 | table SrcIP").unwrap();
        let Some(Op::Sort(keys)) = turned.ops.last() else {
            panic!("{:?}", turned.ops);
        };
        assert!(keys.len() == 2 && keys.iter().all(|key| !key.descending));
        assert!(at_once("packet ipv4.SrcIP | sort by SrcIP | table SrcIP").is_none());
        assert!(at_once("packet ipv4.SrcIP | limit 3 | table SrcIP").is_none());
        assert!(at_once("packet ipv4.SrcIP | count by SrcIP | table").is_none());
    }
}
