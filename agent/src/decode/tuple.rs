//! The tuple of a packet: what its outermost headers say in short, and which fields that answers.
//!
//! Fields that a tuple covers have the same value from it as from the packet, always; a test says
//! so over every capture. So a query of such fields alone can read stored tuples instead.

use std::sync::LazyLock;

use etherparse::ip_number::{SCTP, TCP, UDP};

use super::bytes;
use super::fields::{FieldValue, fields};
use super::packet::{Network, Packet};
use crate::frame::LinkType;

/// What is known of a packet, in [`Tuple::marks`].
pub mod marks {
    /// The outermost network header is IPv4.
    pub const IPV4: u16 = 1;
    /// The outermost network header is IPv6.
    pub const IPV6: u16 = 1 << 1;
    /// There are bytes of a transport header.
    pub const TRANSPORT: u16 = 1 << 2;
    /// A fragment other than the first.
    pub const LATER_FRAGMENT: u16 = 1 << 3;
    /// There is an Ethernet header.
    pub const ETHERNET: u16 = 1 << 4;
}

/// The short form of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// Source address of the outermost network header, IPv4 as mapped; `None` without one, or
    /// where the capture cut it.
    pub source: Option<[u8; 16]>,
    /// As `source`.
    pub destination: Option<[u8; 16]>,
    /// Source port of TCP, UDP, SCTP, DCCP, UDP-Lite; there if and only if the other is.
    pub source_port: Option<u16>,
    /// As `source_port`.
    pub destination_port: Option<u16>,
    /// Protocol field of IPv4; the header behind the extension headers of IPv6, but not in a
    /// later fragment.
    pub protocol: Option<u8>,
    /// The flag byte of TCP: CWR is its highest bit, FIN its lowest.
    pub tcp_flags: Option<u8>,
    /// VLAN of the outermost tag.
    pub vlan: Option<u16>,
    /// What is known: [`marks`].
    pub marks: u16,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Bytes captured.
    pub captured_len: u32,
    /// Link type of the frame.
    pub link_type: LinkType,
}

impl Tuple {
    /// The tuple of a packet.
    pub fn of(packet: &Packet<'_>) -> Self {
        let (source, destination) = addresses(packet);
        let ports = packet.ports();
        Self {
            time_ns: packet.frame.time_ns,
            source,
            destination,
            source_port: ports.map(|p| p.0),
            destination_port: ports.map(|p| p.1),
            protocol: protocol(packet),
            tcp_flags: bytes::u8(packet.transport_of(TCP.0), 13),
            vlan: bytes::u16(packet.vlan, 0).map(|tci| tci & 0xfff),
            marks: marks_of(packet),
            wire_len: packet.frame.wire_len,
            captured_len: u32::try_from(packet.frame.data.len()).unwrap_or(u32::MAX),
            link_type: packet.frame.link_type,
        }
    }

    fn has(&self, mark: u16) -> bool {
        self.marks & mark != 0
    }
}

fn addresses(packet: &Packet<'_>) -> (Option<[u8; 16]>, Option<[u8; 16]>) {
    let network = packet.network;
    let v4 = |at| {
        let [a, b, c, d] = bytes::array(network, at)?;
        Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    };
    match packet.network_kind {
        Network::None => (None, None),
        Network::V4 => (v4(12), v4(16)),
        Network::V6 => (bytes::array(network, 8), bytes::array(network, 24)),
    }
}

fn protocol(packet: &Packet<'_>) -> Option<u8> {
    match packet.network_kind {
        Network::None => None,
        Network::V4 => bytes::u8(packet.network, 9),
        // Number 0 is an extension header of IPv6, never its transport.
        Network::V6 => Some(packet.protocol).filter(|&protocol| protocol != 0),
    }
}

fn marks_of(packet: &Packet<'_>) -> u16 {
    let family = match packet.network_kind {
        Network::None => 0,
        Network::V4 => marks::IPV4,
        Network::V6 => marks::IPV6,
    };
    let mark = |is: bool, mark: u16| if is { mark } else { 0 };
    family
        | mark(!packet.transport.is_empty(), marks::TRANSPORT)
        | mark(packet.is_later_fragment(), marks::LATER_FRAGMENT)
        | mark(!packet.ethernet.is_empty(), marks::ETHERNET)
}

/// A part of a tuple, which a stored table has as a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// [`Tuple::time_ns`].
    Time,
    /// [`Tuple::source`].
    Source,
    /// [`Tuple::destination`].
    Destination,
    /// [`Tuple::source_port`].
    SourcePort,
    /// [`Tuple::destination_port`].
    DestinationPort,
    /// [`Tuple::protocol`].
    Protocol,
    /// [`Tuple::tcp_flags`].
    TcpFlags,
    /// [`Tuple::vlan`].
    Vlan,
    /// [`Tuple::marks`].
    Marks,
    /// [`Tuple::wire_len`].
    WireLength,
    /// [`Tuple::captured_len`].
    CapturedLength,
}

/// What of a tuple a field's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// [`Tuple::time_ns`].
    Time,
    /// [`Tuple::link_type`], which is always there.
    LinkType,
    /// [`Tuple::wire_len`].
    WireLength,
    /// [`Tuple::captured_len`].
    CapturedLength,
    /// [`Tuple::vlan`].
    Vlan,
    /// [`Tuple::protocol`].
    Protocol,
    /// Whether this bit of [`Tuple::tcp_flags`] is set.
    Flag(u8),
    /// An address, as IPv4.
    AddressV4(Side),
    /// An address of either family, 16 bytes.
    Address(Side),
    /// A port. A packet has both of them or none.
    Port(Side),
    /// The lower of the two ports.
    LowerPort,
}

/// Whose address or port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sender's.
    Source,
    /// The receiver's.
    Destination,
}

/// Of which packets there is a value, where the tuple has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Of each.
    Always,
    /// Of those that have this one of [`marks`].
    Marked(u16),
    /// Of those of this protocol.
    Protocol(u8),
    /// Of those that have at least a part of this transport's header.
    Carries(u8),
}

/// How a field is had from a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The value.
    pub what: What,
    /// Where it is one.
    pub when: When,
}

impl Covered {
    /// The parts that it needs; [`Tuple::link_type`] is always there.
    pub fn parts(self) -> impl Iterator<Item = Part> {
        let what: &[Part] = match self.what {
            What::Time => &[Part::Time],
            What::LinkType => &[],
            What::WireLength => &[Part::WireLength],
            What::CapturedLength => &[Part::CapturedLength],
            What::Vlan => &[Part::Vlan],
            What::Protocol => &[Part::Protocol],
            What::Flag(_) => &[Part::TcpFlags],
            What::AddressV4(Side::Source) | What::Address(Side::Source) => &[Part::Source],
            What::AddressV4(Side::Destination) | What::Address(Side::Destination) => {
                &[Part::Destination]
            }
            What::Port(Side::Source) => &[Part::SourcePort],
            What::Port(Side::Destination) => &[Part::DestinationPort],
            What::LowerPort => &[Part::SourcePort, Part::DestinationPort],
        };
        let when: &[Part] = match self.when {
            When::Always => &[],
            When::Marked(_) => &[Part::Marks],
            When::Protocol(_) => &[Part::Protocol],
            When::Carries(_) => &[Part::Protocol, Part::Marks],
        };
        what.iter().chain(when).copied()
    }

    /// The value that [`super::FieldSpec::extract`] reads from the packet.
    pub fn extract(self, tuple: &Tuple) -> Option<FieldValue<'static>> {
        let is = match self.when {
            When::Always => true,
            When::Marked(mark) => tuple.has(mark),
            When::Protocol(protocol) => tuple.protocol == Some(protocol),
            When::Carries(protocol) => {
                tuple.protocol == Some(protocol) && tuple.has(marks::TRANSPORT)
            }
        };
        is.then(|| self.what.of(tuple)).flatten()
    }
}

impl What {
    fn of(self, tuple: &Tuple) -> Option<FieldValue<'static>> {
        let address = |side| match side {
            Side::Source => tuple.source,
            Side::Destination => tuple.destination,
        };
        let uint = |value: u32| Some(FieldValue::UInt(u64::from(value)));
        match self {
            Self::Time => tuple.time_ns.map(FieldValue::Time),
            Self::LinkType => uint(tuple.link_type.0.into()),
            Self::WireLength => uint(tuple.wire_len),
            Self::CapturedLength => uint(tuple.captured_len),
            Self::Vlan => uint(tuple.vlan?.into()),
            Self::Protocol => uint(tuple.protocol?.into()),
            Self::Flag(bit) => Some(FieldValue::Bool(tuple.tcp_flags? & bit != 0)),
            Self::AddressV4(side) => Some(FieldValue::Ipv4(bytes::u32(&address(side)?, 12)?)),
            Self::Address(side) => address(side).map(FieldValue::Ip),
            Self::Port(Side::Source) => uint(tuple.source_port?.into()),
            Self::Port(Side::Destination) => uint(tuple.destination_port?.into()),
            Self::LowerPort => uint(tuple.source_port?.min(tuple.destination_port?).into()),
        }
    }
}

/// How a field (by its index in the field table) is had from a tuple; `None` if it is not.
pub fn covered(field: u16) -> Option<&'static Covered> {
    static BY_FIELD: LazyLock<Vec<Option<&'static Covered>>> = LazyLock::new(|| {
        let find = |protocol: &str, name: &str| {
            let mut all = COVERED.iter();
            let row = all.find(|(p, n, _)| (*p, *n) == (protocol, name))?;
            Some(&row.2)
        };
        let specs = fields().iter();
        specs.map(|spec| find(spec.protocol, spec.name)).collect()
    });
    BY_FIELD.get(usize::from(field)).copied().flatten()
}

type Row = (&'static str, &'static str, Covered);

const fn row(protocol: &'static str, name: &'static str, what: What, when: When) -> Row {
    (protocol, name, Covered { what, when })
}

const SRC: Side = Side::Source;
const DST: Side = Side::Destination;
const IN_V4: When = When::Marked(marks::IPV4);
const IN_V6: When = When::Marked(marks::IPV6);
const IN_TCP: When = When::Protocol(TCP.0);
const IN_UDP: When = When::Protocol(UDP.0);
const IN_SCTP: When = When::Protocol(SCTP.0);

#[rustfmt::skip]
static COVERED: &[Row] = &[
    row("frame", "Len", What::WireLength, When::Always),
    row("frame", "CapLen", What::CapturedLength, When::Always),
    row("frame", "Time", What::Time, When::Always),
    row("frame", "LinkType", What::LinkType, When::Always),
    row("eth", "Len", What::WireLength, When::Marked(marks::ETHERNET)),
    row("dot1q", "VLANID", What::Vlan, When::Always),
    row("ipv4", "SrcIP", What::AddressV4(SRC), IN_V4),
    row("ipv4", "DstIP", What::AddressV4(DST), IN_V4),
    row("ipv4", "IP", What::AddressV4(SRC), IN_V4),
    row("ipv4", "Protocol", What::Protocol, IN_V4),
    row("ipv4", "SrcPort", What::Port(SRC), IN_V4),
    row("ipv4", "DstPort", What::Port(DST), IN_V4),
    row("ipv4", "Port", What::LowerPort, IN_V4),
    row("ipv6", "SrcIP", What::Address(SRC), IN_V6),
    row("ipv6", "DstIP", What::Address(DST), IN_V6),
    row("ipv6", "IP", What::Address(SRC), IN_V6),
    row("ipv6", "SrcPort", What::Port(SRC), IN_V6),
    row("ipv6", "DstPort", What::Port(DST), IN_V6),
    row("ipv6", "Port", What::LowerPort, IN_V6),
    row("tcp", "SrcPort", What::Port(SRC), IN_TCP),
    row("tcp", "DstPort", What::Port(DST), IN_TCP),
    row("tcp", "Port", What::LowerPort, IN_TCP),
    row("tcp", "SrcIP", What::Address(SRC), When::Carries(TCP.0)),
    row("tcp", "DstIP", What::Address(DST), When::Carries(TCP.0)),
    row("tcp", "CWR", What::Flag(0x80), When::Always),
    row("tcp", "ECE", What::Flag(0x40), When::Always),
    row("tcp", "URG", What::Flag(0x20), When::Always),
    row("tcp", "ACK", What::Flag(0x10), When::Always),
    row("tcp", "PSH", What::Flag(8), When::Always),
    row("tcp", "RST", What::Flag(4), When::Always),
    row("tcp", "SYN", What::Flag(2), When::Always),
    row("tcp", "FIN", What::Flag(1), When::Always),
    row("udp", "SrcPort", What::Port(SRC), IN_UDP),
    row("udp", "DstPort", What::Port(DST), IN_UDP),
    row("udp", "Port", What::LowerPort, IN_UDP),
    row("udp", "SrcIP", What::Address(SRC), When::Carries(UDP.0)),
    row("udp", "DstIP", What::Address(DST), When::Carries(UDP.0)),
    row("sctp", "SrcPort", What::Port(SRC), IN_SCTP),
    row("sctp", "DstPort", What::Port(DST), IN_SCTP),
    row("sctp", "Port", What::LowerPort, IN_SCTP),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::find;

    #[test]
    fn every_covered_field_is_in_the_field_table() {
        for (protocol, name, _) in COVERED {
            let found = find(protocol, name).unwrap_or_else(|| panic!("{protocol}.{name}"));
            assert!(!found.alias, "{protocol}.{name}");
            assert!(covered(found.index).is_some());
        }
        let payload = find("tcp", "Payload").unwrap();
        assert!(covered(payload.index).is_none());
        assert!(covered(u16::MAX).is_none());
    }
}
