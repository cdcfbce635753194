//! Sends packets into a veth pair: by tcpreplay.

use std::path::Path;

use crate::room::run;

/// What tcpreplay says that it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) failed: u64,
}

/// Sends the packets of capture files, one file after the other.
pub(crate) fn tcpreplay(interface: &str, options: &[&str], files: &[&Path]) -> Sent {
    let mut arguments = vec!["-i", interface, "--no-flow-stats"];
    arguments.extend(options);
    arguments.extend(files.iter().map(|path| path.to_str().unwrap()));
    let said = run("tcpreplay", &arguments);
    let number = |label: &str| {
        let line = said.lines().find(|line| line.contains(label))?;
        line.rsplit(char::is_whitespace).next()?.parse().ok()
    };
    // Of nothing sent it says nothing.
    Sent {
        packets: number("Successful packets:").unwrap_or(0),
        failed: number("Failed packets:").unwrap_or(0),
    }
}
