//! Every capture: the outermost packet's fields, value by value.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use flowsift::capfile::FrameReader;
use flowsift::decode::{FieldSpec, Packet};

use super::{Dissection, dissect, field, is_here, normal, reader, value};
use crate::support::capture_sets;

/// A field of ours, the layer and the fields of tshark that say the same (the first that is
/// there), and how many of tshark's units make one of ours.
pub(super) type Row = (&'static str, &'static str, &'static str, u64);

/// Tags of 802.1Q and of 802.1ad.
pub(super) const VLAN: &str = "vlan|ieee8021ad";

pub(super) const FIELDS: &[Row] = &[
    ("frame.Len", "", "frame.len", 1),
    ("frame.CapLen", "", "frame.cap_len", 1),
    ("eth.SrcMAC", "eth", "eth.src", 1),
    ("eth.DstMAC", "eth", "eth.dst", 1),
    ("eth.Type", "eth", "eth.type|eth.len", 1),
    (
        "dot1q.VLANID",
        VLAN,
        "ieee8021ad.svid|ieee8021ad.id|vlan.id",
        1,
    ),
    (
        "dot1q.Priority",
        VLAN,
        "ieee8021ad.priority|vlan.priority",
        1,
    ),
    ("dot1q.DropEligible", VLAN, "ieee8021ad.dei|vlan.dei", 1),
    ("dot1q.Type", VLAN, "vlan.etype|vlan.len", 1),
    ("mpls.Label", "mpls", "mpls.label", 1),
    ("mpls.TrafficClass", "mpls", "mpls.exp", 1),
    ("mpls.StackBottom", "mpls", "mpls.bottom", 1),
    ("mpls.TTL", "mpls", "mpls.ttl", 1),
    ("arp.HardwareType", "arp", "arp.hw.type", 1),
    ("arp.ProtocolType", "arp", "arp.proto.type", 1),
    ("arp.Operation", "arp", "arp.opcode", 1),
    ("arp.SenderMAC", "arp", "arp.src.hw_mac", 1),
    ("arp.SenderIP", "arp", "arp.src.proto_ipv4", 1),
    ("arp.TargetMAC", "arp", "arp.dst.hw_mac", 1),
    ("arp.TargetIP", "arp", "arp.dst.proto_ipv4", 1),
    ("ipv4.Version", "ip", "ip.version", 1),
    ("ipv4.IHL", "ip", "ip.hdr_len", 4),
    ("ipv4.TOS", "ip", "ip.dsfield", 1),
    ("ipv4.Length", "ip", "ip.len", 1),
    ("ipv4.ID", "ip", "ip.id", 1),
    ("ipv4.Flags", "ip", "ip.flags", 1),
    ("ipv4.FragOffset", "ip", "ip.frag_offset", 1),
    ("ipv4.TTL", "ip", "ip.ttl", 1),
    ("ipv4.Protocol", "ip", "ip.proto", 1),
    ("ipv4.Checksum", "ip", "ip.checksum", 1),
    ("ipv4.SrcIP", "ip", "ip.src", 1),
    // A source route: tshark's "destination" is where the route ends, ours where the header says
    // that the packet goes now (README, "What it reads").
    ("ipv4.DstIP", "ip", "ip.cur_rt|ip.dst", 1),
    ("ipv6.TrafficClass", "ipv6", "ipv6.tclass", 1),
    ("ipv6.FlowLabel", "ipv6", "ipv6.flow", 1),
    ("ipv6.Length", "ipv6", "ipv6.plen", 1),
    ("ipv6.NextHeader", "ipv6", "ipv6.nxt", 1),
    ("ipv6.HopLimit", "ipv6", "ipv6.hlim", 1),
    ("ipv6.SrcIP", "ipv6", "ipv6.src", 1),
    ("ipv6.DstIP", "ipv6", "ipv6.dst", 1),
    ("ipv6.FragOffset", "ipv6.fraghdr", "ipv6.fraghdr.offset", 1),
    ("ipv6.MoreFragments", "ipv6.fraghdr", "ipv6.fraghdr.more", 1),
    ("ipv6.FragID", "ipv6.fraghdr", "ipv6.fraghdr.ident", 1),
    ("ipv6.RoutingType", "ipv6.routing", "ipv6.routing.type", 1),
    (
        "ipv6.SegmentsLeft",
        "ipv6.routing",
        "ipv6.routing.segleft",
        1,
    ),
    ("tcp.SrcPort", "tcp", "tcp.srcport", 1),
    ("tcp.DstPort", "tcp", "tcp.dstport", 1),
    ("tcp.SeqNum", "tcp", "tcp.seq_raw", 1),
    ("tcp.AckNum", "tcp", "tcp.ack_raw", 1),
    ("tcp.DataOffset", "tcp", "tcp.hdr_len", 4),
    ("tcp.NS", "tcp", "tcp.flags.ae", 1),
    ("tcp.CWR", "tcp", "tcp.flags.cwr", 1),
    ("tcp.ECE", "tcp", "tcp.flags.ece", 1),
    ("tcp.URG", "tcp", "tcp.flags.urg", 1),
    ("tcp.ACK", "tcp", "tcp.flags.ack", 1),
    ("tcp.PSH", "tcp", "tcp.flags.push", 1),
    ("tcp.RST", "tcp", "tcp.flags.reset", 1),
    ("tcp.SYN", "tcp", "tcp.flags.syn", 1),
    ("tcp.FIN", "tcp", "tcp.flags.fin", 1),
    ("tcp.Window", "tcp", "tcp.window_size_value", 1),
    ("tcp.Checksum", "tcp", "tcp.checksum", 1),
    ("tcp.Urgent", "tcp", "tcp.urgent_pointer", 1),
    ("udp.SrcPort", "udp", "udp.srcport", 1),
    ("udp.DstPort", "udp", "udp.dstport", 1),
    ("udp.Length", "udp", "udp.length", 1),
    ("udp.Checksum", "udp", "udp.checksum", 1),
    ("sctp.SrcPort", "sctp", "sctp.srcport", 1),
    ("sctp.DstPort", "sctp", "sctp.dstport", 1),
    ("sctp.VerificationTag", "sctp", "sctp.verification_tag", 1),
    ("sctp.Checksum", "sctp", "sctp.checksum", 1),
    ("sctp.ChunkType", "sctp", "sctp.chunk_type", 1),
    ("icmpv4.Type", "icmp", "icmp.type", 1),
    ("icmpv4.Code", "icmp", "icmp.code", 1),
    ("icmpv4.Checksum", "icmp", "icmp.checksum", 1),
    ("icmpv6.Type", "icmpv6", "icmpv6.type", 1),
    ("icmpv6.Code", "icmpv6", "icmpv6.code", 1),
    ("icmpv6.Checksum", "icmpv6", "icmpv6.checksum", 1),
    ("gre.Flags", "gre", "gre.flags_and_version", 1),
    ("gre.Protocol", "gre", "gre.proto", 1),
    ("gre.Key", "gre", "gre.key", 1),
    ("gre.Sequence", "gre", "gre.sequence_number", 1),
    ("vxlan.Flags", "vxlan", "vxlan.flags", 256),
    ("vxlan.VNI", "vxlan", "vxlan.vni", 1),
];

/// The fields of the rows.
pub(super) static SPECS: LazyLock<Vec<FieldSpec>> =
    LazyLock::new(|| FIELDS.iter().map(|row| field(row.0)).collect());

/// A difference that stays, and why: whether a field of ours, with its value, is such a one.
type Accepted = (&'static str, fn(&str, Option<&str>, &Dissection) -> bool);

fn has_layer(frame: &Dissection, layer: &str) -> bool {
    frame.layers.iter().any(|name| name == layer)
}

const ACCEPTED: &[Accepted] = &[
    (
        "an IPv4 header that contradicts itself has no fields; tshark shows its first bytes",
        |field, _, frame| {
            let broken = has_layer(frame, "ip") && theirs(frame, "ipv4.SrcIP").is_none();
            field.starts_with("ipv4.") && broken
        },
    ),
    (
        "an IPv4 total length of 0 (segmentation offload) is shown as it is; tshark shows what it \
         stands for",
        |field, got, _| field == "ipv4.Length" && got == Some("0"),
    ),
    (
        "of a TCP header that says to be shorter than 20 bytes, tshark shows the ports",
        |field, _, frame| {
            let length = theirs(frame, "tcp.DataOffset").and_then(|length| length.parse().ok());
            field.starts_with("tcp.") && length < Some(20)
        },
    ),
    (
        "an ARP packet that ends before its addresses do has those that are there; tshark shows \
         none",
        |field, _, frame| {
            let absent = |field| theirs(frame, field).is_none();
            field == "arp.SenderMAC"
                && has_layer(frame, "arp")
                && absent("arp.SenderMAC")
                && absent("arp.SenderIP")
        },
    ),
    (
        "of a frame bridged behind LLC or FabricPath, tshark's first EtherType is that of the \
         frame inside",
        |field, _, frame| {
            let layers = frame.layers.join(":");
            let bridged = ["eth:llc:eth", "eth:cfp:eth"];
            field == "eth.Type" && bridged.iter().any(|start| layers.starts_with(start))
        },
    ),
    (
        "of a tag of 802.1ad, tshark has no field for the type behind it",
        |field, _, frame| field == "dot1q.Type" && has_layer(frame, "ieee8021ad"),
    ),
    (
        "tshark does not count what capturing put before the frame: the byte of PPP that says the \
         direction, the heads of SunATM and ERF",
        |field, _, frame| {
            let first = frame.layers[0].as_str();
            field.ends_with("Len") && matches!(first, "ppp" | "atm" | "erf")
        },
    ),
    (
        "a cut Ethernet header has the fields that are there; tshark wants both addresses",
        |field, _, frame| field == "eth.DstMAC" && frame.layers == ["eth"],
    ),
    (
        "the destination port tells VXLAN; tshark tries the lower port first",
        |field, _, frame| {
            let port = |field| theirs(frame, field).and_then(|port| port.parse::<u16>().ok());
            field.starts_with("vxlan.") && port("udp.SrcPort") < port("udp.DstPort")
        },
    ),
];

/// The first value that tshark has for a field of ours.
fn theirs<'a>(frame: &'a Dissection, ours: &str) -> Option<&'a str> {
    let at = FIELDS.iter().position(|row| row.0 == ours)?;
    frame.values[at].first().map(String::as_str)
}

/// Whether the first layer of a name belongs to the outermost packet: a link header, the first
/// network header, or what stands directly behind that (and the extension headers of IPv6).
fn is_outermost(frame: &Dissection, layer: &str) -> bool {
    let layers = || frame.layers.iter().map(String::as_str);
    let Some(at) = layers().position(|name| layer.split('|').any(|layer| name == layer)) else {
        return layer.is_empty() || layer.starts_with("ipv6.");
    };
    let Some(network) = layers().position(|name| matches!(name, "ip" | "ipv6" | "arp")) else {
        return true;
    };
    let passed = |name: &str| name.starts_with("ipv6.") || name == "udp" && layer == "vxlan";
    if matches!(layer, "ip" | "ipv6" | "arp") {
        return at == network;
    }
    at <= network || layers().take(at).skip(network + 1).all(passed)
}

/// What a comparison found.
#[derive(Default)]
pub(super) struct Comparison {
    /// Equal values of each field.
    values: BTreeMap<&'static str, u64>,
    /// Differences of each accepted kind.
    accepted: BTreeMap<&'static str, u64>,
    differences: Vec<String>,
}

impl Comparison {
    pub(super) fn add(&mut self, other: Self) {
        for (field, count) in other.values {
            *self.values.entry(field).or_default() += count;
        }
        for (why, count) in other.accepted {
            *self.accepted.entry(why).or_default() += count;
        }
        self.differences.extend(other.differences);
    }

    /// Whether an address was read and equal.
    pub(super) fn has_addresses(&self) -> bool {
        let equal = |field| self.values.get(field).is_some_and(|&count| count > 0);
        equal("ipv4.DstIP") || equal("ipv6.DstIP")
    }

    /// Fails with all differences.
    pub(super) fn check(&self) {
        let text = self.differences.join("\n");
        assert!(self.differences.is_empty(), "{text}");
    }

    /// Compares one packet; `place` is its file and number.
    fn packet(&mut self, packet: &Packet<'_>, frame: &Dissection, place: &str) {
        for ((row, spec), values) in FIELDS.iter().zip(&*SPECS).zip(&frame.values) {
            let first = values.first().filter(|_| is_outermost(frame, row.1));
            let want = first.map(|value| normal(value, row.3));
            let got = value(packet, spec);
            if got == want {
                *self.values.entry(row.0).or_default() += u64::from(got.is_some());
            } else if let Some((why, _)) = ACCEPTED
                .iter()
                .find(|(_, is)| is(row.0, got.as_deref(), frame))
            {
                *self.accepted.entry(why).or_default() += 1;
            } else {
                let layers = frame.layers.join(":");
                self.differences.push(format!(
                    "{} of {place}: {got:?}, tshark {want:?} ({layers})",
                    row.0
                ));
            }
        }
    }
}

/// Compares all packets of a file.
pub(super) fn compare(file: &Path) -> Comparison {
    let tshark: Vec<&str> = FIELDS.iter().map(|row| row.2).collect();
    let frames = dissect(file, &tshark);
    let mut found = Comparison::default();
    let mut read = 0;
    let mut reader = reader(file);
    while let Some(frame) = reader.as_mut().and_then(FrameReader::next_frame) {
        if let Some(theirs) = frames.get(read) {
            let place = format!("{}#{}", file.display(), read + 1);
            found.packet(&Packet::decode(&frame), theirs, &place);
        }
        read += 1;
    }
    if read != frames.len() {
        let text = format!("{}: {read} frames, tshark {}", file.display(), frames.len());
        found.differences.push(text);
    }
    found
}

/// The captures of all sets.
pub(super) fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for set in capture_sets() {
        let manifest = fs::read_to_string(set.join("MANIFEST.tsv")).unwrap();
        let names = manifest.lines().skip(1);
        files.extend(names.map(|line| set.join(line.split('\t').next().unwrap())));
    }
    files
}

/// Over all files, on two threads.
fn compare_all(files: Vec<PathBuf>) -> Comparison {
    let queue = Mutex::new(files);
    let found = Mutex::new(Comparison::default());
    let work = || {
        loop {
            let Some(file) = queue.lock().unwrap().pop() else {
                break;
            };
            let comparison = compare(&file);
            found.lock().unwrap().add(comparison);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    found.into_inner().unwrap()
}

#[test]
fn values_equal_tsharks() {
    if !is_here() {
        return;
    }
    let found = compare_all(files());
    found.check();
    let compared = |row: &&Row| found.values.get(row.0).is_some_and(|&count| count > 0);
    let idle: Vec<_> = FIELDS.iter().filter(|row| !compared(row)).collect();
    if capture_sets().len() > 1 {
        // No capture has a GRE key or sequence number.
        assert!(idle.len() <= 2, "nowhere: {idle:?}");
        assert!(found.accepted.len() >= 6, "{:?}", found.accepted);
    } else {
        assert!(idle.len() < 15, "nowhere: {idle:?}");
    }
    let total: u64 = found.values.values().sum();
    assert!(total > 200_000, "only {total} values were compared");
}
