//! What people use today for the question of the reference query, as shell pipelines.

use std::path::Path;
use std::process::Command;

/// One way to the answer that is not ours.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Programs that it needs, each in the Debian package that the skip message names.
    pub(crate) needs: &'static [&'static str],
    pub(crate) package: &'static str,
    /// Prints `address<TAB>count`; `$1` is the capture, `$2` an empty folder.
    script: &'static str,
    /// Too slow to be run more than once.
    pub(crate) once: bool,
}

/// From three columns (source, destination, port) to the table.
macro_rules! count_sources {
    () => {
        " | sort -u | cut -f1 | sort | uniq -c | sort -k1,1nr | head -n 20 \
          | awk '{ print $2 \"\\t\" $1 }'"
    };
}

pub(crate) const PEERS: [Peer; 3] = [
    Peer {
        name: "tshark + sort",
        needs: &["tshark"],
        package: "tshark",
        script: concat!(
            "tshark -n -r \"$1\" -Y 'ip and tcp and !(ip.dst == 10.0.0.0/8)' \
             -T fields -e ip.src -e ip.dst -e tcp.dstport",
            count_sources!()
        ),
        once: true,
    },
    Peer {
        name: "tcpdump + awk",
        needs: &["tcpdump", "awk"],
        package: "tcpdump",
        // Prints "IP a.b.c.d.port > e.f.g.h.port: ...". BPF looks behind a tag only where it is
        // told to, and `vlan` moves the offsets of all that follows it: hence the second half.
        script: "tcpdump -nn -t -q -r \"$1\" \
            '(ip and tcp and not dst net 10.0.0.0/8) or (vlan and ip and tcp and not dst net 10.0.0.0/8)' \
          | awk '{ sub(/\\.[0-9]+$/, \"\", $2); if (!(($2, $4) in seen)) { seen[$2, $4]; count[$2]++ } } \
                 END { for (source in count) print source \"\\t\" count[source] }' \
          | sort -k2,2nr | head -n 20",
        once: false,
    },
    Peer {
        name: "nfpcapd + nfdump",
        needs: &["nfpcapd", "nfdump"],
        package: "nfdump",
        // The flows go to files first, as nfdump works; both steps count.
        script: concat!(
            "nfpcapd -r \"$1\" -w \"$2\" > \"$2.log\" 2>&1 && nfdump -R \"$2\" -q -N -A srcip,dstip,dstport \
             -o 'fmt:%sa %da %dp' 'inet and proto tcp and not dst net 10.0.0.0/8' \
             | awk -v OFS='\\t' 'NF == 3 { print $1, $2, $3 }'",
            count_sources!()
        ),
        once: true,
    },
];

impl Peer {
    /// The pipeline over `file`, with `scratch` as a folder of its own.
    pub(crate) fn command(&self, file: &Path, scratch: &Path) -> Command {
        let mut command = Command::new("sh");
        // One collation for all: bytes, the fastest.
        command
            .env("LC_ALL", "C")
            .args(["-c", self.script, "sh"])
            .arg(file)
            .arg(scratch);
        command
    }

    /// The first program that is not there.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        self.needs
            .iter()
            .copied()
            .find(|program| !is_installed(program))
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
