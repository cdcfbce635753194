//! Sample answers for the tests of renderers.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array,
    RecordBatch, StringArray, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{Field, Schema};

use super::{Format, RenderOptions, sink};
use crate::missed::Missed;
use crate::shape::Shape;
use crate::types::{EvType, OutputColumn};

/// An answer: its shape, columns and batches.
pub(super) struct Answer {
    pub(super) shape: Shape,
    pub(super) columns: Vec<OutputColumn>,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) missed: Missed,
}

impl Answer {
    /// An answer of one batch.
    pub(super) fn new(shape: Shape, columns: Vec<(&str, EvType, ArrayRef)>) -> Self {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, _, array)| Field::new(*name, array.data_type().clone(), true))
            .collect();
        let outputs = columns
            .iter()
            .map(|(name, ty, _)| OutputColumn {
                name: (*name).to_owned(),
                ty: *ty,
            })
            .collect();
        let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        Self {
            shape,
            columns: outputs,
            batches: vec![batch],
            missed: Missed::default(),
        }
    }

    /// The bytes of a format, and the notes.
    pub(super) fn bytes(&self, format: Format, options: RenderOptions) -> (Vec<u8>, Vec<String>) {
        let mut out = Vec::new();
        let notes = {
            let mut sink = sink(
                self.shape.clone(),
                self.columns.clone(),
                format,
                options,
                Box::new(&mut out),
            )
            .unwrap();
            for batch in &self.batches {
                sink.batch(batch).unwrap();
            }
            sink.missed(&self.missed);
            sink.finish().unwrap();
            sink.notes()
        };
        (out, notes)
    }

    /// The text of a format.
    pub(super) fn text(&self, format: Format, options: RenderOptions) -> String {
        String::from_utf8(self.bytes(format, options).0).unwrap()
    }
}

/// The text of a sample answer, without colour.
pub(super) fn render(answer: fn() -> Answer, format: Format) -> String {
    answer().text(format, RenderOptions::default())
}

/// A 16-byte address.
pub(super) fn ip(text: &str) -> [u8; 16] {
    match text.parse::<std::net::IpAddr>().unwrap() {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(v6) => v6.octets(),
    }
}

/// A column of 16-byte addresses.
pub(super) fn ips(values: &[Option<&str>]) -> ArrayRef {
    let values = values.iter().map(|value| value.map(ip));
    Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 16).unwrap())
}

/// Every type, with absent values and what needs escaping.
pub(super) const SAMPLE_ROWS: fn() -> Answer = || {
    Answer::new(
        Shape::Rows,
        vec![
            (
                "time",
                EvType::Time,
                Arc::new(Int64Array::from(vec![
                    Some(1_455_469_967_246_718_000),
                    None,
                ])),
            ),
            (
                "src",
                EvType::Ipv4,
                Arc::new(UInt32Array::from(vec![Some(0x0a00_0001), None])),
            ),
            ("ip", EvType::Ip, ips(&[Some("fe80::1"), Some("192.0.2.7")])),
            (
                "mac",
                EvType::Mac,
                Arc::new(UInt64Array::from(vec![Some(0x0011_2233_4455), None])),
            ),
            (
                "port",
                EvType::UInt16,
                Arc::new(UInt16Array::from(vec![Some(443), None])),
            ),
            (
                "bytes",
                EvType::UInt64,
                Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])),
            ),
            (
                "mean",
                EvType::Float64,
                Arc::new(Float64Array::from(vec![0.5, f64::NAN])),
            ),
            (
                "name",
                EvType::String,
                Arc::new(StringArray::from(vec!["tab\there", "\"q\", é"])),
            ),
            (
                "payload",
                EvType::Bytes,
                Arc::new(BinaryArray::from(vec![
                    Some(b"GET \xff\n".as_slice()),
                    None,
                ])),
            ),
            (
                "gap",
                EvType::Duration,
                Arc::new(Int64Array::from(vec![Some(1_500_000_000), None])),
            ),
            (
                "up",
                EvType::Bool,
                Arc::new(BooleanArray::from(vec![Some(true), None])),
            ),
        ],
    )
};
