//! Captures sent over a veth pair: what is read is what was sent, byte for byte and in order.

use std::time::{Duration, Instant};

use flowsift::capture::{InterfaceConfig, Mode, Settings, WAIT};

use crate::frames::{captures, each_ethernet_frame, manifest};
use crate::namespace::{Sender, inside, interface, veth};
use crate::support::{ALL, Kernel, Packet, say};

/// Two rings of each kind, so that they must be merged.
const SHARDED: Settings = Settings {
    tuple_ring_bytes: 1 << 20,
    packet_ring_bytes: 16 << 20,
    shards: 2,
};

/// Frames sent before they are looked for: a veth's queue holds 256.
const BURST: usize = 100;

/// The longest that there is: whole frames of all lengths, of several buffers too.
const LARGE_MTU: u32 = 65_535;

#[test]
fn captures_arrive_byte_for_byte_and_in_order() {
    if inside() {
        replay(Mode::Native, 9000);
    }
}

#[test]
fn captures_arrive_in_generic_mode_too() {
    if inside() {
        replay(Mode::Generic, 9000);
    }
}

fn replay(mode: Mode, mtu: u32) {
    let frames = captured_frames(mtu as usize + 14);
    let (kernel, got) = through_veth(ALL, mode, mtu, &frames);
    for (at, (packet, sent)) in got.iter().zip(&frames).enumerate() {
        assert!(packet.data == *sent, "frame {at}: {packet:?}, {sent:?}");
        assert_eq!(
            (packet.slot, packet.wire_len as usize),
            (ALL.slot, sent.len())
        );
    }
    assert!(got.is_sorted_by_key(|packet| packet.time_ns));
    let counters = kernel.counters(ALL.slot);
    assert_eq!(counters.seen, frames.len() as u64);
    assert_eq!((counters.tuple_dropped, counters.packet_dropped), (0, 0));
    let bytes: usize = frames.iter().map(Vec::len).sum();
    assert_eq!(
        (counters.seen_bytes, counters.packet_emitted_bytes),
        (bytes as u64, bytes as u64)
    );
    say(&format!("{} frames in {mode} mode", frames.len()));
}

#[test]
fn frames_of_every_class_and_several_buffers_arrive_whole() {
    if !inside() {
        return;
    }
    let edges = agent_common::packet::CLASSES
        .iter()
        .flat_map(|class| class - 1..=class + 1);
    let mut lengths: Vec<_> = [14, 15, 60, 1514, 1522, 3506, 3507, 9014]
        .into_iter()
        .collect();
    lengths.extend(edges.filter(|len| *len <= LARGE_MTU as usize + 14));
    let frames: Vec<_> = lengths.into_iter().map(patterned).collect();
    let (kernel, got) = through_veth(ALL, Mode::Native, LARGE_MTU, &frames);
    for (packet, sent) in got.iter().zip(&frames) {
        let kept = sent.len().min(65_535);
        assert!(packet.data == sent[..kept], "{} bytes", sent.len());
        assert_eq!(packet.wire_len as usize, sent.len());
    }
    // 65,536 and 65,537 are beyond the longest snap length.
    assert_eq!(kernel.counters(ALL.slot).snapped, 2);
}

#[test]
fn joined_and_cut_packets_arrive_in_order() {
    if !inside() {
        return;
    }
    let config = InterfaceConfig {
        joined: true,
        snaplen: 64,
        ..ALL
    };
    let frames: Vec<_> = (0..3000).map(|at| patterned(60 + at % 1400)).collect();
    let (mut kernel, got) = through_veth(config, Mode::Native, 1500, &frames);
    for (packet, sent) in got.iter().zip(&frames) {
        assert_eq!(packet.data, sent[..sent.len().min(64)]);
        assert_eq!(packet.tuple.wire_len as usize, sent.len());
    }
    assert_eq!(kernel.drain(), []);
    let counters = kernel.counters(config.slot);
    assert_eq!(
        (counters.tuple_emitted, counters.packet_emitted),
        (3000, 3000)
    );
}

/// Sends the frames in bursts and reads as many packets as were sent.
fn through_veth(
    config: InterfaceConfig,
    mode: Mode,
    mtu: u32,
    frames: &[Vec<u8>],
) -> (Kernel, Vec<Packet>) {
    let mut kernel = Kernel::load(SHARDED).expect("the outer process could load it");
    veth("fs0", "fs1", mtu);
    let attachment = kernel
        .program
        .attach(&interface("fs0"), config, mode)
        .unwrap();
    assert_eq!(attachment.mode(), mode);
    let sender = Sender::new(&interface("fs1"));
    let (mut got, mut tuples) = (Vec::new(), 0);
    let mut sent = 0;
    for burst in frames.chunks(BURST) {
        for frame in burst {
            sender
                .send(frame)
                .unwrap_or_else(|error| panic!("{} bytes: {error}", frame.len()));
        }
        sent += burst.len();
        let start = Instant::now();
        while got.len() < sent && start.elapsed() < Duration::from_secs(10) {
            got.extend(kernel.drain_packets());
            tuples += kernel.drain().len();
            kernel.packets.wait(WAIT / 10).unwrap();
        }
        assert_eq!(got.len(), sent, "{:?}", kernel.counters(config.slot));
    }
    if !config.joined {
        std::thread::sleep(WAIT);
        assert_eq!(tuples + kernel.drain().len(), sent);
    }
    drop(attachment);
    (kernel, got)
}

fn captured_frames(longest: usize) -> Vec<Vec<u8>> {
    let folder = captures();
    let mut frames = Vec::new();
    for file in manifest(&folder) {
        each_ethernet_frame(&folder.join(file), |frame| {
            if (14..=longest).contains(&frame.data.len()) {
                frames.push(frame.data.to_vec());
            }
        });
    }
    // A hundredth of a second each; the program itself has seen them all in other tests.
    frames.truncate(20_000);
    frames
}

/// A frame of a length with bytes that differ from place to place and from frame to frame.
fn patterned(len: usize) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(31) ^ at >> 8 ^ len.wrapping_mul(7)) as u8;
    let mut frame: Vec<u8> = (0..len).map(byte).collect();
    // To nobody, of an experimental EtherType (IEEE 802, 0x88b5).
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xb5]);
    frame
}
