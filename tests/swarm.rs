//! The purpose: the peer-to-peer host stands out, with the numbers of the captures' README.

use crate::support::{capture, query};

/// Distinct (SrcIP, DstIP, DstPort) per source, to public addresses.
const TUPLES: &str = "tag=pcap packet ipv4.DstIP !~ PRIVATE ipv4.SrcIP tcp.DstPort \
    | require DstPort | count by SrcIP,DstIP,DstPort | count by SrcIP | sort by count desc | limit 20 | table -nt SrcIP count";
/// Distinct DstIP per source: a scan of one host is no swarm.
const HOSTS: &str = "tag=pcap packet ipv4.DstIP !~ PRIVATE ipv4.SrcIP tcp.DstPort \
    | require DstPort | count by SrcIP,DstIP | count by SrcIP | sort by count desc | limit 20 | table -nt SrcIP count";

fn first(file: &str, text: &str) -> (String, u64) {
    let output = query(&capture(file), text);
    let rows = output.rows();
    (rows[0][0].to_owned(), rows[0][1].parse().unwrap())
}

#[test]
fn the_swarm_client_comes_first() {
    for (file, host, tuples, hosts) in [
        ("bittorrent/small_torrent_mse.pcap", "192.168.0.102", 34, 34),
        ("bittorrent/bittorrent.pcap", "192.168.1.3", 15, 15),
        ("bittorrent/gnutella.pcap", "10.0.2.15", 136, 130),
        ("bittorrent/control-synscan.pcap", "172.16.0.8", 1000, 1),
    ] {
        assert_eq!(first(file, TUPLES), (host.to_owned(), tuples), "{file}");
        assert_eq!(first(file, HOSTS), (host.to_owned(), hosts), "{file}");
    }
}

/// The reference query as its chart: the host is the first series.
#[test]
fn the_chart_shows_the_swarm_client_first() {
    let chart = "tag=pcap packet ipv4.DstIP !~ PRIVATE ipv4.SrcIP tcp.DstPort \
        | require DstPort | count by SrcIP,DstIP,DstPort | count by SrcIP,DstIP,DstPort | chart count by SrcIP limit 20";
    for (file, host) in [
        ("bittorrent/small_torrent_mse.pcap", "192.168.0.102"),
        ("bittorrent/bittorrent.pcap", "192.168.1.3"),
        ("bittorrent/gnutella.pcap", "10.0.2.15"),
    ] {
        let output = query(&capture(file), chart);
        let rows = output.rows();
        assert_eq!(rows[0][1], host, "{file}");
    }
}
