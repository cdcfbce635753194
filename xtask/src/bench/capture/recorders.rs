//! The recorders: how each is started, and how its last words say what it recorded.

use std::path::Path;

/// One way to record.
pub(super) struct Recorder {
    pub(super) name: &'static str,
    /// `None` is flowsift; the Debian package of any other is in `package`.
    pub(super) program: Option<&'static str>,
    package: &'static str,
    /// Folders that it wants to find in `STORE`.
    pub(super) folders: &'static [&'static str],
    /// What ends it.
    pub(super) signal: libc::c_int,
    /// `IFACE`, `STORE` and `FILE`, also behind a `=`, stand for what they are called in a run.
    pub(super) arguments: &'static [&'static str],
    /// Packets that it recorded, from what it printed.
    pub(super) recorded: fn(&str) -> Option<u64>,
}

/// All with 64 MB between the kernel and themselves.
const RECORDERS: [Recorder; 10] = [
    Recorder {
        name: "flowsift -w /dev/null",
        program: None,
        package: "",
        folders: &[],
        signal: libc::SIGINT,
        arguments: &["capture", "-q", "-i", "IFACE", "-w", "/dev/null"],
        recorded: stored,
    },
    Recorder {
        name: "flowsift --no-pcap",
        program: None,
        package: "",
        folders: &[],
        signal: libc::SIGINT,
        arguments: &[
            "capture",
            "-q",
            "-i",
            "IFACE",
            "--no-pcap",
            "--store",
            "STORE",
        ],
        recorded: stored,
    },
    Recorder {
        name: "flowsift --store",
        program: None,
        package: "",
        folders: &[],
        signal: libc::SIGINT,
        arguments: &["capture", "-q", "-i", "IFACE", "--store", "STORE"],
        recorded: stored,
    },
    Recorder {
        name: "tcpdump > /dev/null",
        program: Some("tcpdump"),
        package: "tcpdump",
        folders: &[],
        signal: libc::SIGINT,
        arguments: &["-n", "-i", "IFACE", "-B", "65536", "-w", "/dev/null"],
        recorded: tcpdump,
    },
    Recorder {
        name: "tcpdump > file",
        program: Some("tcpdump"),
        package: "tcpdump",
        folders: &[],
        signal: libc::SIGINT,
        arguments: &[
            "-n", "-i", "IFACE", "-B", "65536", "-Z", "root", "-w", "FILE",
        ],
        recorded: tcpdump,
    },
    Recorder {
        name: "dumpcap > /dev/null",
        program: Some("dumpcap"),
        package: "wireshark-common",
        folders: &[],
        signal: libc::SIGINT,
        arguments: &["-q", "-i", "IFACE", "-B", "64", "-w", "/dev/null"],
        recorded: dumpcap,
    },
    Recorder {
        name: "dumpcap > file",
        program: Some("dumpcap"),
        package: "wireshark-common",
        folders: &[],
        signal: libc::SIGINT,
        arguments: &["-q", "-i", "IFACE", "-B", "64", "-w", "FILE"],
        recorded: dumpcap,
    },
    Recorder {
        name: "netsniff-ng > /dev/null",
        program: Some("netsniff-ng"),
        package: "netsniff-ng",
        folders: &[],
        signal: libc::SIGINT,
        arguments: &["-s", "-i", "IFACE", "-S", "64MiB", "-o", "/dev/null"],
        recorded: netsniff,
    },
    Recorder {
        name: "netsniff-ng > file",
        program: Some("netsniff-ng"),
        package: "netsniff-ng",
        folders: &[],
        signal: libc::SIGINT,
        arguments: &["-s", "-i", "IFACE", "-S", "64MiB", "-o", "FILE"],
        recorded: netsniff,
    },
    Recorder {
        name: "stenotype > files",
        program: Some("stenotype"),
        package: "stenographer",
        folders: &["PKT0", "IDX0"],
        // It was seen to wait for ever for its last write; each block's line is a last word.
        signal: libc::SIGKILL,
        arguments: &[
            "--iface=IFACE",
            "--dir=STORE",
            "--threads=1",
            "--blocks=64",
            "--aiops=32",
            "--seccomp=none",
            "--uid=root",
            "--gid=root",
            "--blockage_sec=1",
            "--stats_blocks=1",
            "-v",
        ],
        recorded: stenotype,
    },
];

/// Stores with rings of the usual size, under a sender that is faster.
pub(super) const STORE: &Recorder = &RECORDERS[2];

/// Those with this in their names that can run here; of others it is said what they need.
pub(super) fn present(named: &str) -> impl Iterator<Item = &'static Recorder> {
    RECORDERS
        .iter()
        .filter(move |recorder| recorder.name.contains(named))
        .filter(|recorder| match recorder.program {
            None => true,
            Some(program) if is_installed(program) => true,
            Some(_) => {
                eprintln!("SKIPPED: {}: install {}", recorder.name, recorder.package);
                false
            }
        })
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    let more = ["/usr/sbin", "/sbin"].map(Path::new);
    folders.any(|folder| folder.join(program).is_file())
        || more.iter().any(|folder| folder.join(program).is_file())
}

/// The number right before `words`.
pub(super) fn number_before(text: &str, words: &str) -> Option<u64> {
    let before = text
        .split(words)
        .next()
        .filter(|before| before.len() < text.len())?;
    before.split_whitespace().next_back()?.parse().ok()
}

fn stored(text: &str) -> Option<u64> {
    number_before(text, " stored")
}

/// flowsift's: all that were seen but those without a tuple.
pub(super) fn tuples(text: &str) -> Option<u64> {
    let lost = number_before(text, " without a tuple").unwrap_or(0);
    Some(number_before(text, " packets seen")? - lost)
}

fn tcpdump(text: &str) -> Option<u64> {
    number_before(text, " packets captured")
}

/// `Packets received/dropped on interface 'bench0': 12/3 (pcap:3/...)`
fn dumpcap(text: &str) -> Option<u64> {
    let (_, line) = text.split_once("Packets received/dropped on interface ")?;
    let (received, _) = line.split_once(": ")?.1.split_once('/')?;
    received.parse().ok()
}

fn netsniff(text: &str) -> Option<u64> {
    number_before(text, "  packets passed filter")
}

/// `Thread 0 stats: MB=1 secs=9.02926 MBps=0.110751 packets=3904 blocks=1 polls=10 drops=0`
fn stenotype(text: &str) -> Option<u64> {
    let (_, behind) = text.rsplit_once(" packets=")?;
    behind.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words() {
        let ours = "bench0: 30 packets seen, 20 stored, 10 dropped\n  10 dropped: the packet ring was full\n  4 without a tuple: the tuple ring was full\n";
        assert_eq!((stored(ours), tuples(ours)), (Some(20), Some(26)));
        let alone = "bench0: 30 packets seen, 26 stored as tuples, 4 dropped\n";
        assert_eq!(stored(alone), Some(26));
        assert_eq!(
            tcpdump("listening\n7 packets captured\n9 packets received"),
            Some(7)
        );
        let dumpcap_said = "Packets captured: 12\nPackets received/dropped on interface 'b0': 12/3 (pcap:3/dumpcap:0) (80.0%)";
        assert_eq!(dumpcap(dumpcap_said), Some(12));
        let netsniff_said = "\n           5  packets incoming (0 unread on exit)\n           4  packets passed filter\n";
        assert_eq!(netsniff(netsniff_said), Some(4));
        let sten_said = "T:1 Thread 0 stats: MB=1 packets=3 blocks=1\nT:1 Thread 0 stats: MB=1 secs=9.0 packets=3904 blocks=1 polls=10 drops=0";
        assert_eq!(stenotype(sten_said), Some(3904));
        assert_eq!(stored("nothing"), None);
    }
}
