//! The kernel program's tuple in the form in which the store keeps tuples.

use agent_common::TupleEvent;
use agent_common::event::marks as of_kernel;

use crate::decode::tuple::{Tuple, marks};
use crate::frame::LinkType;

/// IPv4 in IPv6 (RFC 4291, 2.5.5.2).
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const TCP: u8 = 6;

/// The tuple of a packet that the kernel program saw, at a wall-clock time.
///
/// It has the values that the decoder reads of the packet, with these exceptions. A header that
/// is cut gives nothing, not a part of its values. An IPv6 packet between two mapped IPv4
/// addresses passes for IPv4. It is behind Ethernet and at most four tags of 802.1Q or 802.1ad: not
/// behind PPPoE, MPLS, LLC, MACsec, VN-Tag, another provider's tag (0x9100) or a second Ethernet
/// header (802.1ah); nor are there ports behind more than six extension headers of IPv6.
pub(super) fn tuple_of(event: &TupleEvent, time_ns: i64) -> Tuple {
    let ip = event.is_marked(of_kernel::IP);
    let later = event.is_marked(of_kernel::FRAGMENT);
    let mapped = |address: &[u8; 16]| address.starts_with(&MAPPED);
    let v4 = ip && mapped(&event.source) && mapped(&event.destination);
    let ports = event.ports();
    let mark = |is: bool, mark: u16| if is { mark } else { 0 };
    Tuple {
        time_ns: Some(time_ns),
        source: ip.then_some(event.source),
        destination: ip.then_some(event.destination),
        source_port: ports.map(|ports| ports.0),
        destination_port: ports.map(|ports| ports.1),
        // Which header a later fragment of IPv6 goes on with is in the first one.
        protocol: (ip && (v4 || !later)).then_some(event.protocol),
        tcp_flags: (ports.is_some() && event.protocol == TCP).then_some(event.tcp_flags),
        vlan: event.vlan_id(),
        marks: mark(v4, marks::IPV4)
            | mark(ip && !v4, marks::IPV6)
            | mark(ports.is_some(), marks::TRANSPORT)
            | mark(later, marks::LATER_FRAGMENT)
            | marks::ETHERNET,
        wire_len: event.wire_len,
        captured_len: 0,
        link_type: LinkType(1),
    }
}

#[cfg(test)]
mod tests {
    use agent_common::net::map_ipv4;

    use super::*;
    use crate::decode::Packet;
    use crate::frame::Frame;

    /// Ethernet, VLAN 7, IPv4, TCP with SYN, as the decoder reads it and as the program tells it.
    #[test]
    fn it_is_the_decoders_tuple() {
        let mut frame = vec![2; 12];
        frame.extend([0x81, 0, 0x60, 7, 8, 0]);
        frame.extend([
            0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9,
        ]);
        frame.extend([
            0x30, 0x39, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0,
        ]);
        let decoded = Tuple::of(&Packet::decode(&Frame {
            time_ns: Some(5),
            wire_len: 58,
            link_type: LinkType(1),
            interface: "",
            offset: 0,
            data: &frame,
        }));
        let mut event = TupleEvent {
            source: map_ipv4([10, 0, 0, 1]),
            destination: map_ipv4([192, 0, 2, 9]),
            wire_len: 58,
            source_port: 12_345,
            destination_port: 443,
            protocol: 6,
            tcp_flags: 2,
            ..TupleEvent::default()
        };
        event.set_vlan(0x6007);
        event.mark(of_kernel::IP);
        event.mark(of_kernel::PORTS);
        let told = tuple_of(&event, 5);
        assert_eq!(
            told,
            Tuple {
                captured_len: 0,
                ..decoded
            }
        );
    }

    #[test]
    fn what_is_not_ip_has_its_length_alone() {
        let event = TupleEvent {
            wire_len: 60,
            ..TupleEvent::default()
        };
        let told = tuple_of(&event, 9);
        assert_eq!((told.source, told.protocol, told.vlan), (None, None, None));
        assert_eq!((told.marks, told.wire_len), (marks::ETHERNET, 60));
    }

    #[test]
    fn a_later_fragment_has_no_ports_and_of_ipv6_no_protocol() {
        let mut event = TupleEvent {
            source: [0x20; 16],
            destination: [0x21; 16],
            protocol: 17,
            ..TupleEvent::default()
        };
        event.mark(of_kernel::IP);
        event.mark(of_kernel::FRAGMENT);
        let told = tuple_of(&event, 9);
        assert_eq!((told.protocol, told.source_port), (None, None));
        let expected = marks::IPV6 | marks::LATER_FRAGMENT | marks::ETHERNET;
        assert_eq!(told.marks, expected);
        event.source = map_ipv4([10, 0, 0, 1]);
        event.destination = map_ipv4([10, 0, 0, 2]);
        assert_eq!(tuple_of(&event, 9).protocol, Some(17));
    }
}
