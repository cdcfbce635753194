//! Real traffic over a veth pair, in a network namespace of its own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use agent_common::TupleEvent;
use agent_common::event::marks;
use agent_common::net::{PROTOCOL_TCP, PROTOCOL_UDP, map_ipv4};
use flowsift::capture::Mode;

use crate::namespace::{has_xdp, inside, interface, ip, veth};
use crate::support::{ALL, Kernel, ROOMY};

const HERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// Nobody's address: what is sent there leaves through the veth and is not answered.
const THERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const HERE_V6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1);
const THERE_V6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2);

/// More than a page, so that frames of several buffers arrive (kernel 5.18).
const MTU: u32 = 9000;

#[test]
fn frames_on_a_veth_become_records() {
    if !inside() {
        return;
    }
    let mut kernel = Kernel::load(ROOMY).expect("the outer process could load it");
    set_up_veth();
    let attachment = kernel
        .program
        .attach(&interface("fs0"), ALL, Mode::Native)
        .unwrap();
    assert_eq!(attachment.mode(), Mode::Native);
    let ports = send_traffic();
    let events = collect(&mut kernel, ports);

    check_plain_datagrams(&events, ports);
    check_fragments(&events, ports);
    check_segment_and_ipv6(&events, ports);
    assert!(events.iter().all(|event| event.slot == ALL.slot));
    assert!(
        events.is_sorted_by_key(|event| event.time_ns),
        "one CPU at a time, one clock"
    );

    let counters = kernel.counters(ALL.slot);
    let records = events.len() as u64 + kernel.drain().len() as u64;
    assert_eq!(
        counters.seen,
        counters.tuple_emitted + counters.tuple_dropped
    );
    assert!(counters.seen >= records, "{counters:?}, {records} records");
    drop(attachment);
    assert!(!has_xdp("fs0"), "detached on drop");
}

/// Local ports of the sockets that sent.
#[derive(Clone, Copy)]
struct Ports {
    udp: u16,
    udp_v6: u16,
}

/// Three datagrams, one that needs three fragments, one over IPv6, and one SYN.
fn send_traffic() -> Ports {
    let udp = UdpSocket::bind((HERE, 0)).unwrap();
    for _ in 0..3 {
        assert_eq!(udp.send_to(b"hello", (THERE, 5353)).unwrap(), 5);
    }
    assert_eq!(udp.send_to(&[0; 20_000], (THERE, 6000)).unwrap(), 20_000);
    let udp_v6 = UdpSocket::bind((HERE_V6, 0)).unwrap();
    assert_eq!(udp_v6.send_to(b"hello", (THERE_V6, 53)).unwrap(), 5);
    let there = SocketAddr::from((THERE, 443));
    TcpStream::connect_timeout(&there, Duration::from_millis(100)).expect_err("nobody answers");
    Ports {
        udp: udp.local_addr().unwrap().port(),
        udp_v6: udp_v6.local_addr().unwrap().port(),
    }
}

/// Reads the ring until the last packet that was sent, the SYN, is there.
fn collect(kernel: &mut Kernel, ports: Ports) -> Vec<TupleEvent> {
    let start = Instant::now();
    let mut events = Vec::new();
    while start.elapsed() < Duration::from_secs(5) {
        events.extend(kernel.drain());
        let has = |protocol, port| {
            events.iter().any(|event: &TupleEvent| {
                event.protocol == protocol && event.ports().is_some_and(|(_, to)| to == port)
            })
        };
        if has(PROTOCOL_TCP, 443) && has(PROTOCOL_UDP, 53) {
            return events;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!(
        "from ports {} and {} came only {events:#?}",
        ports.udp, ports.udp_v6
    );
}

fn check_plain_datagrams(events: &[TupleEvent], ports: Ports) {
    let datagrams: Vec<_> = events
        .iter()
        .filter(|event| event.ports() == Some((ports.udp, 5353)))
        .collect();
    assert_eq!(datagrams.len(), 3);
    for event in datagrams {
        assert_eq!(event.source, map_ipv4(HERE.octets()));
        assert_eq!(event.destination, map_ipv4(THERE.octets()));
        assert_eq!(
            (event.protocol, event.wire_len),
            (PROTOCOL_UDP, 14 + 20 + 8 + 5)
        );
        assert_eq!((event.vlan_id(), event.tcp_flags), (None, 0));
    }
}

fn check_fragments(events: &[TupleEvent], ports: Ports) {
    let first: Vec<_> = events
        .iter()
        .filter(|event| event.ports() == Some((ports.udp, 6000)))
        .collect();
    assert_eq!(first.len(), 1);
    // RFC 791: fragments carry a multiple of 8 bytes; of 8980 that is 8976.
    assert!(first.iter().all(|event| event.wire_len == 14 + 20 + 8976));
    let later: Vec<_> = events
        .iter()
        .filter(|event| event.is_marked(marks::FRAGMENT))
        .collect();
    let lengths: Vec<_> = later.iter().map(|event| event.wire_len).collect();
    assert_eq!(lengths, [14 + 20 + 8976, 14 + 20 + 20_008 - 2 * 8976]);
    for event in later {
        assert_eq!((event.ports(), event.protocol), (None, PROTOCOL_UDP));
        assert_eq!(event.destination, map_ipv4(THERE.octets()));
    }
}

fn check_segment_and_ipv6(events: &[TupleEvent], ports: Ports) {
    let syn = events
        .iter()
        .find(|event| event.protocol == PROTOCOL_TCP)
        .unwrap();
    assert_eq!((syn.tcp_flags & 0x3f, syn.destination_port), (0x02, 443));
    let v6 = events
        .iter()
        .find(|event| event.ports() == Some((ports.udp_v6, 53)))
        .unwrap();
    assert_eq!(
        (v6.source, v6.destination),
        (HERE_V6.octets(), THERE_V6.octets())
    );
    assert_eq!((v6.protocol, v6.wire_len), (PROTOCOL_UDP, 14 + 40 + 8 + 5));
}

fn set_up_veth() {
    veth("fs0", "fs1", MTU);
    std::fs::write("/proc/sys/net/ipv6/conf/fs1/disable_ipv6", "0").unwrap();
    ip("address add 10.9.0.1/24 dev fs1");
    ip("address add fd09::1/64 dev fs1 nodad");
    for there in ["10.9.0.2", "fd09::2"] {
        ip(&format!(
            "neighbour add {there} lladdr 02:00:00:00:00:02 dev fs1 nud permanent"
        ));
    }
}
