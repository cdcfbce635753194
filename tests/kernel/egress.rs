//! What this machine sends itself: seen by the second program, only where that is wanted, as it is
//! on the wire.

use std::process::Command;
use std::time::Duration;

use agent_common::TupleEvent;
use flowsift::capture::{AttachError, Attachment, InterfaceConfig, Mode, Note, Settings};

use crate::counters::DATAGRAM;
use crate::frames::{captures, each_ethernet_frame, manifest};
use crate::namespace::{Sender, inside, interface, ip, veth, wait_until};
use crate::support::{ALL, Kernel, Packet, ROOMY, say, say_skipped};

/// TCX_NEXT: the next program decides, or nobody.
const NEXT: i32 = -1;

fn configured(settings: Settings) -> Option<Kernel> {
    let mut kernel = Kernel::configured(settings, ALL)?;
    kernel.program.load_egress().unwrap();
    Some(kernel)
}

#[test]
fn it_is_not_there_unless_it_is_asked_for() {
    let Some(mut kernel) = Kernel::configured(ROOMY, ALL) else {
        return;
    };
    let error = kernel.program.test_run_egress(&DATAGRAM, 1).unwrap_err();
    assert!(error.to_string().contains("not loaded"), "{error}");
}

#[test]
fn sent_frames_give_the_records_of_received_ones() {
    let Some(mut kernel) = configured(ROOMY) else {
        return;
    };
    let folder = captures();
    let (mut frames, mut refused) = (0, 0);
    for file in manifest(&folder) {
        each_ethernet_frame(&folder.join(&file), |frame| {
            let records = |kernel: &mut Kernel| {
                let [tuple] = kernel.drain().try_into().unwrap();
                let [packet] = kernel.drain_packets().try_into().unwrap();
                (timeless(tuple), timeless(packet.tuple), packet.data)
            };
            if kernel.run(frame.data, 1).is_err() {
                refused += 1;
                return;
            }
            let received = records(&mut kernel);
            match kernel.program.test_run_egress(frame.data, 1) {
                Ok((verdict, _)) => assert_eq!(verdict, NEXT),
                // Longer than the kernel's one buffer for such a test.
                Err(_) => return refused += 1,
            }
            let sent = records(&mut kernel);
            assert!(sent == received, "{file}, offset {}", frame.offset);
            frames += 1;
        });
    }
    say(&format!(
        "{frames} frames sent and received; {refused} refused by the kernel as too short or too long for a test run"
    ));
    assert!(frames > 1000, "{frames}");
}

fn timeless(tuple: TupleEvent) -> TupleEvent {
    TupleEvent {
        time_ns: 0,
        ..tuple
    }
}

#[test]
fn sent_packets_are_cut_and_their_every_length_is_copied() {
    for snaplen in [1, 16, 17, 64, 128, 129, 0] {
        let config = InterfaceConfig { snaplen, ..ALL };
        let Some(mut kernel) = Kernel::configured(ROOMY, config) else {
            return;
        };
        kernel.program.load_egress().unwrap();
        for len in 14..=300_usize {
            let frame: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
            kernel.program.test_run_egress(&frame, 1).unwrap();
            let [packet] = kernel.drain_packets().try_into().unwrap();
            let kept = if snaplen == 0 {
                len
            } else {
                len.min(snaplen as usize)
            };
            assert_eq!(packet.data, frame[..kept], "{len} bytes, {snaplen} kept");
            kernel.drain();
        }
    }
}

#[test]
fn both_directions_count_together_and_lose_nothing_unsaid() {
    let tiny = Settings {
        tuple_ring_bytes: 4096,
        packet_ring_bytes: 4096,
        shards: 1,
    };
    let Some(mut kernel) = configured(tiny) else {
        return;
    };
    for _ in 0..500 {
        kernel.run(&DATAGRAM, 1).unwrap();
        kernel.program.test_run_egress(&DATAGRAM, 1).unwrap();
    }
    let (tuples, packets) = (
        kernel.drain().len() as u64,
        kernel.drain_packets().len() as u64,
    );
    let counters = kernel.counters(ALL.slot);
    assert_eq!((counters.seen, counters.seen_bytes), (1000, 42_000));
    assert_eq!(
        (counters.tuple_emitted, counters.packet_emitted),
        (tuples, packets)
    );
    assert_eq!(counters.tuple_dropped, 1000 - tuples);
    assert_eq!(counters.packet_dropped, 1000 - packets);
    assert!(packets > 0 && counters.packet_dropped > 0);
}

/// Both programs on an interface; `None`, after saying so, where the kernel has no tcx: then that
/// is what the error says.
fn both(kernel: &mut Kernel, name: &str) -> Option<Attachment> {
    let program = &mut kernel.program;
    let mut attachment = program.attach(&interface(name), ALL, Mode::Native).unwrap();
    match program.attach_egress(&mut attachment) {
        Ok(()) => Some(attachment),
        Err(error @ AttachError::NoEgress { .. }) => {
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot capture what {name} sends: kernel ")));
            assert!(text.ends_with(" has no tcx hook"), "{text}");
            assert!(error.hint().unwrap().contains("Linux 6.6"));
            say_skipped(&text);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Sends this out of `fs0`, and gives what was captured there of the sent and the forwarded.
fn captured(kernel: &mut Kernel) -> Vec<Packet> {
    std::thread::sleep(Duration::from_millis(20));
    kernel.drain();
    kernel.drain_packets()
}

/// From `fs3` by `fs2` and a bridge out of `fs0`.
fn check_forwarded(kernel: &mut Kernel) {
    let bridge = ["link", "add", "fsb", "type", "bridge"];
    if !Command::new("ip").args(bridge).status().unwrap().success() {
        say_skipped("this kernel makes no bridge, so nothing was forwarded");
        return;
    }
    ip("link set fsb up");
    ip("link set fs0 master fsb");
    ip("link set fs2 master fsb");
    // The tenth number of the interface is that of packets sent.
    let left = || -> u64 {
        let all = std::fs::read_to_string("/proc/net/dev").unwrap();
        let mut lines = all.lines().filter_map(|it| it.trim().strip_prefix("fs0:"));
        let numbers = lines.next().unwrap().split_whitespace().nth(9);
        numbers.unwrap().parse().unwrap()
    };
    let before = left();
    let forwarder = Sender::new(&interface("fs3"));
    wait_until(|| {
        forwarder.send(&DATAGRAM).unwrap();
        left() > before
    });
    assert!(
        captured(kernel)
            .iter()
            .all(|packet| packet.data != DATAGRAM)
    );
}

#[test]
fn what_is_sent_is_seen_and_what_is_forwarded_is_not() {
    if !inside() {
        return;
    }
    let mut kernel = Kernel::load(ROOMY).unwrap();
    kernel.program.load_egress().unwrap();
    veth("fs0", "fs1", 1500);
    veth("fs2", "fs3", 1500);
    let Some(attachment) = both(&mut kernel, "fs0") else {
        return;
    };
    assert!(attachment.notes().contains(&Note::Egress));
    let mut sent = DATAGRAM.to_vec();
    sent.push(1);
    Sender::new(&interface("fs0")).send(&sent).unwrap();
    Sender::new(&interface("fs1")).send(&DATAGRAM).unwrap();
    let mut data: Vec<_> = captured(&mut kernel)
        .into_iter()
        .map(|it| it.data)
        .collect();
    data.sort_by_key(Vec::len);
    assert_eq!(data, [DATAGRAM.to_vec(), sent.clone()]);

    check_forwarded(&mut kernel);

    drop(attachment);
    Sender::new(&interface("fs0")).send(&sent).unwrap();
    assert!(captured(&mut kernel).is_empty());
    assert_eq!(kernel.unconfigured(), 0, "it is off the interface");
    let counters = kernel.counters(ALL.slot);
    assert_eq!(counters.seen, counters.packet_emitted);
}

#[test]
fn a_tag_that_the_card_is_to_insert_is_where_it_will_be() {
    if !inside() {
        return;
    }
    let mut kernel = Kernel::load(ROOMY).unwrap();
    kernel.program.load_egress().unwrap();
    veth("fs0", "fs1", 1500);
    if both(&mut kernel, "fs0").is_none() {
        return;
    }
    let (near, customer, service) = (interface("fs0"), (0x8100, 5), (0x88a8, 0xe006));
    let in_frame = [0x81, 0, 0, 5];
    let beside = [0x88, 0xa8, 0xe0, 6];
    // The tags by which the frame is sent, innermost first; what is on the wire; the outermost.
    let cases = [
        (vec![], vec![], None),
        (vec![customer], in_frame.to_vec(), Some(5)),
        (vec![service], beside.to_vec(), Some(6)),
        // Only the outer one is left to the card.
        (
            vec![customer, service],
            [beside, in_frame].concat(),
            Some(6),
        ),
    ];
    for (tags, bytes, vlan) in cases {
        let tag = |(ethertype, control): &(u16, u16)| {
            agent_probe::Program::tag_sent(near.index, *ethertype, *control).unwrap()
        };
        let _links: Vec<_> = tags.iter().map(tag).collect();
        for snaplen in [0, 12, 15, 17, 30] {
            let config = InterfaceConfig { snaplen, ..ALL };
            // Behind those that tag.
            let attachment = both(&mut kernel, "fs0").unwrap();
            attachment.configure(config).unwrap();
            captured(&mut kernel);
            Sender::new(&near).send(&DATAGRAM).unwrap();
            let [packet] = captured(&mut kernel).try_into().unwrap();
            let on_wire = [&DATAGRAM[..12], bytes.as_slice(), &DATAGRAM[12..]].concat();
            let kept = if snaplen == 0 { 60 } else { snaplen as usize };
            assert_eq!(packet.data, on_wire[..on_wire.len().min(kept)], "{tags:x?}");
            assert_eq!(packet.wire_len as usize, on_wire.len(), "{tags:x?}");
            assert_eq!(packet.tuple.vlan_id(), vlan, "{tags:x?}");
            assert_eq!(packet.tuple.ports(), Some((1, 53)), "{tags:x?}");
        }
    }
}
