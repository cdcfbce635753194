//! The types of enumerated values, shared by the field table, the planner, the engine and the
//! renderers.

use std::fmt;

/// Type of an enumerated value (EV), which is also its one physical column type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EvType {
    /// Arrow `Boolean`.
    Bool,
    /// Arrow `UInt8`.
    UInt8,
    /// Arrow `UInt16`.
    UInt16,
    /// Arrow `UInt32`.
    UInt32,
    /// Arrow `UInt64`.
    UInt64,
    /// Arrow `Int64`.
    Int64,
    /// Arrow `Float64`.
    Float64,
    /// Arrow `Utf8`.
    String,
    /// Arrow `Binary`.
    Bytes,
    /// An address known to be IPv4: Arrow `UInt32`, host byte order, so that order is numeric.
    Ipv4,
    /// An address of either family: Arrow `FixedSizeBinary(16)`, IPv4 as mapped (RFC 4291, 2.5.5.2).
    Ip,
    /// Arrow `UInt64`, the address in the low 48 bits.
    Mac,
    /// Nanoseconds since the Unix epoch: Arrow `Int64`.
    Time,
    /// Nanoseconds: Arrow `Int64`.
    Duration,
}

impl EvType {
    /// Whether values are numbers (not addresses, times or durations).
    pub fn is_number(self) -> bool {
        self.is_integer() || self == Self::Float64
    }

    /// Whether values are integers.
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            Self::UInt8 | Self::UInt16 | Self::UInt32 | Self::UInt64 | Self::Int64
        )
    }

    /// Whether values are IP addresses.
    pub fn is_ip(self) -> bool {
        matches!(self, Self::Ip | Self::Ipv4)
    }
}

impl fmt::Display for EvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Ipv4 | Self::Ip => "IP",
            Self::Mac => "MAC",
            Self::Time => "time",
            Self::Duration => "duration",
        })
    }
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Name as shown.
    pub name: String,
    /// Its type, which says how a value is written.
    pub ty: EvType,
}
