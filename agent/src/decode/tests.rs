//! Tests of the decoder: the tables of tshark over the captures, and arbitrary bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::capfile;
use crate::frame::{Frame, LinkType};
use crate::types::EvType;

type Rows = BTreeMap<(String, String, String, String), (u64, u64)>;

/// The folder of the full capture set, if there is one.
fn captures() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("FLOWSIFT_CAPTURES")
        .map_or_else(|| root.join("../shared/captures"), PathBuf::from);
    folder.join("MANIFEST.tsv").is_file().then_some(folder)
}

fn value(packet: &Packet<'_>, protocol: &str, name: &str) -> Option<String> {
    let spec = fields()[usize::from(find(protocol, name).unwrap().index)];
    Some(match (spec.extract)(packet)? {
        FieldValue::UInt(v) => v.to_string(),
        FieldValue::Ipv4(v) => crate::text::ipv4(v),
        FieldValue::Ip(v) => std::net::Ipv6Addr::from(v).to_string(),
        FieldValue::Mac(v) => crate::text::mac(v),
        FieldValue::Bool(v) => v.to_string(),
        FieldValue::String(v) => v.into_owned(),
        FieldValue::Bytes(v) => format!("{} bytes", v.len()),
        FieldValue::Time(v) => v.to_string(),
    })
}

fn rows_of(path: &Path) -> Rows {
    let mut rows = Rows::new();
    for input in capfile::discover(&[path.to_string_lossy().into_owned()]).unwrap() {
        let Ok(mut reader) = input.open() else {
            continue;
        };
        while let Some(frame) = reader.next_frame() {
            let packet = Packet::decode(&frame);
            for (family, ip) in [("4", "ipv4"), ("6", "ipv6")] {
                for transport in ["tcp", "udp"] {
                    let row = (|| {
                        Some((
                            format!("{transport}{family}"),
                            value(&packet, ip, "SrcIP")?,
                            value(&packet, ip, "DstIP")?,
                            value(&packet, transport, "DstPort")?,
                        ))
                    })();
                    if let Some(row) = row {
                        let entry = rows.entry(row).or_default();
                        entry.0 += 1;
                        entry.1 += u64::from(frame.wire_len);
                    }
                }
            }
        }
    }
    rows
}

fn expected(path: &Path) -> Rows {
    let mut rows = Rows::new();
    for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [proto, src, dst, port, packets, bytes] = columns[..] else {
            panic!("{path:?}: {line}");
        };
        if port == "-" {
            continue;
        }
        let family = proto.trim_end_matches("_frag0").to_owned();
        let key = (family, src.to_owned(), dst.to_owned(), port.to_owned());
        let entry = rows.entry(key).or_default();
        entry.0 += packets.parse::<u64>().unwrap();
        entry.1 += bytes.parse::<u64>().unwrap();
    }
    rows
}

#[test]
fn tables_of_every_capture_are_those_of_tshark() {
    let Some(folder) = captures() else {
        eprintln!("SKIPPED: no capture set, set FLOWSIFT_CAPTURES");
        return;
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let mut differing = Vec::new();
    for name in manifest
        .lines()
        .skip(1)
        .filter_map(|l| l.split('\t').next())
    {
        let file = name.rsplit('/').next().unwrap();
        let want = expected(&folder.join("expected").join(format!("{file}.tsv")));
        let got = rows_of(&folder.join(name));
        if got != want {
            let odd = got.iter().filter(|(k, v)| want.get(*k) != Some(*v)).take(2);
            let missing = want.iter().filter(|(k, v)| got.get(*k) != Some(*v)).take(2);
            let odd: Vec<_> = odd.collect();
            let missing: Vec<_> = missing.collect();
            differing.push(format!("{name}: has {odd:?}, lacks {missing:?}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// Reads every field, and every field of what is inside, and checks that it is of its type.
fn read_everything(packet: &Packet<'_>) {
    let mut next = Some(*packet);
    while let Some(packet) = next {
        for spec in fields() {
            let Some(value) = (spec.extract)(&packet) else {
                continue;
            };
            let fits = match (spec.ty, &value) {
                (EvType::UInt8, FieldValue::UInt(v)) => u8::try_from(*v).is_ok(),
                (EvType::UInt16, FieldValue::UInt(v)) => u16::try_from(*v).is_ok(),
                (EvType::UInt32, FieldValue::UInt(v)) => u32::try_from(*v).is_ok(),
                (EvType::Bool, FieldValue::Bool(_))
                | (EvType::Ipv4, FieldValue::Ipv4(_))
                | (EvType::Ip, FieldValue::Ip(_))
                | (EvType::Mac, FieldValue::Mac(_))
                | (EvType::Bytes, FieldValue::Bytes(_))
                | (EvType::String, FieldValue::String(_))
                | (EvType::Time, FieldValue::Time(_)) => true,
                _ => false,
            };
            assert!(fits, "{}.{}: {value:?}", spec.protocol, spec.name);
        }
        next = packet.inner();
    }
}

fn frame(link_type: u16, data: &[u8]) -> Frame<'_> {
    Frame {
        time_ns: Some(1),
        wire_len: u32::try_from(data.len()).unwrap(),
        link_type: LinkType(link_type),
        interface: "eth0",
        offset: 0,
        data,
    }
}

/// Starts of a type field and what it names, so that the walk goes on.
const NETWORKS: &[&[u8]] = &[&[], &[8, 0, 0x45], &[0x86, 0xdd, 0x60], &[0x81, 0]];

proptest! {
    #[test]
    fn any_bytes_of_any_link_type_decode(
        data in proptest::collection::vec(any::<u8>(), 0..200),
        network in proptest::sample::select(NETWORKS),
    ) {
        let mut data = data;
        if data.len() > 40 {
            data.splice(12..12 + network.len(), network.iter().copied());
        }
        for (link_type, _) in link_types().chain([(LinkType(2), "")]) {
            read_everything(&Packet::decode(&frame(link_type.0, &data)));
        }
        for protocol in protocols() {
            if let Some(layer) = Layer::of_protocol(protocol) {
                read_everything(&Packet::start_at(layer, &data));
            }
        }
    }
}

/// Ethernet, two VLAN tags, IPv4, TCP with four bytes of data and padding.
const TAGGED_TCP: &[u8] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x88, 0xa8, 0x20, 0x64, 0x81, 0x00, 0xb0, 0xc8, 0x08,
    0x00, 0x45, 0x10, 0, 44, 0x12, 0x34, 0x40, 0, 63, 6, 0xab, 0xcd, 10, 0, 0, 1, 192, 0, 2, 9,
    0x30, 0x39, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, 0x51, 0x1a, 1, 0, 0xbe, 0xef, 0, 3, b'a', b'b',
    b'c', b'd', 0, 0,
];

#[test]
fn fields_of_a_tagged_segment() {
    let frame = frame(1, TAGGED_TCP);
    let packet = Packet::decode(&frame);
    for (field, want) in [
        ("eth.DstMAC", "01:02:03:04:05:06"),
        ("eth.MAC", "07:08:09:0a:0b:0c"),
        ("eth.Type", "34984"),
        ("dot1q.VLANID", "100"),
        ("dot1q.Priority", "1"),
        ("dot1q.Drop", "false"),
        ("dot1q.Type", "33024"),
        ("dot1q.InnerVLANID", "200"),
        ("dot1q.InnerPriority", "5"),
        ("dot1q.InnerType", "2048"),
        ("dot1q.Depth", "2"),
        ("IPv4.SrcIP", "10.0.0.1"),
        ("ipv4.dstip", "192.0.2.9"),
        ("ipv4.IP", "10.0.0.1"),
        ("ipv4.TTL", "63"),
        ("ipv4.Flags", "2"),
        ("ipv4.ID", "4660"),
        ("ipv4.IHL", "5"),
        ("ipv4.TOS", "16"),
        ("ipv4.DstPort", "80"),
        ("tcp.Port", "80"),
        ("tcp.SrcPort", "12345"),
        ("tcp.DstIP", "::ffff:192.0.2.9"),
        ("tcp.SeqNum", "7"),
        ("tcp.AckNum", "9"),
        ("tcp.DataOffset", "5"),
        ("tcp.NS", "true"),
        ("tcp.SYN", "true"),
        ("tcp.ACK", "true"),
        ("tcp.PSH", "true"),
        ("tcp.FIN", "false"),
        ("tcp.Window", "256"),
        ("tcp.Checksum", "48879"),
        ("tcp.Urgent", "3"),
        ("tcp.Payload", "4 bytes"),
        ("frame.CapLen", "68"),
        ("frame.Interface", "eth0"),
    ] {
        let (protocol, name) = field.split_once('.').unwrap();
        assert_eq!(
            value(&packet, protocol, name).as_deref(),
            Some(want),
            "{field}"
        );
    }
    for field in [
        "udp.DstPort",
        "ipv6.SrcIP",
        "mpls.Label",
        "arp.Operation",
        "ipv6.DstPort",
    ] {
        let (protocol, name) = field.split_once('.').unwrap();
        assert_eq!(value(&packet, protocol, name), None, "{field}");
    }
}

#[test]
fn hardware_addresses_of_arp_are_macs_only_where_the_hardware_has_them() {
    let mut arp = [0; 28];
    arp[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    arp[8..18].copy_from_slice(&[2, 0, 0, 0, 0, 7, 10, 0, 0, 1]);
    for (hardware, mac) in [
        (1, Some("02:00:00:00:00:07")),
        (6, Some("02:00:00:00:00:07")),
        (24, None),
    ] {
        arp[1] = hardware;
        let packet = Packet::start_at(Layer::Arp, &arp);
        assert_eq!(value(&packet, "arp", "SenderMAC").as_deref(), mac);
        assert_eq!(
            value(&packet, "arp", "SenderIP").as_deref(),
            Some("10.0.0.1")
        );
    }
}

/// Headers in which the type does not stand directly before what it names, or is left out.
#[test]
fn types_and_lengths_of_rare_link_headers() {
    let ip = &TAGGED_TCP[22..66];
    let ethernet: &[u8] = &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let header = |length: usize, at: usize| {
        let mut header = vec![0; length];
        header[at..at + 2].copy_from_slice(&[8, 0]);
        header
    };
    for (link_type, head) in [
        (99, header(44, 6)),
        (99, header(56, 20)),
        (
            100,
            [&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0], ethernet].concat(),
        ),
        (
            107,
            [&[0x18, 0x41, 3, 0x80, 0, 0x80, 0xc2, 0, 7], ethernet].concat(),
        ),
        (106, vec![]),
        (106, vec![0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
        (242, header(44, 40)),
    ] {
        let bytes = [head.as_slice(), ip].concat();
        let frame = frame(link_type, &bytes);
        let port = value(&Packet::decode(&frame), "tcp", "DstPort");
        assert_eq!(port.as_deref(), Some("80"), "{link_type} {}", head.len());
    }
    let both = [&[0; 6][..], &[8, 0], &[0; 12], &[8, 0], &[0; 34], ip].concat();
    assert_eq!(
        value(&Packet::decode(&frame(99, &both)), "ipv4", "SrcIP"),
        None
    );
}

/// Without a control word, ARP four bytes on looks like IPv4; addresses that start with 0 must not
/// be taken for a control word.
#[test]
fn a_pseudo_wire_is_read_with_and_without_control_word() {
    let mut arp = vec![
        0, 0x1b, 0x21, 0, 0, 1, 0, 0x1b, 0x21, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4,
    ];
    arp.extend([
        0, 1, 2, 0, 0, 0, 0, 7, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2,
    ]);
    let short = u8::try_from(4 + arp.len()).unwrap();
    for word in [&[][..], &[0; 4], &[0, short, 0, 0], &[0, 0, 0x12, 0x34]] {
        let bytes = [&[0, 1, 1, 64], word, &arp].concat();
        let packet = Packet::start_at(Layer::Mpls, &bytes);
        assert_eq!(
            value(&packet, "arp", "SenderIP").as_deref(),
            Some("10.0.0.1"),
            "{word:?}"
        );
    }
}

#[test]
fn every_prefix_of_a_frame_decodes() {
    for length in 0..=TAGGED_TCP.len() {
        let frame = frame(1, &TAGGED_TCP[..length]);
        let packet = Packet::decode(&frame);
        read_everything(&packet);
        // 22 bytes of link headers, 20 of IPv4, 4 to the end of the ports.
        let port = value(&packet, "tcp", "DstPort");
        assert_eq!(port.is_some(), length >= 46, "{length}");
    }
}

#[test]
fn names_are_found_and_suggested() {
    assert!(find("dot11", "ssid").unwrap().alias);
    assert!(!find("TCP", "dstport").unwrap().alias);
    assert_eq!(find("tcp", "Nope"), None);
    assert_eq!(nearest("tcp", "DstPrt").as_deref(), Some("tcp.DstPort"));
    assert_eq!(nearest("ip4", "SrcIP").as_deref(), Some("ipv4.SrcIP"));
    assert_eq!(nearest("quic", "ConnectionIdentifier"), None);
}

#[test]
fn the_table_is_consistent() {
    for (index, spec) in fields().iter().enumerate() {
        let found = find(spec.protocol, spec.name).unwrap();
        assert_eq!(
            usize::from(found.index),
            index,
            "{}.{}",
            spec.protocol,
            spec.name
        );
        assert!(!spec.doc.is_empty());
        if let Some((source, destination)) = spec.either {
            for side in [source, destination] {
                let side = find(spec.protocol, side).unwrap();
                assert_eq!(fields()[usize::from(side.index)].ty, spec.ty);
            }
        }
    }
    assert_eq!(protocols().count(), 17);
}
