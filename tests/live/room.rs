//! Where a test runs: network, mount and process namespaces of its own, and what is in them.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flowsift::capture::{Program, ProgramError, Settings};

/// Set in the process that is alone in its namespaces.
const INSIDE: &str = "FLOWSIFT_LIVE_INSIDE";

/// What is run beside the program.
const TOOLS: [&str; 6] = ["unshare", "ip", "mount", "tcpreplay", "tcpdump", "tshark"];

/// Smaller than the kernel needs, so that it is rounded up to the least there is.
const LEAST: Settings = Settings {
    tuple_ring_bytes: 1,
    packet_ring_bytes: 1,
    shards: 1,
};

/// One test at a time has the processors: what is lost must not depend on the others.
static TURN: Mutex<()> = Mutex::new(());

/// Whether this process is the one in the namespaces; else runs the test of this name again in
/// new ones. They, and all processes in them, end with that test.
pub(crate) fn alone<T>(_test: &T) -> bool {
    let name = std::any::type_name::<T>();
    let name = name.split_once("::").unwrap().1;
    if std::env::var_os(INSIDE).is_some() {
        // No neighbour discovery among the packets.
        for which in ["all", "default"] {
            let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
            std::fs::write(path, "1").unwrap();
        }
        return true;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(reason) = hindrance() {
        skip(name, &reason);
        return false;
    }
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child"])
        .arg("--mount-proc")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{stdout}\n{stderr}"
    );
    say(stderr.trim_end());
    false
}

/// Why tests cannot run here.
fn hindrance() -> Option<String> {
    // SAFETY: reads an identifier of this process.
    if unsafe { libc::geteuid() } != 0 {
        return Some("not root".to_owned());
    }
    let missing = |tool: &&str| Command::new(tool).arg("--version").output().is_err();
    if let Some(tool) = TOOLS.iter().find(|tool| missing(tool)) {
        return Some(format!("{tool} is not installed"));
    }
    match Program::load(&LEAST) {
        Ok(_) => None,
        Err(error @ (ProgramError::Permission(_) | ProgramError::Unsupported { .. })) => {
            Some(error.to_string())
        }
        Err(error) => panic!("{error}"),
    }
}

/// Says why a test does nothing, or fails it where it must be able to run.
pub(crate) fn skip(test: &str, reason: &str) {
    let required = std::env::var_os("FLOWSIFT_REQUIRE_KERNEL").is_some_and(|value| value == "1");
    assert!(!required, "FLOWSIFT_REQUIRE_KERNEL=1, but {reason}");
    say(&format!("SKIPPED {test}: {reason}"));
}

/// Reports past the test harness's capture of its output.
pub(crate) fn say(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// A folder that goes with the test.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    // Also the part of the program that has dropped its privileges gets there.
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), all).unwrap();
    folder
}

/// A path in it as text.
pub(crate) fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.unwrap().to_owned()
}

/// Makes a pair of interfaces, both up: what is sent on `far` arrives on `near`.
pub(crate) fn veth(near: &str, far: &str, mtu: u32) {
    ip(&format!(
        "link add {near} mtu {mtu} type veth peer name {far} mtu {mtu}"
    ));
    for name in [near, far] {
        ip(&format!("link set {name} up"));
    }
}

/// Runs `ip` and gives what it prints.
pub(crate) fn ip(arguments: &str) -> String {
    run("ip", &arguments.split(' ').collect::<Vec<_>>())
}

/// Runs a program that must succeed, and gives what it prints.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a program is attached to the interface.
pub(crate) fn has_xdp(name: &str) -> bool {
    ip(&format!("-o link show {name}")).contains("xdp")
}

/// Whether a packet socket receives from the interface (`/proc/net/packet`: the fifth column is
/// the interface's number, the sixth whether it receives).
pub(crate) fn has_socket(name: &str) -> bool {
    let shown = ip(&format!("-o link show {name}"));
    let index = shown.split(':').next().unwrap();
    let text = std::fs::read_to_string("/proc/self/net/packet").unwrap();
    text.lines().skip(1).any(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        columns[4] == index && columns[5] == "1"
    })
}

/// Packets that the pair lost between its ends, before anything could capture them.
pub(crate) fn lost_by_veth(far: &str) -> u64 {
    // Of this namespace, unlike /sys. Eight numbers of what was received, then what was sent: bytes,
    // packets, errors, dropped, ... What the near end calls dropped is what no protocol wanted.
    let text = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    let start = format!("{far}:");
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(&start));
    let numbers = line.unwrap().split_whitespace();
    numbers
        .map(|number| number.parse().unwrap())
        .nth(11)
        .unwrap()
}

/// Fails if it does not come to that within ten seconds.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        let waited = start.elapsed();
        assert!(
            waited < Duration::from_secs(10),
            "it did not come to: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
