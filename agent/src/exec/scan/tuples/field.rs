//! The columns of a table from the parts of tuples, each made as a whole.

use std::borrow::Cow;
use std::iter::repeat_n;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringArray, UInt8Array,
    UInt16Array, UInt32Array, new_null_array,
};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{ArrowPrimitiveType, UInt64Type};
use datafusion::common::Result;

use super::hold::buffer;
use super::{Chunk, Origin};
use crate::decode::tuple::{Covered, Side, What, When, marks};
use crate::exec::scan::view::{Access, Columns, Value};
use crate::plan::pipeline::SourceColumn;

/// The columns of a table over one chunk.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    columns: &'a Columns,
    chunk: &'a Chunk,
    origin: &'a Origin<'a>,
}

/// A column: its values, or the one that is the same in all rows.
pub(super) enum Field<'a> {
    Array(ArrayRef),
    Same(Option<Value<'a>>),
}

impl<'a> Fields<'a> {
    pub(super) fn new(columns: &'a Columns, chunk: &'a Chunk, origin: &'a Origin<'a>) -> Self {
        Self {
            columns,
            chunk,
            origin,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.chunk.rows
    }

    /// Which rows have a value, `None`: all; or, where it is the same for all, whether.
    pub(super) fn presence(&self, column: usize) -> std::result::Result<Option<NullBuffer>, bool> {
        match self.columns.access(column) {
            Some(Access::Outer(_, Some(covered))) => match self.nulls(**covered) {
                Some(nulls) => Ok(nulls),
                None => Err(false),
            },
            Some(Access::Time) => match &self.chunk.time {
                Some(times) => Ok(times.nulls().cloned()),
                None => Err(false),
            },
            _ => Err(matches!(self.same(column), Some(Some(_)) | None)),
        }
    }

    /// The column for a test.
    pub(super) fn field(&self, column: usize) -> Result<Field<'a>> {
        match self.same(column) {
            Some(value) => Ok(Field::Same(value)),
            None => self.array(column).map(Field::Array),
        }
    }

    /// The value of a column that is the same for all rows.
    fn same(&self, column: usize) -> Option<Option<Value<'a>>> {
        let interface = self.origin.interface;
        match self.columns.access(column) {
            Some(Access::Interface) => {
                let name = (!interface.is_empty()).then_some(interface);
                Some(name.map(|name| Value::Text(Cow::Borrowed(name))))
            }
            Some(Access::LinkType) => Some(Some(Value::UInt(self.origin.link_type.0.into()))),
            Some(Access::Outer(_, Some(covered))) if covered.what == What::LinkType => {
                Some(Some(Value::UInt(self.origin.link_type.0.into())))
            }
            // Not asked for: a tuple does not cover them.
            None | Some(Access::Data | Access::Inner(_) | Access::Constant | Access::Nothing) => {
                Some(None)
            }
            Some(Access::Outer(..) | Access::Time | Access::Sequence | Access::WireLength) => None,
        }
    }

    /// The column as an array of its type.
    pub(super) fn array(&self, column: usize) -> Result<ArrayRef> {
        let ty = self.columns.data_type(column);
        let rows = self.chunk.rows;
        let array: Option<ArrayRef> = match self.columns.access(column) {
            Some(Access::Outer(_, Some(covered))) => self.covered(**covered),
            Some(Access::Time) => shared(self.chunk.time.as_ref()),
            Some(Access::Sequence) => {
                let first = self.origin.sequence;
                let sequence = self.chunk.sequence.as_ref();
                sequence
                    .map(|own| Arc::new(own.unary::<_, UInt64Type>(|own| first | own)) as ArrayRef)
            }
            Some(Access::WireLength) => shared(self.chunk.wire_length.as_ref()),
            Some(Access::LinkType) => {
                let all = repeat_n(self.origin.link_type.0, rows);
                Some(Arc::new(UInt16Array::from_iter_values(all)))
            }
            Some(Access::Interface) if !self.origin.interface.is_empty() => {
                let all = repeat_n(self.origin.interface, rows);
                Some(Arc::new(StringArray::from_iter_values(all)))
            }
            Some(Access::Constant) if self.columns.source(column) == Some(SourceColumn::Tag) => {
                let all = repeat_n(self.origin.tag, rows);
                Some(Arc::new(StringArray::from_iter_values(all)))
            }
            _ => None,
        };
        Ok(match array {
            Some(array) if *array.data_type() == ty => array,
            // A value that its column cannot hold, which the field table rules out, is null.
            Some(array) => cast(&array, &ty)?,
            None => new_null_array(&ty, rows),
        })
    }

    /// A field that tuples cover; `None` without its parts.
    fn covered(&self, covered: Covered) -> Option<ArrayRef> {
        let nulls = self.nulls(covered)?;
        let chunk = self.chunk;
        Some(match covered.what {
            What::Time => with(chunk.time.as_ref()?, nulls),
            What::LinkType => {
                let all = repeat_n(self.origin.link_type.0, chunk.rows);
                Arc::new(UInt16Array::from_iter_values(all))
            }
            What::WireLength => with(chunk.wire_length.as_ref()?, nulls),
            What::CapturedLength => with(chunk.captured_length.as_ref()?, nulls),
            What::Vlan => with(chunk.vlan.as_ref()?, nulls),
            What::Protocol => with(chunk.protocol.as_ref()?, nulls),
            What::Flag(bit) => {
                let flags = chunk.tcp_flags.as_ref()?.values();
                Arc::new(BooleanArray::new(buffer(flags, |f| f & bit != 0), nulls))
            }
            What::AddressV4(side) => {
                let (addresses, _) = chunk.address(side)?.value_data().as_chunks();
                let v4 = |[.., a, b, c, d]: &[u8; 16]| u32::from_be_bytes([*a, *b, *c, *d]);
                let values: Vec<u32> = addresses.iter().map(v4).collect();
                Arc::new(UInt32Array::new(values.into(), nulls))
            }
            What::Address(side) => {
                let addresses = chunk.address(side)?;
                let (size, values, _) = addresses.clone().into_parts();
                Arc::new(FixedSizeBinaryArray::new(size, values, nulls))
            }
            What::Port(side) => with(chunk.port(side)?, nulls),
            What::LowerPort => {
                let source = chunk.port(Side::Source)?.values().iter();
                let both = source.zip(chunk.port(Side::Destination)?.values());
                let lower: Vec<u16> = both.map(|(a, b)| *a.min(b)).collect();
                Arc::new(UInt16Array::new(lower.into(), nulls))
            }
        })
    }

    /// Which rows have a value of a field, `None` within: all; without its parts none does.
    fn nulls(&self, covered: Covered) -> Option<Option<NullBuffer>> {
        let chunk = self.chunk;
        let own = match covered.what {
            What::LinkType => None,
            What::Time => chunk.time.as_ref()?.nulls().cloned(),
            What::WireLength => chunk.wire_length.as_ref()?.nulls().cloned(),
            What::CapturedLength => chunk.captured_length.as_ref()?.nulls().cloned(),
            What::Vlan => chunk.vlan.as_ref()?.nulls().cloned(),
            What::Protocol => chunk.protocol.as_ref()?.nulls().cloned(),
            What::Flag(_) => chunk.tcp_flags.as_ref()?.nulls().cloned(),
            What::AddressV4(side) | What::Address(side) => chunk.address(side)?.nulls().cloned(),
            What::Port(side) => chunk.port(side)?.nulls().cloned(),
            What::LowerPort => {
                let source = chunk.port(Side::Source)?.nulls();
                NullBuffer::union(source, chunk.port(Side::Destination)?.nulls())
            }
        };
        let when = match covered.when {
            When::Always => return Some(own),
            When::Marked(mark) => chunk.marked(mark)?,
            When::Protocol(protocol) => chunk.is_protocol(protocol)?,
            When::Carries(protocol) => {
                &chunk.is_protocol(protocol)? & &chunk.marked(marks::TRANSPORT)?
            }
        };
        Some(NullBuffer::union(
            own.as_ref(),
            Some(&NullBuffer::new(when)),
        ))
    }
}

impl Chunk {
    fn address(&self, side: Side) -> Option<&FixedSizeBinaryArray> {
        match side {
            Side::Source => self.source.as_ref(),
            Side::Destination => self.destination.as_ref(),
        }
    }

    fn port(&self, side: Side) -> Option<&UInt16Array> {
        match side {
            Side::Source => self.source_port.as_ref(),
            Side::Destination => self.destination_port.as_ref(),
        }
    }

    fn marked(&self, mark: u16) -> Option<BooleanBuffer> {
        let marks = self.marks.as_ref()?;
        Some(buffer(marks.values(), |marks| marks & mark != 0))
    }

    fn is_protocol(&self, protocol: u8) -> Option<BooleanBuffer> {
        let protocols: &UInt8Array = self.protocol.as_ref()?;
        let is = buffer(protocols.values(), |own| own == protocol);
        Some(match protocols.nulls() {
            Some(known) => &is & known.inner(),
            None => is,
        })
    }
}

fn shared<T: ArrowPrimitiveType>(array: Option<&PrimitiveArray<T>>) -> Option<ArrayRef> {
    array.map(|array| Arc::new(array.clone()) as ArrayRef)
}

/// The same values, of other rows.
fn with<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(array.values().clone(), nulls))
}
