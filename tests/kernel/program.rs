//! `flowsift capture` as it is built: its two processes, their privileges, their end.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use flowsift::store::loss::{Counts, Reason};
use flowsift::store::missed;

use crate::namespace::{Sender, has_xdp, inside, interface, ip, veth, wait_until};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_flowsift");

pub(crate) const NOBODY: u32 = 65_534;

/// The program with its arguments in one text.
pub(crate) fn capture(arguments: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("capture").args(arguments.split(' '));
    command.env_remove("SSH_CONNECTION").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts it on `fs0`, whose other end is given, and waits for both processes.
fn start(command: &mut Command) -> (Child, u32) {
    start_until(command, || has_xdp("fs0"))
}

/// Starts it and waits until it captures, and until both processes are there.
pub(crate) fn start_until(command: &mut Command, captures: fn() -> bool) -> (Child, u32) {
    let mut child = command.spawn().unwrap();
    wait_until(|| captures() || child.try_wait().unwrap().is_some());
    if !captures() {
        panic!("{}", text(&child.wait_with_output().unwrap().stderr));
    }
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let mut worker = None;
    wait_until(|| {
        let text = fs::read_to_string(&children).unwrap();
        worker = text.split_whitespace().next().map(|id| id.parse().unwrap());
        worker.is_some_and(|worker| field(worker, "Seccomp") == "2")
    });
    (child, worker.unwrap())
}

pub(crate) fn field(process: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap().trim().to_owned()
}

pub(crate) fn signal(process: u32, signal: i32) {
    // SAFETY: sends a signal to a process of this test.
    let result = unsafe { libc::kill(process.cast_signed(), signal) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it said on standard error, after a check of its exit code.
pub(crate) fn said(output: &Output, code: i32) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// An Ethernet frame with addresses that nobody has, `protocol` and ports.
pub(crate) fn frame(protocol: u8, from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 46, 0, 1, 0, 0, 64, protocol, 0, 0]);
    frame.extend(from.0);
    frame.extend(to.0);
    frame.extend(from.1.to_be_bytes());
    frame.extend(to.1.to_be_bytes());
    // A UDP length, or the beginning of a TCP sequence number.
    frame.extend([0, 26]);
    frame.resize(60, 0x50);
    frame
}

pub(crate) fn datagram(port: u16) -> Vec<u8> {
    frame(17, ([10, 9, 0, 1], 1000), ([10, 9, 0, 2], port))
}

pub(crate) fn sender() -> Sender {
    veth("fs0", "fs1", 1500);
    Sender::new(&interface("fs1"))
}

/// What the loss tables of an interface counted in all, and their damaged lines.
pub(crate) fn counted(store: &Path, interface: &str) -> (Counts, u64) {
    let all = missed::missed(store, |_| true, i64::MIN, i64::MAX).unwrap();
    let mut of_it = all.iter().filter(|it| it.source.interface == interface);
    let missed = of_it.next().unwrap();
    (missed.loss.counts, missed.damaged_lines)
}

/// Packets in all capture files below a folder.
pub(crate) fn stored(folder: &Path) -> usize {
    let inputs = flowsift::capfile::discover(&[folder.to_str().unwrap().to_owned()]).unwrap();
    let mut packets = 0;
    for input in &inputs {
        let mut reader = input.open().unwrap();
        while reader.next_frame().is_some() {
            packets += 1;
        }
        assert!(reader.warnings().is_empty());
    }
    packets
}

fn count_files(folder: &Path, extension: &str) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += count_files(&path, extension);
        } else if path.extension().is_some_and(|it| it == extension) {
            count += 1;
        }
    }
    count
}

#[test]
fn two_processes_with_the_least_each_write_a_store() {
    least("");
}

#[test]
fn the_one_that_writes_may_be_another_user() {
    least("nobody");
}

/// Filter, rotation by size and time, sidecars and retention, all without privileges.
fn least(user: &str) {
    if !inside() {
        return;
    }
    let sender = sender();
    let folder = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), all).unwrap();
    let store = folder.path().join("store");
    let options = format!(
        "-i fs* --store {} -C 4KiB -G 1 --keep-age 1h --keep-size 1GB --keep-free 1MiB",
        store.display()
    );
    let mut command = capture(&options);
    if !user.is_empty() {
        command.args(["-Z", user]);
    }
    let (child, worker) = start(command.args(["udp", "port", "53"]));
    let parent = child.id();
    // CAP_NET_ADMIN (12), CAP_PERFMON (38), CAP_BPF (39), and nothing.
    for (process, capabilities) in [(parent, "000000c000001000"), (worker, "0000000000000000")] {
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(field(process, set), capabilities, "{set}");
        }
        assert_eq!(field(process, "NoNewPrivs"), "1");
    }
    let uid = if user.is_empty() { 0 } else { NOBODY };
    assert_eq!(field(worker, "Uid"), format!("{uid}\t{uid}\t{uid}\t{uid}"));
    for round in 1..=2 {
        for _ in 0..50 {
            sender.send(&datagram(53)).unwrap();
            sender.send(&datagram(54)).unwrap();
        }
        wait_until(|| count_files(&store, "parquet") >= round);
    }
    signal(parent, libc::SIGUSR1);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    signal(parent, libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    let lines: Vec<&str> = said.lines().filter(|it| it.starts_with("fs0: ")).collect();
    assert_eq!(
        lines, ["fs0: 200 packets seen, 100 stored, 0 dropped"; 2],
        "{said}"
    );
    assert!(
        said.contains("\n  100 left out by the capture filter\n"),
        "{said}"
    );
    assert_eq!(stored(&store), 100);
    let (counted, damaged) = counted(&store, "fs0");
    assert_eq!((counted.seen, counted.stored, damaged), (200, 100, 0));
    assert_eq!(counted.dropped(Reason::Filter), 100);
    let (captures, sidecars) = (count_files(&store, "pcap"), count_files(&store, "parquet"));
    assert!(captures > 1 && captures == sidecars, "{captures}, {said}");
    assert!(!has_xdp("fs0"));
}

#[test]
fn the_end_of_either_process_is_an_orderly_one() {
    if !inside() {
        return;
    }
    let sender = sender();
    let folder = tempfile::tempdir().unwrap();
    for (stop, code) in [(libc::SIGTERM, 0), (libc::SIGHUP, 0)] {
        let file = folder.path().join(format!("{stop}.pcap"));
        let (child, _) = start(&mut capture(&format!("-i fs0 -w {}", file.display())));
        sender.send(&datagram(1)).unwrap();
        signal(child.id(), stop);
        said(&child.wait_with_output().unwrap(), code);
        assert_eq!(stored(&file), 1);
    }
    // The privileged process is killed: what was captured is written.
    let file = folder.path().join("parent.pcap");
    let (mut child, worker) = start(&mut capture(&format!("-i fs0 -w {}", file.display())));
    for _ in 0..10 {
        sender.send(&datagram(1)).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said_at_last = String::new();
    let mut errors = child.stderr.take().unwrap();
    // Until the worker ends, too.
    errors.read_to_string(&mut said_at_last).unwrap();
    assert!(said_at_last.contains("10 stored"), "{said_at_last}");
    assert!(
        said_at_last.contains("the privileged process is gone"),
        "{said_at_last}"
    );
    assert_eq!(stored(&file), 10);
    assert!(!has_xdp("fs0") && !Path::new(&format!("/proc/{worker}/exe")).exists());
    // The worker is killed.
    let (child, worker) = start(&mut capture("-i fs0 -w /dev/null"));
    signal(worker, libc::SIGKILL);
    let said = said(&child.wait_with_output().unwrap(), 1);
    assert!(
        said.contains("the process that writes was ended by signal 9"),
        "{said}"
    );
    assert!(!has_xdp("fs0"));
}

#[test]
fn an_interface_that_comes_back_is_captured_again() {
    if !inside() {
        return;
    }
    let mut sender = sender();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pcap");
    let options = format!("-i fs0 -i late* -w {}", file.display());
    // There must be one to begin with.
    veth("late0", "late1", 1500);
    let (child, _) = start(&mut capture(&options));
    sender.send(&datagram(1)).unwrap();
    ip("link delete fs0");
    for (near, far) in [("fs0", "fs1"), ("late2", "late3")] {
        veth(near, far, 1500);
        wait_until(|| has_xdp(near));
        sender = Sender::new(&interface(far));
        sender.send(&datagram(2)).unwrap();
    }
    signal(child.id(), libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    let gone = said.find("note: fs0: gone; capture goes on when it is back\n");
    let back = said.find("note: fs0: back\n");
    assert!(gone.is_some() && gone < back, "{said}");
    for expected in [
        "fs0: 2 packets seen, 2 stored",
        "late2: 1 packets seen, 1 stored",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(stored(&file), 3);
}

#[test]
fn what_this_machine_sends_is_stored_where_it_is_wanted() {
    if !inside() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Sent and received, before the interface goes and after it is back.
    for (options, expected) in [("", 2), (" --egress", 4)] {
        let file = folder.path().join(format!("{expected}.pcap"));
        let options = format!("-i fs0 -i keep0 -w {}{options}", file.display());
        veth("keep0", "keep1", 1500);
        veth("fs0", "fs1", 1500);
        let mut command = capture(&options);
        if options.ends_with("--egress") && !has_tcx() {
            let said = said(&command.output().unwrap(), 1);
            assert!(said.contains("cannot capture what "), "{said}");
            assert!(said.contains("has no tcx hook"), "{said}");
            assert!(said.contains("needs Linux 6.6"), "{said}");
            assert!(!file.exists() && !has_xdp("fs0"));
            return;
        }
        let (child, _) = start(&mut command);
        for round in 0..2 {
            for name in ["fs0", "fs1"] {
                Sender::new(&interface(name)).send(&datagram(1)).unwrap();
            }
            ip("link delete fs0");
            if round == 0 {
                veth("fs0", "fs1", 1500);
                wait_until(|| has_xdp("fs0"));
                // The second program follows the first at once.
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        }
        signal(child.id(), libc::SIGINT);
        let said = said(&child.wait_with_output().unwrap(), 0);
        let line = format!("fs0: {expected} packets seen, {expected} stored, 0 dropped");
        assert!(said.contains(&line), "{said}");
        let note = "note: fs0: what this machine sends is captured before the card";
        assert_eq!(said.contains(note), expected == 4, "{said}");
        assert_eq!(stored(&file), expected);
        ip("link delete keep0");
    }
}

#[test]
fn what_was_loaded_is_said_where_it_is_asked_for() {
    if !inside() {
        return;
    }
    let sender = sender();
    let rings = "--packet-ring 8MiB --tuple-ring 8MiB";
    for (verbose, expected) in [("", false), (" -v", true)] {
        let options = format!("-i fs0 -w /dev/null -c 1 {rings}{verbose}");
        let (child, _) = start(&mut capture(&options));
        sender.send(&datagram(1)).unwrap();
        let said = said(&child.wait_with_output().unwrap(), 0);
        // What the loader set, as the kernel side read it.
        let marks = " rings of each kind; the reader is woken each ";
        assert_eq!(said.contains(marks), expected, "{said}");
        let program = "note: kernel program flowsift_xdp: id ";
        assert_eq!(said.contains(program), expected, "{said}");
        assert!(!said.contains("flowsift_tcx") && !said.contains("flowsift_facts"));
    }
}

/// Linux 6.6 has it.
fn has_tcx() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(6))
}

#[test]
fn a_second_interrupt_ends_both_at_once() {
    if !inside() {
        return;
    }
    let sender = sender();
    // Nobody reads the pipe, so that an orderly end would never come.
    let mut command = capture("-i fs0 -w -");
    let (mut child, worker) = start(command.process_group(0));
    let mut big = datagram(1);
    big.resize(1500, 0);
    for _ in 0..200 {
        sender.send(&big).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let group = child.id().cast_signed();
    let interrupt = || {
        // SAFETY: sends a signal to the group of processes that this test started.
        assert_eq!(unsafe { libc::killpg(group, libc::SIGINT) }, 0);
    };
    interrupt();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it still has to write");
    interrupt();
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    wait_until(|| !Path::new(&format!("/proc/{worker}/exe")).exists());
}

#[test]
fn the_ssh_session_that_shows_the_stream_is_left_out() {
    if !inside() {
        return;
    }
    let sender = sender();
    let (client, server) = (([10, 9, 0, 2], 40_000), ([10, 9, 0, 1], 22));
    let session = [frame(6, client, server), frame(6, server, client)];
    for (options, left_out) in [("-i fs0 -w - -q", 2), ("-i fs0 -w - -q --own", 0)] {
        let mut command = capture(options);
        command.env("SSH_CONNECTION", "10.9.0.2 40000 10.9.0.1 22");
        let (child, _) = start(&mut command);
        for packet in session
            .iter()
            .chain([&datagram(1), &frame(6, (client.0, 40_001), server)])
        {
            sender.send(packet).unwrap();
        }
        signal(child.id(), libc::SIGINT);
        let output = child.wait_with_output().unwrap();
        let said = said(&output, 0);
        assert!(said.contains(&format!("4 packets seen, {} stored", 4 - left_out)));
        assert_eq!(output.stdout.len(), 24 + (4 - left_out) * (16 + 60));
        assert_eq!(
            said.contains("  2 left out: the agent's own connections\n"),
            left_out == 2,
            "{said}"
        );
        let note = "note: the packets of this ssh session (10.9.0.2:40000 and 10.9.0.1:22)";
        assert_eq!(said.contains(note), left_out == 2, "{said}");
    }
    // A file is no way to the session.
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = capture(&format!("-i fs0 -w {}", file.path().display()));
    command.env("SSH_CONNECTION", "10.9.0.2 40000 10.9.0.1 22");
    let (child, _) = start(&mut command);
    sender.send(&session[0]).unwrap();
    signal(child.id(), libc::SIGINT);
    assert!(said(&child.wait_with_output().unwrap(), 0).contains("1 stored"));
}

#[test]
fn a_filter_sees_whole_packets_that_are_cut_then() {
    if !inside() {
        return;
    }
    let sender = sender();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pcap");
    // The ports are behind what is kept.
    let command = format!("-i fs0 -s 20 -c 3 -w {} udp dst port 53", file.display());
    let (child, _) = start(&mut capture(&command));
    for _ in 0..5 {
        sender.send(&datagram(53)).unwrap();
        sender.send(&datagram(54)).unwrap();
    }
    let said = said(&child.wait_with_output().unwrap(), 0);
    assert!(said.contains("3 stored, 0 dropped"), "{said}");
    assert!(said.contains("  3 cut to the snap length"), "{said}");
    let bytes = fs::read(&file).unwrap();
    assert_eq!(bytes.len(), 24 + 3 * (16 + 20));
    assert_eq!(&bytes[32..40], [20, 0, 0, 0, 60, 0, 0, 0]);
}
