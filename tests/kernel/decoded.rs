//! Every Ethernet frame of the captures, damaged ones too: the kernel program's tuple, field by
//! field, against the user-space decoder; and its packet, byte by byte, whole and cut.

use std::net::Ipv4Addr;

use agent_common::TupleEvent;
use agent_common::event::marks;
use agent_common::net::map_ipv4;
use flowsift::capture::InterfaceConfig;
use flowsift::decode::{FieldValue, Packet, fields, find};
use flowsift::frame::Frame;

use crate::frames::{captures, each_ethernet_frame, manifest};
use crate::support::{ALL, Kernel, ROOMY, say};

#[test]
fn tuples_are_what_the_decoder_reads() {
    let Some(mut kernel) = Kernel::configured(ROOMY, ALL) else {
        return;
    };
    let folder = captures();
    let (mut frames, mut walked, mut refused) = (0, 0, 0);
    for file in manifest(&folder) {
        each_ethernet_frame(&folder.join(&file), |frame| {
            if kernel.run(frame.data, 1).is_err() {
                refused += 1;
                return;
            }
            frames += 1;
            let [event] = kernel.drain().try_into().unwrap();
            let [packet] = kernel.drain_packets().try_into().unwrap();
            assert!(packet.data == frame.data, "{file} {}", frame.offset);
            assert_eq!(packet.tuple, event);
            let place = format!("{file}, offset {}: {event:?}", frame.offset);
            assert_eq!(event.wire_len as usize, frame.data.len(), "{place}");
            walked += u64::from(check_tuple(&event, frame, &place));
        });
    }
    say(&format!(
        "{frames} frames, {walked} of them IP behind Ethernet and VLAN tags; {refused} refused by the kernel as too short or too long for a test run"
    ));
    let counters = kernel.counters(ALL.slot);
    assert_eq!(counters.seen, frames);
    assert_eq!(
        (counters.tuple_emitted, counters.packet_emitted),
        (frames, frames)
    );
    assert!(walked > 1000, "{walked}");
}

/// A TCP segment in IPv6 that states a payload length of 0, behind what `options` has.
fn of_length_0(next: u8, options: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, next, 64]);
    frame.extend([0x20; 16]);
    frame.extend([0x21; 16]);
    frame.extend(options);
    frame.extend([0x30, 0x39, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2]);
    frame.resize(frame.len() + 6, 0);
    frame
}

#[test]
fn a_payload_length_of_0_is_none_unless_an_option_says_another() {
    let Some(mut kernel) = Kernel::configured(ROOMY, ALL) else {
        return;
    };
    let jumbo = [6, 0, 0xc2, 4, 0, 1, 0, 0];
    for (next, options, ports) in [
        (6, &[][..], None),
        (0, &jumbo, Some((12_345, 443))),
        // Less than 16 bits can say; another option.
        (0, &[6, 0, 0xc2, 4, 0, 0, 0xff, 0xff], None),
        (0, &[6, 0, 1, 4, 0, 0, 0, 0], None),
        // A later fragment, if it were there.
        (44, &[6, 0, 0, 8, 0, 0, 0, 1], None),
    ] {
        let frame = of_length_0(next, options);
        kernel.run(&frame, 1).unwrap();
        let [event] = kernel.drain().try_into().unwrap();
        let place = format!("{options:?}");
        assert_eq!(event.ports(), ports, "{place}");
        let frame = Frame {
            time_ns: None,
            wire_len: frame.len() as u32,
            link_type: flowsift::frame::LinkType(1),
            interface: "",
            offset: 0,
            data: &frame,
        };
        assert!(check_tuple(&event, &frame, &place), "{place}");
    }
}

#[test]
fn packets_are_cut_at_the_snap_length() {
    let folder = captures();
    for snaplen in [1, 20, 128, 300, 1500] {
        let config = InterfaceConfig { snaplen, ..ALL };
        let Some(mut kernel) = Kernel::configured(ROOMY, config) else {
            return;
        };
        let mut cut = 0;
        for file in manifest(&folder).iter().step_by(5) {
            each_ethernet_frame(&folder.join(file), |frame| {
                if kernel.run(frame.data, 1).is_err() {
                    return;
                }
                let [packet] = kernel.drain_packets().try_into().unwrap();
                let kept = frame.data.len().min(snaplen as usize);
                assert!(packet.data == frame.data[..kept], "{file} {}", frame.offset);
                assert_eq!(packet.wire_len as usize, frame.data.len());
                cut += u64::from(kept < frame.data.len());
                kernel.drain();
            });
        }
        assert_eq!(kernel.counters(ALL.slot).snapped, cut);
        assert!(cut > 0, "snap length {snaplen}");
    }
}

/// Compares all that the tuple says. `false` where the program does not walk to an IP header.
fn check_tuple(event: &TupleEvent, frame: &Frame<'_>, place: &str) -> bool {
    let packet = Packet::decode(frame);
    let outermost_tag = matches!(u16_at(frame.data, 12), Some(0x8100 | 0x88a8));
    let tag = uint(&packet, "dot1q", "VLANID").filter(|_| outermost_tag);
    assert_eq!(event.vlan_id().map(u64::from), tag, "{place}");
    let Some(header_bytes) = walked_header(frame.data) else {
        assert!(!event.is_marked(marks::IP | marks::PORTS), "{place}");
        return false;
    };
    if network_offset(frame.data) + header_bytes > frame.data.len() {
        // The decoder gives those fields of a cut header that are there, the program none.
        assert!(!event.is_marked(marks::IP | marks::PORTS), "{place}");
        return false;
    }
    let addresses = addresses(&packet);
    assert_eq!(event.is_marked(marks::IP), addresses.is_some(), "{place}");
    let (source, destination) = addresses.unwrap_or_default();
    assert_eq!(
        (event.source, event.destination),
        (source, destination),
        "{place}"
    );
    if let Some(protocol) = uint(&packet, "ipv4", "Protocol") {
        assert_eq!(u64::from(event.protocol), protocol, "{place}");
    }
    assert_eq!(
        event.is_marked(marks::FRAGMENT),
        packet.is_later_fragment(),
        "{place}"
    );
    check_transport(event, &packet, place);
    true
}

fn check_transport(event: &TupleEvent, packet: &Packet<'_>, place: &str) {
    // DCCP and UDP-Lite have ports here and no fields there.
    let by_decoder = [("tcp", 6), ("udp", 17), ("sctp", 132)];
    for (protocol, number) in by_decoder {
        let port = |name| uint(packet, protocol, name);
        let ports = port("SrcPort").zip(port("DstPort"));
        let of_event = event
            .ports()
            .filter(|_| event.protocol == number)
            .map(|(source, destination)| (source.into(), destination.into()));
        assert_eq!(of_event, ports, "{protocol} {place}");
    }
    let flags = tcp_flags(packet);
    assert_eq!(event.tcp_flags, flags.unwrap_or_default(), "{place}");
}

/// Source and destination, IPv4 mapped.
fn addresses(packet: &Packet<'_>) -> Option<([u8; 16], [u8; 16])> {
    let address = |name| {
        ["ipv4", "ipv6"]
            .iter()
            .find_map(|protocol| match value(packet, protocol, name)? {
                FieldValue::Ipv4(bits) => Some(map_ipv4(Ipv4Addr::from_bits(bits).octets())),
                FieldValue::Ip(bytes) => Some(bytes),
                other => panic!("an address is no {other:?}"),
            })
    };
    address("SrcIP").zip(address("DstIP"))
}

/// The flag byte, from its bits.
fn tcp_flags(packet: &Packet<'_>) -> Option<u8> {
    let names = ["CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"];
    names
        .iter()
        .try_fold(0, |flags, name| match value(packet, "tcp", name)? {
            FieldValue::Bool(set) => Some(flags << 1 | u8::from(set)),
            other => panic!("a flag is no {other:?}"),
        })
}

fn uint(packet: &Packet<'_>, protocol: &str, name: &str) -> Option<u64> {
    match value(packet, protocol, name)? {
        FieldValue::UInt(value) => Some(value),
        other => panic!("{protocol}.{name} is no {other:?}"),
    }
}

fn value<'a>(packet: &Packet<'a>, protocol: &str, name: &str) -> Option<FieldValue<'a>> {
    let found = find(protocol, name).unwrap_or_else(|| panic!("{protocol}.{name}"));
    (fields()[usize::from(found.index)].extract)(packet)
}

/// Least bytes of the IP header that the program walks to: behind Ethernet and at most four tags.
fn walked_header(frame: &[u8]) -> Option<usize> {
    match u16_at(frame, network_offset(frame) - 2) {
        Some(0x0800) => Some(20),
        Some(0x86dd) => Some(40),
        _ => None,
    }
}

/// Where the header behind Ethernet and at most four tags starts.
fn network_offset(frame: &[u8]) -> usize {
    let mut at = 14;
    for _ in 0..4 {
        if matches!(u16_at(frame, at - 2), Some(0x8100 | 0x88a8)) {
            at += 4;
        }
    }
    at
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[test]
fn every_length_is_copied_to_its_last_byte() {
    let snaplens = (0..=17).chain([31, 63, 64, 65, 100, 127, 128, 129, 255]);
    for snaplen in snaplens {
        let config = InterfaceConfig { snaplen, ..ALL };
        let Some(mut kernel) = Kernel::configured(ROOMY, config) else {
            return;
        };
        for len in 14..=300_usize {
            let frame: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
            kernel.run(&frame, 1).unwrap();
            let [packet] = kernel.drain_packets().try_into().unwrap();
            // Zero stands for the longest.
            let kept = if snaplen == 0 {
                len
            } else {
                len.min(snaplen as usize)
            };
            assert!(
                packet.data == frame[..kept],
                "{len} bytes, snap length {snaplen}"
            );
            kernel.drain();
        }
    }
}
