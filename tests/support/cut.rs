//! Queries that are cut in two in different places where packets come bit by bit, for tests of live
//! queries and of replay.

/// What else is cut in two for packets that come bit by bit: windows, rows by themselves, state
/// that is merged, arithmetic before and after.
pub(crate) const OTHERS: [&str; 6] = [
    "tag=pcap packet ipv4.SrcIP frame.Len | stats count sum(Len) as bytes by SrcIP over 1s \
     | sort by time asc | table TIMESTAMP SrcIP count bytes",
    "tag=pcap packet ipv4.SrcIP ipv4.DstIP | unique SrcIP DstIP | count by SrcIP \
     | sort by count desc SrcIP asc | table -nt SrcIP count",
    "tag=pcap packet frame.Len ipv4.SrcIP | eval kib = Len / 1024.0 | eval Len > 50 \
     | stats max(kib) as most count by SrcIP | sort by SrcIP asc | table -nt SrcIP most count",
    "tag=pcap packet ipv4.SrcIP ipv4.DstIP tcp.DstPort frame.Len | require DstPort \
     | stats count sum(Len) as bytes min(Len) as least by SrcIP DstIP DstPort \
     | sort by SrcIP asc DstIP asc DstPort asc | table -nt SrcIP DstIP DstPort count bytes least",
    "tag=pcap packet frame.Len | sort by Len desc | limit 5 | table -nt Len",
    "tag=pcap packet frame.LinkType frame.Len | stats count mean(Len) as mean by LinkType \
     | sort by LinkType asc | table -nt LinkType count mean",
];
