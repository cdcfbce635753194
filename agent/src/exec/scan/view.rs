//! A frame as its columns: what a source column is called, its type, and its value.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::fields::{self, Extract};
use crate::decode::tuple::{self, Covered, Part};
use crate::decode::{FieldValue, Packet};
use crate::exec::types::arrow_type;
use crate::frame::Frame;
use crate::plan::pipeline::SourceColumn;
use crate::types::EvType;

/// The name of a source column in the table's schema: `@time`, `ipv4.SrcIP`, `inner.ipv4.SrcIP`.
pub fn column_name(column: &SourceColumn) -> String {
    match column {
        SourceColumn::Time => "@time".to_owned(),
        SourceColumn::Sequence => "@sequence".to_owned(),
        SourceColumn::Tag => "@tag".to_owned(),
        SourceColumn::Source => "@source".to_owned(),
        SourceColumn::Data => "@data".to_owned(),
        SourceColumn::WireLength => "@wire_length".to_owned(),
        SourceColumn::LinkType => "@link_type".to_owned(),
        SourceColumn::Loss(column) => format!("@loss.{}", column.name()),
        SourceColumn::Field { field, inner } => {
            let prefix = if *inner { "inner." } else { "" };
            format!("{prefix}{}", fields::name(*field))
        }
    }
}

/// The type of a source column.
pub fn column_type(column: &SourceColumn) -> EvType {
    match column {
        SourceColumn::Time => EvType::Time,
        SourceColumn::Sequence => EvType::UInt64,
        SourceColumn::Tag => EvType::String,
        SourceColumn::Source => EvType::Ip,
        SourceColumn::Data => EvType::Bytes,
        SourceColumn::WireLength => EvType::UInt32,
        SourceColumn::LinkType => EvType::UInt16,
        SourceColumn::Loss(column) => column.ty(),
        SourceColumn::Field { field, .. } => fields::ty(*field),
    }
}

/// A value of a frame, in the form of its column's Arrow type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Bool(bool),
    /// Unsigned integers, IPv4 and MAC addresses.
    UInt(u64),
    /// Signed integers, times and durations.
    Int(i64),
    Ip([u8; 16]),
    Bytes(&'a [u8]),
    Text(Cow<'a, str>),
}

impl<'a> From<FieldValue<'a>> for Value<'a> {
    #[inline]
    fn from(value: FieldValue<'a>) -> Self {
        match value {
            FieldValue::Bool(value) => Self::Bool(value),
            FieldValue::UInt(value) | FieldValue::Mac(value) => Self::UInt(value),
            FieldValue::Ipv4(address) => Self::UInt(u64::from(address)),
            FieldValue::Ip(address) => Self::Ip(address),
            FieldValue::Bytes(bytes) => Self::Bytes(bytes),
            FieldValue::String(text) => Self::Text(text),
            FieldValue::Time(time) => Self::Int(time),
        }
    }
}

/// How the value of a column is had.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    Time,
    Sequence,
    /// The same for all frames of a scan; made when a batch is finished.
    Constant,
    Data,
    WireLength,
    LinkType,
    /// The name of the interface, which is known of a whole stored file.
    Interface,
    /// A field of the outermost packet, and how it is had of a stored tuple.
    Outer(Extract, Option<&'static Covered>),
    Inner(Extract),
    /// A field that does not exist.
    Nothing,
}

/// The columns of a table.
#[derive(Clone, Debug)]
pub(in crate::exec) struct Columns {
    sources: Vec<SourceColumn>,
    access: Vec<Access>,
    schema: SchemaRef,
}

impl Columns {
    pub(super) fn new(sources: Vec<SourceColumn>) -> Self {
        let field = |column: &SourceColumn| {
            Field::new(column_name(column), arrow_type(column_type(column)), true)
        };
        let schema = Arc::new(Schema::new(sources.iter().map(field).collect::<Vec<_>>()));
        Self {
            access: sources.iter().map(Access::new).collect(),
            sources,
            schema,
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn source(&self, column: usize) -> Option<SourceColumn> {
        self.sources.get(column).copied()
    }

    /// How the values of a column are had.
    pub(super) fn access(&self, column: usize) -> Option<&Access> {
        self.access.get(column)
    }

    pub(super) fn data_type(&self, column: usize) -> DataType {
        let field = self.schema.fields().get(column);
        field.map_or(DataType::Null, |field| field.data_type().clone())
    }

    /// The column of a name that filters can be tested on, and its type. Constants of the whole
    /// scan are not among them.
    pub(super) fn find(&self, name: &str) -> Option<(usize, DataType)> {
        let (column, field) = self.schema.column_with_name(name)?;
        match self.access.get(column)? {
            Access::Constant => None,
            _ => Some((column, field.data_type().clone())),
        }
    }

    /// Whether a stored tuple has the column's value.
    pub(super) fn is_covered(&self, column: usize) -> bool {
        match self.access.get(column) {
            Some(Access::Outer(_, covered)) => covered.is_some(),
            Some(Access::Data | Access::Inner(_)) | None => false,
            Some(_) => true,
        }
    }

    /// Adds the parts of a tuple that a covered column needs.
    pub(super) fn add_parts(&self, column: usize, parts: &mut BTreeSet<Part>) {
        match self.access.get(column) {
            Some(Access::Outer(_, Some(covered))) => parts.extend(covered.parts()),
            Some(Access::Time) => parts.extend([Part::Time]),
            Some(Access::WireLength) => parts.extend([Part::WireLength]),
            _ => {}
        }
    }

    /// Whether the order of packets is a column that is asked for.
    pub(super) fn is_sequence(&self, column: usize) -> bool {
        matches!(self.access.get(column), Some(Access::Sequence))
    }

    /// What has to be decoded of a frame for these columns.
    pub(super) fn depth(&self, used: impl IntoIterator<Item = usize>) -> Depth {
        let depth = |column: usize| match self.access.get(column) {
            Some(Access::Outer(..)) => Depth::Outer,
            Some(Access::Inner(_)) => Depth::Inner,
            _ => Depth::Frame,
        };
        used.into_iter().map(depth).max().unwrap_or(Depth::Frame)
    }
}

impl Access {
    fn new(column: &SourceColumn) -> Self {
        match column {
            SourceColumn::Time => Self::Time,
            SourceColumn::Sequence => Self::Sequence,
            SourceColumn::Tag | SourceColumn::Source => Self::Constant,
            SourceColumn::Data => Self::Data,
            SourceColumn::WireLength => Self::WireLength,
            SourceColumn::LinkType => Self::LinkType,
            // No frame has them.
            SourceColumn::Loss(_) => Self::Nothing,
            SourceColumn::Field { field, inner } => match (fields::extract(*field), inner) {
                (Some(_), false) if fields::is_interface(*field) => Self::Interface,
                (Some(extract), false) => Self::Outer(extract, tuple::covered(*field)),
                (Some(extract), true) => Self::Inner(extract),
                (None, _) => Self::Nothing,
            },
        }
    }
}

/// How far a frame has to be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// Not at all.
    Frame,
    /// The outermost packet.
    Outer,
    /// The packet that it carries, too.
    Inner,
}

/// What has the columns' values.
pub(super) trait Row {
    /// The value of a column; `None`: null.
    fn value(&self, column: usize) -> Option<Value<'_>>;
}

fn interface(name: &str) -> Option<Value<'_>> {
    (!name.is_empty()).then_some(Value::Text(Cow::Borrowed(name)))
}

/// A frame, decoded as far as its columns need.
pub(super) struct FrameView<'a> {
    access: &'a [Access],
    frame: Frame<'a>,
    sequence: u64,
    outer: Option<Packet<'a>>,
    inner: Option<Packet<'a>>,
}

impl<'a> FrameView<'a> {
    #[inline]
    pub(super) fn new(columns: &'a Columns, depth: Depth, frame: Frame<'a>, sequence: u64) -> Self {
        let outer = (depth >= Depth::Outer).then(|| Packet::decode(&frame));
        let inner = match depth {
            Depth::Inner => outer.as_ref().and_then(Packet::inner),
            Depth::Frame | Depth::Outer => None,
        };
        Self {
            access: &columns.access,
            frame,
            sequence,
            outer,
            inner,
        }
    }

    /// The outermost packet, if it was decoded.
    pub(super) fn outer(&self) -> Option<&Packet<'a>> {
        self.outer.as_ref()
    }
}

impl Row for FrameView<'_> {
    #[inline]
    fn value(&self, column: usize) -> Option<Value<'_>> {
        match self.access.get(column)? {
            Access::Outer(extract, _) => extract(self.outer.as_ref()?).map(Value::from),
            Access::Interface => interface(self.frame.interface),
            Access::Inner(extract) => extract(self.inner.as_ref()?).map(Value::from),
            Access::Time => self.frame.time_ns.map(Value::Int),
            Access::Sequence => Some(Value::UInt(self.sequence)),
            Access::Data => Some(Value::Bytes(self.frame.data)),
            Access::WireLength => Some(Value::UInt(u64::from(self.frame.wire_len))),
            Access::LinkType => Some(Value::UInt(u64::from(self.frame.link_type.0))),
            Access::Constant | Access::Nothing => None,
        }
    }
}
