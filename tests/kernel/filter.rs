//! Capture filters against tcpdump: the same packets of every capture pass.

use std::path::Path;
use std::process::{Command, Stdio};

use flowsift::capfile;
use flowsift::capture::filter::{Filter, FilterError};
use flowsift::frame::LinkType;

use crate::captures::malformed;
use crate::frames::{captures, manifest};
use crate::support::{say, say_skipped};

/// Of each primitive, operator and kind of arithmetic that pcap-filter(7) lists, at least one.
const EXPRESSIONS: &[&str] = &[
    "",
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "igmp",
    "sctp",
    "not ip and not ip6",
    "port 53",
    "src port 53",
    "dst port 443",
    "tcp port 80",
    "udp dst port 6881",
    "portrange 1-1023",
    "tcp src portrange 6881-6999",
    "port domain or port http",
    "host 10.0.0.1",
    "host 192.168.1.1 or host 192.168.0.1",
    "net 10.0.0.0/8",
    "src net 10.0.0.0/8 and not dst net 10.0.0.0/8",
    "net 192.168.0.0 mask 255.255.0.0",
    "src net 172.16.0.0/12 or src net 192.168.0.0/16",
    "dst net 224.0.0.0/4",
    "ip6 host fe80::1",
    "ip6 net fe80::/10",
    "dst net ff00::/8",
    "ether host ff:ff:ff:ff:ff:ff",
    "ether dst ff:ff:ff:ff:ff:ff",
    "ether broadcast",
    "ether multicast",
    "ip multicast",
    "ip6 multicast",
    "ether proto 0x88cc",
    "ether proto \\ip",
    "ip proto 47",
    "ip proto \\tcp",
    "ip6 proto 58",
    "proto 17",
    "vlan",
    "vlan 10",
    "vlan and ip",
    "vlan and vlan",
    "ip or (vlan and ip)",
    "mpls",
    "mpls and ip",
    "pppoes",
    "pppoes and ip",
    "less 100",
    "greater 1000",
    "len > 60 and len <= 128",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[tcpflags] == tcp-syn",
    "tcp[13] & 2 != 0 and tcp[13] & 16 == 0",
    "ip[6:2] & 0x1fff != 0",
    "ip[8] < 64",
    "ip[0] & 0xf > 5",
    "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
    "icmp[icmptype] == icmp-echo or icmp[icmptype] == icmp-echoreply",
    "icmp6[icmp6type] == icmp6-neighborsolicit",
    "ip6[6] == 58 and ip6[40] == 135",
    "udp[8:2] == 0x6431",
    "udp[4:2] / 2 * 2 == udp[4:2]",
    "udp[4:2] % 3 == 1",
    "(ip[12:4] ^ ip[16:4]) < 0x1000000",
    "ether[0] & 1 == 0 and ip[16] >= 224",
    "len - ip[2:2] > 14",
    "atalk or aarp or stp or ipx",
    "iso or esis or isis",
    "gateway 192.0.2.1",
    "ip broadcast",
    "inbound",
];

/// Loopback of BSD: its number for IPv6 is that of the system that captured. For a file libpcap
/// tries all of them, for a live capture only this system's.
const NULL: LinkType = LinkType(0);

/// One packet as both sides tell it: microseconds, length on the wire, bytes.
type Packet = (i64, u32, Vec<u8>);

struct File {
    link_type: LinkType,
    snaplen: u32,
    packets: Vec<Packet>,
}

#[derive(Default)]
struct Report {
    files: u32,
    comparisons: u32,
    refused_by_both: u32,
    kernel_only: u32,
    other_families: u32,
    accepted: usize,
    differences: Vec<String>,
}

#[test]
fn filters_let_through_what_tcpdump_lets_through() {
    let folder = captures();
    if Command::new("tcpdump").arg("--version").output().is_err() {
        return say_skipped("there is no tcpdump");
    }
    if let Err(error @ FilterError::Libpcap(_)) = Filter::compile("ip", LinkType(1), 65_535) {
        return say_skipped(&error.to_string());
    }
    let mut report = Report::default();
    let mut link_types = std::collections::BTreeSet::new();
    for name in manifest(&folder) {
        let path = folder.join(&name);
        // Where tcpdump reads other packets than we do, filters cannot be compared.
        let Some(file) = read(&path).filter(|it| dump(&path, "").as_ref() == Ok(&it.packets))
        else {
            continue;
        };
        if malformed(&name) {
            continue;
        }
        report.files += 1;
        link_types.insert(file.link_type.0);
        for expression in EXPRESSIONS {
            compare(&path, &file, expression, &mut report);
        }
    }
    say(&format!(
        "{} files of {} link types, {} comparisons, {} packets accepted; refused by both: {}; \
         by us as a question to the kernel: {}",
        report.files,
        link_types.len(),
        report.comparisons,
        report.accepted,
        report.refused_by_both,
        report.kernel_only,
    ));
    assert!(
        report.differences.is_empty(),
        "{}",
        report.differences.join("\n")
    );
    // ip6, tcp and neither family, in the one file with IPv6 of another system.
    assert!(report.other_families <= 3, "{}", report.other_families);
    assert!(report.files > 20, "only {} files", report.files);
    assert!(link_types.len() > 5, "only {link_types:?}");
}

fn compare(path: &Path, file: &File, expression: &str, report: &mut Report) {
    let theirs = dump(path, expression);
    let ours = Filter::compile(expression, file.link_type, file.snaplen);
    let mut differ = |text: String| {
        let name = path.display();
        report
            .differences
            .push(format!("{name}: '{expression}': {text}"));
    };
    match (ours, theirs) {
        (Ok(filter), Ok(theirs)) => {
            report.comparisons += 1;
            let passes = |(_, wire_len, data): &&Packet| filter.accepts(data, *wire_len);
            let ours: Vec<_> = file.packets.iter().filter(passes).cloned().collect();
            report.accepted += ours.len();
            if ours != theirs && file.link_type == NULL {
                report.other_families += 1;
            } else if ours != theirs {
                differ(format!("{} packets, tcpdump {}", ours.len(), theirs.len()));
            }
        }
        // tcpdump's text may differ: it has a netmask and a file.
        (Err(FilterError::Expression { .. }), Err(_)) => report.refused_by_both += 1,
        // It takes 0.0.0.0 for the netmask of a file, which we do not.
        (Err(FilterError::Expression { reason, .. }), Ok(_)) if reason.contains("netmask") => {
            report.kernel_only += 1;
        }
        (Err(FilterError::Program { .. }), _) if expression == "inbound" => {
            report.kernel_only += 1;
        }
        (Err(error), Ok(_)) => differ(format!("{error}, tcpdump takes it")),
        (Err(error), Err(theirs)) => differ(format!("{error}, tcpdump: {theirs}")),
        (Ok(_), Err(theirs)) => differ(format!("taken, tcpdump: {theirs}")),
    }
}

/// The packets of a capture file that has one link type.
fn read(path: &Path) -> Option<File> {
    let inputs = capfile::discover(&[path.to_string_lossy().into_owned()]).ok()?;
    let [input] = inputs.as_slice() else {
        return None;
    };
    let mut reader = input.open().ok()?;
    let mut file: Option<File> = None;
    while let Some(frame) = reader.next_frame() {
        let file = file.get_or_insert_with(|| File {
            link_type: frame.link_type,
            snaplen: 262_144,
            packets: Vec::new(),
        });
        if file.link_type != frame.link_type {
            return None;
        }
        file.packets.push((
            frame.time_ns?.div_euclid(1000),
            frame.wire_len,
            frame.data.to_vec(),
        ));
    }
    file
}

/// The packets that tcpdump reads from a file, or its complaint.
fn dump(path: &Path, expression: &str) -> Result<Vec<Packet>, String> {
    let mut command = Command::new("tcpdump");
    command
        .args(["-Z", "root", "-w", "-", "-r"])
        .arg(path)
        .arg(expression);
    let output = command.stdin(Stdio::null()).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let input = capfile::Input::from_bytes("tcpdump", output.stdout);
    let mut packets = Vec::new();
    let mut reader = input.open().map_err(|error| error.to_string())?;
    while let Some(frame) = reader.next_frame() {
        let time = frame.time_ns.unwrap_or_default().div_euclid(1000);
        packets.push((time, frame.wire_len, frame.data.to_vec()));
    }
    Ok(packets)
}
