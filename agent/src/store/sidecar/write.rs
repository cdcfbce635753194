//! Making a sidecar from a closed capture file.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::{
    basic::{Compression, Encoding},
    data_type::{DataType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, KeyValue},
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::ColumnPath,
};

use super::{CHECK, Column, Error, MARK, TAIL, VERSION, key, publish::publish, schema::schema};
use crate::{
    capfile::Input,
    decode::{Packet, Tuple},
    frame::LinkType,
    store::{
        layout::{ClosedName, Kind},
        state::crc,
    },
};

/// Rows of a row group, unless asked otherwise: about 1.5 MB of table.
pub const ROWS_PER_GROUP: usize = 128 << 10;
/// False positives of the Bloom filters.
const FALSE_POSITIVES: f64 = 0.01;

/// A sidecar that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Rows: packets of the capture file.
    pub packets: u64,
}

/// Makes the sidecar of a closed capture file, or makes it again. It appears under its name when
/// it is complete and on the disk.
///
/// # Errors
/// [`Error::DamagedCapture`] for a capture file in which something is wrong: its sidecar could
/// not say what, so that such a file is always read itself.
pub fn build(capture: &Path, rows_per_group: usize) -> Result<Made, Error> {
    let name = capture
        .file_name()
        .and_then(|name| ClosedName::parse(name.to_str()?))
        .filter(|(_, kind)| kind.has_packets());
    let Some((name, _)) = name else {
        let path = capture.with_extension("parquet");
        let reason = "its capture file has no name of a closed one".to_owned();
        return Err(Error::Make { path, reason });
    };
    let of_kind = |kind| capture.with_file_name(name.file_name(kind));
    let path = of_kind(Kind::Sidecar);
    let input = Input::from_forms(
        &capture.to_string_lossy(),
        of_kind(Kind::Capture),
        of_kind(Kind::Compressed),
        u64::MAX,
        0,
    );
    let length = input.facts()?.length;
    publish(&path, None, |output| {
        fill(
            &input,
            length,
            name.sequence,
            output,
            &path,
            rows_per_group.max(1),
        )
    })
}

fn fill(
    input: &Input,
    length: u64,
    sequence: u64,
    output: &File,
    path: &Path,
    rows_per_group: usize,
) -> Result<Made, Error> {
    let make = |e: &dyn std::fmt::Display| Error::Make {
        path: path.to_path_buf(),
        reason: e.to_string(),
    };
    let mut reader = input.open()?;
    let mut table = Table::new(output).map_err(|e| make(&e))?;
    let mut rows = Rows::default();
    let mut totals = Totals::default();
    while let Some(frame) = reader.next_frame() {
        let tuple = Tuple::of(&Packet::decode(&frame));
        totals.add(&tuple);
        rows.push(&tuple, frame.offset);
        if rows.len() >= rows_per_group {
            table.write(&rows).map_err(|e| make(&e))?;
            rows = Rows::default();
        }
    }
    if let Some(warning) = reader.warnings().first() {
        return Err(Error::DamagedCapture {
            path: PathBuf::from(input.name()),
            reason: warning.to_string(),
        });
    }
    if rows.len() > 0 {
        table.write(&rows).map_err(|e| make(&e))?;
    }
    let facts = totals.facts(length, sequence);
    Ok(Made {
        path: path.to_path_buf(),
        packets: totals.packets,
        length: table.finish(facts).map_err(|e| make(&e))?,
    })
}

/// What the metadata says of all packets.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) packets: u64,
    times: Option<(i64, i64)>,
    link_type: Option<LinkType>,
}

impl Totals {
    pub(super) fn add(&mut self, tuple: &Tuple) {
        self.packets += 1;
        self.link_type = self.link_type.or(Some(tuple.link_type));
        if let Some(time) = tuple.time_ns {
            let (min, max) = self.times.unwrap_or((time, time));
            self.times = Some((min.min(time), max.max(time)));
        }
    }

    /// Those of a capture file of so many bytes, or of tuples alone: 0.
    pub(super) fn facts(&self, capture_bytes: u64, sequence: u64) -> Vec<KeyValue> {
        let mut facts = vec![
            fact(key::VERSION, VERSION.to_string()),
            fact(key::CAPTURE_BYTES, capture_bytes.to_string()),
            fact(key::PACKETS, self.packets.to_string()),
            fact(key::SEQUENCE, sequence.to_string()),
        ];
        if let Some(link_type) = self.link_type {
            facts.push(fact(key::LINK_TYPE, link_type.0.to_string()));
        }
        if let Some((min, max)) = self.times {
            facts.push(fact(key::MIN_TIME, min.to_string()));
            facts.push(fact(key::MAX_TIME, max.to_string()));
        }
        facts
    }
}

pub(super) fn fact(key: &str, value: String) -> KeyValue {
    KeyValue::new(key.to_owned(), value)
}

/// An optional column: its values, and for each row whether it has one.
#[derive(Debug)]
struct Optional<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            levels: Vec::new(),
        }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// The rows of one row group.
#[derive(Debug, Default)]
pub(super) struct Rows {
    time: Vec<i64>,
    source: Optional<FixedLenByteArray>,
    destination: Optional<FixedLenByteArray>,
    source_port: Optional<i32>,
    destination_port: Optional<i32>,
    protocol: Optional<i32>,
    tcp_flags: Optional<i32>,
    vlan: Optional<i32>,
    marks: Vec<i32>,
    wire_length: Vec<i32>,
    captured_length: Vec<i32>,
    offset: Vec<i64>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.time.len()
    }

    pub(super) fn push(&mut self, tuple: &Tuple, offset: u64) {
        let address = |a: Option<[u8; 16]>| a.map(|a| FixedLenByteArray::from(a.to_vec()));
        // pcap always has a time.
        self.time.push(tuple.time_ns.unwrap_or_default());
        self.source.push(address(tuple.source));
        self.destination.push(address(tuple.destination));
        self.source_port.push(tuple.source_port.map(i32::from));
        self.destination_port
            .push(tuple.destination_port.map(i32::from));
        self.protocol.push(tuple.protocol.map(i32::from));
        self.tcp_flags.push(tuple.tcp_flags.map(i32::from));
        self.vlan.push(tuple.vlan.map(i32::from));
        self.marks.push(i32::from(tuple.marks));
        self.wire_length.push(tuple.wire_len.cast_signed());
        self.captured_length.push(tuple.captured_len.cast_signed());
        self.offset.push(offset.cast_signed());
    }

    fn write(&self, column: Column, group: &mut Group<'_>) -> Result<(), ParquetError> {
        let optional = |group: &mut Group<'_>, column: &Optional<i32>| {
            next::<Int32Type>(group, &column.values, Some(&column.levels))
        };
        let address = |group: &mut Group<'_>, column: &Optional<FixedLenByteArray>| {
            next::<FixedLenByteArrayType>(group, &column.values, Some(&column.levels))
        };
        match column {
            Column::Time => next::<Int64Type>(group, &self.time, None),
            Column::Source => address(group, &self.source),
            Column::Destination => address(group, &self.destination),
            Column::SourcePort => optional(group, &self.source_port),
            Column::DestinationPort => optional(group, &self.destination_port),
            Column::Protocol => optional(group, &self.protocol),
            Column::TcpFlags => optional(group, &self.tcp_flags),
            Column::Vlan => optional(group, &self.vlan),
            Column::Marks => next::<Int32Type>(group, &self.marks, None),
            Column::WireLength => next::<Int32Type>(group, &self.wire_length, None),
            Column::CapturedLength => next::<Int32Type>(group, &self.captured_length, None),
            Column::Offset => next::<Int64Type>(group, &self.offset, None),
        }
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn next<T: DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let column = group.next_column()?;
    let mut column =
        column.ok_or_else(|| ParquetError::General("the schema ends early".to_owned()))?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

/// The table being written: each row group is made in memory, checked, then written.
pub(super) struct Table<'a> {
    writer: SerializedFileWriter<Vec<u8>>,
    output: &'a File,
    written: u64,
    checks: Vec<String>,
}

impl<'a> Table<'a> {
    pub(super) fn new(output: &'a File) -> Result<Self, ParquetError> {
        let writer = SerializedFileWriter::new(Vec::new(), schema()?, Arc::new(properties()))?;
        Ok(Self {
            writer,
            output,
            written: 0,
            checks: Vec::new(),
        })
    }

    pub(super) fn write(&mut self, rows: &Rows) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for column in Column::ALL {
            rows.write(column, &mut group)?;
        }
        group.close()?;
        let bytes = self.take()?;
        if let Some(group) = self.writer.flushed_row_groups().last() {
            for column in group.columns() {
                for (start, length) in ranges(column) {
                    let start = usize::try_from(start.saturating_sub(self.written));
                    let part = start
                        .ok()
                        .zip(usize::try_from(length).ok())
                        .and_then(|(start, length)| bytes.get(start..)?.get(..length))
                        .ok_or_else(|| ParquetError::General("a chunk has no place".to_owned()))?;
                    self.checks.push(format!("{:08x}", crc(part)));
                }
            }
        }
        self.put(&bytes)
    }

    /// Writes the metadata; gives the length of the file.
    pub(super) fn finish(mut self, facts: Vec<KeyValue>) -> Result<u64, ParquetError> {
        for fact in facts {
            self.writer.append_key_value_metadata(fact);
        }
        let checks = KeyValue::new(key::CHECKS.to_owned(), self.checks.join(","));
        self.writer.append_key_value_metadata(checks);
        // Without a row group the first magic number is still to be written.
        let head = self.take()?;
        self.put(&head)?;
        self.writer.finish()?;
        let footer = self.take()?;
        let metadata = footer.len().saturating_sub(TAIL);
        let mut check = [0; CHECK];
        check[..4].copy_from_slice(&MARK);
        let sum = crc(footer.get(..metadata).unwrap_or_default());
        check[4..].copy_from_slice(&sum.to_le_bytes());
        self.put(&check)?;
        self.put(&footer)?;
        Ok(self.written)
    }

    fn take(&mut self) -> Result<Vec<u8>, ParquetError> {
        self.writer.flush()?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ParquetError> {
        self.output.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Places (offset and length) of a column chunk and of its Bloom filter.
pub(super) fn ranges(column: &ColumnChunkMetaData) -> Vec<(u64, u64)> {
    let bloom = column
        .bloom_filter_offset()
        .zip(column.bloom_filter_length())
        .and_then(|(start, length)| {
            Some((u64::try_from(start).ok()?, u64::try_from(length).ok()?))
        });
    std::iter::once(column.byte_range()).chain(bloom).collect()
}

fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_created_by(concat!("flowsift ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(None)
        .set_bloom_filter_fpp(FALSE_POSITIVES);
    for column in Column::ALL {
        let path = ColumnPath::from(column.name());
        if column.has_bloom_filter() {
            properties = properties.set_column_bloom_filter_enabled(path.clone(), true);
        }
        if column.grows() {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties.build()
}
