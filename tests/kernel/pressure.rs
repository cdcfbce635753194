//! A writer that never stops against readers on other processors: nothing is torn, lost
//! unnoticed, or counted wrongly.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use agent_common::InterfaceCounters;
use flowsift::capture::{InterfaceConfig, Settings, TupleRings, WAIT};

use crate::counters::DATAGRAM;
use crate::support::{ALL, Kernel, PASS, ROOMY, say, say_skipped};

/// Small, so that the writer goes around them thousands of times and often finds them full.
const SMALL: Settings = Settings {
    tuple_ring_bytes: 64 << 10,
    packet_ring_bytes: 64 << 10,
    shards: 1,
};

const PACKETS: u32 = 1_500_000;

/// What shows how full the rings are is not what reads them.
#[test]
fn others_see_how_full_a_ring_is() {
    let Some(mut kernel) = Kernel::configured(ROOMY, ALL) else {
        return;
    };
    let watched = TupleRings::from_fds(kernel.program.map_fds().unwrap().tuples).unwrap();
    let unread = || watched.fill().map(|fill| fill.unread_bytes).sum::<usize>();
    kernel.run(&DATAGRAM, 7).unwrap();
    assert_eq!(unread(), 7 * 64);
    kernel.tuples.drain(5, |_| {});
    assert_eq!(unread(), 2 * 64);
    kernel.tuples.drain(5, |_| {});
    assert_eq!(unread(), 0);
}

#[test]
fn what_is_read_under_pressure_is_what_was_emitted() {
    for joined in [false, true] {
        let config = InterfaceConfig { joined, ..ALL };
        let Some(kernel) = Kernel::configured(SMALL, config) else {
            return;
        };
        let (counters, read) = press(kernel);
        assert!(counters.seen >= PACKETS.into());
        assert_eq!(
            counters.seen,
            counters.tuple_emitted + counters.tuple_dropped
        );
        assert_eq!(
            counters.seen,
            counters.packet_emitted + counters.packet_dropped
        );
        let from_tuple_ring = if joined {
            counters.tuple_emitted - counters.packet_emitted
        } else {
            counters.tuple_emitted
        };
        assert_eq!(read, (from_tuple_ring, counters.packet_emitted));
        say(&format!(
            "of {} packets {} tuples and {} packets found room, {} and {} were read",
            counters.seen, counters.tuple_emitted, counters.packet_emitted, read.0, read.1
        ));
    }
}

/// Runs the program in one thread, reads in two others; the counters, and how much was read.
fn press(kernel: Kernel) -> (InterfaceCounters, (u64, u64)) {
    let done = AtomicBool::new(false);
    let Kernel {
        mut program,
        mut tuples,
        mut packets,
        counters,
    } = kernel;
    let frame = frame();
    let seen = || counters.read(ALL.slot).unwrap().seen;
    let read = thread::scope(|scope| {
        let tuples = scope.spawn(|| {
            let (mut count, mut last_ns) = (0, 0);
            let mut read_all = || {
                let drained = tuples.drain(usize::MAX, |event| {
                    assert!(event.time_ns >= last_ns && event.ports() == Some((1, 53)));
                    last_ns = event.time_ns;
                    count += 1;
                });
                assert_eq!(drained.malformed, 0);
                tuples.wait(WAIT).unwrap();
            };
            while !done.load(Ordering::Acquire) {
                read_all();
            }
            read_all();
            count
        });
        let packets = scope.spawn(|| {
            let (mut count, mut last_ns) = (0, 0);
            let mut read_all = || {
                let drained = packets.drain(usize::MAX, |packet| {
                    assert!(packet.time_ns >= last_ns && packet.data == frame);
                    last_ns = packet.time_ns;
                    count += 1;
                });
                assert_eq!(drained.malformed, 0);
                packets.wait(WAIT).unwrap();
            };
            while !done.load(Ordering::Acquire) {
                read_all();
            }
            read_all();
            count
        });
        while seen() < PACKETS.into() {
            match program.test_run(&frame, PACKETS / 10) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => assert_eq!(result.unwrap().0, PASS),
            }
        }
        done.store(true, Ordering::Release);
        (tuples.join().unwrap(), packets.join().unwrap())
    });
    (counters.read(ALL.slot).unwrap(), read)
}

/// A datagram of a length that shares no factor with the ring's.
fn frame() -> Vec<u8> {
    let mut frame = DATAGRAM.to_vec();
    frame.extend((0..301).map(|at| (at * 7) as u8));
    frame
}

#[test]
fn records_of_several_processors_come_in_the_order_of_their_times() {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    if processors < 2 {
        return say_skipped("one processor makes no order to restore");
    }
    let settings = Settings { shards: 2, ..ROOMY };
    let Some(mut kernel) = Kernel::configured(settings, ALL) else {
        return;
    };
    let mut emitted = 0;
    for round in 0..40 {
        run_on(round % 2);
        kernel.run(&DATAGRAM, 50).unwrap();
        emitted += 50;
    }
    let used = |fill: flowsift::capture::Fill| fill.unread_bytes > 0;
    assert_eq!(kernel.tuples.fill().filter(|fill| used(*fill)).count(), 2);
    assert_eq!(kernel.packets.fill().filter(|fill| used(*fill)).count(), 2);
    // The youngest record of a ring waits until none that is older can still come.
    thread::sleep(WAIT);
    let (tuples, packets) = (kernel.drain(), kernel.drain_packets());
    assert_eq!((tuples.len(), packets.len()), (emitted, emitted));
    assert!(tuples.is_sorted_by_key(|event| event.time_ns));
    assert!(packets.is_sorted_by_key(|packet| packet.time_ns));
}

/// Keeps this thread on one processor.
fn run_on(processor: usize) {
    // SAFETY: all zeros is an empty set, and the calls only read and write that set of ours.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
