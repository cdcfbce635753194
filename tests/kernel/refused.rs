//! What `flowsift capture` says where it cannot capture, with which exit code, and `-D`.

use std::ffi::CString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flowsift::capture::Mode;

use crate::namespace::{has_xdp, inside, interface, veth};
use crate::program::{NOBODY, PROGRAM, capture, said, signal, start_until, text};
use crate::support::{ALL, Kernel, ROOMY, say_skipped, skip};

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
        (
            "-i fs0 -w - -C 1".to_owned(),
            2,
            "error: -C, -G and -W divide a stream into files, and standard output is one\n",
        ),
        (
            "-i fs0 -w - -G 1".to_owned(),
            2,
            "  hint: leave them out, or name a file: -w FILE\n",
        ),
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
    // Of several that a pattern means, it is left out.
    let (child, _) = start_until(&mut capture("-i fs* -w /dev/null"), || has_xdp("fs1"));
    signal(child.id(), libc::SIGINT);
    let left_out = said(&child.wait_with_output().unwrap(), 0);
    let note = "note: cannot capture on fs0: ";
    assert!(left_out.contains(note), "{left_out}");
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
    let tun = Command::new("ip")
        .args(["tuntap", "add", "tun9", "mode", "tun"])
        .output();
    let tun = tun.unwrap().status.success();
    if !tun {
        say_skipped("this kernel has no TUN, so there is no interface that is not Ethernet");
    }
    let output = capture("-D").output().unwrap();
    said(&output, 0);
    let listed = text(&output.stdout);
    for expected in ["lo", "fs0", "fs1"] {
        assert!(listed.lines().any(|line| line == expected), "{listed}");
    }
    let tunnel = "tun9\tnot Ethernet: cannot be captured";
    assert_eq!(listed.lines().any(|line| line == tunnel), tun, "{listed}");
}

/// A copy of the program in a folder that is open to all, as that of the build may not be.
pub(crate) fn copy() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(folder.path(), all).unwrap();
    let program = folder.path().join("flowsift");
    fs::copy(PROGRAM, &program).unwrap();
    (folder, program)
}

/// Runs a command of a fresh copy. A child that a test beside this one is just starting may still
/// hold our descriptor of the copy, and what is open for writing cannot be run.
pub(crate) fn output_of(mut command: Command) -> Output {
    loop {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now();
            }
            result => return result.unwrap(),
        }
    }
}

/// As `setcap cap_net_admin,cap_perfmon,cap_bpf+ep` does (`capabilities(7)`, version 2); whether
/// the file system keeps it.
fn give_capabilities(program: &Path) -> bool {
    set_capabilities(program, 1 << 12, 1 << (38 - 32) | 1 << (39 - 32))
}

/// Those of two masks, of the first 32 and those behind.
pub(crate) fn set_capabilities(program: &Path, low: u32, high: u32) -> bool {
    // Version and the effective flag; permitted and inheritable, low and high.
    let words: [u32; 5] = [0x0200_0001, low, 0, high, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let path = CString::new(program.to_str().unwrap()).unwrap();
    let name = c"security.capability";
    // SAFETY: reads two texts, and as many bytes as the value has.
    let result = unsafe {
        libc::setxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    result == 0
}

#[test]
fn the_advice_to_set_capabilities_is_right() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let (folder, program) = copy();
    if !give_capabilities(&program) {
        return say_skipped("the file system keeps no capabilities of files");
    }
    let file = folder.path().join("x.pcap");
    let store = folder.path().join("store");
    for (option, path) in [("-w", &file), ("--store", &store)] {
        let mut command = Command::new(&program);
        command.args(["capture", "-i", "fs0", "--duration", "100ms", option]);
        command.arg(path).uid(NOBODY).gid(NOBODY);
        let said = said(&output_of(command), 0);
        assert!(
            said.contains("fs0: 0 packets seen, 0 stored, 0 dropped\n"),
            "{said}"
        );
        assert!(path.exists());
    }
}

#[test]
fn who_lacks_capabilities_learns_which_and_what_to_do() {
    // SAFETY: reads a number of this process.
    if unsafe { libc::geteuid() } != 0 {
        return skip("not root, so that nobody else can be become");
    }
    let (_folder, program) = copy();
    let mut command = Command::new(&program);
    command.args(["capture", "-i", "lo", "-w", "/dev/null"]);
    command.uid(NOBODY).gid(NOBODY);
    let said = said(&output_of(command), 1);
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
