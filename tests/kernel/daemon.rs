//! `flowsift agent` as it is built: reload, service manager, clean and unclean ends.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crate::counters::DATAGRAM;
use crate::namespace::{Sender, has_xdp, inside, interface, ip, veth, wait_until};
use crate::program::{self, PROGRAM};
use crate::served::status;

/// A daemon, its configuration and store, and what stands in for the service manager.
pub(crate) struct Daemon {
    pub(crate) folder: tempfile::TempDir,
    notify: UnixDatagram,
    child: Option<Child>,
}

impl Daemon {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let notify = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notify.set_nonblocking(true).unwrap();
        Self {
            folder,
            notify,
            child: None,
        }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Writes the configuration; `more` stands below `[store]`.
    pub(crate) fn configure(&self, interfaces: &str, more: &str) {
        let text = format!(
            "[capture]\ninterfaces = {interfaces}\n[store]\npath = {:?}\n{more}\n",
            self.store()
        );
        fs::write(self.folder.path().join("flowsift.toml"), text).unwrap();
    }

    fn command(&self) -> Command {
        self.command_of(&[PROGRAM])
    }

    /// The daemon by other words than the program's path.
    pub(crate) fn command_of(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["agent", "--config"]);
        command.arg(self.folder.path().join("flowsift.toml"));
        command.env_remove("JOURNAL_STREAM").stdin(Stdio::null());
        command
    }

    /// Starts it, and waits until it says that it is ready; its status then.
    fn start(&mut self) -> String {
        self.start_by(&[PROGRAM])
    }

    /// As [`Daemon::start`], by other words than the program's path.
    pub(crate) fn start_by(&mut self, words: &[&str]) -> String {
        self.spawn(words);
        self.told("READY=1")
    }

    fn spawn(&mut self, words: &[&str]) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let child = self
            .command_of(words)
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .env("WATCHDOG_USEC", "2000000")
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits for a message to the service manager that begins so.
    fn told(&mut self, start: &str) -> String {
        let begun = Instant::now();
        loop {
            let mut bytes = [0; 1024];
            match self.notify.recv(&mut bytes) {
                Ok(length) => {
                    let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
                    if text.starts_with(start) {
                        return text;
                    }
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
            let ended = self.child.as_mut().and_then(|it| it.try_wait().unwrap());
            assert!(ended.is_none(), "{ended:?}: {}", self.log());
            let patient = begun.elapsed() < Duration::from_secs(60);
            assert!(patient, "{start} was not said: {}", self.log());
        }
    }

    fn wait_for_log(&self, text: &str) {
        let begun = Instant::now();
        while !self.log().contains(text) {
            let patient = begun.elapsed() < Duration::from_secs(60);
            assert!(patient, "no '{text}' in: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: i32) {
        program::signal(self.child.as_ref().unwrap().id(), signal);
    }

    /// Has the configuration read again, and waits until that is done; its status then.
    pub(crate) fn reload(&mut self) -> String {
        self.signal(libc::SIGHUP);
        let reloading = self.told("RELOADING=1");
        assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
        self.told("READY=1")
    }

    /// The process that writes.
    fn worker(&self) -> u32 {
        let parent = self.child.as_ref().unwrap().id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        children.unwrap().trim().parse().unwrap()
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    /// Stops it as the service manager does.
    pub(crate) fn stop(&mut self) {
        self.signal(libc::SIGTERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        let log = self.log();
        assert!(!log.contains("please report"), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }

    /// Packets that the store has of an interface.
    pub(crate) fn stored(&self, source: &str) -> usize {
        packets(&self.store().join(source))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Packets in the capture files of a folder, with all folders in it.
fn packets(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let count = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => packets(&path),
        Some(extension) if extension == "pcap" => packets_of(&fs::read(&path).unwrap()),
        _ => 0,
    };
    entries.map(|entry| count(entry.unwrap().path())).sum()
}

/// Packets of a capture file in this machine's byte order.
fn packets_of(file: &[u8]) -> usize {
    let (mut at, mut count) = (24, 0);
    while let Some(length) = file.get(at + 8..at + 12) {
        at += 16 + u32::from_ne_bytes(length.try_into().unwrap()) as usize;
        count += usize::from(at <= file.len());
    }
    count
}

pub(crate) fn send(far: &str, count: usize) {
    let sender = Sender::new(&interface(far));
    for _ in 0..count {
        sender.send(&DATAGRAM).unwrap();
    }
}

#[test]
fn a_daemon_is_told_and_tells_while_it_runs() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    veth("fs2", "fs3", 1500);
    let mut daemon = Daemon::new();
    daemon.configure("[\"fs0\", \"fs9\"]", "");
    let ready = daemon.start();
    assert_eq!(ready, "READY=1\nSTATUS=Capturing from fs0");
    daemon.wait_for_log("WARN fs9: not there; capture begins when it comes");
    send("fs1", 300);
    // Twice: it goes on.
    daemon.told("WATCHDOG=1");
    daemon.told("WATCHDOG=1");

    daemon.configure(
        "[\"fs0\", \"fs2=other\"]",
        "keep_age = \"30d\"\nfile_time = \"2h\"",
    );
    assert_eq!(daemon.reload(), "READY=1\nSTATUS=Capturing from fs0, fs2");
    daemon.wait_for_log("new: capture.interfaces, store.keep_age");
    daemon.wait_for_log("WARN store.file_time: changed in ");
    daemon.wait_for_log("INFO fs2: captured, tag other, native mode");
    send("fs1", 200);
    send("fs3", 100);

    // One is left, with all that came before; the other gets a tag, and with it a source.
    daemon.configure("[\"fs0=inside\"]", "");
    assert_eq!(daemon.reload(), "READY=1\nSTATUS=Capturing from fs0");
    daemon.wait_for_log("WARN fs2: not captured any more");
    assert!(!has_xdp("fs2"));
    // Not gone, which would be a reason for an alarm.
    wait_until(|| {
        let left = status(&daemon.store()).interfaces;
        let mut left = left.iter().filter(|it| it.mode == "left");
        left.any(|it| it.name == "fs2")
    });
    send("fs1", 50);
    send("fs3", 10);

    // What is wrong changes nothing.
    daemon.configure("[\"fs2\"]", "keep_aeg = \"30d\"");
    assert_eq!(daemon.reload(), "READY=1\nSTATUS=Capturing from fs0");
    daemon.wait_for_log("flowsift.toml:5:1: store.keep_aeg: there is no such key");
    daemon.wait_for_log("hint: did you mean keep_age?");
    daemon.wait_for_log("ERROR the former configuration stays in force");
    send("fs1", 7);

    daemon.stop();
    assert_eq!(daemon.stored("pcap/fs0"), 500, "{}", daemon.log());
    assert_eq!(daemon.stored("inside/fs0"), 57, "{}", daemon.log());
    assert_eq!(daemon.stored("other/fs2"), 100, "{}", daemon.log());
    assert!(!has_xdp("fs0"));
    let log = daemon.log();
    assert!(
        log.contains("INFO fs0: 500 packets seen, 500 stored, 0 dropped"),
        "{log}"
    );
    assert!(
        log.contains("ended; all that was captured is written"),
        "{log}"
    );
}

#[test]
fn a_reload_while_it_starts_is_done_when_it_has_started() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let mut daemon = Daemon::new();
    daemon.configure("[\"fs0\"]", "");
    daemon.spawn(&[PROGRAM]);
    // Its first word: signals are heard from now on, and the kernel program is still to be loaded.
    daemon.wait_for_log(" starts with ");
    daemon.signal(libc::SIGHUP);
    daemon.told("READY=1");
    daemon.told("RELOADING=1");
    daemon.told("READY=1");
    send("fs1", 20);
    daemon.stop();
    assert_eq!(daemon.stored("pcap/fs0"), 20, "{}", daemon.log());
}

#[test]
fn a_killed_daemon_loses_nothing_that_it_had_seen_and_starts_again() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let mut daemon = Daemon::new();
    daemon.configure("[\"fs0\"]", "");
    daemon.start();
    send("fs1", 400);
    daemon.signal(libc::SIGKILL);
    daemon.wait();
    // The worker outlives it for as long as it takes to write what the rings hold.
    daemon.wait_for_log("the privileged process is gone; capture is over, and all that it had");
    assert!(!has_xdp("fs0"));
    daemon.start();
    send("fs1", 100);
    daemon.stop();
    assert_eq!(daemon.stored("pcap/fs0"), 500, "{}", daemon.log());
}

/// As the unit's `KillMode` has it.
#[test]
fn a_stop_that_both_processes_hear_is_one() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let mut daemon = Daemon::new();
    daemon.configure("[\"fs0\"]", "");
    for round in 1..=8 {
        daemon.start();
        let worker = daemon.worker();
        send("fs1", 50);
        daemon.signal(libc::SIGTERM);
        // Sooner or later than the parent's word reaches it.
        std::thread::sleep(Duration::from_millis(round));
        // SAFETY: sends a signal to a process of this test, which may have ended.
        unsafe { libc::kill(worker.cast_signed(), libc::SIGTERM) };
        let status = daemon.wait();
        assert_eq!(status.code(), Some(0), "{}", daemon.log());
    }
    // The parent was killed, and the service manager tells what is left.
    daemon.start();
    let worker = daemon.worker();
    send("fs1", 50);
    daemon.signal(libc::SIGKILL);
    daemon.wait();
    program::signal(worker, libc::SIGTERM);
    daemon.wait_for_log("the privileged process is gone; capture is over, and all that it had");
    assert_eq!(daemon.stored("pcap/fs0"), 450, "{}", daemon.log());
}

#[test]
fn an_interface_that_is_gone_is_waited_for() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let mut daemon = Daemon::new();
    daemon.configure("[\"fs0\"]", "");
    daemon.start();
    send("fs1", 30);
    wait_until(|| daemon.stored("pcap/fs0") == 30);
    ip("link del fs0");
    let status = daemon.told("STATUS=");
    assert_eq!(status, "STATUS=Waiting for an interface to capture from");
    daemon.wait_for_log("WARN fs0: gone; capture goes on when it is back");
    veth("fs0", "fs1", 1500);
    assert_eq!(daemon.told("STATUS="), "STATUS=Capturing from fs0");
    daemon.wait_for_log("WARN fs0: back");
    send("fs1", 12);
    daemon.stop();
    assert_eq!(daemon.stored("pcap/fs0"), 42, "{}", daemon.log());
}

#[test]
fn a_full_disk_is_said_and_survived() {
    if !inside() {
        return;
    }
    // SAFETY: gives this thread, and what it starts, mounts of their own.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    mount(&["--make-rprivate", "/"]);
    veth("fs0", "fs1", 1500);
    let mut daemon = Daemon::new();
    let store = daemon.store();
    fs::create_dir(&store).unwrap();
    mount(&[
        "-t",
        "tmpfs",
        "-o",
        "size=200k",
        "none",
        store.to_str().unwrap(),
    ]);
    daemon.configure("[\"fs0\"]", "");
    daemon.start();
    // More than has room, in parts that the writer cannot take as one.
    for _ in 0..8 {
        send("fs1", 500);
        std::thread::sleep(Duration::from_millis(300));
    }
    daemon.wait_for_log("the disk is full");
    // By burst, not by packet: between two there may be room for a few.
    let said = daemon.log().matches("the disk is full: ").count();
    assert!(said <= 8, "{}", daemon.log());
    daemon.stop();
    let log = daemon.log();
    assert!(log.contains("dropped: the disk was full"), "{log}");
    assert!(log.contains("fs0: 4000 packets seen"), "{log}");
    assert!(daemon.stored("pcap/fs0") > 0);
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status().unwrap();
    assert!(status.success(), "mount {arguments:?}");
}

#[test]
fn a_wrong_configuration_is_refused_whole() {
    let daemon = Daemon::new();
    let path = daemon.folder.path().join("flowsift.toml");
    let output = |check: bool| -> Output {
        let mut command = daemon.command();
        command
            .args(check.then_some("--check-config"))
            .output()
            .unwrap()
    };
    for (text, said) in [
        (
            "",
            vec![
                ": capture.interfaces: names no interface",
                "hint: write interfaces",
            ],
        ),
        (
            "[capture]\ninterfaces = [\"lo\"\n",
            vec![":2:19: unclosed array"],
        ),
        (
            "[capture]\ninterfaces = [\"lo\"]\nuser = \"no such user\"\n",
            vec![
                ": capture.user: there is no user",
                "hint: name one that getent passwd lists",
            ],
        ),
        (
            "[capture]\ninterfaces = [\"lo\"]\nfilter = \"prot 3\"\n",
            vec![": capture.filter: "],
        ),
        (
            "[capture]\ninterfaces = [\"lo\"]\n[socket]\ngroup = \"no such group\"\n",
            vec![
                ": socket.group: there is no group",
                "hint: name one that getent group lists",
            ],
        ),
        (
            "[capture]\ninterfaces = [\"lo\"]\nsnaplen = -1\n[log]\nlevle = \"info\"\n",
            vec![
                ":3:11: capture.snaplen: invalid value: integer `-1`, expected a whole number from 0 to 65535",
                ":5:1: log.levle: there is no such key",
                "hint: did you mean level?",
            ],
        ),
    ] {
        fs::write(&path, text).unwrap();
        for check in [true, false] {
            let output = output(check);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{text}: {error}");
            for part in &said {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
    }
    assert!(!daemon.store().exists());
    daemon.configure("[\"lo\"]", "");
    let right = output(true);
    assert_eq!(right.status.code(), Some(0));
    let said = String::from_utf8(right.stdout).unwrap();
    assert_eq!(said, format!("{}: OK\n", path.display()));
    fs::remove_file(&path).unwrap();
    let absent = output(true);
    assert_eq!(absent.status.code(), Some(2));
    let said = String::from_utf8(absent.stderr).unwrap();
    assert!(said.contains("cannot read the configuration"), "{said}");
}
