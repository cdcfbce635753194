//! Frames whose headers do not all lie in the first buffer, as some drivers hand them over.

use std::io::ErrorKind;

use agent_common::TupleEvent;

use crate::counters::DATAGRAM;
use crate::support::{ALL, Kernel, PASS, ROOMY, say_skipped};

/// A TCP segment behind three IPv6 extension headers, each as long as there are.
fn behind_long_headers() -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend((3 * 2048 + 20_u16).to_be_bytes());
    frame.extend([0, 64]);
    frame.extend([0x20; 16]);
    frame.extend([0x21; 16]);
    for next in [60, 60, 6] {
        frame.extend([next, 255]);
        frame.resize(frame.len() + 2046, 0);
    }
    frame.extend([0x30, 0x39, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2]);
    frame.resize(frame.len() + 6, 0);
    frame
}

/// The one tuple there is, and its packet, which must be the frame.
fn taken(kernel: &mut Kernel, frame: &[u8]) -> TupleEvent {
    let (tuples, packets) = (kernel.drain(), kernel.drain_packets());
    assert_eq!((tuples.len(), packets.len()), (1, 1));
    assert_eq!(packets[0].data, frame);
    assert_eq!(packets[0].tuple, tuples[0]);
    TupleEvent {
        time_ns: 0,
        ..tuples[0]
    }
}

#[test]
fn headers_behind_the_first_buffer_are_read() {
    let Some(mut kernel) = Kernel::configured(ROOMY, ALL) else {
        return;
    };
    // Longer than the page that a test run's first buffer is.
    let frame = behind_long_headers();
    kernel.run(&frame, 1).unwrap();
    let tuple = taken(&mut kernel, &frame);
    assert_eq!(tuple.ports(), Some((12_345, 443)));
    assert_eq!((tuple.protocol, tuple.tcp_flags), (6, 2));
    assert_eq!(kernel.counters(ALL.slot).too_short, 0);
}

#[test]
fn a_first_buffer_may_have_any_length() {
    let Some(mut kernel) = Kernel::configured(ROOMY, ALL) else {
        return;
    };
    kernel.run(&DATAGRAM, 1).unwrap();
    let whole = taken(&mut kernel, &DATAGRAM);
    assert_eq!(whole.ports(), Some((1, 53)));
    for first in 0..DATAGRAM.len() as u32 {
        match kernel.program.test_run_scattered(&DATAGRAM, first) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return say_skipped("the kernel does not let test runs choose the first buffer");
            }
            verdict => assert_eq!(verdict.unwrap(), PASS),
        }
        assert_eq!(taken(&mut kernel, &DATAGRAM), whole, "{first}");
    }
    // What ends in a header does so, however it is laid out.
    for first in [0, 14, 30] {
        kernel
            .program
            .test_run_scattered(&DATAGRAM[..36], first)
            .unwrap();
        assert_eq!(taken(&mut kernel, &DATAGRAM[..36]).ports(), None);
    }
    let counters = kernel.counters(ALL.slot);
    assert_eq!((counters.too_short, counters.packet_dropped), (3, 0));
}
