//! What is installed beside the program: the unit's exposure, as systemd itself judges it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

use crate::daemon::{Daemon, send};
use crate::namespace::{inside, veth};
use crate::program::{NOBODY, said};
use crate::refused::copy;
use crate::support::say_skipped;

/// Of 10, as `systemd-analyze security` counts.
const MOST_EXPOSURE: f64 = 2.5;

/// What attaching takes (`capture/guard/capabilities.rs`), and nothing else.
const CAPABILITIES: &str = "CAP_BPF CAP_NET_ADMIN CAP_PERFMON";

/// In the program: emulated machines have no repository.
const UNIT: &str = include_str!("../../xtask/dist/flowsift.service");

#[test]
fn the_unit_exposes_little() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("flowsift.service");
    fs::write(&unit, UNIT).unwrap();
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&unit)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return say_skipped(&format!("systemd-analyze is not installed: {error}")),
    };
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("unrecognized option") {
        return say_skipped("this systemd-analyze judges no unit that is not loaded (before 250)");
    }
    assert!(output.status.success(), "{error}");
    assert!(!error.contains("ignoring"), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, exposure) = text
        .split_once("Overall exposure level for flowsift.service: ")
        .unwrap();
    let exposure: f64 = exposure.split_whitespace().next().unwrap().parse().unwrap();
    assert!(exposure > 0.0 && exposure < MOST_EXPOSURE, "{text}");
}

#[test]
fn the_unit_gives_what_capture_needs_and_no_more() {
    let value = |name: &str| -> Vec<&str> {
        let of = |line: &&str| line.starts_with(&format!("{name}="));
        let line = UNIT.lines().find(of).unwrap();
        line.split_once('=').unwrap().1.split(' ').collect()
    };
    assert_eq!(value("AmbientCapabilities").join(" "), CAPABILITIES);
    assert_eq!(value("CapabilityBoundingSet").join(" "), CAPABILITIES);
    for call in ["bpf", "seccomp", "landlock_restrict_self"] {
        assert!(value("SystemCallFilter").contains(&call), "{call}");
    }
    assert!(value("RestrictAddressFamilies").contains(&"AF_NETLINK"));
    // The program starts itself again, and needs no other.
    assert_eq!(value("Type"), ["notify"]);
    // A worker whose parent is gone is told to end, and not killed.
    assert_eq!(value("KillMode"), ["control-group"]);
    assert_eq!(value("OOMPolicy"), ["continue"]);
}

#[test]
fn a_user_with_the_units_capabilities_captures_and_reloads() {
    as_the_unit(|daemon, words| {
        daemon.configure("[\"fs0\"]", "");
        captures_and_reloads(daemon, words);
    });
}

#[test]
fn the_user_that_it_is_already_may_be_named_and_no_other() {
    as_the_unit(|daemon, words| {
        daemon.configure("[\"fs0\"]\nuser = \"root\"", "");
        let output = daemon.command_of(words).output().unwrap();
        let error = said(&output, 2);
        assert!(
            error.contains("cannot become user root: this process lacks CAP_SETGID, CAP_SETUID"),
            "{error}"
        );
        daemon.configure("[\"fs0\"]\nuser = \"nobody\"", "");
        captures_and_reloads(daemon, words);
    });
}

fn captures_and_reloads(daemon: &mut Daemon, words: &[&str]) {
    let ready = daemon.start_by(words);
    assert_eq!(
        ready,
        "READY=1\nSTATUS=Capturing from fs0",
        "{}",
        daemon.log()
    );
    send("fs1", 60);
    daemon.reload();
    send("fs1", 40);
    daemon.stop();
    assert_eq!(daemon.stored("pcap/fs0"), 100, "{}", daemon.log());
}

/// A daemon with a store, and the words that start it as the unit does.
fn as_the_unit(test: impl FnOnce(&mut Daemon, &[&str])) {
    if !inside() {
        return;
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        return say_skipped("setpriv is not installed");
    }
    veth("fs0", "fs1", 1500);
    let mut daemon = Daemon::new();
    fs::create_dir(daemon.store()).unwrap();
    chown(daemon.store(), Some(NOBODY), Some(NOBODY)).unwrap();
    for open in [
        daemon.folder.path().to_owned(),
        daemon.folder.path().join("notify"),
    ] {
        fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
    }
    let (_kept, program) = copy();
    let capabilities = CAPABILITIES
        .to_lowercase()
        .replace("cap_", "+")
        .replace(' ', ",");
    let capabilities = ["bounding-set", "inh-caps", "ambient-caps"]
        .map(|set| format!("--{set}=-all,{capabilities}"));
    let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    let mut words = vec!["setpriv", "--clear-groups", "--no-new-privs"];
    words.extend(user.iter().chain(&capabilities).map(String::as_str));
    words.push(program.to_str().unwrap());
    test(&mut daemon, &words);
}
