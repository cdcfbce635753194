//! The counters add up, whatever becomes of the records.

use agent_common::{Counter, TupleEvent};

use crate::support::Kernel;

/// XDP_PASS of `enum xdp_action`.
const PASS: u32 = 2;

/// A UDP datagram from 192.0.2.1:1 to 192.0.2.2:53.
const DATAGRAM: [u8; 42] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, // Ethernet
    0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
    0, 1, 0, 53, 0, 8, 0, 0, // UDP
];

#[test]
fn a_full_ring_loses_records_and_says_how_many() {
    let Some(mut kernel) = Kernel::load(4096) else {
        return;
    };
    assert_eq!(kernel.run(&DATAGRAM, 1000).unwrap(), PASS);
    let records = kernel.drain();
    assert_eq!(kernel.count(Counter::Seen), 1000);
    assert_eq!(kernel.count(Counter::Emitted), records.len() as u64);
    assert_eq!(kernel.count(Counter::RingFull), 1000 - records.len() as u64);
    assert!(
        (1..=64).contains(&records.len()),
        "4096 bytes hold {} records",
        records.len()
    );
}

#[test]
fn every_prefix_of_a_datagram_yields_a_record() {
    let Some(mut kernel) = Kernel::load(1 << 20) else {
        return;
    };
    // The kernel runs no program over less than an Ethernet header.
    for len in 14..=DATAGRAM.len() {
        assert_eq!(kernel.run(&DATAGRAM[..len], 1).unwrap(), PASS);
        let [event]: [TupleEvent; 1] = kernel.drain().try_into().unwrap();
        assert_eq!(event.wire_len as usize, len);
        assert_eq!(event.ports(), (len >= 38).then_some((1, 53)), "{len} bytes");
        assert_eq!(
            event.protocol,
            if len >= 34 { 17 } else { 0 },
            "{len} bytes"
        );
    }
    assert_eq!(kernel.count(Counter::TooShort), 38 - 14);
    assert_eq!(kernel.count(Counter::Seen), kernel.count(Counter::Emitted));
}
