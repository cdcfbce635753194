//! The agent's own connections: captured, their packets would make more of them, without end.

use std::net::{IpAddr, SocketAddr};

use agent_common::TupleEvent;
use agent_common::event::marks;
use agent_common::net::{PROTOCOL_TCP, map_ipv4};

use crate::capture::PacketRecord;
use crate::decode::{Packet, Tuple};
use crate::frame::{Frame, LinkType};

/// What packet sockets give.
const ETHERNET: LinkType = LinkType(1);

/// A TCP connection of the agent, or all those of a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The end on this machine.
    pub here: SocketAddr,
    /// The other end; `None`: whoever it is.
    pub there: Option<SocketAddr>,
}

/// All connections whose packets are left out.
#[derive(Clone, Debug, Default)]
pub struct Own(Vec<(End, Option<End>)>);

/// What [`Own::includes`] needs, of a source that knows no tuples.
pub(super) fn tuple_of(record: &PacketRecord<'_>) -> TupleEvent {
    let tuple = Tuple::of(&Packet::decode(&Frame {
        time_ns: None,
        wire_len: record.wire_len,
        link_type: ETHERNET,
        interface: "",
        offset: 0,
        data: record.data,
    }));
    let mut event = TupleEvent {
        time_ns: record.time_ns,
        source: tuple.source.unwrap_or_default(),
        destination: tuple.destination.unwrap_or_default(),
        wire_len: record.wire_len,
        slot: record.slot,
        protocol: tuple.protocol.unwrap_or_default(),
        tcp_flags: tuple.tcp_flags.unwrap_or_default(),
        ..TupleEvent::default()
    };
    if tuple.source.is_some() && tuple.protocol.is_some() {
        event.mark(marks::IP);
    }
    if let (Some(source), Some(destination)) = (tuple.source_port, tuple.destination_port) {
        (event.source_port, event.destination_port) = (source, destination);
        event.mark(marks::PORTS);
    }
    if let Some(vlan) = tuple.vlan {
        event.set_vlan(vlan);
    }
    event
}

/// Address, as a tuple has it, and port.
type End = ([u8; 16], u16);

impl Own {
    /// Those of the list.
    #[must_use]
    pub fn new(connections: &[Connection]) -> Self {
        let ends = |it: &Connection| (end(it.here), it.there.map(end));
        Self(connections.iter().map(ends).collect())
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the packet is one of theirs, in either direction. A fragment that has no ports
    /// is not.
    pub(super) fn includes(&self, tuple: &TupleEvent) -> bool {
        if self.0.is_empty() || tuple.protocol != PROTOCOL_TCP {
            return false;
        }
        let Some((from, to)) = tuple.ports() else {
            return false;
        };
        let (from, to) = ((tuple.source, from), (tuple.destination, to));
        let is = |here: End, there: Option<End>, ours: End, theirs: End| {
            here == ours && there.is_none_or(|there| there == theirs)
        };
        self.0
            .iter()
            .any(|(here, there)| is(*here, *there, from, to) || is(*here, *there, to, from))
    }
}

fn end(address: SocketAddr) -> End {
    let octets = match address.ip() {
        IpAddr::V4(ip) => map_ipv4(ip.octets()),
        IpAddr::V6(ip) => ip.octets(),
    };
    (octets, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(from: &str, to: &str) -> TupleEvent {
        let (source, source_port) = end(from.parse().unwrap());
        let (destination, destination_port) = end(to.parse().unwrap());
        TupleEvent {
            source,
            destination,
            source_port,
            destination_port,
            protocol: PROTOCOL_TCP,
            vlan_and_marks: marks::IP | marks::PORTS,
            ..TupleEvent::default()
        }
    }

    #[test]
    fn a_connection_is_left_out_in_both_directions_and_nothing_else() {
        let (here, there) = ("192.0.2.1:22", "192.0.2.9:40000");
        let own = Own::new(&[Connection {
            here: here.parse().unwrap(),
            there: there.parse().ok(),
        }]);
        assert!(own.includes(&packet(here, there)) && own.includes(&packet(there, here)));
        assert!(!own.includes(&packet("192.0.2.9:40001", here)));
        assert!(!own.includes(&packet("192.0.2.8:40000", here)));
        assert!(!own.includes(&packet(there, "192.0.2.1:23")));
        let mut datagram = packet(here, there);
        datagram.protocol = agent_common::net::PROTOCOL_UDP;
        assert!(!own.includes(&datagram));
        let mut fragment = packet(here, there);
        fragment.vlan_and_marks = marks::IP | marks::FRAGMENT;
        assert!(!own.includes(&fragment));
        assert!(!Own::default().includes(&packet(here, there)));
    }

    #[test]
    fn a_port_of_its_own_has_any_other_end() {
        let own = Own::new(&[Connection {
            here: "[2001:db8::1]:8443".parse().unwrap(),
            there: None,
        }]);
        assert!(own.includes(&packet("[2001:db8::2]:1", "[2001:db8::1]:8443")));
        assert!(own.includes(&packet("[2001:db8::1]:8443", "[2001:db8::3]:2")));
        assert!(!own.includes(&packet("[2001:db8::1]:1", "[2001:db8::2]:8443")));
    }
}
