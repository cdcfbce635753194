//! The one physical column type of each type of value.

use datafusion::arrow::datatypes::DataType;

use crate::types::EvType;

/// Bytes of an address column's value.
pub(crate) const IP_BYTES: i32 = 16;

/// The Arrow type of a value's columns.
pub fn arrow_type(ty: EvType) -> DataType {
    match ty {
        EvType::Bool => DataType::Boolean,
        EvType::UInt8 => DataType::UInt8,
        EvType::UInt16 => DataType::UInt16,
        EvType::UInt32 | EvType::Ipv4 => DataType::UInt32,
        EvType::UInt64 | EvType::Mac => DataType::UInt64,
        EvType::Int64 | EvType::Time | EvType::Duration => DataType::Int64,
        EvType::Float64 => DataType::Float64,
        EvType::String => DataType::Utf8,
        EvType::Bytes => DataType::Binary,
        EvType::Ip => DataType::FixedSizeBinary(IP_BYTES),
    }
}
