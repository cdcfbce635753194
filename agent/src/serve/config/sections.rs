//! The keys: what each means and its default. The documented file is made of these lines.

use std::time::Duration;

use super::section::section;
use super::value::{
    Age, Attach, Compression, FileMode, Interface, Journal, Level, Listen, Origin, Path, RingSize,
    Size, Text, Whole,
};

section! {
    /// What is captured.
    Capture as "capture" {
        /// Interfaces, or patterns such as "lan*", each with the tag of its packets behind an
        /// equals sign if it is to have another than "pcap". One that is not there is waited for.
        interfaces: Vec<Interface> = unset_list("[\"lan*\", \"eth0=uplink\"]") live,
        /// Where packets come from: "xdp", "packet-socket" (a socket for each interface: loses packets
        /// earlier under load, and needs CAP_NET_RAW alone), or "auto": XDP, and sockets where the
        /// kernel refuses it and the daemon has that capability.
        source: Origin = default(Origin::Auto, "\"auto\"") restart,
        /// Whether a socket's interface also takes what is sent to other machines (XDP does not
        /// change what an interface takes).
        promiscuous: bool = default(true, "true") restart,
        /// How to attach: "native" (in the driver), "generic" (the kernel's own hook), or "auto":
        /// native, and generic where the driver has none.
        mode: Attach = default(Attach::Auto, "\"auto\"") restart,
        /// Whether what this machine sends is captured, too, not only what comes in (Linux 6.6).
        egress: bool = default(false, "false") restart,
        /// Whether packets are kept; without, only their tuples are: times, addresses, ports,
        /// protocol, flags and length.
        packets: bool = default(true, "true") restart,
        /// Bytes kept of each packet, up to 65535; 0: all.
        snaplen: Whole<0, 65_535> = default(Whole(0), "0") restart,
        /// Keep only packets that match this libpcap expression.
        filter: Option<Text> = unset("\"not port 22\"") restart,
        /// Bytes of all packet rings together, a power of two: what a burst may be ahead of the
        /// disk.
        packet_ring: RingSize = default(RingSize(64 << 20), "\"64MiB\"") restart,
        /// Bytes of all tuple rings together, a power of two.
        tuple_ring: RingSize = default(RingSize(16 << 20), "\"16MiB\"") restart,
        /// The user as whom the part runs that reads packets and writes files, if the daemon is
        /// started as root. Without, it is the daemon's own user, which the installed unit makes
        /// "flowsift"; it has no capabilities in any case.
        user: Option<Text> = unset("\"flowsift\"") restart,
    }
}

section! {
    /// Where packets are kept, and for how long.
    Store as "store" {
        /// The store's folder.
        path: Path = default(Path::new("/var/lib/flowsift"), "\"/var/lib/flowsift\"") restart,
        /// Start a new file when this one has so many bytes.
        file_size: Size<1_048_576> = default(Size(256 << 20), "\"256MiB\"") restart,
        /// Start a new file after this time.
        file_time: Age = default(Age(Duration::from_secs(3_600)), "\"1h\"") restart,
        /// Compress files when they are closed: "zstd", "zstd:LEVEL" (1 to 22) or "none". Without,
        /// what the well's well.toml says counts.
        compress: Option<Compression> = unset("\"zstd\"") restart,
        /// Remove packets older than this. This and the next two hold for each well that the daemon
        /// writes, before its well.toml; other wells keep to theirs. Without any limit packets are
        /// kept for ever.
        keep_age: Option<Age> = unset("\"30d\"") live,
        /// Keep at most so many bytes in each well, the newest.
        keep_size: Option<Size<0>> = unset("\"200GB\"") live,
        /// Remove the oldest packets while the disk has less room than this.
        keep_free: Option<Size<0>> = unset("\"10GB\"") live,
    }
}

section! {
    /// The Unix socket "agent.sock" in the store, on which the daemon is asked how it does and what
    /// it has stored.
    Socket as "socket" {
        /// Whether there is one.
        enabled: bool = default(true, "true") restart,
        /// The permissions of its file. Whatever they are, only root, the daemon's user and members
        /// of the group are answered.
        mode: FileMode = default(FileMode(0o660), "\"0660\"") restart,
        /// The group that it belongs to and whose members may ask; without, the daemon's own. They
        /// must be able to enter the store's folder, too.
        group: Option<Text> = unset("\"adm\"") restart,
        /// Connections at the same time, at most.
        max_subscribers: Whole<1, 1024> = default(Whole(32), "32") live,
    }
}

section! {
    /// Bounds of each query of what is captured at the moment, which who asks is told.
    Limits as "limits" {
        /// Memory that it may take; what needs more is spilled to disk or refused.
        memory: Size<1_048_576> = default(Size(256 << 20), "\"256MiB\"") live,
        /// Time that it may take.
        time: Age = default(Age(Duration::from_secs(60)), "\"60s\"") live,
        /// Rows of its answer.
        rows: Whole<1, 1_000_000_000_000> = default(Whole(1_000_000), "1000000") live,
    }
}

section! {
    /// Counters for a monitoring system, in the text format of Prometheus.
    Metrics as "metrics" {
        /// The address and port to listen on; without, there are none.
        listen: Option<Listen> = unset("\"127.0.0.1:9750\"") restart,
        /// Whether the address may be one that other machines reach.
        allow_remote: bool = default(false, "false") restart,
    }
}

section! {
    /// What the daemon tells of itself, on standard error.
    Log as "log" {
        /// How much: "error", "warn", "info", "debug" or "trace".
        level: Level = default(Level::Info, "\"info\"") live,
        /// The form of lines: "yes", with the priority that the journal reads and no time; "no",
        /// with the time; "auto": the journal's where standard error goes there (JOURNAL_STREAM).
        journal: Journal = default(Journal::Auto, "\"auto\"") restart,
    }
}
