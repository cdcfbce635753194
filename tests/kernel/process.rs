//! Several processes: what is left when one is killed, and what one without capabilities can read.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use flowsift::capture::{Counters, Mode, PacketRings, Program, TupleRings};

use crate::counters::DATAGRAM;
use crate::namespace::{has_xdp, inside, interface, veth, wait_until};
use crate::support::{ALL, Kernel, ROOMY, test_name};

/// Set in a process that another test starts, to what it shall do.
const ROLE: &str = "FLOWSIFT_ROLE";
/// Where such a reader finds its descriptors: tuples, packets, counters.
const FIRST_FD: i32 = 30;

#[test]
fn a_killed_process_leaves_nothing_attached() {
    if std::env::var_os(ROLE).is_some() {
        let mut kernel = Kernel::load(ROOMY).unwrap();
        let attachment = kernel
            .program
            .attach(&interface("fs0"), ALL, Mode::Native)
            .unwrap();
        say_out("attached");
        std::thread::sleep(Duration::from_secs(60));
        return drop(attachment);
    }
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let mut child = again()
        .env(ROLE, "hold")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines
            .map_while(Result::ok)
            .any(|line| line.contains("attached"))
    );
    assert!(has_xdp("fs0"));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until(|| !has_xdp("fs0"));
}

#[test]
fn a_process_without_capabilities_reads_rings_and_counters() {
    if std::env::var_os(ROLE).is_some() {
        return read_without_capabilities();
    }
    let Some(mut kernel) = Kernel::configured(ROOMY, ALL) else {
        return;
    };
    kernel.run(&DATAGRAM, 7).unwrap();
    let fds = kernel.program.map_fds().unwrap();
    let fds = [&fds.tuples[0], &fds.packets[0], &fds.counters].map(|fd| fd.as_raw_fd());
    let mut reader = again();
    reader.env(ROLE, "read").uid(65_534).gid(65_534);
    reader.stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: only calls that are allowed between fork and exec.
    unsafe {
        reader.pre_exec(move || {
            for (to, from) in (FIRST_FD..).zip(fds) {
                if libc::dup2(from, to) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    let mut child = reader.spawn().unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("7 tuples, 7 packets, 7 seen"), "{stdout}");
}

fn read_without_capabilities() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    assert!(Program::load(&ROOMY).is_err());
    // SAFETY: the parent put these descriptors there for us alone.
    let [tuples, packets, counters] =
        [0, 1, 2].map(|at| unsafe { OwnedFd::from_raw_fd(FIRST_FD + at) });
    let (mut tuple_count, mut packet_count) = (0, 0);
    let mut tuples = TupleRings::from_fds(vec![tuples]).unwrap();
    let fill = tuples.fill().next().unwrap();
    assert_eq!((fill.unread_bytes, fill.size_bytes), (7 * 64, 1 << 20));
    tuples.drain(5, |_| tuple_count += 1);
    assert_eq!(tuples.fill().next().unwrap().unread_bytes, 2 * 64);
    tuples.drain(5, |_| tuple_count += 1);
    let mut packets = PacketRings::from_fds(vec![packets]).unwrap();
    packets.drain(100, |packet| {
        assert_eq!(packet.data, DATAGRAM);
        packet_count += 1;
    });
    let seen = Counters::from_fd(counters)
        .unwrap()
        .read(ALL.slot)
        .unwrap()
        .seen;
    say_out(&format!(
        "{tuple_count} tuples, {packet_count} packets, {seen} seen"
    ));
}

/// To the process that started this one.
fn say_out(text: &str) {
    io::stdout()
        .write_all(format!("{text}\n").as_bytes())
        .unwrap();
}

/// This test of this binary, in another process.
fn again() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &test_name(), "--nocapture"]);
    command
}
