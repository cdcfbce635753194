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
    /// Source port of TCP, UDP, SCTP, DCCP, UDP-Lite.
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

/// Reads a field of a tuple.
pub type ExtractTuple = fn(&Tuple) -> Option<FieldValue<'static>>;

/// How a field is had from a tuple.
#[derive(Clone, Copy, Debug)]
pub struct Covered {
    /// The parts that it needs; [`Tuple::link_type`] is always there.
    pub parts: &'static [Part],
    /// Reads the value that [`super::FieldSpec::extract`] reads from the packet.
    pub extract: ExtractTuple,
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

const fn row(
    protocol: &'static str,
    name: &'static str,
    parts: &'static [Part],
    extract: ExtractTuple,
) -> Row {
    (protocol, name, Covered { parts, extract })
}

const SOURCE: &[Part] = &[Part::Source, Part::Marks];
const DESTINATION: &[Part] = &[Part::Destination, Part::Marks];
const SOURCE_OF: &[Part] = &[Part::Source, Part::Protocol, Part::Marks];
const DESTINATION_OF: &[Part] = &[Part::Destination, Part::Protocol, Part::Marks];
const PORTS_IN: &[Part] = &[Part::SourcePort, Part::DestinationPort, Part::Marks];
const PORTS_OF: &[Part] = &[Part::SourcePort, Part::DestinationPort, Part::Protocol];

/// Which port a field means.
const LOWER: u8 = 2;
/// As [`LOWER`].
const SRC: u8 = 0;
/// As [`LOWER`].
const DST: u8 = 1;

#[rustfmt::skip]
static COVERED: &[Row] = &[
    row("frame", "Len", &[Part::WireLength], |t| uint(Some(t.wire_len))),
    row("frame", "CapLen", &[Part::CapturedLength], |t| uint(Some(t.captured_len))),
    row("frame", "Time", &[Part::Time], |t| t.time_ns.map(FieldValue::Time)),
    row("frame", "LinkType", &[], |t| uint(Some(t.link_type.0))),
    row("eth", "Len", &[Part::WireLength, Part::Marks], |t| {
        uint(Some(t.wire_len).filter(|_| t.has(marks::ETHERNET)))
    }),
    row("dot1q", "VLANID", &[Part::Vlan], |t| uint(t.vlan)),
    row("ipv4", "SrcIP", SOURCE, |t| v4(t, t.source)),
    row("ipv4", "DstIP", DESTINATION, |t| v4(t, t.destination)),
    row("ipv4", "IP", SOURCE, |t| v4(t, t.source)),
    row("ipv4", "Protocol", &[Part::Protocol, Part::Marks], |t| {
        uint(t.protocol.filter(|_| t.has(marks::IPV4)))
    }),
    row("ipv4", "SrcPort", PORTS_IN, port_in::<{ marks::IPV4 }, SRC>),
    row("ipv4", "DstPort", PORTS_IN, port_in::<{ marks::IPV4 }, DST>),
    row("ipv4", "Port", PORTS_IN, port_in::<{ marks::IPV4 }, LOWER>),
    row("ipv6", "SrcIP", SOURCE, |t| v6(t, t.source)),
    row("ipv6", "DstIP", DESTINATION, |t| v6(t, t.destination)),
    row("ipv6", "IP", SOURCE, |t| v6(t, t.source)),
    row("ipv6", "SrcPort", PORTS_IN, port_in::<{ marks::IPV6 }, SRC>),
    row("ipv6", "DstPort", PORTS_IN, port_in::<{ marks::IPV6 }, DST>),
    row("ipv6", "Port", PORTS_IN, port_in::<{ marks::IPV6 }, LOWER>),
    row("tcp", "SrcPort", PORTS_OF, port_of::<{ TCP.0 }, SRC>),
    row("tcp", "DstPort", PORTS_OF, port_of::<{ TCP.0 }, DST>),
    row("tcp", "Port", PORTS_OF, port_of::<{ TCP.0 }, LOWER>),
    row("tcp", "SrcIP", SOURCE_OF, |t| ip_of(t, TCP.0, t.source)),
    row("tcp", "DstIP", DESTINATION_OF, |t| ip_of(t, TCP.0, t.destination)),
    row("tcp", "CWR", &[Part::TcpFlags], flag::<0x80>),
    row("tcp", "ECE", &[Part::TcpFlags], flag::<0x40>),
    row("tcp", "URG", &[Part::TcpFlags], flag::<0x20>),
    row("tcp", "ACK", &[Part::TcpFlags], flag::<0x10>),
    row("tcp", "PSH", &[Part::TcpFlags], flag::<8>),
    row("tcp", "RST", &[Part::TcpFlags], flag::<4>),
    row("tcp", "SYN", &[Part::TcpFlags], flag::<2>),
    row("tcp", "FIN", &[Part::TcpFlags], flag::<1>),
    row("udp", "SrcPort", PORTS_OF, port_of::<{ UDP.0 }, SRC>),
    row("udp", "DstPort", PORTS_OF, port_of::<{ UDP.0 }, DST>),
    row("udp", "Port", PORTS_OF, port_of::<{ UDP.0 }, LOWER>),
    row("udp", "SrcIP", SOURCE_OF, |t| ip_of(t, UDP.0, t.source)),
    row("udp", "DstIP", DESTINATION_OF, |t| ip_of(t, UDP.0, t.destination)),
    row("sctp", "SrcPort", PORTS_OF, port_of::<{ SCTP.0 }, SRC>),
    row("sctp", "DstPort", PORTS_OF, port_of::<{ SCTP.0 }, DST>),
    row("sctp", "Port", PORTS_OF, port_of::<{ SCTP.0 }, LOWER>),
];

fn uint(value: Option<impl Into<u64>>) -> Option<FieldValue<'static>> {
    value.map(|v| FieldValue::UInt(v.into()))
}

fn v4(tuple: &Tuple, address: Option<[u8; 16]>) -> Option<FieldValue<'static>> {
    let address = address.filter(|_| tuple.has(marks::IPV4))?;
    Some(FieldValue::Ipv4(bytes::u32(&address, 12)?))
}

fn v6(tuple: &Tuple, address: Option<[u8; 16]>) -> Option<FieldValue<'static>> {
    address
        .filter(|_| tuple.has(marks::IPV6))
        .map(FieldValue::Ip)
}

/// An address of a packet that has at least a part of this transport's header.
fn ip_of(tuple: &Tuple, protocol: u8, address: Option<[u8; 16]>) -> Option<FieldValue<'static>> {
    let carried = tuple.protocol == Some(protocol) && tuple.has(marks::TRANSPORT);
    address.filter(|_| carried).map(FieldValue::Ip)
}

fn port<const SIDE: u8>(tuple: &Tuple) -> Option<FieldValue<'static>> {
    let (source, destination) = (tuple.source_port?, tuple.destination_port?);
    uint(Some(match SIDE {
        SRC => source,
        DST => destination,
        _ => source.min(destination),
    }))
}

fn port_of<const PROTOCOL: u8, const SIDE: u8>(tuple: &Tuple) -> Option<FieldValue<'static>> {
    port::<SIDE>(tuple).filter(|_| tuple.protocol == Some(PROTOCOL))
}

fn port_in<const FAMILY: u16, const SIDE: u8>(tuple: &Tuple) -> Option<FieldValue<'static>> {
    port::<SIDE>(tuple).filter(|_| tuple.has(FAMILY))
}

fn flag<const BIT: u8>(tuple: &Tuple) -> Option<FieldValue<'static>> {
    tuple
        .tcp_flags
        .map(|flags| FieldValue::Bool(flags & BIT != 0))
}

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
