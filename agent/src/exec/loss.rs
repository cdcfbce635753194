//! The loss tables of a store as a table of the engine.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, UInt64Array, new_null_array,
};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;

use super::error::Error;
use super::scan::{column_name, column_type};
use super::types::arrow_type;
use crate::plan::loss::{LossColumn, TAG};
use crate::plan::pipeline::SourceColumn;
use crate::store::loss::{Counts, Reason};

/// What was counted of an interface between two readings of its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossEntry {
    /// Time of the later reading, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The interface.
    pub interface: Arc<str>,
    /// The tag of its packets.
    pub tag: Arc<str>,
    /// The differences.
    pub counts: Counts,
}

/// The entries in a time range as a table with these columns.
pub(super) fn table(
    entries: &[LossEntry],
    columns: &[SourceColumn],
    range: Option<(i64, i64)>,
) -> Result<Arc<dyn TableProvider>, Error> {
    let inside =
        |entry: &&LossEntry| range.is_none_or(|(start, end)| (start..end).contains(&entry.time_ns));
    let entries: Vec<&LossEntry> = entries.iter().filter(inside).collect();
    let field = |column: &SourceColumn| {
        Field::new(column_name(column), arrow_type(column_type(column)), true)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns
        .iter()
        .map(|column| array(&entries, column))
        .collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(datafusion::error::DataFusionError::from)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

fn array(entries: &[&LossEntry], column: &SourceColumn) -> ArrayRef {
    match column {
        SourceColumn::Time => Arc::new(Int64Array::from_iter_values(
            entries.iter().map(|e| e.time_ns),
        )),
        SourceColumn::Sequence => Arc::new(UInt64Array::from_iter_values(0..entries.len() as u64)),
        SourceColumn::Tag => Arc::new(StringArray::from_iter_values(entries.iter().map(|_| TAG))),
        SourceColumn::Data => Arc::new(BinaryArray::from_iter_values(
            entries.iter().map(|entry| line(entry)),
        )),
        SourceColumn::Loss(column) => values(entries, *column),
        other => new_null_array(&arrow_type(column_type(other)), entries.len()),
    }
}

fn values(entries: &[&LossEntry], column: LossColumn) -> ArrayRef {
    let texts = |text: fn(&LossEntry) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            entries.iter().map(|entry| text(entry)),
        ))
    };
    let number = match column {
        LossColumn::Interface => return texts(|entry| &entry.interface),
        LossColumn::PacketTag => return texts(|entry| &entry.tag),
        other => move |entry: &&LossEntry| count(&entry.counts, other),
    };
    Arc::new(UInt64Array::from_iter_values(entries.iter().map(number)))
}

fn count(counts: &Counts, column: LossColumn) -> u64 {
    match column {
        LossColumn::Interface | LossColumn::PacketTag => 0,
        LossColumn::Seen => counts.seen,
        LossColumn::Stored => counts.stored,
        LossColumn::Lost => counts.lost(),
        LossColumn::Bytes => counts.bytes,
        LossColumn::Cut => counts.cut,
        LossColumn::RingFull => counts.dropped(Reason::RingFull),
        LossColumn::QueueFull => counts.dropped(Reason::QueueFull),
        LossColumn::DiskFull => counts.dropped(Reason::DiskFull),
        LossColumn::IoError => counts.dropped(Reason::IoError),
        LossColumn::TooLong => counts.dropped(Reason::TooLong),
        LossColumn::Filtered => counts.dropped(Reason::Filter),
        LossColumn::Own => counts.dropped(Reason::Own),
    }
}

/// An entry as text (`DATA`).
fn line(entry: &LossEntry) -> String {
    let counts = LossColumn::ALL
        .iter()
        .filter(|column| column.ty() == crate::types::EvType::UInt64);
    let counts =
        counts.map(|column| format!("{}={}", column.name(), count(&entry.counts, *column)));
    let counts: Vec<String> = counts.collect();
    format!(
        "interface={} packet_tag={} {}",
        entry.interface,
        entry.tag,
        counts.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_as_text() {
        let mut counts = Counts {
            seen: 5,
            stored: 3,
            ..Counts::default()
        };
        counts.drop_packets(Reason::RingFull, 2);
        counts.drop_packets(Reason::Filter, 7);
        let entry = LossEntry {
            time_ns: 1,
            interface: "lan0".into(),
            tag: "pcap".into(),
            counts,
        };
        let text = line(&entry);
        assert!(
            text.starts_with("interface=lan0 packet_tag=pcap seen=5 stored=3 lost=2 "),
            "{text}"
        );
        assert!(
            text.contains(" ring_full=2 ") && text.contains(" filtered=7 "),
            "{text}"
        );
    }
}
