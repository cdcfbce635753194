//! The counters add up, whatever becomes of the records.

use agent_common::InterfaceCounters;
use flowsift::capture::{InterfaceConfig, Settings};

use crate::support::{ALL, Kernel, ROOMY};

/// A UDP datagram from 192.0.2.1:1 to 192.0.2.2:53.
pub(crate) const DATAGRAM: [u8; 42] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, // Ethernet
    0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
    0, 1, 0, 53, 0, 8, 0, 0, // UDP
];

const TINY: Settings = Settings {
    tuple_ring_bytes: 4096,
    packet_ring_bytes: 4096,
    shards: 1,
};

#[test]
fn full_rings_lose_records_and_say_how_many() {
    let Some(mut kernel) = Kernel::configured(TINY, ALL) else {
        return;
    };
    kernel.run(&DATAGRAM, 1000).unwrap();
    let tuples = kernel.drain().len() as u64;
    let packets = kernel.drain_packets().len() as u64;
    let counters = kernel.counters(ALL.slot);
    // 64 bytes a tuple, 200 a packet; the ring keeps a byte free.
    assert_eq!((tuples, packets), (63, 20));
    let expected = InterfaceCounters {
        seen: 1000,
        seen_bytes: 42_000,
        tuple_emitted: tuples,
        tuple_dropped: 1000 - tuples,
        packet_emitted: packets,
        packet_emitted_bytes: packets * 42,
        packet_dropped: 1000 - packets,
        packet_ring_bytes: packets * 200,
        ..InterfaceCounters::default()
    };
    assert_eq!(counters, expected);
}

#[test]
fn rings_that_are_read_meanwhile_lose_what_they_say() {
    let Some(mut kernel) = Kernel::configured(TINY, ALL) else {
        return;
    };
    let (mut tuples, mut packets) = (0, 0);
    for round in 0..50 {
        kernel.run(&DATAGRAM, 7 + round).unwrap();
        tuples += kernel.drain().len() as u64;
        packets += kernel.drain_packets().len() as u64;
    }
    let counters = kernel.counters(ALL.slot);
    assert_eq!(counters.seen, (0..50).map(|round| 7 + round).sum::<u64>());
    assert_eq!(counters.tuple_emitted, tuples);
    assert_eq!(counters.packet_emitted, packets);
    assert_eq!(
        counters.seen,
        counters.tuple_emitted + counters.tuple_dropped
    );
    assert_eq!(
        counters.seen,
        counters.packet_emitted + counters.packet_dropped
    );
    assert!(counters.packet_dropped > 0 && counters.tuple_dropped == 0);
}

#[test]
fn a_joined_packet_that_finds_no_room_still_has_its_tuple() {
    let joined = InterfaceConfig {
        joined: true,
        ..ALL
    };
    let Some(mut kernel) = Kernel::configured(TINY, joined) else {
        return;
    };
    kernel.run(&DATAGRAM, 30).unwrap();
    let packets = kernel.drain_packets();
    let tuples = kernel.drain();
    assert_eq!((packets.len(), tuples.len()), (20, 10));
    assert!(
        packets
            .iter()
            .all(|packet| packet.tuple.ports() == Some((1, 53)))
    );
    assert!(packets.last().unwrap().time_ns <= tuples[0].time_ns);
    let counters = kernel.counters(ALL.slot);
    assert_eq!((counters.tuple_emitted, counters.tuple_dropped), (30, 0));
    assert_eq!((counters.packet_emitted, counters.packet_dropped), (20, 10));
}

#[test]
fn what_is_not_wanted_is_not_written() {
    let Some(mut kernel) = Kernel::load(ROOMY) else {
        return;
    };
    kernel.run(&DATAGRAM, 3).unwrap();
    assert_eq!((kernel.drain().len(), kernel.drain_packets().len()), (0, 0));
    assert_eq!(kernel.unconfigured(), 3);

    let cases = [(false, false), (true, false), (false, true), (true, true)];
    for (slot, (tuples, packets)) in (0..).zip(cases) {
        let config = InterfaceConfig {
            slot,
            tuples,
            packets,
            ..ALL
        };
        let mut kernel = Kernel::configured(ROOMY, config).unwrap();
        kernel.run(&DATAGRAM, 3).unwrap();
        let expected = (if tuples { 3 } else { 0 }, if packets { 3 } else { 0 });
        assert_eq!(
            (kernel.drain().len(), kernel.drain_packets().len()),
            expected
        );
        let counters = kernel.counters(slot);
        let emitted = (counters.tuple_emitted, counters.packet_emitted);
        assert_eq!(
            (counters.seen, emitted),
            (3, (expected.0 as u64, expected.1 as u64))
        );
        assert_eq!((counters.tuple_dropped, counters.packet_dropped), (0, 0));
        assert_eq!(kernel.unconfigured(), 0);
    }
}

#[test]
fn every_prefix_of_a_datagram_yields_its_records() {
    let Some(mut kernel) = Kernel::configured(ROOMY, ALL) else {
        return;
    };
    // The kernel runs no program over less than an Ethernet header.
    for len in 14..=DATAGRAM.len() {
        kernel.run(&DATAGRAM[..len], 1).unwrap();
        let [event] = kernel.drain().try_into().unwrap();
        assert_eq!((event.wire_len as usize, event.slot), (len, 5));
        assert_eq!(event.ports(), (len >= 38).then_some((1, 53)), "{len} bytes");
        let protocol = if len >= 34 { 17 } else { 0 };
        assert_eq!(event.protocol, protocol, "{len} bytes");
        let [packet] = kernel.drain_packets().try_into().unwrap();
        assert_eq!(packet.data, DATAGRAM[..len]);
        assert_eq!(packet.tuple, event);
    }
    let counters = kernel.counters(ALL.slot);
    assert_eq!(counters.too_short, 38 - 14);
    assert_eq!(counters.seen, counters.tuple_emitted);
}
