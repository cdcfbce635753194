//! More interfaces than the kernel program has slots: a few after others, and at once.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use flowsift::capture::{Interface, list};

use crate::namespace::{Sender, batch, has_xdp, inside, interface, ip, wait_until};
use crate::program::{capture, datagram, said, signal, start_until, stored};

/// Pairs of interfaces, made together: the kernel takes a while for each by itself.
fn pairs(numbers: Range<u32>) {
    let mut lines = String::new();
    for n in numbers {
        let _ = writeln!(lines, "link add ch{n} group 7 type veth peer name pe{n}");
        let _ = writeln!(lines, "link set ch{n} up\nlink set pe{n} up");
    }
    batch(&lines);
}

/// The ends that are captured on.
fn near() -> Vec<Interface> {
    let mut near = list().unwrap();
    near.retain(|interface| interface.name.starts_with("ch"));
    near
}

fn all_have_xdp() -> bool {
    near().iter().all(|it| !it.xdp_programs.is_empty())
}

/// Of `/proc/net/packet`, the fifth column is the interface's number.
fn all_have_sockets() -> bool {
    let text = std::fs::read_to_string("/proc/self/net/packet").unwrap();
    let number = |line: &str| line.split_whitespace().nth(4)?.parse::<u32>().ok();
    let have: BTreeSet<u32> = text.lines().filter_map(number).collect();
    near().iter().all(|it| have.contains(&it.index))
}

fn send(number: u32, packets: u32) {
    let sender = Sender::new(&interface(&format!("pe{number}")));
    for _ in 0..packets {
        sender.send(&datagram(53)).unwrap();
    }
}

/// What the pairs still hold would go with them.
fn arrive() {
    std::thread::sleep(Duration::from_millis(300));
}

fn stored_of(store: &Path, number: u32) -> usize {
    stored(&store.join(format!("pcap/ch{number}")))
}

/// Packets seen and stored of all lines of a summary, where none was dropped.
fn summed(said: &str) -> (u64, u64) {
    let mut sum = (0, 0);
    for line in said.lines().filter(|line| line.ends_with(" 0 dropped")) {
        let (_, counts) = line.rsplit_once(": ").unwrap();
        let mut numbers = counts
            .split(' ')
            .filter_map(|word| word.parse::<u64>().ok());
        sum.0 += numbers.next().unwrap();
        sum.1 += numbers.next().unwrap();
    }
    sum
}

#[test]
fn interfaces_that_come_and_go_never_run_out_of_slots() {
    come_and_go("", all_have_xdp);
}

#[test]
fn nor_with_packet_sockets() {
    let options = " --source packet-socket --packet-ring 256KiB";
    come_and_go(options, all_have_sockets);
}

fn come_and_go(options: &str, captured: fn() -> bool) {
    if !inside() {
        return;
    }
    const ROUNDS: u32 = 3;
    const PAIRS: u32 = 30;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let options = format!("-i ch* --store {}{options}", store.display());
    let packets = |number: u32| 1 + number % 3;
    let mut running = None;
    for round in 0..ROUNDS {
        let numbers = round * PAIRS..(round + 1) * PAIRS;
        pairs(numbers.clone());
        if running.is_none() {
            running = Some(start_until(&mut capture(&options), captured));
        }
        wait_until(captured);
        numbers.for_each(|number| send(number, packets(number)));
        arrive();
        ip("link delete group 7");
    }
    let (child, _) = running.unwrap();
    signal(child.id(), libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    let all = (0..ROUNDS * PAIRS).map(|number| u64::from(packets(number)));
    let all = all.sum();
    assert_eq!(summed(&said), (all, all), "{said}");
    assert!(said.contains(" earlier interfaces: "), "{said}");
    assert!(!said.contains("please report"), "{said}");
    for number in 0..ROUNDS * PAIRS {
        let stored = stored_of(&store, number);
        assert_eq!(stored, packets(number) as usize, "{number}");
    }
}

#[test]
fn one_more_than_there_are_slots_waits_for_one() {
    if !inside() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    pairs(0..65);
    let options = format!("-i ch* --store {}", store.display());
    let (child, _) = start_until(&mut capture(&options), || has_xdp("ch63"));
    assert!(!has_xdp("ch64"));
    send(7, 1);
    arrive();
    ip("link delete ch7");
    wait_until(|| has_xdp("ch64"));
    send(64, 2);
    arrive();
    signal(child.id(), libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    let note = "note: ch64: not captured yet, because 64 others are";
    assert_eq!(said.matches(note).count(), 1, "{said}");
    assert!(
        said.contains("1 earlier interface: 1 packets seen, 1 stored"),
        "{said}"
    );
    assert!(said.contains("ch64: 2 packets seen, 2 stored"), "{said}");
    assert_eq!((stored_of(&store, 7), stored_of(&store, 64)), (1, 2));
}
