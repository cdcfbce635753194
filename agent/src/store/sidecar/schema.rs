//! The columns of a sidecar.

use std::sync::Arc;

use parquet::{
    errors::ParquetError,
    schema::{parser::parse_message_type, types::Type},
};

use crate::decode::tuple::Part;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Nanoseconds since 1970.
    Time,
    /// Source address, 16 bytes, IPv4 as mapped.
    Source,
    /// Destination address, as the source's.
    Destination,
    /// Source port.
    SourcePort,
    /// Destination port.
    DestinationPort,
    /// IP protocol number.
    Protocol,
    /// The flag byte of TCP.
    TcpFlags,
    /// VLAN of the outermost tag.
    Vlan,
    /// What is known of the packet: [`crate::decode::tuple::marks`].
    Marks,
    /// Bytes on the wire.
    WireLength,
    /// Bytes captured.
    CapturedLength,
    /// Offset of the packet's record in the capture file.
    Offset,
}

impl Column {
    /// All of them, in the table's order.
    pub const ALL: [Self; 12] = [
        Self::Time,
        Self::Source,
        Self::Destination,
        Self::SourcePort,
        Self::DestinationPort,
        Self::Protocol,
        Self::TcpFlags,
        Self::Vlan,
        Self::Marks,
        Self::WireLength,
        Self::CapturedLength,
        Self::Offset,
    ];

    /// Its place in the table.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Source => "src_ip",
            Self::Destination => "dst_ip",
            Self::SourcePort => "src_port",
            Self::DestinationPort => "dst_port",
            Self::Protocol => "protocol",
            Self::TcpFlags => "tcp_flags",
            Self::Vlan => "vlan_id",
            Self::Marks => "marks",
            Self::WireLength => "wire_length",
            Self::CapturedLength => "captured_length",
            Self::Offset => "offset",
        }
    }

    /// Its type, as a Parquet schema has it.
    fn declaration(self) -> &'static str {
        match self {
            Self::Time => "required int64 time (TIMESTAMP(NANOS,true))",
            Self::Source => "optional fixed_len_byte_array(16) src_ip",
            Self::Destination => "optional fixed_len_byte_array(16) dst_ip",
            Self::SourcePort => "optional int32 src_port (INTEGER(16,false))",
            Self::DestinationPort => "optional int32 dst_port (INTEGER(16,false))",
            Self::Protocol => "optional int32 protocol (INTEGER(8,false))",
            Self::TcpFlags => "optional int32 tcp_flags (INTEGER(8,false))",
            Self::Vlan => "optional int32 vlan_id (INTEGER(16,false))",
            Self::Marks => "required int32 marks (INTEGER(16,false))",
            Self::WireLength => "required int32 wire_length (INTEGER(32,false))",
            Self::CapturedLength => "required int32 captured_length (INTEGER(32,false))",
            Self::Offset => "required int64 offset (INTEGER(64,false))",
        }
    }

    /// Whether row groups have a Bloom filter of it.
    pub(super) fn has_bloom_filter(self) -> bool {
        matches!(
            self,
            Self::Source | Self::Destination | Self::DestinationPort
        )
    }

    /// Whether its values mostly grow by little, and no value comes twice.
    pub(super) fn grows(self) -> bool {
        matches!(self, Self::Time | Self::Offset)
    }
}

impl From<Part> for Column {
    fn from(part: Part) -> Self {
        match part {
            Part::Time => Self::Time,
            Part::Source => Self::Source,
            Part::Destination => Self::Destination,
            Part::SourcePort => Self::SourcePort,
            Part::DestinationPort => Self::DestinationPort,
            Part::Protocol => Self::Protocol,
            Part::TcpFlags => Self::TcpFlags,
            Part::Vlan => Self::Vlan,
            Part::Marks => Self::Marks,
            Part::WireLength => Self::WireLength,
            Part::CapturedLength => Self::CapturedLength,
        }
    }
}

/// The schema of the table.
pub(super) fn schema() -> Result<Arc<Type>, ParquetError> {
    let columns: Vec<String> = Column::ALL
        .iter()
        .map(|column| format!("{};", column.declaration()))
        .collect();
    let text = format!("message packet {{ {} }}", columns.concat());
    parse_message_type(&text).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_columns_in_order() {
        let schema = schema().unwrap();
        let names: Vec<&str> = schema.get_fields().iter().map(|f| f.name()).collect();
        let expected: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
        assert_eq!(names, expected);
        for (at, column) in Column::ALL.iter().enumerate() {
            assert_eq!(column.index(), at);
        }
    }
}
