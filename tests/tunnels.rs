//! Packets in packets: `packet -inner`, and the same read by hand from the tunnel's payload.

use crate::support::{capture_sets, run};

/// Tunnel captures of the sets, with a filter for the packets of one header length, and that.
const TUNNELS: [(&str, &str, usize); 3] = [
    (
        "protocols/geneve.pcap",
        "udp.DstPort == 6081 as port ipv4.SrcIP == 20.0.0.2 as outer",
        8,
    ),
    // These have options.
    (
        "protocols/geneve.pcap",
        "udp.DstPort == 6081 as port ipv4.SrcIP == 20.0.0.1 as outer",
        16,
    ),
    ("protocols/vxlan.pcap", "udp.DstPort == 4789 as port", 8),
];

/// What is asked of the inner packets: fields, and the columns that they make.
const QUESTIONS: [(&str, &str); 5] = [
    (
        "eth.SrcMAC eth.Type ipv4.SrcIP ipv4.DstIP ipv4.TTL icmpv4.Type tcp.SYN udp.Payload as data",
        "SrcMAC Type SrcIP DstIP TTL SYN data",
    ),
    ("ipv4.TTL == 64 ipv4.IP", "TTL IP"),
    ("icmpv4.Type != 8 ipv4.SrcIP", "Type SrcIP"),
    ("ipv4.IP !~ 10.0.0.0/8", "IP"),
    ("tcp.Port != 443 ipv4.SrcIP", "Port SrcIP"),
];

#[test]
fn a_payload_read_as_a_packet_is_the_inner_packet() {
    let mut compared = 0;
    let mut with_rows = 0;
    for set in capture_sets() {
        for (name, tunnel, header) in TUNNELS {
            let file = set.join(name);
            if !file.is_file() {
                continue;
            }
            let file = file.to_str().unwrap();
            for (fields, columns) in QUESTIONS {
                let answer = |stages: &str| {
                    let query = format!(
                        "tag=pcap packet {tunnel} udp.Payload as carried \
                         | {stages} {fields} | sort by time asc | table TIMESTAMP {columns}"
                    );
                    run(&["query", "-r", file, "--format", "tsv", &query])
                };
                let inner = answer("packet -inner");
                let by_hand = answer(&format!("slice carried[{header}:] | packet -e carried"));
                assert_eq!(by_hand.rows(), inner.rows(), "{name}: {fields}");
                compared += 1;
                with_rows += usize::from(!inner.rows().is_empty());
            }
        }
    }
    assert!(compared >= QUESTIONS.len(), "only {compared} comparisons");
    assert!(with_rows >= 4, "only {with_rows} answers had rows");
}

#[test]
fn a_tunnel_in_a_payload_is_read_by_inner() {
    let file = crate::support::capture("protocols/geneve.pcap");
    let answer = |query: &str| {
        let output = run(&["query", "-r", &file, "--format", "tsv", query]);
        output.rows().concat().join(" ")
    };
    let direct = answer("tag=pcap packet -inner ipv4.SrcIP | sort by time asc | table SrcIP");
    let whole =
        answer("tag=pcap packet -e DATA -inner ipv4.SrcIP | sort by time asc | table SrcIP");
    let bytes = answer(
        "tag=pcap slice DATA[0:] as frame | packet -e frame -inner ipv4.SrcIP | sort by time asc | table SrcIP",
    );
    assert!(direct.starts_with("30.0.0.1 30.0.0.2 "), "{direct}");
    assert_eq!(whole, direct);
    assert_eq!(bytes, direct);
}
