//! The wall clock jumps an hour forward and two back while the built program captures: nothing is
//! lost, nor counted twice. Sets the machine's clock, so only where `FLOWSIFT_MAY_SET_CLOCK=1` says
//! that it may be wrong: on the emulated machines of `cargo xtask kernels`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::counters::DATAGRAM;
use crate::namespace::{Sender, has_xdp, inside, interface, veth, wait_until};
use crate::program::PROGRAM;
use crate::support::say_skipped;

const HOUR: i64 = 3_600;
const PACKETS: u64 = 500;

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn set_clock(seconds: i64) {
    let time = libc::timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    // SAFETY: the kernel reads the time.
    let result = unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &time) };
    assert_eq!(result, 0);
}

/// Files of a kind anywhere below a folder.
fn files(folder: &Path, kind: &str, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, kind, found);
        } else if path.extension().is_some_and(|extension| extension == kind) {
            found.push(path);
        }
    }
}

/// Times in seconds of the packets of a little-endian pcap file.
fn times(file: &Path) -> Vec<i64> {
    let bytes = fs::read(file).unwrap();
    let mut rest = bytes.get(24..).unwrap();
    let mut times = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(16) {
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        times.push(i64::from(word(0)));
        rest = after.get(word(8) as usize..).unwrap();
    }
    times
}

#[test]
fn a_clock_that_jumps_loses_no_packet() {
    if std::env::var_os("FLOWSIFT_MAY_SET_CLOCK").is_none_or(|value| value != "1") {
        return say_skipped("the clock of this machine may not be set (FLOWSIFT_MAY_SET_CLOCK=1)");
    }
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let said = folder.path().join("said");
    let mut capture = Command::new(PROGRAM)
        .args(["capture", "-i", "fs0", "--store", store.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    wait_until(|| has_xdp("fs0"));
    let sender = Sender::new(&interface("fs1"));
    let started = now();
    for jump in [0, HOUR, -2 * HOUR] {
        if jump != 0 {
            set_clock(now() + jump);
        }
        // The offset of the clock is measured every second or so.
        std::thread::sleep(Duration::from_secs(3));
        for n in 0..PACKETS {
            while sender.send(&DATAGRAM).is_err() {}
            if n % 50 == 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        std::thread::sleep(Duration::from_secs(3));
    }
    set_clock(now() + HOUR);
    let process = i32::try_from(capture.id()).unwrap();
    // SAFETY: signals a child that has not been waited for.
    let result = unsafe { libc::kill(process, libc::SIGINT) };
    assert_eq!(result, 0);
    let status = capture.wait().unwrap();
    let said = fs::read_to_string(said).unwrap();
    assert!(status.success(), "{said}");
    let all = 3 * PACKETS;
    let told = format!("fs0: {all} packets seen, {all} stored, 0 dropped");
    assert!(said.contains(&told), "{told}: {said}");
    let mut captured = Vec::new();
    files(&store, "pcap", &mut captured);
    let hours = |file: &std::path::PathBuf| -> Vec<i64> {
        let times = times(file);
        times
            .iter()
            .map(|time| (time - started + HOUR / 2).div_euclid(HOUR))
            .collect()
    };
    let hours: Vec<i64> = captured.iter().flat_map(hours).collect();
    let of_hour = |wanted: i64| hours.iter().filter(|hour| **hour == wanted).count() as u64;
    assert_eq!([0, 1, -1].map(of_hour), [PACKETS; 3]);
    // The samples of one run add up, whatever their times.
    let mut tables = Vec::new();
    files(&store, "counters", &mut tables);
    // Names begin with times; the number behind is the order of writing.
    tables.sort_by_key(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        name.rsplit('-').next().unwrap().to_owned()
    });
    let last = fs::read_to_string(tables.last().unwrap()).unwrap();
    let last: Vec<&str> = last.lines().last().unwrap().split('\t').collect();
    assert_eq!(&last[2..4], [all.to_string(), all.to_string()]);
    let check = Command::new(PROGRAM)
        .args(["store", "check", "--store", store.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
}
