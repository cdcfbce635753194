//! What `flowsift capture` says where it cannot capture, with which exit code, and `-D`.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use flowsift::capture::Mode;

use crate::namespace::{has_xdp, inside, interface, ip, veth};
use crate::program::{NOBODY, PROGRAM, capture, said, text};
use crate::support::{ALL, Kernel, ROOMY, skip};

#[test]
fn what_cannot_be_done_is_said_before_anything_is_written() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pcap");
    fs::write(&file, "precious").unwrap();
    let file = file.to_str().unwrap();
    let mut other = Kernel::load(ROOMY).unwrap();
    let held = other.program.attach(&interface("fs0"), ALL, Mode::Auto);
    for (arguments, code, expected) in [
        (
            format!("-i fs0 -w {file} tcp and nonsense"),
            2,
            "error: cannot compile the capture filter 'tcp and nonsense' at column 9: ",
        ),
        (
            format!("-i fs0 -w {file} tcp and nonsense"),
            2,
            "  hint: the syntax is that of tcpdump: man 7 pcap-filter\n",
        ),
        (
            format!("-i fs0 -w {file} -Z no-such-user"),
            2,
            "error: there is no user no-such-user\n",
        ),
        ("-i fs0".to_owned(), 2, "error: nowhere to write to\n"),
        (format!("-w {file}"), 2, "error: the following required"),
        (
            format!("-i fs9 -w {file}"),
            1,
            "error: there is no interface fs9\n  hint: there are: ",
        ),
        (
            format!("-i wan* -w {file}"),
            1,
            "error: no interface matches wan*\n",
        ),
        (
            format!("-i lo --mode native -w {file}"),
            1,
            "error: cannot capture on lo in native mode: ",
        ),
        (
            format!("-i fs0 -w {file}"),
            1,
            "  hint: one interface has one XDP program; stop the other first\n",
        ),
    ] {
        let output = capture(&arguments).output().unwrap();
        let said = said(&output, code);
        assert!(said.contains(expected), "{arguments}: {said}");
        assert_eq!(fs::read_to_string(file).unwrap(), "precious", "{arguments}");
    }
    drop(held);
    let missing = folder.path().join("no/x.pcap");
    let arguments = format!("-i fs0 -w {}", missing.display());
    let said = said(&capture(&arguments).output().unwrap(), 1);
    let expected = format!("error: cannot create {}: No such file", missing.display());
    assert!(said.starts_with(&expected), "{said}");
    assert!(!has_xdp("fs0"));
}

#[test]
fn interfaces_are_listed() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    ip("tuntap add tun9 mode tun");
    let output = capture("-D").output().unwrap();
    said(&output, 0);
    let listed = text(&output.stdout);
    for expected in ["lo", "fs0", "fs1"] {
        assert!(listed.lines().any(|line| line == expected), "{listed}");
    }
    let tunnel = "tun9\tnot Ethernet: cannot be captured";
    assert!(listed.lines().any(|line| line == tunnel), "{listed}");
}

#[test]
fn who_lacks_capabilities_learns_which_and_what_to_do() {
    // SAFETY: reads a number of this process.
    if unsafe { libc::geteuid() } != 0 {
        return skip("not root, so that nobody else can be become");
    }
    // The folder of the build may be closed to others.
    let folder = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), all).unwrap();
    let program = folder.path().join("flowsift");
    fs::copy(PROGRAM, &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["capture", "-i", "lo", "-w", "/dev/null"]);
    let output = command.uid(NOBODY).gid(NOBODY).output().unwrap();
    let said = said(&output, 1);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("error: cannot load the kernel program: "));
    let because = "  because this process lacks CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF";
    assert!(lines.contains(&because), "{said}");
    assert!(lines.contains(&"  hint: run it with sudo"), "{said}");
    let grant = format!(
        "        or give the program what it needs: sudo setcap \
         cap_net_admin,cap_perfmon,cap_bpf+ep {}",
        program.display()
    );
    assert!(lines.contains(&grant.as_str()), "{said}");
}
