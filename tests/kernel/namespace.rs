//! A network namespace of a test's own, interfaces in it, and a sender of frames.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use flowsift::capture::Interface;

use crate::support::{Kernel, ROOMY, skip, test_name};

/// Set in the process that is alone in its namespace.
const INSIDE: &str = "FLOWSIFT_INSIDE_NAMESPACE";

/// Whether this process is the one in the namespace; else runs this test of this binary again,
/// alone in a new network namespace that ends with it.
pub(crate) fn inside() -> bool {
    if std::env::var_os(INSIDE).is_some() {
        // No neighbour discovery among the frames.
        for which in ["all", "default"] {
            let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
            std::fs::write(path, "1").unwrap();
        }
        return true;
    }
    if Kernel::load(ROOMY).is_none() {
        return false;
    }
    for tool in ["unshare", "ip"] {
        if Command::new(tool).arg("--help").output().is_err() {
            skip(&format!("{tool} is not installed"));
            return false;
        }
    }
    let output = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &test_name(), "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{stdout}\n{stderr}"
    );
    crate::support::say(stderr.trim_end());
    false
}

/// A pair of interfaces, both up: what is sent on `far` arrives on `near`.
pub(crate) fn veth(near: &str, far: &str, mtu: u32) {
    let mtu = mtu.to_string();
    ip(&format!(
        "link add {near} mtu {mtu} type veth peer name {far} mtu {mtu}"
    ));
    ip(&format!("link set {near} up"));
    ip(&format!("link set {far} up"));
    wait_for_queue(far);
}

/// Waits until what is sent on an interface goes out. The kernel starts the queue some time after
/// the other end is up (`linkwatch`), and until then takes frames and drops them.
pub(crate) fn wait_for_queue(name: &str) {
    wait_until(|| {
        let shown = ip(&format!("-o link show {name}"));
        shown.contains(" state UP ") && !shown.contains(" qdisc noop ")
    });
}

/// An interface by its name.
pub(crate) fn interface(name: &str) -> Interface {
    let listed = flowsift::capture::list().unwrap();
    listed.into_iter().find(|it| it.name == name).unwrap()
}

/// Runs `ip` and gives what it prints.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Has `ip` do a row of things in one process.
pub(crate) fn batch(lines: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines).unwrap();
    let status = Command::new("ip").arg("-batch").arg(file.path()).status();
    assert!(status.unwrap().success());
}

/// Whether `ip` shows an XDP program on the interface.
pub(crate) fn has_xdp(name: &str) -> bool {
    ip(&format!("-o link show {name}")).contains("xdp")
}

/// Sends frames as they are, as tcpreplay does: by a packet socket.
pub(crate) struct Sender {
    socket: OwnedFd,
    address: libc::sockaddr_ll,
}

impl Sender {
    pub(crate) fn new(interface: &Interface) -> Self {
        // SAFETY: creates a descriptor and touches no memory.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: all zeros is a valid value of this plain structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = interface.index as i32;
        address.sll_halen = 6;
        // SAFETY: the kernel has just given us this descriptor.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        Self { socket, address }
    }

    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the kernel reads the frame and the address, both of the lengths that are said.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const self.address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        assert_eq!(sent as usize, frame.len());
        Ok(())
    }
}

/// Fails if it does not come to that within a time that is enough for an emulated machine, too.
pub(crate) fn wait_until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "it did not come to that"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a packet socket receives from the interface (`/proc/net/packet`: the fifth column is
/// the interface's number, the sixth whether it receives).
pub(crate) fn has_socket(name: &str) -> bool {
    let index = interface(name).index.to_string();
    let text = std::fs::read_to_string("/proc/self/net/packet").unwrap();
    text.lines().skip(1).any(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        columns[4] == index && columns[5] == "1"
    })
}
