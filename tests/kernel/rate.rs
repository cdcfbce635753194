//! Frames over a veth pair as fast as one processor can send them, into rings of the usual size.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use flowsift::capture::{InterfaceConfig, Mode, Settings, WAIT};

use crate::counters::DATAGRAM;
use crate::namespace::{inside, interface, veth};
use crate::support::{ALL, Kernel, say};

/// Few, because the emulated kernels take long for each.
const FRAMES: u32 = 300_000;

#[test]
fn at_full_rate_every_frame_is_read_or_counted() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let config = InterfaceConfig {
        joined: true,
        ..ALL
    };
    let settings = Settings {
        shards: 2,
        ..Settings::default()
    };
    let Kernel {
        mut program,
        mut tuples,
        mut packets,
        counters,
    } = Kernel::load(settings).unwrap();
    let attachment = program
        .attach(&interface("fs0"), config, Mode::Native)
        .unwrap();
    let sender = agent_probe::Program::reflector().unwrap();
    let frame = frame();
    let far = interface("fs1").index;
    let done = AtomicBool::new(false);
    let start = Instant::now();
    let (read, took) = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = (0, 0);
            loop {
                let last = done.load(Ordering::Acquire);
                let drained = packets.drain(usize::MAX, |packet| {
                    assert!(packet.data == frame);
                    read.1 += 1;
                });
                let drained = drained.records + tuples.drain(usize::MAX, |_| read.0 += 1).records;
                if last && drained == 0 {
                    return read;
                }
                packets.wait(WAIT).unwrap();
            }
        });
        if let Err(error) = sender.run_live(&frame, FRAMES, far) {
            assert_eq!(error.kind(), ErrorKind::Interrupted);
        }
        let took = start.elapsed();
        // What is still on its way through the pair's queue arrives.
        thread::sleep(WAIT);
        done.store(true, Ordering::Release);
        (reader.join().unwrap(), took)
    });
    drop(attachment);
    let counters = counters.read(ALL.slot).unwrap();
    assert_eq!(counters.packet_emitted, read.1);
    assert_eq!(counters.tuple_emitted, read.0 + read.1);
    assert_eq!(
        counters.seen,
        counters.packet_emitted + counters.packet_dropped
    );
    assert_eq!(
        counters.seen,
        counters.tuple_emitted + counters.tuple_dropped
    );
    assert!(counters.seen > 0 && counters.seen <= FRAMES.into());
    say(&format!(
        "{FRAMES} frames sent at {:.0} a second, {} seen (the pair's queue drops the others), {} packets and {} tuples lost",
        f64::from(FRAMES) / took.as_secs_f64(),
        counters.seen,
        counters.packet_dropped,
        counters.tuple_dropped
    ));
}

fn frame() -> Vec<u8> {
    let mut frame = DATAGRAM.to_vec();
    frame.resize(64, 0x5a);
    frame
}
