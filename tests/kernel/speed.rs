//! Time per packet, against the least that a program with a ring can do.

use std::io;
use std::time::Duration;

use flowsift::capture::{InterfaceConfig, Settings, TupleRings};

use crate::counters::DATAGRAM;
use crate::support::{ALL, Kernel, say};

const RING_BYTES: u32 = 16 << 20;
/// Packets per run: fewer than fit, so that none is lost, and the rings are read after each.
const REPEAT: u32 = 10_000;
const RUNS: usize = 31;

const SETTINGS: Settings = Settings {
    tuple_ring_bytes: RING_BYTES,
    packet_ring_bytes: RING_BYTES,
    shards: 1,
};

#[test]
fn the_time_per_packet_is_near_the_least_possible() {
    // The most that each may be of the least possible: above what was measured by half, for machines
    // that do other things too, and below what any call per byte costs.
    let cases = [
        ("tuple", 60, (true, false, false), 3.1),
        (
            "128 bytes alone, with the tuple at their head",
            128,
            (false, true, false),
            3.5,
        ),
        ("tuple joined to 128 bytes", 128, (true, true, true), 3.5),
        (
            "tuple and 128 bytes in rings of their own",
            128,
            (true, true, false),
            4.5,
        ),
        ("tuple joined to 1500 bytes", 1500, (true, true, true), 9.5),
    ];
    let mut times = Vec::new();
    for (name, len, (tuples, packets, joined), most) in cases {
        let config = InterfaceConfig {
            tuples,
            packets,
            joined,
            ..ALL
        };
        let Some(kernel) = Kernel::configured(SETTINGS, config) else {
            return;
        };
        times.push((name, measure(kernel, &frame(len)), most));
    }
    let least = least();
    say(&format!(
        "reserve and submit 64 bytes: {} ns",
        least.as_nanos()
    ));
    for (name, time, most) in times {
        let ratio = time.as_secs_f64() / least.as_secs_f64();
        say(&format!(
            "{name}: {} ns, {ratio:.2} times that",
            time.as_nanos()
        ));
        assert!(ratio < most, "{name}: more than {most} times the least");
    }
}

/// The median time per packet, of a program from whose rings nothing was lost.
fn measure(mut kernel: Kernel, frame: &[u8]) -> Duration {
    let time = median(|| {
        let time = kernel.program.test_run(frame, REPEAT).map(|(_, time)| time);
        kernel.tuples.drain(usize::MAX, |_| {});
        kernel.packets.drain(usize::MAX, |_| {});
        time
    });
    let counters = kernel.counters(ALL.slot);
    assert!(counters.seen >= u64::from(REPEAT) * RUNS as u64);
    assert_eq!((counters.tuple_dropped, counters.packet_dropped), (0, 0));
    time
}

fn least() -> Duration {
    let (program, ring) = agent_probe::Program::least(RING_BYTES).unwrap();
    let mut ring = TupleRings::from_fds(vec![ring]).unwrap();
    median(|| {
        let time = program.run(&frame(60), REPEAT).map(|(verdict, time)| {
            assert_eq!(verdict, crate::support::PASS);
            time
        });
        // Its records are of another length than ours.
        let drained = ring.drain(usize::MAX, |_| {});
        assert!(time.is_err() || drained.malformed == u64::from(REPEAT));
        time
    })
}

/// The median of so many runs that no signal cut short.
fn median(mut run: impl FnMut() -> io::Result<Duration>) -> Duration {
    let mut times = Vec::new();
    while times.len() < RUNS {
        match run() {
            Ok(time) => times.push(time),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Interrupted),
        }
    }
    times.sort();
    times[RUNS / 2]
}

fn frame(len: usize) -> Vec<u8> {
    let mut frame = DATAGRAM.to_vec();
    frame.resize(len, 0xa5);
    frame
}
