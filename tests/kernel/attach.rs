//! Attaching: modes and their fallback, who is in the way, interfaces that go and come back.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use flowsift::capture::{
    AttachError, InterfaceConfig, InterfaceEvent, InterfaceWatch, Mode, Note, Patterns,
};

use crate::counters::DATAGRAM;
use crate::namespace::{Sender, has_xdp, inside, interface, ip, veth, wait_until};
use crate::support::{ALL, Kernel, ROOMY, say_skipped};

#[test]
fn the_loopback_interface_falls_back_to_generic_mode() {
    if !inside() {
        return;
    }
    ip("link set lo up");
    let mut kernel = Kernel::load(ROOMY).unwrap();
    let loopback = interface("lo");
    let native = kernel.program.attach(&loopback, ALL, Mode::Native);
    let Err(error @ AttachError::Refused { .. }) = native else {
        panic!("native on the loopback interface");
    };
    let text = "cannot capture on lo in native mode: the driver has no XDP: ";
    assert!(error.to_string().starts_with(text), "{error}");
    let attachment = kernel.program.attach(&loopback, ALL, Mode::Auto).unwrap();
    assert_eq!(attachment.mode(), Mode::Generic);
    let [Note::FellBack { reason }, Note::Generic, ..] = attachment.notes() else {
        panic!("{:?}", attachment.notes());
    };
    assert!(reason.starts_with("the driver has no XDP"), "{reason}");

    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    socket
        .send_to(b"hello", (Ipv4Addr::LOCALHOST, port))
        .unwrap();
    let [packet] = kernel.drain_packets().try_into().unwrap();
    assert_eq!(packet.tuple.ports(), Some((port, port)));
    assert_eq!(packet.data.len(), 14 + 20 + 8 + 5);
    assert!(packet.data.ends_with(b"hello"));
    drop(attachment);
    assert!(!has_xdp("lo"));
}

#[test]
fn whoever_holds_the_hook_is_named() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let mut first = Kernel::load(ROOMY).unwrap();
    let held = first
        .program
        .attach(&interface("fs0"), ALL, Mode::Auto)
        .unwrap();
    let mut second = Kernel::load(ROOMY).unwrap();
    for mode in [Mode::Auto, Mode::Native, Mode::Generic] {
        let attempt = second.program.attach(&interface("fs0"), ALL, mode);
        let Err(error @ AttachError::Busy { .. }) = attempt else {
            panic!("two programs on one interface");
        };
        let text = "cannot capture on fs0: the program `flowsift_xdp` (id ";
        assert!(error.to_string().starts_with(text), "{error}");
    }
    drop(held);
    assert!(!has_xdp("fs0"));
    second
        .program
        .attach(&interface("fs0"), ALL, Mode::Auto)
        .unwrap();
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let mut kernel = Kernel::load(ROOMY).unwrap();
    let near = interface("fs0");
    let held = kernel.program.attach(&near, ALL, Mode::Auto).unwrap();
    let mut refused =
        |name: &str, config| match kernel.program.attach(&interface(name), config, Mode::Auto) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{name}, {config:?}"),
        };
    assert_eq!(
        refused("fs0", ALL),
        "cannot capture on fs0: it is already being captured on"
    );
    assert_eq!(
        refused("fs1", ALL),
        "cannot capture on fs1: slot 5 is another interface's"
    );
    let slot = InterfaceConfig { slot: 64, ..ALL };
    assert_eq!(
        refused("fs1", slot),
        "cannot capture on fs1: there are only 64 slots for interfaces"
    );
    assert!(held.configure(InterfaceConfig { slot: 6, ..ALL }).is_err());

    ip("link add gone0 type veth peer name gone1");
    let gone = interface("gone0");
    ip("link del gone0");
    let config = InterfaceConfig { slot: 6, ..ALL };
    let attempt = kernel.program.attach(&gone, config, Mode::Auto);
    assert!(matches!(attempt, Err(AttachError::Gone { .. })));

    if Command::new("ip")
        .args("tuntap add tun0 mode tun".split(' '))
        .status()
        .is_ok_and(|it| it.success())
    {
        let attempt = kernel
            .program
            .attach(&interface("tun0"), config, Mode::Auto);
        assert!(matches!(
            attempt,
            Err(AttachError::NotEthernet {
                hardware: 65534,
                ..
            })
        ));
    } else {
        say_skipped("this kernel makes no tun interface, so none was refused");
    }
}

#[test]
fn a_pair_that_claims_to_strip_vlan_tags_is_not_believed() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let mut kernel = Kernel::load(ROOMY).unwrap();
    let near = interface("fs0");
    let attachment = kernel.program.attach(&near, ALL, Mode::Native).unwrap();
    let beside = Note::VlanBeside {
        peer: "fs1".to_owned(),
    };
    assert_eq!(attachment.notes(), [beside]);
    let mut tagged = DATAGRAM.to_vec();
    tagged.splice(12..12, [0x81, 0, 0x20, 7]);
    Sender::new(&interface("fs1")).send(&tagged).unwrap();
    wait_until(|| kernel.counters(ALL.slot).seen == 1);
    let [packet] = kernel.drain_packets().try_into().unwrap();
    assert_eq!((packet.tuple.vlan_id(), packet.data), (Some(7), tagged));
}

#[test]
fn tags_of_a_vlan_device_are_beside_the_frames_of_a_pair_until_it_is_told_otherwise() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let added = Command::new("ip")
        .args("link add link fs1 name fs1.7 type vlan id 7".split(' '))
        .status();
    if !added.unwrap().success() {
        return say_skipped("this kernel makes no VLAN device");
    }
    ip("link set fs1.7 up");
    let mut kernel = Kernel::load(ROOMY).unwrap();
    for (state, vlan) in [("on", None), ("off", Some(7))] {
        let set = Command::new("ethtool")
            .args(["-K", "fs1", "txvlan", state])
            .status();
        if !set.is_ok_and(|status| status.success()) {
            return say_skipped("ethtool is not installed");
        }
        let near = interface("fs0");
        let attachment = kernel.program.attach(&near, ALL, Mode::Native).unwrap();
        let noted = attachment.notes().iter();
        let noted = noted.filter(|note| matches!(note, Note::VlanBeside { .. }));
        assert_eq!(noted.count(), usize::from(vlan.is_none()));
        let before = kernel.counters(ALL.slot).seen;
        let sender = Sender::new(&interface("fs1.7"));
        sender.send(&DATAGRAM).unwrap();
        wait_until(|| kernel.counters(ALL.slot).seen > before);
        let [packet] = kernel.drain_packets().try_into().unwrap();
        assert_eq!(packet.tuple.vlan_id(), vlan, "{state}");
    }
}

#[test]
fn two_interfaces_are_told_apart_and_configured_apart() {
    if !inside() {
        return;
    }
    veth("lan0", "lan0far", 1500);
    veth("wan0", "wan0far", 1500);
    let mut kernel = Kernel::load(ROOMY).unwrap();
    let lan = InterfaceConfig {
        slot: 0,
        packets: false,
        ..ALL
    };
    let wan = InterfaceConfig {
        slot: 1,
        snaplen: 20,
        ..ALL
    };
    let on_lan = kernel
        .program
        .attach(&interface("lan0"), lan, Mode::Native)
        .unwrap();
    let on_wan = kernel
        .program
        .attach(&interface("wan0"), wan, Mode::Native)
        .unwrap();
    let (to_lan, to_wan) = (
        Sender::new(&interface("lan0far")),
        Sender::new(&interface("wan0far")),
    );
    for _ in 0..3 {
        to_lan.send(&DATAGRAM).unwrap();
    }
    to_wan.send(&DATAGRAM).unwrap();
    wait_until(|| kernel.counters(0).seen + kernel.counters(1).seen == 4);
    let slots: Vec<_> = kernel.drain().iter().map(|event| event.slot).collect();
    assert_eq!(slots, [0, 0, 0, 1]);
    let [packet] = kernel.drain_packets().try_into().unwrap();
    assert_eq!((packet.slot, packet.data.as_slice()), (1, &DATAGRAM[..20]));
    assert_eq!(
        (kernel.counters(0).snapped, kernel.counters(1).snapped),
        (0, 1)
    );

    on_lan
        .configure(InterfaceConfig {
            packets: true,
            tuples: false,
            ..lan
        })
        .unwrap();
    drop(on_wan);
    to_lan.send(&DATAGRAM).unwrap();
    to_wan.send(&DATAGRAM).unwrap();
    wait_until(|| kernel.counters(0).seen == 4);
    let [packet] = kernel.drain_packets().try_into().unwrap();
    assert_eq!((packet.slot, packet.data.as_slice()), (0, &DATAGRAM[..]));
    assert_eq!(kernel.drain(), []);
    assert_eq!(kernel.counters(1).seen, 1);
}

#[test]
fn an_interface_that_comes_back_is_captured_again() {
    if !inside() {
        return;
    }
    let mut events = Events {
        watch: InterfaceWatch::new().unwrap(),
        patterns: Patterns::new(&["lan*"]).unwrap(),
        waiting: VecDeque::new(),
    };
    let mut kernel = Kernel::load(ROOMY).unwrap();
    assert!(events.next(Duration::ZERO).is_none());
    for _ in 0..3 {
        veth("lan0", "far0", 1500);
        let event = events.next(Duration::from_secs(5));
        let Some(InterfaceEvent::Appeared(lan)) = event else {
            panic!("{event:?}");
        };
        let attachment = kernel.program.attach(&lan, ALL, Mode::Auto).unwrap();
        // Notices of its being switched on may still be on their way.
        while events.next(Duration::from_millis(50)).is_some() {}
        ip("link set lan0 down");
        let event = events.next(Duration::from_secs(5));
        assert!(
            matches!(&event, Some(InterfaceEvent::Changed(it)) if !it.up),
            "{event:?}"
        );
        ip("link set lan0 up");
        let event = events.next(Duration::from_secs(5));
        assert!(
            matches!(&event, Some(InterfaceEvent::Changed(it)) if it.up),
            "{event:?}"
        );

        let before = kernel.counters(ALL.slot).seen;
        let sender = Sender::new(&interface("far0"));
        // The other side sends nothing until it has noticed that there is a carrier again.
        wait_until(|| {
            sender.send(&DATAGRAM).unwrap();
            kernel.counters(ALL.slot).seen > before
        });
        let seen = (kernel.counters(ALL.slot).seen - before) as usize;
        let read = (kernel.drain().len(), kernel.drain_packets().len());
        assert_eq!(read, (seen, seen));
        ip("link del lan0");
        // It may be switched off first.
        let gone = std::iter::from_fn(|| events.next(Duration::from_secs(5)))
            .find(|event| !matches!(event, InterfaceEvent::Changed(_)));
        assert!(
            matches!(&gone, Some(InterfaceEvent::Gone(it)) if it.index == lan.index),
            "{gone:?}"
        );
        drop(attachment);
    }
}

/// The events of interfaces whose names match.
struct Events {
    watch: InterfaceWatch,
    patterns: Patterns,
    waiting: VecDeque<InterfaceEvent>,
}

impl Events {
    /// The next one, if there is one within the time.
    fn next(&mut self, timeout: Duration) -> Option<InterfaceEvent> {
        let end = Instant::now() + timeout;
        while self.waiting.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            for event in self.watch.wait(left).unwrap() {
                let (InterfaceEvent::Appeared(it)
                | InterfaceEvent::Changed(it)
                | InterfaceEvent::Gone(it)) = &event;
                if self.patterns.position(&it.name).is_some() {
                    self.waiting.push_back(event);
                }
            }
            if Instant::now() >= end {
                break;
            }
        }
        self.waiting.pop_front()
    }
}
