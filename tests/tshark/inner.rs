//! The packet in a packet (`packet -inner`): captures with tunnels, and made-up tunnels.

use std::path::Path;

use flowsift::capfile::FrameReader;
use flowsift::decode::Packet;

use super::crafted::write;
use super::fields::{FIELDS, SPECS, files};
use super::packets::{self, IPV4, ipv4, ipv6};
use super::{Dissection, dissect, is_here, normal, reader, value};

/// What carries a packet. Behind other layers (a quoted packet of ICMP, AH, ESP) there is no inner
/// packet.
const CARRIERS: &[&str] = &[
    "udp",
    "gre",
    "vxlan",
    "geneve",
    "gtp",
    "teredo",
    "etherip",
    "mpls",
    "eth",
    "ethertype",
    "vlan",
    "llc",
];

/// The values of tshark's that belong to the packet inside, of the field of a row; `None` if
/// tshark does not say which of several values is whose.
fn inner_value(frame: &Dissection, row: usize) -> Option<Option<&str>> {
    let is_network = |name: &str| matches!(name, "ip" | "ipv6" | "arp");
    let names: Vec<&str> = frame.layers.iter().map(String::as_str).collect();
    let mut networks = (0..names.len()).filter(|&at| is_network(names[at]));
    let (Some(outer), Some(inner)) = (networks.next(), networks.next()) else {
        return Some(None);
    };
    let carried = |name: &&str| name.starts_with("ipv6.") || CARRIERS.contains(name);
    if !names[outer + 1..inner].iter().all(carried) {
        return Some(None);
    }
    let layer = FIELDS[row].1;
    let is_layer = |name: &str| layer.split('|').any(|layer| layer == name);
    let extension = |name: &str| name.starts_with("ipv6.");
    let links = outer + 1..inner;
    let at = match layer {
        "ip" | "ipv6" | "arp" => is_layer(names[inner]).then_some(inner),
        "eth" | "mpls" | super::fields::VLAN => links.clone().find(|&at| is_layer(names[at])),
        _ if extension(layer) => (inner + 1..names.len())
            .take_while(|&at| extension(names[at]))
            .find(|&at| is_layer(names[at])),
        _ => (inner + 1..names.len())
            .find(|&at| !extension(names[at]))
            .filter(|&at| is_layer(names[at])),
    };
    let Some(at) = at else {
        return Some(None);
    };
    let before = names[..at].iter().filter(|name| is_layer(name)).count();
    let all = names.iter().filter(|name| is_layer(name)).count();
    let values = &frame.values[row];
    (values.len() == all).then(|| values.get(before).map(String::as_str))
}

/// Whether a difference stays.
fn is_accepted(
    field: &str,
    got: Option<&str>,
    frame: &Dissection,
    inner: Option<&Packet<'_>>,
) -> bool {
    // Segmentation offload, as in the packet outside.
    let offloaded = field == "ipv4.Length" && got == Some("0");
    // In GTP-U, tshark knows IPv4 by a first byte up to 0x4e: not the longest header.
    let ends_in_gtp = frame.layers.last().is_some_and(|name| name == "gtp");
    let longest = || inner.and_then(|inner| value(inner, &super::field("ipv4.IHL")));
    offloaded || ends_in_gtp && longest().as_deref() == Some("15")
}

/// Compares the inner packets of a file: how many values were equal, and the differences.
fn compare(file: &Path) -> (usize, Vec<String>) {
    let tshark: Vec<&str> = FIELDS.iter().map(|row| row.2).collect();
    let frames = dissect(file, &tshark);
    let (mut equal, mut differences) = (0, Vec::new());
    let mut reader = reader(file);
    let mut theirs = frames.iter();
    while let Some(frame) = reader.as_mut().and_then(FrameReader::next_frame) {
        let theirs = theirs.next().unwrap();
        let inner = Packet::decode(&frame).inner();
        for (row, spec) in SPECS.iter().enumerate() {
            let name = FIELDS[row].0;
            let (Some(want), false) = (inner_value(theirs, row), name.starts_with("frame.")) else {
                continue;
            };
            let want = want.map(|value| normal(value, FIELDS[row].3));
            let got = inner.as_ref().and_then(|packet| value(packet, spec));
            if got == want {
                equal += usize::from(got.is_some());
            } else if !is_accepted(name, got.as_deref(), theirs, inner.as_ref()) {
                let layers = theirs.layers.join(":");
                let file = file.display();
                differences.push(format!(
                    "{name} of {file}: {got:?}, tshark {want:?} ({layers})"
                ));
            }
        }
    }
    (equal, differences)
}

#[test]
fn inner_packets_of_captures_read_as_in_tshark() {
    if !is_here() {
        return;
    }
    let tunnels = ["4in6", "6in4", "gre", "vxlan", "geneve", "gtp", "teredo"];
    let mut total = 0;
    let mut all = Vec::new();
    for file in files() {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if tunnels.iter().any(|tunnel| name.contains(tunnel)) {
            let (equal, differences) = compare(&file);
            assert!(
                equal > 0 || !differences.is_empty(),
                "{name}: nothing inside"
            );
            total += equal;
            all.extend(differences);
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    assert!(total > 60, "{total} values");
}

/// Tunnels over IP: protocol number and what stands between the two packets.
fn tunnels(packet: &packets::Packet) -> Vec<(u8, Vec<u8>)> {
    let kind = packet.kind.to_be_bytes();
    let addresses = [0, 0x1b, 0x21, 0, 0, 1, 0, 0x1b, 0x21, 0, 0, 2];
    let ethernet = [&addresses[..], &kind, &packet.bytes].concat();
    let direct = if packet.kind == IPV4 { 4 } else { 41 };
    let udp = |port: u16, head: &[u8], rest: &[u8]| {
        let length = u16::try_from(8 + head.len() + rest.len()).unwrap();
        let header = [0xc001, port, length, 0].map(u16::to_be_bytes).concat();
        (17, [&header, head, rest].concat())
    };
    let gre = |flags: u8, kind: [u8; 2], words: &[u8], rest: &[u8]| {
        (47, [&[flags, 0], &kind[..], words, rest].concat())
    };
    let mut tunnels = vec![
        gre(0, kind, &[], &packet.bytes),
        gre(0xb0, kind, &[1; 12], &packet.bytes),
        gre(0x20, [0x65, 0x58], &[0, 0, 7, 0], &ethernet),
        udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], &ethernet),
        udp(6081, &[0, 0, 0x65, 0x58, 0, 0, 7, 0], &ethernet),
        udp(6081, &[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 0], &ethernet),
    ];
    if packet.kind != packets::ARP {
        tunnels.push((direct, packet.bytes.clone()));
        let length = |extra| {
            u16::try_from(packet.bytes.len() + extra)
                .unwrap()
                .to_be_bytes()
        };
        let plain = [&[0x30, 255], &length(0)[..], &[0, 0, 0, 7]].concat();
        tunnels.push(udp(2152, &plain, &packet.bytes));
        let extended = [&[0x34, 255], &length(8)[..], &[0, 0, 0, 7, 0, 0, 0, 0x85]].concat();
        let extended = [&extended[..], &[1, 0, 1, 0]].concat();
        tunnels.push(udp(2152, &extended, &packet.bytes));
    }
    tunnels
}

#[test]
fn crafted_inner_packets_read_as_in_tshark() {
    if !is_here() {
        return;
    }
    let mut frames = Vec::new();
    for packet in packets::all() {
        for (protocol, body) in tunnels(&packet) {
            frames.push(ipv4(&[], 0, protocol, &body).bytes);
            frames.push(ipv6(&[], protocol, &body).bytes);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tunnels.pcap");
    write(&path, 101, &frames);
    let (equal, differences) = compare(&path);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(equal > 10 * frames.len(), "{equal} of {}", frames.len());
}
