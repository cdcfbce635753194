//! Tuples without packets: they answer what tuples have, and nothing else; what they cannot answer
//! is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::plan::Scan;
use super::prune;
use super::stored::{Groups, Way};
use super::tuples::Layout;
use super::view::column_name;
use crate::decode::tuple::Part;
use crate::missed::Unanswered;
use crate::plan::pipeline::SourceColumn;
use crate::store::Sidecar;

/// The row groups to read of a file of tuples alone; `None` if the query needs more than they
/// have, or if they cannot be read, which is noted in the report.
pub(super) fn groups(tuples: &Arc<Sidecar>, way: Option<&Arc<Way>>, scan: &Scan) -> Option<Groups> {
    let predicate = way.and_then(|way| way.predicate());
    let groups = prune::groups(tuples, predicate, scan.time_range, &scan.columns);
    if let Some(way) = way.filter(|way| way.does_without_packets()) {
        return match Layout::of(tuples) {
            Ok(layout) => Some(Groups {
                sidecar: Arc::clone(tuples),
                layout,
                groups,
                way: Arc::clone(way),
            }),
            Err(error) => {
                let rows = groups.iter().map(|group| tuples.rows(*group) as u64).sum();
                scan.report.add_tuples_lost(&error, rows);
                None
            }
        };
    }
    if !groups.is_empty() {
        let (low, high) = scan.time_range.unwrap_or((i64::MIN, i64::MAX));
        scan.report.add_unanswered(Unanswered {
            file: tuples.path().display().to_string(),
            packets: groups.iter().map(|group| tuples.rows(*group) as u64).sum(),
            times_ns: tuples
                .times_ns
                .map(|(first, last)| (first.max(low), last.min(high.saturating_sub(1)))),
            fields: needed(scan),
        });
    }
    None
}

/// The columns of a scan that tuples without packets do not have.
fn needed(scan: &Scan) -> BTreeSet<String> {
    let mut used = scan.projection.clone();
    if let Some(predicate) = &scan.predicate {
        predicate.columns(&mut used);
    }
    let missing = used.into_iter().filter(|column| {
        let mut parts = BTreeSet::new();
        scan.columns.add_parts(*column, &mut parts);
        !scan.columns.is_covered(*column) || parts.contains(&Part::CapturedLength)
    });
    let name = |column| match scan.columns.source(column)? {
        SourceColumn::Data => Some("the packet's bytes".to_owned()),
        column => Some(column_name(&column)),
    };
    missing.filter_map(name).collect()
}
