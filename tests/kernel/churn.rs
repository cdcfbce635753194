//! More interfaces than the kernel program has slots: one after the other, and at once.

use std::path::Path;
use std::time::Duration;

use crate::namespace::{Sender, has_socket, has_xdp, inside, interface, ip, veth, wait_until};
use crate::program::{capture, datagram, said, signal, start_until, stored};

/// Sends `packets` to an interface, and takes it away when they have arrived.
fn pass(number: u32, packets: u32, captured: fn(&str) -> bool) {
    let (near, far) = (format!("ch{number}"), format!("pe{number}"));
    wait_until(|| captured(&near));
    let sender = Sender::new(&interface(&far));
    for _ in 0..packets {
        sender.send(&datagram(53)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(20));
    ip(&format!("link delete {near}"));
}

fn pair(number: u32) {
    veth(&format!("ch{number}"), &format!("pe{number}"), 1500);
}

/// Packets of the summary's line that begins so: seen and stored, where none was dropped.
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

fn captured_of(store: &Path, number: u32) -> usize {
    stored(&store.join(format!("pcap/ch{number}")))
}

#[test]
fn interfaces_that_come_and_go_never_run_out_of_slots() {
    come_and_go("", has_xdp);
}

#[test]
fn nor_with_packet_sockets() {
    come_and_go(" --source packet-socket --packet-ring 256KiB", has_socket);
}

fn come_and_go(options: &str, captured: fn(&str) -> bool) {
    if !inside() {
        return;
    }
    // Few more than there are slots: taking one away takes the kernel a while.
    const PAIRS: u32 = 68;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    pair(0);
    let options = format!("-i ch* --store {}{options}", store.display());
    let start = || has_xdp("ch0") || has_socket("ch0");
    let (child, _) = start_until(&mut capture(&options), start);
    for number in 0..PAIRS {
        if number > 0 {
            pair(number);
        }
        pass(number, 1 + number % 3, captured);
    }
    signal(child.id(), libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    let all = (0..PAIRS).map(|number| u64::from(1 + number % 3)).sum();
    assert_eq!(summed(&said), (all, all), "{said}");
    assert!(said.contains(" earlier interfaces: "), "{said}");
    assert!(!said.contains("please report"), "{said}");
    for number in 0..PAIRS {
        let expected = 1 + number as usize % 3;
        assert_eq!(captured_of(&store, number), expected, "{number}");
    }
}

#[test]
fn one_more_than_there_are_slots_waits_for_one() {
    if !inside() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    (0..65).for_each(pair);
    let options = format!("-i ch* --store {}", store.display());
    let (child, _) = start_until(&mut capture(&options), || has_xdp("ch63"));
    assert!(!has_xdp("ch64"));
    pass(7, 1, has_xdp);
    pass(64, 2, has_xdp);
    signal(child.id(), libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    let note = "note: ch64: not captured yet, because 64 others are";
    assert_eq!(said.matches(note).count(), 1, "{said}");
    assert!(
        said.contains("1 earlier interface: 1 packets seen, 1 stored"),
        "{said}"
    );
    assert!(said.contains("ch64: 2 packets seen, 2 stored"), "{said}");
    assert_eq!((captured_of(&store, 7), captured_of(&store, 64)), (1, 2));
}
