//! What `flowsift capture` takes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::capture::{MAX_RING_BYTES, MAX_RINGS};
use crate::serve::metrics::parse_address;

use super::units::{parse_duration, parse_size};
use crate::store::Compress;

/// Arguments of `flowsift capture`. Short flags mean what they mean to tcpdump.
#[derive(Args, Debug)]
pub(in crate::cli) struct CaptureArgs {
    /// An interface, or a pattern such as 'lan*', and the tag of its packets; may be repeated
    #[arg(short, long, value_name = "IFACE[=TAG]", required_unless_present_any = ["list_interfaces", "self_test"])]
    pub(in crate::cli) interface: Vec<String>,

    /// The store that keeps the packets
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) store: Option<PathBuf>,

    /// Write one pcap stream instead, as tcpdump does; - is standard output
    #[arg(
        short = 'w',
        long = "write",
        value_name = "FILE|-",
        conflicts_with = "store"
    )]
    pub(in crate::cli) write: Option<PathBuf>,

    /// Bytes kept of each packet; 0, the default: all (up to 65535)
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = 0)]
    pub(in crate::cli) snaplen: u32,

    /// Where packets come from: XDP, a packet socket for each interface (slower; needs CAP_NET_RAW
    /// alone), or XDP first
    #[arg(long, value_enum, default_value_t = CaptureSource::Auto, value_name = "SOURCE")]
    pub(in crate::cli) source: CaptureSource,

    /// How to attach XDP: native (the driver), generic (the kernel's own hook), or native first
    #[arg(long, value_enum, default_value_t = AttachMode::Auto, value_name = "MODE")]
    pub(in crate::cli) mode: AttachMode,

    /// Capture what this machine sends, too, not only what comes in (Linux 6.6)
    ///
    /// Packets that it forwards are seen where they come in, and not again where they leave.
    #[arg(long)]
    pub(in crate::cli) egress: bool,

    /// With packet sockets: leave out what the interface does not receive by itself (XDP never
    /// makes an interface promiscuous)
    #[arg(short = 'p', long)]
    pub(in crate::cli) no_promiscuous_mode: bool,

    /// Keep tuples only: no packet bytes are copied or stored; without --store, only count
    ///
    /// A tuple is a packet's time, addresses, ports, protocol, TCP flags, VLAN and length. Queries
    /// of these fields are answered; of others they say which tuples they could not use.
    #[arg(long, conflicts_with_all = ["write", "snaplen"])]
    pub(in crate::cli) no_pcap: bool,

    /// Stop after so many packets
    #[arg(short = 'c', long, value_name = "N")]
    pub(in crate::cli) count: Option<u64>,

    /// Stop after so much time: 90s, 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(in crate::cli) duration: Option<Duration>,

    /// Start a new file when this one has so many millions of bytes (with a unit: so many of it)
    #[arg(short = 'C', long = "file-size", value_name = "SIZE", value_parser = parse_file_size)]
    pub(in crate::cli) file_size: Option<u64>,

    /// Start a new file after so many seconds (or 90s, 10m, 1h)
    #[arg(short = 'G', long = "file-time", value_name = "SECONDS", value_parser = parse_seconds)]
    pub(in crate::cli) file_time: Option<Duration>,

    /// With -w and -C: keep so many files and overwrite the oldest; with -w and -G: stop after them
    #[arg(short = 'W', long = "file-count", value_name = "N", requires = "write")]
    pub(in crate::cli) file_count: Option<u32>,

    /// Remove packets older than this: 30d. The --keep limits hold for each well that is written,
    /// before its well.toml; other wells keep to theirs
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "store")]
    pub(in crate::cli) keep_age: Option<Duration>,

    /// Keep at most so much in each well that is written: 200GB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, requires = "store")]
    pub(in crate::cli) keep_size: Option<u64>,

    /// Leave at least so much of the disk free: 10GB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, requires = "store")]
    pub(in crate::cli) keep_free: Option<u64>,

    /// Compress files of the store when they are closed: zstd, zstd:LEVEL (1 to 22) or none;
    /// default: what the well's well.toml says
    #[arg(long, value_name = "HOW", value_parser = Compress::parse, requires = "store")]
    pub(in crate::cli) compress: Option<Compress>,

    /// Bytes of all packet rings together, a power of two; of packet sockets, of each one's ring
    #[arg(long, value_name = "SIZE", value_parser = parse_rings, default_value = "64MiB")]
    pub(in crate::cli) packet_ring: u64,

    /// Bytes of all tuple rings together, a power of two
    #[arg(long, value_name = "SIZE", value_parser = parse_rings, default_value = "16MiB")]
    pub(in crate::cli) tuple_ring: u64,

    /// Run the part that reads packets and writes files as this user
    ///
    /// Who may attach to interfaces runs in a process of its own, which reads no packet; the other
    /// one has no capabilities in any case. What it writes to must be the user's: an existing
    /// store, or a folder for -C and -G, has to belong to the user; one that is made here does.
    #[arg(short = 'Z', long = "user", value_name = "USER")]
    pub(in crate::cli) user: Option<String>,

    /// Keep the packets of the ssh session that shows the capture, too
    #[arg(long)]
    pub(in crate::cli) own: bool,

    /// Answer GET /metrics at this address, for Prometheus; a port alone: of this machine only
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = parse_address)]
    pub(in crate::cli) metrics: Option<SocketAddr>,

    /// List the interfaces and end
    #[arg(short = 'D', long = "list-interfaces")]
    pub(in crate::cli) list_interfaces: bool,

    /// Measure what this machine can record, into --store DIR too, and how long its disk lasts at
    /// what -i IFACE carries now; takes half a minute and leaves nothing behind
    #[arg(long, conflicts_with_all = ["write", "egress", "no_pcap", "count", "duration", "filter"])]
    pub(in crate::cli) self_test: bool,

    /// Say what was loaded into the kernel, and what it goes by
    #[arg(short = 'v', long, conflicts_with_all = ["self_test", "list_interfaces"])]
    pub(in crate::cli) verbose: bool,

    /// No status line on the terminal
    #[arg(short = 'q', long)]
    pub(in crate::cli) quiet: bool,

    /// End in order when this process, which started the capture, has ended
    #[arg(long, value_name = "PID", hide = true)]
    pub(in crate::cli) end_with: Option<u32>,

    /// Keep only packets that match this libpcap expression, such as 'tcp port 443'
    #[arg(value_name = "FILTER", trailing_var_arg = true)]
    pub(in crate::cli) filter: Vec<String>,
}

/// What gives packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum CaptureSource {
    /// XDP; where the kernel refuses it, packet sockets, with a warning
    Auto,
    /// The XDP program or nothing
    Xdp,
    /// A TPACKET_V3 socket for each interface
    PacketSocket,
}

/// Where the kernel calls the XDP program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum AttachMode {
    /// Native, and generic where the driver has none
    Auto,
    /// In the driver
    Native,
    /// In the kernel's own receive path
    Generic,
}

/// As tcpdump's -C: a plain number counts millions of bytes.
fn parse_file_size(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(millions) => millions
            .checked_mul(1_000_000)
            .ok_or_else(|| "too large".to_owned()),
        Err(_) => parse_size(text),
    }
}

/// Bytes of rings, as the configuration of the daemon takes them, or fewer.
fn parse_rings(text: &str) -> Result<u64, String> {
    const MOST: u64 = MAX_RINGS as u64 * MAX_RING_BYTES as u64;
    match parse_size(text)? {
        bytes if bytes.is_power_of_two() && (4096..=MOST).contains(&bytes) => Ok(bytes),
        _ => Err("a power of two from 4KiB to 16GiB is needed".to_owned()),
    }
}

/// As tcpdump's -G: a plain number counts seconds.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("at least 1 second is needed".to_owned()),
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => parse_duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcpdump_units() {
        assert_eq!(parse_file_size("100"), Ok(100_000_000));
        assert_eq!(parse_file_size("64MiB"), Ok(64 << 20));
        assert!(parse_file_size("0").is_err());
        assert_eq!(parse_seconds("3600"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_seconds("10m"), Ok(Duration::from_secs(600)));
        assert!(parse_seconds("0").is_err());
    }

    #[test]
    fn rings_are_powers_of_two() {
        assert_eq!(parse_rings("64MiB"), Ok(64 << 20));
        assert_eq!(parse_rings("4096"), Ok(4096));
        assert_eq!(parse_rings("16GiB"), Ok(16 << 30));
        for text in ["2048", "100MB", "48MiB", "32GiB", "0"] {
            assert!(parse_rings(text).is_err(), "{text}");
        }
    }
}
